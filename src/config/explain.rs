//! What the TOML parser complains about, in words for someone who has never seen TOML.

use super::guess;
use super::hints;
use super::keys::{self, Part};
use super::listen;
use super::mistake::{Mistake, Place};
use super::source::Source;
use super::value::NAME_RULE;
use super::words::quoted;
use std::ops::Range;
use std::sync::Arc;
use toml::de::Error;

/// Sorts of complaints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key or a header for the second time.
    Duplicate,
    /// A key below one that is not a table.
    NotATable,
    /// A value that is none: mostly text without quotes.
    BadValue,
    /// A line that is no `key = value`.
    BadLine,
    /// A quoted text without its end on the line.
    OpenText,
    /// A backslash that TOML does not know.
    BadEscape,
    /// A comma is missing in an array or inline table.
    NoComma,
    /// A bracket, brace or """ without its end: everything below is swallowed.
    Unclosed,
    /// A header without its bracket.
    BadHeader,
    /// More levels than the parser follows.
    TooDeep,
    /// Something else.
    Other,
}

impl Kind {
    /// Whether the lines around it still mean what they say.
    pub(super) fn keeps_structure(self) -> bool {
        !matches!(
            self,
            Kind::Unclosed | Kind::BadHeader | Kind::TooDeep | Kind::Other
        )
    }

    /// Whether the parser has left the tree as it should be without it.
    pub(super) fn keeps_meaning(self) -> bool {
        matches!(self, Kind::Duplicate | Kind::NotATable)
    }

    /// Whether the other complaints are only its echo.
    pub(super) fn hides_others(self) -> bool {
        matches!(self, Kind::Unclosed | Kind::TooDeep)
    }
}

/// The sort of a complaint, and where the parser saw it.
pub(super) fn classify(error: &Error) -> (Kind, Range<usize>) {
    const BAD_VALUE: [&str; 11] = [
        "invalid float",
        "invalid integer",
        "invalid boolean",
        "invalid datetime",
        "invalid value",
        "string values must be quoted",
        "unexpected leading zero",
        "unexpected sign",
        "integers with a radix",
        "radix must be lowercase",
        "redundant",
    ];
    let message = error.message();
    let starts = |words: &[&str]| words.iter().any(|words| message.starts_with(words));
    let kind = match () {
        () if starts(&["duplicate key"]) => Kind::Duplicate,
        () if starts(&["cannot extend"]) => Kind::NotATable,
        () if starts(&["unclosed table", "unclosed array table"]) => Kind::BadHeader,
        () if starts(&["unclosed", "invalid multi-line"]) => Kind::Unclosed,
        () if starts(&["recursion", "cannot recurse"]) => Kind::TooDeep,
        () if starts(&["invalid basic string", "invalid literal string"]) => Kind::OpenText,
        () if starts(&["missing escaped", "too few unicode", "invalid unicode"]) => Kind::BadEscape,
        () if starts(&["missing comma"]) => Kind::NoComma,
        () if starts(&[
            "key with no value",
            "missing value",
            "invalid key-value",
            "extra `=`",
        ]) =>
        {
            Kind::BadLine
        }
        () if starts(&[
            "invalid unquoted key",
            "missing assignment",
            "unexpected content",
            "unexpected key or value",
        ]) =>
        {
            Kind::BadLine
        }
        () if starts(&BAD_VALUE) || message.starts_with("`_`") => Kind::BadValue,
        () => Kind::Other,
    };
    (kind, error.span().unwrap_or(0..0))
}

