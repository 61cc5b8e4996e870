//! `oxinetd reload`: read the table again, and say what that has changed.

use super::client::{Client, Failure, Server, conclude, json_line};
use super::output::put;
use crate::control::Request;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::{self, Display, Formatter};
use std::io::{Write, stderr};
use std::process::ExitCode;

/// Have the running server read its table again, and wait until it is in force.
///
/// No connection is lost. A table with mistakes changes nothing: all of them are shown, and the exit
/// status is 78.
///
/// For example: oxinetd reload --dry-run
#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    kept: u64,
    pub(super) not_bound: Vec<Unbound>,
    warnings: Vec<String>,
    mistakes: Vec<String>,
}

/// An address that could not be bound.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unbound {
    service: String,
    #[serde(rename(deserialize = "not_bound"))]
    address: String,
    reason: String,
}

impl Reload {
    pub(super) fn run(self) -> ExitCode {
        conclude(ask(&self.server, self.dry_run, self.json))
    }
}

/// Has the server read its table again, and says what came of it.
pub(super) fn ask(server: &Server, dry_run: bool, json: bool) -> Result<ExitCode, Failure> {
    let mut report = Report::default();
    let done = report.fill(&mut server.call()?, dry_run);
    // Those who read the object find the mistakes in it.
    if json {
        put(&json_line(&report))?;
    } else {
        let _ = stderr().write_all(report.remarks().as_bytes());
        if done.is_ok() {
            put(&report.text(dry_run))?;
        }
    }
    done.map(|_| ExitCode::SUCCESS)
}

impl Report {
    /// Asks, and returns the last line of the answer.
    pub(super) fn fill(&mut self, client: &mut Client, dry_run: bool) -> Result<Value, Failure> {
        let done = client.ask_raw(&Request::Reload { dry_run }, |_, item| self.add(item))?;
        self.kept = done["kept"].as_u64().unwrap_or_default();
        Ok(done)
    }

    fn add(&mut self, item: Value) -> std::io::Result<()> {
        let text = |name: &str| item[name].as_str().map(String::from);
        let changes = match item["change"].as_str() {
            Some("added") => Some(&mut self.added),
            Some("changed") => Some(&mut self.changed),
            Some("removed") => Some(&mut self.removed),
            _ => None,
        };
        if let (Some(changes), Some(service)) = (changes, text("service")) {
            changes.push(service);
        } else if let Some(warning) = text("warning") {
            self.warnings.push(warning);
        } else if let Some(mistake) = text("mistake") {
            self.mistakes.push(mistake);
        } else {
            self.not_bound.push(serde_json::from_value(item)?);
        }
        Ok(())
    }

    fn remarks(&self) -> String {
        let all = self.mistakes.iter().chain(&self.warnings);
        all.map(|text| format!("{text}\n\n")).collect()
    }

    fn text(&self, dry_run: bool) -> String {
        let mut lines = Vec::new();
        for (word, names) in [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
        ] {
            lines.extend(names.iter().map(|name| format!("{word:9}  {name}")));
        }
        lines.extend(self.not_bound.iter().map(Unbound::to_string));
        lines.push(self.sum(dry_run));
        lines.join("\n") + "\n"
    }

    /// How many of each.
    pub(super) fn sum(&self, dry_run: bool) -> String {
        let counts = [
            (self.added.len() as u64, "added"),
            (self.changed.len() as u64, "changed"),
            (self.removed.len() as u64, "removed"),
            (self.kept, "kept"),
        ];
        let counts = counts.map(|(count, word)| format!("{count} {word}"));
        let mut sum = counts.join(", ");
        match (dry_run, self.not_bound.len()) {
            (true, _) => sum += " (dry run: nothing was done)",
            (false, 0) => {}
            (false, count) => sum += &format!(", {count} not bound"),
        }
        sum
    }
}

impl Display for Unbound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Unbound {
            service,
            address,
            reason,
        } = self;
        write!(f, "not bound  {service} ({address}): {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_change_has_a_line_and_all_have_a_sum() {
        let mut report = Report::default();
        for item in [
            json!({"warning": "odd"}),
            json!({"change": "added", "service": "a"}),
            json!({"change": "removed", "service": "b"}),
            json!({"not_bound": "0.0.0.0:79", "service": "a", "reason": "in use"}),
        ] {
            report.add(item).unwrap();
        }
        report.kept = 3;
        let expected = "\
added      a
removed    b
not bound  a (0.0.0.0:79): in use
1 added, 0 changed, 1 removed, 3 kept, 1 not bound
";
        assert_eq!(report.text(false), expected);
        assert_eq!(report.remarks(), "odd\n\n");
    }
}
