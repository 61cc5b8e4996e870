//! The services in force: facts, plan, counters, and which listeners are theirs.
//!
//! A service is the same across reloads as long as its name is. One that was removed stays until
//! its last session has ended, so that counters and end records still have a name.

use super::background::Background;
use super::condition::Condition;
use super::shared::Shared;
use crate::admission::Policy;
use crate::event::{Event, LazyTally};
use crate::launch::{self, Inherited};
use crate::sys::spawn::Plan;
use crate::table::{Action, Identity, Kind, ListenerId, Service, ServiceId, Table};
use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

/// First and longest rest of a `wait` program that consumes nothing.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// The listeners of a service. Thousands of services have one each: it takes no memory of its own, and
/// of many it is only a thin pointer.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    None,
    One(ListenerId),
    Many(Box<Box<[ListenerId]>>),
}

impl From<Vec<ListenerId>> for Ids {
    fn from(ids: Vec<ListenerId>) -> Ids {
        match ids[..] {
            [] => Ids::None,
            [one] => Ids::One(one),
            _ => Ids::Many(Box::new(ids.into())),
        }
    }
}

impl Deref for Ids {
    type Target = [ListenerId];

    fn deref(&self) -> &[ListenerId] {
        match self {
            Ids::None => &[],
            Ids::One(one) => std::slice::from_ref(one),
            Ids::Many(ids) => ids,
        }
    }
}

/// One service in force.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) facts: Rc<Service>,
    /// Who gets in.
    pub(super) policy: Rc<Policy>,
    /// Of facts and policy, as the loader has told: it leaves out what it has not found changed.
    digest: u64,
    /// Made at the first launch: of thousands of services most are never asked.
    plan: Option<Rc<Plan>>,
    pub(super) tally: LazyTally,
    pub(super) listeners: Ids,
    /// How often its `wait` program was told to rest, each time twice as long.
    rests: u8,
    /// Runs of it in a row that may have consumed nothing.
    doubts: u8,
    /// Who else may have its sockets.
    pub(super) background: Background,
    /// Removed from the table.
    pub(super) retired: bool,
    /// For those who ask.
    pub(super) condition: Condition,
}

impl Entry {
    pub(super) fn new(facts: Rc<Service>, policy: Rc<Policy>, digest: u64) -> Entry {
        Entry {
            facts,
            policy,
            digest,
            plan: None,
            tally: LazyTally::default(),
            listeners: Ids::None,
            rests: 0,
            doubts: 0,
            background: Background::default(),
            retired: false,
            condition: Condition::default(),
        }
    }

    /// Counts an event of this service, and keeps what is to be told of it.
    pub(super) fn note(&mut self, event: &Event) {
        self.tally.observe(event);
        self.condition.note(event, self.tally.live, &self.facts);
    }

    /// Puts new facts in force.
    pub(super) fn renew(&mut self, facts: Rc<Service>, policy: Rc<Policy>, digest: u64) {
        if self.retired || self.facts.enabled != facts.enabled {
            self.condition.begin_anew();
        }
        self.condition.count(self.tally.live, &facts);
        self.facts = facts;
        self.policy = policy;
        self.digest = digest;
        self.plan = None;
        self.retired = false;
        self.rests = 0;
    }

    /// The table has it no more.
    pub(super) fn retire(&mut self) {
        self.retired = true;
        self.condition.begin_anew();
    }

    /// How long to rest now; the next time twice as long.
    pub(super) fn back_off(&mut self) -> Duration {
        let times = 1u32.checked_shl(self.rests.into());
        let pause = times.map_or(BACKOFF.1, |times| BACKOFF.0.saturating_mul(times));
        self.rests = self.rests.saturating_add(1);
        pause.min(BACKOFF.1)
    }

    /// A run of its `wait` program that may have consumed nothing: a short rest from the third in a
    /// row on.
    pub(super) fn doubt(&mut self) -> Option<Duration> {
        self.doubts = self.doubts.saturating_add(1);
        (self.doubts > 2).then_some(BACKOFF.0)
    }

    /// All is well again.
    pub(super) fn calm_down(&mut self) {
        self.rests = 0;
        self.doubts = 0;
    }
}

/// Services that a new table leaves as they are.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Sorted.
    ids: Vec<ServiceId>,
}

