//! `hours`: when a service is open, by the local clock.

use serde::{Deserialize, Serialize};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Open while any of these is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hours(pub Vec<Span>);

/// From one time of day to another, on some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The days on which it begins: bit 0 for Sunday to bit 6 for Saturday.
    pub days: u8,
    /// Minutes after midnight, 0 to 1439.
    pub from: u16,
    /// The first minute after it, 1 to 1440; when it is not after `from`, on the next day.
    pub to: u16,
}

impl Hours {
    /// Whether it is open at this minute (0 to 1439) of this day (0 for Sunday to 6).
    pub fn is_open(&self, weekday: u8, minute: u16) -> bool {
        self.0
            .iter()
            .any(|span| span.contains(weekday % 7, minute % DAY))
    }
}

impl Span {
    fn contains(self, weekday: u8, minute: u16) -> bool {
        let begins = |day: u8| self.days & (1 << day) != 0;
        if self.from < self.to {
            return begins(weekday) && (self.from..self.to).contains(&minute);
        }
        let yesterday = (weekday + 6) % 7;
        (begins(weekday) && minute >= self.from) || (begins(yesterday) && minute < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_may_cross_midnight_and_the_week() {
        // Saturday 22:00 to 06:00.
        let hours = Hours(vec![Span {
            days: 1 << 6,
            from: 22 * 60,
            to: 6 * 60,
        }]);
        assert!(!hours.is_open(6, 22 * 60 - 1));
        assert!(hours.is_open(6, 22 * 60));
        assert!(hours.is_open(0, 0));
        assert!(hours.is_open(0, 6 * 60 - 1));
        assert!(!hours.is_open(0, 6 * 60));
        assert!(!hours.is_open(0, 23 * 60));
        assert!(!hours.is_open(6, 0));
    }

    #[test]
    fn a_span_of_a_day_ends_before_its_last_minute() {
        let hours = Hours(vec![Span {
            days: 0b011_1110,
            from: 8 * 60,
            to: 18 * 60,
        }]);
        assert!(hours.is_open(1, 8 * 60));
        assert!(!hours.is_open(1, 18 * 60));
        assert!(!hours.is_open(0, 12 * 60));
    }

    #[test]
    fn a_whole_day_is_from_0_to_1440() {
        let hours = Hours(vec![Span {
            days: 1,
            from: 0,
            to: 1440,
        }]);
        assert!(hours.is_open(0, 0) && hours.is_open(0, 1439));
        assert!(!hours.is_open(1, 0) && !hours.is_open(6, 1439));
    }
}
