//! Where lines go: standard error, a file or the log daemon, without ever waiting.

use super::render::Style;
use super::syslog::Syslog;
use crate::sys::fd::raise;
use crate::sys::poll::is_writable;
use crate::table::LogSink;
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// A pipe that is writable takes this much without waiting (pipe(7), PIPE_BUF).
const PIPE_BUF: usize = 4096;
/// How long what cannot be written now is left in peace: to ask a full disk may take it some time.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// An open place for lines.
#[derive(Debug)]
pub(super) struct Sink {
    kind: LogSink,
    style: Style,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Also standard error, opened a second time.
    File(OwnedFd),
    /// A standard error that could not be.
    SharedStderr,
    Syslog(Syslog),
}

/// How a write went; and why lines are lost, should it go on like this.
pub(super) enum Wrote {
    /// So many bytes are out.
    Bytes(usize),
    /// It would have to wait. The descriptor can be polled.
    Busy,
    /// It is no use before so long.
    Later(Duration, &'static str),
    /// The same, and what comes then is the beginning of something new.
    Broken(Duration, &'static str),
    /// Nobody will ever read them.
    Never(&'static str),
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
            place: match file {
                Some(file) => Place::File(raise(file)),
                None => Place::SharedStderr,
            },
        }
    }

    /// Opens a place. With it comes what the log that was used so far should say of it.
    pub(super) fn open(kind: &LogSink, now: Instant) -> io::Result<(Sink, Option<Errno>)> {
        let (style, place, doubt) = match kind {
            LogSink::Stderr => return Ok((Sink::stderr(), None)),
            LogSink::File(path) => (Style::Stamped, Place::File(open_file(path)?), None),
            LogSink::Syslog => {
                let (syslog, result) = Syslog::open(now);
                (Style::Syslog, Place::Syslog(syslog), result.err())
            }
        };
        let kind = kind.clone();
        Ok((Sink { kind, style, place }, doubt))
    }

    pub(super) fn kind(&self) -> &LogSink {
        &self.kind
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// Writes some of these lines. Never waits.
    pub(super) fn write(&mut self, lines: &[u8], now: Instant) -> Wrote {
        let result = match &mut self.place {
            Place::Syslog(syslog) => return syslog.write(lines, now),
            Place::File(file) => nix::unistd::write(file, lines),
            Place::SharedStderr if !is_writable(io::stderr()) => return Wrote::Busy,
            Place::SharedStderr => {
                nix::unistd::write(io::stderr().as_fd(), &lines[..lines.len().min(PIPE_BUF)])
            }
        };
        match result {
            Ok(count) => Wrote::Bytes(count),
            Err(Errno::EINTR) => Wrote::Bytes(0),
            Err(Errno::EAGAIN) => Wrote::Busy,
            Err(Errno::ENOSPC | Errno::EDQUOT) => Wrote::Later(PAUSE, "the disk was full"),
            // A FIFO may have another reader soon; whoever had our standard error has left.
            Err(Errno::EPIPE) if self.kind != LogSink::Stderr => {
                Wrote::Broken(PAUSE, "nobody read the log")
            }
            Err(Errno::EPIPE) => Wrote::Never("nobody read the log"),
            Err(_) => Wrote::Never("the log could not be written"),
        }
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.place {
            Place::File(file) => Some(file.as_fd()),
            Place::SharedStderr => None,
            Place::Syslog(syslog) => syslog.descriptor(),
        }
    }
}

/// To append to; made if need be. O_NONBLOCK so that a FIFO nobody reads is an error, not a wait.
fn open_file(path: &str) -> io::Result<OwnedFd> {
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY | nix::libc::O_NOFOLLOW;
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags)
        .open(path)?;
    Ok(raise(OwnedFd::from(file)))
}
