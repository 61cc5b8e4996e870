//! `enabled` in a service, however the service is written.

use super::outline::Statement;
use super::removal;
use super::text::{Edit, line_end, whole_lines};

const KEY: &str = "enabled";

/// What a text says about one `enabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// `true`.
    True,
    /// `false`, or something that is a mistake.
    False,
    /// Nothing.
    Nothing,
}

/// What is written about what has this path: a service, or `[defaults]`.
pub(super) fn written(text: &str, outline: &[Statement], path: &[&str]) -> Written {
    match find(outline, &key_of(path)).and_then(|pair| pair.value.as_ref()) {
        None => Written::Nothing,
        Some(value) if &text[value.span.clone()] == "true" => Written::True,
        Some(_) => Written::False,
    }
}

/// The changes that write this about a service, or that take out what is written. Empty when there
/// is no place for it.
pub(super) fn write(
    text: &str,
    outline: &[Statement],
    path: &[&str],
    value: Option<bool>,
) -> Vec<Edit> {
    let key = key_of(path);
    match (
        find(outline, &key).and_then(|pair| pair.value.as_ref()),
        value,
    ) {
        (Some(old), Some(new)) => vec![Edit {
            range: old.span.clone(),
            with: new.to_string(),
        }],
        (Some(_), None) => take_out(text, outline, &key),
        (None, Some(new)) => put_in(text, outline, path, new).into_iter().collect(),
        (None, None) => Vec::new(),
    }
}

fn key_of<'p>(path: &[&'p str]) -> Vec<&'p str> {
    path.iter().copied().chain([KEY]).collect()
}

/// The pair with this path, on a line of its own or in an inline table.
fn find<'o>(statements: &'o [Statement], path: &[&str]) -> Option<&'o Statement> {
    statements.iter().find_map(|statement| {
        let is_it = statement.value.is_some() && statement.is(path);
        if is_it {
            Some(statement)
        } else {
            find(statement.entries(), path)
        }
    })
}

fn take_out(text: &str, outline: &[Statement], key: &[&str]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for statement in outline {
        if statement.is(key) {
            edits.push(line_less(text, statement));
        } else if statement.is_above(key) {
            removal::entries(statement, key, &mut edits);
        }
    }
    edits
}

/// A line that says nothing then; one with a comment stays for its sake, and says `true`.
fn line_less(text: &str, pair: &Statement) -> Edit {
    let line = whole_lines(text, &pair.span);
    let has_comment = !text[pair.span.end..line.end].trim().is_empty();
    match pair.value.as_ref().filter(|_| has_comment) {
        Some(value) => Edit {
            range: value.span.clone(),
            with: "true".to_owned(),
        },
        None => Edit::remove(line),
    }
}

/// Right below the header, where it is seen; else as the service's other keys are written.
fn put_in(text: &str, outline: &[Statement], path: &[&str], value: bool) -> Option<Edit> {
    let header = outline
        .iter()
        .position(|statement| statement.value.is_none() && statement.is(path));
    if let Some(header) = header {
        return Some(below(text, outline, header, value));
    }
    outline.iter().find_map(|statement| {
        in_table(text, statement, path, value).or_else(|| dotted(text, statement, path, value))
    })
}

fn below(text: &str, outline: &[Statement], header: usize, value: bool) -> Edit {
    // Indented as the next key, if there is one.
    let model = outline
        .get(header + 1)
        .filter(|next| next.value.is_some())
        .unwrap_or(&outline[header]);
    let line = whole_lines(text, &model.span);
    let indent = &text[line.start..model.span.start];
    let end = line_end(text);
    let at = whole_lines(text, &outline[header].span).end;
    let with = match text[..at].ends_with('\n') {
        true => format!("{indent}{KEY} = {value}{end}"),
        false => format!("{end}{indent}{KEY} = {value}"),
    };
    Edit::insert(at, with)
}

/// In `x = { … }`, or deeper in an inline table around it.
fn in_table(text: &str, statement: &Statement, path: &[&str], value: bool) -> Option<Edit> {
    let table = statement.value.as_ref()?;
    let entries = table.entries.as_ref()?;
    if statement.is(path) {
        return Some(match entries.last() {
            Some(last) => Edit::insert(last.span.end, format!(", {KEY} = {value}")),
            None => Edit {
                range: table.span.clone(),
                with: format!("{{ {KEY} = {value} }}"),
            },
        });
    }
    if !statement.is_above(path) {
        return None;
    }
    entries.iter().find_map(|entry| {
        let own = in_table(text, entry, path, value);
        own.or_else(|| {
            let name = dotted_name(text, entry, path)?;
            Some(Edit::insert(
                entry.span.start,
                format!("{name}.{KEY} = {value}, "),
            ))
        })
    })
}

