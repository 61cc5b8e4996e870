//! Whole tables: `services.toml`, and the inetd.conf that one may name.

use oxinetd::config::inetd::{Dialect, Item, parse};
use oxinetd::config::{Host, Loaded, Mistake, Mistakes, Source, load, load_text};
use oxinetd::table::Difference;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

const NAME: &str = "t.toml";

/// A table is served, or refused with reasons that have places in it. What the supervisor reads of
/// the loader is what the loader had.
pub(super) fn table(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match loaded(&text) {
        Ok(Loaded { table, warnings }) => {
            check_places(&warnings, NAME, &text);
            let sent = Difference::of(table, &[]);
            let written = serde_json::to_vec(&sent).expect("a table can be written");
            let read: Difference = serde_json::from_slice(&written).expect("and read");
            assert_eq!(read.table.server, sent.table.server);
            // They are of all that a service is, with what it names by index.
            assert_eq!(Difference::of(read.table, &[]).digests, sent.digests);
        }
        Err(Mistakes(mistakes)) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            check_places(&mistakes, NAME, &text);
        }
    }
}

/// What is wrong with an inetd.conf is never a mistake of the table that names it, whatever bytes it
/// has; and each of its lines is what some dialect says, or wrong at a place in it.
pub(super) fn inetd_conf(bytes: &[u8]) {
    static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let table = format!(
            "[server]\ninetd_conf = \"{}/inetd.conf\"\n",
            directory.path().display()
        );
        std::fs::write(directory.path().join(NAME), table).expect("a table");
        directory
    });
    std::fs::write(directory.path().join("inetd.conf"), bytes).expect("a file");
    if let Err(Mistakes(mistakes)) = load(&directory.path().join(NAME), &Host::of_root()) {
        panic!("a mistake of the table: {}", mistakes[0]);
    }

    let text = String::from_utf8_lossy(bytes).into_owned();
    let source = Arc::new(Source::new("inetd.conf".into(), text.clone(), 0));
    for dialect in std::iter::once(None).chain(Dialect::ALL.map(|(_, dialect)| Some(dialect))) {
        let conf = parse(&source, dialect);
        check_places(&conf.mistakes, "inetd.conf", &text);
        for item in &conf.items {
            match item {
                Item::Other(range) => assert!(text.get(range.clone()).is_some(), "{range:?}"),
                Item::Service(line) => {
                    assert!(!line.name.is_empty() && !line.user.value.is_empty())
                }
                Item::Comment(_) => {}
            }
        }
    }
}

/// The table as root would load it.
pub(super) fn loaded(text: &str) -> Result<Loaded, Mistakes> {
    load_text(NAME, text, &Host::of_root())
}

/// Each says something, and its line and column are there.
fn check_places(mistakes: &[Mistake], name: &str, text: &str) {
    for mistake in mistakes {
        assert!(!mistake.message().is_empty());
        // It is shown on terminals, and quotes the file.
        let shown = mistake.to_string();
        assert!(
            !shown.contains(|c: char| c.is_control() && c != '\n'),
            "{shown:?}"
        );
        let place = mistake.place();
        let Some((line, column)) = place
            .line_and_column()
            .filter(|_| place.file() == Some(name))
        else {
            continue;
        };
        let Some(found) = text.split('\n').nth(line - 1) else {
            panic!("there is no line {line}: {mistake}");
        };
        let columns = found.chars().count() + 1;
        assert!(
            (1..=columns).contains(&column),
            "line {line} has no column {column}: {mistake}"
        );
    }
}
