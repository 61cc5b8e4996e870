//! The options of the servers, and the rules that one of them names.

use super::super::draft::Value;
use super::super::sets::Set;
use super::super::writer::Writer;
use super::super::{Format, Input, tcprules};
use super::{CommandLine, base};

impl CommandLine<'_> {
    pub(super) fn option(&self, w: &mut Writer, option: char, value: &str) {
        let place = self.place.as_str();
        let knob = format!("-{option}");
        let knob = knob.as_str();
        let number = || {
            value
                .parse::<i64>()
                .ok()
                .filter(|it| (1..=1_000_000).contains(it))
        };
        let is_tcpserver = self.server == "tcpserver";
        match (option, is_tcpserver) {
            ('c', _) => match number() {
                Some(count) => {
                    w.draft.set("max_connections", Value::Number(count));
                    w.kept(
                        place,
                        knob,
                        format!("max_connections = {count}, and more wait"),
                    );
                }
                None => w.lost(place, knob, format!("{value:?} is not a number")),
            },
            ('C', false) => self.per_source(w, value),
            ('b', _) => match number().filter(|it| *it <= 65535) {
                Some(count) => {
                    w.draft.set("backlog", Value::Number(count));
                    w.kept(place, knob, format!("backlog = {count}"));
                }
                None => w.dropped(place, knob, "not a number that the system takes"),
            },
            ('u', false) => self.user(w, value),
            ('u' | 'g', true) => {
                let key = if option == 'u' { "user" } else { "group" };
                w.draft.set(key, Value::name_or_id(value));
                w.draft
                    .set("supplementary_groups", Value::Array(Vec::new()));
                w.kept(place, knob, format!("{key} = {value}, and no other groups"));
            }
            ('U', true) if w.draft.get("user").is_some() => {
                w.kept(place, knob, "user, from envuidgid")
            }
            ('U', true) => w.lost(
                place,
                knob,
                "whose ids UID and GID hold is not known: write user",
            ),
            ('x', true) | ('x' | 'i', false) if self.is_busybox => {
                w.dropped(place, knob, "busybox ignores it")
            }
            ('x', true) => self.rules(w, value),
            ('x' | 'i', false) => w.lost(
                place,
                knob,
                "instructions of ipsvd cannot be read here: write allow and deny",
            ),
            ('X', true) => w.dropped(place, knob, "rules are in the table, and cannot be missing"),
            ('B', true) => w.lost(
                place,
                knob,
                "a greeting before the program's own cannot be sent: let the program send it",
            ),
            ('D', true) => {
                w.draft.set("nodelay", Value::Flag(true));
                w.kept(place, knob, "nodelay = true");
            }
            ('d', true) => w.kept(place, knob, "as where nothing is written"),
            ('h' | 'p' | 'r' | 't', true) | ('h' | 'p', false) => w.dropped(
                place,
                knob,
                "clients' names are not looked up: they delay the service and can be forged",
            ),
            ('H' | 'R' | 'P', true) => w.kept(place, knob, "names are never looked up"),
            ('l', _) => w.dropped(place, knob, "the local name is not in the environment"),
            ('E', false) => w.changed(place, knob, "programs get the variables all the same"),
            ('v' | 'q' | 'Q', _) => {
                w.changed(place, knob, "the log has a line for each connection")
            }
            ('1', true) => w.changed(place, knob, "the log tells the port"),
            ('4', true) | ('6', true) => w.kept(place, knob, "see listen"),
            ('o' | 'O', true) => w.dropped(
                place,
                knob,
                "the kernel drops source-routed packets by default",
            ),
            ('t', false) => w.dropped(place, knob, "there are no instruction files"),
            _ => w.lost(
                place,
                knob,
                format!("{} has no such option that is known", self.server),
            ),
        }
    }

    /// `COUNT` or `COUNT:MESSAGE`.
    fn per_source(&self, w: &mut Writer, value: &str) {
        let (count, message) = match value.split_once(':') {
            Some((count, message)) => (count, Some(message)),
            None => (value, None),
        };
        let Some(count) = count.parse::<i64>().ok().filter(|it| *it > 0) else {
            return w.lost(&self.place, "-C", format!("{value:?} is not a number"));
        };
        w.draft.set("max_per_source", Value::Number(count));
        w.kept(&self.place, "-C", format!("max_per_source = {count}"));
        if let Some(message) = message {
            let message = match self.is_busybox {
                true => message.to_owned(),
                false => message
                    .replace("\\r", "\r")
                    .replace("\\n", "\n")
                    .replace("\\\\", "\\"),
            };
            let text = Value::text(message.replace('%', "%%"));
            w.draft.set(
                "refusal",
                Value::Table(vec![("max_per_source".to_owned(), text)]),
            );
            w.kept(&self.place, "-C message", "refusal");
        }
    }

    /// `user[:group[:group…]]` of tcpsvd; a colon before it says that they are numbers.
    fn user(&self, w: &mut Writer, value: &str) {
        let mut names = value.trim_start_matches(':').split(':');
        let user = names.next().unwrap_or_default();
        w.draft.set("user", Value::name_or_id(user));
        if let Some(group) = names.next() {
            w.draft.set("group", Value::name_or_id(group));
        }
        w.draft.set(
            "supplementary_groups",
            Value::Array(names.map(str::to_owned).collect()),
        );
        w.kept(
            &self.place,
            "-u",
            format!("user and groups {value}, and no others"),
        );
    }

    fn rules(&self, w: &mut Writer, cdb: &str) {
        let stem = base(cdb).trim_end_matches(".cdb");
        let mut candidates = self
            .inputs
            .iter()
            .filter(|input| Format::of(input) == Format::Tcprules);
        let all: Vec<&Input> = candidates.by_ref().collect();
        let named = all.iter().find(|input| {
            base(&input.name).split('.').next() == stem.split('.').next()
                || base(&input.name) == stem
        });
        let found = named.or(match all.as_slice() {
            [only] => Some(only),
            _ => None,
        });
        let Some(rules) = found else {
            let words = format!(
                "{cdb} holds rules in a form for programs: name the text that it was made of on the command line too"
            );
            return w.lost(&self.place, "-x", &words);
        };
        let read = tcprules::read(rules);
        for (place, rule, reason) in &read.lost {
            w.lost(place, rule, reason);
        }
        if !read.env.is_empty() {
            let env = read
                .env
                .iter()
                .map(|(name, value)| (name.clone(), Value::text(value)));
            w.draft.set("env", Value::Table(env.collect()));
            w.kept(&rules.name, "variables", "env");
        }
        // Its clients are IPv4 ones.
        let v4 = Set::all_v4();
        match read.allowed.intersection(&v4) == v4 {
            true => w.kept(
                &rules.name,
                "-x",
                "everybody gets in, as where nothing is written",
            ),
            false => w.let_in(&rules.name, "-x", &read.allowed, &Set::default()),
        }
    }
}