/// The place to show, and what to say about it.
pub(super) fn explain(
    source: &Arc<Source>,
    kind: Kind,
    span: &Range<usize>,
) -> (Range<usize>, Mistake) {
    let line = content(source, span);
    match kind {
        Kind::Duplicate => (span.clone(), duplicate(source, span)),
        Kind::NotATable => (
            span.clone(),
            Mistake::new("this has a value already, so it cannot have keys of its own")
                .help("give the value or the keys, not both"),
        ),
        Kind::BadValue => bad_value(source, span),
        Kind::BadLine => bad_line(source, line),
        Kind::OpenText => open_text(source, span),
        Kind::BadEscape => (
            span.clone(),
            Mistake::new(
                "a backslash in double quotes begins an escape, and TOML does not know this one",
            )
            .help(
                "write \\\\ for a backslash, or use 'single quotes', where it is a plain character",
            ),
        ),
        Kind::NoComma => (
            span.clone(),
            Mistake::new("a comma is missing here")
                .help("write a comma between two values: [\"a\", \"b\"]"),
        ),
        Kind::Unclosed => unclosed(source, span),
        Kind::BadHeader => bad_header(source, line),
        Kind::TooDeep => (
            span.clone(),
            Mistake::new("tables or arrays are nested too deeply"),
        ),
        Kind::Other => (line, Mistake::new("this line is not TOML").help(LINES)),
    }
}

const LINES: &str = "a line is KEY = VALUE, or a header like [service.NAME], or a # comment";

/// The line around a place, without the space and the comment around it.
fn content(source: &Source, span: &Range<usize>) -> Range<usize> {
    let range = source.line_range(source.line_of(span.start));
    let line = &source.text()[range.clone()];
    let begin = line.len() - line.trim_start().len();
    let end = line.find(" #").unwrap_or(line.len());
    range.start + begin..range.start + line[..end.max(begin)].trim_end().len().max(begin)
}

fn duplicate(source: &Arc<Source>, span: &Range<usize>) -> Mistake {
    let text = source.text();
    let line = &text[source.line_range(source.line_of(span.start))];
    let mistake = match header(line) {
        Some(name) => Mistake::new(format!("[{name}] is here for the second time"))
            .help("put its keys below one header, or choose another name"),
        None => Mistake::new(format!(
            "{} is here for the second time",
            quoted(&text[span.clone()])
        ))
        .help("keep one of them"),
    };
    match first_of(source, span) {
        Some(line) => {
            let start = source.line_range(line).start;
            let place = Place::Text(source.clone(), content(source, &(start..start)));
            mistake.note("the first is at", &place)
        }
        None => mistake,
    }
}

/// The line where a key that comes twice in its section, or a header that comes twice, is first.
fn first_of(source: &Source, span: &Range<usize>) -> Option<usize> {
    let lines = 0..source.line_of(span.start);
    let line_at = |line: usize| &source.text()[source.line_range(line)];
    let this = line_at(lines.end);
    match header(this) {
        Some(name) => lines
            .clone()
            .find(|line| header(line_at(*line)).as_ref() == Some(&name)),
        None => lines
            .rev()
            .take_while(|line| header(line_at(*line)).is_none())
            .filter(|line| key(line_at(*line)) == key(this))
            .last(),
    }
}

/// Whether a key comes twice only because its section does.
pub(super) fn is_echo(source: &Source, kind: Kind, span: &Range<usize>) -> bool {
    let spot = source.spot(span);
    let is_key = header(spot.text).is_none() && spot.text[..spot.range.start].trim().is_empty();
    kind == Kind::Duplicate && is_key && first_of(source, span).is_none()
}

/// The name in a header line, without quotes and spaces.
fn header(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix('[')?;
    let name = rest.split(']').next()?;
    Some(
        name.chars()
            .filter(|c| !matches!(c, ' ' | '\t' | '"' | '\'' | '['))
            .collect(),
    )
}

fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    Some(key.trim().trim_matches(['"', '\'']))
}

/// A value without quotes: all of it, not only the part where the parser stumbled.
fn bad_value(source: &Source, span: &Range<usize>) -> (Range<usize>, Mistake) {
    let line = content(source, span);
    let text = source.text();
    let at = span.start.clamp(line.start, line.end);
    let is_end = |c: char| matches!(c, '=' | ',' | '[' | ']' | '{' | '}' | '"');
    let before = &text[line.start..at];
    let start = before
        .rfind(is_end)
        .map_or(line.start, |found| line.start + found + 1);
    let start = line.end - text[start..line.end].trim_start().len();
    let end = text[at..line.end]
        .find([',', ']', '}'])
        .map_or(line.end, |found| at + found);
    let place = start..end.max(start);
    let value = text[place.clone()].trim_end();
    let place = start..start + value.len();
    let mistake = match spelling(value) {
        Some(message) => guess::line(&text[line.clone()]).map_or_else(
            || Mistake::new(message),
            |meant| Mistake::new(message).help(format!("write: {meant}")),
        ),
        None => not_a_value(&text[line.clone()], place.start - line.start, value),
    };
    (place, mistake)
}

