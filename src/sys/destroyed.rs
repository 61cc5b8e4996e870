//! What TCP connections had moved when they were over: sock_diag(7)'s notices of destroyed sockets.
//!
//! A connection that was given to a program is known by its cookie (SO_COOKIE), which no other socket
//! of this boot has. Nothing here waits. Notices are lost when many come at once; then nothing is
//! known of those connections.

use super::Errno;
use super::fd::raise;
use nix::libc;
use nix::sys::socket::{self as net, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{NetlinkAddr, sockopt};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The bits of SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY.
const GROUPS: u32 = 1 << 0 | 1 << 2;
/// `SOCK_DIAG_BY_FAMILY` and `INET_DIAG_INFO` of the kernel's headers.
const BY_FAMILY: u16 = 20;
const INFO: u16 = 2;
/// Lengths of `nlmsghdr` and `inet_diag_msg`, and where in the latter the cookie is.
const HEADER: usize = 16;
const MESSAGE: usize = 72;
const COOKIE: usize = HEADER + 44;
/// Where in `tcp_info` these are: tcpi_bytes_received, tcpi_data_segs_in, tcpi_bytes_sent,
/// tcpi_bytes_retrans.
const RECEIVED: usize = 128;
const SEGMENTS: usize = 152;
const SENT: usize = 200;
const RESENT: usize = 208;

/// A connection that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destroyed {
    /// Which.
    pub cookie: u64,
    /// Bytes that came from the other side and were acknowledged, read or not. The kernel counts the
    /// other side's end (FIN) as one more, if that came before our own was acknowledged; where nothing
    /// else came it is left out.
    pub received: u64,
    /// Bytes that were sent to the other side, each counted once.
    pub sent: u64,
}

/// The stream of notices.
#[derive(Debug)]
pub struct Notices(OwnedFd);

impl Notices {
    /// Begins to listen.
    pub fn open() -> Result<Notices, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkSockDiag;
        let socket = raise(net::socket(
            AddressFamily::Netlink,
            SockType::Raw,
            flags,
            protocol,
        )?);
        let _ = net::setsockopt(&socket, sockopt::RcvBuf, &(1 << 20));
        net::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Notices(socket))
    }

    /// The next that has come. One that cannot be read is left out.
    pub fn take(&self) -> Option<Destroyed> {
        let mut notice = [0; 1024];
        loop {
            match net::recv(self.0.as_raw_fd(), &mut notice, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => match read(&notice[..length]) {
                    Some(destroyed) => return Some(destroyed),
                    None => continue,
                },
                // Some were lost.
                Err(Errno::ENOBUFS | Errno::EINTR) => continue,
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What tells this socket from all others of this boot.
pub fn cookie(socket: BorrowedFd) -> Option<u64> {
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: cookie and length describe a buffer of ours; the kernel writes no more than length.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &mut length,
        )
    };
    (result == 0).then_some(cookie)
}

fn read(notice: &[u8]) -> Option<Destroyed> {
    if u16_at(notice, 4)? != BY_FAMILY {
        return None;
    }
    let cookie = u64_at(notice, COOKIE)?;
    let mut at = HEADER + MESSAGE;
    loop {
        let (length, kind) = (usize::from(u16_at(notice, at)?), u16_at(notice, at + 2)?);
        if kind == INFO {
            let info = notice.get(at + 4..at + length.max(4))?;
            return Some(Destroyed {
                cookie,
                received: match info.get(SEGMENTS..SEGMENTS + 4)? {
                    [0, 0, 0, 0] => 0,
                    _ => u64_at(info, RECEIVED)?,
                },
                sent: u64_at(info, SENT)?.saturating_sub(u64_at(info, RESENT)?),
            });
        }
        at += length.max(4).next_multiple_of(4);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// The client has closed first.
    const THE_END: u64 = 1;

    #[test]
    fn a_connection_that_is_over_has_told_what_it_moved() {
        let notices = Notices::open().unwrap();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut ours, _) = listener.accept().unwrap();
            let cookie = cookie(ours.as_fd()).unwrap();
            client.write_all(&[b'x'; 1000]).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            ours.read_to_end(&mut Vec::new()).unwrap();
            ours.write_all(&[b'y'; 77]).unwrap();
            drop(ours);
            client.read_to_end(&mut Vec::new()).unwrap();
            let mut all = std::iter::from_fn(|| {
                use nix::poll::{PollFd, PollFlags, poll};
                let mut fds = [PollFd::new(notices.as_fd(), PollFlags::POLLIN)];
                assert_eq!(poll(&mut fds, 10_000u16), Ok(1), "no notice");
                Some(notices.take())
            });
            let found = all.find(|it| it.is_some_and(|it| it.cookie == cookie));
            let expected = Destroyed {
                cookie,
                received: 1000 + THE_END,
                sent: 77,
            };
            assert_eq!(found.flatten(), Some(expected));
        }
    }

    #[test]
    fn anything_else_is_nothing() {
        assert_eq!(read(&[]), None);
        let mut notice = [0; 120];
        notice[4] = 20;
        assert_eq!(read(&notice), None);
    }
}
