//! One event as one line: text for people, JSON for programs, from the same fields.
//!
//! A line holds printable ASCII only, whatever clients and programs put into it, and is at most
//! [`LONGEST`] bytes plus the escapes.

use crate::event::{Event, Value};
use crate::table::LogFormat;
use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Characters of a value that are shown.
const LONGEST: usize = 1024;

/// What a sink wants in front of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Nothing: whoever reads it knows the time.
    Plain,
    /// The syslog priority in angle brackets, as systemd reads it (sd-daemon(3)).
    Priority,
    /// Local date and time.
    Stamped,
}

/// Appends the event's line.
pub(super) fn line(out: &mut Vec<u8>, event: &Event, format: LogFormat, style: Style) {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match format {
        LogFormat::Text => text_line(&mut text, event, style),
        LogFormat::Json => json_line(&mut text, event),
    };
    out.extend_from_slice(text.as_bytes());
}

fn text_line(out: &mut String, event: &Event, style: Style) -> fmt::Result {
    let lines = match event.sentence() {
        Some(sentence) => sentence,
        None => event.name().to_owned(),
    };
    // Only mistakes have more than one line: the place, the source line, the help.
    for (index, line) in lines.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match style {
            Style::Plain => {}
            Style::Priority => write!(out, "<{}>", event.severity() as u8)?,
            Style::Stamped => write!(out, "{} ", crate::sys::time::stamp(now()))?,
        }
        out.extend(line.chars().map(printable));
    }
    let mut result = Ok(());
    event.fields(false, &mut |key, value| {
        result = result.and_then(|()| field(out, key, value));
    });
    result?;
    out.push('\n');
    Ok(())
}

fn field(out: &mut String, key: &str, value: Value) -> fmt::Result {
    write!(out, " {key}=")?;
    match value {
        Value::Number(number) => write!(out, "{number}"),
        Value::Seconds(time) => write!(out, "{:.3}", time.as_secs_f64()),
        Value::Text(text) => {
            let text = text.to_string();
            let is_word = !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
            if is_word {
                out.write_str(&text)
            } else {
                quoted(out, &text)
            }
        }
    }
}

/// In double quotes, everything but printable ASCII as `\xNN`, one for each byte.
fn quoted(out: &mut String, text: &str) -> fmt::Result {
    out.push('"');
    for byte in text.bytes().take(LONGEST) {
        match byte {
            b'"' | b'\\' => write!(out, "\\{}", byte as char)?,
            b' '..=b'~' => out.push(byte as char),
            _ => write!(out, "\\x{byte:02x}")?,
        }
    }
    if text.len() > LONGEST {
        out.push_str("...");
    }
    out.push('"');
    Ok(())
}

/// Sentences are ours and the administrator's; what is in them from the table may still be odd.
fn printable(character: char) -> char {
    if character.is_control() && character != '\t' {
        '?'
    } else {
        character
    }
}

fn json_line(out: &mut String, event: &Event) -> fmt::Result {
    let mut object = serde_json::Map::new();
    object.insert("time".into(), now().as_secs_f64().into());
    object.insert("event".into(), event.name().into());
    object.insert(
        "severity".into(),
        format!("{:?}", event.severity()).to_lowercase().into(),
    );
    if let Some(sentence) = event.sentence() {
        object.insert("message".into(), sentence.into());
    }
    event.fields(true, &mut |key, value| {
        let value = match value {
            Value::Number(number) => number.into(),
            Value::Seconds(time) => time.as_secs_f64().into(),
            Value::Text(text) => text.to_string().into(),
        };
        object.insert(key.into(), value);
    });
    writeln!(out, "{}", serde_json::Value::Object(object))
}

fn now() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ConnectionId, Session};
    use crate::sys::socket::Peer;

    fn text(event: &Event) -> String {
        let mut out = Vec::new();
        line(&mut out, event, LogFormat::Text, Style::Plain);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_its_name_and_its_fields() {
        let peer = Some(Peer::Inet("127.0.0.1:4000".parse().unwrap()));
        let session = Session {
            service: "cat",
            id: ConnectionId {
                worker: 0,
                number: 7,
            },
            peer,
        };
        let event = Event::Started { session, pid: 99 };
        assert_eq!(
            text(&event),
            "start service=cat peer=127.0.0.1:4000 pid=99 id=7\n"
        );
    }

    #[test]
    fn what_a_program_wrote_cannot_forge_lines_or_drive_terminals() {
        let id = ConnectionId {
            worker: 1,
            number: 7,
        };
        let event = Event::StderrLine {
            service: "cat",
            id,
            text: "a \"b\"\n\x1b[31mé",
        };
        assert_eq!(
            text(&event),
            "stderr service=cat id=1.7 line=\"a \\\"b\\\"\\x0a\\x1b[31m\\xc3\\xa9\"\n"
        );
    }

    #[test]
    fn systemd_is_told_the_priority() {
        let mut out = Vec::new();
        line(
            &mut out,
            &Event::Warning { text: "odd" },
            LogFormat::Text,
            Style::Priority,
        );
        assert_eq!(out, b"<4>warning: odd\n");
    }

    #[test]
    fn json_has_the_same_fields() {
        let mut out = Vec::new();
        line(
            &mut out,
            &Event::Ready {
                services: 2,
                listeners: 3,
            },
            LogFormat::Json,
            Style::Plain,
        );
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["event"], "ready");
        assert_eq!(value["severity"], "notice");
        assert_eq!(
            (value["services"].as_u64(), value["listeners"].as_u64()),
            (Some(2), Some(3))
        );
    }
}
