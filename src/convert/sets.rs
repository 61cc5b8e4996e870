//! Sets of addresses, exactly: what other formats say of who gets in is computed here, and written
//! as prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An inclusive range of addresses of one family, as numbers.
type Range = (u128, u128);

const LAST_V4: u128 = u32::MAX as u128;
const LAST_V6: u128 = u128::MAX;

/// A set of addresses. Ranges are sorted and do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Set {
    v4: Vec<Range>,
    v6: Vec<Range>,
}

impl Set {
    pub(super) fn everybody() -> Set {
        Set {
            v4: vec![(0, LAST_V4)],
            v6: vec![(0, LAST_V6)],
        }
    }

    /// All addresses of IPv4.
    pub(super) fn all_v4() -> Set {
        Set {
            v4: vec![(0, LAST_V4)],
            v6: Vec::new(),
        }
    }

    /// The addresses that begin with so many bits of this one.
    pub(super) fn prefix(address: IpAddr, bits: u8) -> Set {
        match address {
            IpAddr::V4(v4) => {
                let rest = 32 - u32::from(bits.min(32));
                let first = u128::from(v4.to_bits()) >> rest << rest;
                Set {
                    v4: vec![(first, first + ((1 << rest) - 1))],
                    v6: Vec::new(),
                }
            }
            IpAddr::V6(v6) => {
                let rest = 128 - u32::from(bits.min(128));
                let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
                let first = v6.to_bits() & mask;
                Set {
                    v4: Vec::new(),
                    v6: vec![(first, first | !mask)],
                }
            }
        }
    }

    /// IPv4 addresses between two, inclusively.
    pub(super) fn range_v4(first: Ipv4Addr, last: Ipv4Addr) -> Set {
        Set {
            v4: vec![(first.to_bits().into(), last.to_bits().into())],
            v6: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    pub(super) fn union(&self, other: &Set) -> Set {
        Set {
            v4: union(&self.v4, &other.v4),
            v6: union(&self.v6, &other.v6),
        }
    }

    pub(super) fn without(&self, other: &Set) -> Set {
        Set {
            v4: without(&self.v4, &other.v4),
            v6: without(&self.v6, &other.v6),
        }
    }

    pub(super) fn intersection(&self, other: &Set) -> Set {
        self.without(&self.without(other))
    }

    pub(super) fn complement(&self) -> Set {
        Set::everybody().without(self)
    }

    /// As prefixes, the fewest.
    pub(super) fn prefixes(&self) -> Vec<String> {
        self.prefixes_not_within(&Set::default())
    }

    /// The same without those that another set has all of. With the intersection of both as
    /// exceptions, and the most specific prefix deciding, they say what [`Set::without`] is.
    pub(super) fn prefixes_not_within(&self, other: &Set) -> Vec<String> {
        let v4 = blocks(&self.v4, &other.v4, 32);
        let v6 = blocks(&self.v6, &other.v6, 128);
        let v4 = v4.map(|(first, bits)| shown(Ipv4Addr::from_bits(first as u32).into(), bits, 32));
        let v6 = v6.map(|(first, bits)| shown(Ipv6Addr::from_bits(first).into(), bits, 128));
        v4.chain(v6).collect()
    }
}

/// The blocks of ranges, without those that are within other ranges.
fn blocks(ranges: &[Range], other: &[Range], most: u32) -> impl Iterator<Item = (u128, u32)> {
    let all = ranges.iter().flat_map(move |range| split(*range, most));
    all.filter(move |(first, bits)| {
        let last = first | u128::MAX.checked_shr(128 - most + bits).unwrap_or(0);
        !other
            .iter()
            .any(|range| range.0 <= *first && last <= range.1)
    })
}

fn shown(address: IpAddr, bits: u32, most: u32) -> String {
    match bits == most {
        true => address.to_string(),
        false => format!("{address}/{bits}"),
    }
}

fn union(a: &[Range], b: &[Range]) -> Vec<Range> {
    let mut all: Vec<Range> = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for (first, last) in all {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

fn without(a: &[Range], b: &[Range]) -> Vec<Range> {
    let mut left = a.to_vec();
    for (first, last) in b {
        let cut = |range: Range| {
            let below = (range.0 < *first).then(|| (range.0, range.1.min(first - 1)));
            let above = (range.1 > *last).then(|| (range.0.max(last + 1), range.1));
            below.into_iter().chain(above)
        };
        left = left.into_iter().flat_map(cut).collect();
    }
    left
}

/// A range as prefixes: first address and bits.
fn split((mut first, last): Range, most: u32) -> Vec<(u128, u32)> {
    let mut prefixes = Vec::new();
    loop {
        let aligned = first.trailing_zeros().min(most);
        let mut size = aligned;
        // The largest block that begins here and ends in time.
        while size > 0
            && (if size == 128 {
                u128::MAX
            } else {
                (1 << size) - 1
            }) > last - first
        {
            size -= 1;
        }
        prefixes.push((first, most - size));
        let end = first
            + if size == 128 {
                u128::MAX
            } else {
                (1 << size) - 1
            };
        if end >= last {
            return prefixes;
        }
        first = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(texts: &[&str]) -> Set {
        texts.iter().fold(Set::default(), |set, text| {
            let (address, bits) = text.split_once('/').unwrap();
            set.union(&Set::prefix(
                address.parse().unwrap(),
                bits.parse().unwrap(),
            ))
        })
    }

    #[test]
    fn sets_are_written_as_the_fewest_prefixes() {
        let all = set(&["10.0.0.0/8", "::1/128"]);
        assert_eq!(all.prefixes(), ["10.0.0.0/8", "::1"]);
        assert_eq!(
            set(&["10.0.0.0/9", "10.128.0.0/9"]).prefixes(),
            ["10.0.0.0/8"]
        );
        let cut = set(&["10.0.0.0/30"]).without(&set(&["10.0.0.2/32"]));
        assert_eq!(cut.prefixes(), ["10.0.0.0/31", "10.0.0.3"]);
        assert_eq!(Set::everybody().prefixes(), ["0.0.0.0/0", "::/0"]);
        assert_eq!(Set::everybody().complement(), Set::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn prefixes_make_the_set_again(addresses in prop::collection::vec((any::<IpAddr>(), 0..=128u8), 0..6)) {
            let one = |(address, bits): &(IpAddr, u8)| Set::prefix(*address, *bits);
            let (odd, even): (Vec<_>, Vec<_>) = addresses.iter().enumerate().partition(|(n, _)| n % 2 == 1);
            let join = |part: Vec<(usize, &(IpAddr, u8))>| part.iter().fold(Set::default(), |set, (_, it)| set.union(&one(it)));
            let made = join(even).without(&join(odd));
            let written = made.prefixes();
            let texts: Vec<String> = written.iter().map(|text| match text.contains('/') {
                true => text.clone(),
                false => format!("{text}/{}", if text.contains(':') { 128 } else { 32 }),
            }).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            prop_assert_eq!(set(&texts), made);
        }
    }
}
