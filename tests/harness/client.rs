//! A client of a TCP or Unix service: sends, expects, and never waits longer than [`DEADLINE`].

use super::DEADLINE;
use super::process::ready_until;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, SockaddrStorage, UnixAddr, bind,
    connect, getsockname, recv, send, setsockopt, shutdown, socket, sockopt,
};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// A connected socket. Methods that fail panic: the test has failed.
#[derive(Debug)]
pub(crate) struct Client(OwnedFd);

/// What reading found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// Bytes, for a seqpacket socket one record.
    Bytes(Vec<u8>),
    /// The other side has ended.
    End,
    /// The connection was reset.
    Reset,
}

impl Client {
    /// Connects to an address in the form of the log: `127.0.0.1:5`, `[::1]:5`, `unix:/path`,
    /// `unix-seqpacket:@name`. A wildcard address stands for the loopback one.
    #[track_caller]
    pub(crate) fn connect(address: &str) -> Client {
        Client::try_connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// The same, for tests of services that may not answer.
    pub(crate) fn try_connect(address: &str) -> Result<Client, Errno> {
        let (kind, rest) = match address.split_once(':') {
            Some(("unix", rest)) => (SockType::Stream, rest),
            Some(("unix-seqpacket", rest)) => (SockType::SeqPacket, rest),
            _ => return Client::connect_inet(address),
        };
        let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        connect(fd.as_raw_fd(), &unix_address(rest))?;
        Ok(Client(fd))
    }

    fn connect_inet(address: &str) -> Result<Client, Errno> {
        let address = loopback(address);
        let family = if address.is_ipv4() {
            AddressFamily::Inet
        } else {
            AddressFamily::Inet6
        };
        let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        connect(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        Ok(Client(fd))
    }

    /// Connects from an address that leads back to this host, such as 127.0.0.7; an IPv4-mapped one
    /// goes with a mapped `address`.
    #[track_caller]
    pub(crate) fn connect_from(source: &str, address: &str) -> Client {
        Client::try_connect_from(source, address)
            .unwrap_or_else(|error| panic!("cannot connect from {source} to {address}: {error}"))
    }

    /// The same, for tests of services that may not answer.
    pub(crate) fn try_connect_from(source: &str, address: &str) -> Result<Client, Errno> {
        let source: IpAddr = source.parse().expect("an address");
        let family = match source {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        // Without it the port would be taken before it is known where the connection leads to.
        setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
        // A route may lead back where no interface has the address.
        setsockopt(&fd, sockopt::IpFreebind, &true)?;
        bind(
            fd.as_raw_fd(),
            &SockaddrStorage::from(SocketAddr::from((source, 0))),
        )?;
        connect(fd.as_raw_fd(), &SockaddrStorage::from(loopback(address)))?;
        Ok(Client(fd))
    }

    /// The client's own port.
    pub(crate) fn port(&self) -> u16 {
        port(&self.0)
    }

    /// Sends all of it.
    #[track_caller]
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) -> &Client {
        let mut bytes = bytes.as_ref();
        let deadline = Instant::now() + DEADLINE;
        while !bytes.is_empty() {
            assert!(
                ready_until(&self.0, PollFlags::POLLOUT, deadline),
                "nobody reads what is sent"
            );
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match send(self.0.as_raw_fd(), bytes, flags) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => panic!("cannot send: {error}"),
            }
        }
        self
    }

    /// Reads exactly as many bytes, which must be these.
    #[track_caller]
    pub(crate) fn expect(&self, bytes: impl AsRef<[u8]>) -> &Client {
        let expected = bytes.as_ref();
        let found = self.read_exactly(expected.len());
        assert!(
            found == expected,
            "expected {:?}, found {:?}",
            String::from_utf8_lossy(expected),
            String::from_utf8_lossy(&found)
        );
        self
    }

    /// Reads so many bytes.
    #[track_caller]
    pub(crate) fn read_exactly(&self, count: usize) -> Vec<u8> {
        let mut found = Vec::new();
        while found.len() < count {
            match self.read(count - found.len()) {
                Got::Bytes(bytes) => found.extend(bytes),
                end => panic!(
                    "{end:?} after {:?}, {count} bytes were expected",
                    String::from_utf8_lossy(&found)
                ),
            }
        }
        found
    }

    /// Reads up to and with the next newline; returns it without.
    #[track_caller]
    pub(crate) fn read_line(&self) -> String {
        let mut line = Vec::new();
        loop {
            match self.read_exactly(1)[0] {
                b'\n' => return String::from_utf8(line).expect("UTF-8"),
                byte => line.push(byte),
            }
        }
    }

    /// Reads to the end. A reset is a failure.
    #[track_caller]
    pub(crate) fn read_all(&self) -> Vec<u8> {
        let mut found = Vec::new();
        loop {
            match self.read(65536) {
                Got::Bytes(bytes) => found.extend(bytes),
                Got::End => return found,
                Got::Reset => panic!("reset after {:?}", String::from_utf8_lossy(&found)),
            }
        }
    }

    /// Reads text to the end.
    #[track_caller]
    pub(crate) fn read_text(&self) -> String {
        String::from_utf8(self.read_all()).expect("UTF-8")
    }

    /// Reads what comes next, at most so many bytes.
    #[track_caller]
    pub(crate) fn read(&self, at_most: usize) -> Got {
        let mut buffer = vec![0; at_most];
        let deadline = Instant::now() + DEADLINE;
        loop {
            assert!(
                ready_until(&self.0, PollFlags::POLLIN, deadline),
                "nothing came to read"
            );
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Got::End,
                Ok(count) => {
                    buffer.truncate(count);
                    return Got::Bytes(buffer);
                }
                Err(Errno::ECONNRESET) => return Got::Reset,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => panic!("cannot read: {error}"),
            }
        }
    }

    /// The other side ends without another byte.
    #[track_caller]
    pub(crate) fn expect_end(&self) {
        assert_eq!(self.read(1024), Got::End);
    }

    /// Says that no more will be sent.
    #[track_caller]
    pub(crate) fn half_close(&self) -> &Client {
        shutdown(self.0.as_raw_fd(), Shutdown::Write).expect("shutdown");
        self
    }

    /// Closes so that the other side sees a reset (an internet socket's lingering of no time).
    pub(crate) fn reset(self) {
        use nix::sys::socket::{setsockopt, sockopt::Linger};
        setsockopt(
            &self.0,
            Linger,
            &libc::linger {
                l_onoff: 1,
                l_linger: 0,
            },
        )
        .expect("SO_LINGER");
    }

    /// The socket itself.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

/// An internet address of the log as one to connect to.
pub(super) fn loopback(address: &str) -> SocketAddr {
    let mut address: SocketAddr = address
        .parse()
        .unwrap_or_else(|_| panic!("{address:?} is not an internet address"));
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

/// `/path` or `@name`.
pub(super) fn unix_address(text: &str) -> UnixAddr {
    match text.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes()),
        None => UnixAddr::new(text),
    }
    .expect("a Unix address")
}

/// The port that a socket is bound to.
pub(super) fn port(fd: &OwnedFd) -> u16 {
    let name: SockaddrStorage = getsockname(fd.as_raw_fd()).unwrap();
    let v4 = name.as_sockaddr_in().map(|name| name.port());
    v4.or(name.as_sockaddr_in6().map(|name| name.port()))
        .expect("an internet address")
}
