//! From what a service's entry says to what it means, with the defaults and the machine.

use super::access::Access;
use super::address;
use super::bindable;
use super::document::ServiceEntry;
use super::entry::Entry;
use super::host::Host;
use super::identity::Identities;
use super::keys::KEYS;
use super::mistake::{Located, Mistake, Mistakes, Place};
use super::rule_book::{Intake, RuleBook};
use crate::table::{Action, Endpoint, Kind, Pass, Service, Stderr, Stdio, Transport};
use std::collections::HashSet;
use std::path::Path;
use std::rc::Rc;

const DEFAULT_MAX_CONNECTIONS: u32 = 128;

/// Resolves services one after the other, and collects what is wrong with them.
pub(super) struct Resolver<'h> {
    pub(super) host: &'h Host,
    pub(super) defaults: &'h Entry,
    pub(super) identities: Identities<'h>,
    pub(super) access: Access<'h>,
    pub(super) book: RuleBook,
    /// Programs, each with its root, that were looked at and are as they should be: thousands of services may
    /// have the same.
    pub(super) present: HashSet<(Option<String>, String)>,
    kinds: HashSet<Rc<Kind>>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

/// How a program is given its sockets.
struct Transfer {
    wait: bool,
    pass: Pass,
    stderr: Stderr,
    stdio: Stdio,
    banner: Option<String>,
}

