//! Where a service listens: transport and address, resolved to what bind(2) takes.

pub use crate::sys::address::{Address, Transport};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One socket to bind. A bare port in the table becomes two of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Kind of socket.
    pub transport: Transport,
    /// What it is bound to.
    pub address: Address,
    /// Which element of the service's `listen` it came from. Those with port 0 and the same entry
    /// share the port that the kernel chooses.
    pub entry: u16,
    /// Left out without a word when the host lacks the address family (or, for the addresses of a
    /// name, the address): one of several that were not asked for one by one.
    pub optional: bool,
}

impl fmt::Display for Endpoint {
    /// The form that `listen` takes: `127.0.0.1:13`, `udp:[::1]:13`, `unix:/run/x`, `unix:@name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.transport {
            Transport::Tcp => "",
            Transport::Udp => "udp:",
            Transport::UnixStream => "unix:",
            Transport::UnixDatagram => "unix-dgram:",
            Transport::UnixSeqpacket => "unix-seqpacket:",
        })?;
        match &self.address {
            Address::Inet(address) => write!(f, "{address}"),
            Address::Path(path) => f.write_str(path),
            Address::Abstract(name) => write!(f, "@{name}"),
        }
    }
}
