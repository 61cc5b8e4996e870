//! What holds for the lines of every event, whatever is in it.

use super::json;
use super::text;
use crate::event::{ConnectionId, Event, Session, Tally, Value};
use crate::sys::Errno;
use crate::sys::socket::Peer;
use crate::sys::spawn::Stage;
use crate::sys::wait::Status;
use crate::table::{LogAddress, Refusal};
use proptest::prelude::*;
use std::time::Duration;

/// What events are made of.
#[derive(Debug, Clone)]
struct Parts {
    words: [String; 2],
    number: u64,
    duration: Duration,
    peer: Option<Peer>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let peer = prop_oneof![
        Just(None),
        any::<std::net::SocketAddr>().prop_map(|address| Some(Peer::Inet(address))),
        any::<(u32, u32, i32)>().prop_map(|(uid, gid, pid)| Some(Peer::Unix { uid, gid, pid })),
    ];
    let word = "\\PC{0,20}|(?s).{0,20}|[a-z/\"\\\\ \n\u{1b}]{0,20}|x{2000}";
    (word, word, any::<u64>(), 0..1_u64 << 40, peer).prop_map(|(a, b, number, micros, peer)| {
        Parts {
            words: [a, b],
            number,
            duration: Duration::from_micros(micros),
            peer,
        }
    })
}

/// Every event that has text in it, numbers of every kind, and the end of a program.
fn events<'a>(parts: &'a Parts, tally: &'a Tally) -> Vec<Event<'a>> {
    let [service, text] = parts.words.each_ref().map(String::as_str);
    let Parts {
        number,
        duration,
        peer,
        ..
    } = *parts;
    let (pid, errno) = (number as i32 & i32::MAX, Errno::ENOENT);
    let id = ConnectionId {
        worker: number as u32,
        number,
    };
    let session = Session { service, id, peer };
    let finished = Event::Finished {
        session,
        duration,
        received: Some(number),
        sent: None,
        reason: "eof",
    };
    let ended = Event::Ended {
        session,
        pid,
        status: Status::Exited(3),
        duration,
        cpu: duration,
        max_rss: Some(number),
        received: None,
        sent: None,
        limit: None,
        unjoined: None,
    };
    let not_started = Event::NotStarted {
        session,
        stage: Stage::Directory,
        errno,
        object: text,
    };
    let not_bound = Event::NotBound {
        service,
        address: text,
        call: "listen",
        errno,
        advice: text,
    };
    let unavailable = Event::Unavailable {
        service,
        reason: text,
    };
    let refused = Event::Refused {
        session,
        reason: Refusal::Share,
    };
    vec![
        Event::Listening {
            service,
            address: text,
        },
        Event::StderrLine { service, id, text },
        Event::Warning { text },
        Event::Mistake { text },
        Event::Remark { text },
        Event::Totals { service, tally },
        Event::Started { session, pid },
        Event::BackingOff {
            service,
            pause: duration,
        },
        Event::Stopped,
        finished,
        ended,
        not_started,
        not_bound,
        unavailable,
        refused,
    ]
}

proptest! {
    #[test]
    fn the_text_is_a_line_of_printable_ascii(parts in parts()) {
        let tally = Tally::default();
        for event in events(&parts, &tally) {
            let mut out = Vec::new();
            text::line(&mut out, &event, LogAddress::Full, |_| {});
            prop_assert_eq!(out.pop(), Some(b'\n'));
            let text = String::from_utf8(out).unwrap();
            if matches!(event, Event::Mistake { .. } | Event::Remark { .. }) {
                let odd = |c: char| c.is_control() && c != '\t' && c != '\n';
                prop_assert!(!text.contains(odd), "{text:?}");
            } else {
                prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
            }
        }
    }

    #[test]
    fn the_json_is_a_line_of_ascii_with_every_field(parts in parts()) {
        let tally = Tally::default();
        for event in events(&parts, &tally) {
            let mut out = Vec::new();
            json(&mut out, &event, Duration::from_secs(1), LogAddress::Full);
            prop_assert_eq!(out.pop(), Some(b'\n'));
            prop_assert!(out.iter().all(|byte| matches!(byte, b' '..=b'~')));
            let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let mut expected = 3 + usize::from(event.sentence().is_some());
            prop_assert_eq!(&object["event"], event.name());
            let message = object["message"].as_str().map(String::from);
            prop_assert_eq!(message, event.sentence());
            let mut differs = None;
            event.fields(true, &mut |key, value| {
                expected += 1;
                let found = &object[key];
                let is_same = match value {
                    Value::Unknown => found.is_null(),
                    Value::Number(number) => found.as_u64() == Some(number),
                    Value::Seconds(time) => {
                        let found = found.as_f64().unwrap_or(f64::NAN);
                        (found - time.as_secs_f64()).abs() < 1e-6
                    }
                    Value::Peer(peer) => *found == peer.to_string(),
                    Value::Text(text) => *found == text.to_string(),
                };
                if !is_same {
                    differs = Some(format!("{key}: {found}"));
                }
            });
            prop_assert_eq!(differs, None);
            // No field has the name of another.
            prop_assert_eq!(object.as_object().map(|it| it.len()), Some(expected));
        }
    }
}

/// What a line costs, beside a `serde_json` object of the same fields.
#[test]
#[ignore = "a measurement, for `cargo test --release`"]
fn json_is_several_times_faster_than_an_object() {
    let session = Session {
        service: "echo",
        id: ConnectionId {
            worker: 1,
            number: 123_456,
        },
        peer: Some(Peer::Inet("192.0.2.77:4000".parse().unwrap())),
    };
    let event = Event::Ended {
        session,
        pid: 12_345,
        status: Status::Exited(0),
        duration: Duration::from_micros(1_234_567),
        cpu: Duration::from_micros(1_234),
        max_rss: Some(1234),
        received: None,
        sent: None,
        limit: None,
        unjoined: None,
    };
    let mut out = Vec::new();
    let mut time = |line: &mut dyn FnMut(&mut Vec<u8>)| {
        let since = std::time::Instant::now();
        for _ in 0..100_000 {
            out.clear();
            line(&mut out);
        }
        since.elapsed() / 100_000
    };
    let direct = time(&mut |out| json(out, &event, Duration::from_secs(1), LogAddress::Full));
    let text = time(&mut |out| text::line(out, &event, LogAddress::Full, |_| {}));
    let object = time(&mut |out| {
        let mut object = serde_json::Map::new();
        object.insert("time".into(), 1.7e9.into());
        object.insert("event".into(), event.name().into());
        let severity = format!("{:?}", event.severity()).to_lowercase();
        object.insert("severity".into(), severity.into());
        event.fields(true, &mut |key, value| {
            let value = match value {
                Value::Unknown => serde_json::Value::Null,
                Value::Number(number) => number.into(),
                Value::Seconds(time) => time.as_secs_f64().into(),
                Value::Peer(peer) => peer.to_string().into(),
                Value::Text(text) => text.to_string().into(),
            };
            object.insert(key.into(), value);
        });
        out.extend_from_slice(serde_json::Value::Object(object).to_string().as_bytes());
    });
    eprintln!("object {object:?}, json {direct:?}, text {text:?}");
    assert!(3 * direct < object);
}