impl<'h> Resolver<'h> {
    /// Names of files are relative to `base`.
    pub(super) fn new(host: &'h Host, defaults: &'h Entry, base: &Path) -> Resolver<'h> {
        let identities = Identities::new(host);
        Resolver {
            host,
            defaults,
            identities,
            access: Access::new(host, base),
            book: RuleBook::new(),
            present: HashSet::new(),
            kinds: HashSet::new(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether a service is offered at all.
    pub(super) fn is_enabled(&self, entry: &Entry) -> bool {
        entry.enabled.or(self.defaults.enabled).unwrap_or(true)
    }

    /// Where a service listens.
    pub(super) fn endpoints(&mut self, written: &ServiceEntry) -> Option<Vec<Endpoint>> {
        let entry = &written.entry;
        if !entry.has("listen") && !entry.has_unknown {
            let mistake = Mistake::new(format!(
                "service {} does not say where it listens",
                written.name
            ));
            self.mistakes
                .push(mistake.at(&written.place).help("for example: listen = 79"));
        }
        let elements = entry.listen.as_ref()?.iter().zip(0..);
        let endpoints =
            elements.filter_map(|(wanted, index)| self.keep(address::resolve(wanted, index)));
        Some(endpoints.flatten().collect())
    }

    /// The service, unless something is wrong with it.
    pub(super) fn service(
        &mut self,
        written: &ServiceEntry,
        endpoints: Option<Vec<Endpoint>>,
    ) -> Option<Service> {
        let entry = &written.entry;
        let before = self.mistakes.len();
        let enabled = self.is_enabled(entry);
        self.check_action(written);
        let transfer = match entry.builtin.is_some() || entry.redirect.is_some() {
            true => NO_TRANSFER,
            false => self.transfer(entry),
        };
        // The worker counts what it passes on.
        let account = self.account(entry, transfer.wait) && !transfer.stdio.is_relayed();
        let life = self.life(entry, transfer.wait);
        let socket = self.socket(entry, life.kill_on_disconnect);
        let max_connections = self.max_connections(entry);
        let rules = self.rules(entry, intake(entry, transfer.wait), max_connections);
        let (action, unavailable) = match (&entry.builtin, &entry.redirect) {
            (Some(builtin), _) => (Action::Builtin(builtin.value), None),
            (None, Some(wanted)) => (Action::Redirect(self.redirect(entry, wanted)), None),
            (None, None) => {
                let (program, unavailable) = self.program(entry, enabled)?;
                (Action::Exec(program), unavailable)
            }
        };
        if self.mistakes.len() > before {
            return None;
        }
        let endpoints = endpoints?;
        if let (Action::Redirect(targets), Some(wanted)) = (&action, &entry.redirect) {
            self.warn_of_loop(targets, &endpoints, wanted);
        }
        if enabled && unavailable.is_none() {
            self.warn_of_sockets(entry, &endpoints);
        }
        let kind = self.shared(Kind {
            enabled,
            unavailable,
            socket,
            action,
            wait: transfer.wait,
            pass: transfer.pass,
            stderr: transfer.stderr,
            stdio: transfer.stdio,
            banner: transfer.banner,
            max_connections,
            rules,
            account,
            life,
        });
        Some(Service {
            name: written.name.as_str().into(),
            description: entry.description.as_deref().map(Box::from),
            endpoints: endpoints.into(),
            kind,
        })
    }

    /// The same for all that are of the same kind.
    fn shared(&mut self, kind: Kind) -> Rc<Kind> {
        if let Some(known) = self.kinds.get(&kind) {
            return Rc::clone(known);
        }
        let kind = Rc::new(kind);
        self.kinds.insert(Rc::clone(&kind));
        kind
    }

    /// Whether bytes are counted: where we have a TCP connection to give away.
    fn account(&mut self, entry: &Entry, wait: bool) -> bool {
        let mut listeners = entry.listen.iter().flatten();
        let has_tcp = listeners.any(|wanted| wanted.value.transport == Transport::Tcp);
        let is_possible = has_tcp && !wait && entry.has("command");
        let place = entry
            .place_of("account")
            .filter(|_| entry.account == Some(true));
        if let Some(place) = place.filter(|_| !is_possible && entry.has("command")) {
            let message = match wait {
                true => {
                    "account cannot be kept: the program is given the socket and takes its clients itself"
                }
                false => "account counts the bytes of TCP connections, and this service has none",
            };
            self.mistakes
                .push(Mistake::new(message).at(place).help("leave it out"));
        }
        is_possible && entry.account.or(self.defaults.account).unwrap_or(false)
    }

    fn max_connections(&self, entry: &Entry) -> u32 {
        let written = entry.max_connections.or(self.defaults.max_connections);
        written.unwrap_or(DEFAULT_MAX_CONNECTIONS)
    }

    fn warn_of_sockets(&mut self, entry: &Entry, endpoints: &[Endpoint]) {
        let elements = entry.listen.as_deref().unwrap_or_default();
        let warnings = endpoints.iter().filter_map(|endpoint| {
            let place = &elements.get(usize::from(endpoint.entry))?.place;
            bindable::check(endpoint, place, self.host)
        });
        self.warnings.extend(warnings);
    }

    /// A service does one thing, and its keys are about that.
    fn check_action(&mut self, written: &ServiceEntry) {
        let entry = &written.entry;
        let mut actions: Vec<(&str, &Place)> = ["command", "builtin", "redirect"]
            .into_iter()
            .filter_map(|key| Some((key, entry.place_of(key)?)))
            .collect();
        match actions[..] {
            // Under another name: that was reported.
            [] if entry.has_unknown => {}
            [] => {
                let message = format!("service {} does not say what it does", written.name);
                let help = "write command = [\"/PATH/OF/PROGRAM\"], or builtin = \"daytime\" or another protocol";
                self.mistakes
                    .push(Mistake::new(message).at(&written.place).help(help));
            }
            [("command", _)] => {}
            [(action, _)] => self.check_keys(entry, action),
            [(one, _), (other, _), ..] => {
                let message = format!("a service has either a {one} or a {other}, not both");
                actions.sort_by_key(|(_, place)| place.rank());
                let mistake = Mistake::new(message)
                    .at(actions[1].1)
                    .note("the other is at", actions[0].1);
                self.mistakes.push(mistake.help("leave one of them out"));
            }
        }
    }

    /// Keys that are for programs mean nothing to the others.
    fn check_keys(&mut self, entry: &Entry, action: &str) {
        let (what, counts, silent) = match action {
            "builtin" => (
                "a built-in service",
                "leave it out: built-in services count always",
                "leave it out: built-in services end silent clients by themselves",
            ),
            _ => (
                "a redirect",
                "leave it out: redirects count always",
                "leave it out: a redirect has max_lifetime and idle_timeout",
            ),
        };
        let keeps =
            |key: &str| action == "redirect" && matches!(key, "max_lifetime" | "idle_timeout");
        for key in KEYS.iter().filter(|key| key.is_for_programs) {
            if let Some(place) = entry.place_of(key.name).filter(|_| !keeps(key.name)) {
                let mistake =
                    Mistake::new(format!("{} means nothing to {what}", key.name)).at(place);
                self.mistakes.push(mistake.help(match key.name {
                    "account" => counts,
                    "max_lifetime" | "idle_timeout" | "first_byte_timeout"
                    | "kill_on_disconnect" | "grace" => silent,
                    _ => "leave it out: it is for services with a command",
                }));
            }
        }
    }

    fn transfer(&mut self, entry: &Entry) -> Transfer {
        let pass = entry
            .pass
            .as_ref()
            .or(self.defaults.pass.as_ref())
            .map_or(Pass::Stdio, |pass| pass.value);
        let wait = self.wait(entry);
        Transfer {
            wait,
            pass,
            stderr: self.stderr(entry, pass),
            stdio: self.stdio(entry, wait, pass),
            banner: self.banner(entry, wait),
        }
    }

    fn wait(&mut self, entry: &Entry) -> bool {
        let listeners = entry.listen.as_deref().unwrap_or_default();
        let datagrams = listeners
            .iter()
            .find(|wanted| !wanted.value.transport.is_connected());
        let connections = listeners
            .iter()
            .find(|wanted| wanted.value.transport.is_connected());
        let Some(datagrams) = datagrams else {
            return entry
                .wait
                .as_ref()
                .or(self.defaults.wait.as_ref())
                .is_some_and(|wait| wait.value);
        };
        let is_default = self.defaults.wait.as_ref().is_some_and(|wait| wait.value);
        match (&entry.wait, connections) {
            (Some(wait), _) if !wait.value => {
                self.mistakes.push(nowait_datagrams(wait, &datagrams.place))
            }
            (None, Some(connections)) if !entry.has("wait") && !is_default => {
                self.mistakes
                    .push(mixed(&connections.place, &datagrams.place));
            }
            _ => {}
        }
        true
    }

    fn stderr(&mut self, entry: &Entry, pass: Pass) -> Stderr {
        let is_possible = |stderr: &Stderr| pass == Pass::Stdio || *stderr != Stderr::Client;
        if let Some(stderr) = &entry.stderr {
            if !is_possible(&stderr.value) {
                let mistake =
                    Mistake::new("stderr = \"client\" does not go with pass = \"listen_fds\"")
                        .at(&stderr.place);
                let help = "the program has no client as standard input and output: write \"log\", \"null\" or \"file:/PATH\"";
                self.mistakes.push(mistake.help(help));
            }
            return stderr.value.clone();
        }
        let default = self.defaults.stderr.as_ref().map(|stderr| &stderr.value);
        let usual = match pass {
            Pass::Stdio => Stderr::Client,
            Pass::ListenFds => Stderr::Log,
        };
        default
            .filter(|stderr| is_possible(stderr))
            .cloned()
            .unwrap_or(usual)
    }

    /// Notes what is wrong, and goes on.
    pub(super) fn keep<T>(&mut self, result: Result<T, Mistakes>) -> Option<T> {
        result
            .map_err(|mistakes| self.mistakes.extend(mistakes.0))
            .ok()
    }
}

/// The worker is given nothing.
const NO_TRANSFER: Transfer = Transfer {
    wait: false,
    pass: Pass::Stdio,
    stderr: Stderr::Null,
    stdio: Stdio::Socket,
    banner: None,
};

/// Whom it takes in, as far as it says what it does.
fn intake(entry: &Entry, wait: bool) -> Intake {
    let listeners = entry.listen.as_deref().unwrap_or_default();
    let has_connections = listeners
        .iter()
        .any(|wanted| wanted.value.transport.is_connected());
    match (entry.has("command"), entry.has("builtin")) {
        (true, _) if wait => Intake::ByProgram,
        (_, true) if !has_connections && !listeners.is_empty() => Intake::Datagrams,
        _ => Intake::Connections,
    }
}

fn in_order<'p>(a: &'p Place, b: &'p Place) -> (&'p Place, &'p Place) {
    if a.rank() <= b.rank() { (a, b) } else { (b, a) }
}

fn nowait_datagrams(wait: &Located<bool>, datagrams: &Place) -> Mistake {
    Mistake::new("wait = false does not go with datagrams, which have no connection to hand over")
        .at(&wait.place)
        .note("they are at", datagrams)
        .help("leave wait out: the program is given the socket and reads the datagrams itself")
}

fn mixed(connections: &Place, datagrams: &Place) -> Mistake {
    let (first, second) = in_order(connections, datagrams);
    Mistake::new("connections and datagrams are passed to programs in different ways")
        .at(second)
        .note("the other kind is at", first)
        .help("split this service in two entries, one for each kind")
}
