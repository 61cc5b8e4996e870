//! What services share, each thing once: users, admission keys, kinds.
//!
//! A kind names its user and its keys by number. A table brings numbers of its own, which become ours
//! before it is put in force; services that stay keep theirs. So what a reload takes does not grow
//! with what stays, and what is shared stays shared, however often one of thousands is changed.

use crate::admission::Policy;
use crate::table::{Acl, Action, Identity, Kind, Rules, Table};
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shared {
    identities: Numbered<Identity>,
    policies: Numbered<Policy>,
}

/// Things by number. One that nobody names is free.
#[derive(Debug)]
struct Numbered<T> {
    all: Vec<Option<Rc<T>>>,
}

impl Shared {
    pub(super) fn identity(&self, number: u32) -> Option<&Identity> {
        self.identities.get(number).map(Rc::as_ref)
    }

    /// The admission keys of this number; for one that is free, those that hold where nothing is written.
    pub(super) fn policy(&self, number: u32) -> Rc<Policy> {
        self.policies.get(number).cloned().unwrap_or_default()
    }

    /// Takes what a table brings, as far as it is not here, and changes its services accordingly.
    pub(super) fn take_from(&mut self, table: &mut Table, in_force: HashSet<Rc<Kind>>) {
        let identities = std::mem::take(&mut table.identities);
        let identities = self.identities.take(identities, Identity::clone);
        let acls = self.lists(std::mem::take(&mut table.acls));
        let rules = std::mem::take(&mut table.rules).into_iter();
        let policies = rules.map(|rules| policy(rules, &acls)).collect();
        let policies = self.policies.take(policies, |policy| {
            // Lists by place: they tell where they were written.
            let list = policy.acl.as_ref().map(Rc::as_ptr);
            (policy.rules.clone(), list)
        });

        let mut kinds = in_force;
        let mut ours: HashMap<*const Kind, Rc<Kind>> = HashMap::new();
        for service in &mut table.services {
            let kind = ours.entry(Rc::as_ptr(&service.kind)).or_insert_with(|| {
                let kind = renumbered(&service.kind, &identities, &policies);
                once(&mut kinds, Rc::new(kind))
            });
            service.kind = Rc::clone(kind);
        }
    }

    /// Forgets what none of these kinds, which are all, names.
    pub(super) fn keep(&mut self, kinds: &HashSet<Rc<Kind>>) {
        let users = kinds.iter().filter_map(|kind| match &kind.action {
            Action::Exec(program) => Some(program.identity),
            _ => None,
        });
        self.identities.keep(&users.collect());
        self.policies
            .keep(&kinds.iter().map(|kind| kind.rules).collect());
    }

    /// These lists, those that are here already shared: they may be long.
    fn lists(&self, acls: Vec<Acl>) -> Vec<Rc<Acl>> {
        if acls.is_empty() {
            return Vec::new();
        }
        let policies = self.policies.all.iter().flatten();
        let known = policies.filter_map(|policy| policy.acl.clone());
        let mut known: HashSet<Identical> = known.map(Identical).collect();
        let share = |acl| once(&mut known, Identical(Rc::new(acl))).0;
        acls.into_iter().map(share).collect()
    }
}

/// A list that is the same as another only if it was written in the same places.
#[derive(Clone)]
struct Identical(Rc<Acl>);

impl PartialEq for Identical {
    fn eq(&self, other: &Identical) -> bool {
        self.0.is_identical(&other.0)
    }
}

impl Eq for Identical {}

impl Hash for Identical {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> Default for Numbered<T> {
    fn default() -> Numbered<T> {
        Numbered { all: Vec::new() }
    }
}

impl<T> Numbered<T> {
    fn get(&self, number: u32) -> Option<&Rc<T>> {
        self.all.get(number as usize)?.as_ref()
    }

    /// The numbers of things, those that are here already and those that now are. Those with the same
    /// key are the same.
    fn take<K: Hash + Eq>(&mut self, things: Vec<T>, key: impl Fn(&T) -> K) -> Vec<u32> {
        if things.is_empty() {
            return Vec::new();
        }
        let mut known = HashMap::new();
        let mut free = Vec::new();
        for (number, thing) in (0..).zip(&self.all) {
            match thing {
                Some(thing) => drop(known.insert(key(thing), number)),
                None => free.push(number),
            }
        }
        let mut number = |thing: T| {
            *known.entry(key(&thing)).or_insert_with(|| {
                let number = free.pop().unwrap_or_else(|| {
                    self.all.push(None);
                    self.all.len() as u32 - 1
                });
                self.all[number as usize] = Some(Rc::new(thing));
                number
            })
        };
        things.into_iter().map(&mut number).collect()
    }

    fn keep(&mut self, numbers: &HashSet<u32>) {
        for (number, thing) in (0..).zip(&mut self.all) {
            if !numbers.contains(&number) {
                *thing = None;
            }
        }
    }
}

fn policy(rules: Rules, acls: &[Rc<Acl>]) -> Policy {
    let acl = rules.acl.and_then(|index| acls.get(index as usize));
    Policy {
        acl: acl.cloned(),
        rules: Rules { acl: None, ..rules },
    }
}

/// What is in the set and the same, or takes it in.
fn once<T: Clone + Hash + Eq>(all: &mut HashSet<T>, what: T) -> T {
    if let Some(known) = all.get(&what) {
        return known.clone();
    }
    all.insert(what.clone());
    what
}

/// A kind with our numbers. Those of what the table does not have stand for nothing.
fn renumbered(kind: &Kind, identities: &[u32], policies: &[u32]) -> Kind {
    let number = |numbers: &[u32], index| numbers.get(index as usize).copied().unwrap_or(u32::MAX);
    let mut kind = kind.clone();
    kind.rules = number(policies, kind.rules);
    if let Action::Exec(program) = &mut kind.action {
        program.identity = number(identities, program.identity);
    }
    kind
}

#[cfg(test)]
mod tests;
