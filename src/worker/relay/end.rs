//! One end of a relay: how it is read and written, and whether that is worth a try.
//!
//! The poller tells of each change once; until a call has said EAGAIN an end stays ready.

use crate::sys::Errno;
use crate::sys::poll::{Interest, Poller, Ready};
use crate::sys::{pipe, stream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// See the module.
#[derive(Debug)]
pub(super) struct End {
    way: Way,
    pub(super) readable: bool,
    writable: bool,
}

/// What is there.
#[derive(Debug)]
enum Way {
    Socket(OwnedFd),
    /// A program's standard input, until that was told the end, and its standard output.
    Pipes(Option<OwnedFd>, OwnedFd),
}

impl End {
    pub(super) fn socket(socket: OwnedFd) -> End {
        stream::send_at_once(socket.as_fd());
        End::new(Way::Socket(socket))
    }

    pub(super) fn pipes(input: OwnedFd, output: OwnedFd) -> End {
        End::new(Way::Pipes(Some(input), output))
    }

    fn new(way: Way) -> End {
        End {
            way,
            readable: true,
            writable: true,
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
        }
    }

    /// The socket, where it is one.
    pub(super) fn as_socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.way {
            Way::Socket(socket) => Some(socket.as_fd()),
            Way::Pipes(..) => None,
        }
    }

    /// Notes what the poller has said.
    pub(super) fn wake(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
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
        }
    }

    /// Writes as much as is taken now; the answer is how much.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if !self.writable {
            return Ok(0);
        }
        let written = match &self.way {
            Way::Socket(socket) => stream::send(socket.as_fd(), bytes),
            Way::Pipes(Some(input), _) => pipe::write(input.as_fd(), bytes),
            Way::Pipes(None, _) => Err(Errno::EPIPE),
        };
        if matches!(written, Err(Errno::EAGAIN)) {
            self.writable = false;
            return Ok(0);
        }
        written
    }

    /// Says that no more will be written.
    pub(super) fn close_writing(&mut self) {
        match &mut self.way {
            // One that is broken is found so by whoever reads it.
            Way::Socket(socket) => drop(stream::shut_down_sending(socket.as_fd())),
            Way::Pipes(input, _) => *input = None,
        }
    }
}
