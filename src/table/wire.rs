//! The form in which a table travels: what services share is written once, and named by index; what
//! none of them names is left out.
//!
//! An index of a kind that names nothing makes the whole table unreadable.

use super::{Acl, Action, Endpoint, Identity, Kind, Rules, Server, Service};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::rc::Rc;

/// See [`super::Table`].
#[derive(Serialize, Deserialize)]
pub(super) struct Table {
    server: Server,
    identities: Vec<Identity>,
    acls: Vec<Acl>,
    rules: Vec<Rules>,
    kinds: Vec<Kind>,
    services: Vec<Written>,
}

/// See [`super::Service`]; the last is the index of its kind.
#[derive(Serialize, Deserialize)]
struct Written(Box<str>, Option<Box<str>>, Box<[Endpoint]>, usize);

impl From<super::Table> for Table {
    fn from(table: super::Table) -> Table {
        let mut kinds = Vec::new();
        let mut places = HashMap::new();
        let services = table.services.into_iter().map(|service| {
            let place = *places.entry(Rc::as_ptr(&service.kind)).or_insert_with(|| {
                kinds.push(Rc::clone(&service.kind));
                kinds.len() - 1
            });
            Written(service.name, service.description, service.endpoints, place)
        });
        let services = services.collect();
        let mut kinds: Vec<Kind> = kinds.into_iter().map(Rc::unwrap_or_clone).collect();
        let mut identities = Named::new(table.identities);
        let mut rules = Named::new(table.rules);
        let mut acls = Named::new(table.acls);
        for kind in &mut kinds {
            rules.name(&mut kind.rules);
            if let Action::Exec(program) = &mut kind.action {
                identities.name(&mut program.identity);
            }
        }
        for acl in rules.taken.iter_mut().filter_map(|it| it.acl.as_mut()) {
            acls.name(acl);
        }
        Table {
            server: table.server,
            identities: identities.taken,
            acls: acls.taken,
            rules: rules.taken,
            kinds,
            services,
        }
    }
}

/// Takes those of a list that are named, in the order in which they are.
struct Named<T> {
    all: Vec<T>,
    places: HashMap<u32, u32>,
    taken: Vec<T>,
}

impl<T: Clone> Named<T> {
    fn new(all: Vec<T>) -> Named<T> {
        Named {
            all,
            places: HashMap::new(),
            taken: Vec::new(),
        }
    }

    /// Changes an index of all to one of those that are taken.
    fn name(&mut self, index: &mut u32) {
        let Some(what) = self.all.get(*index as usize) else {
            return;
        };
        let next = self.taken.len() as u32;
        let place = *self.places.entry(*index).or_insert(next);
        if place == next {
            self.taken.push(what.clone());
        }
        *index = place;
    }
}

impl TryFrom<Table> for super::Table {
    type Error = String;

    fn try_from(table: Table) -> Result<super::Table, String> {
        let kinds: Vec<Rc<Kind>> = table.kinds.into_iter().map(Rc::new).collect();
        let service = |Written(name, description, endpoints, place): Written| {
            let kind = kinds.get(place).map(Rc::clone);
            let kind = kind.ok_or_else(|| format!("service {name} is of no kind"))?;
            Ok(Service {
                name,
                description,
                endpoints,
                kind,
            })
        };
        let services = table.services.into_iter().map(service);
        Ok(super::Table {
            server: table.server,
            identities: table.identities,
            acls: table.acls,
            rules: table.rules,
            services: services.collect::<Result<_, String>>()?,
        })
    }
}
