//! What is to happen later: a heap of moments.
//!
//! Each [`Timer`] has one moment at most; setting it again moves it. The heap keeps moments that
//! were moved until they come up, and then nobody is woken for them.

use crate::table::{ListenerId, ServiceId};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

/// What a moment was set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Children may have become old, or a late exec may have come.
    Age,
    /// A listener may be bound at last, or asked again.
    Listener(ListenerId),
    /// The worker should have let go of a listener by now.
    Leaving(ListenerId),
    /// Resources may be there again.
    Retry,
    /// They have been there for a while.
    Calm,
    /// The loader has had its time.
    LoaderDeadline(i32),
    /// The worker may be started again.
    StartWorker,
    /// The worker may be told again what there was no memory for.
    Orders,
    /// Stopping goes a step further.
    Stop,
    /// The kernel has had its time to tell what connections have moved.
    Accounts,
    /// A limit of a session may have been reached.
    Life,
    /// Refused clients have had their time to go.
    Refused,
    /// The log may be read again.
    Flush,
    /// Callers of the control socket have had their time.
    Callers,
    /// The log tells what it left out.
    LeftOut,
    /// A service has been paused as long as it was to be.
    Resume(ServiceId),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
    moments: HashMap<Timer, Instant>,
}

impl Timers {
    /// Sets a timer, or moves it.
    pub(super) fn set(&mut self, at: Instant, timer: Timer) {
        if self.moments.insert(timer, at) != Some(at) {
            self.heap.push(Reverse((at, timer)));
        }
    }

    /// Sets a timer unless it is set already.
    pub(super) fn set_once(&mut self, at: Instant, timer: Timer) {
        if !self.moments.contains_key(&timer) {
            self.set(at, timer);
        }
    }

    /// Sets a timer unless it is set for an earlier moment.
    pub(super) fn set_earlier(&mut self, at: Instant, timer: Timer) {
        if self.moments.get(&timer).is_none_or(|before| at < *before) {
            self.set(at, timer);
        }
    }

    /// Forgets a timer.
    pub(super) fn clear(&mut self, timer: Timer) {
        self.moments.remove(&timer);
    }

    /// The moment that a timer is set for.
    pub(super) fn moment(&self, timer: Timer) -> Option<Instant> {
        self.moments.get(&timer).copied()
    }

    /// How long until the next; `None` when there is none.
    pub(super) fn next_after(&mut self, now: Instant) -> Option<Duration> {
        self.drop_moved();
        let Reverse((at, _)) = self.heap.peek()?;
        Some(at.saturating_duration_since(now))
    }

    /// One that is due, if there is one.
    pub(super) fn due(&mut self, now: Instant) -> Option<Timer> {
        self.drop_moved();
        let Reverse((at, timer)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        self.moments.remove(&timer);
        Some(timer)
    }

    fn drop_moved(&mut self) {
        while let Some(Reverse((at, timer))) = self.heap.peek() {
            if self.moments.get(timer) == Some(at) {
                return;
            }
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn timers_come_in_the_order_of_time() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(start + 2 * SECOND, Timer::Retry);
        timers.set(start + SECOND, Timer::Age);
        assert_eq!(timers.next_after(start), Some(SECOND));
        assert_eq!(timers.due(start), None);
        let later = start + 3 * SECOND;
        assert_eq!(timers.due(later), Some(Timer::Age));
        assert_eq!(timers.due(later), Some(Timer::Retry));
        assert_eq!(timers.next_after(later), None);
    }

    #[test]
    fn a_timer_that_is_set_again_has_only_its_new_moment() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(start + SECOND, Timer::Retry);
        timers.set(start + 3 * SECOND, Timer::Retry);
        assert_eq!(timers.next_after(start), Some(3 * SECOND));
        timers.set_once(start + SECOND, Timer::Retry);
        assert_eq!(timers.due(start + 2 * SECOND), None);
        assert_eq!(timers.due(start + 3 * SECOND), Some(Timer::Retry));
        assert_eq!(timers.due(start + 9 * SECOND), None);
    }
}
