//! What a descriptor in the poller stands for: a kind and a number in one word.

use crate::table::ListenerId;

/// Who is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Signals.
    Mail,
    /// Children whose descriptor table is their own.
    Launches,
    /// A listener.
    Listener(ListenerId),
    /// An old child, by pid.
    Child(i32),
    /// The standard error of a program.
    Stderr(u32),
    /// The worker's control socket.
    Worker,
    /// The log has room.
    Log,
    /// The control socket.
    Control,
    /// Somebody who has called it.
    Caller(u32),
    /// Connections are over that a service wants to know about.
    Notices,
    /// A refused client has gone.
    Leaving(u32),
}

const SHIFT: u32 = 56;

impl From<Word> for u64 {
    fn from(word: Word) -> u64 {
        let (kind, number) = match word {
            Word::Mail => (0, 0),
            Word::Launches => (1, 0),
            Word::Listener(ListenerId(number)) => (2, number),
            Word::Child(pid) => (3, pid as u32),
            Word::Stderr(number) => (4, number),
            Word::Worker => (5, 0),
            Word::Log => (6, 0),
            Word::Control => (7, 0),
            Word::Caller(number) => (8, number),
            Word::Leaving(number) => (9, number),
            Word::Notices => (10, 0),
        };
        (kind << SHIFT) | u64::from(number)
    }
}

impl From<u64> for Word {
    fn from(word: u64) -> Word {
        let number = word as u32;
        match word >> SHIFT {
            0 => Word::Mail,
            1 => Word::Launches,
            2 => Word::Listener(ListenerId(number)),
            3 => Word::Child(number as i32),
            4 => Word::Stderr(number),
            5 => Word::Worker,
            6 => Word::Log,
            7 => Word::Control,
            8 => Word::Caller(number),
            9 => Word::Leaving(number),
            _ => Word::Notices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_went() {
        let words = [
            Word::Mail,
            Word::Launches,
            Word::Listener(ListenerId(u32::MAX)),
            Word::Child(4_194_304),
        ];
        for word in words.into_iter().chain([
            Word::Stderr(7),
            Word::Worker,
            Word::Log,
            Word::Control,
            Word::Caller(9),
            Word::Leaving(9),
            Word::Notices,
        ]) {
            assert_eq!(Word::from(u64::from(word)), word);
        }
    }
}
