//! What is written can be loaded: a service that the loader would refuse on every machine becomes a
//! comment, and the report says why.
//!
//! The loader itself is asked, so nothing here has to know what it takes. It looks names up: those
//! that are not known here may be known where the table is to be served, and are left to `oxinetd check`.

use super::draft::{self, Block};
use super::report::{Fate, Note};
use super::writer::Output;
use crate::config::{Host, Mistake, load_text};
use std::collections::HashMap;

/// Takes out what cannot be loaded. `source` is where keys of `[server]` are from.
pub(super) fn take_out(output: &mut Output, source: &str) {
    // Again and again: of very many mistakes the loader tells the first only.
    while take_out_some(output, source) {}
}

fn take_out_some(output: &mut Output, source: &str) -> bool {
    // Without [defaults], so that each value is where it comes from.
    let table = draft::render(&[], &output.server, &output.blocks, false);
    let lines: Vec<&str> = table.lines().collect();
    let sections = sections(&output.blocks);
    let mut has_some = false;
    for mistake in mistakes(&table) {
        let Some((line, _)) = mistake.place().line_and_column() else {
            continue;
        };
        let words = mistake.message();
        let key = lines[line - 1].split(" = ").next().unwrap_or_default();
        let header = lines[..line].iter().rfind(|line| line.starts_with('['));
        has_some |= match header.and_then(|header| sections.get(*header)) {
            Some(block) => refuse(output, *block, key, words),
            None => leave_out(output, source, key, words),
        };
    }
    has_some
}

fn mistakes(table: &str) -> Vec<Mistake> {
    let loaded = load_text("services.toml", table, &Host::of_root());
    let mut mistakes = loaded.err().unwrap_or_default().0;
    mistakes.retain(|mistake| !mistake.is_of_machine());
    mistakes
}

/// Services by the lines that begin them.
fn sections(blocks: &[Block]) -> HashMap<String, usize> {
    let header = |(at, block): (usize, &Block)| match block {
        Block::Service(draft) => Some((draft.header(), at)),
        Block::Comment(_) => None,
    };
    blocks.iter().enumerate().filter_map(header).collect()
}

/// A service that is not offered.
fn refuse(output: &mut Output, block: usize, key: &str, words: &str) -> bool {
    let Some(Block::Service(draft)) = output.blocks.get_mut(block) else {
        return false;
    };
    // The name is no key.
    let knob = if key.starts_with('[') { "name" } else { key };
    draft.refused.push(format!("{knob}: {words}"));
    let fate = match draft.is_off {
        true => Fate::Dropped,
        false => Fate::Error,
    };
    output.notes.push(Note {
        place: draft.place.clone(),
        service: draft.name.clone(),
        knob: knob.to_owned(),
        fate,
        words: format!("{words}; the service is written as a comment"),
    });
    true
}

/// A key of `[server]` less.
fn leave_out(output: &mut Output, source: &str, key: &str, words: &str) -> bool {
    let Some(at) = output.server.iter().position(|(known, _)| *known == key) else {
        return false;
    };
    output.server.remove(at);
    output.note(source, key, Fate::Error, format!("{words}; it is left out"));
    true
}
