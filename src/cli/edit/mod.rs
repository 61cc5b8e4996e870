//! Editing a table in place: what `add`, `remove`, `enable` and `disable` have in common.
//!
//! A command makes a [`Change`]: edits of one file's text. Everything outside them stays byte for
//! byte, since nothing else is ever written anew. The text that would result is loaded in the place
//! of the real one, and written only if that brings no mistake that is not there already.

mod document;
mod outline;
mod removal;
mod replace;
mod report;
mod section;
mod switch;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

pub use section::Section;
pub use tables::Tables;

use super::client::{self, NOT_PERMITTED, Server};
use super::reload::{self, Unbound};
use super::{CONFIG, DEFAULT_TABLE, USAGE};
use crate::config::Mistake;
use crate::table::Control;
use clap::Args;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use text::Edit;

/// Options of every command that edits.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The table.
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_TABLE)]
    config: PathBuf,
    /// Show the lines that would change, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask the server to read the table again.
    #[arg(long)]
    no_reload: bool,
    /// Write one JSON object to standard output instead.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// A new service.
    Add,
    /// A service less.
    Remove,
    /// A service is offered.
    Enable,
    /// A service is not offered.
    Disable,
}

/// What is to be changed: nothing, where that is done already.
#[derive(Debug)]
pub struct Change {
    /// Which of the table's files.
    file: usize,
    edits: Vec<Edit>,
}

/// Why nothing was written.
#[derive(Debug)]
pub struct Failure {
    /// In words, without the command's name.
    message: String,
    /// Exit status (sysexits(3)).
    status: u8,
    /// What is wrong with the table.
    mistakes: Vec<Mistake>,
}

impl Failure {
    fn new(status: u8, message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            status,
            mistakes: Vec::new(),
        }
    }

    /// The command was used wrongly.
    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(USAGE, message)
    }

    fn mistakes(message: impl Into<String>, mistakes: Vec<Mistake>) -> Failure {
        Failure {
            mistakes,
            ..Failure::new(CONFIG, message)
        }
    }
}

/// Makes a change to the table, and says what was done.
pub(super) fn run(
    verb: Verb,
    name: &str,
    options: &Options,
    change: impl FnOnce(&Tables) -> Result<Change, Failure>,
) -> ExitCode {
    let done = edit(verb, name, options, change);
    report::tell(verb, &done, options.json)
}

fn edit(
    verb: Verb,
    name: &str,
    options: &Options,
    change: impl FnOnce(&Tables) -> Result<Change, Failure>,
) -> Result<Report, Failure> {
    let tables = Tables::read(&options.config)?;
    let change = change(&tables)?;
    let document = &tables.documents[change.file];
    let mut report = Report::new(verb, name, document, &change.edits);
    if change.edits.is_empty() {
        return Ok(report);
    }
    let new = tables.text_after(&change);
    let verdict = verdict::check(&tables, document, &new, name)?;
    (report.warnings, report.old_mistakes) = (verdict.warnings, verdict.old_mistakes);
    if options.dry_run {
        return Ok(report);
    }
    replace::replace(document, &new)?;
    report.written = true;
    if !options.no_reload && report.old_mistakes == 0 {
        report.reload = Some(Reload::of_server(options, verdict.control.as_ref()));
    }
    Ok(report)
}

/// What the server said to a reload.
#[derive(Debug)]
struct Reload {
    /// Whether the new table is in force.
    done: bool,
    words: String,
    not_bound: Vec<Unbound>,
}

impl Reload {
    /// Has the server that runs read its table again, if one does and this is its table.
    fn of_server(options: &Options, control: Option<&Control>) -> Reload {
        match put_in_force(options, control) {
            Ok(report) => Reload {
                done: true,
                words: format!("in force: {}", report.sum(false)),
                not_bound: report.not_bound,
            },
            Err(words) => Reload {
                done: false,
                words,
                not_bound: Vec::new(),
            },
        }
    }
}

fn put_in_force(options: &Options, control: Option<&Control>) -> Result<reload::Report, String> {
    let place = options.server.place_of(control);
    let later = |failure: client::Failure| {
        let why = match failure.exit {
            NOT_PERMITTED => failure.text,
            _ => format!("no server answers at {}", place.display()),
        };
        format!("{why}; run \"oxinetd reload\" (or send SIGHUP) to put it in force")
    };
    let mut client = client::call_at(place.clone()).map_err(later)?;
    let mut ask = |dry_run| {
        let mut report = reload::Report::default();
        let refused = |failure: client::Failure| format!("not in force: {}", failure.text);
        let done = report.fill(&mut client, dry_run).map_err(refused)?;
        Ok::<_, String>((report, done))
    };
    let (_, would) = ask(true)?;
    let table = would["table"].as_str().unwrap_or("none");
    let real = |path: &str| std::fs::canonicalize(path).ok();
    if real(table) != std::fs::canonicalize(&options.config).ok() {
        return Err(format!(
            "the server that runs has another table ({table}); this one is not put in force"
        ));
    }
    ask(false).map(|(report, _)| report)
}
