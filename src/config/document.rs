//! One file of the table: its sections as they were written.

use super::entry::{self, Entry};
use super::hints;
use super::keys::{self, Part};
use super::mistake::{Mistake, Place};
use super::reader::{self, Section, kind};
use super::server::{self, ServerEntry};
use super::source::Source;
use super::syntax::{self, Findings};
use super::value::{NAME_RULE, is_service_name};
use super::words::{quoted, similar};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file's sections and what is wrong with them.
#[derive(Default)]
pub(super) struct Document {
    pub(super) server: ServerEntry,
    pub(super) defaults: Entry,
    /// In the order in which they were written.
    pub(super) services: Vec<ServiceEntry>,
    pub(super) mistakes: Vec<Mistake>,
    /// Whether all of the file was understood, so that what is not here is missing.
    pub(super) is_whole: bool,
}

/// A `[service.NAME]`.
#[derive(Debug, Clone)]
pub(super) struct ServiceEntry {
    pub(super) name: String,
    /// Where its name was written first.
    pub(super) place: Place,
    /// In a box: there may be thousands, which are sorted and handed on.
    pub(super) entry: Box<Entry>,
    /// Whether some of its lines could not be understood.
    pub(super) is_partial: bool,
}

/// Which file of a table it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Main,
    Included,
}

/// What the `[server]` of an included file may say: what a package that takes the place of inetd needs.
const BROUGHT: [&str; 2] = ["inetd_conf", "pid_file"];

type Key<'t> = Spanned<Cow<'t, str>>;
type Value<'t> = Spanned<DeValue<'t>>;

/// Reads a file's text.
pub(super) fn read(source: &Arc<Source>, role: Role) -> Document {
    let mut document = Document::default();
    let findings = syntax::parse(source, |root, findings| {
        let mut reader = Reader {
            source,
            role,
            document: &mut document,
            headers: Vec::new(),
        };
        reader.root(root);
        reader.finish(findings);
    });
    document.is_whole = findings.bad_lines.is_empty() && findings.mistakes.is_empty();
    document.mistakes.extend(findings.mistakes);
    document
}

struct Reader<'r> {
    source: &'r Arc<Source>,
    role: Role,
    document: &'r mut Document,
    /// Where sections begin.
    headers: Vec<usize>,
}

