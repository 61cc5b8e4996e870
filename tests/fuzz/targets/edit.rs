//! Tables that are edited in place: whatever a table looks like, a command changes what it was asked
//! for and nothing else.

use super::table::loaded;
use oxinetd::cli::edit::{Section, Tables};
use oxinetd::config::Mistakes;
use toml::de::{DeTable, DeValue};

/// A service that no table has.
const NEW: &str = "a service of the fuzzer's";

/// Each of the first services of a table is removed, switched off and switched on, and one is added.
pub(super) fn edit(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some(names) = names(text) else {
        return assert!(add(text).is_none(), "what is no TOML is not edited");
    };
    for name in names.iter().take(4) {
        remove(text, name);
        switch(text, name);
    }
    if let Some(new) = add(text) {
        check(text, &new, NEW);
        assert!(new.starts_with(text));
        let again = remove(&new, NEW);
        let last = text.lines().next_back().unwrap_or_default();
        if text.is_empty() || text.ends_with('\n') && !last.trim().is_empty() {
            assert_eq!(again.as_deref(), Some(text));
        }
    }
}

fn add(text: &str) -> Option<String> {
    let mut section = Section::new(NEW);
    section.listen(&["0".to_owned()]);
    section.text("builtin", "echo");
    let tables = Tables::of_text(text);
    let change = tables.add(NEW, &section).ok()?;
    Some(tables.text_after(&change))
}

/// Lines go, or entries of inline tables; no byte comes.
fn remove(text: &str, name: &str) -> Option<String> {
    let tables = Tables::of_text(text);
    let change = tables.remove(name).ok()?;
    let new = tables.text_after(&change);
    check(text, &new, name);
    assert!(!names(&new)?.iter().any(|known| known == name), "{new}");
    assert!(is_within(&new, text), "{new}");
    check_loads(text, &new);
    Some(new)
}

/// Off is as good as on for a table, but for one that offers nothing. Off and on again is as before,
/// where nothing was written.
fn switch(text: &str, name: &str) {
    let Some(off) = switched(text, name, false) else {
        return;
    };
    check_loads(text, &off);
    assert!(!is_on(&off, name).unwrap_or(false), "{off}");
    let Some(on) = switched(&off, name, true) else {
        panic!("what was switched off cannot be switched on: {off}");
    };
    assert!(is_on(&on, name).unwrap_or(true), "{on}");
    if !text.contains("enabled") {
        assert_eq!(on, text);
    }
    assert_eq!(switched(&off, name, false).as_ref(), Some(&off));
    assert_eq!(switched(&on, name, true).as_ref(), Some(&on));
}

fn switched(text: &str, name: &str, on: bool) -> Option<String> {
    let tables = Tables::of_text(text);
    let change = tables.switch(name, on).ok()?;
    let new = tables.text_after(&change);
    check(text, &new, name);
    Some(new)
}

/// Whether a service is offered, as far as it can be loaded.
fn is_on(text: &str, name: &str) -> Option<bool> {
    let table = loaded(text).ok()?.table;
    let found = table.services.iter().find(|service| &*service.name == name);
    found.map(|service| service.enabled)
}

/// It is TOML, and all that is not the service's is as it was.
fn check(text: &str, new: &str, name: &str) {
    assert_eq!(others(text, name), others(new, name), "{new}");
}

/// A table that can be loaded still can, unless it has nothing to offer then.
fn check_loads(text: &str, new: &str) {
    if let (Ok(_), Err(Mistakes(mistakes))) = (loaded(text), loaded(new)) {
        let is_about_all = |place: Option<(usize, usize)>| place.is_none();
        for mistake in mistakes {
            assert!(
                is_about_all(mistake.place().line_and_column()),
                "{mistake}\n{new}"
            );
        }
    }
}

/// The services' names, or `None` where it is no TOML.
fn names(text: &str) -> Option<Vec<String>> {
    let table = DeTable::parse(text).ok()?;
    let services = table.get_ref().get("service").map(|value| value.get_ref());
    Some(match services {
        Some(DeValue::Table(services)) => {
            let names = services.keys().map(|name| name.get_ref().to_string());
            names.collect()
        }
        _ => Vec::new(),
    })
}

/// Every key outside a service, with its value as it is written.
fn others(text: &str, name: &str) -> Vec<(Vec<String>, String)> {
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut found = Vec::new();
    collect(text, table.get_ref(), &mut Vec::new(), &mut found);
    found.retain(|(path, _)| !(path.len() >= 2 && path[0] == "service" && path[1] == name));
    found
}

fn collect(
    text: &str,
    table: &DeTable,
    path: &mut Vec<String>,
    found: &mut Vec<(Vec<String>, String)>,
) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(table) => collect(text, table, path, found),
            _ => found.push((path.clone(), text[value.span()].to_owned())),
        }
        path.pop();
    }
}

/// Whether the bytes of a text are bytes of another one, in this order.
fn is_within(text: &str, other: &str) -> bool {
    let mut others = other.bytes();
    text.bytes().all(|byte| others.any(|other| other == byte))
}