impl FromIterator<ServiceId> for Kept {
    fn from_iter<I: IntoIterator<Item = ServiceId>>(ids: I) -> Kept {
        let mut ids: Vec<ServiceId> = ids.into_iter().collect();
        ids.sort_unstable();
        Kept { ids }
    }
}

impl Kept {
    pub(super) fn has(&self, id: ServiceId) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

/// All services in force, and those that are retired but not forgotten.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// In boxes: a third of the places of a map are empty, and entries are large.
    entries: HashMap<ServiceId, Box<Entry>>,
    shared: Shared,
    next: u32,
}

impl Services {
    pub(super) fn get(&self, id: ServiceId) -> Option<&Entry> {
        self.entries.get(&id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: ServiceId) -> Option<&mut Entry> {
        self.entries.get_mut(&id).map(Box::as_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ServiceId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry.as_ref()))
    }

    /// How many there are, retired ones too.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The one of this name.
    pub(super) fn find(&self, name: &str) -> Option<ServiceId> {
        let mut all = self.entries.iter();
        all.find(|(_, entry)| *entry.facts.name == *name)
            .map(|(id, _)| *id)
    }

    /// Those that are not retired, by number, with the digest of their facts.
    pub(super) fn digests(&self) -> Vec<(ServiceId, u64)> {
        let all = self.iter().filter(|(_, entry)| !entry.retired);
        let mut digests: Vec<_> = all.map(|(id, entry)| (id, entry.digest)).collect();
        digests.sort_unstable();
        digests
    }

    /// The `wait` programs of those that stay may try again.
    pub(super) fn forget_rests(&mut self, kept: &Kept) {
        for (id, entry) in &mut self.entries {
            if entry.rests > 0 && kept.has(*id) {
                entry.rests = 0;
            }
        }
    }

    /// By name, for a reload, those that may not stay as they are: retired ones too.
    pub(super) fn by_name(&self, kept: &Kept) -> HashMap<Box<str>, ServiceId> {
        let others = self.iter().filter(|(id, _)| !kept.has(*id));
        others
            .map(|(id, entry)| (entry.facts.name.clone(), id))
            .collect()
    }

    /// Takes what services of a table share, and lets them name it by the numbers that it has here.
    pub(super) fn take_shared(&mut self, table: &mut Table) {
        let kinds = self.kinds();
        self.shared.take_from(table, kinds);
    }

    /// Forgets what is shared by services that are gone.
    pub(super) fn tidy_shared(&mut self) {
        let kinds = self.kinds();
        self.shared.keep(&kinds);
    }

    fn kinds(&self) -> HashSet<Rc<Kind>> {
        let all = self.entries.values().map(|entry| &entry.facts.kind);
        let mut seen = HashSet::new();
        let first = all.filter(|kind| seen.insert(Rc::as_ptr(kind)));
        first.map(Rc::clone).collect()
    }

    /// The admission keys of facts whose numbers are ours.
    pub(super) fn policy(&self, facts: &Service) -> Rc<Policy> {
        self.shared.policy(facts.rules)
    }

    /// Adds one that was not there.
    pub(super) fn enter(
        &mut self,
        facts: Rc<Service>,
        policy: Rc<Policy>,
        digest: u64,
    ) -> ServiceId {
        let id = ServiceId(self.next);
        self.next += 1;
        let entry = Entry::new(facts, policy, digest);
        self.entries.insert(id, Box::new(entry));
        id
    }

    /// Forgets one.
    pub(super) fn leave(&mut self, id: ServiceId) -> Option<Entry> {
        self.entries.remove(&id).map(|entry| *entry)
    }

    /// One of the identities in force.
    pub(super) fn identity(&self, number: u32) -> Option<&Identity> {
        self.shared.identity(number)
    }

    /// The plan of a service that runs a program.
    pub(super) fn plan(&mut self, id: ServiceId, inherited: Inherited) -> Option<Rc<Plan>> {
        let entry = self.entries.get_mut(&id)?;
        let Action::Exec(program) = &entry.facts.action else {
            return None;
        };
        let identity = self.shared.identity(program.identity)?;
        let plan = entry
            .plan
            .get_or_insert_with(|| launch::plan(&entry.facts, program, identity, inherited));
        Some(Rc::clone(plan))
    }
}
