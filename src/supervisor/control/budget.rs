//! How much time callers of the control socket may take of a turn of the loop, all together.

use std::time::{Duration, Instant};

/// Time of one turn.
const TURN: Duration = Duration::from_millis(1);

/// See the module. It begins to run with the first look in a turn.
#[derive(Debug, Default)]
pub(super) struct Budget {
    until: Option<Instant>,
}

impl Budget {
    /// A new turn has begun.
    pub(super) fn renew(&mut self) {
        self.until = None;
    }

    /// Whether the time is over: what is left to do can be done in the next turn.
    pub(super) fn is_spent(&mut self) -> bool {
        let now = Instant::now();
        now >= *self.until.get_or_insert(now + TURN)
    }
}
