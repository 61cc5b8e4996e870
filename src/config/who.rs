//! One entry of `allow`, `deny` or `exempt`: whom it means.
//!
//! An entry is read in one way or not at all: what other programs take for a pattern, a name or a
//! netmask is a mistake, and `who_meant` says what to write.

use super::mistake::{Located, Mistake, Mistakes};
use super::value::without_nul;
use super::who_meant::explain;
use crate::table::Who;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An entry as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    One(Who),
    /// Those in this file.
    File(String),
}

/// Reads an entry in the table or on the command line.
pub(super) fn entry(text: &Located<String>) -> Result<Located<Entry>, Mistakes> {
    let text = without_nul(text)?;
    let entry = match text.value.strip_prefix('@') {
        Some("") => Err(Mistake::new("the name of a file is missing after @")
            .help("for example \"@/etc/oxinetd/friends\"")),
        Some(path) => Ok(Entry::File(path.to_owned())),
        None => who(&text.value).map(Entry::One),
    };
    match entry {
        Ok(entry) => Ok(Located::new(entry, text.place)),
        Err(mistake) => Err(mistake.at(&text.place).into()),
    }
}

/// Reads an entry that is no file, without a place.
pub(super) fn who(text: &str) -> Result<Who, Mistake> {
    parse(text).ok_or_else(|| explain(text))
}

/// Reads an address, a prefix, `uid:N` or `unix`.
pub(super) fn parse(text: &str) -> Option<Who> {
    if text == "unix" {
        return Some(Who::Local);
    }
    if let Some(uid) = text.strip_prefix("uid:") {
        // The largest number is the kernel's word for no user.
        return decimal(uid).filter(|uid| *uid != u32::MAX).map(Who::Uid);
    }
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse().ok()?, Some(decimal(bits)?)),
        None => (text.parse().ok()?, None),
    };
    let most = most_bits(address);
    let bits = bits.unwrap_or(most.into());
    let bits = u8::try_from(bits).ok().filter(|bits| *bits <= most)?;
    (masked(address, bits) == address).then(|| folded(address, bits))
}

/// A number without sign or leading zeros.
fn decimal(text: &str) -> Option<u32> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_plain)
}

/// Bits of an address of this family.
pub(super) fn most_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all but its first bits zero.
pub(super) fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// Clients with IPv4-mapped addresses are IPv4 clients everywhere.
fn folded(address: IpAddr, bits: u8) -> Who {
    match (address, bits.checked_sub(96)) {
        (IpAddr::V6(v6), Some(rest)) => match v6.to_ipv4_mapped() {
            Some(v4) => Who::Prefix(v4.into(), rest),
            None => Who::Prefix(address, bits),
        },
        _ => Who::Prefix(address, bits),
    }
}

/// An entry in the form in which it is written.
pub(super) fn shown(who: Who) -> String {
    match who {
        Who::Prefix(address, bits) if bits == most_bits(address) => address.to_string(),
        Who::Prefix(address, bits) => format!("{address}/{bits}"),
        Who::Uid(uid) => format!("uid:{uid}"),
        Who::Local => "unix".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_are_addresses_prefixes_and_users() {
        let right = [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("uid:0", "uid:0"),
            ("uid:4294967294", "uid:4294967294"),
            ("unix", "unix"),
        ];
        for (text, expected) in right {
            assert_eq!(parse(text).map(shown).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "192.0.2",
            "192.0.2.1/24",
            "192.0.2.0/33",
            "192.0.2.0/024",
            "192.0.2.0/+4",
            "192.0.2.0/",
            "/24",
            "192.0.2.0/255.255.255.0",
            "192.0.2.01",
            "[::1]",
            "fe80::1%eth0",
            "::1/129",
            "2001:db8::1/64",
            "192.0.2.1:80",
            "uid:",
            "uid:4294967295",
            "uid:01",
            "uid:x",
            "Unix",
            "ALL",
            "localhost",
            " 192.0.2.1",
            "::ffff:0:0/95",
            "192.0.2.0/24/24",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-fA-F:./%*@\\[\\]-]{0,24}|\\PC{0,16}") {
            let _ = who(&text);
        }

        #[test]
        fn every_prefix_can_be_written(address: IpAddr, bits in 0..=128u8) {
            let bits = bits.min(most_bits(address));
            let who = folded(masked(address, bits), bits);
            prop_assert_eq!(parse(&shown(who)), Some(who));
        }

        #[test]
        fn host_bits_are_refused_and_the_prefix_is_shown(address: IpAddr, bits in 0..=128u8) {
            let bits = bits.min(most_bits(address));
            let network = masked(address, bits);
            prop_assume!(network != address);
            let text = format!("{address}/{bits}");
            let mistake = who(&text).unwrap_err();
            let expected = format!("{network}/{bits}");
            let shown = mistake.advice().unwrap();
            prop_assert!(shown.contains(&expected), "{text}: {shown}");
        }
    }
}
