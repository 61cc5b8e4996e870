//! What waits in a socket's queue, without taking it: TCP_INFO (tcp(7)), sock_diag(7), arrival stamps.
//!
//! Nothing here can wait: the kernel answers a sock_diag question within the send. Where it does not
//! know (no `unix_diag`, a sandbox that forbids netlink) the answer is `None`.

use super::Errno;
use super::address::Transport;
use super::fd::raise;
use super::socket::inet_address;
use nix::sys::socket::{
    self as net, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, sockopt,
};
use nix::{libc, sys::stat};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// `SOCK_DIAG_BY_FAMILY`, `UDIAG_SHOW_RQLEN` and `UNIX_DIAG_RQLEN` of the kernel's headers.
const BY_FAMILY: u16 = 20;
const SHOW_RQLEN: u32 = 0x10;
const RQLEN: u16 = 4;
/// The lengths of `nlmsghdr` and `unix_diag_msg`.
const HEADER: usize = 16;
const MESSAGE: usize = 16;

/// Something that changes when a program takes what waits first in a socket's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueHead {
    /// Connections that wait to be accepted.
    Waiting(u32),
    /// Arrival of the first datagram.
    Datagram(Duration),
}

/// A way to ask, opened at the first question that needs it.
#[derive(Debug, Default)]
pub struct Diag {
    netlink: Option<OwnedFd>,
}

impl Diag {
    /// How many connections wait to be accepted at a listener.
    pub fn waiting(&mut self, listener: BorrowedFd, transport: Transport) -> Option<u32> {
        match transport {
            Transport::Tcp => waiting_tcp(listener),
            Transport::UnixStream | Transport::UnixSeqpacket => self.waiting_unix(listener),
            Transport::Udp | Transport::UnixDatagram => None,
        }
    }

    /// What waits first, if that can be told. Nothing is read.
    pub fn head(&mut self, socket: BorrowedFd, transport: Transport) -> Option<QueueHead> {
        match transport {
            Transport::Udp | Transport::UnixDatagram => head_stamp(socket).map(QueueHead::Datagram),
            _ => self.waiting(socket, transport).map(QueueHead::Waiting),
        }
    }

    fn waiting_unix(&mut self, listener: BorrowedFd) -> Option<u32> {
        let inode = stat::fstat(listener).ok()?.st_ino as u32;
        let mut answer = [0; 512];
        let length = self.ask(&question(inode), &mut answer)?;
        queue_of(answer.get(..length)?)
    }

    /// Asks a question of sock_diag(7). Returns the length of its answer.
    pub(super) fn ask(&mut self, question: &[u8], answer: &mut [u8]) -> Option<usize> {
        if self.netlink.is_none() {
            self.netlink = open().ok();
        }
        let netlink = self.netlink.as_ref()?.as_raw_fd();
        net::send(netlink, question, MsgFlags::MSG_DONTWAIT).ok()?;
        net::recv(netlink, answer, MsgFlags::MSG_DONTWAIT).ok()
    }
}

/// When the datagram that waits first arrived. The kernel notes it when first asked and keeps it, so
/// that no two datagrams have the same, however alike they are. Descriptors that came with one (on a
/// Unix socket) are not received: there is room for the stamp only, which comes first.
fn head_stamp(socket: BorrowedFd) -> Option<Duration> {
    peek(socket)?.stamp
}

/// What the kernel tells of the datagram that waits first.
struct Peeked {
    stamp: Option<Duration>,
    /// Whether there was more to be told, such as descriptors.
    has_more: bool,
}

fn peek(socket: BorrowedFd) -> Option<Peeked> {
    net::setsockopt(&socket, sockopt::ReceiveTimestampns, &true).ok()?;
    let peeked = peek_stamp(socket);
    // The program is to find the socket as the table says.
    let _ = net::setsockopt(&socket, sockopt::ReceiveTimestampns, &false);
    peeked
}

