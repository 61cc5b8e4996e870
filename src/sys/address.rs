//! Kinds of sockets and what they are bound to, in the words of the table.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// Kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A Unix stream socket.
    UnixStream,
    /// A Unix datagram socket.
    UnixDatagram,
    /// A Unix socket that is connected and keeps record boundaries.
    UnixSeqpacket,
}

/// What a socket is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// Address, port and, for link-local IPv6, scope.
    Inet(SocketAddr),
    /// A Unix socket in the file system.
    Path(String),
    /// A Unix socket in Linux's abstract name space (unix(7)), without the leading `@`.
    Abstract(String),
}

impl fmt::Display for Address {
    /// The form that the table takes: `127.0.0.1:13`, `unix:/run/x`, `unix:@name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(f),
            Address::Path(path) => write!(f, "unix:{path}"),
            Address::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

impl Transport {
    /// Whether clients are accepted (true) or send datagrams (false).
    pub fn is_connected(self) -> bool {
        !matches!(self, Transport::Udp | Transport::UnixDatagram)
    }
}
