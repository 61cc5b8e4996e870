//! What `listen` means on this machine: names of hosts, ports and interfaces to [`Endpoint`]s.
//!
//! Looks names up, so it may take its time. What cannot be resolved is a mistake.

use super::file::reason;
use super::listen::{Family, HostPart, Port, Target, Wanted};
use super::mistake::{Located, Mistake, Mistakes};
use super::words::quoted;
use crate::sys::names;
use crate::table::{Address, Endpoint, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};

/// The sockets of one element of `listen`, of which there are one or more. `entry` is its index.
pub(super) fn resolve(wanted: &Located<Wanted>, entry: u16) -> Result<Vec<Endpoint>, Mistakes> {
    let addresses = addresses(&wanted.value).map_err(|mistake| mistake.at(&wanted.place))?;
    let transport = wanted.value.transport;
    let optional = is_one_of_several(&wanted.value.target);
    let endpoint = |address| Endpoint {
        transport,
        address,
        entry,
        optional,
    };
    Ok(addresses.into_iter().map(endpoint).collect())
}

fn is_one_of_several(target: &Target) -> bool {
    let Target::Inet { family, host, .. } = target else {
        return false;
    };
    match host {
        HostPart::Any => *family == Family::Both,
        HostPart::Name(_) => true,
        HostPart::V4(_) | HostPart::V6(..) => false,
    }
}

/// What it stands for on this machine: one address or more; none for a socket that only the server is
/// handed.
pub(super) fn addresses(wanted: &Wanted) -> Result<Vec<Address>, Mistake> {
    match &wanted.target {
        Target::Path(path) => Ok(vec![Address::Path(path.clone())]),
        Target::Abstract(name) => Ok(vec![Address::Abstract(name.clone())]),
        Target::Handed(_, address) => Ok(address.iter().cloned().collect()),
        Target::Inet { family, host, port } => {
            let port = port_number(port, wanted.transport)?;
            let found = inet(host, port, *family)?;
            Ok(found.into_iter().map(Address::Inet).collect())
        }
    }
}

fn port_number(port: &Port, transport: Transport) -> Result<u16, Mistake> {
    let name = match port {
        Port::Number(number) => return Ok(*number),
        Port::Name(name) => name,
    };
    let (protocol, shown) = match transport.is_connected() {
        true => (c"tcp", "TCP"),
        false => (c"udp", "UDP"),
    };
    names::port(name, protocol).ok_or_else(|| {
        Mistake::new(format!(
            "/etc/services has no {shown} port named {}",
            quoted(name)
        ))
        .help("write the port's number, or an address and a port")
        .of_machine()
    })
}

fn inet(host: &HostPart, port: u16, family: Family) -> Result<Vec<SocketAddr>, Mistake> {
    let both = |v4: Ipv4Addr, v6: Ipv6Addr| {
        let all = [IpAddr::V4(v4), IpAddr::V6(v6)].map(|ip| SocketAddr::new(ip, port));
        all.into_iter()
            .filter(|address| is_of(family, address))
            .collect()
    };
    match host {
        HostPart::Any => Ok(both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED)),
        // Known without asking: a resolver may be slow, absent, or of another opinion.
        HostPart::Name(name) if name.eq_ignore_ascii_case("localhost") => {
            Ok(both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST))
        }
        HostPart::Name(name) => look_up(name, port, family),
        HostPart::V4(ip) => Ok(vec![SocketAddr::new((*ip).into(), port)]),
        HostPart::V6(ip, None) => Ok(vec![SocketAddr::new((*ip).into(), port)]),
        HostPart::V6(ip, Some(interface)) => {
            let scope = names::interface(interface).ok_or_else(|| {
                Mistake::new(format!(
                    "there is no network interface {}",
                    quoted(interface)
                ))
                .help("`ip link` lists them")
                .of_machine()
            })?;
            Ok(vec![SocketAddrV6::new(*ip, port, 0, scope).into()])
        }
    }
}

fn look_up(name: &str, port: u16, family: Family) -> Result<Vec<SocketAddr>, Mistake> {
    let found = (name, port).to_socket_addrs().map_err(|error| {
        let reason = reason(&error);
        let reason = reason.rsplit(": ").next().unwrap_or_default().to_lowercase();
        Mistake::new(format!("cannot find the address of host {}: {reason}", quoted(name)))
            .help("write an address; the prefixes are tcp: tcp4: tcp6: udp: udp4: udp6: unix: unix-dgram: unix-seqpacket:")
            .of_machine()
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.filter(|address| is_of(family, address)) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        let family = if family == Family::V4 { "IPv4" } else { "IPv6" };
        return Err(
            Mistake::new(format!("host {} has no {family} address", quoted(name))).of_machine(),
        );
    }
    Ok(addresses)
}

fn is_of(family: Family, address: &SocketAddr) -> bool {
    match family {
        Family::Both => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listen;
    use super::super::mistake::Place;
    use super::*;

    fn resolved(text: &str) -> Vec<(String, bool)> {
        let text = Located::new(text.to_owned(), Place::Nowhere);
        let endpoints = resolve(&listen::address(&text).unwrap(), 0).unwrap();
        endpoints
            .iter()
            .map(|endpoint| (endpoint.to_string(), endpoint.optional))
            .collect()
    }

    #[test]
    fn a_bare_port_is_two_sockets_and_neither_is_insisted_on() {
        assert_eq!(
            resolved("13"),
            [("0.0.0.0:13".into(), true), ("[::]:13".into(), true)]
        );
        assert_eq!(resolved("tcp4:13"), [("0.0.0.0:13".into(), false)]);
        assert_eq!(resolved("udp6:13"), [("udp:[::]:13".into(), false)]);
    }

    #[test]
    fn localhost_is_known_without_asking() {
        assert_eq!(
            resolved("LocalHost:13"),
            [("127.0.0.1:13".into(), true), ("[::1]:13".into(), true)]
        );
        assert_eq!(
            resolved("udp4:localhost:13"),
            [("udp:127.0.0.1:13".into(), true)]
        );
    }

    #[test]
    fn addresses_stand_for_themselves() {
        assert_eq!(resolved("[fe80::1%lo]:13").len(), 1);
        assert_eq!(resolved("[::1]:0"), [("[::1]:0".into(), false)]);
        assert_eq!(resolved("unix:@x"), [("unix:@x".into(), false)]);
        assert_eq!(
            resolved("unix-seqpacket:/run/x"),
            [("unix-seqpacket:/run/x".into(), false)]
        );
    }
}
