//! How long things took, by size.

use std::time::Duration;

/// A count for each size, and one for what is larger than all. The bounds are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<const N: usize> {
    counts: [u64; N],
    larger: u64,
    /// In microseconds.
    sum: u64,
}

/// Sizes of the time from accept to exec: 100 µs to 1 s.
pub const LAUNCH_BOUNDS: [u64; 13] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// Sizes of sessions: 1 ms to a day.
pub const SESSION_BOUNDS: [u64; 13] = [
    1_000,
    10_000,
    100_000,
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    14_400_000_000,
    43_200_000_000,
    86_400_000_000,
];

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Histogram<N> {
        Histogram {
            counts: [0; N],
            larger: 0,
            sum: 0,
        }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts one that took so long.
    pub fn add(&mut self, bounds: &[u64; N], time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum = self.sum.saturating_add(micros);
        // A bound belongs to the sizes below it.
        match bounds.iter().position(|bound| micros <= *bound) {
            Some(place) => self.counts[place] += 1,
            None => self.larger += 1,
        }
    }

    /// Counts of each size, and of what is larger than all, not added up.
    pub fn counts(&self) -> Vec<u64> {
        self.counts.iter().copied().chain([self.larger]).collect()
    }

    /// All of them together, in microseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_size_below_it() {
        let mut histogram = Histogram::default();
        for micros in [0, 10, 11, 20, 21] {
            histogram.add(&[10, 20], Duration::from_micros(micros));
        }
        assert_eq!(histogram.counts(), [2, 2, 1]);
        assert_eq!(histogram.sum(), 62);
    }

    #[test]
    fn bounds_ascend() {
        assert!(LAUNCH_BOUNDS.is_sorted() && SESSION_BOUNDS.is_sorted());
    }
}
