//! Daytime (RFC 867): the local time as one line of text, in the form of ctime(3).
//!
//! The names are written here, so that no locale can change them.

use super::Answer;
use crate::sys::time::LocalTime;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

pub(super) fn answer(time: &LocalTime) -> Answer {
    let day = DAYS[usize::from(time.weekday % 7)];
    let month = MONTHS[usize::from(time.month % 12)];
    let LocalTime {
        day: date,
        hour,
        minute,
        second,
        year,
        ..
    } = time;
    let text = format!("{day} {month} {date:>2} {hour:02}:{minute:02}:{second:02} {year}\r\n");
    Answer::new(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(weekday: u8, year: i64, month: u8, day: u8, clock: (u8, u8, u8)) -> String {
        let (hour, minute, second) = clock;
        let time = LocalTime {
            year,
            month,
            day,
            weekday,
            hour,
            minute,
            second,
        };
        String::from_utf8(answer(&time).output().to_vec()).unwrap()
    }

    #[test]
    fn it_is_the_form_of_ctime() {
        assert_eq!(
            text(5, 2026, 10, 20, (11, 3, 58)),
            "Fri Nov 20 11:03:58 2026\r\n"
        );
        assert_eq!(
            text(0, 2023, 0, 1, (0, 0, 0)),
            "Sun Jan  1 00:00:00 2023\r\n"
        );
        assert_eq!(
            text(6, 2016, 11, 31, (23, 59, 60)),
            "Sat Dec 31 23:59:60 2016\r\n"
        );
    }

    #[test]
    fn the_longest_year_fits() {
        assert_eq!(
            text(1, 2_147_485_547, 4, 9, (1, 2, 3)),
            "Mon May  9 01:02:03 2147485547\r\n"
        );
    }
}
