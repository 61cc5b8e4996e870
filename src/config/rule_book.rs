//! From the admission keys of a service to its [`Rules`], which services share.
//!
//! A key that cannot be kept is a mistake where the service itself has it, and is left out where it
//! comes from `[defaults]`.

use super::entry::Entry;
use super::mistake::{Mistake, Place};
use super::resolve::Resolver;
use super::rules::RulesEntry;
use crate::table::Rules;
use std::collections::HashMap;

/// Whom a service takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// Connections, one by one.
    Connections,
    /// Datagrams only, to a built-in service.
    Datagrams,
    /// Nobody: its program is given the socket and takes in whom it will.
    ByProgram,
}

/// Keys about clients.
const OF_CLIENTS: [&str; 6] = [
    "when_full",
    "max_per_source",
    "source_prefix",
    "rate_per_source",
    "hours",
    "refusal",
];

/// Keys about connections.
const OF_CONNECTIONS: [&str; 4] = ["max_connections", "when_full", "max_per_source", "refusal"];

/// Every set of rules once. The first is what holds where nothing is written.
#[derive(Debug)]
pub(super) struct RuleBook {
    rules: Vec<Rules>,
    indices: HashMap<Rules, u32>,
}

impl RuleBook {
    pub(super) fn new() -> RuleBook {
        let mut book = RuleBook {
            rules: Vec::new(),
            indices: HashMap::new(),
        };
        book.intern(Rules::default());
        book
    }

    fn intern(&mut self, rules: Rules) -> u32 {
        *self.indices.entry(rules).or_insert_with_key(|rules| {
            self.rules.push(rules.clone());
            self.rules.len() as u32 - 1
        })
    }

    /// The list that indices point into.
    pub(super) fn take(&mut self) -> Vec<Rules> {
        self.indices.clear();
        std::mem::take(&mut self.rules)
    }
}

impl Resolver<'_> {
    /// Index of the service's rules. `most` is its `max_connections`.
    pub(super) fn rules(&mut self, entry: &Entry, intake: Intake, most: u32) -> u32 {
        self.check_intake(entry, intake);
        self.warn_of_shares(entry, most);
        let keys = Keys {
            entry,
            defaults: self.defaults,
        };
        let rules = match intake {
            Intake::Connections => keys.of_connections(),
            Intake::Datagrams => keys.of_datagrams(),
            Intake::ByProgram => keys.of_starts(),
        };
        self.book.intern(rules)
    }

    /// Keys of the service's own that cannot be kept.
    fn check_intake(&mut self, entry: &Entry, intake: Intake) {
        let (keys, mistake): (&[&str], fn(&str) -> Mistake) = match intake {
            Intake::Connections => return,
            Intake::Datagrams => (&OF_CONNECTIONS, not_for_datagrams),
            Intake::ByProgram => (&OF_CLIENTS, not_with_wait),
        };
        let written = keys
            .iter()
            .filter_map(|key| Some((*key, entry.place_of(key)?)));
        let mistakes = written.map(|(key, place): (&str, &Place)| mistake(key).at(place));
        self.mistakes.extend(mistakes);
    }

    fn warn_of_shares(&mut self, entry: &Entry, most: u32) {
        let (Some(place), Some(share)) =
            (entry.place_of("max_per_source"), entry.rules.max_per_source)
        else {
            return;
        };
        if share > most {
            let message = format!(
                "max_per_source is above max_connections, which is {most}: it limits nobody"
            );
            self.warnings.push(
                Mistake::new(message)
                    .at(place)
                    .help("lower it, or raise max_connections")
                    .warning(),
            );
        }
    }
}

/// A service's own keys over those of `[defaults]`.
#[derive(Clone, Copy)]
struct Keys<'e> {
    entry: &'e Entry,
    defaults: &'e Entry,
}

impl<'e> Keys<'e> {
    fn value<T>(self, key: &str, field: impl Fn(&'e RulesEntry) -> &'e Option<T>) -> Option<&'e T> {
        let section = match self.entry.has(key) {
            true => self.entry,
            false => self.defaults,
        };
        field(&section.rules).as_ref()
    }

    fn of_starts(self) -> Rules {
        Rules {
            rate: self.value("rate", |rules| &rules.rate).copied(),
            ..Rules::default()
        }
    }

    fn of_datagrams(self) -> Rules {
        let prefix = self.value("source_prefix", |rules| &rules.source_prefix);
        Rules {
            source_prefix: prefix.copied().unwrap_or_default(),
            rate_per_source: self
                .value("rate_per_source", |rules| &rules.rate_per_source)
                .copied(),
            hours: self.value("hours", |rules| &rules.hours).cloned(),
            ..self.of_starts()
        }
    }

    fn of_connections(self) -> Rules {
        let when_full = self.value("when_full", |rules| &rules.when_full);
        let share = self.value("max_per_source", |rules| &rules.max_per_source);
        let refusal = self.value("refusal", |rules| &rules.refusal);
        Rules {
            when_full: when_full.copied().unwrap_or_default(),
            max_per_source: share.copied(),
            refusal: refusal.cloned().unwrap_or_default(),
            ..self.of_datagrams()
        }
    }
}

fn not_with_wait(key: &str) -> Mistake {
    let message = format!(
        "{key} cannot be kept: the program is given the socket and takes its clients itself"
    );
    Mistake::new(message).help(match key {
        "when_full" | "max_per_source" | "source_prefix" | "rate_per_source" => {
            "leave it to the program or a firewall; max_connections and rate limit how many programs are started"
        }
        "refusal" => "leave it to the program",
        "hours" => "leave it to the program or to a firewall",
        _ => "leave it to the program (many read hosts.allow, see tcpd(8)) or to a firewall",
    })
}

fn not_for_datagrams(key: &str) -> Mistake {
    Mistake::new(format!(
        "{key} is about connections, and datagrams have none"
    ))
    .help("leave it out: rate and rate_per_source limit datagrams")
}
