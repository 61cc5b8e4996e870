//! A client of a UDP or Unix datagram service.

use super::client::{self, loopback, unix_address};
use super::process::readable_until;
use super::{DEADLINE, Directory};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, connect, recv,
    send, socket,
};
use std::fs::{self, Permissions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

/// A socket that is connected to one service, so that only its answers are seen.
#[derive(Debug)]
pub(crate) struct UdpClient(OwnedFd);

impl UdpClient {
    /// Connects to `udp:127.0.0.1:5` or `unix-dgram:/path` (then from a path in the directory, which
    /// an answer needs).
    #[track_caller]
    pub(crate) fn connect(address: &str, directory: &Directory) -> UdpClient {
        if let Some(path) = address.strip_prefix("unix-dgram:") {
            let fd = datagram_socket(AddressFamily::Unix);
            let own = (0..).map(|n| directory.join(&format!("client-{n}.socket")));
            let mut own = own.map(|path| UnixAddr::new(path.as_str()).expect("a short path"));
            let own = own.find(|own| bind(fd.as_raw_fd(), own).is_ok());
            open_to_all(own.as_ref().and_then(UnixAddr::path));
            connect(fd.as_raw_fd(), &unix_address(path)).expect("connect");
            return UdpClient(fd);
        }
        let address = loopback(address.strip_prefix("udp:").expect("a UDP address"));
        let family = if address.is_ipv4() {
            AddressFamily::Inet
        } else {
            AddressFamily::Inet6
        };
        let fd = datagram_socket(family);
        connect(fd.as_raw_fd(), &SockaddrStorage::from(address)).expect("connect");
        UdpClient(fd)
    }

    /// Sends one datagram.
    #[track_caller]
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) -> &UdpClient {
        let bytes = bytes.as_ref();
        assert_eq!(
            send(self.0.as_raw_fd(), bytes, MsgFlags::empty()),
            Ok(bytes.len())
        );
        self
    }

    /// Receives one datagram.
    #[track_caller]
    pub(crate) fn receive(&self) -> Vec<u8> {
        assert!(
            readable_until(&self.0, Instant::now() + DEADLINE),
            "no datagram came"
        );
        let mut buffer = vec![0; 65536];
        let count = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()).expect("recv");
        buffer.truncate(count);
        buffer
    }

    /// Receives one datagram, which must be this.
    #[track_caller]
    pub(crate) fn expect(&self, bytes: impl AsRef<[u8]>) -> &UdpClient {
        let found = self.receive();
        assert_eq!(
            String::from_utf8_lossy(&found),
            String::from_utf8_lossy(bytes.as_ref())
        );
        self
    }

    /// The client's own port.
    pub(crate) fn port(&self) -> u16 {
        client::port(&self.0)
    }

    /// The socket itself.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

fn datagram_socket(family: AddressFamily) -> OwnedFd {
    socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).expect("socket")
}

/// A service that runs as somebody else answers by writing to the client's socket.
fn open_to_all(path: Option<&Path>) {
    let path = path.expect("a bound socket");
    fs::set_permissions(path, Permissions::from_mode(0o666)).expect("chmod");
}
