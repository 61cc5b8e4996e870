//! One end of a relay: a socket, and whether it is worth a try to read or write it.
//!
//! The poller tells of each change once; until a call has said EAGAIN an end stays ready.

use crate::sys::Errno;
use crate::sys::poll::Ready;
use crate::sys::stream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// See the module.
#[derive(Debug)]
pub(super) struct End {
    socket: OwnedFd,
    pub(super) readable: bool,
    writable: bool,
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl End {
    pub(super) fn new(socket: OwnedFd) -> End {
        stream::send_at_once(socket.as_fd());
        End {
            socket,
            readable: true,
            writable: true,
        }
    }

    /// Notes what the poller has said.
    pub(super) fn wake(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        stream::receive(self.socket.as_fd(), buffer)
    }

    /// Writes as much as is taken now; the answer is how much.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if !self.writable {
            return Ok(0);
        }
        let written = stream::send(self.socket.as_fd(), bytes);
        if matches!(written, Err(Errno::EAGAIN)) {
            self.writable = false;
            return Ok(0);
        }
        written
    }

    /// Says that no more will be written.
    pub(super) fn close_writing(&mut self) {
        // One that is broken is found so by whoever reads it.
        let _ = stream::shut_down_sending(self.socket.as_fd());
    }
}
