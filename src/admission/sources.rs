//! What is known of sources, for each service apart: how many connections one has, and what it has
//! used up lately.
//!
//! Those with connections are kept for as long as they have them, so they are no more than there are
//! connections. The others are kept in a table of fixed size, and only while they have used
//! something up. Where that is full the source that will be as good as new first is forgotten: that
//! forgives least. Pure.

use super::bucket::Bucket;
use crate::table::{Client, SourcePrefix, Who};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;

/// Sets of sources without connections, and sources in each: 16,384 in all.
const SETS: usize = 2048;
const WAYS: usize = 8;

/// The source that a client counts under.
pub(super) fn source(client: Client, prefix: SourcePrefix) -> Who {
    let (ip, length) = match client {
        Client::Uid(uid) => return Who::Uid(uid),
        Client::Ip(ip) => match ip.to_canonical() {
            ip @ IpAddr::V4(_) => (ip, prefix.v4),
            ip @ IpAddr::V6(_) => (ip, prefix.v6),
        },
    };
    let (ip, length) = crate::table::network(ip, length);
    Who::Prefix(ip, length)
}

/// What a source has used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Of its own rate.
    pub(super) own: Bucket,
    /// Of its share of the service's.
    pub(super) share: Bucket,
}

impl Usage {
    /// The moment from which on it is as good as new.
    fn new_at(&self) -> u64 {
        self.own.full_at().max(self.share.full_at())
    }
}

/// A source of a service.
type Key<K> = (K, Who);

/// The slot of nobody.
pub(super) const NOBODY: u32 = u32::MAX;

/// A source with connections.
#[derive(Debug)]
struct Held<K> {
    key: Key<K>,
    /// 0 in a slot that is free.
    live: u32,
    usage: Usage,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sources<K> {
    slots: HashMap<Key<K>, u32>,
    held: Vec<Held<K>>,
    free: Vec<u32>,
    idle: Idle<K>,
}

impl<K: Copy + Eq + Hash> Sources<K> {
    pub(super) fn new() -> Sources<K> {
        Sources {
            slots: HashMap::new(),
            held: Vec::new(),
            free: Vec::new(),
            idle: Idle {
                sets: Vec::new(),
                hasher: RandomState::new(),
            },
        }
    }

    /// How many connections it has, and what it has used up.
    pub(super) fn of(&self, key: Key<K>) -> (u32, Usage) {
        match self.slots.get(&key) {
            Some(slot) => {
                let held = &self.held[*slot as usize];
                (held.live, held.usage)
            }
            None => (0, self.idle.of(key)),
        }
    }

    /// It has one connection more, and has used up so much. Returns its slot, which is its own for as
    /// long as it has connections.
    pub(super) fn enter(&mut self, key: Key<K>, usage: Usage) -> u32 {
        if let Some(slot) = self.slots.get(&key) {
            let held = &mut self.held[*slot as usize];
            held.live += 1;
            held.usage = usage;
            return *slot;
        }
        self.idle.forget(key);
        let live = 1;
        let held = Held { key, live, usage };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.held[slot as usize] = held;
                slot
            }
            None => {
                self.held.push(held);
                (self.held.len() - 1) as u32
            }
        };
        self.slots.insert(key, slot);
        slot
    }

    /// It has one connection less.
    pub(super) fn leave(&mut self, slot: u32) {
        let Some(held) = self.held.get_mut(slot as usize) else {
            return;
        };
        held.live -= 1;
        if held.live == 0 {
            let (key, usage) = (held.key, held.usage);
            self.slots.remove(&key);
            self.free.push(slot);
            self.note(key, usage);
        }
    }

    /// It has used up so much.
    pub(super) fn note(&mut self, key: Key<K>, usage: Usage) {
        match self.slots.get(&key) {
            Some(slot) => self.held[*slot as usize].usage = usage,
            None if usage != Usage::default() => self.idle.keep(key, usage),
            None => {}
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.free.len() == self.held.len()
    }
}

/// Sources without connections: sets in which a source has its place by chance.
#[derive(Debug)]
struct Idle<K> {
    /// Empty until the first source comes.
    sets: Vec<Vec<(Key<K>, Usage)>>,
    hasher: RandomState,
}

impl<K: Copy + Eq + Hash> Idle<K> {
    fn set(&self, key: Key<K>) -> usize {
        self.hasher.hash_one(key) as usize % SETS
    }

