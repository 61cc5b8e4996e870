//! The master of a program's terminal, and how a program there learns that its client says no more.
//!
//! A terminal has no half-closed state. Where it edits lines a byte stands for the end of file; a
//! program that edits them itself takes that byte for it too, but not one that came before it
//! began to. So the byte is typed again for a while. Who has not left by then, and reads keys and not
//! lines, has no use for an end of file: the terminal is hung up.

use crate::sys::pty::{self, LineEditing};
use crate::sys::{Errno, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How often the byte is typed again while a program may be waiting for it.
const ROUNDS: u32 = 16;
/// Between two of those.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest between two looks at a program that is busy.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// See the module.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    /// Whether it was made raw: then nothing stands for the end.
    is_raw: bool,
    /// Whether what was typed last was a whole line.
    at_line_start: bool,
    /// How often the end was typed again.
    rounds: u32,
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
            at_line_start: true,
            rounds: 0,
        }
    }

    pub(super) fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        pty::read(self.master(), buffer)
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
    pub(super) fn insist(&mut self) -> Next {
        if self.is_raw {
            return Next::HangUp;
        }
        let Ok(editing) = pty::line_editing(self.master()) else {
            return Next::HangUp;
        };
        self.rounds += 1;
        match self.rounds {
            0 | 1 => {}
            // Without room for it nobody waits for it.
            2..=ROUNDS => drop(pipe::write(self.master(), &[editing.end])),
            _ if !editing.is_on => return Next::HangUp,
            // It is busy: what was typed waits for it.
            _ => {
                let doublings = (self.rounds - ROUNDS).min(6);
                return Next::Look((PAUSE * 2u32.pow(doublings)).min(LONGEST_PAUSE));
            }
        }
        Next::Look(PAUSE)
    }
}
