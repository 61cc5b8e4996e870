//! Whom a datagram service must not answer, lest somebody with a forged source address sets two
//! services talking to each other for ever, or floods a third party through us.
//!
//! Pure: whether an address is this host's is asked through a function.

use crate::sys::socket::fold;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Ports below this one belong to services, never to clients.
const FIRST_CLIENT_PORT: u16 = 1024;

/// The UDP sockets of this server, by port, each as often as it was told.
#[derive(Debug, Default)]
pub(super) struct OwnSockets {
    by_port: HashMap<u16, Vec<IpAddr>>,
}

impl OwnSockets {
    /// Takes note of a socket that is bound here.
    pub(super) fn add(&mut self, address: SocketAddr) {
        let address = fold(address);
        self.by_port
            .entry(address.port())
            .or_default()
            .push(address.ip());
    }

    /// One that was bound here is gone.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        let address = fold(address);
        let Some(bound) = self.by_port.get_mut(&address.port()) else {
            return;
        };
        if let Some(place) = bound.iter().position(|ip| *ip == address.ip()) {
            bound.swap_remove(place);
        }
        if bound.is_empty() {
            self.by_port.remove(&address.port());
        }
    }

    /// Whether one of them sent this. A socket on the wildcard address sends from every address
    /// for which `is_own_address` is true; it is asked only when the port is that of such a socket.
    fn sent(&self, source: SocketAddr, is_own_address: impl FnOnce(SocketAddr) -> bool) -> bool {
        let Some(bound) = self.by_port.get(&source.port()) else {
            return false;
        };
        let wildcard = |ip: &IpAddr| ip.is_unspecified() && ip.is_ipv4() == source.is_ipv4();
        bound.contains(&source.ip()) || (bound.iter().any(wildcard) && is_own_address(source))
    }

    /// Whether a source may be answered at all.
    pub(super) fn is_safe(
        &self,
        source: SocketAddr,
        is_own_address: impl FnOnce(SocketAddr) -> bool,
    ) -> bool {
        let source = fold(source);
        source.port() >= FIRST_CLIENT_PORT
            && is_host(source.ip())
            && !self.sent(source, is_own_address)
    }
}

/// Whether an address stands for one host.
fn is_host(ip: IpAddr) -> bool {
    !(ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ours(source: SocketAddr) -> bool {
        ["192.0.2.1", "2001:db8::1"].contains(&source.ip().to_string().as_str())
    }

    #[test]
    fn only_client_ports_of_single_hosts_are_answered() {
        let is_safe = |source| OwnSockets::default().is_safe(address(source), ours);
        assert!(is_safe("198.51.100.1:1024") && is_safe("[2001:db8::2]:65535"));
        assert!(!is_safe("198.51.100.1:1023") && !is_safe("198.51.100.1:0"));
        assert!(!is_safe("[2001:db8::2]:13"));
        assert!(!is_safe("0.0.0.0:5000") && !is_safe("[::]:5000"));
        assert!(!is_safe("255.255.255.255:5000") && !is_safe("[::ffff:255.255.255.255]:5000"));
        assert!(!is_safe("224.0.0.1:5000") && !is_safe("[ff02::1]:5000"));
    }

    #[test]
    fn our_own_sockets_are_not_answered() {
        let mut own = OwnSockets::default();
        own.add(address("192.0.2.1:10007"));
        let is_safe = |source: &str| own.is_safe(address(source), |_| panic!("not asked"));
        assert!(!is_safe("192.0.2.1:10007") && !is_safe("[::ffff:192.0.2.1]:10007"));
        assert!(is_safe("192.0.2.1:10008") && is_safe("192.0.2.2:10007"));
    }

    #[test]
    fn a_wildcard_socket_stands_for_every_address_of_its_family() {
        let mut own = OwnSockets::default();
        own.add(address("0.0.0.0:10007"));
        own.add(address("[::]:10013"));
        let is_safe = |source| own.is_safe(address(source), ours);
        assert!(!is_safe("192.0.2.1:10007") && !is_safe("[2001:db8::1]:10013"));
        assert!(is_safe("192.0.2.2:10007") && is_safe("[2001:db8::2]:10013"));
        assert!(is_safe("192.0.2.1:10013") && is_safe("[2001:db8::1]:10007"));
    }

    #[test]
    fn a_socket_is_forgotten_as_often_as_it_was_told() {
        let mut own = OwnSockets::default();
        let socket = address("192.0.2.1:10007");
        own.add(socket);
        own.add(socket);
        own.forget(socket);
        assert!(!own.is_safe(socket, ours));
        own.forget(socket);
        own.forget(socket);
        assert!(own.is_safe(socket, ours) && own.by_port.is_empty());
    }
}
