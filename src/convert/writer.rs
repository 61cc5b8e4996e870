//! What all formats write to: a service, and what is reported of its knobs.

use super::draft::{Block, Draft, Value};
use super::report::{Fate, Note};
use super::sets::Set;

/// Everything that comes of the sources.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) server: Vec<(&'static str, Value)>,
    pub(super) blocks: Vec<Block>,
    pub(super) notes: Vec<Note>,
    /// Whether hosts.allow and hosts.deny have become keys of a service.
    pub(super) asked_hosts: bool,
}

impl Output {
    pub(super) fn comment(&mut self, line: &str) {
        let line = line.trim_end();
        self.blocks.push(Block::Comment(match line.is_empty() {
            true => None,
            false => Some(line.strip_prefix('#').unwrap_or(line).to_owned()),
        }));
    }

    pub(super) fn note(&mut self, place: &str, knob: &str, fate: Fate, words: impl Into<String>) {
        self.notes.push(Note {
            place: place.to_owned(),
            service: String::new(),
            knob: knob.to_owned(),
            fate,
            words: words.into(),
        });
    }

    /// Adds a service with its report.
    pub(super) fn finish(&mut self, writer: Writer) {
        let mut notes = writer.notes;
        // In the order of the source, as far as they are from one file.
        notes.sort_by_key(|note| {
            let line = note
                .place
                .rsplit_once(':')
                .and_then(|(_, line)| line.parse::<u32>().ok());
            line.unwrap_or(0)
        });
        self.notes.extend(notes);
        self.asked_hosts |= writer.asked_hosts;
        self.blocks.push(Block::Service(writer.draft));
    }
}

/// A service, and what became of its knobs so far.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) draft: Draft,
    /// Whether hosts.allow and hosts.deny have become keys of it.
    pub(super) asked_hosts: bool,
    notes: Vec<Note>,
}

impl Writer {
    pub(super) fn new(name: &str, protocol: &str, place: &str) -> Writer {
        Writer {
            draft: Draft {
                name: name.to_owned(),
                protocol: protocol.to_owned(),
                place: place.to_owned(),
                ..Draft::default()
            },
            asked_hosts: false,
            notes: Vec::new(),
        }
    }

    /// What was reported, of a service that is not written.
    pub(super) fn into_notes(self) -> Vec<Note> {
        self.notes
    }

    /// Reports a knob.
    pub(super) fn note(&mut self, place: &str, knob: &str, fate: Fate, words: impl Into<String>) {
        self.notes.push(Note {
            place: place.to_owned(),
            service: self.draft.name.clone(),
            knob: knob.to_owned(),
            fate,
            words: words.into(),
        });
    }

    pub(super) fn kept(&mut self, place: &str, knob: &str, words: impl Into<String>) {
        self.note(place, knob, Fate::Kept, words);
    }

    pub(super) fn changed(&mut self, place: &str, knob: &str, words: impl Into<String>) {
        self.note(place, knob, Fate::Changed, words);
    }

    pub(super) fn dropped(&mut self, place: &str, knob: &str, words: impl Into<String>) {
        self.note(place, knob, Fate::Dropped, words);
    }

    /// What cannot be kept: the service is written, but not switched on.
    pub(super) fn lost(&mut self, place: &str, knob: &str, words: impl Into<String>) {
        let words = words.into();
        self.draft.lost.push(format!("{knob}: {words}"));
        let full = format!("{words}; the service is written with enabled = false");
        self.note(place, knob, Fate::Error, full);
    }

    /// Whether a program is given the listening socket, so that nobody else sees its clients.
    pub(super) fn waits(&self) -> bool {
        if let Some(Value::Flag(wait)) = self.draft.get("wait") {
            return *wait;
        }
        let datagrams = |text: &String| text.starts_with("udp") || text.starts_with("unix-dgram");
        self.draft.has_program()
            && matches!(self.draft.get("listen"), Some(Value::Texts(texts)) if texts.iter().any(datagrams))
    }

    /// Whether it is built in and has datagrams only: there is nothing to count at a time.
    pub(super) fn is_without_connections(&self) -> bool {
        let is_datagram = |text: &String| text.starts_with("udp");
        self.draft.get("builtin").is_some()
            && matches!(self.draft.get("listen"), Some(Value::Texts(texts)) if texts.iter().all(is_datagram))
    }

    fn has_unix(&self) -> bool {
        let is_unix = |text: &String| text.starts_with("unix");
        matches!(self.draft.get("listen"), Some(Value::Texts(texts)) if texts.iter().any(is_unix))
    }

    /// Writes that those get in that are in `base` and not in `except`.
    pub(super) fn let_in(&mut self, place: &str, knob: &str, base: &Set, except: &Set) {
        let set = base.without(except);
        if set.complement().is_empty() {
            return self.kept(
                place,
                knob,
                "everybody gets in, as where nothing is written",
            );
        }
        if set.is_empty() {
            self.draft.is_off = true;
            return self.kept(place, knob, "nobody gets in: written as enabled = false");
        }
        if self.waits() {
            return self.let_in_to_program(place, knob, &set);
        }
        for (key, mut list) in shortest(&set, base, except) {
            if key == "allow" && self.has_unix() {
                // They have no address, and rules of addresses were not about them.
                list.push("unix".to_owned());
            }
            self.kept(place, knob, format!("{key} = {}", list.join(" ")));
            self.draft.set(key, Value::Texts(list));
        }
    }

    /// Only the family can be chosen for a program that takes its clients itself.
    fn let_in_to_program(&mut self, place: &str, knob: &str, set: &Set) {
        let Some(Value::Texts(listen)) = self
            .draft
            .get("listen")
            .cloned()
            .filter(|_| *set == Set::all_v4())
        else {
            let words = "the program is given the socket and takes its clients itself, so oxinetd cannot refuse any: \
                         let a firewall or the program do it";
            return self.lost(place, knob, words);
        };
        let v4 = |text: String| match text.split_once(':') {
            Some(("tcp" | "udp", rest)) => format!("{}4:{rest}", &text[..3]),
            None => format!("tcp4:{text}"),
            Some(_) => text,
        };
        self.draft
            .set("listen", Value::Texts(listen.into_iter().map(v4).collect()));
        self.kept(
            place,
            knob,
            "everybody over IPv4 gets in: only IPv4 is listened on",
        );
    }
}

/// The keys that let in a set, in the fewest words: those who are let in, those who are not, or a
/// list with exceptions.
fn shortest(set: &Set, base: &Set, except: &Set) -> Vec<(&'static str, Vec<String>)> {
    let allow = vec![("allow", set.prefixes())];
    let deny = vec![("deny", set.complement().prefixes())];
    let both = vec![
        ("allow", base.prefixes_not_within(except)),
        ("deny", base.intersection(except).prefixes()),
    ];
    let length =
        |keys: &Vec<(&str, Vec<String>)>| keys.iter().map(|(_, list)| list.len()).sum::<usize>();
    let all = [allow, deny, both];
    // Of lists that are as long the first: what is let in is plainest.
    all.into_iter().min_by_key(length).unwrap_or_default()
}