/// Not by nix, which gives nothing of what was cut short.
fn peek_stamp(socket: BorrowedFd) -> Option<Peeked> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        time: libc::timespec,
    }
    let mut control = MaybeUninit::<Control>::zeroed();
    // SAFETY: all-zero bytes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the message has a buffer for control data, of the size that is said, and no other.
    Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) }).ok()?;
    // SAFETY: zeroed above, and every bit pattern is valid.
    let Control { header, time } = unsafe { control.assume_init() };
    let is_stamp = message.msg_controllen as usize >= size_of::<Control>()
        && header.cmsg_level == libc::SOL_SOCKET
        && header.cmsg_type == libc::SCM_TIMESTAMPNS;
    let stamp = || {
        let seconds = u64::try_from(time.tv_sec).ok()?;
        Some(Duration::new(seconds, time.tv_nsec as u32))
    };
    Some(Peeked {
        stamp: stamp().filter(|_| is_stamp),
        has_more: message.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

/// Drops the datagram that waits first, unread, and says which IP address sent it. EPERM for one on a
/// Unix socket that may bring descriptors: we would have to close them, and that may take its time.
pub fn drop_head(socket: BorrowedFd, transport: Transport) -> Result<Option<SocketAddr>, Errno> {
    if transport != Transport::Udp && peek(socket).is_some_and(|peeked| peeked.has_more) {
        return Err(Errno::EPERM);
    }
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: nothing is written through the null pointer, whose length is 0; storage and length
    // describe a buffer of ours that is large enough for any address.
    Errno::result(unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            std::ptr::null_mut(),
            0,
            libc::MSG_DONTWAIT,
            storage.as_mut_ptr().cast(),
            &mut length,
        )
    })?;
    // SAFETY: zeroed above, and every bit pattern is a valid sockaddr_storage.
    Ok(inet_address(&unsafe { storage.assume_init() }))
}

/// How many connections wait in a TCP listener's queue (tcp(7), TCP_INFO).
fn waiting_tcp(listener: BorrowedFd) -> Option<u32> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: info and length describe a buffer of ours; the kernel writes no more than length.
    let result = unsafe {
        libc::getsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut length,
        )
    };
    // SAFETY: zeroed above, and every bit pattern is a valid tcp_info.
    (result == 0).then(|| unsafe { info.assume_init() }.tcpi_unacked)
}

fn open() -> Result<OwnedFd, Errno> {
    net::socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )
    .map(raise)
}

/// `nlmsghdr` and `unix_diag_req` for one socket.
fn question(inode: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 24);
    bytes.extend((HEADER as u32 + 24).to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([libc::AF_UNIX as u8, 0, 0, 0]);
    // Any state, this inode, what to show, no cookie.
    for word in [u32::MAX, inode, SHOW_RQLEN, u32::MAX, u32::MAX] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes
}

