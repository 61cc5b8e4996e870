//! The services in force: facts, plan, counters, and which listeners are theirs.
//!
//! A service is the same across reloads as long as its name is. One that was removed stays until
//! its last session has ended, so that counters and end records still have a name.

use super::background::Background;
use super::condition::Condition;
use crate::admission::Policy;
use crate::event::{Event, LazyTally};
use crate::launch::{self, Inherited};
use crate::sys::spawn::Plan;
use crate::table::{Action, Identity, ListenerId, Service, ServiceId};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

/// First and longest rest of a `wait` program that consumes nothing.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// The listeners of a service. Thousands of services have one each: it takes no memory of its own.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    None,
    One(ListenerId),
    Many(Box<[ListenerId]>),
}

impl From<Vec<ListenerId>> for Ids {
    fn from(ids: Vec<ListenerId>) -> Ids {
        match ids[..] {
            [] => Ids::None,
            [one] => Ids::One(one),
            _ => Ids::Many(ids.into()),
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
    pub(super) fn new(facts: Rc<Service>, policy: Rc<Policy>) -> Entry {
        Entry {
            facts,
            policy,
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
    pub(super) fn renew(&mut self, facts: Rc<Service>, policy: Rc<Policy>) {
        if self.retired || self.facts.enabled != facts.enabled {
            self.condition.begin_anew();
        }
        self.condition.count(self.tally.live, &facts);
        self.facts = facts;
        self.policy = policy;
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

/// All services in force, and those that are retired but not forgotten.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// In boxes: a third of the places of a map are empty, and entries are large.
    entries: HashMap<ServiceId, Box<Entry>>,
    identities: Vec<Identity>,
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

    /// The one of this name.
    pub(super) fn find(&self, name: &str) -> Option<ServiceId> {
        let mut all = self.entries.iter();
        all.find(|(_, entry)| *entry.facts.name == *name)
            .map(|(id, _)| *id)
    }

    /// By name, for a reload.
    pub(super) fn by_name(&self) -> HashMap<String, ServiceId> {
        self.entries
            .iter()
            .map(|(id, entry)| (entry.facts.name.to_string(), *id))
            .collect()
    }

    /// Adds one that was not there.
    pub(super) fn enter(&mut self, facts: Rc<Service>, policy: Rc<Policy>) -> ServiceId {
        let id = ServiceId(self.next);
        self.next += 1;
        self.entries.insert(id, Box::new(Entry::new(facts, policy)));
        id
    }

    /// Forgets one.
    pub(super) fn leave(&mut self, id: ServiceId) -> Option<Entry> {
        self.entries.remove(&id).map(|entry| *entry)
    }

    /// Puts the table's identities in force.
    pub(super) fn set_identities(&mut self, identities: Vec<Identity>) {
        self.identities = identities;
    }

    /// One of the identities in force.
    pub(super) fn identity(&self, index: u32) -> Option<&Identity> {
        self.identities.get(index as usize)
    }

    /// The plan of a service that runs a program.
    pub(super) fn plan(&mut self, id: ServiceId, inherited: Inherited) -> Option<Rc<Plan>> {
        let entry = self.entries.get_mut(&id)?;
        let Action::Exec(program) = &entry.facts.action else {
            return None;
        };
        let identity = self.identities.get(program.identity as usize)?;
        let plan = entry
            .plan
            .get_or_insert_with(|| launch::plan(&entry.facts, program, identity, inherited));
        Some(Rc::clone(plan))
    }
}
