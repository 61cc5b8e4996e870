//! A new service as text, in the style of the shipped `services.toml`.

use super::outline::outline;
use super::text::{Edit, line_end};

/// A section to be added: keys with their values as TOML.
#[derive(Debug)]
pub struct Section {
    name: String,
    pairs: Vec<(String, String)>,
}

impl Section {
    /// A service without keys yet.
    pub fn new(name: &str) -> Section {
        Section {
            name: name.to_owned(),
            pairs: Vec::new(),
        }
    }

    /// Adds a key with a text or, where it is all digits, a number.
    pub fn word(&mut self, key: &str, word: &str) {
        self.pair(key, scalar(word));
    }

    /// Adds a key with a text.
    pub fn text(&mut self, key: &str, text: &str) {
        self.pair(key, quoted(text));
    }

    /// Adds a key with an array of texts.
    pub fn texts(&mut self, key: &str, texts: &[String]) {
        let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        self.pair(key, format!("[{}]", texts.join(", ")));
    }

    /// Adds `listen`: one address stands for itself.
    pub fn listen(&mut self, addresses: &[String]) {
        let addresses: Vec<String> = addresses.iter().map(|address| scalar(address)).collect();
        self.pair(
            "listen",
            match addresses.as_slice() {
                [only] => only.clone(),
                several => format!("[{}]", several.join(", ")),
            },
        );
    }

    /// Adds what was written as `KEY=VALUE` in TOML; an error says how to write it.
    pub fn set(&mut self, argument: &str) -> Result<(), String> {
        let (key, value) = pair_of(argument).ok_or_else(|| not_toml(argument))?;
        self.pair(&key, value);
        Ok(())
    }

    fn pair(&mut self, key: &str, value: String) {
        self.pairs.push((key.to_owned(), value));
    }

    /// The change that puts it at the end of a text.
    pub(super) fn append_to(&self, text: &str) -> Edit {
        let end = line_end(text);
        let mut with = String::new();
        if !text.is_empty() && !text.ends_with('\n') {
            with += end;
        }
        let ends_blank = text
            .lines()
            .next_back()
            .is_none_or(|line| line.trim().is_empty());
        if !ends_blank {
            with += end;
        }
        with += &format!("[service.{}]{end}", bare_or_quoted(&self.name));
        for (key, value) in &self.pairs {
            with += &format!("{key} = {value}{end}");
        }
        Edit::insert(text.len(), with)
    }
}

/// Key and value, if this is one pair of TOML and nothing else.
fn pair_of(text: &str) -> Option<(String, String)> {
    let outline = outline(text)?;
    let [pair] = outline.as_slice() else {
        return None;
    };
    let value = pair.value.as_ref()?;
    let key = pair.keys[0].start..pair.keys[pair.keys.len() - 1].end;
    Some((text[key].to_owned(), text[value.span.clone()].to_owned()))
}

fn not_toml(argument: &str) -> String {
    let Some((key, value)) = argument.split_once('=') else {
        return format!("--set takes KEY=VALUE: {argument:?} has no =");
    };
    let meant = format!("{}={}", key.trim(), quoted(value.trim()));
    match pair_of(&meant) {
        Some(_) => format!(
            "--set {argument}: {:?} is not TOML; a text has quotes of its own: --set {}",
            value.trim(),
            for_shell(&meant)
        ),
        None => format!("--set {argument}: {:?} is no key", key.trim()),
    }
}

fn for_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn scalar(word: &str) -> String {
    // 007 is no number in TOML, and no port either.
    let is_number = word
        .parse::<u32>()
        .is_ok_and(|number| number.to_string() == word);
    if is_number {
        word.to_owned()
    } else {
        quoted(word)
    }
}

fn bare_or_quoted(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match !name.is_empty() && name.bytes().all(is_bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A string of TOML: in double quotes, in single ones where that saves escapes.
fn quoted(text: &str) -> String {
    let needs_escapes = |c: char| c == '"' || c == '\\';
    if !text.contains(char::is_control) {
        if !text.contains(needs_escapes) {
            return format!("\"{text}\"");
        }
        if !text.contains('\'') {
            return format!("'{text}'");
        }
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            c if c.is_control() => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::super::text::apply;
    use super::*;
    use proptest::prelude::*;

    fn section() -> Section {
        let mut section = Section::new("x");
        section.listen(&["79".into()]);
        section.word("builtin", "echo");
        section
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(apply(text, &[section().append_to(text)]), expected);
    }

    #[test]
    fn it_comes_last_with_a_blank_line_before() {
        let own = "[service.x]\nlisten = 79\nbuiltin = \"echo\"\n";
        check("", own);
        check("a = 1\n", &format!("a = 1\n\n{own}"));
        check("a = 1\n\n", &format!("a = 1\n\n{own}"));
        check("a = 1", &format!("a = 1\n\n{own}"));
        check(
            "a = 1\r\n",
            &format!("a = 1\r\n\r\n{}", own.replace('\n', "\r\n")),
        );
    }

    #[test]
    fn values_are_written_as_people_do() {
        let mut section = Section::new("a.b");
        section.listen(&["79".into(), "udp:79".into(), "007".into()]);
        section.texts(
            "command",
            &[
                "/bin/sh".into(),
                "-c".into(),
                "echo \"hi\"".into(),
                "it's \"\n\u{1}".into(),
            ],
        );
        section.set("limits.nofile = 9 # c").unwrap();
        section.set("env={ A = 'b' }").unwrap();
        let expected = "[service.\"a.b\"]\nlisten = [79, \"udp:79\", \"007\"]\n\
                        command = [\"/bin/sh\", \"-c\", 'echo \"hi\"', \"it's \\\"\\n\\u0001\"]\n\
                        limits.nofile = 9\nenv = { A = 'b' }\n";
        assert_eq!(apply("", &[section.append_to("")]), expected);
    }

    #[test]
    fn what_is_not_one_pair_is_explained() {
        let said = |argument| Section::new("x").set(argument).unwrap_err();
        assert_eq!(
            said("stderr=log"),
            "--set stderr=log: \"log\" is not TOML; a text has quotes of its own: --set 'stderr=\"log\"'"
        );
        assert_eq!(said("nice"), "--set takes KEY=VALUE: \"nice\" has no =");
        assert_eq!(said("a b=1"), "--set a b=1: \"a b\" is no key");
        assert!(said("nice=1\n[server]\nlog=\"x\"").contains("is not TOML"));
        assert!(said("nice=1\nuser=2").contains("is not TOML"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in any::<String>()) {
            let written = format!("a = {}", quoted(&text));
            let table = toml::de::DeTable::parse(&written).unwrap();
            prop_assert_eq!(table.get_ref()["a"].get_ref().as_str(), Some(text.as_str()));
        }

        #[test]
        fn one_argument_is_never_more_than_one_pair(text in "[a-z=\\[\\]\"'\n#.{}, ]{0,20}") {
            let mut section = Section::new("x");
            if section.set(&text).is_ok() {
                let whole = apply("", &[section.append_to("")]);
                prop_assert_eq!(outline(&whole).unwrap().len(), 2);
            }
        }
    }
}
