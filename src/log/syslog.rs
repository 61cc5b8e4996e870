//! The system's log daemon, by its Unix socket (syslog(3)).
//!
//! Each line is a datagram; where the socket is a stream, a line of it. Nothing waits. A daemon that
//! was started anew has another socket under the same name: it is looked for when sending fails, at
//! most once a second, and lines wait meanwhile. What a daemon had not read when it ended is lost, and
//! nobody knows how much that was.

use super::sink::{PAUSE, Wrote};
use crate::sys::Errno;
use crate::sys::socket::{LogSocket, connect_to_log, send_to_log};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// Where the daemon listens.
const PATH: &str = "/dev/log";
/// Bytes of a line that a daemon is sure to take (RFC 5426 asks for 2 KiB, daemons take 8).
const LONGEST: usize = 8192;
/// Why lines are lost.
const NOBODY: &str = "nobody listened at /dev/log";

#[derive(Debug)]
pub(super) struct Syslog {
    /// Kept also when it is broken: it may still be polled for.
    socket: Option<LogSocket>,
    is_broken: bool,
    tried: Instant,
}

impl Syslog {
    /// Connects; or tells why it could not, and will try again.
    pub(super) fn open(now: Instant) -> (Syslog, Result<(), Errno>) {
        let socket = connect_to_log(PATH);
        let result = socket.as_ref().map(drop).map_err(|errno| *errno);
        let syslog = Syslog {
            is_broken: socket.is_err(),
            socket: socket.ok(),
            tried: now,
        };
        (syslog, result)
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(|socket| socket.fd.as_fd())
    }

    /// Sends the first of these lines, or as much of all as goes into a stream.
    pub(super) fn write(&mut self, lines: &[u8], now: Instant) -> Wrote {
        if self.is_broken {
            (*self, _) = Syslog::open(now);
        }
        let Some(socket) = self.socket.as_ref().filter(|_| !self.is_broken) else {
            return Wrote::Later(PAUSE, NOBODY);
        };
        let first = lines.split_inclusive(|byte| *byte == b'\n').next();
        let line = first.unwrap_or_default();
        let result = match socket.is_stream {
            true => send_to_log(socket, lines),
            false => {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                send_to_log(socket, &text[..text.len().min(LONGEST)]).map(|_| line.len())
            }
        };
        match result {
            Ok(count) => Wrote::Bytes(count),
            Err(Errno::EINTR) => Wrote::Bytes(0),
            Err(Errno::EAGAIN) => Wrote::Busy,
            Err(Errno::ENOBUFS | Errno::ENOMEM) => Wrote::Later(PAUSE, "there was no memory"),
            Err(_) => {
                self.is_broken = true;
                let pause = (self.tried + PAUSE).saturating_duration_since(now);
                Wrote::Broken(pause, NOBODY)
            }
        }
    }
}
