//! What an editing command says: sentences and changed lines, or one JSON object.

use super::document::Document;
use super::text::{Edit, Hunk, hunks};
use super::{CONFIG, Failure, Reload, Verb};
use crate::cli::check::{mistake_json, summary};
use crate::cli::output::finish;
use crate::config::Mistake;
use serde_json::{Value, json};
use std::io::{Write, stderr};
use std::process::ExitCode;

/// What was done, or would be.
#[derive(Debug)]
pub(super) struct Report {
    verb: Verb,
    name: String,
    file: String,
    hunks: Vec<Hunk>,
    pub(super) written: bool,
    /// New ones.
    pub(super) warnings: Vec<Mistake>,
    /// Mistakes that were there before and stay.
    pub(super) old_mistakes: usize,
    /// What the server said, if it was to be asked.
    pub(super) reload: Option<Reload>,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Add => "add",
            Verb::Remove => "remove",
            Verb::Enable => "enable",
            Verb::Disable => "disable",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Verb::Add => "added",
            Verb::Remove => "removed",
            Verb::Enable => "enabled",
            Verb::Disable => "disabled",
        }
    }
}

impl Report {
    pub(super) fn new(verb: Verb, name: &str, document: &Document, edits: &[Edit]) -> Report {
        Report {
            verb,
            name: name.to_owned(),
            file: document.shown(),
            hunks: hunks(&document.text, edits),
            written: false,
            warnings: Vec::new(),
            old_mistakes: 0,
            reload: None,
        }
    }

    fn text(&self) -> String {
        let (name, file) = (&self.name, &self.file);
        let Some(first) = self.hunks.first() else {
            return format!("service {name} is {} already: {file}\n", self.verb.done());
        };
        if !self.written {
            return self.changed_lines() + "nothing was written (--dry-run)\n";
        }
        let mut out = format!(
            "{} service {name}: {file}:{}\n",
            self.verb.done(),
            first.first_line_of_text()
        );
        if let Some(reload) = &self.reload {
            let not_bound = reload.not_bound.iter().map(|it| format!("{it}\n"));
            out.extend(not_bound);
            out += &format!("{}\n", reload.words);
        }
        out
    }

    fn changed_lines(&self) -> String {
        let mut out = String::new();
        for hunk in &self.hunks {
            out += &format!("{}:{}\n", self.file, hunk.line);
            let lines = |sign: char, lines: &[String]| -> String {
                lines
                    .iter()
                    .map(|line| format!("{sign}{}\n", printable(line)))
                    .collect()
            };
            out += &lines('-', &hunk.removed);
            out += &lines('+', &hunk.added);
        }
        out
    }

    fn json(&self) -> Value {
        let hunk =
            |hunk: &Hunk| json!({"line": hunk.line, "removed": hunk.removed, "added": hunk.added});
        json!({
            "ok": true,
            "command": self.verb.name(),
            "service": self.name,
            "file": self.file,
            "written": self.written,
            "changes": self.hunks.iter().map(hunk).collect::<Vec<_>>(),
            "warnings": self.warnings.iter().map(mistake_json).collect::<Vec<_>>(),
            "old_mistakes": self.old_mistakes,
            "reloaded": self.reload.as_ref().is_some_and(|reload| reload.done),
            "not_bound": self.reload.as_ref().map_or(&[][..], |reload| &reload.not_bound),
        })
    }

    /// Exit status: what was written is of no use to a server that cannot load the table.
    fn status(&self) -> u8 {
        match self.written && self.old_mistakes > 0 {
            true => CONFIG,
            false => 0,
        }
    }

    fn remarks(&self) -> String {
        let mut out: String = self
            .warnings
            .iter()
            .map(|warning| format!("{warning}\n\n"))
            .collect();
        if self.old_mistakes > 0 {
            out += &format!(
                "the table has {} that it had before: no server loads it until that is corrected (see oxinetd check)\n",
                summary(self.old_mistakes)
            );
        }
        out
    }
}

impl Failure {
    fn text(&self, verb: Verb) -> String {
        let mistakes: String = self
            .mistakes
            .iter()
            .map(|mistake| format!("{mistake}\n\n"))
            .collect();
        format!("{mistakes}oxinetd {}: {}\n", verb.name(), self.message)
    }

    fn json(&self, verb: Verb) -> Value {
        json!({
            "ok": false,
            "command": verb.name(),
            "error": self.message,
            "mistakes": self.mistakes.iter().map(mistake_json).collect::<Vec<_>>(),
        })
    }
}

/// Says it: results on standard output, what is wrong on standard error.
pub(super) fn tell(verb: Verb, done: &Result<Report, Failure>, as_json: bool) -> ExitCode {
    let (remarks, text) = match (done, as_json) {
        (Ok(report), true) => (String::new(), format!("{}\n", report.json())),
        (Err(failure), true) => (String::new(), format!("{}\n", failure.json(verb))),
        (Ok(report), false) => (report.remarks(), report.text()),
        (Err(failure), false) => (failure.text(verb), String::new()),
    };
    // Where nobody hears it, the exit status tells.
    let _ = stderr().write_all(remarks.as_bytes());
    let status = match done {
        Ok(report) => report.status(),
        Err(failure) => failure.status,
    };
    finish(&text, status)
}

/// Lines of a table may hold anything; a terminal must not obey it.
fn printable(line: &str) -> String {
    let safe = |c: char| if c.is_control() && c != '\t' { '?' } else { c };
    line.chars().map(safe).collect()
}
