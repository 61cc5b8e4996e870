//! Policy: who gets in. Pure: no system calls, no clock of its own.
//!
//! Whoever accepts, admits: supervisor and worker each have an [`Admission`] over the services that
//! they accept for. It is asked twice: [`Admission::room`] says whether a listener is to be polled at
//! all (clients of a full service wait in the kernel's queue), and [`Admission::admit`] whether a
//! client that was accepted gets a [`Permit`]. What is refused uses nothing up and leaves no trace, so
//! a flood of refused clients costs no memory and takes nothing from others.
//!
//! In this module: `explain` has the rules, `service` what is known of each service, `sources` of each
//! source, `bans` of whom is banned; `bucket` is a token bucket, `clock` the time.

mod bans;
mod bucket;
mod clock;
mod explain;
mod service;
mod sources;
#[cfg(test)]
mod tests;

pub use bans::{Ban, TooManyBans};
pub use bucket::Level;
pub use clock::Now;
pub use explain::{Explanation, Load};
pub use service::Policy;

use crate::table::{Client, Refusal, WhenFull, Who};
use bans::Bans;
use clock::{Clock, nanoseconds};
use explain::Arrival;
use service::Service;
use sources::{NOBODY, Sources, Usage, source};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// Leave to hold one connection (or one program that waits). It is not `Clone`, and it must come
/// home through [`Admission::release`].
#[must_use = "a permit that is dropped is never given back"]
#[derive(Debug)]
pub struct Permit<K> {
    service: K,
    /// Its slot in [`Sources`].
    source: u32,
}

impl<K: Copy> Permit<K> {
    /// The service that it was given for.
    pub fn service(&self) -> K {
        self.service
    }
}

/// Whether a listener is to be polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes: a client that comes is admitted, or refused with a reason.
    Open,
    /// No: the service is full, until a permit of it comes home.
    Full,
    /// No: all services together are full, until any permit comes home.
    ServerFull,
    /// No: the rate is used up, until that moment (as in [`Now::at`]), which is less than a second
    /// away.
    RestUntil(Duration),
}

impl Room {
    /// What there is none of: why clients wait.
    pub fn lack(self) -> Option<Refusal> {
        match self {
            Room::Open => None,
            Room::Full => Some(Refusal::Full),
            Room::ServerFull => Some(Refusal::ServerFull),
            Room::RestUntil(_) => Some(Refusal::Rate),
        }
    }
}

/// Who is in, and what decides about the next.
#[derive(Debug)]
pub struct Admission<K> {
    services: HashMap<K, Service>,
    /// What stands for one that is not there.
    nobody: Service,
    all: Load,
    /// Since when all services together are full, as in [`Now::at`].
    full_since: Option<Duration>,
    sources: Sources<K>,
    bans: Bans,
    clock: Clock,
}

impl<K: Copy + Eq + Hash> Admission<K> {
    /// One that admits up to `limit` over all services.
    pub fn new(limit: u32) -> Admission<K> {
        Admission {
            services: HashMap::new(),
            nobody: Service::default(),
            all: Load { live: 0, limit },
            full_since: None,
            sources: Sources::new(),
            bans: Bans::default(),
            clock: Clock::default(),
        }
    }

    /// Sets the limit over all services. Lowering it ends nothing: fewer are admitted until enough
    /// have left.
    pub fn set_limit(&mut self, limit: u32) {
        self.all.limit = limit;
    }

    /// The limit over all services.
    pub fn limit(&self) -> u32 {
        self.all.limit
    }

    /// Sets a service's `max_connections` (1 or more) and policy, and makes it known. Lowering a limit
    /// ends nothing, likewise; who is in and what was used up of rates stays as it is.
    pub fn set_service(&mut self, service: K, max_connections: u32, policy: Rc<Policy>) {
        let service = self.services.entry(service).or_default();
        service.load.limit = max_connections;
        service.policy = policy;
    }

    /// Forgets a service: nothing more is admitted to it ([`Refusal::Full`]), and its count goes when
    /// the last permit has come home.
    pub fn forget_service(&mut self, service: K) {
        if let Some(known) = self.services.get_mut(&service) {
            known.load.limit = 0;
            if known.load.live == 0 {
                self.services.remove(&service);
            }
        }
    }

    /// Whether a listener of the service is to be polled. It always is where clients are exempt: these
    /// get in, and the others are refused.
    pub fn room(&self, service: K, now: &Now) -> Room {
        let Some(known) = self.services.get(&service) else {
            return Room::Full;
        };
        let rules = &known.policy.rules;
        let queues = rules.when_full == WhenFull::Queue;
        if known.exempts() {
            Room::Open
        } else if queues && known.load.is_full() {
            Room::Full
        } else if queues && self.all.is_full() {
            Room::ServerFull
        } else {
            known
                .rest(self.clock.at(now.at))
                .map_or(Room::Open, |rest| {
                    Room::RestUntil(now.at.saturating_add(rest))
                })
        }
    }

    /// Admits a client's connection, or says why not.
    pub fn admit(&mut self, service: K, client: Client, now: &Now) -> Result<Permit<K>, Refusal> {
        let (source, usage) = self.pass(service, client, now, Arrival::Connection)?;
        self.count(service, now);
        let source = self.sources.enter((service, source), usage);
        Ok(Permit { service, source })
    }

