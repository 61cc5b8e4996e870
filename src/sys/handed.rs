//! Sockets that whoever started us has handed over, by the protocol of sd_listen_fds(3), and those that we
//! hand to it.

use super::Errno;
use super::address::{Address, Transport};
use super::socket::local_address;
use nix::sys::socket as net;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrLike, sockopt};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// The number of the first.
const FIRST: RawFd = 3;

/// What is known of a socket that was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What the other side calls it.
    pub name: String,
    /// Kind of socket.
    pub transport: Transport,
    /// What it is bound to.
    pub address: Address,
}

/// The numbers and names that our environment tells of, if it speaks to this process. They are to be
/// kept, and looked at, before anything else is opened.
pub fn numbers() -> Vec<(RawFd, String)> {
    let variable = |name| std::env::var(name).ok();
    let number = |name| variable(name).and_then(|text| text.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").and_then(|count| RawFd::try_from(count).ok());
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    (FIRST..FIRST.saturating_add(count.unwrap_or(0)))
        .map(|number| (number, names.next().unwrap_or_default().to_owned()))
        .collect()
}

/// What kind of socket it is, and what it is bound to; `None` for what is no socket that listens.
pub fn facts(socket: BorrowedFd, name: String) -> Option<Facts> {
    let bound: net::SockaddrStorage = net::getsockname(socket.as_raw_fd()).ok()?;
    let is_unix = bound.family()? == AddressFamily::Unix;
    let transport = match (is_unix, net::getsockopt(&socket, sockopt::SockType).ok()?) {
        (false, SockType::Stream) => Transport::Tcp,
        (false, SockType::Datagram) => Transport::Udp,
        (true, SockType::Stream) => Transport::UnixStream,
        (true, SockType::Datagram) => Transport::UnixDatagram,
        (true, SockType::SeqPacket) => Transport::UnixSeqpacket,
        _ => return None,
    };
    let listens = net::getsockopt(&socket, sockopt::AcceptConn).ok()?;
    let address = match is_unix {
        true => unix(bound.as_unix_addr()?)?,
        false => Address::Inet(local_address(socket).ok()??),
    };
    (listens == transport.is_connected()).then_some(Facts {
        name,
        transport,
        address,
    })
}

fn unix(address: &net::UnixAddr) -> Option<Address> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    match (address.path(), address.as_abstract()) {
        (Some(path), _) => path.to_str().map(|path| Address::Path(path.to_owned())),
        (None, Some(name)) => text(name).map(Address::Abstract),
        (None, None) => None,
    }
}

/// A connection to the service manager's notification socket (sd_notify(3)); `None` without one.
pub fn connect_to_manager() -> Option<OwnedFd> {
    let path = std::env::var_os("NOTIFY_SOCKET")?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = net::socket(AddressFamily::Unix, SockType::Datagram, flags, None).ok()?;
    let address = match path.to_str()?.strip_prefix('@') {
        Some(name) => net::UnixAddr::new_abstract(name.as_bytes()),
        None => net::UnixAddr::new(Path::new(&path)),
    };
    net::connect(socket.as_raw_fd(), &address.ok()?).ok()?;
    Some(socket)
}

/// Tells the service manager something, with at most [`MOST`] descriptors, without waiting: EAGAIN when it has
/// too much to read already.
pub fn tell_manager(socket: BorrowedFd, text: &str, with: &[BorrowedFd]) -> Result<(), Errno> {
    let numbers: Vec<RawFd> = with.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [net::ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() {
        &[][..]
    } else {
        &rights[..]
    };
    let flags = net::MsgFlags::MSG_DONTWAIT | net::MsgFlags::MSG_NOSIGNAL;
    let parts = [std::io::IoSlice::new(text.as_bytes())];
    net::sendmsg::<()>(socket.as_raw_fd(), &parts, control, flags, None).map(drop)
}

/// Descriptors that one message can carry (SCM_MAX_FD).
pub const MOST: usize = 253;
