//! Sockets that cannot be bound beside each other: the same address twice, or a wildcard and one of
//! the addresses that it includes.

use super::mistake::{Mistake, Place};
use crate::table::{Address, Endpoint, Transport};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A socket that a service wants.
pub(super) struct Claim<'t> {
    pub(super) service: &'t str,
    pub(super) endpoint: &'t Endpoint,
    pub(super) place: &'t Place,
}

/// What only one socket, or one family of specific addresses, can have.
#[derive(PartialEq, Eq, Hash)]
enum Ground {
    Path(PathBuf),
    Abstract(Transport, String),
    Port(Transport, u16, bool),
}

/// Who has a piece of ground.
#[derive(Default)]
struct Owners<'c> {
    /// The whole of it: a wildcard address or a Unix socket.
    whole: Option<&'c Claim<'c>>,
    /// The specific addresses, and the first of them.
    parts: HashMap<SocketAddr, &'c Claim<'c>>,
    first_part: Option<&'c Claim<'c>>,
}

/// A mistake for each element of `listen` that wants what an earlier one has.
pub(super) fn find(claims: &[Claim]) -> Vec<Mistake> {
    let mut owners: HashMap<Ground, Owners> = HashMap::new();
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut last = None;
    for claim in claims {
        let Some(ground) = ground(claim.endpoint) else {
            continue;
        };
        if let Some(earlier) = owners.entry(ground).or_default().take(claim) {
            // Both families of a bare port overlap: one mistake for its one element.
            let element = (claim.service, claim.endpoint.entry);
            if last.replace(element) != Some(element) {
                mistakes.push(overlap(claim, earlier));
            }
        }
    }
    mistakes
}

impl<'c> Owners<'c> {
    /// Notes a claim, unless one before it is in the way.
    fn take(&mut self, claim: &'c Claim<'c>) -> Option<&'c Claim<'c>> {
        let specific = match claim.endpoint.address {
            Address::Inet(address) if !address.ip().is_unspecified() => Some(address),
            _ => None,
        };
        let earlier = match specific {
            Some(address) => self.whole.or_else(|| self.parts.get(&address).copied()),
            None => self.whole.or(self.first_part),
        };
        match (earlier, specific) {
            (Some(_), _) => {}
            (None, None) => self.whole = Some(claim),
            (None, Some(address)) => {
                self.parts.insert(address, claim);
                self.first_part = self.first_part.or(Some(claim));
            }
        }
        earlier
    }
}

/// `None` for port 0, which never overlaps.
fn ground(endpoint: &Endpoint) -> Option<Ground> {
    match &endpoint.address {
        Address::Inet(address) if address.port() == 0 => None,
        Address::Inet(address) => Some(Ground::Port(
            endpoint.transport,
            address.port(),
            address.is_ipv4(),
        )),
        // Components leave out what `//` and `/./` add. Sockets of all types share the file system,
        // but each type has abstract names of its own.
        Address::Path(path) => Some(Ground::Path(Path::new(path).components().collect())),
        Address::Abstract(name) => Some(Ground::Abstract(endpoint.transport, name.clone())),
    }
}

fn overlap(claim: &Claim, earlier: &Claim) -> Mistake {
    let owner = match claim.service == earlier.service {
        true => "this service".to_owned(),
        false => format!("service {}", earlier.service),
    };
    let (this, that) = (claim.endpoint, earlier.endpoint);
    let message = match (is_wildcard(this), is_wildcard(that)) {
        (true, false) => format!("{this} includes {that}, where {owner} listens"),
        (false, true) => format!("{this} is a part of {that}, where {owner} listens"),
        _ => format!("{owner} listens on {that} already"),
    };
    Mistake::new(message)
        .at(claim.place)
        .note("that is at", earlier.place)
        .help("choose another port or address for one of them, or switch one off: enabled = false")
}

fn is_wildcard(endpoint: &Endpoint) -> bool {
    matches!(&endpoint.address, Address::Inet(address) if address.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::super::mistake::Located;
    use super::super::{address, listen};
    use super::*;

    fn overlaps(first: &str, second: &str) -> bool {
        let endpoints = |text: &str| {
            let text = Located::new(text.to_owned(), Place::Nowhere);
            address::resolve(&listen::address(&text).unwrap(), 0).unwrap()
        };
        let (first, second) = (endpoints(first), endpoints(second));
        let claim = |service, endpoint| Claim {
            service,
            endpoint,
            place: &Place::Nowhere,
        };
        let claims: Vec<Claim> = first
            .iter()
            .map(|e| claim("a", e))
            .chain(second.iter().map(|e| claim("b", e)))
            .collect();
        find(&claims).len() == 1
    }

    #[test]
    fn addresses_overlap_when_they_cannot_be_bound_together() {
        let pairs = [
            ("13", "13"),
            ("13", "127.0.0.1:13"),
            ("127.0.0.1:13", "13"),
            ("127.0.0.1:13", "localhost:13"),
            ("[::]:13", "[::1]:13"),
            ("[fe80::1%7]:13", "[fe80::1%7]:13"),
            ("unix:/run/x", "unix-dgram:/run//./x"),
            ("unix:@x", "unix:@x"),
        ];
        for (first, second) in pairs {
            assert!(overlaps(first, second), "{first} {second}");
        }
        let pairs = [
            ("13", "udp:13"),
            ("13", "14"),
            ("tcp4:13", "tcp6:13"),
            ("0.0.0.0:13", "[::1]:13"),
            ("127.0.0.1:13", "127.0.0.2:13"),
            ("[fe80::1%7]:13", "[fe80::1%8]:13"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("unix:/run/x", "unix:@/run/x"),
            ("unix:@x", "unix-dgram:@x"),
        ];
        for (first, second) in pairs {
            assert!(!overlaps(first, second), "{first} {second}");
        }
    }
}
