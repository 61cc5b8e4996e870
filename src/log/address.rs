//! How much of a client is shown: `[server] log_address`.

use crate::sys::socket::Peer;
use crate::table::LogAddress;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of a network that say where a client is from, and not who it is.
const V4_BITS: u32 = 24;
const V6_BITS: u32 = 48;

/// A client, shown as the table wishes.
pub(super) struct Shown(pub(super) Peer, pub(super) LogAddress);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.1, self.0) {
            (LogAddress::Full, peer) => peer.fmt(f),
            (LogAddress::None, _) => f.write_str("-"),
            (LogAddress::Prefix, Peer::Unix { uid, .. }) => write!(f, "unix:uid={uid}"),
            (LogAddress::Prefix, Peer::Inet(address)) => match address.ip() {
                IpAddr::V4(ip) => {
                    let network = Ipv4Addr::from(u32::from(ip) & (u32::MAX << (32 - V4_BITS)));
                    write!(f, "{network}/{V4_BITS}")
                }
                IpAddr::V6(ip) => {
                    let network = Ipv6Addr::from(u128::from(ip) & (u128::MAX << (128 - V6_BITS)));
                    write!(f, "{network}/{V6_BITS}")
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_shown_as_far_as_the_table_wishes() {
        let inet = |address: &str| Peer::Inet(address.parse().unwrap());
        let unix = Peer::Unix {
            uid: 1000,
            gid: 100,
            pid: 42,
        };
        let cases = [
            (
                inet("192.0.2.77:4000"),
                ["192.0.2.77:4000", "192.0.2.0/24", "-"],
            ),
            (
                inet("[2001:db8:1:2:3::4]:4000"),
                ["[2001:db8:1:2:3::4]:4000", "2001:db8:1::/48", "-"],
            ),
            (
                inet("[fe80::1%3]:4000"),
                ["[fe80::1%3]:4000", "fe80::/48", "-"],
            ),
            (unix, ["unix:uid=1000,pid=42", "unix:uid=1000", "-"]),
        ];
        for (peer, expected) in cases {
            let all = [LogAddress::Full, LogAddress::Prefix, LogAddress::None];
            assert_eq!(all.map(|how| Shown(peer, how).to_string()), expected);
        }
    }
}
