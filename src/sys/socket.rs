//! Sockets: making listeners, accepting, and asking the kernel about them.
//!
//! Nothing here reads a byte that a client sent.

use super::Errno;
use super::address::{Address, Transport};
use super::fd::{own, raise};
use super::options::SocketOptions;
use nix::sys::socket as net;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over IP; an IPv4-mapped address is folded to IPv4.
    Inet(SocketAddr),
    /// Over a Unix socket: the credentials that the kernel noted at connect(2).
    Unix {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
        /// Process id; 0 when it is not visible from here.
        pid: i32,
    },
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Inet(address) => address.fmt(f),
            Peer::Unix { uid, pid, .. } => write!(f, "unix:uid={uid},pid={pid}"),
        }
    }
}

/// IPv4-mapped IPv6 addresses as the IPv4 addresses that they are.
pub fn fold(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// Which socket option or call of [`bind`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindError {
    /// The system call.
    pub call: &'static str,
    /// Its error.
    pub errno: Errno,
}

/// Makes a socket, binds it to the address and, for connected kinds, listens. It is close-on-exec,
/// above the descriptor floor, and non-blocking unless it is to be given to a `wait` program.
/// Accepted sockets inherit its options.
///
/// IPv6 sockets never take IPv4 clients (IPV6_V6ONLY). SO_REUSEADDR is set on TCP alone: on UDP it
/// would let any user bind the same port and take the datagrams.
pub fn bind(
    transport: Transport,
    address: &Address,
    nonblocking: bool,
    options: &SocketOptions,
) -> Result<OwnedFd, BindError> {
    let failed = |call: &'static str| move |errno: Errno| BindError { call, errno };
    let (family, kind) = family_and_kind(transport, address);
    let mut flags = SockFlag::SOCK_CLOEXEC;
    flags.set(SockFlag::SOCK_NONBLOCK, nonblocking);
    let socket = raise(net::socket(family, kind, flags, None).map_err(failed("socket"))?);
    if family == AddressFamily::Inet6 {
        net::setsockopt(&socket, sockopt::Ipv6V6Only, &true)
            .map_err(failed("setsockopt IPV6_V6ONLY"))?;
    }
    if transport == Transport::Tcp {
        net::setsockopt(&socket, sockopt::ReuseAddr, &true)
            .map_err(failed("setsockopt SO_REUSEADDR"))?;
    }
    options
        .prepare(socket.as_fd(), transport, family)
        .map_err(|(call, errno)| BindError { call, errno })?;
    bind_to(&socket, address, options.file.mask()).map_err(failed("bind"))?;
    if let Address::Path(path) = address {
        give_rights(path, options)?;
    }
    if transport.is_connected() {
        net::listen(&socket, options.backlog()).map_err(failed("listen"))?;
    }
    Ok(socket)
}

fn family_and_kind(transport: Transport, address: &Address) -> (AddressFamily, SockType) {
    let family = match address {
        Address::Inet(SocketAddr::V4(_)) => AddressFamily::Inet,
        Address::Inet(SocketAddr::V6(_)) => AddressFamily::Inet6,
        Address::Path(_) | Address::Abstract(_) => AddressFamily::Unix,
    };
    let kind = match transport {
        Transport::Tcp | Transport::UnixStream => SockType::Stream,
        Transport::Udp | Transport::UnixDatagram => SockType::Datagram,
        Transport::UnixSeqpacket => SockType::SeqPacket,
    };
    (family, kind)
}

/// A file that cannot be given its rights is of no use, and not left behind.
fn give_rights(path: &str, options: &SocketOptions) -> Result<(), BindError> {
    if options.file.is_plain() {
        return Ok(());
    }
    options.file.give(path, None).map_err(|(call, errno)| {
        let _ = std::fs::remove_file(path);
        BindError { call, errno }
    })
}

/// Binds it; the mask is for the file of a Unix socket.
fn bind_to(socket: &OwnedFd, address: &Address, mask: u32) -> Result<(), Errno> {
    let fd = socket.as_raw_fd();
    match address {
        Address::Inet(address) => net::bind(fd, &SockaddrStorage::from(*address)),
        Address::Abstract(name) => net::bind(fd, &net::UnixAddr::new_abstract(name.as_bytes())?),
        Address::Path(path) => {
            // The mask belongs to this process alone, and nothing else runs in it.
            let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
            let result =
                net::UnixAddr::new(path.as_str()).and_then(|address| net::bind(fd, &address));
            nix::sys::stat::umask(before);
            result
        }
    }
}

