//! What a key takes, as a JSON schema, from the words in which the list of keys says it.
//!
//! The words are alternatives (`A, B or C`), each one of a vocabulary; what it does not know has no
//! form, and a test asks for it. A form never refuses what the reader takes, and leaves to the reader
//! what a pattern cannot say.

use oxinetd::config::keys::Key;
use serde_json::{Value, json};

/// The schema of what a key takes.
pub(super) fn form(key: &Key) -> Option<Value> {
    let alternatives = alternatives(key.takes)?;
    Some(match <[Value; 1]>::try_from(alternatives) {
        Ok([one]) => one,
        Err(many) => json!({ "anyOf": many }),
    })
}

fn alternatives(words: &str) -> Option<Vec<Value>> {
    let mut found = Vec::new();
    let mut rest = words;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("an array of them") {
            let items = json!({ "anyOf": found });
            found.push(json!({ "type": "array", "items": items }));
            rest = after;
        } else {
            let (form, after) = one(rest)?;
            found.push(form);
            rest = after;
        }
        rest = [", or ", ", ", " or "]
            .iter()
            .find_map(|separator| rest.strip_prefix(separator))
            .unwrap_or(rest);
    }
    Some(found)
}

/// The alternative at the beginning, and what follows it.
fn one(words: &str) -> Option<(Value, &str)> {
    if let Some(rest) = words.strip_prefix("a string like ") {
        return Some((text(), after_quotes(rest, &["", ", ", " or "])));
    }
    for (phrase, form) in vocabulary() {
        if let Some(rest) = words.strip_prefix(phrase) {
            return Some((form, rest));
        }
    }
    if let Some(rest) = words.strip_prefix("an integer from ") {
        let (lowest, rest) = rest.split_once(" to ")?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (lowest, highest): (i64, i64) = (lowest.parse().ok()?, rest[..end].parse().ok()?);
        let form = json!({ "type": "integer", "minimum": lowest, "maximum": highest });
        return Some((form, &rest[end..]));
    }
    if let Some(rest) = words.strip_prefix("a duration") {
        return Some((duration(), after_quotes(rest, &[" from ", " to "])));
    }
    if let Some(rest) = words.strip_prefix("octal digits in quotes") {
        let form = json!({ "type": "string", "pattern": "^0?[0-7]{1,3}$" });
        return Some((form, after_quotes(rest, &[", from ", " to "])));
    }
    let rest = words.strip_prefix('"')?;
    let (word, rest) = rest.split_once('"')?;
    Some((quoted(word), rest))
}

/// A word that is meant, or one that begins so, such as `file:/PATH` and `systemd:NAME`.
fn quoted(word: &str) -> Value {
    match word.find(|c: char| c.is_ascii_uppercase()) {
        Some(variable) => {
            let begin = word[..variable].replace('.', "\\.");
            json!({ "type": "string", "pattern": format!("^{begin}.") })
        }
        None => json!({ "const": word }),
    }
}

/// What follows words in quotes, each after one of these.
fn after_quotes<'w>(mut words: &'w str, before: &[&str]) -> &'w str {
    let next = |words: &'w str| {
        before.iter().find_map(|before| {
            let quoted = words.strip_prefix(before)?.strip_prefix('"')?;
            Some(quoted.split_once('"')?.1)
        })
    };
    while let Some(rest) = next(words) {
        words = rest;
    }
    words
}

/// Phrases, the longer ones before those that they begin with.
fn vocabulary() -> Vec<(&'static str, Value)> {
    let id = || json!({ "type": "integer", "minimum": 0, "maximum": 4_294_967_294_u32 });
    let absolute = json!({ "type": "string", "pattern": "^/" });
    let name = || json!({ "type": "string", "minLength": 1 });
    let bits = |highest: u32| json!({ "type": "integer", "minimum": 1, "maximum": highest });
    let groups = json!({ "type": "array", "items": { "anyOf": [name(), id()] } });
    let strings = || json!({ "type": "object", "additionalProperties": text() });
    let variables = json!({ "type": "array", "items": name() });
    let command =
        json!({ "type": "array", "minItems": 1, "items": [absolute], "additionalItems": text() });
    let port = json!({ "type": "integer", "minimum": 0, "maximum": 65535 });
    vec![
        ("true", json!({ "const": true })),
        ("false", json!({ "const": false })),
        ("an absolute path", absolute.clone()),
        (
            "an array: the program's absolute path, then its arguments",
            command,
        ),
        ("an array of variable names", variables),
        ("an array of group names in quotes, or group ids", groups),
        ("an address or prefix in quotes", name()),
        ("an address in quotes", name()),
        ("the name of a network interface, in quotes", name()),
        (
            "a table of term, rows, columns, raw and echo",
            object(&[
                ("term", name()),
                ("rows", bits(65535)),
                ("columns", bits(65535)),
                ("raw", boolean()),
                ("echo", boolean()),
            ]),
        ),
        ("a user name in quotes", name()),
        ("a group name in quotes", name()),
        ("a user id", id()),
        ("a group id", id()),
        ("a port", port),
        ("a file name pattern", name()),
        (
            "a table of idle, interval and count",
            object(&[
                ("idle", duration()),
                ("interval", duration()),
                ("count", bits(127)),
            ]),
        ),
        (
            "a table of bits for v4 and v6",
            object(&[("v4", bits(32)), ("v6", bits(128))]),
        ),
        ("a table of limits", limits()),
        ("a table of strings by reason", reasons()),
        ("a table of strings", strings()),
        ("a string", text()),
    ]
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn duration() -> Value {
    json!({ "type": "string", "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$" })
}

fn object(members: &[(&str, Value)]) -> Value {
    let members: serde_json::Map<String, Value> = members
        .iter()
        .map(|(name, form)| ((*name).to_string(), form.clone()))
        .collect();
    json!({ "type": "object", "properties": members, "additionalProperties": false })
}

fn limits() -> Value {
    let with = |one: Value| {
        let one = json!({ "anyOf": [{ "const": "unlimited" }, { "type": "integer", "minimum": 0 }, one] });
        json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 2, "maxItems": 2 }] })
    };
    let size = || with(json!({ "type": "string", "pattern": "^[0-9]+[KkMGT]?$" }));
    let number = || with(json!(false));
    let sizes = ["as", "core", "data", "fsize", "memlock", "stack"].map(|name| (name, size()));
    let mut all = sizes.to_vec();
    all.extend([
        ("cpu", with(duration())),
        ("nofile", number()),
        ("nproc", number()),
    ]);
    object(&all)
}

fn reasons() -> Value {
    let reasons = [
        "denied",
        "banned",
        "hours",
        "full",
        "server_full",
        "max_per_source",
        "share",
        "rate",
        "rate_per_source",
        "any",
    ];
    object(&reasons.map(|reason| (reason, text())))
}
