//! An event as a line of text: its name or sentence, then `key=value` for each field.

use super::address::Shown;
use crate::event::{Event, Value};
use crate::table::LogAddress;
use std::io::Write;
use std::time::Duration;

/// Bytes of a value that are shown.
const LONGEST: usize = 1024;

/// Appends the event's line. `head` writes what comes first in it.
pub(super) fn line(
    out: &mut Vec<u8>,
    event: &Event,
    address: LogAddress,
    head: impl Fn(&mut Vec<u8>),
) {
    match event {
        Event::Mistake { text } | Event::Remark { text } => excerpt(out, text, &head),
        _ => {
            head(out);
            match event.sentence() {
                Some(sentence) => escaped(out, sentence.as_bytes(), b""),
                None => out.extend_from_slice(event.name().as_bytes()),
            }
        }
    }
    event.fields(false, &mut |key, value| field(out, key, value, address));
    out.push(b'\n');
}

/// The administrator's own words: the place, the line of the table, the help. Without its last
/// newline.
fn excerpt(out: &mut Vec<u8>, text: &str, head: &impl Fn(&mut Vec<u8>)) {
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        head(out);
        let printable = |c: char| if c.is_control() && c != '\t' { '?' } else { c };
        // Writing to a Vec cannot fail, here and below.
        line.chars().map(printable).for_each(|c| {
            let _ = write!(out, "{c}");
        });
    }
}

fn field(out: &mut Vec<u8>, key: &str, value: Value, address: LogAddress) {
    out.push(b' ');
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    let start = out.len();
    let _ = match value {
        Value::Unknown => write!(out, "-"),
        Value::Number(number) => write!(out, "{number}"),
        Value::Seconds(time) => seconds(out, time),
        Value::Peer(peer) => write!(out, "{}", Shown(peer, address)),
        Value::Text(text) => write!(out, "{text}"),
    };
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    let written = &out[start..];
    if written.is_empty() || written.len() > LONGEST || !written.iter().all(is_plain) {
        let raw = out.split_off(start);
        quoted(out, &raw);
    }
}

/// To the nearest millisecond.
fn seconds(out: &mut Vec<u8>, time: Duration) -> std::io::Result<()> {
    let millis = (time.as_micros() + 500) / 1000;
    write!(out, "{}.{:03}", millis / 1000, millis % 1000)
}

fn quoted(out: &mut Vec<u8>, raw: &[u8]) {
    out.push(b'"');
    escaped(out, &raw[..raw.len().min(LONGEST)], b"\"\\");
    if raw.len() > LONGEST {
        out.extend_from_slice(b"...");
    }
    out.push(b'"');
}

/// Everything but printable ASCII as `\xNN`, one for each byte; `special` with a backslash.
fn escaped(out: &mut Vec<u8>, raw: &[u8], special: &[u8]) {
    for byte in raw {
        match byte {
            _ if special.contains(byte) => out.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => out.push(*byte),
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ConnectionId, Session};
    use crate::sys::socket::Peer;
    use crate::sys::{Errno, spawn::Stage};

    const ID: ConnectionId = ConnectionId {
        worker: 1,
        number: 7,
    };

    fn text(event: &Event) -> String {
        let mut out = Vec::new();
        line(&mut out, event, LogAddress::Full, |_| {});
        String::from_utf8(out).unwrap()
    }

    fn session() -> Session<'static> {
        Session {
            service: "cat",
            id: ID,
            peer: Some(Peer::Inet("127.0.0.1:4000".parse().unwrap())),
        }
    }

    #[test]
    fn an_event_is_its_name_and_its_fields() {
        let event = Event::Started {
            session: session(),
            pid: 99,
        };
        assert_eq!(
            text(&event),
            "start service=cat peer=127.0.0.1:4000 pid=99 id=1.7\n"
        );
    }

    #[test]
    fn what_a_program_wrote_cannot_forge_lines_or_drive_terminals() {
        let event = Event::StderrLine {
            service: "cat",
            id: ID,
            text: "a \"b\"\n\x1b[31mé",
        };
        assert_eq!(
            text(&event),
            "stderr service=cat id=1.7 line=\"a \\\"b\\\"\\x0a\\x1b[31m\\xc3\\xa9\"\n"
        );
    }

    #[test]
    fn a_path_in_a_sentence_cannot_either() {
        let event = Event::NotStarted {
            session: session(),
            stage: Stage::Directory,
            errno: Errno::ENOENT,
            object: "/a\nstopped",
        };
        assert_eq!(
            text(&event),
            "cannot start cat: directory /a\\x0astopped: no such file or directory (ENOENT) \
             service=cat peer=127.0.0.1:4000 id=1.7\n"
        );
    }

    #[test]
    fn a_long_value_is_cut() {
        let event = Event::StderrLine {
            service: "cat",
            id: ID,
            text: &"x".repeat(2000),
        };
        let expected = format!("line=\"{}...\"\n", "x".repeat(1024));
        assert!(text(&event).ends_with(&expected));
    }

    #[test]
    fn seconds_are_rounded_to_milliseconds() {
        let pause = Duration::from_micros(59_999_500);
        let mut out = Vec::new();
        seconds(&mut out, pause).unwrap();
        assert_eq!(out, b"60.000");
    }
}
