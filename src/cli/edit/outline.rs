//! Where everything is in a table's text: headers and pairs with their paths, in the order of the text.
//!
//! Unlike the loader this keeps what was written how: `[service.x]`, `x = { … }` and
//! `service.x.listen = 7` say the same and are edited differently. It judges nothing; a text that is
//! not TOML has no outline.

use std::ops::Range;
use toml::de::DeTable;
use toml_parser::parser::{Event, EventKind, parse_document};
use toml_parser::{Raw, Source};

/// A header, or a key with its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Every part of its name, those of the header above and of the tables around it too.
    pub(super) path: Vec<String>,
    /// The parts that are written here.
    pub(super) keys: Vec<Range<usize>>,
    /// All of it, without a comment behind.
    pub(super) span: Range<usize>,
    /// `None` for a header.
    pub(super) value: Option<Value>,
}

/// The value of a pair.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// All of it.
    pub(super) span: Range<usize>,
    /// What is in it, if it is an inline table.
    pub(super) entries: Option<Vec<Statement>>,
}

impl Statement {
    /// Whether it belongs to what has this path.
    pub(super) fn is_below(&self, path: &[&str]) -> bool {
        self.path.len() >= path.len() && self.path.iter().zip(path).all(|(own, part)| own == part)
    }

    /// Whether it has this very path.
    pub(super) fn is(&self, path: &[&str]) -> bool {
        self.path.len() == path.len() && self.is_below(path)
    }

    /// Whether something of this path may be inside it.
    pub(super) fn is_above(&self, path: &[&str]) -> bool {
        self.path.len() < path.len() && self.is_below(&path[..self.path.len()])
    }

    /// What is in it, if it is an inline table.
    pub(super) fn entries(&self) -> &[Statement] {
        let value = self.value.as_ref();
        value
            .and_then(|value| value.entries.as_deref())
            .unwrap_or_default()
    }
}

/// The statements of a text, or `None` where it is not TOML.
pub(super) fn outline(text: &str) -> Option<Vec<Statement>> {
    // Events come from what is only nearly TOML too, and from values nested without end.
    DeTable::parse(text).ok()?;
    let source = Source::new(text);
    let mut events = Vec::new();
    let mut receiver = |event: Event| events.push(event);
    parse_document(&source.lex().into_vec(), &mut receiver, &mut ());
    let is_word = |kind: EventKind| {
        !matches!(
            kind,
            EventKind::Whitespace | EventKind::Comment | EventKind::Newline | EventKind::KeySep
        )
    };
    let mut walk = Walk {
        text,
        events: events
            .into_iter()
            .filter(|event| is_word(event.kind()))
            .collect(),
        at: 0,
    };
    Some(walk.document())
}

/// Goes through the events of a text that is TOML.
struct Walk<'t> {
    text: &'t str,
    events: Vec<Event>,
    at: usize,
}

impl Walk<'_> {
    fn document(&mut self) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut header = Vec::new();
        while let Some(event) = self.next() {
            let statement = match event.kind() {
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    let statement = self.header(event);
                    header.clone_from(&statement.path);
                    statement
                }
                EventKind::SimpleKey => self.pair(&header, event),
                _ => continue,
            };
            statements.push(statement);
        }
        statements
    }

    fn next(&mut self) -> Option<Event> {
        self.at += 1;
        self.events.get(self.at - 1).copied()
    }

    fn header(&mut self, open: Event) -> Statement {
        let mut statement = Statement {
            path: Vec::new(),
            keys: Vec::new(),
            span: range(open),
            value: None,
        };
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::SimpleKey => self.name(&mut statement, event),
                _ => {
                    statement.span.end = event.span().end();
                    break;
                }
            }
        }
        statement
    }

    fn pair(&mut self, above: &[String], first: Event) -> Statement {
        let mut statement = Statement {
            path: above.to_vec(),
            keys: Vec::new(),
            span: range(first),
            value: None,
        };
        self.name(&mut statement, first);
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::SimpleKey => self.name(&mut statement, event),
                EventKind::KeyValSep => break,
                _ => return statement,
            }
        }
        let value = self.value(&statement.path);
        statement.span.end = value.span.end;
        statement.value = Some(value);
        statement
    }

    fn name(&self, statement: &mut Statement, key: Event) {
        let mut name = String::new();
        Raw::new_unchecked(&self.text[range(key)], key.encoding(), key.span())
            .decode_key(&mut name, &mut ());
        statement.path.push(name);
        statement.keys.push(range(key));
    }

    fn value(&mut self, path: &[String]) -> Value {
        let Some(first) = self.next() else {
            let end = self.text.len();
            return Value {
                span: end..end,
                entries: None,
            };
        };
        let start = first.span().start();
        let (end, entries) = match first.kind() {
            EventKind::InlineTableOpen => {
                let (end, entries) = self.inline_table(path);
                (end, Some(entries))
            }
            EventKind::ArrayOpen => (self.end_of_array(), None),
            _ => (first.span().end(), None),
        };
        Value {
            span: start..end,
            entries,
        }
    }

    fn inline_table(&mut self, path: &[String]) -> (usize, Vec<Statement>) {
        let mut entries = Vec::new();
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::SimpleKey => entries.push(self.pair(path, event)),
                EventKind::InlineTableClose => return (event.span().end(), entries),
                _ => {}
            }
        }
        (self.text.len(), entries)
    }

    /// What is in an array has no path.
    fn end_of_array(&mut self) -> usize {
        let mut depth = 1;
        while let Some(event) = self.next() {
            match event.kind() {
                EventKind::ArrayOpen => depth += 1,
                EventKind::ArrayClose => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return event.span().end();
            }
        }
        self.text.len()
    }
}

fn range(event: Event) -> Range<usize> {
    event.span().start()..event.span().end()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `path = span` of every statement, those in inline tables behind it.
    fn shown(text: &str) -> Vec<String> {
        fn show(text: &str, statements: &[Statement], out: &mut Vec<String>) {
            for statement in statements {
                out.push(format!(
                    "{}: {}",
                    statement.path.join("/"),
                    &text[statement.span.clone()]
                ));
                show(text, statement.entries(), out);
            }
        }
        let mut out = Vec::new();
        show(text, &outline(text).unwrap(), &mut out);
        out
    }

    #[test]
    fn every_way_to_write_a_service_has_the_same_paths() {
        let text = "# c\n[ service . \"b c\" ]\nlisten = [\n 7, # c\n {x = [1]},\n]\n\
                    limits.core = 0\n[service]\nd = { listen = 7, limits = { core = 0 }, }\n";
        let expected = [
            "service/b c: [ service . \"b c\" ]",
            "service/b c/listen: listen = [\n 7, # c\n {x = [1]},\n]",
            "service/b c/limits/core: limits.core = 0",
            "service: [service]",
            "service/d: d = { listen = 7, limits = { core = 0 }, }",
            "service/d/listen: listen = 7",
            "service/d/limits: limits = { core = 0 }",
            "service/d/limits/core: core = 0",
        ];
        assert_eq!(shown(text), expected);
        let dotted = "service.a.listen = 7 # c\n";
        assert_eq!(shown(dotted), ["service/a/listen: service.a.listen = 7"]);
    }

    #[test]
    fn what_is_not_toml_has_no_outline() {
        for text in ["a", "[a", "a = ", "a = [1", "a = 'x", "a = 1 b = 2"] {
            assert_eq!(outline(text), None, "{text}");
        }
        assert_eq!(
            outline(&format!("a = {}1{}", "[".repeat(1000), "]".repeat(1000))),
            None
        );
        assert_eq!(outline(""), Some(vec![]));
    }
}
