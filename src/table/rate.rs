//! `rate` and `rate_per_source`: so many in a time, and so many at once after a rest.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A rate, as a token bucket has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// From one token to the next, in nanoseconds: 1 or more.
    pub interval: u64,
    /// Tokens that a full bucket holds: 1 or more.
    pub burst: u32,
}

impl Rate {
    /// `count` (1 or more) in each `period`; without a burst of its own, a second's worth, and one at
    /// least.
    pub fn new(count: u32, period: Duration, burst: Option<u32>) -> Rate {
        let count = u64::from(count.max(1));
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let interval = (period / count).max(1);
        let second = (1_000_000_000 / interval).clamp(1, u64::from(u32::MAX)) as u32;
        Rate {
            interval,
            burst: burst.unwrap_or(second).max(1),
        }
    }

    /// Nanoseconds in which an empty bucket becomes full.
    pub fn time_to_fill(self) -> u64 {
        self.interval.saturating_mul(self.burst.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_burst_of_a_second_unless_told() {
        let rate = |interval, burst| Rate { interval, burst };
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(Rate::new(50, second, None), rate(20_000_000, 50));
        assert_eq!(Rate::new(50, second, Some(200)), rate(20_000_000, 200));
        assert_eq!(Rate::new(10, minute, None), rate(6_000_000_000, 1));
        assert_eq!(Rate::new(600, minute, None), rate(100_000_000, 10));
        assert_eq!(Rate::new(0, Duration::ZERO, Some(0)), rate(1, 1));
        assert_eq!(Rate::new(1, Duration::MAX, None), rate(u64::MAX, 1));
        assert_eq!(
            Rate::new(50, second, Some(200)).time_to_fill(),
            4_000_000_000
        );
    }
}
