//! Where lines go: standard error or a file, without ever waiting.

use super::render::Style;
use crate::sys::fd::raise;
use crate::sys::poll::is_writable;
use crate::table::LogSink;
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// A pipe that is writable takes this much without waiting (pipe(7), PIPE_BUF).
const PIPE_BUF: usize = 4096;

/// An open place for lines.
#[derive(Debug)]
pub(super) struct Sink {
    kind: LogSink,
    style: Style,
    /// `None` for a standard error that could not be opened a second time.
    file: Option<OwnedFd>,
}

/// How a write went.
pub(super) enum Wrote {
    /// So many bytes are out.
    Bytes(usize),
    /// It would have to wait.
    Later,
    /// Nobody will ever read them.
    Never,
}

impl Sink {
    /// Standard error. Its open file is shared with whoever started us, so O_NONBLOCK must not be
    /// set on it. A regular file never waits, and is written to where the others write. Anything
    /// else is opened a second time through /proc; a socket, or somebody else's pipe, cannot be, and
    /// then every write is preceded by a look whether there is room.
    pub(super) fn stderr() -> Sink {
        let stderr = io::stderr();
        let is_regular = nix::sys::stat::fstat(&stderr)
            .is_ok_and(|stat| stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFREG);
        let file = match is_regular {
            true => stderr.as_fd().try_clone_to_owned().ok(),
            false => {
                let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
                let mut options = std::fs::OpenOptions::new();
                let file = options
                    .write(true)
                    .custom_flags(flags)
                    .open("/proc/self/fd/2");
                file.ok().map(OwnedFd::from)
            }
        };
        Sink {
            kind: LogSink::Stderr,
            style: match std::env::var_os("JOURNAL_STREAM") {
                Some(_) => Style::Priority,
                None => Style::Plain,
            },
            file: file.map(raise),
        }
    }

    /// Goes elsewhere; on an error it stays.
    pub(super) fn change(&mut self, kind: &LogSink) -> io::Result<()> {
        if *kind == self.kind {
            return Ok(());
        }
        *self = Sink::open(kind)?;
        Ok(())
    }

    /// Opens the same place again.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Sink::open(&self.kind)?;
        Ok(())
    }

    fn open(kind: &LogSink) -> io::Result<Sink> {
        let LogSink::File(path) = kind else {
            return Ok(Sink::stderr());
        };
        // O_NONBLOCK so that a FIFO nobody reads is an error, not a wait.
        let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY | nix::libc::O_NOFOLLOW;
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .custom_flags(flags)
            .open(path)?;
        Ok(Sink {
            kind: kind.clone(),
            style: Style::Stamped,
            file: Some(raise(OwnedFd::from(file))),
        })
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Wrote {
        let result = match &self.file {
            Some(file) => nix::unistd::write(file, bytes),
            None if !is_writable(io::stderr()) => return Wrote::Later,
            None => nix::unistd::write(io::stderr().as_fd(), &bytes[..bytes.len().min(PIPE_BUF)]),
        };
        match result {
            Ok(count) => Wrote::Bytes(count),
            Err(Errno::EINTR) => Wrote::Bytes(0),
            // A full disk may have room later; meanwhile lines are kept, then dropped and counted.
            Err(Errno::EAGAIN | Errno::ENOSPC | Errno::EDQUOT) => Wrote::Later,
            Err(_) => Wrote::Never,
        }
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }
}
