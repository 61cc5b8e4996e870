//! TOML's own rules: text to a tree with places, and what is not TOML.
//!
//! The parser goes on after a mistake but loses what follows some of them, so the lines that are
//! wrong are blanked and the rest is parsed again: mistakes elsewhere are found in the same run.

use super::explain::{self, Kind};
use super::foreign;
use super::mistake::{Mistake, Place};
use super::source::Source;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, Error};

/// Beyond this size only the first mistake is looked for: millions of them would cost memory.
const LARGE: usize = 1 << 20;

/// How often lines are blanked before we give up on the rest.
const ROUNDS: usize = 4;

/// More mistakes than this are not explained.
const MOST: usize = 200;

/// What is wrong with a text, as TOML.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) mistakes: Vec<Mistake>,
    /// Lines (from 0) that say nothing: whatever else is found on them is not to be believed.
    pub(super) bad_lines: BTreeSet<usize>,
}

/// Parses a file and hands the tree to `walk`, with the findings, unless too little of it could be
/// understood. Keys on bad lines are not in the tree.
pub(super) fn parse(source: &Arc<Source>, walk: impl FnOnce(&DeTable, &Findings)) -> Findings {
    let mut findings = Findings::default();
    if let Some(mistake) = foreign::recognise(source) {
        if !parse_once(source.text()).1.is_empty() {
            findings.mistakes.push(mistake);
            return findings;
        }
    }
    let mut text = source.text().to_owned();
    for round in 0..ROUNDS {
        let (table, errors) = parse_once(&text);
        let errors: Vec<(Kind, Range<usize>)> = errors.iter().map(explain::classify).collect();
        let is_certain = round == 0 || errors.iter().all(|(kind, _)| kind.keeps_structure());
        if is_certain {
            findings.report(source, &errors);
        }
        let is_lost = |(kind, span): &(Kind, Range<usize>)| {
            !kind.keeps_structure() || is_header(source, span)
        };
        let is_first_of_many = text.len() > LARGE && !errors.is_empty();
        if !is_first_of_many && errors.iter().all(|(kind, _)| kind.keeps_meaning()) {
            walk(&table, &findings);
            break;
        }
        if is_first_of_many || errors.iter().any(is_lost) {
            break;
        }
        drop(table);
        text = blank(source, &findings.bad_lines);
    }
    findings
}

fn parse_once(text: &str) -> (DeTable<'_>, Vec<Error>) {
    if text.len() > LARGE {
        return match DeTable::parse(text) {
            Ok(table) => (table.into_inner(), Vec::new()),
            Err(error) => (DeTable::new(), vec![error]),
        };
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    (table.into_inner(), errors)
}

impl Findings {
    /// One mistake a line: what follows the first is mostly its echo.
    fn report(&mut self, source: &Arc<Source>, errors: &[(Kind, Range<usize>)]) {
        let mut errors: Vec<_> = errors.iter().collect();
        errors.sort_by_key(|(kind, span)| (!kind.hides_others(), span.start));
        // A quote that swallows a bracket: the bracket is only missed, and all below it.
        if errors.iter().any(|(kind, _)| *kind == Kind::OpenText) && errors[0].0.hides_others() {
            errors.retain(|(kind, _)| *kind == Kind::OpenText);
        }
        let has_double_header = errors
            .iter()
            .any(|(kind, span)| *kind == Kind::Duplicate && is_header(source, span));
        for (kind, span) in errors.into_iter().take(MOST) {
            if has_double_header && explain::is_echo(source, *kind, span) {
                continue;
            }
            let (place, mistake) = explain::explain(source, *kind, span);
            let fresh = self.bad_lines.insert(source.line_of(place.start));
            if fresh {
                self.mistakes
                    .push(mistake.at(&Place::Text(source.clone(), place)));
            }
            if kind.hides_others() {
                break;
            }
        }
    }

    /// Whether a line in this part of the text is bad.
    pub(super) fn touch(&self, source: &Source, part: Range<usize>) -> bool {
        let lines = source.line_of(part.start)..=source.line_of(part.end);
        self.bad_lines.range(lines).next().is_some()
    }
}

/// A header that is wrong: we do not know whose the keys below it are.
fn is_header(source: &Source, span: &Range<usize>) -> bool {
    source.spot(span).text.trim_start().starts_with('[')
}

/// The text with spaces in place of these lines.
fn blank(source: &Source, lines: &BTreeSet<usize>) -> String {
    let mut text = source.text().as_bytes().to_vec();
    for line in lines {
        text[source.line_range(*line)].fill(b' ');
    }
    String::from_utf8(text).unwrap_or_default()
}
