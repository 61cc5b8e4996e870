//! Discard (RFC 863): throws away what it is sent, until the client sends no more.

/// One connection.
#[derive(Debug, Default)]
pub struct Discard {
    input_closed: bool,
}

impl Discard {
    pub(super) fn input_closed(&mut self) {
        self.input_closed = true;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.input_closed
    }
}