/// The queue's length in an answer; `None` for an error or anything unexpected.
fn queue_of(answer: &[u8]) -> Option<u32> {
    if u16_at(answer, 4)? != BY_FAMILY {
        return None;
    }
    let mut at = HEADER + MESSAGE;
    loop {
        let (length, kind) = (u16_at(answer, at)? as usize, u16_at(answer, at + 2)?);
        if kind == RQLEN {
            let bytes = answer.get(at + 4..at + 8)?;
            return Some(u32::from_ne_bytes(bytes.try_into().ok()?));
        }
        at += length.max(4).next_multiple_of(4);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(pair.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

    #[test]
    fn waiting_connections_are_counted() {
        use std::os::linux::net::SocketAddrExt;
        let mut diag = Diag::default();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("oxinetd-diag-{}", std::process::id());
        let name = SocketAddr::from_abstract_name(name).unwrap();
        let unix = UnixListener::bind_addr(&name).unwrap();
        assert_eq!(diag.waiting(tcp.as_fd(), Transport::Tcp), Some(0));
        assert_eq!(diag.waiting(unix.as_fd(), Transport::UnixStream), Some(0));
        let _one = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let _two = UnixStream::connect_addr(&name).unwrap();
        let _three = UnixStream::connect_addr(&name).unwrap();
        // The kernel lets a client go on before the last packet of the handshake has come in.
        while diag.waiting(tcp.as_fd(), Transport::Tcp) == Some(0) {
            std::thread::yield_now();
        }
        assert_eq!(diag.waiting(tcp.as_fd(), Transport::Tcp), Some(1));
        assert_eq!(diag.waiting(unix.as_fd(), Transport::UnixStream), Some(2));
    }

    #[test]
    fn datagrams_are_told_apart_and_the_first_can_be_dropped() {
        let mut diag = Diag::default();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(udp.local_addr().unwrap()).unwrap();
        assert_eq!(diag.head(udp.as_fd(), Transport::Udp), None);
        assert_eq!(drop_head(udp.as_fd(), Transport::Udp), Err(Errno::EAGAIN));
        (0..2).for_each(|_| assert_eq!(client.send(b"x").unwrap(), 1));
        // It has come when it can be looked at.
        udp.peek(&mut [0]).unwrap();
        let first = diag.head(udp.as_fd(), Transport::Udp).unwrap();
        assert_eq!(diag.head(udp.as_fd(), Transport::Udp), Some(first));
        let dropped = drop_head(udp.as_fd(), Transport::Udp);
        assert_eq!(dropped, Ok(Some(client.local_addr().unwrap())));
        udp.peek(&mut [0]).unwrap();
        assert_ne!(diag.head(udp.as_fd(), Transport::Udp), Some(first));
        assert!(drop_head(udp.as_fd(), Transport::Udp).is_ok());
        assert_eq!(drop_head(udp.as_fd(), Transport::Udp), Err(Errno::EAGAIN));
    }

    #[test]
    fn unix_datagrams_are_told_apart_and_bring_no_descriptors() {
        use std::io::IoSlice;
        let mut diag = Diag::default();
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        // Its other end tells when nobody has it any more.
        let (passed, mut witness) = UnixStream::pair().unwrap();
        witness.set_nonblocking(true).unwrap();
        let rights = [passed.as_raw_fd()];
        for _ in 0..2 {
            let control = [net::ControlMessage::ScmRights(&rights)];
            let parts = [IoSlice::new(b"x")];
            let flags = MsgFlags::empty();
            net::sendmsg::<()>(theirs.as_raw_fd(), &parts, &control, flags, None).unwrap();
        }
        drop(passed);
        let first = diag.head(ours.as_fd(), Transport::UnixDatagram).unwrap();
        let again = diag.head(ours.as_fd(), Transport::UnixDatagram);
        assert_eq!(again, Some(first));
        ours.recv(&mut [0]).unwrap();
        let next = diag.head(ours.as_fd(), Transport::UnixDatagram);
        assert!(next.is_some_and(|next| next != first));
        let drop_head = || drop_head(ours.as_fd(), Transport::UnixDatagram);
        assert_eq!(drop_head(), Err(Errno::EPERM));
        let is_somewhere = |witness: &mut UnixStream| match witness.read(&mut [0]) {
            Ok(0) => false,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => true,
            other => panic!("{other:?}"),
        };
        assert!(is_somewhere(&mut witness));
        ours.recv(&mut [0]).unwrap();
        assert!(
            !is_somewhere(&mut witness),
            "a look has brought a descriptor"
        );
        theirs.send(b"plain").unwrap();
        assert_eq!((drop_head(), drop_head()), (Ok(None), Err(Errno::EAGAIN)));
    }

    #[test]
    fn an_answer_that_is_cut_short_is_none() {
        let mut answer = vec![0; 16];
        answer[4] = 20;
        assert_eq!(queue_of(&answer), None);
        answer.extend([0; 16]);
        assert_eq!(queue_of(&answer), None);
        answer.extend([0; 7]);
        assert_eq!(queue_of(&answer), None);
    }
}