/// Whether somebody answers at the path of a Unix socket: such a socket is alive, and not ours to
/// replace. ECONNREFUSED means that nobody has it open.
pub fn is_alive(path: &str, transport: Transport) -> Result<bool, Errno> {
    let kind = match transport {
        Transport::UnixDatagram => SockType::Datagram,
        Transport::UnixSeqpacket => SockType::SeqPacket,
        _ => SockType::Stream,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = net::socket(AddressFamily::Unix, kind, flags, None)?;
    match net::connect(socket.as_raw_fd(), &net::UnixAddr::new(path)?) {
        Err(Errno::ECONNREFUSED) => Ok(false),
        Err(Errno::EPROTOTYPE) | Err(Errno::EAGAIN) | Ok(()) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// A socket to the system's log daemon.
#[derive(Debug)]
pub struct LogSocket {
    /// Non-blocking, close-on-exec, above the floor.
    pub fd: OwnedFd,
    /// Whether it keeps no boundaries.
    pub is_stream: bool,
}

/// Connects to the log daemon at this path: by datagrams, or by a stream where it wants one. Waits for
/// nothing: EAGAIN when it has too many such streams to take.
pub fn connect_to_log(path: &str) -> Result<LogSocket, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let address = net::UnixAddr::new(path)?;
    let connect = |kind| {
        let fd = net::socket(AddressFamily::Unix, kind, flags, None)?;
        net::connect(fd.as_raw_fd(), &address)?;
        Ok(LogSocket {
            fd: raise(fd),
            is_stream: kind == SockType::Stream,
        })
    };
    match connect(SockType::Datagram) {
        Err(Errno::EPROTOTYPE) => connect(SockType::Stream),
        result => result,
    }
}

/// Sends one datagram, or some bytes of a stream. A daemon that has gone is an error, never a signal.
pub fn send_to_log(socket: &LogSocket, bytes: &[u8]) -> Result<usize, Errno> {
    let flags = net::MsgFlags::MSG_DONTWAIT | net::MsgFlags::MSG_NOSIGNAL;
    net::send(socket.fd.as_raw_fd(), bytes, flags)
}

/// Accepts one connection. The socket is close-on-exec, and blocking unless asked otherwise (the
/// listener's own flag is not inherited on Linux).
pub fn accept(listener: BorrowedFd, nonblocking: bool) -> Result<(OwnedFd, Peer), Errno> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let flags = libc::SOCK_CLOEXEC | if nonblocking { libc::SOCK_NONBLOCK } else { 0 };
    // SAFETY: storage and length describe a buffer of ours that is large enough for any address.
    let number = Errno::result(unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            storage.as_mut_ptr().cast(),
            &mut length,
            flags,
        )
    })?;
    let socket = own(number);
    // SAFETY: zeroed above, and every bit pattern is a valid sockaddr_storage.
    let storage = unsafe { storage.assume_init() };
    let peer = match inet_address(&storage) {
        Some(address) => Peer::Inet(address),
        None => unix_peer(&socket)?,
    };
    Ok((socket, peer))
}

fn unix_peer(socket: &OwnedFd) -> Result<Peer, Errno> {
    let credentials = net::getsockopt(socket, sockopt::PeerCredentials)?;
    Ok(Peer::Unix {
        uid: credentials.uid(),
        gid: credentials.gid(),
        pid: credentials.pid(),
    })
}

/// The IP address in a sockaddr, IPv4-mapped ones folded; `None` for other families.
pub(super) fn inet_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is a sockaddr_in, which sockaddr_storage can hold.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = u32::from_be(address.sin_addr.s_addr);
            Some(SocketAddrV4::new(ip.into(), u16::from_be(address.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: likewise a sockaddr_in6.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = address.sin6_addr.s6_addr.into();
            let port = u16::from_be(address.sin6_port);
            Some(fold(
                SocketAddrV6::new(ip, port, 0, address.sin6_scope_id).into(),
            ))
        }
        _ => None,
    }
}

/// The address that a socket is bound to; `None` for a Unix socket.
pub fn local_address(socket: BorrowedFd) -> Result<Option<SocketAddr>, Errno> {
    address_by(socket, libc::getsockname)
}

/// The address that a socket is connected to; ENOTCONN when it is not (or no more).
pub fn peer_address(socket: BorrowedFd) -> Result<Option<SocketAddr>, Errno> {
    address_by(socket, libc::getpeername)
}

type AddressCall = unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> i32;

fn address_by(socket: BorrowedFd, call: AddressCall) -> Result<Option<SocketAddr>, Errno> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: storage and length describe a buffer of ours that is large enough for any address.
    Errno::result(unsafe { call(socket.as_raw_fd(), storage.as_mut_ptr().cast(), &mut length) })?;
    // SAFETY: zeroed above, and every bit pattern is a valid sockaddr_storage.
    Ok(inet_address(&unsafe { storage.assume_init() }))
}

