//! Bytes over a connection that we serve ourselves: connect, receive, send, shut down.
//!
//! Nothing waits (EAGAIN instead) and nothing raises SIGPIPE (EPIPE instead); an interrupted call
//! is made again. The supervisor only sends: it reads no byte that a client sent.

use super::Errno;
use super::address::Address;
use super::fd::raise;
use super::socket::peer_address;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, SockaddrStorage, UnixAddr,
    connect as nix_connect, getsockopt, recv, send as nix_send, setsockopt, shutdown, socket,
    sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Begins to connect a stream socket to this address, without waiting. Whether it is connected already;
/// if not, it can be written when [`connected`] has an answer. A Unix socket whose queue is full is
/// EAGAIN. Over TCP dead connections are noticed (SO_KEEPALIVE).
pub fn connect(address: &Address) -> Result<(OwnedFd, bool), Errno> {
    let family = match address {
        Address::Inet(SocketAddr::V4(_)) => AddressFamily::Inet,
        Address::Inet(SocketAddr::V6(_)) => AddressFamily::Inet6,
        Address::Path(_) | Address::Abstract(_) => AddressFamily::Unix,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = raise(socket(family, SockType::Stream, flags, None)?);
    let fd = socket.as_raw_fd();
    let result = match address {
        Address::Inet(address) => {
            setsockopt(&socket, sockopt::KeepAlive, &true)?;
            nix_connect(fd, &SockaddrStorage::from(*address))
        }
        Address::Path(path) => nix_connect(fd, &UnixAddr::new(path.as_str())?),
        Address::Abstract(name) => nix_connect(fd, &UnixAddr::new_abstract(name.as_bytes())?),
    };
    match result {
        Ok(()) => Ok((socket, true)),
        // Interrupted, it goes on all the same (connect(2)).
        Err(Errno::EINPROGRESS | Errno::EINTR) => Ok((socket, false)),
        Err(errno) => Err(errno),
    }
}

/// Whether the socket has been connected by now: EAGAIN when that is not decided.
pub fn connected(socket: BorrowedFd) -> Result<(), Errno> {
    match getsockopt(&socket, sockopt::SocketError)? {
        0 => {}
        errno => return Err(Errno::from_raw(errno)),
    }
    match peer_address(socket) {
        Err(Errno::ENOTCONN) => Err(Errno::EAGAIN),
        _ => Ok(()),
    }
}

/// Whether a connection was reset, or timed out: without reading what it has brought before.
pub fn is_broken(socket: BorrowedFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(socket, PollFlags::empty())];
    let found = poll(&mut fds, PollTimeout::ZERO).is_ok();
    found
        && fds[0]
            .revents()
            .is_some_and(|it| it.contains(PollFlags::POLLERR))
}

/// Has small pieces sent at once, over TCP (TCP_NODELAY). Other sockets do so always.
pub fn send_at_once(socket: BorrowedFd) {
    // It fails for those others.
    let _ = setsockopt(&socket, sockopt::TcpNoDelay, &true);
}

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

/// Bytes of what was sent that the client has not taken yet, or not acknowledged.
pub fn unsent(socket: BorrowedFd) -> usize {
    let mut count = 0i32;
    // SAFETY: SIOCOUTQ, which has the number of TIOCOUTQ, writes an int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    Errno::result(result).map_or(0, |_| usize::try_from(count).unwrap_or_default())
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
