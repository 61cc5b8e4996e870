//! `tests/faults.md` names the tests that would notice each known way to fail: every name in it must be
//! that of a test, and every row must say something.

use super::all_cases;
use crate::harness::*;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const ROWS: [(char, usize); 11] = [
    ('A', 16),
    ('B', 20),
    ('C', 16),
    ('D', 17),
    ('E', 15),
    ('F', 14),
    ('G', 8),
    ('H', 10),
    ('I', 9),
    ('J', 12),
    ('K', 11),
];

/// The rows of the tables: what each is called, and its other cells.
fn rows() -> BTreeMap<String, String> {
    let text = include_str!("../faults.md");
    let lines = text.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = lines.filter_map(|line| line.split_once(" | "));
    let mut all = BTreeMap::new();
    for (name, rest) in rows.filter(|(name, _)| !["row", "CVE"].contains(name)) {
        let old = all.insert(name.to_owned(), rest.to_owned());
        assert!(old.is_none(), "{name} has two rows");
    }
    all
}

/// What stands in backquotes: tests of this program, of the library (`src::`), and cases (with blanks).
fn names(cells: &str) -> impl Iterator<Item = &str> {
    cells.split('`').skip(1).step_by(2)
}

/// The tests of this program.
fn tests_here() -> BTreeSet<String> {
    let own = std::env::current_exe().expect("a path");
    let listed = run(Command::new(own).arg("--list")).ok().stdout;
    let tests = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    tests.map(str::to_owned).collect()
}

/// Whether the library has a test of this name: `src::worker::tally::name`.
fn is_in_library(name: &str) -> bool {
    let Some((path, function)) = name.rsplit_once("::") else {
        return false;
    };
    let root = env!("CARGO_MANIFEST_DIR");
    let path = path.replace("::", "/");
    let files = [format!("{root}/{path}.rs"), format!("{root}/{path}/mod.rs")];
    let text = files.iter().find_map(|it| std::fs::read_to_string(it).ok());
    let head = format!("fn {function}(");
    text.is_some_and(|text| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let is_test = |pair: &[&str]| pair[0] == "#[test]" && pair[1].starts_with(&head);
        lines.windows(2).any(is_test)
    })
}

#[test]
fn every_test_that_the_map_of_faults_names_exists() {
    let tests = tests_here();
    let is_case = |name: &str| all_cases().any(|case| case.name == name);
    let mut missing = Vec::new();
    for (row, cells) in rows() {
        for name in names(&cells) {
            if !tests.contains(name) && !is_case(name) && !is_in_library(name) {
                missing.push(format!("{row}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_fault_has_its_tests_or_a_reason() {
    let rows = rows();
    let all = ROWS
        .iter()
        .flat_map(|(letter, last)| (1..=*last).map(move |n| format!("{letter}{n}")));
    let all: Vec<String> = all.collect();
    assert_eq!(all.len(), 148);
    let missing: Vec<&String> = all.iter().filter(|row| !rows.contains_key(*row)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let is_covered = |row: &&String| {
        let (_, tests) = rows[*row].split_once(" | ").expect("three columns");
        !tests.starts_with("none") && names(tests).next().is_some()
    };
    let covered = all.iter().filter(is_covered).count();
    assert!(covered >= 100, "{covered} of 148 have tests");
    let says_nothing = |row: &&String| rows[*row].trim_end_matches([' ', '|']).ends_with("none");
    let silent: Vec<&String> = all.iter().filter(says_nothing).collect();
    assert!(silent.is_empty(), "no reason: {silent:?}");
    let cves = rows.keys().filter(|row| row.starts_with("CVE-"));
    assert!(cves.count() > 30);
}
