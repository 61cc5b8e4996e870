//! `[server] inetd_conf`: the lines of a classic table as services beside those of `services.toml`.
//!
//! A line means what it has always meant: the program runs with setuid bits in force, as the user
//! that the line names. `[defaults]` holds for it where it says nothing itself. What is wrong is a
//! warning, and only that line is left out.

use super::super::document::ServiceEntry;
use super::super::entry::{Entry, check_command};
use super::super::listen;
use super::super::mistake::{Located, Mistake, Mistakes, Place, all};
use super::super::source::Source;
use super::super::value::{self, NameOrId};
use super::{Act, Item, Line, parse};
use crate::table::{Pass, Rate};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The services of a table, without those that `taken` finds in services.toml, and what is the
/// matter with the others.
pub(in crate::config) fn services(
    source: &Arc<Source>,
    defaults: &Entry,
    taken: &HashMap<String, Place>,
) -> (Vec<ServiceEntry>, Vec<Mistake>) {
    let conf = parse(source, None);
    let mut warnings: Vec<Mistake> = conf.mistakes.into_iter().map(left_out).collect();
    let mut services: Vec<ServiceEntry> = Vec::new();
    let mut names = Names::default();
    for item in conf.items {
        let Item::Service(line) = item else { continue };
        if !line.enabled {
            continue;
        }
        if let Some(place) = taken.get(&line.name) {
            let message = format!("service {} is in the table too, which wins", line.name);
            let mistake = Mistake::new(message)
                .at(&line.place)
                .note("that is at", place);
            warnings.push(mistake.help("take one of them out").warning());
            continue;
        }
        for remark in line.remarks.iter().filter(|remark| remark.is_dropped) {
            let mistake = Mistake::new(&remark.words).at(&remark.place);
            warnings.push(mistake.warning());
        }
        let name = names.unique(&line.name, &line.protocol, |name| taken.contains_key(name));
        match entry(&line, defaults) {
            Ok(entry) => services.push(ServiceEntry {
                name,
                place: line.place.clone(),
                entry: Box::new(entry),
                is_partial: false,
            }),
            Err(mistakes) => warnings.extend(mistakes.0.into_iter().map(left_out)),
        }
    }
    (services, warnings)
}

/// What is wrong with a line is no reason to serve none.
pub(in crate::config) fn left_out(mistake: Mistake) -> Mistake {
    mistake.consequence("the line is left out").warning()
}

/// Names for lines of the same service: `echo`, `echo-udp`, `echo-udp-2`.
#[derive(Default)]
pub(crate) struct Names {
    given: HashSet<String>,
    /// The next number for a name with its protocol, so that thousands are not tried again.
    next: HashMap<String, u32>,
}

impl Names {
    /// A name that no line before has, and that is not taken otherwise.
    pub(crate) fn unique(
        &mut self,
        name: &str,
        protocol: &str,
        is_taken: impl Fn(&str) -> bool,
    ) -> String {
        let protocol = protocol.split(',').next().unwrap_or_default();
        // A name has 64 characters at most.
        let short: String = name.chars().take(48).collect();
        let second = format!("{short}-{protocol}");
        let given = &self.given;
        let is_free = |name: &String| !given.contains(name) && !is_taken(name);
        let number = self.next.entry(second.clone()).or_insert(2);
        let mut found = [name.to_owned(), second.clone()].into_iter().find(is_free);
        while found.is_none() {
            found = Some(format!("{second}-{number}")).filter(is_free);
            *number += 1;
        }
        let found = found.unwrap_or(second);
        self.given.insert(found.clone());
        found
    }
}

/// What a line says, as an entry of services.toml.
fn entry(line: &Line, defaults: &Entry) -> Result<Entry, Mistakes> {
    let mut entry = Entry {
        listen: Some(all(line.listen.iter().map(listen::address))?),
        max_connections: line.max_connections,
        ..Entry::default()
    };
    let per_minute = |count| Rate::new(count, MINUTE, Some(count));
    entry.rules.rate = line.rate.map(per_minute);
    entry.rules.rate_per_source = line.rate_per_source.map(per_minute);
    entry.rules.max_per_source = line.max_per_source;
    let keys = [
        ("listen", true),
        ("max_connections", line.max_connections.is_some()),
        ("rate", line.rate.is_some()),
        ("rate_per_source", line.rate_per_source.is_some()),
        ("max_per_source", line.max_per_source.is_some()),
    ];
    for (key, _) in keys.into_iter().filter(|(_, is_written)| *is_written) {
        entry.written.insert(key, line.place.clone());
    }
    match &line.action {
        Act::Builtin(name) => {
            entry.builtin = Some(value::builtin(name)?);
            entry.written.insert("builtin", name.place.clone());
        }
        Act::Run { path, argv } => program(&mut entry, line, path, argv, defaults)?,
    }
    Ok(entry)
}

fn program(
    entry: &mut Entry,
    line: &Line,
    path: &Located<String>,
    argv: &[Located<String>],
    defaults: &Entry,
) -> Result<(), Mistakes> {
    let mut command = vec![path.clone()];
    command.extend(argv.iter().skip(1).cloned());
    entry.command = Some(check_command(command)?);
    entry.argv0 = argv
        .first()
        .map(|word| word.value.clone())
        .filter(|word| !word.is_empty());
    let name = |name: &Located<String>| {
        Located::new(NameOrId::Name(name.value.clone()), name.place.clone())
    };
    entry.user = Some(name(&line.user));
    entry.group = line.group.as_ref().map(name);
    // Datagrams are always for a program that waits; what a default says is about others.
    entry.wait = Some(Located::new(line.wait, line.place.clone()));
    entry.pass = Some(Located::new(Pass::Stdio, line.place.clone()));
    entry.no_new_privileges = defaults.no_new_privileges.or(Some(false));
    for (key, place) in [
        ("command", &path.place),
        ("user", &line.user.place),
        ("wait", &line.place),
    ] {
        entry.written.insert(key, place.clone());
    }
    if let Some(group) = &line.group {
        entry.written.insert("group", group.place.clone());
    }
    Ok(())
}
