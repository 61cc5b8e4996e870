//! Text to [`Table`], or to every mistake in it.
//!
//! A table goes through these stages, each of which collects mistakes and goes on: a [`file`] is read
//! once; [`syntax`] makes a tree with places; [`document`], [`entry`] and [`server`] take from it
//! what they know, by the list in [`keys`]; [`resolve`] and [`program`] apply the defaults and ask
//! the machine ([`address`], [`bindable`], [`identity`], [`presence`]); [`overlap`] compares the sockets.
//!
//! Everything here may block (files, NSS, DNS), so the supervisor runs it in a child, the
//! [`loader`]. Nothing here binds, starts or changes anything.

mod access;
mod address;
mod bindable;
mod classic;
mod command_line;
mod document;
mod draft;
mod entry;
mod explain;
mod file;
mod foreign;
mod guess;
mod handed;
mod hints;
mod host;
mod hours;
mod identity;
mod include;
pub mod inetd;
pub mod keys;
mod life;
mod limits;
mod list;
mod listen;
pub mod loader;
mod mistake;
mod overlap;
mod presence;
mod program;
mod rate;
mod reader;
mod redirect;
mod refusal;
mod resolve;
mod rule_book;
mod rules;
mod server;
mod snippet;
mod socket;
mod source;
mod stdio;
mod syntax;
#[cfg(test)]
mod tests;
mod value;
mod who;
mod who_meant;
mod words;

pub use command_line::{CommandLine, for_command_line};
pub use draft::{Draft, Replacement, load_draft, load_text};
pub use host::{HANDED, Host};
pub use mistake::{Mistake, Mistakes, Place};
pub use source::Source;
pub use words::similar;

use crate::table::{Endpoint, LogFormat, LogSink, Server, Service, Table};
use document::{Document, Role, ServiceEntry};
use file::Opened;
use overlap::Claim;
use resolve::Resolver;
use server::ServerEntry;
use std::collections::HashMap;
use std::path::Path;

const DEFAULT_MAX_CONNECTIONS: u32 = 10_000;
const DEFAULT_MAX_WORKER_CONNECTIONS: u32 = 4096;

/// A duration as the table writes it, `30s`, `5m` or `1h30m`; for options that take one.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    value::seconds(text).map(std::time::Duration::from_secs)
}

/// A table that can be served.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The table.
    pub table: Table,
    /// What may be wrong all the same, in the order of the text.
    pub warnings: Vec<Mistake>,
}

/// Reads and resolves a table with its includes, or says everything that is wrong with it.
pub fn load(path: &Path, host: &Host) -> Result<Loaded, Mistakes> {
    load_with(path, host, &mut |path, order| file::read(path, order, host))
}

/// Opens a file that has this rank.
type Open<'o> = dyn FnMut(&Path, u32) -> Result<Opened, Mistakes> + 'o;

fn load_with(path: &Path, host: &Host, open: &mut Open) -> Result<Loaded, Mistakes> {
    let files = Files::read(path, open)?;
    let mut mistakes = files.mistakes;
    let mut warnings = files.warnings;
    let mut services = merge(files.services, &mut mistakes);
    mistakes.extend(handed::put_in(&mut services, host));
    let classic = classic::read(&files.main, &services, &mut warnings, open);
    let mut resolver = Resolver::new(host, &files.main.defaults, directory(path));
    let is_whole = files.is_whole && mistakes.is_empty() && classic.is_none();
    if is_whole
        && !services
            .iter()
            .any(|service| resolver.is_enabled(&service.entry))
    {
        mistakes.push(nothing_to_serve(services.is_empty()).at(&files.place));
    }
    let classic = classic.unwrap_or_default();
    let table = resolve(&mut resolver, &files.main.server, &services, &classic);
    mistakes.append(&mut resolver.mistakes);
    warnings.append(&mut resolver.warnings);
    finish(table, mistakes, warnings)
}

/// What names of files in a table are relative to.
fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// What all files of a table say.
struct Files {
    main: Document,
    place: Place,
    /// What included files say of the server.
    brought: ServerEntry,
    services: Vec<(Role, ServiceEntry)>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    is_whole: bool,
}

impl Files {
    fn read(path: &Path, open: &mut Open) -> Result<Files, Mistakes> {
        let opened = open(path, 0)?;
        let mut main = document::read(&opened.source, Role::Main);
        let services = main
            .services
            .drain(..)
            .map(|service| (Role::Main, service))
            .collect();
        let mut files = Files {
            place: Place::File(opened.source.clone()),
            brought: ServerEntry::default(),
            services,
            mistakes: opened.mistakes,
            warnings: opened.warnings,
            is_whole: main.is_whole,
            main,
        };
        files.mistakes.append(&mut files.main.mistakes);
        files.include(path, opened.inode, open);
        Ok(files)
    }

    fn include(&mut self, path: &Path, main: (u64, u64), open: &mut Open) {
        let base = directory(path);
        let mut seen = vec![main];
        for pattern in self.main.server.include.clone().unwrap_or_default() {
            match include::expand(&pattern, base) {
                Ok(paths) => paths
                    .iter()
                    .for_each(|path| self.add(path, open, &mut seen)),
                Err(mistake) if mistake.is_warning() => self.warnings.push(mistake),
                Err(mistake) => self.mistakes.push(mistake),
            }
        }
        // The main file wins, and then the last one.
        let ServerEntry {
            inetd_conf,
            pid_file,
            ..
        } = std::mem::take(&mut self.brought);
        let server = &mut self.main.server;
        server.inetd_conf = server.inetd_conf.take().or(inetd_conf);
        server.pid_file = server.pid_file.take().or(pid_file);
    }

