//! What is written: comments and services in the order of the source, as TOML.

use std::fmt::Write;

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    /// One is written without brackets.
    Texts(Vec<String>),
    /// Always in brackets.
    Array(Vec<String>),
    Table(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// A user or group: digits are an id.
    pub(super) fn name_or_id(text: &str) -> Value {
        match text.parse() {
            Ok(id) if text.bytes().all(|byte| byte.is_ascii_digit()) => Value::Number(id),
            _ => Value::text(text),
        }
    }

    /// Of entries of one name the last holds, as wherever variables and limits are written; TOML takes
    /// no two.
    fn each_once(self) -> Value {
        let Value::Table(entries) = self else {
            return self;
        };
        let mut kept: Vec<(String, Value)> = Vec::new();
        for (name, value) in entries {
            match kept.iter_mut().find(|(known, _)| *known == name) {
                Some(entry) => entry.1 = value,
                None => kept.push((name, value)),
            }
        }
        Value::Table(kept)
    }

    fn render(&self) -> String {
        let array = |texts: &[String]| {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("[{}]", texts.join(", "))
        };
        match self {
            Value::Text(text) => quoted(text),
            Value::Number(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Texts(texts) => match texts.as_slice() {
                [one] => quoted(one),
                texts => array(texts),
            },
            Value::Array(texts) => array(texts),
            Value::Table(entries) => {
                let entry =
                    |(key, value): &(String, Value)| format!("{} = {}", bare(key), value.render());
                let entries: Vec<String> = entries.iter().map(entry).collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn bare(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match !key.is_empty() && key.bytes().all(is_bare) {
        true => key.to_owned(),
        false => quoted(key),
    }
}

/// A service that is being written.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    /// File and line of the source.
    pub(super) place: String,
    /// The protocol, which tells services of one name apart.
    pub(super) protocol: String,
    /// Comments above, without `#`.
    pub(super) comments: Vec<String>,
    pub(super) keys: Vec<(&'static str, Value)>,
    pub(super) is_off: bool,
    /// Why it must not be switched on before somebody has looked at it.
    pub(super) lost: Vec<String>,
    /// Why it is a comment: the table could not be loaded with it.
    pub(super) refused: Vec<String>,
}

impl Draft {
    /// Writes a key; one that is there is written anew.
    pub(super) fn set(&mut self, key: &'static str, value: Value) {
        let value = value.each_once();
        match self.keys.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => self.keys.push((key, value)),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let found = self.keys.iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| value)
    }

    pub(super) fn has_program(&self) -> bool {
        self.get("command").is_some()
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.is_off || !self.lost.is_empty()
    }

    /// The line that begins it.
    pub(super) fn header(&self) -> String {
        format!("[service.{}]", bare(&self.name))
    }

    pub(super) fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    fn render(&self, defaults: &[(&'static str, Value)]) -> String {
        let above = self.comments.iter().map(|line| comment(line));
        let above: String = above.collect();
        match self.is_refused() {
            true => above + &self.as_comment(),
            false => above + &self.section(defaults),
        }
    }

    /// An empty line keeps it apart from what comes below.
    fn as_comment(&self) -> String {
        let refused = self.refused.iter();
        let why = refused.map(|reason| comment(&format!(" NOT OFFERED, since {reason}")));
        let section = self.section(&[]);
        let lines = section.lines().map(|line| format!("# {line}\n"));
        why.chain(lines).collect::<String>() + "\n"
    }

    fn section(&self, defaults: &[(&'static str, Value)]) -> String {
        let mut out = String::new();
        for reason in &self.lost {
            out += &comment(&format!(
                " NOT ENABLED, since this cannot be kept: {reason}"
            ));
        }
        let _ = writeln!(out, "{}", self.header());
        if self.is_disabled() {
            out += "enabled = false\n";
        }
        for (key, value) in self.keys.iter().filter(|entry| !defaults.contains(entry)) {
            let _ = match (*key, value) {
                ("listen", Value::Texts(texts)) if is_number(texts) => {
                    writeln!(out, "listen = {}", texts[0])
                }
                _ => writeln!(out, "{key} = {}", value.render()),
            };
        }
        out
    }
}

/// Whether it is a port as TOML writes numbers, which may not begin with a zero.
fn is_number(texts: &[String]) -> bool {
    let is_plain = |text: &String| {
        text.parse::<u16>()
            .is_ok_and(|port| port.to_string() == *text)
    };
    matches!(texts, [one] if is_plain(one))
}

fn comment(line: &str) -> String {
    let line = line
        .trim_end()
        .replace(|c: char| c.is_control() && c != '\t', " ");
    format!("#{line}\n")
}

/// A part of what is written.
#[derive(Debug, Clone)]
pub(super) enum Block {
    /// A comment, without `#`; `None` is an empty line.
    Comment(Option<String>),
    Service(Draft),
}

/// Keys that are written once, in `[defaults]`, when all services agree about them. Not those that
/// a service with a user of its own does not inherit.
const SHARED: [&str; 8] = [
    "max_connections",
    "when_full",
    "max_per_source",
    "rate",
    "allow",
    "deny",
    "hours",
    "no_new_privileges",
];

/// Keys and values that all services have.
fn shared(drafts: &[&Draft]) -> Vec<(&'static str, Value)> {
    let programs: Vec<&&Draft> = drafts.iter().filter(|draft| draft.has_program()).collect();
    let of = |key: &str| match key {
        // It means nothing to the others.
        "no_new_privileges" => programs.clone(),
        _ => drafts.iter().collect(),
    };
    let agreed = |key: &&'static str| {
        let drafts = of(key);
        let value = drafts.first()?.get(key)?;
        let all = drafts.len() > 1 && drafts.iter().all(|draft| draft.get(key) == Some(value));
        all.then(|| (*key, value.clone()))
    };
    SHARED.iter().filter_map(agreed).collect()
}

/// The whole table; with `[defaults]` where they are wanted.
pub(super) fn render(
    head: &[String],
    server: &[(&'static str, Value)],
    blocks: &[Block],
    has_defaults: bool,
) -> String {
    let drafts: Vec<&Draft> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Service(draft) => Some(draft).filter(|draft| !draft.is_refused()),
            Block::Comment(_) => None,
        })
        .collect();
    let defaults = match has_defaults {
        true => shared(&drafts),
        false => Vec::new(),
    };
    let mut out: String = head.iter().map(|line| comment(line)).collect();
    for (header, keys) in [("[server]", server), ("[defaults]", &defaults)] {
        if !keys.is_empty() {
            let _ = writeln!(out, "\n{header}");
        }
        for (key, value) in keys {
            let _ = writeln!(out, "{key} = {}", value.render());
        }
    }
    out.push('\n');
    for block in blocks {
        match block {
            Block::Comment(Some(line)) => out += &comment(line),
            Block::Comment(None) if out.ends_with("\n\n") => {}
            Block::Comment(None) => out.push('\n'),
            Block::Service(draft) => {
                if !out.ends_with("\n\n") && !out.ends_with('#') && ends_with_key(&out) {
                    out.push('\n');
                }
                out += &draft.render(&defaults);
            }
        }
    }
    out
}

/// Whether the last line is no comment: a comment stays with the service below it.
fn ends_with_key(out: &str) -> bool {
    let last = out.trim_end_matches('\n').rsplit('\n').next();
    !last.unwrap_or_default().starts_with('#')
}