    /// Takes a client's datagram, or says why not: lists, bans, hours and rates decide.
    pub fn datagram(&mut self, service: K, client: Client, now: &Now) -> Result<(), Refusal> {
        let (source, usage) = self.pass(service, client, now, Arrival::Datagram)?;
        self.sources.note((service, source), usage);
        Ok(())
    }

    /// Admits a program that waits: only numbers and the rate decide. After a refusal its listener
    /// must rest, even where there is [`Room`]: nobody takes what makes it readable.
    pub fn start(&mut self, service: K, now: &Now) -> Result<Permit<K>, Refusal> {
        let at = self.clock.set(now.at);
        let all = self.all;
        let known = self.services.get_mut(&service).ok_or(Refusal::Full)?;
        if known.load.is_full() {
            return Err(Refusal::Full);
        }
        if all.is_full() {
            return Err(Refusal::ServerFull);
        }
        if known.rate_left(at).is_some_and(|level| level.tokens == 0) {
            return Err(Refusal::Rate);
        }
        known.spend_own(at);
        self.count(service, now);
        Ok(Permit {
            service,
            source: NOBODY,
        })
    }

    /// Takes a permit home. Returns whether this made room where there was none, so that listeners
    /// may have to be asked again.
    pub fn release(&mut self, permit: Permit<K>) -> bool {
        let Permit { service, source } = permit;
        self.sources.leave(source);
        let was_full = self.all.is_full();
        self.all.live -= 1;
        self.full_since = self.full_since.filter(|_| self.all.is_full());
        let Some(known) = self.services.get_mut(&service) else {
            return was_full;
        };
        let service_was_full = known.load.is_full();
        known.load.live -= 1;
        if known.load == Load::default() {
            self.services.remove(&service);
        }
        was_full || service_was_full
    }

    /// What would become of a client's connection, and why. Takes nothing.
    pub fn explain(&self, service: K, client: Client, now: &Now) -> Explanation {
        let at = self.clock.at(now.at);
        self.examine(service, client, now, at, Arrival::Connection)
            .0
    }

    /// Bans the addresses of a prefix from all services until then (as in [`Now::at`]); one that is
    /// banned already, until then instead. Their connections stay.
    pub fn ban(
        &mut self,
        prefix: (IpAddr, u8),
        until: Duration,
        now: &Now,
    ) -> Result<(), TooManyBans> {
        let at = self.clock.set(now.at);
        let rest = nanoseconds(until.saturating_sub(now.at));
        self.bans.add(prefix, at.saturating_add(rest), at)
    }

    /// Ends the ban of just this prefix. False when there is none.
    pub fn unban(&mut self, prefix: (IpAddr, u8), now: &Now) -> bool {
        let at = self.clock.set(now.at);
        self.bans.remove(prefix, at)
    }

    /// Who is banned, in order of addresses.
    pub fn bans(&self, now: &Now) -> impl Iterator<Item = Ban> {
        self.bans.iter(self.clock.at(now.at))
    }

    /// Whether all services together are full.
    pub fn is_full(&self) -> bool {
        self.all.is_full()
    }

    /// Since when they are, as in [`Now::at`], if they are.
    pub fn full_since(&self) -> Option<Duration> {
        self.full_since.filter(|_| self.all.is_full())
    }

    /// How many hold a permit of this service.
    pub fn live(&self, service: K) -> u32 {
        self.services
            .get(&service)
            .map_or(0, |known| known.load.live)
    }

    /// How many hold a permit at all.
    pub fn live_total(&self) -> u32 {
        self.all.live
    }

    /// Judges, and takes what is due from the service's bucket. Returns the source, and what that has
    /// used up with this.
    fn pass(
        &mut self,
        service: K,
        client: Client,
        now: &Now,
        arrival: Arrival,
    ) -> Result<(Who, Usage), Refusal> {
        let at = self.clock.set(now.at);
        let (explanation, mut usage) = self.examine(service, client, now, at, arrival);
        explanation.verdict?;
        if !explanation.access.exempt {
            let known = self.services.get_mut(&service).ok_or(Refusal::Full)?;
            known.spend(&mut usage, arrival, at);
        }
        Ok((explanation.source, usage))
    }

    fn examine(
        &self,
        service: K,
        client: Client,
        now: &Now,
        at: u64,
        arrival: Arrival,
    ) -> (Explanation, Usage) {
        let known = self.services.get(&service).unwrap_or(&self.nobody);
        let rules = &known.policy.rules;
        let source = source(client, rules.source_prefix);
        let (source_live, usage) = self.sources.of((service, source));
        let mut explanation = Explanation {
            access: known.judge(client),
            banned: match client {
                Client::Ip(ip) => self.bans.of(ip, at),
                Client::Uid(_) => None,
            },
            open: known.is_open(now),
            service: known.load,
            server: self.all,
            source,
            source_live,
            max_per_source: rules.max_per_source,
            rate: known.rate_left(at),
            rate_used: known.rate_used(&usage, at),
            rate_per_source: known.rate_per_source_left(&usage, arrival, at),
            verdict: Ok(()),
        };
        explanation.verdict = explanation.judge(arrival);
        (explanation, usage)
    }

    fn count(&mut self, service: K, now: &Now) {
        if let Some(known) = self.services.get_mut(&service) {
            known.load.live += 1;
            self.all.live += 1;
            if self.all.is_full() {
                self.full_since.get_or_insert(now.at);
            }
        }
    }
}
