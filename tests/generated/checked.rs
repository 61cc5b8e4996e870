//! What is made is checked by the programs that read it: mandoc, a validator of schemas, the shells.

use super::root;
use crate::harness::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const SCHEMA: &str = "packaging/schema/services.schema.json";

fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .any(|directory| Path::new(directory).join(program).is_file())
}

#[test]
fn mandoc_finds_nothing_in_the_manual_pages() {
    if !has("mandoc") {
        return skip("mandoc is not installed");
    }
    for page in ["oxinetd.8", "oxinetd.1", "services.toml.5"] {
        let path = root().join("packaging/man").join(page);
        let said = run(Command::new("mandoc").args(["-T", "lint"]).arg(path));
        let lines = said.stdout.lines();
        // Of pages that are not installed where the tests run it says that they are not found.
        let about_us: Vec<&str> = lines
            .filter(|line| !line.contains("referenced manual not found"))
            .collect();
        assert!(about_us.is_empty(), "{}", about_us.join("\n"));
    }
}

#[test]
fn the_shells_read_their_completions() {
    for (shell, file) in [
        ("bash", "oxinetd.bash"),
        ("zsh", "_oxinetd"),
        ("fish", "oxinetd.fish"),
    ] {
        if !has(shell) {
            skip(&format!("{shell} is not installed"));
            continue;
        }
        let path = root().join("packaging/completions").join(file);
        let said = run(Command::new(shell).arg("-n").arg(path));
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{shell}");
    }
}

#[test]
fn bash_completes_commands_and_options() {
    if !has("bash") {
        return skip("bash is not installed");
    }
    let script = r#"
        source packaging/completions/oxinetd.bash
        COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _oxinetd oxinetd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        echo "${COMPREPLY[@]}"
    "#;
    let complete = |line: &str| {
        let mut bash = Command::new("bash");
        run(bash
            .args(["--norc", "-c", script, "bash", line])
            .current_dir(root()))
        .stdout
    };
    assert_eq!(complete("oxinetd relo"), "reload\n");
    assert_eq!(complete("oxinetd reload --dry"), "--dry-run\n");
}

/// What the validator says of each table.
fn verdicts(tables: &[String]) -> Option<BTreeMap<String, String>> {
    let mut python = Command::new("python3");
    let is_there = run(python.args(["-c", "import jsonschema, tomllib"])).code == Some(0);
    if !is_there {
        skip("python3-jsonschema is not installed");
        return None;
    }
    let mut python = Command::new("python3");
    let arguments = ["tests/generated/schema.py", SCHEMA];
    let said = run(python.args(arguments).args(tables).current_dir(root()));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let lines = said.stdout.lines().filter_map(|line| line.split_once('\t'));
    Some(
        lines
            .map(|(table, verdict)| (table.into(), verdict.into()))
            .collect(),
    )
}

fn tables(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let tables = names.filter(|name| name.ends_with(".toml"));
    let mut tables: Vec<String> = tables.map(|name| format!("{directory}/{name}")).collect();
    tables.sort();
    tables
}

#[test]
fn the_schema_takes_every_good_table() {
    let mut all = tables("tests/config/good");
    all.extend(tables("packaging/examples"));
    let shipped = [
        "services.toml",
        "packaging/services.toml",
        "packaging/container/services.toml",
        "packaging/debian/inetd.toml",
    ];
    all.extend(shipped.map(String::from));
    let Some(verdicts) = verdicts(&all) else {
        return;
    };
    assert_eq!(verdicts.len(), all.len());
    for (table, verdict) in verdicts {
        assert_eq!(verdict, "right", "{table}");
    }
}

/// Tables whose mistakes only the reader can see: what a name stands for, what two keys say together.
const BEYOND_A_SCHEMA: &[&str] = &[
    "access-empty",
    "access-files",
    "access-forms",
    "access-warnings",
    "address-systemd",
    "address-unix",
    "address-words",
    "admission-datagrams",
    "admission-wait",
    "argv0-empty",
    "builtin-keys",
    "command-words",
    "control-directory",
    "control-long",
    "empty",
    "exempt-queue",
    "include-missing",
    "include-no-directory",
    "include-sections",
    "include-twice",
    "max-per-source-above",
    "nice-unprivileged",
    "nothing-enabled",
    "overlap",
    "override-main",
    "program-missing",
    "redirect-loop",
    "sockets-unbindable",
    "user-and-group",
    "user-unknown",
    "user-unprivileged",
    "wait-datagrams",
    "zero-byte",
];

#[test]
fn the_schema_refuses_wrong_tables() {
    let all = tables("tests/config/bad");
    let Some(verdicts) = verdicts(&all) else {
        return;
    };
    assert_eq!(verdicts.len(), all.len());
    let taken = verdicts.iter().filter(|(_, verdict)| *verdict == "right");
    let taken: Vec<&str> = taken
        .map(|(table, _)| table.rsplit('/').next().unwrap().trim_end_matches(".toml"))
        .collect();
    assert_eq!(taken, BEYOND_A_SCHEMA);
}
