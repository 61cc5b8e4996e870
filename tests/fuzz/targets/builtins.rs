//! The built-in protocols against models of a few lines, over any sequence of reads, writes that the
//! client takes a part of, and ends of input.
//!
//! The first byte says whether the connection keeps records, eight say what time it is, and the rest
//! is what happens, see [`Talk::happens`].

use oxinetd::builtin::{Conversation, Input, answer};
use oxinetd::sys::time::{LocalTime, Moment};
use oxinetd::table::Builtin;

pub(super) fn echo(bytes: &[u8]) {
    let mut talk = Talk::of(Builtin::Echo, bytes);
    assert_eq!(
        talk.conversation.is_finished(),
        talk.is_closed && talk.has_said_all()
    );
    talk.say_all();
    assert_eq!(talk.sent, talk.read);
    assert_eq!(talk.conversation.is_finished(), talk.is_closed);
    assert_eq!(datagram(Builtin::Echo, bytes), Some(bytes.to_vec()));
}

pub(super) fn discard(bytes: &[u8]) {
    let talk = Talk::of(Builtin::Discard, bytes);
    assert!(talk.sent.is_empty() && talk.has_said_all());
    assert_eq!(talk.conversation.is_finished(), talk.is_closed);
    assert_eq!(datagram(Builtin::Discard, bytes), None);
}

pub(super) fn chargen(bytes: &[u8]) {
    let talk = Talk::of(Builtin::Chargen, bytes);
    assert!(!talk.conversation.is_finished());
    assert_eq!(talk.sent, lines(talk.sent.len()));
    if talk.keeps_records {
        assert_eq!(talk.conversation.output().len(), 74);
    }
    let expected = (!bytes.is_empty()).then(|| lines(bytes.len().min(512)));
    assert_eq!(datagram(Builtin::Chargen, bytes), expected);
}

pub(super) fn daytime(bytes: &[u8]) {
    answers(
        Builtin::Daytime,
        bytes,
        &ctime(&moment(bytes).local).into_bytes(),
    );
}

pub(super) fn time(bytes: &[u8]) {
    let seconds = i128::from(moment(bytes).unix) + 2_208_988_800;
    let expected = (seconds.rem_euclid(1 << 32) as u32).to_be_bytes();
    answers(Builtin::Time, bytes, &expected);
}

/// One text is said, and nothing is read.
fn answers(builtin: Builtin, bytes: &[u8], expected: &[u8]) {
    let mut talk = Talk::of(builtin, bytes);
    assert!(expected.starts_with(&talk.sent));
    assert_eq!(talk.conversation.is_finished(), talk.sent == expected);
    talk.say_all();
    assert_eq!(talk.sent, expected);
    assert!(talk.read.is_empty() && talk.conversation.is_finished());
    assert_eq!(datagram(builtin, bytes), Some(expected.to_vec()));
}

fn datagram(builtin: Builtin, bytes: &[u8]) -> Option<Vec<u8>> {
    answer(builtin, bytes, &moment(bytes)).map(|answer| answer.into_owned())
}

/// A conversation as the worker leads it.
struct Talk {
    conversation: Conversation,
    keeps_records: bool,
    is_closed: bool,
    /// What the protocol was given of the client's bytes.
    read: Vec<u8>,
    sent: Vec<u8>,
}

impl Talk {
    fn of(builtin: Builtin, bytes: &[u8]) -> Talk {
        let keeps_records = bytes.first().is_some_and(|byte| byte % 2 == 1);
        let mut talk = Talk {
            conversation: Conversation::begin(builtin, keeps_records, &moment(bytes)),
            keeps_records,
            is_closed: false,
            read: Vec::new(),
            sent: Vec::new(),
        };
        let mut rest = bytes.get(9..).unwrap_or_default();
        while let [what, taken, after @ ..] = rest {
            if talk.conversation.is_finished() {
                break;
            }
            rest = talk.happens(*what, *taken, after);
        }
        talk
    }

    /// The socket can be read (there are `what` / 4 bytes, of whose answer the client takes a part)
    /// or written, or the client ends its side. Returns what comes after.
    fn happens<'a>(&mut self, what: u8, taken: u8, after: &'a [u8]) -> &'a [u8] {
        if what % 4 < 2 {
            self.write(taken);
        }
        let wanted = self.conversation.wants_input();
        if wanted == Input::Leave {
            return after;
        }
        if what % 4 == 3 {
            self.conversation.input_closed();
            self.is_closed = true;
            return after;
        }
        let (input, after) = after.split_at(usize::from(what / 4).min(after.len()));
        if wanted == Input::Read && !input.is_empty() {
            assert!(self.has_said_all(), "it reads before it has said all");
            let reply = self.conversation.input(input);
            let count = usize::from(taken).min(reply.len());
            self.read.extend_from_slice(input);
            self.sent.extend_from_slice(&reply[..count]);
            if count < reply.len() {
                self.conversation.keep(&reply[count..]);
            }
        }
        after
    }

    fn write(&mut self, most: u8) {
        let output = self.conversation.output();
        // Long pieces as well: chargen's are 64 KiB.
        let count = (usize::from(most) * usize::from(most)).min(output.len());
        self.sent.extend_from_slice(&output[..count]);
        self.conversation.written(count);
    }

    fn has_said_all(&self) -> bool {
        self.conversation.output().is_empty()
    }

    /// The client takes everything.
    fn say_all(&mut self) {
        while !self.has_said_all() {
            self.write(u8::MAX);
        }
    }
}

/// RFC 864, the popular form: the printable characters in a ring, each line one further.
fn lines(length: usize) -> Vec<u8> {
    let line = |n: usize| (n..n + 72).map(|at| 32 + (at % 95) as u8).chain(*b"\r\n");
    (0..).flat_map(line).take(length).collect()
}

fn ctime(time: &LocalTime) -> String {
    let name = |names: &str, n: u8| names[usize::from(n) * 3..][..3].to_owned();
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {}\r\n",
        name("SunMonTueWedThuFriSat", time.weekday),
        name("JanFebMarAprMayJunJulAugSepOctNovDec", time.month),
        time.day,
        time.hour,
        time.minute,
        time.second,
        time.year
    )
}

/// Any moment, and any time that a clock may show; they need not go together.
fn moment(bytes: &[u8]) -> Moment {
    let mut number = [0; 8];
    for (to, from) in number.iter_mut().zip(bytes.iter().skip(1)) {
        *to = *from;
    }
    let unix = i64::from_le_bytes(number);
    let part = |at: usize, most: u8| number[at] % (most + 1);
    Moment {
        unix,
        local: LocalTime {
            // A C library counts them in an int from 1900 on.
            year: i64::from(unix as i32) + 1900,
            month: part(4, 11),
            day: part(5, 30) + 1,
            weekday: part(6, 6),
            hour: part(7, 23),
            minute: part(4, 59),
            second: part(5, 60),
        },
    }
}
