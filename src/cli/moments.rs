//! Times as people read them.

use crate::sys::time::{LocalTime, local_time};
use std::time::{SystemTime, UNIX_EPOCH};

/// The present, in seconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// A moment in local time: without its date when it is within half a day of now.
pub(super) fn moment(unix: u64, now: u64) -> String {
    let full = stamp(unix);
    match full.split_once(' ') {
        Some((_, time)) if unix.abs_diff(now) < 12 * 3600 => time.to_owned(),
        _ => full,
    }
}

/// A moment in local time, as log files have it.
pub(super) fn stamp(unix: u64) -> String {
    let LocalTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = local_time(unix as i64);
    let month = month + 1;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// A length of time in its two largest units: `4s`, `3m12s`, `2h5m`, `10d3h`.
pub(super) fn length(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units() {
        let lengths = [0, 59, 60, 192, 3600, 7500, 86_400, 874_800].map(length);
        let expected = [
            "0s", "59s", "1m0s", "3m12s", "1h0m", "2h5m", "1d0h", "10d3h",
        ];
        assert_eq!(lengths, expected);
    }

    #[test]
    fn a_moment_that_is_far_away_has_its_date() {
        assert_eq!(moment(1_000_000_000, 1_000_000_000 + 60).len(), 8);
        assert_eq!(moment(1_000_000_000, 1_100_000_000).len(), 19);
    }
}
