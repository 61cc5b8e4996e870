//! The time that admission goes by: the caller's, without its steps back.

use std::time::Duration;

/// A moment, as the caller has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since some start of the caller's, always the same. It should never go backwards.
    pub at: Duration,
    /// Day of the week by the local clock: 0 for Sunday to 6.
    pub weekday: u8,
    /// Minute of the day by the local clock: 0 to 1439.
    pub minute: u16,
}

/// Time stands still from here on: after 292 years, so that sums with it fit.
const END: u64 = u64::MAX / 2;

/// A step back counts as no time at all, and what comes after it counts as ever.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Nanoseconds, as [`Clock::set`] gave them last.
    last: u64,
    /// All steps back.
    skew: u64,
}

impl Clock {
    /// A moment of the caller's as nanoseconds that never go back.
    pub(super) fn at(&self, moment: Duration) -> u64 {
        self.shifted(moment).max(self.last)
    }

    /// The same, for good.
    pub(super) fn set(&mut self, moment: Duration) -> u64 {
        let back = self.last.saturating_sub(self.shifted(moment));
        self.skew = self.skew.saturating_add(back);
        self.last = self.at(moment);
        self.last
    }

    fn shifted(&self, moment: Duration) -> u64 {
        nanoseconds(moment).saturating_add(self.skew).min(END)
    }
}

/// As a number, [`END`] at most.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).map_or(END, |number| number.min(END))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_no_time_and_then_time_goes_on() {
        let mut clock = Clock::default();
        let set =
            |clock: &mut Clock, seconds| clock.set(Duration::from_secs(seconds)) / 1_000_000_000;
        assert_eq!(set(&mut clock, 100), 100);
        assert_eq!(clock.at(Duration::from_secs(7)), 100_000_000_000);
        assert_eq!(set(&mut clock, 7), 100);
        assert_eq!(set(&mut clock, 8), 101);
        assert_eq!(set(&mut clock, 1000), 1093);
        assert_eq!(set(&mut clock, 999), 1093);
        assert_eq!(set(&mut clock, 1000), 1094);
        assert_eq!(clock.set(Duration::MAX), END);
        assert_eq!(clock.set(Duration::ZERO), END);
    }
}
