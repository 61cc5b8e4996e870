//! An event as a line of JSON: one object with the time, the event's name, its severity, its
//! sentence if it has one, and all fields.

use super::address::Shown;
use crate::event::{Event, Severity, Value};
use crate::table::LogAddress;
use std::fmt;
use std::io::Write;
use std::time::Duration;

/// Appends the event, which happened at that time since 1970, as a line: a JSON object (RFC 8259) of ASCII characters, then a newline. Also
/// for events without a line in the log.
pub fn line(out: &mut Vec<u8>, event: &Event, at: Duration, address: LogAddress) {
    out.extend_from_slice(b"{\"time\":");
    seconds(out, at);
    key(out, "event");
    string(out, format_args!("{}", event.name()));
    key(out, "severity");
    string(out, format_args!("{}", word(event.severity())));
    if let Some(sentence) = event.sentence() {
        key(out, "message");
        string(out, format_args!("{sentence}"));
    }
    event.fields(true, &mut |name, value| {
        key(out, name);
        match value {
            // Writing to a Vec cannot fail, here and below.
            Value::Unknown => out.extend_from_slice(b"null"),
            Value::Number(number) => drop(write!(out, "{number}")),
            Value::Seconds(time) => seconds(out, time),
            Value::Peer(peer) => string(out, format_args!("{}", Shown(peer, address))),
            Value::Text(text) => string(out, format_args!("{text}")),
        }
    });
    out.extend_from_slice(b"}\n");
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
        Severity::Info => "info",
    }
}

/// Our own names need no escapes.
fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// To the microsecond.
fn seconds(out: &mut Vec<u8>, time: Duration) {
    let _ = write!(out, "{}.{:06}", time.as_secs(), time.subsec_micros());
}

fn string(out: &mut Vec<u8>, text: fmt::Arguments) {
    out.push(b'"');
    let _ = fmt::Write::write_fmt(&mut Escaped(out), text);
    out.push(b'"');
}

/// Escapes what is written through it: quotes, backslashes, and all but printable ASCII.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if text.bytes().all(is_plain) {
            self.0.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for character in text.chars() {
            match character {
                '"' | '\\' => self.0.extend_from_slice(&[b'\\', character as u8]),
                '\n' => self.0.extend_from_slice(b"\\n"),
                ' '..='~' => self.0.push(character as u8),
                _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                    let _ = write!(self.0, "\\u{unit:04x}");
                }),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ConnectionId;

    fn json(event: &Event) -> String {
        let mut out = Vec::new();
        line(
            &mut out,
            event,
            Duration::from_secs(1_800_000_000),
            LogAddress::Full,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_has_the_fields_of_the_text() {
        let event = Event::Ready {
            services: 2,
            listeners: 3,
        };
        let line = json(&event);
        let (time, rest) = line.split_once(',').unwrap();
        let time = time.strip_prefix("{\"time\":").unwrap();
        assert!(time.parse::<f64>().unwrap() > 1.7e9, "{time}");
        assert_eq!(
            rest,
            "\"event\":\"ready\",\"severity\":\"notice\",\"services\":2,\"listeners\":3}\n"
        );
    }

    #[test]
    fn strings_are_escaped() {
        let id = ConnectionId {
            worker: 0,
            number: 7,
        };
        let text = "a \"b\\\"\n\x1b\u{7f}é😀";
        let line = json(&Event::StderrLine {
            service: "cat",
            id,
            text,
        });
        let expected = r#""line":"a \"b\\\"\n\u001b\u007f\u00e9\ud83d\ude00"}"#;
        assert!(line.ends_with(&format!("{expected}\n")), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["line"], text);
    }
}
