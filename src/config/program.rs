//! From what a service's entry says to the program and the world that it is to find.

use super::entry::Entry;
use super::identity::Wish;
use super::limits;
use super::mistake::{Located, Mistake, Place};
use super::presence::{self, Root};
use super::resolve::Resolver;
use crate::table::Program;
use std::collections::BTreeMap;

const DEFAULT_UMASK: u32 = 0o022;

impl Resolver<'_> {
    /// The program, and why it cannot be offered by a server without rights. Warnings are given for
    /// services that are enabled only.
    pub(super) fn program(
        &mut self,
        entry: &Entry,
        enabled: bool,
    ) -> Option<(Program, Option<String>)> {
        let defaults = self.defaults;
        let command = entry.command.as_ref()?;
        let wish = wish(entry, defaults);
        let chosen = self.identities.choose(wish);
        let chosen = self.keep(chosen)?;
        let chroot = entry.chroot.as_ref().or(defaults.chroot.as_ref());
        let directory = entry.directory.as_ref().or(defaults.directory.as_ref());
        let nice = entry.nice.as_ref().or(defaults.nice.as_ref());
        let unavailable = chosen.unavailable.or_else(|| self.needs_root(chroot));
        if enabled {
            self.warn_of_rights(unavailable.as_deref(), wish, chroot, nice);
            self.warn_of_absence(&command[0], directory, chroot);
        }
        let identity = self.identities.get(chosen.index);
        let program = Program {
            path: command[0].value.clone(),
            argv: argv(entry, command),
            identity: chosen.index,
            identity_by_default: wish.user.is_none(),
            umask: entry.umask.or(defaults.umask).unwrap_or(DEFAULT_UMASK),
            nice: nice.map(|nice| nice.value),
            directory: directory
                .map_or("/", |directory| &directory.value)
                .to_owned(),
            chroot: chroot.map(|chroot| chroot.value.clone()),
            env: env(entry, defaults, &self.host.env),
            limits: limits::merge(
                entry.limits.as_deref().unwrap_or_default(),
                defaults.limits.as_deref().unwrap_or_default(),
            ),
            no_new_privileges: entry
                .no_new_privileges
                .or(defaults.no_new_privileges)
                .unwrap_or(identity.uid != 0),
        };
        Some((program, unavailable))
    }

    fn needs_root(&self, chroot: Option<&Located<String>>) -> Option<String> {
        let needed = chroot.is_some() && !self.host.privileged;
        needed.then(|| "needs chroot, which only root may do".to_owned())
    }

    fn warn_of_rights(
        &mut self,
        unavailable: Option<&str>,
        wish: Wish,
        chroot: Option<&Located<String>>,
        nice: Option<&Located<i8>>,
    ) {
        if let Some(reason) = unavailable {
            let groups = wish.groups.and_then(|groups| groups.first());
            let place = [wish.user, wish.group, groups]
                .into_iter()
                .flatten()
                .map(|wish| &wish.place)
                .next();
            let place = place
                .or(chroot.map(|chroot| &chroot.place))
                .unwrap_or(&Place::Nowhere);
            let mistake = Mistake::new(format!("a service {reason}")).at(place);
            self.warnings.push(
                mistake
                    .help("it is not offered; run oxinetd as root to offer it")
                    .warning(),
            );
        }
        if let Some(nice) = nice.filter(|nice| nice.value < 0 && !self.host.privileged) {
            let mistake = Mistake::new("only root may raise a priority: programs will not start")
                .at(&nice.place);
            self.warnings.push(
                mistake
                    .help("write 0 or more, or run oxinetd as root")
                    .warning(),
            );
        }
    }

    fn warn_of_absence(
        &mut self,
        program: &Located<String>,
        directory: Option<&Located<String>>,
        chroot: Option<&Located<String>>,
    ) {
        let root = Root(chroot.map(|chroot| chroot.value.as_str()));
        let no_root = chroot.and_then(|chroot| presence::check_directory(chroot, Root(None)));
        if no_root.is_some() {
            self.warnings.extend(no_root);
            return;
        }
        let known = (root.0.map(str::to_owned), program.value.clone());
        if !self.present.contains(&known) {
            match presence::check(program, root) {
                Some(warning) => self.warnings.push(warning),
                None => drop(self.present.insert(known)),
            }
        }
        self.warnings
            .extend(directory.and_then(|directory| presence::check_directory(directory, root)));
    }
}

/// A service with a user of its own takes that user's groups, not those meant for another.
fn wish<'e>(entry: &'e Entry, defaults: &'e Entry) -> Wish<'e> {
    let own = Wish {
        user: entry.user.as_ref(),
        group: entry.group.as_ref(),
        groups: entry.supplementary_groups.as_deref(),
    };
    match entry.has("user") {
        true => own,
        false => Wish {
            user: defaults.user.as_ref(),
            group: own.group.or(defaults.group.as_ref()),
            groups: own.groups.or(defaults.supplementary_groups.as_deref()),
        },
    }
}

fn argv(entry: &Entry, command: &[Located<String>]) -> Vec<String> {
    let mut argv: Vec<String> = command.iter().map(|word| word.value.clone()).collect();
    if let Some(argv0) = &entry.argv0 {
        argv[0].clone_from(argv0);
    }
    argv
}

/// `pass_env`, then `env` of the defaults, then the service's own: the last one holds.
fn env(
    entry: &Entry,
    defaults: &Entry,
    server: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let names = entry
        .pass_env
        .as_ref()
        .or(defaults.pass_env.as_ref())
        .into_iter()
        .flatten();
    let passed = names.filter_map(|name| Some((name, server.get(name)?)));
    let inherited = defaults
        .env
        .iter()
        .flatten()
        .map(|(name, value)| (name, value));
    let own = entry
        .env
        .iter()
        .flatten()
        .map(|(name, value)| (name, value));
    let mut env: Vec<(String, String)> = Vec::new();
    for (name, value) in passed.chain(inherited).chain(own) {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_variables_of_a_name_holds() {
        let variables = |pairs: &[(&str, &str)]| {
            Some(
                pairs
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_string()))
                    .collect::<Vec<_>>(),
            )
        };
        let names = |names: &[&str]| Some(names.iter().map(|name| name.to_string()).collect());
        let defaults = Entry {
            env: variables(&[("A", "default"), ("B", "default")]),
            ..Entry::default()
        };
        let entry = Entry {
            env: variables(&[("B", "own")]),
            pass_env: names(&["A", "C", "D"]),
            ..Entry::default()
        };
        let server = variables(&[("A", "server"), ("C", "server"), ("E", "server")])
            .unwrap()
            .into_iter()
            .collect();
        let expected = variables(&[("C", "server"), ("A", "default"), ("B", "own")]).unwrap();
        assert_eq!(env(&entry, &defaults, &server), expected);
    }

    #[test]
    fn a_user_of_its_own_does_not_get_the_default_group() {
        use super::super::value::NameOrId;
        let id = |id| Some(Located::new(NameOrId::Id(id), Place::Nowhere));
        let defaults = Entry {
            user: id(1),
            group: id(2),
            ..Entry::default()
        };
        let plain = Entry::default();
        assert!(wish(&plain, &defaults).group.is_some());
        let mut other = Entry {
            user: id(3),
            ..Entry::default()
        };
        other.written.insert("user", Place::Nowhere);
        assert!(wish(&other, &defaults).group.is_none());
    }
}
