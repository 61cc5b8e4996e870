//! What a new table would change, by service, compared with the one in force.
//!
//! Services are compared by what they mean: a table names users and rules by index, and an index may
//! shift without a change.

use super::Supervisor;
use super::services::{Entry, Kept};
use crate::admission::Policy;
use crate::table::{Action, Kind, Rules, Service, Table};
use std::collections::HashMap;
use std::rc::Rc;

/// What a reload does, by service.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) kept: usize,
}

impl Changes {
    /// Whether all stays as it was.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Supervisor {
    /// Compares a table that is not in force yet, but for the services that stay.
    pub(super) fn changes(&self, table: &Table, kept: &Kept) -> Changes {
        let mut known = self.services.by_name(kept);
        let mut changes = Changes {
            kept: kept.len(),
            ..Changes::default()
        };
        let mut alike = Alike::default();
        for new in &table.services {
            let id = known.remove(&*new.name);
            let entry = id.and_then(|id| self.services.get(id));
            match entry.filter(|entry| !entry.retired) {
                None => changes.added.push(new.name.to_string()),
                Some(entry) if self.is_kept(entry, new, table, &mut alike) => changes.kept += 1,
                Some(_) => changes.changed.push(new.name.to_string()),
            }
        }
        let is_there = |id| self.services.get(id).is_some_and(|entry| !entry.retired);
        let removed = known.into_iter().filter(|(_, id)| is_there(*id));
        changes.removed = removed.map(|(name, _)| name.into()).collect();
        changes.removed.sort_unstable();
        changes
    }

    fn is_kept(&self, entry: &Entry, new: &Service, table: &Table, alike: &mut Alike) -> bool {
        let old = &entry.facts;
        let is_same_kind = || {
            let identity = |index| table.identities.get(index as usize);
            let is_same_user = match (&old.action, &new.action) {
                (Action::Exec(old), Action::Exec(new)) => {
                    self.services.identity(old.identity) == identity(new.identity)
                }
                _ => true,
            };
            is_same_user && *old.kind == renumbered(&new.kind, &old.kind)
        };
        old.description == new.description
            && old.endpoints == new.endpoints
            && alike.policies.is_same(&entry.policy, new.rules, table)
            && alike.kinds.is_same(&old.kind, &new.kind, is_same_kind)
    }
}

/// What was compared: thousands of services share a few.
#[derive(Debug, Default)]
struct Alike {
    kinds: Kinds,
    policies: Policies,
}

/// Comparisons of kinds, the one in force first.
#[derive(Debug, Default)]
struct Kinds {
    known: HashMap<(*const Kind, *const Kind), bool>,
}

impl Kinds {
    fn is_same(&mut self, old: &Rc<Kind>, new: &Rc<Kind>, compare: impl FnOnce() -> bool) -> bool {
        let key = (Rc::as_ptr(old), Rc::as_ptr(new));
        *self.known.entry(key).or_insert_with(compare)
    }
}

/// Comparisons of admission keys, which may have long lists.
#[derive(Debug, Default)]
struct Policies {
    known: HashMap<(*const Policy, u32), bool>,
}

impl Policies {
    /// Whether rules of the table mean the same as those in force.
    fn is_same(&mut self, old: &Rc<Policy>, new: u32, table: &Table) -> bool {
        let compare = || {
            let rules = table.rules.get(new as usize).cloned().unwrap_or_default();
            let acl = rules.acl.and_then(|acl| table.acls.get(acl as usize));
            let alike = Rules {
                acl: old.rules.acl,
                ..rules
            };
            alike == old.rules && acl == old.acl.as_deref()
        };
        let key = (Rc::as_ptr(old), new);
        *self.known.entry(key).or_insert_with(compare)
    }
}

/// A kind with the indices that another has, which are of another table.
fn renumbered(kind: &Kind, other: &Kind) -> Kind {
    let mut kind = kind.clone();
    kind.rules = other.rules;
    if let (Action::Exec(program), Action::Exec(other)) = (&mut kind.action, &other.action) {
        program.identity = other.identity;
    }
    kind
}