/// A pair of connected sockets that keep record boundaries, non-blocking, above the floor.
pub fn record_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) = net::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    Ok((raise(ours), raise(theirs)))
}

/// Descriptors that go with a record at most.
pub const MOST_DESCRIPTORS: usize = 3;

/// Sends one record, and up to [`MOST_DESCRIPTORS`] with it, without waiting: EAGAIN when the queue
/// is full. A reader that has gone is EPIPE, never a signal.
pub fn send_record(
    socket: BorrowedFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd],
) -> Result<(), Errno> {
    let mut numbers = [0; MOST_DESCRIPTORS];
    for (number, descriptor) in numbers.iter_mut().zip(descriptors) {
        *number = descriptor.as_raw_fd();
    }
    let numbers = &numbers[..descriptors.len().min(MOST_DESCRIPTORS)];
    let rights = [net::ControlMessage::ScmRights(numbers)];
    let control = if numbers.is_empty() { &[] } else { &rights[..] };
    let flags = net::MsgFlags::MSG_DONTWAIT | net::MsgFlags::MSG_NOSIGNAL;
    let parts = [std::io::IoSlice::new(bytes)];
    net::sendmsg::<()>(socket.as_raw_fd(), &parts, control, flags, None).map(drop)
}

/// Ends a TCP listener for whoever has a copy of it: another may be bound in its place at once.
pub fn stop_listening(socket: BorrowedFd) -> Result<(), Errno> {
    net::shutdown(socket.as_raw_fd(), net::Shutdown::Both)
}

/// Receives one record without waiting, and the descriptors that came with it (close-on-exec), of
/// which some are lost where too many are open here. A length of 0 is the end: the other side has
/// closed.
pub fn receive_record(
    socket: BorrowedFd,
    buffer: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), Errno> {
    // Aligned as a cmsghdr is, and with room for one that holds so many numbers.
    let mut space = [0u64; 8];
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all-zero bytes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = space.as_mut_ptr().cast();
    // SAFETY: computes a length.
    let room = unsafe { libc::CMSG_SPACE((MOST_DESCRIPTORS * size_of::<RawFd>()) as u32) };
    message.msg_controllen = room as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message describes buffers of ours, which the kernel does not exceed.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let length = Errno::result(length)?;
    let mut received = Vec::new();
    // SAFETY: the kernel has filled in a chain of headers within the space.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: the chain's pointers are to whole headers, with their data behind them.
        unsafe {
            if ((*header).cmsg_level, (*header).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let numbers = 0..bytes / size_of::<RawFd>();
                received.extend(numbers.map(|index| own(data.add(index).read_unaligned())));
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok((length as usize, received))
}

const _: () = assert!(
    MOST_DESCRIPTORS * size_of::<RawFd>() + 2 * size_of::<libc::cmsghdr>() <= 64,
    "the space of a message holds them"
);

/// The state of a socket that comes back from a `wait` program, as far as the program can have
/// changed it: why it can serve no more, or `None` when it is as it was.
pub fn damage(socket: BorrowedFd, transport: Transport) -> Option<&'static str> {
    if transport.is_connected() {
        match net::getsockopt(&socket, sockopt::AcceptConn) {
            Ok(true) => {}
            _ => return Some("it does not listen any more"),
        }
    } else if is_connected(socket) {
        return Some("it is connected to one peer");
    }
    // A Unix listener says that it listens even then.
    if super::poll::is_shut_down(socket) {
        return Some(match transport.is_connected() {
            true => "it does not listen any more",
            false => "it was shut down",
        });
    }
    if has_filter(socket) {
        return Some("a filter is attached to it");
    }
    None
}

fn is_connected(socket: BorrowedFd) -> bool {
    !matches!(peer_address(socket), Err(Errno::ENOTCONN))
}

/// SO_GET_FILTER answers the number of instructions, or an error when the filter is not of the
/// classic kind: only a plain 0 means none.
fn has_filter(socket: BorrowedFd) -> bool {
    let mut length: libc::socklen_t = 0;
    // SAFETY: with a length of 0 nothing is written through the null pointer.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            std::ptr::null_mut(),
            &mut length,
        )
    };
    result != 0 || length != 0
}

/// Whether a connection that was accepted is already gone (reset by the client in the queue).
pub fn is_gone(socket: impl AsFd) -> bool {
    matches!(peer_address(socket.as_fd()), Err(Errno::ENOTCONN))
}
