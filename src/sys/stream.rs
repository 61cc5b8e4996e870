//! Bytes over a connection that we serve ourselves: receive, send, shut down.
//!
//! Nothing waits (EAGAIN instead) and nothing raises SIGPIPE (EPIPE instead); an interrupted call
//! is made again. The supervisor only sends: it reads no byte that a client sent.

use super::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recv, send as nix_send, shutdown};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Receives up to the length of the buffer, or one record, which is cut where it is longer. 0 is
/// the end, or an empty record: the kernel does not tell them apart.
pub fn receive(socket: BorrowedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    again(|| recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT))
}

/// Takes as much from a TCP socket as would fit the buffer, without copying it there: what it then
/// holds is of no meaning (tcp(7), MSG_TRUNC). Other sockets do copy; of a record the whole length
/// is counted, although less may be copied. 0 is the end.
pub fn discard(socket: BorrowedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    again(|| recv(socket.as_raw_fd(), buffer, flags))
}

/// Sends as much as the kernel takes now, or one whole record; the answer is how much.
pub fn send(socket: BorrowedFd, bytes: &[u8]) -> Result<usize, Errno> {
    again(|| {
        nix_send(
            socket.as_raw_fd(),
            bytes,
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
        )
    })
}

/// Says that we send no more: the client reads the end after what was sent.
pub fn shut_down_sending(socket: BorrowedFd) -> Result<(), Errno> {
    shutdown(socket.as_raw_fd(), Shutdown::Write)
}

fn again(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