/// In front of the first `service.x.… =`.
fn dotted(text: &str, statement: &Statement, path: &[&str], value: bool) -> Option<Edit> {
    let name = dotted_name(text, statement, path)?;
    let line = whole_lines(text, &statement.span);
    let indent = &text[line.start..statement.span.start];
    let end = line_end(text);
    Some(Edit::insert(
        line.start,
        format!("{indent}{name}.{KEY} = {value}{end}"),
    ))
}

/// The service's name as it is written in front of one of its keys.
fn dotted_name<'t>(text: &'t str, pair: &Statement, path: &[&str]) -> Option<&'t str> {
    let is_dotted = pair.value.is_some() && pair.is_below(path) && pair.path.len() > path.len();
    let above = pair.path.len() - pair.keys.len();
    if !is_dotted || above >= path.len() {
        return None;
    }
    let last = &pair.keys[path.len() - above - 1];
    Some(&text[pair.keys[0].start..last.end])
}

#[cfg(test)]
mod tests {
    use super::super::outline::outline;
    use super::super::text::apply;
    use super::*;

    const X: [&str; 2] = ["service", "x"];

    #[track_caller]
    fn check(text: &str, value: Option<bool>, expected: &str) {
        let edits = write(text, &outline(text).unwrap(), &X, value);
        assert_eq!(apply(text, &edits), expected);
        outline(expected).expect("TOML");
    }

    #[test]
    fn a_line_with_a_comment_stays() {
        check(
            "[service.x]\nenabled = false # was broken\nl = 1\n",
            None,
            "[service.x]\nenabled = true # was broken\nl = 1\n",
        );
        check(
            "service.x.enabled = false#c",
            None,
            "service.x.enabled = true#c",
        );
    }

    #[test]
    fn it_is_written_below_the_header() {
        check(
            "[service.x] # c\n\n  l = 1\n",
            Some(false),
            "[service.x] # c\n  enabled = false\n\n  l = 1\n",
        );
        check(
            "[service.x]\r\nl = 1\r\n",
            Some(false),
            "[service.x]\r\nenabled = false\r\nl = 1\r\n",
        );
        check("[service.x]", Some(false), "[service.x]\nenabled = false");
        check(
            "[service.a]\n[service.'x']\n[b]\n",
            Some(true),
            "[service.a]\n[service.'x']\nenabled = true\n[b]\n",
        );
    }

    #[test]
    fn it_is_written_as_the_other_keys_are() {
        check(
            "service.x.l = 1\nservice.x.m = 1\n",
            Some(false),
            "service.x.enabled = false\nservice.x.l = 1\nservice.x.m = 1\n",
        );
        check(
            "[service]\n \"x\" . l = 1\n",
            Some(false),
            "[service]\n \"x\".enabled = false\n \"x\" . l = 1\n",
        );
        check(
            "[service]\nx = { l = 1 }\n",
            Some(false),
            "[service]\nx = { l = 1, enabled = false }\n",
        );
        check(
            "service.x = {}\n",
            Some(false),
            "service.x = { enabled = false }\n",
        );
        check(
            "service = { a = 1, x = { l = 1 } }\n",
            Some(false),
            "service = { a = 1, x = { l = 1, enabled = false } }\n",
        );
        check(
            "service = { a = 1, x.l = 1 }\n",
            Some(false),
            "service = { a = 1, x.enabled = false, x.l = 1 }\n",
        );
    }

    #[test]
    fn what_is_written_is_changed_or_taken_out() {
        check(
            "[service.x]\nenabled = true # c\n",
            Some(false),
            "[service.x]\nenabled = false # c\n",
        );
        check(
            "[service.x]\nl = 1\nenabled = false # c\n# d\n",
            None,
            "[service.x]\nl = 1\nenabled = true # c\n# d\n",
        );
        check(
            "service.x = { l = 1, enabled = false }\n",
            None,
            "service.x = { l = 1 }\n",
        );
        check(
            "service.x.enabled = false\nservice.x.l = 1\n",
            None,
            "service.x.l = 1\n",
        );
    }

    #[test]
    fn what_is_written_is_found() {
        let found = |text: &str| written(text, &outline(text).unwrap(), &X);
        assert_eq!(found("[service.x]\nenabled = true"), Written::True);
        assert_eq!(found("[service]\nx = { enabled = false }"), Written::False);
        assert_eq!(
            found("[service.x.limits]\nenabled = false\n[service.y]\nenabled = false"),
            Written::Nothing
        );
    }
}
