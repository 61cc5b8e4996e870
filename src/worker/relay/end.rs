//! One end of a relay: how it is read and written, and whether that is worth a try.
//!
//! The poller tells of each change once; until a call has said EAGAIN an end stays ready.

use super::terminal::{Heard, Next, Terminal};
use crate::sys::Errno;
use crate::sys::poll::{Interest, Poller, Ready};
use crate::sys::{pipe, stream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// See the module.
#[derive(Debug)]
pub(super) struct End {
    way: Way,
    pub(super) readable: bool,
    writable: bool,
    /// Whether an end or error was told of, which may come after what is there to read.
    broken: bool,
    /// Whether it is a program that has ended. Others may still have what it wrote to.
    exited: bool,
}

/// What is there.
#[derive(Debug)]
enum Way {
    Socket(OwnedFd),
    /// A program's standard input, until that was told the end, and its standard output.
    Pipes(Option<OwnedFd>, OwnedFd),
    Terminal(Terminal),
}

impl End {
    pub(super) fn socket(socket: OwnedFd) -> End {
        stream::send_at_once(socket.as_fd());
        End::new(Way::Socket(socket))
    }

    pub(super) fn pipes(input: OwnedFd, output: OwnedFd) -> End {
        End::new(Way::Pipes(Some(input), output))
    }

    pub(super) fn terminal(master: OwnedFd, is_raw: bool) -> End {
        End::new(Way::Terminal(Terminal::new(master, is_raw)))
    }

    fn new(way: Way) -> End {
        End {
            way,
            readable: true,
            writable: true,
            broken: false,
            exited: false,
        }
    }

    /// Has the poller tell of changes: by this word, and by the other of a descriptor that is only
    /// written.
    pub(super) fn poll(&self, poller: &Poller, word: u64, input_word: u64) -> Result<(), Errno> {
        match &self.way {
            Way::Socket(socket) => poller.add(socket, Interest::BothEdge, word),
            Way::Pipes(input, output) => {
                if let Some(input) = input {
                    poller.add(input, Interest::BothEdge, input_word)?;
                }
                poller.add(output, Interest::ReadEdge, word)
            }
            Way::Terminal(terminal) => poller.add(terminal.master(), Interest::BothEdge, word),
        }
    }

    /// The socket, where it is one.
    pub(super) fn into_socket(self) -> Option<OwnedFd> {
        match self.way {
            Way::Socket(socket) => Some(socket),
            Way::Pipes(..) | Way::Terminal(_) => None,
        }
    }

    /// Whether nobody is there any more when there is nothing more to read: a terminal has no
    /// half-closed state.
    pub(super) fn ends_as_one(&self) -> bool {
        matches!(self.way, Way::Terminal(_))
    }

    /// Notes what the poller has said.
    pub(super) fn wake(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        self.broken |= ready.broken;
    }

    /// Its program has ended.
    pub(super) fn exit(&mut self) {
        self.exited = true;
        if let Way::Terminal(terminal) = &mut self.way {
            terminal.exit();
        }
        self.readable = true;
    }

    /// Whether it has said its last, although that may not have been read.
    pub(super) fn has_ended(&self) -> bool {
        match self.way {
            Way::Socket(_) | Way::Pipes(..) => self.broken || self.exited,
            // While its program lives it may be opened again.
            Way::Terminal(_) => self.exited,
        }
    }

    /// Bytes of what was written that wait on our side of a connection.
    pub(super) fn unsent(&self) -> usize {
        match &self.way {
            Way::Socket(socket) => stream::unsent(socket.as_fd()),
            Way::Pipes(..) | Way::Terminal(_) => 0,
        }
    }

    /// Whether the connection is broken although there may be something to read.
    pub(super) fn is_broken(&self) -> bool {
        match &self.way {
            Way::Socket(socket) => self.broken && stream::is_broken(socket.as_fd()),
            Way::Pipes(..) | Way::Terminal(_) => false,
        }
    }

    /// Notes what the poller has said of a descriptor that is only written. False when nobody reads
    /// it any more: it is closed.
    pub(super) fn wake_input(&mut self, ready: Ready) -> bool {
        self.writable |= ready.writable;
        if ready.readable {
            self.close_writing();
        }
        !ready.readable
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match &self.way {
            Way::Socket(socket) => stream::receive(socket.as_fd(), buffer),
            Way::Pipes(_, output) => pipe::read(output.as_fd(), buffer),
            Way::Terminal(terminal) => terminal.read(buffer),
        }
    }

    /// Writes as much as is taken now; the answer is how much.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if !self.writable {
            return Ok(0);
        }
        let written = match &mut self.way {
            Way::Socket(socket) => stream::send(socket.as_fd(), bytes),
            Way::Pipes(Some(input), _) => pipe::write(input.as_fd(), bytes),
            Way::Pipes(None, _) => Err(Errno::EPIPE),
            Way::Terminal(terminal) => terminal.write(bytes),
        };
        if matches!(written, Err(Errno::EAGAIN)) {
            self.writable = false;
            return Ok(0);
        }
        written
    }

    /// What is to be written when there is no more, before [`close_writing`](Self::close_writing).
    pub(super) fn farewell(&self) -> Vec<u8> {
        match &self.way {
            Way::Socket(_) | Way::Pipes(..) => Vec::new(),
            Way::Terminal(terminal) => terminal.farewell(),
        }
    }

    /// What more there is to do so that a program on a terminal takes notice of that.
    pub(super) fn insist(&mut self, heard: Heard, now: Instant) -> Option<Next> {
        match &mut self.way {
            Way::Socket(_) | Way::Pipes(..) => None,
            Way::Terminal(terminal) => Some(terminal.insist(heard, now)),
        }
    }

    /// Says that no more will be written.
    pub(super) fn close_writing(&mut self) {
        match &mut self.way {
            // One that is broken is found so by whoever reads it.
            Way::Socket(socket) => drop(stream::shut_down_sending(socket.as_fd())),
            Way::Pipes(input, _) => *input = None,
            Way::Terminal(_) => {}
        }
    }
}
