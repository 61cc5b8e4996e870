//! The built-in protocols as pure state machines over buffers: RFC 862, 863, 864, 867 and 868.
//!
//! No system calls, and no clock: whoever drives a [`Conversation`] reads and writes the socket and
//! says what time it is. Nothing here fails.

mod chargen;
mod daytime;
mod discard;
mod echo;
mod time;

use crate::sys::time::Moment;
use crate::table::Builtin;
use std::borrow::Cow;

/// One connection's side of a protocol.
#[derive(Debug)]
pub enum Conversation {
    /// See [`echo`].
    Echo(echo::Echo),
    /// See [`discard`].
    Discard(discard::Discard),
    /// See [`chargen`].
    Chargen(chargen::Chargen),
    /// One short text, then the end: daytime and time.
    Answer(Answer),
}

/// What is to be done with the client's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Leave them where they are for now.
    Leave,
    /// Read them, and pass them to [`Conversation::input`].
    Read,
    /// Throw them away unseen; [`Conversation::input`] is not called.
    Discard,
}

impl Conversation {
    /// Begins one. `records` says that the connection keeps record boundaries.
    pub fn begin(builtin: Builtin, records: bool, now: &Moment) -> Conversation {
        match builtin {
            Builtin::Echo => Conversation::Echo(Default::default()),
            Builtin::Discard => Conversation::Discard(Default::default()),
            Builtin::Chargen => Conversation::Chargen(chargen::Chargen::new(records)),
            Builtin::Daytime => Conversation::Answer(daytime::answer(&now.local)),
            Builtin::Time => Conversation::Answer(time::answer(now.unix)),
        }
    }

    /// What is to be done with the client's bytes now.
    pub fn wants_input(&self) -> Input {
        match self {
            Conversation::Echo(echo) if echo.wants_input() => Input::Read,
            Conversation::Discard(discard) if !discard.is_finished() => Input::Discard,
            Conversation::Chargen(chargen) if chargen.wants_input() => Input::Discard,
            _ => Input::Leave,
        }
    }

    /// Takes what the client sent, when there is no [`output`](Self::output) left. The answer is to
    /// be sent at once, from the same buffer; what cannot be is given back to [`keep`](Self::keep).
    pub fn input<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match self {
            Conversation::Echo(_) => bytes,
            _ => &[],
        }
    }

    /// Keeps what could not be sent of an answer to [`input`](Self::input).
    pub fn keep(&mut self, rest: &[u8]) {
        if let Conversation::Echo(echo) = self {
            echo.keep(rest);
        }
    }

    /// The client sends no more.
    pub fn input_closed(&mut self) {
        match self {
            Conversation::Echo(echo) => echo.input_closed(),
            Conversation::Discard(discard) => discard.input_closed(),
            Conversation::Chargen(chargen) => chargen.input_closed(),
            Conversation::Answer(_) => {}
        }
    }

    /// What is to be sent next; empty when nothing is.
    pub fn output(&self) -> &[u8] {
        match self {
            Conversation::Echo(echo) => echo.output(),
            Conversation::Discard(_) => &[],
            Conversation::Chargen(chargen) => chargen.output(),
            Conversation::Answer(answer) => answer.output(),
        }
    }

    /// So many bytes of [`output`](Self::output) were sent.
    pub fn written(&mut self, count: usize) {
        match self {
            Conversation::Echo(echo) => echo.written(count),
            Conversation::Discard(_) => {}
            Conversation::Chargen(chargen) => chargen.written(count),
            Conversation::Answer(answer) => answer.written(count),
        }
    }

    /// Whether all was said, so that the connection can be closed.
    pub fn is_finished(&self) -> bool {
        match self {
            Conversation::Echo(echo) => echo.is_finished(),
            Conversation::Discard(discard) => discard.is_finished(),
            Conversation::Chargen(_) => false,
            Conversation::Answer(answer) => answer.output().is_empty(),
        }
    }

    /// Whether it finishes without having read what the client sent.
    pub fn leaves_input(&self) -> bool {
        matches!(self, Conversation::Answer(_))
    }
}

/// The answer to a datagram; `None` when there is none. Only daytime and time may be longer than
/// the request.
pub fn answer<'a>(builtin: Builtin, request: &'a [u8], now: &Moment) -> Option<Cow<'a, [u8]>> {
    match builtin {
        Builtin::Echo => Some(request.into()),
        Builtin::Discard => None,
        Builtin::Chargen => chargen::datagram(request.len()).map(Cow::from),
        Builtin::Daytime => Some(daytime::answer(&now.local).output().to_vec().into()),
        Builtin::Time => Some(time::answer(now.unix).output().to_vec().into()),
    }
}

/// A text of at most 40 bytes, and how much of it was sent.
#[derive(Debug)]
pub struct Answer {
    bytes: [u8; 40],
    length: usize,
    sent: usize,
}

impl Answer {
    fn new(text: &[u8]) -> Answer {
        let mut bytes = [0; 40];
        let length = text.len().min(bytes.len());
        bytes[..length].copy_from_slice(&text[..length]);
        Answer {
            bytes,
            length,
            sent: 0,
        }
    }

    fn output(&self) -> &[u8] {
        &self.bytes[self.sent..self.length]
    }

    fn written(&mut self, count: usize) {
        self.sent = self.length.min(self.sent + count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::time::LocalTime;

    const NOON: Moment = Moment {
        unix: 0,
        local: LocalTime {
            year: 1970,
            month: 0,
            day: 1,
            weekday: 4,
            hour: 12,
            minute: 0,
            second: 0,
        },
    };

    #[test]
    fn an_answer_goes_out_in_pieces_and_then_is_finished() {
        let mut time = Conversation::begin(Builtin::Time, false, &NOON);
        assert_eq!(time.output(), [0x83, 0xaa, 0x7e, 0x80]);
        assert_eq!(time.wants_input(), Input::Leave);
        time.written(3);
        assert!(!time.is_finished());
        assert_eq!(time.output(), [0x80]);
        time.written(1);
        assert!(time.is_finished() && time.leaves_input());
    }

    #[test]
    fn datagrams_are_answered_by_the_protocols_rules() {
        let answer = |builtin, request| super::answer(builtin, request, &NOON).map(Cow::into_owned);
        assert_eq!(answer(Builtin::Echo, b"abc"), Some(b"abc".to_vec()));
        assert_eq!(answer(Builtin::Echo, b""), Some(b"".to_vec()));
        assert_eq!(answer(Builtin::Discard, b"abc"), None);
        assert_eq!(answer(Builtin::Chargen, b"abc"), Some(b" !\"".to_vec()));
        assert_eq!(answer(Builtin::Chargen, b""), None);
        assert_eq!(
            answer(Builtin::Daytime, b""),
            Some(b"Thu Jan  1 12:00:00 1970\r\n".to_vec())
        );
        assert_eq!(
            answer(Builtin::Time, b""),
            Some(vec![0x83, 0xaa, 0x7e, 0x80])
        );
    }

    #[test]
    fn no_datagram_answer_but_the_clocks_is_longer_than_its_request() {
        let request = vec![0; 65_507];
        for length in [0, 1, 73, 74, 512, 513, 65_507] {
            for builtin in [Builtin::Echo, Builtin::Discard, Builtin::Chargen] {
                let answer = super::answer(builtin, &request[..length], &NOON);
                assert!(answer.is_none_or(|bytes| bytes.len() <= length));
            }
        }
    }
}