    /// Reads an included file, unless it was read before: patterns may overlap.
    fn add(&mut self, path: &Path, open: &mut Open, seen: &mut Vec<(u64, u64)>) {
        let opened = match open(path, seen.len() as u32) {
            Ok(opened) if seen.contains(&opened.inode) => return,
            Ok(opened) => opened,
            Err(mistakes) => return self.mistakes.extend(mistakes.0),
        };
        seen.push(opened.inode);
        let document = document::read(&opened.source, Role::Included);
        self.mistakes.extend(opened.mistakes);
        self.mistakes.extend(document.mistakes);
        self.warnings.extend(opened.warnings);
        self.is_whole &= document.is_whole;
        let ServerEntry {
            inetd_conf,
            pid_file,
            ..
        } = document.server;
        self.brought.inetd_conf = inetd_conf.or(self.brought.inetd_conf.take());
        self.brought.pid_file = pid_file.or(self.brought.pid_file.take());
        self.services.extend(
            document
                .services
                .into_iter()
                .map(|service| (Role::Included, service)),
        );
    }
}

/// One entry for each name: the last one, if it says so.
fn merge(services: Vec<(Role, ServiceEntry)>, mistakes: &mut Vec<Mistake>) -> Vec<ServiceEntry> {
    let mut merged: Vec<Option<ServiceEntry>> = Vec::new();
    let mut indices: HashMap<String, usize> = HashMap::new();
    for (role, service) in services {
        let overrides = service
            .entry
            .overrides
            .as_ref()
            .filter(|overrides| overrides.value);
        if let (Role::Main, Some(overrides)) = (role, overrides) {
            let mistake = Mistake::new(
                "override = true means nothing in the main file: no entry comes before",
            );
            mistakes.push(
                mistake
                    .at(&overrides.place)
                    .help("leave it out: it is for included files"),
            );
        }
        if let Some(first) = indices.insert(service.name.clone(), merged.len()) {
            let first = merged[first].take();
            if let (None, Some(first)) = (overrides, first) {
                let message = format!("service {} is here for the second time", service.name);
                let mistake = Mistake::new(message)
                    .at(&service.place)
                    .note("the first is at", &first.place);
                mistakes.push(
                    mistake.help("rename one, or write override = true here to replace the first"),
                );
            }
        }
        merged.push(Some(service));
    }
    merged.into_iter().flatten().collect()
}

fn nothing_to_serve(is_empty: bool) -> Mistake {
    match is_empty {
        true => Mistake::new("this table has no service")
            .help("add one:\n[service.daytime]\nlisten = 13\nbuiltin = \"daytime\""),
        false => Mistake::new("no service in this table is enabled")
            .help("take enabled = false out of one of them, or out of [defaults]"),
    }
}

/// The table, as far as there is one: without the services that have mistakes.
fn resolve(
    resolver: &mut Resolver,
    server: &ServerEntry,
    written: &[ServiceEntry],
    classic: &[ServiceEntry],
) -> Table {
    let mut services: Vec<Service> = Vec::new();
    let mut sockets: Vec<(&ServiceEntry, Vec<Endpoint>)> = Vec::new();
    for written in written.iter().filter(|written| !written.is_partial) {
        let endpoints = resolver.endpoints(written);
        if let Some(endpoints) = endpoints
            .clone()
            .filter(|_| resolver.is_enabled(&written.entry))
        {
            sockets.push((written, endpoints));
        }
        services.extend(resolver.service(written, endpoints));
    }
    resolver.mistakes.extend(overlaps(&sockets));
    classic::resolve(resolver, classic, &mut services, sockets);
    let needs_worker = services
        .iter()
        .any(|service| service.enabled && service.needs_worker());
    let worker = resolver
        .identities
        .worker(server.worker_user.as_ref(), needs_worker);
    let server = Server {
        log: server.log.clone().unwrap_or(LogSink::Stderr),
        log_format: server.log_format.unwrap_or(LogFormat::Text),
        log_address: server.log_address.unwrap_or_default(),
        max_connections: server.max_connections.unwrap_or(DEFAULT_MAX_CONNECTIONS),
        max_worker_connections: server
            .max_worker_connections
            .unwrap_or(DEFAULT_MAX_WORKER_CONNECTIONS),
        worker: resolver.keep(worker).flatten(),
        control: server.control.clone(),
        pid_file: server.pid_file.clone(),
        viewers: identity::viewers(),
        is_inetd: server.inetd_conf.is_some(),
    };
    let (identities, mut warnings) = resolver.identities.take();
    resolver.warnings.append(&mut warnings);
    resolver.warnings.append(&mut resolver.access.warnings);
    resolver.mistakes.append(&mut resolver.access.mistakes);
    Table {
        server,
        identities,
        acls: resolver.access.take(),
        rules: resolver.book.take(),
        services,
    }
}

fn overlaps(sockets: &[(&ServiceEntry, Vec<Endpoint>)]) -> Vec<Mistake> {
    let mut claims = Vec::new();
    for (service, endpoints) in sockets {
        let elements = service.entry.listen.as_deref().unwrap_or_default();
        claims.extend(endpoints.iter().map(|endpoint| Claim {
            service: &service.name,
            endpoint,
            place: &elements[usize::from(endpoint.entry)].place,
        }));
    }
    overlap::find(&claims)
}

fn finish(
    table: Table,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
) -> Result<Loaded, Mistakes> {
    match mistakes.is_empty() {
        true => Ok(Loaded {
            table,
            warnings: Mistakes(warnings).sorted().0,
        }),
        false => Err(Mistakes(mistakes).sorted()),
    }
}
