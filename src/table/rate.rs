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
        let interval = (period.as_nanos() as u64 / count).max(1);
        let second = (1_000_000_000 / interval).clamp(1, u64::from(u32::MAX)) as u32;
        Rate {
            interval,
            burst: burst.unwrap_or(second).max(1),
        }
    }
}
