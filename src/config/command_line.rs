//! `oxinetd wrap`: a table of one service from the arguments of a command.

use super::document::ServiceEntry;
use super::entry::{self, Entry, MOST_CONNECTIONS};
use super::host::Host;
use super::listen;
use super::mistake::{Located, Mistake, Mistakes, Place, all};
use super::rate;
use super::resolve::Resolver;
use super::rules::RulesEntry;
use super::server::ServerEntry;
use super::stdio::StdioEntry;
use super::value::{self, NameOrId};
use super::who;
use super::who_meant;
use super::{Loaded, finish, resolve};
use std::path::Path;

/// What was asked for, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct CommandLine {
    /// Where to listen, in any form that `listen` takes.
    pub address: String,
    /// The program's path and its arguments.
    pub command: Vec<String>,
    /// `--user`: a name, or digits for an id.
    pub user: Option<String>,
    /// `--max-connections`.
    pub max_connections: Option<u32>,
    /// `--allow`, each time: an entry. Names of files are relative to the current directory.
    pub allow: Vec<String>,
    /// `--deny`, likewise.
    pub deny: Vec<String>,
    /// `--max-per-source`.
    pub max_per_source: Option<u32>,
    /// `--rate`.
    pub rate: Option<String>,
    /// `--stderr`.
    pub stderr: Option<String>,
    /// `--stdio`.
    pub stdio: Option<String>,
    /// `--wait`.
    pub wait: bool,
}

const ADDRESS: &str = "ADDRESS";
const PROGRAM: &str = "PROGRAM";

/// The table of one service. Mistakes name the argument.
pub fn for_command_line(arguments: &CommandLine, host: &Host) -> Result<Loaded, Mistakes> {
    let (entry, mut mistakes) = entry(arguments);
    let place = Place::Argument(PROGRAM);
    let name = service_name(arguments.command.first().map_or("", String::as_str));
    let service = ServiceEntry {
        name,
        place,
        entry: Box::new(entry),
        is_partial: false,
    };
    let defaults = Entry::default();
    let mut resolver = Resolver::new(host, &defaults, Path::new(""));
    let table = resolve(&mut resolver, &ServerEntry::default(), &[service], &[]);
    mistakes.append(&mut resolver.mistakes);
    finish(table, mistakes, resolver.warnings)
}

fn entry(arguments: &CommandLine) -> (Entry, Vec<Mistake>) {
    let mut reader = Reader::default();
    let listen = reader.take("listen", ADDRESS, Some(&arguments.address), |text| {
        let wanted = listen::address(&text)?;
        match wanted.value.target {
            listen::Target::Handed(..) => {
                Err(Mistake::new("only a table can name a socket of systemd")
                    .at(&wanted.place)
                    .help("write the service in a table, and serve that")
                    .into())
            }
            _ => Ok(vec![wanted]),
        }
    });
    let user = reader.take("user", "--user", arguments.user.as_ref(), user);
    let stderr = reader.take("stderr", "--stderr", arguments.stderr.as_ref(), |text| {
        value::stderr(&text)
    });
    let stdio = reader.take("stdio", "--stdio", arguments.stdio.as_ref(), |text| {
        StdioEntry::of(&text)
    });
    let command = reader.take("command", PROGRAM, Some(&arguments.command), command);
    let limit = reader.take(
        "max_connections",
        "--max-connections",
        arguments.max_connections.as_ref(),
        max_connections,
    );
    let wait = reader.take("wait", "--wait", Some(&true).filter(|_| arguments.wait), Ok);
    let rules = rules(&mut reader, arguments);
    let entry = Entry {
        written: reader.written,
        rules,
        listen,
        command,
        user,
        stderr,
        stdio: stdio.unwrap_or_default(),
        max_connections: limit,
        wait,
        ..Entry::default()
    };
    (entry, reader.mistakes)
}

fn rules(reader: &mut Reader, arguments: &CommandLine) -> RulesEntry {
    let [allow, deny] =
        [&arguments.allow, &arguments.deny].map(|list| Some(list).filter(|list| !list.is_empty()));
    RulesEntry {
        allow: reader.take("allow", "--allow", allow, entries),
        deny: reader.take("deny", "--deny", deny, entries),
        max_per_source: reader.take(
            "max_per_source",
            "--max-per-source",
            arguments.max_per_source.as_ref(),
            max_connections,
        ),
        rate: reader.take("rate", "--rate", arguments.rate.as_ref(), |text| {
            rate::text(&text)
        }),
        ..RulesEntry::default()
    }
}

