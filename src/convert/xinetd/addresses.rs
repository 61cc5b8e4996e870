//! The addresses of `only_from` and `no_access`.

use super::super::sets::Set;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Why names are not kept, and what to do.
const BY_ADDRESS: &str = "oxinetd knows clients by their addresses only, so write those";

/// Whom a value means, or why that cannot be said in addresses.
pub(super) fn read(text: &str) -> Result<Set, String> {
    if text == "localhost" {
        let v4 = Set::prefix(Ipv4Addr::LOCALHOST.into(), 32);
        return Ok(v4.union(&Set::prefix(Ipv6Addr::LOCALHOST.into(), 128)));
    }
    if let Some((address, bits)) = text.split_once('/') {
        return with_bits(address, bits).ok_or_else(|| format!("{text:?} is no address and bits"));
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(Set::prefix(address.into(), 128));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(with_wildcards(address));
    }
    match factorised(text) {
        Some(set) => Ok(set),
        None if text.contains('{') => Err(format!("{text:?} is no list of addresses")),
        None if text.starts_with('.') => Err(format!("{text:?} is a part of a name: {BY_ADDRESS}")),
        None => Err(format!(
            "{text:?} is a name: {BY_ADDRESS} (getent ahosts {text} shows those it has now)"
        )),
    }
}

fn with_bits(address: &str, bits: &str) -> Option<Set> {
    let bits: u8 = bits.parse().ok()?;
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        return (bits <= 32).then(|| Set::prefix(address.into(), bits));
    }
    let address: Ipv6Addr = address.parse().ok()?;
    (bits <= 128).then(|| Set::prefix(address.into(), bits))
}

/// Zero octets at the end stand for any.
fn with_wildcards(address: Ipv4Addr) -> Set {
    let zeros = address
        .octets()
        .iter()
        .rev()
        .take_while(|octet| **octet == 0)
        .count();
    Set::prefix(address.into(), 32 - 8 * zeros as u8)
}

/// `10.1.{2,3,4}`: the last octet that is written is one of these.
fn factorised(text: &str) -> Option<Set> {
    let (before, list) = text.strip_suffix('}')?.split_once('{')?;
    let before = before.strip_suffix('.')?;
    let octets: Option<Vec<u8>> = before.split('.').map(|octet| octet.parse().ok()).collect();
    let octets = octets.filter(|octets| octets.len() < 4)?;
    let mut set = Set::default();
    for last in list.split(',') {
        let mut full = [0; 4];
        full[..octets.len()].copy_from_slice(&octets);
        full[octets.len()] = last.trim().parse().ok()?;
        let bits = 8 * (octets.len() as u8 + 1);
        set = set.union(&Set::prefix(Ipv4Addr::from(full).into(), bits));
    }
    Some(set)
}
