//! How many answers to datagrams one source gets: a token bucket for each, in a table of fixed size.
//!
//! A source is an IPv4 address or the /64 of an IPv6 address. When a set of the table is full, the
//! source that has most tokens left is forgotten: that forgives least. Pure: time is passed in.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Instant;

/// Answers a second.
const RATE: f32 = 100.0;

/// Answers at once after a rest.
const BURST: f32 = 200.0;

/// Sets, and sources in each: 4096 sources in all.
const SETS: usize = 512;
const WAYS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<IpAddr> for Source {
    fn from(ip: IpAddr) -> Source {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source::V4(ip.octets()),
            IpAddr::V6(ip) => Source::V6(std::array::from_fn(|index| ip.octets()[index])),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    source: Source,
    tokens: f32,
    filled: Instant,
}

impl Bucket {
    fn full(source: Source, now: Instant) -> Bucket {
        Bucket {
            source,
            tokens: BURST,
            filled: now,
        }
    }

    fn tokens_at(&self, now: Instant) -> f32 {
        let rested = now.saturating_duration_since(self.filled).as_secs_f32();
        BURST.min(self.tokens + rested * RATE)
    }

    fn take(&mut self, now: Instant) -> bool {
        (self.tokens, self.filled) = (self.tokens_at(now), self.filled.max(now));
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// The table. Its memory is taken with the first source.
#[derive(Debug, Default)]
pub(super) struct Rates {
    sets: Vec<[Option<Bucket>; WAYS]>,
    hasher: RandomState,
}

impl Rates {
    /// Takes one answer of the source's share; false when there is none left.
    pub(super) fn take(&mut self, ip: IpAddr, now: Instant) -> bool {
        if self.sets.is_empty() {
            self.sets = vec![[None; WAYS]; SETS];
        }
        let source = Source::from(ip);
        let set = &mut self.sets[self.hasher.hash_one(source) as usize % SETS];
        let way = place(set, source, now);
        set[way]
            .get_or_insert_with(|| Bucket::full(source, now))
            .take(now)
    }
}

/// Where in a set a source is, or is to be: emptied then.
fn place(set: &mut [Option<Bucket>; WAYS], source: Source, now: Instant) -> usize {
    if let Some(way) = set
        .iter()
        .position(|way| way.is_some_and(|bucket| bucket.source == source))
    {
        return way;
    }
    let tokens = |way: &Option<Bucket>| way.map_or(f32::INFINITY, |bucket| bucket.tokens_at(now));
    let fullest = (0..WAYS)
        .max_by(|a, b| tokens(&set[*a]).total_cmp(&tokens(&set[*b])))
        .unwrap_or(0);
    set[fullest] = None;
    fullest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of 1,000 answers a source gets at this moment.
    fn taken(rates: &mut Rates, source: &str, now: Instant) -> usize {
        (0..1000).filter(|_| rates.take(ip(source), now)).count()
    }

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        assert_eq!(taken(&mut rates, "192.0.2.1", start), 200);
        assert_eq!(
            taken(&mut rates, "192.0.2.1", start + Duration::from_millis(55)),
            5
        );
        assert_eq!(
            taken(&mut rates, "192.0.2.1", start + Duration::from_millis(1055)),
            100
        );
        assert_eq!(
            taken(&mut rates, "192.0.2.1", start + Duration::from_secs(60)),
            200
        );
    }

    #[test]
    fn sources_are_addresses_of_ipv4_and_networks_of_ipv6() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        for (source, expected) in [
            ("192.0.2.1", 200),
            ("192.0.2.2", 200),
            ("::ffff:192.0.2.1", 0),
            ("2001:db8:0:1::1", 200),
            ("2001:db8:0:1:ffff::2", 0),
            ("2001:db8:0:2::1", 200),
        ] {
            assert_eq!(taken(&mut rates, source, now), expected, "{source}");
        }
    }

    #[test]
    fn time_that_goes_backwards_gives_and_takes_nothing() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let later = start + Duration::from_secs(9);
        assert_eq!(taken(&mut rates, "192.0.2.1", later), 200);
        assert_eq!(taken(&mut rates, "192.0.2.1", start), 0);
        assert_eq!(taken(&mut rates, "192.0.2.1", later), 0);
    }

    #[test]
    fn many_sources_do_not_help_one_that_has_used_its_share() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        assert_eq!(taken(&mut rates, "192.0.2.1", now), 200);
        for number in 0..100_000u32 {
            assert!(rates.take(IpAddr::from((0x0a00_0000 + number).to_be_bytes()), now));
        }
        assert_eq!(taken(&mut rates, "192.0.2.1", now), 0);
        assert_eq!(rates.sets.len(), 512);
    }
}
