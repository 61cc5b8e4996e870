//! How a table differs from one that somebody has: what travels, of ten thousand services, when one
//! was changed.
//!
//! Services are compared by digest: of their facts and of what those name by index. Two that mean
//! the same may have different digests (they were written on other lines, which lists tell of); two
//! with the same digest are the same.

use super::{Acl, Action, Kind, Rules, Table};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The table, without the services that stay as they are.
    pub table: Table,
    /// The digest of each of its services.
    pub digests: Vec<u64>,
    /// Which services stay: places in what was known, the first of each run and how many.
    kept: Vec<(u32, u32)>,
}

impl Difference {
    /// What a table has that is not among these digests.
    pub fn of(mut table: Table, known: &[u64]) -> Difference {
        let known: HashMap<u64, u32> = known.iter().copied().zip(0..).collect();
        let all = digests(&table);
        let mut kept = Vec::new();
        let mut digests = Vec::new();
        let mut rest = all.into_iter();
        table.services.retain(|_| {
            let digest = rest.next().unwrap_or_default();
            let place = known.get(&digest);
            match place {
                Some(place) => extend(&mut kept, *place),
                None => digests.push(digest),
            }
            place.is_none()
        });
        Difference {
            table,
            digests,
            kept,
        }
    }

    /// Those of what was known, in the order of its digests, that stay.
    pub fn kept<'k, T>(&self, known: &'k [T]) -> impl Iterator<Item = &'k T> {
        self.kept.iter().flat_map(|(first, count)| {
            let (first, count) = (*first as usize, *count as usize);
            known
                .get(first..first.saturating_add(count))
                .unwrap_or_default()
        })
    }
}

fn extend(runs: &mut Vec<(u32, u32)>, place: u32) {
    match runs.last_mut() {
        Some((first, count)) if *first + *count == place => *count += 1,
        _ => runs.push((place, 1)),
    }
}

/// The digest of each service.
fn digests(table: &Table) -> Vec<u64> {
    let acls: Vec<u64> = table.acls.iter().map(of_acl).collect();
    let of_rules = |rules: &Rules| {
        let acl = rules.acl.and_then(|index| acls.get(index as usize));
        let own = Rules {
            acl: None,
            ..rules.clone()
        };
        digest(&(own, acl))
    };
    let rules: Vec<u64> = table.rules.iter().map(of_rules).collect();
    let of_kind = |kind: &Kind| {
        let mut own = kind.clone();
        let rules = rules.get(std::mem::take(&mut own.rules) as usize);
        let identity = match &mut own.action {
            Action::Exec(program) => Some(std::mem::take(&mut program.identity)),
            _ => None,
        };
        let identity = identity.and_then(|index| table.identities.get(index as usize));
        digest(&(own, rules, identity))
    };
    let mut kinds: HashMap<*const Kind, u64> = HashMap::new();
    let services = table.services.iter().map(|service| {
        let kind = kinds.entry(Rc::as_ptr(&service.kind));
        let kind = kind.or_insert_with(|| of_kind(&service.kind));
        let own = (&service.name, &service.description, &service.endpoints);
        digest(&(own, kind))
    });
    services.collect()
}

/// Its entries and where they were written.
fn of_acl(acl: &Acl) -> u64 {
    digest(&serde_json::to_vec(acl).unwrap_or_default())
}

fn digest(what: &impl Hash) -> u64 {
    // Its keys are fixed: two processes of one program agree.
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