/// What is wrong with the characters of a line or a value, where that is all.
fn spelling(text: &str) -> Option<&'static str> {
    match () {
        () if text.ends_with(';') => Some("TOML has no semicolons"),
        () if text.contains(guess::is_curly) => {
            Some("these quotes are curly, and TOML knows only the straight ones, \" and '")
        }
        () => None,
    }
}

fn not_a_value(line: &str, at: usize, value: &str) -> Mistake {
    let (key, shown) = (key(line), quoted(value));
    let is_number = value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.to_ascii_lowercase().as_str() {
        "" => Mistake::new("a value is missing here").help(LINES),
        "yes" | "on" | "true" | "y" => Mistake::new(format!("{shown} is not a TOML value"))
            .help("write true, in small letters and without quotes"),
        "no" | "off" | "false" | "n" => Mistake::new(format!("{shown} is not a TOML value"))
            .help("write false, in small letters and without quotes"),
        _ if is_number && matches!(key, Some("umask" | "socket_mode")) => {
            let key = key.unwrap_or_default();
            Mistake::new("a number cannot begin with 0")
                .help(format!("write the octal digits in quotes: {key} = {shown}"))
        }
        _ if key == Some("listen") => {
            let right_form = listen::help_for(value).unwrap_or_else(|| format!("write {shown}"));
            Mistake::new(format!("{value} needs quotes")).help(right_form)
        }
        _ if is_number => Mistake::new("a number cannot begin with 0")
            .help(format!("write {}", value.trim_start_matches('0'))),
        _ if key == Some("command") => {
            let example = || "for example: command = [\"/bin/cat\", \"-n\"]".to_owned();
            Mistake::new("the program and its arguments are written in quotes")
                .help(guess::line(line).map_or_else(example, |meant| format!("write: {meant}")))
        }
        _ => {
            let in_quotes = format!("{}{shown}{}", &line[..at], &line[at + value.len()..]);
            let known = key.and_then(|key| keys::KEYS.iter().find(|known| known.name == key));
            match known.filter(|_| !guess::is_accepted(&in_quotes)) {
                Some(key) => Mistake::new(format!("{shown} is not a TOML value"))
                    .help(format!("for example: {}", key.example)),
                None => {
                    Mistake::new(format!("{value} needs quotes")).help(format!("write {shown}"))
                }
            }
        }
    }
}

fn bad_line(source: &Source, line: Range<usize>) -> (Range<usize>, Mistake) {
    let text = &source.text()[line.clone()];
    if text.starts_with('[') {
        return bad_header(source, line);
    }
    if let Some(key) = text.strip_suffix('=') {
        let mistake = Mistake::new(format!("a value is missing after {} =", key.trim()));
        return (line, mistake.help(LINES));
    }
    let meant = guess::line(text);
    let is_list = |meant: &String| meant.ends_with(']') && !text.contains('[');
    let message = match spelling(text) {
        Some(message) => message,
        None if text.contains(',') && meant.as_ref().is_some_and(is_list) => {
            "several values are written as an array, in [ ]"
        }
        None => "this line is not TOML",
    };
    let help = match meant {
        Some(meant) => format!("write: {meant}"),
        None => known_word(text).unwrap_or_else(|| LINES.to_owned()),
    };
    (line, Mistake::new(message).help(help))
}

/// What is to be said about the first word of a line, where it is none of our keys.
fn known_word(line: &str) -> Option<String> {
    let word = line.split(['=', ':', '+', ' ', '\t']).next()?;
    let is_key = keys::KEYS.iter().any(|key| key.name == word);
    hints::meant(word, Part::Service).filter(|_| !is_key)
}

