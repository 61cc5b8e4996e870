//! A token bucket in one number: the moment when it will be full again.
//!
//! A bucket does not know its rate, so a reload may change that: what it lacks, in time, stays.

use crate::table::Rate;
use std::time::Duration;

/// A bucket, full at first. Moments are nanoseconds and must not go back (see `clock`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    full_at: u64,
}

/// What is in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Whole tokens left.
    pub tokens: u32,
    /// Tokens when it is full.
    pub burst: u32,
}

impl Bucket {
    /// What is in it.
    pub(super) fn level(self, rate: Rate, at: u64) -> Level {
        let tokens = (rate.time_to_fill() - self.lack(rate, at)) / rate.interval.max(1);
        Level {
            tokens: tokens.min(rate.burst.into()) as u32,
            burst: rate.burst,
        }
    }

    /// Takes a token. One that has none is empty afterwards, not worse.
    pub(super) fn take(&mut self, rate: Rate, at: u64) {
        let lack = self.lack(rate, at).saturating_add(rate.interval);
        self.full_at = at.saturating_add(lack.min(rate.time_to_fill()));
    }

    /// How long until it has a token: zero when it has one.
    pub(super) fn time_to_token(self, rate: Rate, at: u64) -> Duration {
        let enough = rate.time_to_fill() - rate.interval.min(rate.time_to_fill());
        Duration::from_nanos(self.lack(rate, at).saturating_sub(enough))
    }

    /// The moment from which on it is as good as new.
    pub(super) fn full_at(self) -> u64 {
        self.full_at
    }

    /// Nanoseconds until it is full.
    fn lack(self, rate: Rate, at: u64) -> u64 {
        self.full_at.saturating_sub(at).min(rate.time_to_fill())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    /// How many of 1,000 a bucket gives at this moment.
    fn taken(bucket: &mut Bucket, rate: Rate, at: u64) -> usize {
        (0..1000)
            .filter(|_| {
                let has_one = bucket.level(rate, at).tokens > 0;
                assert_eq!(has_one, bucket.time_to_token(rate, at).is_zero());
                if has_one {
                    bucket.take(rate, at);
                }
                has_one
            })
            .count()
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = Rate::new(100, Duration::from_secs(1), Some(200));
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, rate, 0), 200);
        assert_eq!(bucket.time_to_token(rate, 0), Duration::from_millis(10));
        assert_eq!(taken(&mut bucket, rate, SECOND / 20 + SECOND / 200), 5);
        assert_eq!(
            bucket.time_to_token(rate, SECOND / 20 + SECOND / 200),
            Duration::from_millis(5)
        );
        assert_eq!(taken(&mut bucket, rate, 2 * SECOND), 195);
        assert_eq!(taken(&mut bucket, rate, 60 * SECOND), 200);
        assert_eq!(taken(&mut bucket, rate, u64::MAX / 2), 200);
    }

    #[test]
    fn a_bucket_that_is_emptied_again_and_again_is_only_empty() {
        let rate = Rate::new(10, Duration::from_secs(1), Some(20));
        let mut bucket = Bucket::default();
        for _ in 0..1000 {
            bucket.take(rate, SECOND);
        }
        assert_eq!(taken(&mut bucket, rate, 2 * SECOND), 10);
    }

    #[test]
    fn a_rate_that_changes_gives_one_burst_at_most() {
        let slow = Rate::new(1, Duration::from_secs(3600), Some(10));
        let fast = Rate::new(100, Duration::from_secs(1), Some(10));
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, slow, SECOND), 10);
        assert_eq!(taken(&mut bucket, fast, SECOND), 0);
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, fast, SECOND), 10);
        assert!(taken(&mut bucket, slow, SECOND) <= 10);
    }

    proptest! {
        #[test]
        fn no_bucket_gives_more_than_its_burst_and_its_rate(
            interval in 1..=SECOND,
            burst in 1..300u32,
            steps in proptest::collection::vec(0..3 * SECOND, 1..30),
        ) {
            let rate = Rate { interval, burst };
            let (mut bucket, mut at, mut given) = (Bucket::default(), 0, 0);
            for step in steps {
                at += step;
                given += taken(&mut bucket, rate, at) as u64;
                prop_assert!(given <= u64::from(burst) + at / interval);
            }
        }

        #[test]
        fn no_number_is_too_large(interval: u64, burst: u32, at: u64, later: u64) {
            let rate = Rate { interval, burst };
            let mut bucket = Bucket::default();
            for at in [at, at.max(later), u64::MAX] {
                bucket.take(rate, at);
                bucket.time_to_token(rate, at);
                prop_assert!(bucket.level(rate, at).tokens <= burst);
            }
        }
    }
}