fn entries(texts: Located<Vec<String>>) -> Result<Vec<Located<who::Entry>>, Mistakes> {
    let located = |text: String| who::entry(&Located::new(text, texts.place.clone()));
    let entries = all(texts.value.iter().cloned().map(located));
    entries.map_err(|mistakes| Mistakes(mistakes.0.into_iter().map(as_options).collect()))
}

/// A command line has no arrays.
fn as_options(mistake: Mistake) -> Mistake {
    let Some(entries) = who_meant::several(&mistake) else {
        return mistake;
    };
    let option = mistake.place().to_string();
    let options = entries.iter().map(|entry| format!("{option} {entry}"));
    let help = format!("write {}", options.collect::<Vec<_>>().join(" "));
    mistake.help(help)
}

/// Takes arguments as the sections of a file are taken.
#[derive(Default)]
struct Reader {
    written: super::reader::Written,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn take<A: Clone, T>(
        &mut self,
        key: &'static str,
        argument: &'static str,
        value: Option<&A>,
        read: impl FnOnce(Located<A>) -> Result<T, Mistakes>,
    ) -> Option<T> {
        let (value, place) = (value?.clone(), Place::Argument(argument));
        self.written.insert(key, place.clone());
        read(Located::new(value, place))
            .map_err(|mistakes| self.mistakes.extend(mistakes.0))
            .ok()
    }
}

/// On a command line digits are an id: there is no other way to write one.
fn user(text: Located<String>) -> Result<Located<NameOrId>, Mistakes> {
    match text.value.parse().ok().filter(|id| *id != u32::MAX) {
        Some(id) => Ok(Located::new(NameOrId::Id(id), text.place)),
        None => Ok(Located::new(NameOrId::Name(text.value), text.place)),
    }
}

fn command(words: Located<Vec<String>>) -> Result<Vec<Located<String>>, Mistakes> {
    let located = |word: String| value::without_nul(&Located::new(word, words.place.clone()));
    Ok(entry::check_command(all(words
        .value
        .iter()
        .cloned()
        .map(located))?)?)
}

fn max_connections(number: Located<u32>) -> Result<u32, Mistakes> {
    match (1..=MOST_CONNECTIONS).contains(&i64::from(number.value)) {
        true => Ok(number.value),
        false => Err(
            Mistake::new(format!("this is a number from 1 to {MOST_CONNECTIONS}"))
                .at(&number.place)
                .into(),
        ),
    }
}

