//! One event as one line, as the table wishes it: text for people, JSON for programs, from the same
//! fields.
//!
//! A line holds printable ASCII only, whatever clients and programs put into it. Only what the
//! administrator wrote himself (mistakes, remarks) is shown in his letters, and over several lines.

use super::{json, text};
use crate::event::{Event, Severity};
use crate::sys::time::{Clock, LocalTime, Moment};
use crate::table::{LogAddress, LogFormat};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a sink wants in front of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Nothing: whoever reads it knows the time.
    Plain,
    /// The syslog priority in angle brackets, as systemd reads it (sd-daemon(3)).
    Priority,
    /// Local date and time.
    Stamped,
    /// What local daemons write to /dev/log (RFC 3164 without the host): priority, date and time,
    /// our name and process id.
    Syslog,
}

/// The facility `daemon` of syslog(3), in its place above the severity.
const DAEMON: u8 = 3 << 3;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Writes lines.
#[derive(Debug)]
pub(super) struct Renderer {
    pub(super) format: LogFormat,
    pub(super) address: LogAddress,
    clock: Clock,
    stamp: Stamp,
}

/// A second as text, which serves for all lines of that second.
#[derive(Debug)]
struct Stamp {
    style: Style,
    unix: i64,
    text: Vec<u8>,
}

impl Renderer {
    /// Text with whole addresses.
    pub(super) fn new() -> Renderer {
        Renderer {
            format: LogFormat::Text,
            address: LogAddress::Full,
            clock: Clock::new(),
            stamp: Stamp {
                style: Style::Plain,
                unix: 0,
                text: Vec::new(),
            },
        }
    }

    /// Appends the event's line; a mistake or a remark may have several.
    pub(super) fn line(&mut self, out: &mut Vec<u8>, event: &Event, style: Style) {
        let severity = event.severity();
        match self.format {
            LogFormat::Text => {
                self.refresh(style);
                let stamp = &self.stamp;
                text::line(out, event, self.address, |out| stamp.head(out, severity));
            }
            LogFormat::Json => {
                // The object says when and how severe; only syslog insists on its own words.
                if style == Style::Syslog {
                    self.refresh(style);
                    self.stamp.head(out, severity);
                }
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                json::line(out, event, now.unwrap_or_default(), self.address);
            }
        }
    }

    fn refresh(&mut self, style: Style) {
        if matches!(style, Style::Stamped | Style::Syslog) {
            let now = self.clock.now();
            if (now.unix, style) == (self.stamp.unix, self.stamp.style) {
                return;
            }
            self.stamp.set(now, style);
        }
        self.stamp.style = style;
    }
}

impl Stamp {
    fn set(&mut self, now: Moment, style: Style) {
        let LocalTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = now.local;
        self.unix = now.unix;
        self.text.clear();
        // Writing to a Vec cannot fail.
        let _ = if style == Style::Syslog {
            let month = MONTHS[usize::from(month) % 12];
            let pid = std::process::id();
            let text = &mut self.text;
            write!(
                text,
                "{month} {day:2} {hour:02}:{minute:02}:{second:02} oxinetd[{pid}]: "
            )
        } else {
            let month = month + 1;
            write!(
                self.text,
                "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} "
            )
        };
    }

    fn head(&self, out: &mut Vec<u8>, severity: Severity) {
        let severity = severity as u8;
        let _ = match self.style {
            Style::Plain | Style::Stamped => Ok(()),
            Style::Priority => write!(out, "<{severity}>"),
            Style::Syslog => write!(out, "<{}>", DAEMON | severity),
        };
        if matches!(self.style, Style::Stamped | Style::Syslog) {
            out.extend_from_slice(&self.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(style: Style, format: LogFormat) -> String {
        let mut renderer = Renderer::new();
        renderer.format = format;
        let mut out = Vec::new();
        renderer.line(&mut out, &Event::Warning { text: "odd" }, style);
        String::from_utf8(out).unwrap()
    }

    /// With every digit as 9.
    fn shape(line: &str) -> String {
        let nine = |c: char| if c.is_ascii_digit() { '9' } else { c };
        line.chars().map(nine).collect()
    }

    #[test]
    fn systemd_is_told_the_priority() {
        assert_eq!(line(Style::Priority, LogFormat::Text), "<4>warning: odd\n");
    }

    #[test]
    fn a_file_has_date_and_time() {
        assert_eq!(
            shape(&line(Style::Stamped, LogFormat::Text)),
            "9999-99-99 99:99:99 warning: odd\n"
        );
    }

    #[test]
    fn syslog_has_its_own_words_in_front_of_json_too() {
        let moment = Moment {
            unix: 1,
            local: LocalTime {
                year: 2026,
                month: 1,
                day: 3,
                weekday: 2,
                hour: 4,
                minute: 5,
                second: 6,
            },
        };
        let mut stamp = Renderer::new().stamp;
        stamp.set(moment, Style::Syslog);
        let pid = std::process::id();
        assert_eq!(
            String::from_utf8(stamp.text).unwrap(),
            format!("Feb  3 04:05:06 oxinetd[{pid}]: ")
        );
        let json = line(Style::Syslog, LogFormat::Json);
        assert!(
            json.starts_with("<28>") && json.contains("]: {\"time\":"),
            "{json}"
        );
    }

    #[test]
    fn each_line_of_a_mistake_has_its_head() {
        let mut out = Vec::new();
        let event = Event::Mistake {
            text: "one\n  two é",
        };
        Renderer::new().line(&mut out, &event, Style::Priority);
        assert_eq!(out, "<3>one\n<3>  two é\n".as_bytes());
    }
}