fn bad_header(source: &Source, line: Range<usize>) -> (Range<usize>, Mistake) {
    let name = source.text()[line.clone()]
        .strip_prefix("[service.")
        .and_then(|rest| rest.strip_suffix(']'))
        .filter(|name| !name.is_empty() && !name.contains(['[', ']', '"', '\'']));
    let mistake = match name {
        Some(name) => Mistake::new(format!("{} cannot be the name of a service", quoted(name)))
            .help(NAME_RULE),
        None => Mistake::new("this header is not complete").help(
            "a header is a line of its own, [service.NAME]; a name has letters, digits, - and _",
        ),
    };
    (line, mistake)
}

fn open_text(source: &Source, span: &Range<usize>) -> (Range<usize>, Mistake) {
    let line = content(source, span);
    let start = source.text()[line.clone()]
        .rfind(['"', '\''])
        .map_or(line.start, |at| line.start + at);
    let mistake = Mistake::new("this quote has no end on its line")
        .help("close it with the same kind of quote");
    (start..line.end, mistake)
}

/// Everything below an open bracket was taken as its content: the bracket is the place to show.
fn unclosed(source: &Source, span: &Range<usize>) -> (Range<usize>, Mistake) {
    let text = source.text();
    let open = last_open(text);
    let place = open.map_or(span.clone(), |at| at..at + 1);
    let what = open.and_then(|at| text[at..].chars().next()).unwrap_or('[');
    let mistake = match what {
        '[' => Mistake::new("this [ is never closed").help("close the array with ]"),
        '{' => Mistake::new("this { is never closed").help("close the table with }"),
        quote => Mistake::new(format!("this {quote}{quote}{quote} is never closed")).help(format!(
            "a text over several lines ends with {quote}{quote}{quote} again"
        )),
    };
    (place, mistake)
}

/// Where the innermost bracket, brace or long quote is that nothing closes.
fn last_open(text: &str) -> Option<usize> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '#' => while rest.next_if(|(_, c)| *c != '\n').is_some() {},
            '[' | '{' => open.push((at, c)),
            ']' | '}' => {
                open.pop();
            }
            '"' | '\'' => {
                let end = end_of_text(text, at, c)?;
                if end == text.len() {
                    return Some(at);
                }
                while rest.next_if(|(at, _)| *at < end).is_some() {}
            }
            _ => {}
        }
    }
    open.first().map(|(at, _)| *at)
}

/// Where a quoted text ends that begins here: past its quote, or at the end of the line, or (a long
/// one that is open) at the end of all text.
fn end_of_text(text: &str, start: usize, quote: char) -> Option<usize> {
    let long = [quote; 3].iter().collect::<String>();
    let is_long = text[start..].starts_with(&long);
    let (mark, limit) = match is_long {
        true => (long.as_str(), text.len()),
        false => (
            &long[..1],
            text[start..].find('\n').map_or(text.len(), |at| start + at),
        ),
    };
    let mut at = start + mark.len();
    while at < limit {
        let rest = &text[at..limit];
        if rest.starts_with(mark) {
            return Some(at + mark.len());
        }
        let escape = quote == '"' && rest.starts_with('\\');
        at += rest
            .chars()
            .take(1 + usize::from(escape))
            .map(char::len_utf8)
            .sum::<usize>();
    }
    Some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bracket_that_is_not_closed_is_found() {
        let texts = [
            ("a = [1, 2\nb = 3", Some(4)),
            ("a = [[1], [2]\nb = { c = 1 }", Some(4)),
            ("a = \"[\" # {\nb = '{' \nc = {", Some(25)),
            ("a = \"\\\"[\"\nb = [", Some(14)),
            ("a = \"\"\"\n[", Some(4)),
            ("a = '''['''\nb = [", Some(16)),
            ("a = [1]\nb = {}\n", None),
            ("a = \"[\n", None),
        ];
        for (text, place) in texts {
            assert_eq!(last_open(text), place, "{text}");
        }
    }

    #[test]
    fn a_line_ends_before_its_comment() {
        let source = Source::new("x".into(), "  a = 1  # b\n".into(), 0);
        assert_eq!(content(&source, &(0..0)), 2..7);
    }
}
