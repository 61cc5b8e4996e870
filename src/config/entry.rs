//! A `[service.NAME]` or `[defaults]` as it was written: types and forms are right, nothing is
//! looked up and nothing is compared yet.

use super::life::{self, LifeEntry};
use super::limits;
use super::listen::{self, Wanted};
use super::mistake::{Located, Mistake, Mistakes, Place, all};
use super::reader::{Finished, Node, Section, Written};
use super::redirect;
use super::rules::{self, RulesEntry};
use super::socket::{self, SocketEntry};
use super::stdio::{self, StdioEntry};
use super::value::{self, NameOrId};
use crate::table::{Builtin, Limit, Pass, Stderr};

/// The keys that were written, and what they say. A key that is wrong is written but says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) written: Written,
    /// Whether keys were written that do not exist.
    pub(super) has_unknown: bool,
    pub(super) listen: Option<Vec<Located<Wanted>>>,
    pub(super) command: Option<Vec<Located<String>>>,
    pub(super) builtin: Option<Located<Builtin>>,
    pub(super) redirect: Option<Located<Wanted>>,
    pub(super) argv0: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) description: Option<String>,
    pub(super) overrides: Option<Located<bool>>,
    pub(super) max_connections: Option<u32>,
    pub(super) wait: Option<Located<bool>>,
    pub(super) pass: Option<Located<Pass>>,
    pub(super) stderr: Option<Located<Stderr>>,
    pub(super) user: Option<Located<NameOrId>>,
    pub(super) group: Option<Located<NameOrId>>,
    pub(super) supplementary_groups: Option<Vec<Located<NameOrId>>>,
    pub(super) umask: Option<u32>,
    pub(super) nice: Option<Located<i8>>,
    pub(super) directory: Option<Located<String>>,
    pub(super) chroot: Option<Located<String>>,
    pub(super) env: Option<Vec<(String, String)>>,
    pub(super) pass_env: Option<Vec<String>>,
    pub(super) no_new_privileges: Option<bool>,
    pub(super) limits: Option<Vec<Limit>>,
    pub(super) rules: RulesEntry,
    pub(super) socket: SocketEntry,
    pub(super) life: LifeEntry,
    pub(super) stdio: StdioEntry,
    pub(super) account: Option<bool>,
}

/// Reads a section, and says what is wrong with it.
pub(super) fn read(mut section: Section) -> (Entry, Vec<Mistake>) {
    let entry = read_keys(&mut section);
    let Finished {
        written,
        has_unknown,
        mistakes,
    } = section.finish();
    (
        Entry {
            written,
            has_unknown,
            ..entry
        },
        mistakes,
    )
}

fn read_keys(s: &mut Section) -> Entry {
    Entry {
        listen: s.take_each("listen", listen),
        command: s.take("command", command),
        builtin: s.take("builtin", |node| value::builtin(&node.string()?)),
        redirect: s.take("redirect", |node| redirect::read(&node.string()?)),
        argv0: s.take("argv0", argv0),
        enabled: s.take("enabled", |node| Ok(node.boolean()?.value)),
        description: s.take("description", |node| Ok(node.string()?.value)),
        overrides: s.take("override", |node| node.boolean()),
        max_connections: s.take("max_connections", max_connections),
        wait: s.take("wait", |node| node.boolean()),
        pass: s.take("pass", |node| value::pass(&node.string()?)),
        stderr: s.take("stderr", |node| value::stderr(&node.string()?)),
        user: s.take("user", name_or_id),
        group: s.take("group", name_or_id),
        supplementary_groups: s.take_each("supplementary_groups", |node| {
            let groups = node.elements().ok_or_else(|| node.wrong_type())?;
            Ok(groups.into_iter().map(name_or_id).collect())
        }),
        umask: s.take("umask", |node| value::mode(&node.string()?)),
        nice: s.take("nice", nice),
        directory: s.take("directory", |node| value::absolute_path(&node.string()?)),
        chroot: s.take("chroot", |node| value::absolute_path(&node.string()?)),
        env: s.take("env", |node| {
            all(node
                .entries()?
                .into_iter()
                .map(|(name, node)| variable(name, node)))
        }),
        pass_env: s.take("pass_env", |node| {
            let names = node.elements().ok_or_else(|| node.wrong_type())?;
            all(names
                .into_iter()
                .map(|node| Ok(value::variable(&node.member_string()?)?.value)))
        }),
        no_new_privileges: s.take("no_new_privileges", |node| Ok(node.boolean()?.value)),
        limits: s.take("limits", limits::read),
        rules: rules::read_keys(s),
        socket: socket::read_keys(s),
        life: life::read_keys(s),
        stdio: stdio::read_keys(s),
        account: s.take("account", |node| Ok(node.boolean()?.value)),
        written: Written::new(),
        has_unknown: false,
    }
}

impl Entry {
    /// Where a key was written, if it was.
    pub(super) fn place_of(&self, key: &str) -> Option<&Place> {
        self.written.get(key)
    }

    /// Whether a key was written, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.written.contains_key(key)
    }
}

