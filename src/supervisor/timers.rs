//! What is to happen later: a heap of moments. Timers are never taken out; who set one looks, when
//! it comes, whether it still means anything.

use crate::table::ListenerId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// What a moment was set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Children may have become old.
    Age,
    /// A listener may be bound at last, or asked again.
    Listener(ListenerId),
    /// Resources may be there again.
    Retry,
    /// They have been there for a while.
    Calm,
    /// The loader has had its time.
    LoaderDeadline(i32),
    /// The worker may be started again.
    StartWorker,
    /// Stopping goes a step further.
    Stop,
    /// The log may be read again.
    Flush,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    /// How long until the next; `None` when there is none.
    pub(super) fn next_after(&self, now: Instant) -> Option<Duration> {
        self.heap
            .peek()
            .map(|Reverse((at, _))| at.saturating_duration_since(now))
    }

    /// One that is due, if there is one.
    pub(super) fn due(&mut self, now: Instant) -> Option<Timer> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, timer))| timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_the_order_of_time() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(start + Duration::from_secs(2), Timer::Retry);
        timers.set(start + Duration::from_secs(1), Timer::Age);
        assert_eq!(timers.next_after(start), Some(Duration::from_secs(1)));
        assert_eq!(timers.due(start), None);
        let later = start + Duration::from_secs(3);
        assert_eq!(timers.due(later), Some(Timer::Age));
        assert_eq!(timers.due(later), Some(Timer::Retry));
        assert_eq!(timers.next_after(later), None);
    }
}
