//! From the admission keys of a service to its [`Rules`], which services share.
//!
//! A key that cannot be kept is a mistake where the service itself has it, and is left out where it
//! comes from `[defaults]`.

use super::access::{Lists, Written};
use super::entry::Entry;
use super::listen::Wanted;
use super::mistake::{Located, Mistake, Place};
use super::resolve::Resolver;
use super::rules::RulesEntry;
use super::who;
use crate::table::{List, Rules, Transport, WhenFull};
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
const OF_CLIENTS: [&str; 9] = [
    "allow",
    "deny",
    "exempt",
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
            Intake::ByProgram => keys.of_starts(),
            Intake::Datagrams => keys.of_datagrams(self.lists(keys)),
            Intake::Connections => {
                self.check_exempt(entry);
                self.check_exempt(self.defaults);
                keys.of_connections(self.lists(keys))
            }
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

    /// Clients in the kernel's queue cannot be told apart.
    fn check_exempt(&mut self, section: &Entry) {
        let is_queue = section.rules.when_full == Some(WhenFull::Queue);
        let has_exempt = section
            .rules
            .exempt
            .as_ref()
            .is_some_and(|list| !list.is_empty());
        if let (Some(place), Some(exempt)) =
            (section.place_of("when_full"), section.place_of("exempt"))
        {
            if is_queue && has_exempt {
                let message = "when_full = \"queue\" does not go with exempt: nobody can be told from others in a queue";
                let help = "leave when_full out: with exempt the others are refused when the service is full";
                let mistake = Mistake::new(message).at(place).note("exempt is at", exempt);
                self.mistakes.push(mistake.help(help));
            }
        }
    }

    /// The lists that hold for a service, if there are any.
    fn lists(&mut self, keys: Keys) -> Option<Lists> {
        let lists = [
            keys.list("allow", List::Allow, |rules| &rules.allow),
            keys.list("deny", List::Deny, |rules| &rules.deny),
            keys.list("exempt", List::Exempt, |rules| &rules.exempt),
        ];
        let written: Vec<Written> = lists.into_iter().flatten().collect();
        let is_any = |written: &Written| written.list == List::Allow || !written.entries.is_empty();
        if !written.iter().any(is_any) {
            return None;
        }
        let lists = self.access.lists(&written);
        if let Some(allow) = written.first().filter(|first| first.list == List::Allow) {
            let listeners = keys.entry.listen.as_deref().unwrap_or_default();
            let warnings = listeners
                .iter()
                .filter_map(|listener| unreachable(listener, lists));
            self.warnings
                .extend(warnings.map(|warning| warning.note("allow is at", allow.place)));
        }
        Some(lists)
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

    fn list(
        self,
        key: &str,
        list: List,
        field: impl Fn(&'e RulesEntry) -> &'e Option<Vec<Located<who::Entry>>>,
    ) -> Option<Written<'e>> {
        let own = self.entry.place_of(key);
        Some(Written {
            list,
            place: own.or_else(|| self.defaults.place_of(key))?,
            entries: self.value(key, field)?,
        })
    }

    fn of_starts(self) -> Rules {
        Rules {
            rate: self.value("rate", |rules| &rules.rate).copied(),
            ..Rules::default()
        }
    }

    fn of_datagrams(self, lists: Option<Lists>) -> Rules {
        let prefix = self.value("source_prefix", |rules| &rules.source_prefix);
        Rules {
            acl: lists.map(|lists| lists.index),
            source_prefix: prefix.copied().unwrap_or_default(),
            rate_per_source: self
                .value("rate_per_source", |rules| &rules.rate_per_source)
                .copied(),
            hours: self.value("hours", |rules| &rules.hours).cloned(),
            ..self.of_starts()
        }
    }

    fn of_connections(self, lists: Option<Lists>) -> Rules {
        let share = self.value("max_per_source", |rules| &rules.max_per_source);
        let refusal = self.value("refusal", |rules| &rules.refusal);
        Rules {
            when_full: self.when_full(lists),
            max_per_source: share.copied(),
            refusal: refusal.cloned().unwrap_or_default(),
            ..self.of_datagrams(lists)
        }
    }

    /// With exempt clients the others must be refused, unless the service itself says otherwise.
    fn when_full(self, lists: Option<Lists>) -> WhenFull {
        let own = self.entry.rules.when_full;
        let exempt = lists.filter(|lists| lists.has_exempt);
        own.or(exempt.map(|_| WhenFull::Refuse))
            .or(self.defaults.rules.when_full)
            .unwrap_or_default()
    }
}

/// A listener on which `allow` lets nobody in.
fn unreachable(listener: &Located<Wanted>, lists: Lists) -> Option<Mistake> {
    let (what, help) = match listener.value.transport {
        Transport::UnixDatagram => return None,
        Transport::UnixStream | Transport::UnixSeqpacket if !lists.allows_users => (
            "user of this host",
            "add \"unix\" for all users, or \"uid:NUMBER\" for one",
        ),
        Transport::Tcp | Transport::Udp if !lists.allows_addresses => {
            ("address", "add addresses or prefixes")
        }
        _ => return None,
    };
    let mistake = Mistake::new(format!("nobody may come in here: allow has no {what}"));
    Some(mistake.at(&listener.place).help(help).warning())
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
