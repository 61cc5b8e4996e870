//! `IPAddressAllow` and `IPAddressDeny`, see systemd.resource-control(5): whom an entry of the first
//! means gets in, else whom one of the second means does not, else everybody does.

use super::super::sets::Set;
use super::super::writer::Writer;
use super::unit::Unit;
use std::net::IpAddr;

pub(super) fn write(w: &mut Writer, units: [&Unit; 2]) {
    let mut allowed = Set::everybody();
    let mut written = None;
    for (unit, section) in units.into_iter().zip(["Socket", "Service"]) {
        let (mut allow, mut deny) = (Set::default(), Set::default());
        for (key, list) in [("IPAddressAllow", &mut allow), ("IPAddressDeny", &mut deny)] {
            for it in unit.all(section, key) {
                written = Some(it.place.clone());
                for word in it.value.split_whitespace() {
                    match one(word) {
                        Some(set) => *list = list.union(&set),
                        None => w.lost(&it.place, key, format!("{word:?} is no address")),
                    }
                }
            }
        }
        allowed = allowed.intersection(&allow.union(&deny.complement()));
    }
    if let Some(place) = written {
        w.let_in(
            &place,
            "IPAddressAllow and IPAddressDeny",
            &allowed,
            &Set::default(),
        );
        w.changed(
            &place,
            "IPAddressAllow and IPAddressDeny",
            "they hold for clients only, no more for connections that the program makes itself",
        );
    }
}

fn one(word: &str) -> Option<Set> {
    let join = |texts: &[(&str, u8)]| {
        let sets = texts
            .iter()
            .filter_map(|(text, bits)| Some(Set::prefix(text.parse().ok()?, *bits)));
        Some(sets.fold(Set::default(), |all, set| all.union(&set)))
    };
    match word {
        "any" => return Some(Set::everybody()),
        "localhost" => return join(&[("127.0.0.0", 8), ("::1", 128)]),
        "link-local" => return join(&[("169.254.0.0", 16), ("fe80::", 64)]),
        "multicast" => return join(&[("224.0.0.0", 4), ("ff00::", 8)]),
        _ => {}
    }
    let (address, bits) = match word.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (word, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then(|| Set::prefix(address, bits))
}