    fn of(&self, key: Key<K>) -> Usage {
        if self.sets.is_empty() {
            return Usage::default();
        }
        let set = self.sets[self.set(key)].iter();
        let mut found = set.filter(|(other, _)| *other == key);
        found.next().map_or(Usage::default(), |(_, usage)| *usage)
    }

    fn keep(&mut self, key: Key<K>, usage: Usage) {
        if self.sets.is_empty() {
            self.sets.resize_with(SETS, Vec::new);
        }
        let place = self.set(key);
        let set = &mut self.sets[place];
        if let Some(entry) = set.iter_mut().find(|(other, _)| *other == key) {
            entry.1 = usage;
        } else if set.len() < WAYS {
            set.push((key, usage));
        } else if let Some(least) = set.iter_mut().min_by_key(|(_, usage)| usage.new_at()) {
            *least = (key, usage);
        }
    }

    fn forget(&mut self, key: Key<K>) {
        if !self.sets.is_empty() {
            let place = self.set(key);
            self.sets[place].retain(|(other, _)| *other != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Rate;
    use std::time::Duration;

    fn ip(number: u32) -> Who {
        source(
            Client::Ip(IpAddr::V4(number.into())),
            SourcePrefix::default(),
        )
    }

    fn used(tokens: u32) -> Usage {
        let mut usage = Usage::default();
        for _ in 0..tokens {
            let rate = Rate::new(100, Duration::from_secs(1), Some(200));
            usage.own.take(rate, 1_000_000_000);
        }
        usage
    }

    #[test]
    fn a_source_is_an_address_of_ipv4_a_network_of_ipv6_or_a_user() {
        let of = |text: &str, prefix| source(Client::Ip(text.parse().unwrap()), prefix);
        let usual = SourcePrefix::default();
        assert_eq!(of("192.0.2.1", usual), of("::ffff:192.0.2.1", usual));
        assert_ne!(of("192.0.2.1", usual), of("192.0.2.2", usual));
        assert_eq!(of("2001:db8::1", usual), of("2001:db8::ffff:1", usual));
        assert_ne!(of("2001:db8::1", usual), of("2001:db8:0:1::1", usual));
        let wide = SourcePrefix { v4: 24, v6: 48 };
        assert_eq!(of("192.0.2.1", wide), of("192.0.2.2", wide));
        assert_ne!(of("192.0.2.1", wide), of("192.0.3.1", wide));
        assert_eq!(of("2001:db8::1", wide), of("2001:db8:0:1::1", wide));
        assert_eq!(source(Client::Uid(7), wide), Who::Uid(7));
    }

    #[test]
    fn what_a_source_has_used_outlives_its_connections_and_is_of_one_service() {
        let mut sources = Sources::new();
        let slot = sources.enter(("a", ip(1)), used(3));
        assert_eq!(sources.enter(("a", ip(1)), used(5)), slot);
        assert_ne!(sources.enter(("a", ip(2)), used(1)), slot);
        assert_eq!(sources.of(("a", ip(1))), (2, used(5)));
        assert_eq!(sources.of(("b", ip(1))), (0, used(0)));
        sources.leave(slot);
        sources.note(("a", ip(1)), used(6));
        sources.leave(NOBODY);
        sources.leave(slot);
        assert_eq!(sources.of(("a", ip(1))), (0, used(6)));
        assert_eq!(sources.enter(("c", ip(3)), used(0)), slot);
        sources.enter(("a", ip(1)), used(6));
        assert_eq!(sources.idle.of(("a", ip(1))), used(0));
    }

    #[test]
    fn a_million_sources_take_no_more_memory_than_the_table_has_and_excuse_nobody() {
        let mut sources = Sources::new();
        sources.note((0, ip(0)), used(150));
        for number in 1..=1_000_000 {
            let slot = sources.enter((0, ip(number)), used(1));
            sources.leave(slot);
        }
        let idle = &sources.idle.sets;
        assert_eq!(idle.len(), 2048);
        assert!(idle.iter().all(|set| set.len() <= 8 && set.capacity() <= 8));
        assert!(sources.is_empty() && sources.held.len() == 1);
        assert_eq!(sources.of((0, ip(0))), (0, used(150)));
    }

    #[test]
    fn sources_that_use_nothing_up_leave_nothing_behind() {
        let mut sources = Sources::new();
        for number in 0..1000 {
            let slot = sources.enter((0, ip(number)), used(0));
            sources.leave(slot);
        }
        assert!(sources.idle.sets.is_empty());
    }
}
