//! Pipes to and from a program: our ends never wait and live above the descriptor floor, the
//! program's are like those of a shell.

use super::Errno;
use super::fd::{self, raise};
use nix::fcntl::OFlag;
use nix::unistd::{self, Uid};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A pipe that a program writes: our end, and its own.
pub fn from_program() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    let read = raise(read);
    fd::set_nonblocking(read.as_fd(), true)?;
    Ok((read, write))
}

/// A pipe that a program reads: our end, and its own.
pub fn to_program() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    let write = raise(write);
    fd::set_nonblocking(write.as_fd(), true)?;
    Ok((write, read))
}

/// Gives a pipe or terminal to a user, who may then open it anew by the name that /proc and
/// /dev/stdin have for it.
pub fn give_to(user: u32, end: BorrowedFd) -> Result<(), Errno> {
    unistd::fchown(end, Some(Uid::from_raw(user)), None)
}

/// Reads up to the length of the buffer, without waiting where the end is one of ours; 0 is the end.
pub fn read(end: BorrowedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match unistd::read(end, buffer) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Writes as much as is taken now; the answer is how much. Nobody left to read it is EPIPE (SIGPIPE
/// must be blocked).
pub fn write(end: BorrowedFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match unistd::write(end, bytes) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
