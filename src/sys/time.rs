//! The wall clock, and local time by the zone of TZ or /etc/localtime.
//!
//! The zone is read once, at the first question (tzset(3)). For intervals use [`std::time::Instant`]:
//! this clock jumps when the administrator sets it.

use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as clocks on the wall show it. Fields as in tm(3type), the year in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The year.
    pub year: i64,
    /// Months since January, 0 to 11.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Days since Sunday, 0 to 6.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60: some zone files count leap seconds.
    pub second: u8,
}

/// A moment in both forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970 (POSIX time).
    pub unix: i64,
    /// The same moment, local.
    pub local: LocalTime,
}

/// The wall clock. It asks for the local form once a second at most, however often it is read.
#[derive(Debug)]
pub struct Clock {
    last: Moment,
}

impl Clock {
    /// Reads the zone.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Clock {
        let unix = unix_seconds();
        Clock {
            last: Moment {
                unix,
                local: local_time(unix),
            },
        }
    }

    /// What it shows now.
    pub fn now(&mut self) -> Moment {
        let unix = unix_seconds();
        if unix != self.last.unix {
            self.last = Moment {
                unix,
                local: local_time(unix),
            };
        }
        self.last
    }
}

/// CLOCK_MONOTONIC in nanoseconds: what [`std::time::Instant`] counts, as a number.
pub(super) fn monotonic_nanos() -> u64 {
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: fills in a timespec, which this is; with this clock it cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, now.as_mut_ptr()) };
    // SAFETY: zeroed above, which is a valid value, if the call has not filled it.
    let now = unsafe { now.assume_init() };
    #[allow(clippy::unnecessary_cast)]
    let (seconds, nanos) = (now.tv_sec as u64, now.tv_nsec as u64);
    seconds * 1_000_000_000 + nanos
}

fn unix_seconds() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        // Rounded down, as after 1970.
        Err(before) => -(before.duration().as_nanos().div_ceil(1_000_000_000) as i64),
    }
}

/// Seconds since 1970 as local time. A year that does not fit `int` gives 1970's first second, for
/// want of anything better.
pub fn local_time(unix: i64) -> LocalTime {
    let mut fields = MaybeUninit::<libc::tm>::zeroed();
    // On 32-bit systems with a 32-bit time_t the number may not fit.
    #[allow(clippy::useless_conversion)]
    let seconds = libc::time_t::try_from(unix).unwrap_or(0);
    // SAFETY: both pointers are to values of ours. It may read TZ from the environment, which
    // nothing in this process changes.
    let known = unsafe { !libc::localtime_r(&seconds, fields.as_mut_ptr()).is_null() };
    // SAFETY: zeroed above, which is a valid value, if localtime_r has not filled it.
    let fields = unsafe { fields.assume_init() };
    if !known {
        return LocalTime {
            year: 1970,
            month: 0,
            day: 1,
            weekday: 4,
            hour: 0,
            minute: 0,
            second: 0,
        };
    }
    LocalTime {
        year: i64::from(fields.tm_year) + 1900,
        month: fields.tm_mon as u8,
        day: fields.tm_mday as u8,
        weekday: fields.tm_wday as u8,
        hour: fields.tm_hour as u8,
        minute: fields.tm_min as u8,
        second: fields.tm_sec as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_read_twice_goes_forward() {
        let mut clock = Clock::new();
        let (first, second) = (clock.now(), clock.now());
        assert!(first.unix > 1_700_000_000 && (0..5).contains(&(second.unix - first.unix)));
        assert_eq!(second.local, local_time(second.unix));
    }

    #[test]
    fn a_year_beyond_int_is_1970() {
        assert_eq!(local_time(i64::MAX).year, 1970);
    }

    /// Only started by the next test, in a process of its own with a TZ of its own.
    #[test]
    #[ignore = "a helper"]
    fn in_the_zone_that_the_environment_names() {
        if std::env::var_os("TZ").is_none_or(|zone| zone != "IST-5:30") {
            return;
        }
        let expected = LocalTime {
            year: 1970,
            month: 0,
            day: 2,
            weekday: 5,
            hour: 5,
            minute: 29,
            second: 59,
        };
        assert_eq!(local_time(86_399), expected);
    }

    #[test]
    fn the_zone_is_that_of_tz() {
        let helper = "sys::time::tests::in_the_zone_that_the_environment_names";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", helper, "--ignored"])
            .env("TZ", "IST-5:30")
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }
}
