//! Who is banned for a time, from all services: prefixes, each with the moment when that is over.
//!
//! A client is looked up once for each length of prefix in use. One that is over does not count, and
//! makes place when the next is added.

use crate::table::network;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Prefixes that may be banned at once.
const MOST: usize = 10_000;

/// There is no place for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyBans;

impl fmt::Display for TooManyBans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{MOST} prefixes are banned, and that is the most: unban some, or ban a prefix that covers many"
        )
    }
}

impl std::error::Error for TooManyBans {}

/// A prefix that is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// First address and length; IPv4-mapped ones are IPv4.
    pub prefix: (IpAddr, u8),
    /// How much longer.
    pub rest: Duration,
}

/// See the module. Moments are nanoseconds and must not go back.
#[derive(Debug, Default)]
pub(super) struct Bans {
    until: BTreeMap<(IpAddr, u8), u64>,
    /// How many have this length, of IPv6 or not.
    lengths: BTreeMap<(bool, u8), u32>,
    /// None is over before.
    next: u64,
}

impl Bans {
    /// Bans a prefix from now on until then, whatever was said of it before.
    pub(super) fn add(
        &mut self,
        prefix: (IpAddr, u8),
        until: u64,
        at: u64,
    ) -> Result<(), TooManyBans> {
        self.purge(at);
        let prefix = network(prefix.0, prefix.1);
        if self.until.len() >= MOST && !self.until.contains_key(&prefix) {
            return Err(TooManyBans);
        }
        if self.until.insert(prefix, until).is_none() {
            *self.lengths.entry(length(prefix)).or_default() += 1;
        }
        self.next = self.next.min(until);
        Ok(())
    }

    /// Ends the ban of just this prefix. False when there is none.
    pub(super) fn remove(&mut self, prefix: (IpAddr, u8), at: u64) -> bool {
        let prefix = network(prefix.0, prefix.1);
        let Some(until) = self.until.remove(&prefix) else {
            return false;
        };
        if let Some(count) = self.lengths.get_mut(&length(prefix)) {
            *count -= 1;
        }
        self.lengths.retain(|_, count| *count > 0);
        until > at
    }

    /// The ban that an address is under for the longest time.
    pub(super) fn of(&self, ip: IpAddr, at: u64) -> Option<Ban> {
        let ip = ip.to_canonical();
        let longest = self
            .lengths
            .range((ip.is_ipv6(), 0)..=(ip.is_ipv6(), u8::MAX))
            .filter_map(|((_, length), _)| self.until.get_key_value(&network(ip, *length)))
            .max_by_key(|(_, until)| **until);
        let (prefix, until) = longest.filter(|(_, until)| **until > at)?;
        Some(Ban {
            prefix: *prefix,
            rest: Duration::from_nanos(until - at),
        })
    }

    /// All that are not over, in order.
    pub(super) fn iter(&self, at: u64) -> impl Iterator<Item = Ban> {
        let lasting = self.until.iter().filter(move |(_, until)| **until > at);
        lasting.map(move |(prefix, until)| Ban {
            prefix: *prefix,
            rest: Duration::from_nanos(until - at),
        })
    }

    fn purge(&mut self, at: u64) {
        if self.next > at {
            return;
        }
        self.until.retain(|_, until| *until > at);
        self.next = self.until.values().copied().min().unwrap_or(u64::MAX);
        self.lengths.clear();
        for prefix in self.until.keys() {
            *self.lengths.entry(length(*prefix)).or_default() += 1;
        }
    }
}

fn length((ip, length): (IpAddr, u8)) -> (bool, u8) {
    (ip.is_ipv6(), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn prefix(text: &str) -> (IpAddr, u8) {
        let (ip, length) = text.split_once('/').unwrap();
        (ip.parse().unwrap(), length.parse().unwrap())
    }

    fn rest(bans: &Bans, ip: &str, at: u64) -> Option<u64> {
        let ban = bans.of(ip.parse().unwrap(), at * SECOND);
        ban.map(|ban| ban.rest.as_secs())
    }

    #[test]
    fn the_longest_of_all_bans_that_fit_counts() {
        let mut bans = Bans::default();
        for (text, until) in [
            ("192.0.2.7/24", 10),
            ("192.0.2.7/32", 5),
            ("192.0.2.6/32", 15),
            ("::ffff:198.51.100.0/120", 8),
            ("2001:db8::1/64", 9),
        ] {
            bans.add(prefix(text), until * SECOND, 0).unwrap();
        }
        for (ip, at, expected) in [
            ("192.0.2.7", 0, Some(10)),
            ("192.0.2.8", 4, Some(6)),
            ("192.0.2.6", 4, Some(11)),
            ("::ffff:192.0.2.7", 6, Some(4)),
            ("192.0.2.7", 10, None),
            ("192.0.3.7", 0, None),
            ("198.51.100.9", 1, Some(7)),
            ("2001:db8::ffff", 1, Some(8)),
            ("2001:db8:0:1::", 1, None),
            ("::c000:207", 1, None),
        ] {
            assert_eq!(rest(&bans, ip, at), expected, "{ip} at {at}");
        }
        let listed: Vec<_> = bans.iter(8 * SECOND).map(|ban| ban.prefix).collect();
        let expected = ["192.0.2.0/24", "192.0.2.6/32", "2001:db8::/64"];
        assert_eq!(listed, expected.map(prefix));
    }

    #[test]
    fn a_ban_ends_by_word_or_by_time_and_can_be_renewed() {
        let mut bans = Bans::default();
        bans.add(prefix("192.0.2.1/32"), SECOND, 0).unwrap();
        bans.add(prefix("192.0.2.1/32"), 9 * SECOND, 0).unwrap();
        assert_eq!(rest(&bans, "192.0.2.1", 5), Some(4));
        assert!(!bans.remove(prefix("192.0.2.0/24"), 5 * SECOND));
        assert!(bans.remove(prefix("192.0.2.1/32"), 5 * SECOND));
        assert!(!bans.remove(prefix("192.0.2.1/32"), 5 * SECOND));
        assert_eq!(rest(&bans, "192.0.2.1", 5), None);
        bans.add(prefix("192.0.2.1/32"), 9 * SECOND, 0).unwrap();
        assert!(!bans.remove(prefix("192.0.2.1/32"), 9 * SECOND));
        assert!(bans.lengths.is_empty());
    }

    #[test]
    fn ten_thousand_are_the_most_and_those_that_are_over_make_place() {
        let mut bans = Bans::default();
        for number in 0..10_000u32 {
            let until = if number == 0 { 5 } else { 50 };
            let prefix = (IpAddr::V4(number.into()), 32);
            assert_eq!(bans.add(prefix, until * SECOND, 0), Ok(()));
        }
        let one_more = prefix("192.0.2.1/32");
        assert_eq!(bans.add(one_more, 60 * SECOND, SECOND), Err(TooManyBans));
        assert_eq!(bans.add(prefix("0.0.0.9/32"), 70 * SECOND, SECOND), Ok(()));
        assert_eq!(bans.add(one_more, 60 * SECOND, 5 * SECOND), Ok(()));
        assert_eq!(bans.until.len(), 10_000);
        bans.add(one_more, 99 * SECOND, 65 * SECOND).unwrap();
        assert_eq!(bans.until.len(), 2);
        assert_eq!(bans.lengths, BTreeMap::from([((false, 32), 2)]));
    }
}