/// The last part of a path, as far as a service may be called that.
fn service_name(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    let allowed = |c: &char| value::is_service_name(&format!("a{c}"));
    let name: String = last
        .trim_start_matches(['-', '.'])
        .chars()
        .filter(allowed)
        .take(64)
        .collect();
    if value::is_service_name(&name) {
        name
    } else {
        "program".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Action, Stderr};
    use std::collections::BTreeMap;

    fn host() -> Host {
        Host {
            privileged: true,
            uid: 0,
            gid: 0,
            groups: vec![],
            lowest_port: 0,
            env: BTreeMap::new(),
            handed: None,
        }
    }

    fn line(address: &str, command: &[&str]) -> CommandLine {
        let command = command.iter().map(|word| word.to_string()).collect();
        CommandLine {
            address: address.into(),
            command,
            ..CommandLine::default()
        }
    }

    #[test]
    fn arguments_make_a_table_of_one_service() {
        let arguments = CommandLine {
            user: Some("root".into()),
            max_connections: Some(3),
            stderr: Some("log".into()),
            ..line("127.0.0.1:7000", &["/bin/cat", "-u"])
        };
        let loaded = for_command_line(&arguments, &host()).unwrap();
        let [service] = loaded.table.services.as_slice() else {
            panic!()
        };
        assert_eq!(
            (&*service.name, service.max_connections, &service.stderr),
            ("cat", 3, &Stderr::Log)
        );
        assert_eq!(service.endpoints[0].to_string(), "127.0.0.1:7000");
        let Action::Exec(program) = &service.action else {
            panic!()
        };
        assert_eq!(program.argv, ["/bin/cat", "-u"]);
        assert_eq!(loaded.table.identities[program.identity as usize].uid, 0);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }

    #[test]
    fn arguments_say_what_stands_between() {
        use crate::table::Stdio;
        let arguments = CommandLine {
            stdio: Some("pipe".into()),
            ..line("7000", &["/bin/cat"])
        };
        let table = for_command_line(&arguments, &host()).unwrap().table;
        assert_eq!(table.services[0].stdio, Stdio::Pipe { newline: false });
    }

    #[test]
    fn datagrams_are_waited_for_without_being_told() {
        let loaded = for_command_line(&line("udp:7000", &["/bin/cat"]), &host()).unwrap();
        assert!(loaded.table.services[0].wait);
    }

    #[test]
    fn arguments_say_who_gets_in() {
        use crate::table::{Acl, AclEntry, List, Rate, Rules, Who};
        let arguments = CommandLine {
            allow: vec!["192.0.2.0/24".into(), "uid:7".into()],
            deny: vec!["192.0.2.1".into()],
            max_per_source: Some(3),
            rate: Some("50/s".into()),
            ..line("7000", &["/bin/cat"])
        };
        let table = for_command_line(&arguments, &host()).unwrap().table;
        let entry = |list, who, file, line| AclEntry {
            list,
            who,
            file,
            line,
        };
        let prefix = |bits, last| Who::Prefix([192, 0, 2, last].into(), bits);
        let entries = vec![
            entry(List::Allow, prefix(24, 0), 0, 1),
            entry(List::Allow, Who::Uid(7), 0, 2),
            entry(List::Deny, prefix(32, 1), 1, 1),
        ];
        let names = vec!["--allow".into(), "--deny".into()];
        assert_eq!(table.acls, [Acl::new(names, entries)]);
        let rules = Rules {
            acl: Some(0),
            max_per_source: Some(3),
            rate: Some(Rate {
                interval: 20_000_000,
                burst: 50,
            }),
            ..Rules::default()
        };
        assert_eq!(table.rules[table.services[0].rules as usize], rules);
    }

    #[test]
    fn mistakes_name_the_argument() {
        let arguments = CommandLine {
            user: Some("no-such-user".into()),
            max_connections: Some(0),
            stderr: Some("tty".into()),
            stdio: Some("serial".into()),
            allow: vec!["::1".into(), "localhost".into()],
            deny: vec!["192.0.2.1/24".into()],
            max_per_source: Some(0),
            rate: Some("50".into()),
            ..line("99999", &["cat"])
        };
        let mistakes = for_command_line(&arguments, &host()).unwrap_err();
        let mut shown: Vec<String> = mistakes
            .0
            .iter()
            .map(|mistake| mistake.to_string().lines().next().unwrap().to_owned())
            .collect();
        shown.sort();
        let expected = [
            "--allow: \"localhost\" is a name, and only addresses are compared",
            "--deny: 192.0.2.1 has bits beyond the first 24",
            "--max-connections: this is a number from 1 to 1000000",
            "--max-per-source: this is a number from 1 to 1000000",
            "--rate: \"50\" is not a rate",
            "--stderr: \"tty\" is not known here",
            "--stdio: \"serial\" is not known here",
            "ADDRESS: \"99999\" is not a port",
            "PROGRAM: a program is written with its whole path, beginning with /",
        ];
        assert_eq!(shown, expected);
        let unknown = CommandLine {
            user: Some("no-such-user".into()),
            ..line("7000", &["/bin/cat"])
        };
        let mistakes = for_command_line(&unknown, &host()).unwrap_err();
        assert!(
            mistakes.0[0]
                .to_string()
                .starts_with("--user: there is no user \"no-such-user\"")
        );
    }

    #[test]
    fn a_service_is_called_like_its_program() {
        let names = [
            ("/bin/cat", "cat"),
            ("/x/my prog.sh", "myprog.sh"),
            ("/x/..-a", "a"),
            ("/", "program"),
            ("/é", "program"),
        ];
        for (path, expected) in names {
            assert_eq!(service_name(path), expected);
        }
    }
}
