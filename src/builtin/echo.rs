//! Echo (RFC 862): sends back what it is sent, until the client sends no more.
//!
//! Bytes go straight from the buffer that they were read into. Only what the client is too slow to
//! take is copied here, and until that has gone nothing more is read.

/// One connection.
#[derive(Debug, Default)]
pub struct Echo {
    kept: Vec<u8>,
    sent: usize,
    input_closed: bool,
}

impl Echo {
    pub(super) fn wants_input(&self) -> bool {
        self.kept.is_empty() && !self.input_closed
    }

    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.kept.extend_from_slice(rest);
    }

    pub(super) fn input_closed(&mut self) {
        self.input_closed = true;
    }

    pub(super) fn output(&self) -> &[u8] {
        &self.kept[self.sent..]
    }

    /// The buffer goes with its last byte: an idle connection holds none.
    pub(super) fn written(&mut self, count: usize) {
        self.sent = self.kept.len().min(self.sent + count);
        if self.sent == self.kept.len() {
            (self.kept, self.sent) = (Vec::new(), 0);
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.input_closed && self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_while_something_is_kept() {
        let mut echo = Echo::default();
        assert!(echo.wants_input());
        echo.keep(b"abcd");
        assert!(!echo.wants_input());
        echo.written(3);
        assert_eq!(echo.output(), b"d");
        echo.written(1);
        assert!(echo.wants_input());
        assert_eq!((echo.output(), echo.kept.capacity()), (&b""[..], 0));
    }

    #[test]
    fn what_is_kept_goes_out_before_the_end() {
        let mut echo = Echo::default();
        echo.keep(b"abcd");
        echo.input_closed();
        assert!(!echo.is_finished());
        echo.written(4);
        assert!(echo.is_finished() && !echo.wants_input());
    }
}