impl Reader<'_> {
    fn root(&mut self, root: &DeTable) {
        for (key, value) in root {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("defaults", DeValue::Table(_)) if self.role == Role::Included => {
                    self.mistake(
                        key.span(),
                        Mistake::new("[defaults] belongs in the main file")
                            .help("an included file has [service.NAME] sections"),
                    );
                }
                ("server", DeValue::Table(table)) => {
                    if self.role == Role::Included {
                        self.only_what_packages_bring(table);
                    }
                    self.headers.push(key.span().start);
                    let (server, mistakes) =
                        server::read(Section::new(self.source, table, Part::Server));
                    self.document.server = server;
                    self.document.mistakes.extend(mistakes);
                }
                ("defaults", DeValue::Table(table)) => {
                    self.headers.push(key.span().start);
                    let (defaults, mistakes) =
                        entry::read(Section::new(self.source, table, Part::Defaults));
                    self.document.defaults = defaults;
                    self.document.mistakes.extend(mistakes);
                }
                ("service", DeValue::Table(table)) => table
                    .iter()
                    .for_each(|(key, value)| self.service(key, value)),
                ("service" | "server" | "defaults", value) => {
                    let header = if key.get_ref() == "service" {
                        "service.NAME"
                    } else {
                        key.get_ref()
                    };
                    let message = format!("{} is a section, not {}", key.get_ref(), kind(value));
                    self.mistake(
                        key.span(),
                        Mistake::new(message)
                            .help(format!("write the header [{header}], with its keys below")),
                    );
                }
                (name, value) => self.mistake(key.span(), unknown(name, value)),
            }
        }
    }

    /// The keys of `[server]` that an included file may have.
    fn only_what_packages_bring(&mut self, table: &DeTable) {
        for key in table
            .keys()
            .filter(|key| !BROUGHT.contains(&key.get_ref().as_ref()))
        {
            let message = format!("{} belongs in the main file", quoted(key.get_ref()));
            let help = format!(
                "the [server] of an included file has {} only",
                BROUGHT.join(" and ")
            );
            self.mistake(key.span(), Mistake::new(message).help(help));
        }
    }

    fn service(&mut self, key: &Key, value: &Value) {
        let name = key.get_ref().as_ref();
        let DeValue::Table(table) = value.get_ref() else {
            return self.mistake(key.span(), nameless(name, value.get_ref()));
        };
        self.headers.push(key.span().start);
        if !is_service_name(name) {
            let mistake = Mistake::new(format!("{} cannot be the name of a service", quoted(name)));
            self.mistake(key.span(), mistake.help(NAME_RULE));
        }
        let (entry, mistakes) = entry::read(Section::new(self.source, table, Part::Service));
        self.document.mistakes.extend(mistakes);
        let place = reader::place(self.source, key.span());
        self.document.services.push(ServiceEntry {
            name: name.to_owned(),
            place,
            entry: Box::new(entry),
            is_partial: false,
        });
    }

    fn mistake(&mut self, span: Range<usize>, mistake: Mistake) {
        self.document
            .mistakes
            .push(mistake.at(&reader::place(self.source, span)));
    }

    /// Puts services in their order, and marks those with lines that say nothing.
    fn finish(mut self, findings: &Findings) {
        self.headers.sort_unstable();
        let document = self.document;
        document
            .services
            .sort_by_key(|service| service.place.rank());
        for service in &mut document.services {
            let (_, start) = service.place.rank();
            let next = self.headers.partition_point(|header| *header <= start);
            let next = self.headers.get(next);
            let end = next.map_or(self.source.text().len(), |next| next - 1);
            service.is_partial = findings.touch(self.source, start..end);
        }
    }
}

/// A section or a key on the top level that is none of ours.
fn unknown(name: &str, value: &DeValue) -> Mistake {
    let DeValue::Table(table) = value else {
        let part = [Part::Service, Part::Server]
            .into_iter()
            .find(|part| keys::find(name, *part).is_some());
        return match part {
            Some(part) => Mistake::new(format!("{name} is outside any section"))
                .help(format!("write it below a header, {}", part.header())),
            None => Mistake::new(format!("unknown key {}", quoted(name)))
                .help(hints::hint(name, Part::Service)),
        };
    };
    let mistake = Mistake::new(format!(
        "unknown section [{}]",
        quoted(name).trim_matches('"')
    ));
    mistake.help(
        match similar(name, ["server", "defaults", "service", "services"]) {
            Some("service" | "services") => {
                format!("did you mean [service.{}]?", first_name(table))
            }
            Some(section) => format!("did you mean [{section}]?"),
            None if is_service_name(name) && !name.contains('.') => {
                format!("a service's header is [service.{name}]")
            }
            None => "the sections are [server], [defaults] and [service.NAME]".to_owned(),
        },
    )
}

/// The name in a header whose first word is misspelt.
fn first_name<'t>(table: &'t DeTable) -> &'t str {
    let sections = table
        .iter()
        .filter(|(_, value)| matches!(value.get_ref(), DeValue::Table(_)));
    sections
        .min_by_key(|(name, _)| name.span().start)
        .map(|(name, _)| name.get_ref().as_ref())
        .filter(|name| is_service_name(name) && !name.contains('.'))
        .unwrap_or("NAME")
}

/// Something in `[service]` that is no section.
fn nameless(name: &str, value: &DeValue) -> Mistake {
    if keys::find(name, Part::Service).is_some() {
        let mistake = Mistake::new(format!(
            "{name} belongs to a service, and a service has a name"
        ));
        return mistake.help("write the header [service.NAME]");
    }
    let mistake = Mistake::new(format!(
        "service {} is a section, not {}",
        quoted(name),
        kind(value)
    ));
    mistake.help("write the header [service.NAME] in single brackets, with its keys below")
}
