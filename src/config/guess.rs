//! What was probably meant by a line that is not TOML.
//!
//! Nothing is proposed that would be refused again: every guess is read as the table would read it.

use super::entry;
use super::keys::Part;
use super::reader::Section;
use super::server;
use super::source::Source;
use std::sync::Arc;
use toml::de::DeTable;

/// Longer lines are not guessed at.
const LONGEST: usize = 1000;

/// The line `KEY = VALUE` that was probably meant.
pub(super) fn line(text: &str) -> Option<String> {
    let (key, rest) = text.split_once(['=', ':', '+', ' ', '\t'])?;
    let value = rest
        .trim_start_matches(['=', ':', '+', ' ', '\t'])
        .trim_end_matches([';', ',', ' ', '\t']);
    if value.is_empty() || text.len() > LONGEST {
        return None;
    }
    let values = [straight(value), value.to_owned()];
    let lines = values.iter().flat_map(|value| forms(key, value));
    lines
        .map(|value| format!("{key} = {value}"))
        .find(|line| is_accepted(line))
}

/// Whether a line is TOML that a service or `[server]` takes, as far as its form tells.
pub(super) fn is_accepted(line: &str) -> bool {
    let Some(table) = DeTable::parse(line)
        .ok()
        .filter(|t| !t.get_ref().is_empty())
    else {
        return false;
    };
    let source = Arc::new(Source::new(String::new(), line.to_owned(), 0));
    let section = |part| Section::new(&source, table.get_ref(), part);
    let (_, of_service) = entry::read(section(Part::Service));
    let (_, of_server) = server::read(section(Part::Server));
    of_service.is_empty() || of_server.is_empty()
}

/// Quotes that word processors and web pages put in place of `"` and `'`.
pub(super) fn is_curly(c: char) -> bool {
    matches!(c, '“' | '”' | '„' | '‟' | '‘' | '’' | '‚' | '‛')
}

/// The text with plain quotes.
pub(super) fn straight(text: &str) -> String {
    let plain = |c| match c {
        '“' | '”' | '„' | '‟' => '"',
        c if is_curly(c) => '\'',
        c => c,
    };
    text.chars().map(plain).collect()
}

/// Ways to write a value, the most likely first.
fn forms(key: &str, value: &str) -> Vec<String> {
    let boolean = match value.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" => "true",
        "no" | "off" | "false" => "false",
        _ => value,
    };
    let inside = value.trim_matches(['(', ')', '[', ']', '{', '}', ' ']);
    let words = words(inside, |c| {
        c == ',' || key == "command" && c.is_whitespace()
    });
    let mut forms = vec![boolean.to_owned(), format!("[{value}]")];
    if !value.contains('"') {
        forms.push(format!("\"{value}\""));
    }
    forms.push(format!("[{}]", words.join(", ")));
    forms
}

/// The words between separators, each in quotes.
fn words(text: &str, is_separator: impl Fn(char) -> bool) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        match quote {
            None if is_separator(c) => words.push(String::new()),
            _ => words.last_mut().unwrap_or(&mut String::new()).push(c),
        }
        match quote {
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
    }
    let words = words.iter().map(|word| word.trim());
    let in_quotes = |word: &str| match word.starts_with(['"', '\'']) {
        true => word.to_owned(),
        false => format!("{word:?}"),
    };
    words
        .filter(|word| !word.is_empty())
        .map(in_quotes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_guessed() {
        let lines = [
            ("listen: 127.0.0.1:7", "listen = \"127.0.0.1:7\""),
            ("listen 79", "listen = 79"),
            ("listen += 7", "listen = 7"),
            ("listen = 7, \"udp:8\"", "listen = [7, \"udp:8\"]"),
            ("listen = [7];", "listen = [7]"),
            (
                "listen = 127.0.0.1:7, [::1]:7",
                "listen = [\"127.0.0.1:7\", \"[::1]:7\"]",
            ),
            ("wait: yes", "wait = true"),
            ("user = ‘nobody’", "user = 'nobody'"),
            ("command = (\"/bin/cat\");", "command = [\"/bin/cat\"]"),
            (
                "command: /bin/sh -c 'a b'",
                "command = [\"/bin/sh\", \"-c\", 'a b']",
            ),
            (
                "command = [“/bin/cat”, \"-n\"]",
                "command = [\"/bin/cat\", \"-n\"]",
            ),
            ("log: stderr", "log = \"stderr\""),
        ];
        for (text, expected) in lines {
            assert_eq!(line(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn nothing_is_proposed_that_would_be_refused() {
        for text in [
            "service a { listen 7 }",
            "{\"service\": {\"a\": {\"listen\": 7}}}",
            "listen: localhost 7",
            "listen: nothing like it",
            "limits: nofile=3",
            "nice: ten",
            "user:",
            "wait",
            "user = \"a\", \"b\"",
            "command: cat -n",
        ] {
            assert_eq!(line(text), None, "{text}");
        }
    }
}
