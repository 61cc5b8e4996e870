//! Kinds of sockets and what they are bound to, in the words of the table.

use serde::{Deserialize, Serialize};
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

impl Transport {
    /// Whether clients are accepted (true) or send datagrams (false).
    pub fn is_connected(self) -> bool {
        !matches!(self, Transport::Udp | Transport::UnixDatagram)
    }
}
