//! Moments for people: since when something is so.
//!
//! Kept in four bytes, because ten thousand services have one each; told by the wall clock as it is
//! now, so that a clock that was set after the start does not spoil them.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment of the past, in tenths of a second since the server's start. Good for 13 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::supervisor) struct Since(u32);

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

impl Since {
    /// This moment.
    pub(in crate::supervisor) fn now() -> Since {
        Since::at(Instant::now())
    }

    /// A moment since the start.
    pub(super) fn at(moment: Instant) -> Since {
        let tenths = moment.saturating_duration_since(start()).as_millis() / 100;
        Since(u32::try_from(tenths).unwrap_or(u32::MAX))
    }

    /// In seconds since 1970.
    pub(super) fn unix(self) -> u64 {
        unix(start() + Duration::from_millis(u64::from(self.0) * 100))
    }
}

/// A moment of the past or the future in seconds since 1970.
pub(super) fn unix(at: Instant) -> u64 {
    let (now, wall) = (Instant::now(), SystemTime::now());
    let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = match at.checked_duration_since(now) {
        Some(ahead) => wall + ahead,
        None => wall.saturating_sub(now - at),
    };
    (then + Duration::from_millis(500)).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_by_the_wall_clock() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let near = |told: u64, expected: Duration| told.abs_diff(expected.as_secs()) <= 2;
        let hour = Duration::from_secs(3600);
        assert!(near(unix(Instant::now()), wall));
        assert!(near(unix(Instant::now() + hour), wall + hour));
        assert!(near(Since::now().unix(), wall));
        assert!(Since::now() <= Since::now());
    }
}
