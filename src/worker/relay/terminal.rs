//! The master of a program's terminal, and how a program there learns that its client says no more.
//!
//! A terminal has no half-closed state. Where it edits lines a byte stands for the end of file; a
//! program that edits them itself takes that byte for it too, but not one that came before it
//! began to. So the byte is typed again for a while. Who reads keys and not lines has no use for an end
//! of file, and nothing stands for it on a terminal that was made raw: such a terminal is hung up,
//! which loses an answer that is still being made. So it is left alone until the program has said
//! nothing, and its client has taken all, for [`QUIET`].
//!
//! That nobody has a terminal open is not its end while its program lives: it may open it anew
//! (/dev/tty), and to close ours would hang it up.

use crate::sys::pty::{self, LineEditing};
use crate::sys::{Errno, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How often the byte is typed again while a program may be waiting for it.
const ROUNDS: u32 = 16;
/// Between two of those.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a program that cannot be told the end may say nothing before it is hung up: the answer to
/// a client that has half-closed may take as long.
pub(super) const QUIET: Duration = Duration::from_secs(10);
/// The longest between two looks at a program that is busy.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// See the module.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    /// Whether it was made raw: then nothing stands for the end.
    is_raw: bool,
    /// Whether its program has ended.
    exited: bool,
    /// Whether what was typed last was a whole line.
    at_line_start: bool,
    /// How often the end was typed again.
    rounds: u32,
    /// Since when nothing was heard, and what had been heard until then. `None` while that is not
    /// looked at.
    silence: Option<(Instant, u64)>,
}

/// What a program has said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// Bytes.
    pub(super) bytes: u64,
    /// Whether its client has yet to take some of them.
    pub(super) waits: bool,
}

/// What to do next about the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Look again after this time.
    Look(Duration),
    /// Nobody will take it.
    HangUp,
}

impl Terminal {
    pub(super) fn new(master: OwnedFd, is_raw: bool) -> Terminal {
        Terminal {
            master,
            is_raw,
            exited: false,
            at_line_start: true,
            rounds: 0,
            silence: None,
        }
    }

    pub(super) fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Its program has ended.
    pub(super) fn exit(&mut self) {
        self.exited = true;
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match pty::read(self.master(), buffer) {
            Ok(0) if !self.exited => Err(Errno::EAGAIN),
            result => result,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let count = pipe::write(self.master(), bytes)?;
        if let Some(last) = bytes[..count].last() {
            self.at_line_start = matches!(last, b'\n' | b'\r');
        }
        Ok(count)
    }

    /// What to type for the end of file; nothing where nothing stands for it.
    pub(super) fn farewell(&self) -> Vec<u8> {
        if self.is_raw {
            return Vec::new();
        }
        match pty::line_editing(self.master()) {
            // The first only ends the line that was begun.
            Ok(LineEditing { is_on: true, end }) if !self.at_line_start => vec![end, end],
            Ok(LineEditing { end, .. }) => vec![end],
            Err(_) => Vec::new(),
        }
    }

    /// The end was told a while ago (at first: just now), and the program is still there.
    pub(super) fn insist(&mut self, heard: Heard, now: Instant) -> Next {
        if self.is_raw {
            return self.wait_for_silence(heard, now);
        }
        let Ok(editing) = pty::line_editing(self.master()) else {
            return Next::HangUp;
        };
        self.rounds += 1;
        match self.rounds {
            0 | 1 => {}
            // Without room for it nobody waits for it.
            2..=ROUNDS => drop(pipe::write(self.master(), &[editing.end])),
            _ if !editing.is_on => return self.wait_for_silence(heard, now),
            // It is busy: what was typed waits for it.
            _ => {
                self.silence = None;
                let doublings = (self.rounds - ROUNDS).min(6);
                return Next::Look((PAUSE * 2u32.pow(doublings)).min(LONGEST_PAUSE));
            }
        }
        Next::Look(PAUSE)
    }

    /// Hangs up when nothing was heard for long enough.
    fn wait_for_silence(&mut self, heard: Heard, now: Instant) -> Next {
        match self.silence {
            Some((since, bytes)) if bytes == heard.bytes && !heard.waits => {
                if now >= since + QUIET {
                    return Next::HangUp;
                }
            }
            _ => self.silence = Some((now, heard.bytes)),
        }
        Next::Look(PAUSE)
    }
}
