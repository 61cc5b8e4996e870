//! `[server] inetd_conf`: the services of a classic table beside those of `services.toml`, which win.
//!
//! Nothing about that table is a mistake: a package's script may write a line at any time, and must
//! not stop the others. What is wrong is a warning, and what it is about is left out.

use super::document::{Document, ServiceEntry};
use super::file::Opened;
use super::inetd::live;
use super::mistake::{Mistake, Place};
use super::resolve::Resolver;
use super::{Open, overlaps};
use crate::table::{Endpoint, Service};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Its rank when mistakes are sorted: after the table and what it includes.
pub(super) const RANK: u32 = 1 << 29;

/// The services of the classic table; `None` where none is asked for.
pub(super) fn read(
    main: &Document,
    services: &[ServiceEntry],
    warnings: &mut Vec<Mistake>,
    open: &mut Open,
) -> Option<Vec<ServiceEntry>> {
    let path = main.server.inetd_conf.as_ref()?;
    let opened = match open(Path::new(&path.value), RANK) {
        Ok(opened) => opened,
        Err(mistakes) => {
            let named = mistakes.0.into_iter();
            warnings.extend(named.map(|it| it.note("it is named at", &path.place).warning()));
            return Some(Vec::new());
        }
    };
    let Opened {
        source,
        mistakes,
        warnings: about,
        ..
    } = opened;
    warnings.extend(about);
    // Whoever can write it would run programs as root. Bytes that are not UTF-8 matter in lines only.
    let unsafe_file: Vec<Mistake> = mistakes
        .into_iter()
        .filter(|mistake| matches!(mistake.place(), Place::File(_)))
        .collect();
    if !unsafe_file.is_empty() {
        let none =
            |it: Mistake| it.note("none of its lines is served; it is named at", &path.place);
        warnings.extend(unsafe_file.into_iter().map(|it| none(it).warning()));
        return Some(Vec::new());
    }
    let taken: HashMap<String, Place> = services
        .iter()
        .map(|service| (service.name.clone(), service.place.clone()))
        .collect();
    let (services, found) = live::services(&source, &main.defaults, &taken);
    warnings.extend(found);
    Some(services)
}

/// Adds the services that can be served to those of the table.
pub(super) fn resolve<'e>(
    resolver: &mut Resolver,
    classic: &'e [ServiceEntry],
    services: &mut Vec<Service>,
    mut sockets: Vec<(&'e ServiceEntry, Vec<Endpoint>)>,
) {
    let of_table = sockets.len();
    let mut found = Vec::new();
    for written in classic {
        let before = resolver.mistakes.len();
        let endpoints = resolver.endpoints(written);
        let service = resolver.service(written, endpoints.clone());
        let is_left_out = demote(resolver, before, written);
        if let (Some(service), Some(endpoints), false) = (service, endpoints, is_left_out) {
            if service.enabled {
                sockets.push((written, endpoints));
            }
            found.push(service);
        }
    }
    let in_the_way = in_the_way(resolver, of_table, &sockets);
    found.retain(|service| !in_the_way.contains(&*service.name));
    services.append(&mut found);
}

/// What was found wrong with a line since then is a warning, and whether there is any is returned.
/// What a key of `[defaults]` says stays a mistake.
fn demote(resolver: &mut Resolver, before: usize, written: &ServiceEntry) -> bool {
    let is_of_line = |mistake: &Mistake| mistake.place().file() == written.place.file();
    let found = resolver.mistakes.split_off(before);
    let (of_line, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_of_line);
    let is_left_out = !of_line.is_empty();
    resolver
        .warnings
        .extend(of_line.into_iter().map(live::left_out));
    resolver.mistakes.extend(others);
    is_left_out
}

/// Names of the services that want sockets which an earlier one has. Those of the table come first,
/// and what is wrong among them was told.
fn in_the_way(
    resolver: &mut Resolver,
    of_table: usize,
    sockets: &[(&ServiceEntry, Vec<Endpoint>)],
) -> HashSet<String> {
    let of_lines: HashSet<(u32, usize)> = sockets[of_table..]
        .iter()
        .flat_map(|(written, _)| elements(written))
        .collect();
    let found = overlaps(sockets).into_iter();
    let found: Vec<Mistake> = found
        .filter(|it| of_lines.contains(&it.place().rank()))
        .collect();
    let places: HashSet<(u32, usize)> = found.iter().map(|it| it.place().rank()).collect();
    resolver
        .warnings
        .extend(found.into_iter().map(live::left_out));
    let lines = sockets[of_table..].iter().map(|(written, _)| *written);
    lines
        .filter(|written| elements(written).any(|place| places.contains(&place)))
        .map(|written| written.name.clone())
        .collect()
}

/// Where the elements of `listen` are.
fn elements(written: &ServiceEntry) -> impl Iterator<Item = (u32, usize)> {
    let elements = written.entry.listen.iter().flatten();
    elements.map(|element| element.place.rank())
}