fn listen(node: Node) -> Result<Vec<Result<Located<Wanted>, Mistakes>>, Mistakes> {
    let elements = node.one_or_more();
    if elements.is_empty() || elements.len() > usize::from(u16::MAX) {
        let mistake = Mistake::new(format!(
            "listen takes at least one address and at most {}",
            u16::MAX
        ));
        return Err(mistake
            .at(&node.place())
            .help("for example: listen = 79")
            .into());
    }
    let element = |node: Node| match (node.as_integer(), node.string()) {
        (Some(port), _) => listen::port_number(Located::new(port, node.place())),
        (None, Ok(text)) => listen::address(&text),
        (None, Err(wrong_type)) => Err(wrong_type),
    };
    Ok(elements.into_iter().map(element).collect())
}

fn command(node: Node) -> Result<Vec<Located<String>>, Mistakes> {
    if let Ok(text) = node.string() {
        let words: Vec<String> = text
            .value
            .split_whitespace()
            .map(|word| format!("{word:?}"))
            .collect();
        let mistake =
            Mistake::new("command takes an array: the program, then each argument").at(&text.place);
        return Err(mistake
            .help(format!("write: command = [{}]", words.join(", ")))
            .into());
    }
    let words = node.elements().ok_or_else(|| node.wrong_type())?;
    let words = all(words
        .into_iter()
        .map(|node| value::without_nul(&node.member_string()?)))?;
    check_command(words).map_err(|mistake| match mistake.place() {
        Place::Nowhere => mistake.at(&node.place()).into(),
        _ => mistake.into(),
    })
}

/// A command's first element must say which file to run.
pub(super) fn check_command(words: Vec<Located<String>>) -> Result<Vec<Located<String>>, Mistake> {
    let Some(program) = words.first() else {
        return Err(Mistake::new("command is empty")
            .help("write the program's path: command = [\"/bin/cat\"]"));
    };
    if program.value.starts_with('/') && !program.value.ends_with('/') {
        return Ok(words);
    }
    let mistake = Mistake::new("a program is written with its whole path, beginning with /")
        .at(&program.place);
    Err(match program.value.split_whitespace().next() {
        Some(name) if !name.contains('/') => {
            mistake.help(format!("`command -v {name}` in a shell tells where it is"))
        }
        _ => mistake.help("for example: command = [\"/bin/cat\"]"),
    })
}

fn argv0(node: Node) -> Result<String, Mistakes> {
    let text = value::without_nul(&node.string()?)?;
    match text.value.is_empty() {
        false => Ok(text.value),
        true => Err(Mistake::new("argv0 is empty")
            .at(&text.place)
            .help("leave it out to use the program's path")
            .into()),
    }
}

pub(super) const MOST_CONNECTIONS: i64 = 1_000_000;

pub(super) fn max_connections(node: Node) -> Result<u32, Mistakes> {
    Ok(node.integer(1..=MOST_CONNECTIONS)?.value as u32)
}

fn nice(node: Node) -> Result<Located<i8>, Mistakes> {
    let nice = node.integer(-20..=19)?;
    Ok(Located::new(nice.value as i8, nice.place))
}

pub(super) fn name_or_id(node: Node) -> Result<Located<NameOrId>, Mistakes> {
    let Some(id) = node.as_integer() else {
        return Ok(user_name(&node.string()?)?);
    };
    // The largest number is the kernel's word for "leave as it is" (setresuid(2)).
    match u32::try_from(id).ok().filter(|id| *id != u32::MAX) {
        Some(id) => Ok(Located::new(NameOrId::Id(id), node.place())),
        None => Err(
            Mistake::new(format!("an id is a number from 0 to {}", u32::MAX - 1))
                .at(&node.place())
                .into(),
        ),
    }
}

fn user_name(text: &Located<String>) -> Result<Located<NameOrId>, Mistake> {
    match text.value.is_empty() {
        true => Err(Mistake::new("this name is empty")
            .at(&text.place)
            .help("leave the key out for its default")),
        false => Ok(Located::new(
            NameOrId::Name(text.value.clone()),
            text.place.clone(),
        )),
    }
}

fn variable(name: Located<&str>, node: Node) -> Result<(String, String), Mistakes> {
    let name = value::variable(&Located::new(name.value.to_owned(), name.place))?;
    Ok((
        name.value,
        value::without_nul(&node.member_string()?)?.value,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::keys::{KEYS, Part, find, keys_of};
    use super::super::source::Source;
    use super::*;
    use std::sync::Arc;

    fn asked(part: Part) -> Vec<&'static str> {
        let source = Arc::new(Source::new("x".into(), String::new(), 0));
        let (table, _) = toml::de::DeTable::parse_recoverable("");
        let mut section = Section::new(&source, table.get_ref(), part);
        match part {
            Part::Server => drop(super::super::server::read_keys(&mut section)),
            Part::Defaults | Part::Service => drop(read_keys(&mut section)),
        }
        let mut asked = section.asked().to_vec();
        asked.sort_unstable();
        asked
    }

    fn is_key(name: &str) -> bool {
        KEYS.iter().any(|key| key.name == name)
    }

    #[test]
    fn the_list_of_keys_and_the_reader_know_the_same_ones() {
        for part in [Part::Server, Part::Defaults, Part::Service] {
            let mut listed: Vec<&str> = keys_of(part).map(|key| key.name).collect();
            listed.sort_unstable();
            let asked = asked(part);
            assert!(asked.iter().all(|name| is_key(name)), "{asked:?}");
            let mut own = asked;
            own.retain(|name| find(name, part).is_some());
            assert_eq!(own, listed, "{part:?}");
        }
    }
}
