//! Every table in `config/bad` gives exactly the text beside it; every one in `config/good` none.
//!
//! `UPDATE=1` writes the texts anew: read them as someone would who sees oxinetd for the first time.

use oxinetd::config::{Host, Mistake, load};
use oxinetd::table::{Action, Difference, Table};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A table is checked as root would be told, unless its first line is `# host: unprivileged`.
fn host(privileged: bool) -> Host {
    // An id that no machine has.
    let uid = if privileged { 0 } else { 3_999_999_999 };
    Host {
        privileged,
        uid,
        gid: uid,
        groups: vec![uid],
        lowest_port: if privileged { 0 } else { 1024 },
        env: BTreeMap::new(),
        handed: None,
    }
}

fn host_of(path: &Path) -> Host {
    let bytes = fs::read(path).unwrap();
    host(!bytes.starts_with(b"# host: unprivileged"))
}

fn tables(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut tables: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    tables.sort();
    tables
}

/// What is said about lines of the table; what depends on the machine or on who has checked the
/// files out is said about no line.
fn said(path: &Path) -> String {
    let said = match load(path, &host_of(path)) {
        Ok(loaded) => loaded
            .warnings
            .into_iter()
            .filter(|warning| warning.place().line_and_column().is_some())
            .collect(),
        Err(mistakes) => mistakes.0,
    };
    let texts: Vec<String> = said.iter().map(Mistake::to_string).collect();
    texts.join("\n\n") + "\n"
}

#[test]
fn each_bad_table_is_explained() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut differences = Vec::new();
    let tables = tables("tests/config/bad");
    for path in &tables {
        let expected = path.with_extension("txt");
        let said = said(path);
        if update {
            fs::write(&expected, &said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            differences.push(format!(
                "{} is not what is said now:\n{said}",
                expected.display()
            ));
        }
    }
    assert!(tables.len() >= 45, "only {} tables", tables.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn nothing_is_said_about_a_good_table() {
    for path in tables("tests/config/good") {
        assert_eq!(said(&path), "\n", "{}", path.display());
    }
}

/// The text with every entry that is there as a comment put in.
fn uncommented(text: &str) -> String {
    let is_entry = |line: &str| {
        let key = line.split_once(" = ").map_or(line, |(key, _)| key);
        line.starts_with('[') || key.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(entry) if is_entry(entry) => entry,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_entry_of_the_shipped_table_is_right_when_it_is_uncommented() {
    let shipped = fs::read_to_string("services.toml").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), uncommented(&shipped)).unwrap();
    let loaded = load(file.path(), &host(true)).unwrap_or_else(|found| panic!("{}", found.0[0]));
    let is_absence = |warning: &Mistake| warning.message().starts_with("cannot find the program ");
    for warning in loaded.warnings {
        let is_about_line = warning.place().line_and_column().is_some();
        assert!(!is_about_line || is_absence(&warning), "{warning}");
    }
    assert_eq!(
        loaded.table.services.len(),
        shipped.matches("[service.").count()
    );
    for service in &loaded.table.services {
        let Action::Exec(program) = &service.action else {
            continue;
        };
        // An escape that TOML reads although the program was to.
        let is_plain = |word: &String| !word.contains(char::is_control);
        assert!(program.argv.iter().all(is_plain), "{:?}", program.argv);
    }
}

#[test]
fn files_that_are_none_are_explained() {
    let said = |path: &str| load(Path::new(path), &host(true)).unwrap_err().0[0].to_string();
    assert_eq!(
        said("tests/config/none.toml"),
        "tests/config/none.toml: there is no such file\n      = help: create it or correct its name; another table is named by --config FILE, or check FILE"
    );
    assert_eq!(
        said("tests/config"),
        "tests/config: this is a directory, not a file\n      \
         = help: name a file in it; [server] include takes \"DIRECTORY/*.toml\""
    );
}

#[test]
fn a_table_survives_the_way_to_the_supervisor() {
    for path in tables("tests/config/good") {
        let sent = Difference::of(load(&path, &host_of(&path)).unwrap().table, &[]);
        let written = serde_json::to_vec(&sent).unwrap();
        let read: Difference = serde_json::from_slice(&written).unwrap();
        let names = |table: &Table| -> Vec<_> {
            let services = table.services.iter();
            services.map(|service| service.name.clone()).collect()
        };
        assert_eq!(read.table.server, sent.table.server);
        assert_eq!(names(&read.table), names(&sent.table));
        assert_eq!(
            Difference::of(read.table, &[]).digests,
            sent.digests,
            "{}",
            path.display()
        );
    }
}

fn load_text(text: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    if let Err(mistakes) = load(file.path(), &host(true)) {
        assert!(!mistakes.0.is_empty());
        for mistake in mistakes.0 {
            assert!(!mistake.to_string().contains('\u{1b}'));
        }
    }
}

/// A good table with pieces cut out of it, put elsewhere, and replaced.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "=",
        ",",
        "\n",
        "#",
        "\"\"\"",
        "\\",
        "\r",
        "\t",
        "é",
        "\u{feff}",
        "\0",
        "-",
        ".",
        "0",
        "999999999999999999999",
        "[service.x]",
        "[[service]]",
        "listen",
        "udp:",
        "user = 0",
        "\u{1b}[31m",
        "日本",
    ]);
    let good = tables("tests/config/good")
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect::<Vec<_>>();
    let change = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        pieces,
    );
    (
        prop::sample::select(good),
        prop::collection::vec(change, 1..8),
    )
        .prop_map(|(mut text, changes)| {
            for (from, to, piece) in changes {
                let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
                let range = from.min(to)..from.max(to).min(from.min(to) + 40);
                text.splice(range, piece.bytes());
            }
            text
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_loader_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        load_text(&text);
    }

    #[test]
    fn no_characters_make_the_loader_panic(text in "[ -~\n\t\r=\\[\\]\"'#{}é日\u{1b}]{0,200}") {
        load_text(text.as_bytes());
    }

    #[test]
    fn no_change_to_a_good_table_makes_the_loader_panic(text in mutated()) {
        load_text(&text);
    }
}
