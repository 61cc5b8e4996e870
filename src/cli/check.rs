//! `oxinetd check`: everything that is wrong with a table, or what it would offer and as whom.

use super::output::finish;
use super::{CONFIG, DEFAULT_TABLE};
use crate::config::{Host, Mistake, load};
use crate::table::{Action, Address, Builtin, Service, Table};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Check a table: every mistake in it, or a line for each service.
///
/// Mistakes and warnings go to standard error and the services to standard output. Exits with 0, or
/// 78 when the table cannot be served.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The table.
    #[arg(value_name = "FILE", default_value = DEFAULT_TABLE)]
    table: PathBuf,
    /// Write one JSON object to standard output instead.
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Checks the table as it would be loaded by this process.
    pub(super) fn run(self) -> ExitCode {
        let (table, mistakes, warnings) = match load(&self.table, &Host::of_this_process()) {
            Ok(loaded) => (Some(loaded.table), Vec::new(), loaded.warnings),
            Err(mistakes) => (None, mistakes.0, Vec::new()),
        };
        let text = if self.json {
            format!("{}\n", as_json(table.as_ref(), &mistakes, &warnings))
        } else {
            // Where nobody hears it, the exit status tells.
            let _ = write_remarks(&mistakes, &warnings);
            table.as_ref().map(lines).unwrap_or_default()
        };
        finish(&text, if table.is_some() { 0 } else { CONFIG })
    }
}

fn write_remarks(mistakes: &[Mistake], warnings: &[Mistake]) -> io::Result<()> {
    let mut errors = io::stderr().lock();
    for mistake in mistakes.iter().chain(warnings) {
        writeln!(errors, "{mistake}\n")?;
    }
    match mistakes.len() {
        0 => Ok(()),
        count => writeln!(errors, "{}", summary(count)),
    }
}

/// So many mistakes, in words.
pub(super) fn summary(mistakes: usize) -> String {
    match mistakes {
        1 => "1 mistake".to_owned(),
        mistakes => format!("{mistakes} mistakes"),
    }
}

/// A line for each service: name, addresses, what answers, as whom.
fn lines(table: &Table) -> String {
    let rows: Vec<[String; 4]> = table
        .services
        .iter()
        .map(|service| row(table, service))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let line = |[name, addresses, action, user]: &[String; 4]| {
        let [a, b, c] = widths;
        format!("{name:a$}  {addresses:b$}  {action:c$}  {user}")
            .trim_end()
            .to_owned()
            + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(table: &Table, service: &Service) -> [String; 4] {
    let addresses: Vec<String> = service.endpoints.iter().map(ToString::to_string).collect();
    let (action, mut user) = match &service.action {
        Action::Exec(program) => {
            let by_default = if program.identity_by_default {
                " (by default)"
            } else {
                ""
            };
            (
                program.path.clone(),
                format!("as {}{by_default}", user(table, program.identity)),
            )
        }
        Action::Builtin(builtin) => (format!("builtin {}", name(*builtin)), worker(table)),
        Action::Redirect(targets) => (format!("redirect {}", list(targets)), worker(table)),
    };
    if let Some(reason) = &service.unavailable {
        user = format!("not offered: {reason}");
    }
    if !service.enabled {
        user.push_str(" (disabled)");
    }
    [service.name.to_string(), addresses.join(" "), action, user]
}

fn user(table: &Table, identity: u32) -> &str {
    &table.identities[identity as usize].user
}

fn worker(table: &Table) -> String {
    match &table.server.worker {
        Some(worker) => format!("as {} (the worker)", worker.user),
        None => "in the worker".to_owned(),
    }
}

fn list(targets: &[Address]) -> String {
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    targets.join(" ")
}

fn name(builtin: Builtin) -> &'static str {
    match builtin {
        Builtin::Echo => "echo",
        Builtin::Discard => "discard",
        Builtin::Chargen => "chargen",
        Builtin::Daytime => "daytime",
        Builtin::Time => "time",
    }
}

fn as_json(table: Option<&Table>, mistakes: &[Mistake], warnings: &[Mistake]) -> Value {
    let services = table.into_iter().flat_map(|table| {
        table
            .services
            .iter()
            .map(|service| service_json(table, service))
    });
    json!({
        "ok": table.is_some(),
        "services": services.collect::<Vec<_>>(),
        "mistakes": mistakes.iter().map(mistake_json).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(mistake_json).collect::<Vec<_>>(),
    })
}

fn worker_user(table: &Table) -> Option<&str> {
    let worker = table.server.worker.as_ref();
    worker.map(|worker| worker.user.as_str())
}

fn service_json(table: &Table, service: &Service) -> Value {
    let (program, builtin, user, by_default) = match &service.action {
        Action::Exec(program) => (
            Some(&program.path),
            None,
            Some(user(table, program.identity)),
            program.identity_by_default,
        ),
        Action::Builtin(builtin) => (None, Some(name(*builtin)), worker_user(table), true),
        Action::Redirect(_) => (None, None, worker_user(table), true),
    };
    let redirect = match &service.action {
        Action::Redirect(targets) => Some(targets.iter().map(ToString::to_string).collect()),
        _ => None::<Vec<String>>,
    };
    json!({
        "name": service.name,
        "enabled": service.enabled,
        "unavailable": service.unavailable,
        "addresses": service.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "program": program,
        "builtin": builtin,
        "redirect": redirect,
        "user": user,
        "user_by_default": by_default,
        "wait": service.wait,
    })
}

/// A mistake or a warning for programs.
pub(super) fn mistake_json(mistake: &Mistake) -> Value {
    let (line, column) = mistake.place().line_and_column().unzip();
    json!({
        "file": mistake.place().file(),
        "line": line,
        "column": column,
        "message": mistake.message(),
        "help": mistake.advice(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn table(text: &str, privileged: bool) -> Table {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let host = Host {
            privileged,
            uid: 3_999_999_999,
            gid: 7,
            groups: vec![],
            lowest_port: 1024,
            env: BTreeMap::new(),
            handed: None,
        };
        load(file.path(), &host).unwrap().table
    }

    #[test]
    fn each_service_has_a_line_in_columns() {
        let text = r#"
            [service.daytime]
            listen = [13, "udp:127.0.0.1:13"]
            builtin = "daytime"
            [service.cat]
            listen = "unix:/run/cat"
            command = ["/bin/cat"]
            [service.sh]
            listen = "127.0.0.1:7"
            command = ["/bin/sh"]
            user = "root"
            enabled = false
        "#;
        let expected = "\
daytime  0.0.0.0:13 [::]:13 udp:127.0.0.1:13  builtin daytime  in the worker
cat      unix:/run/cat                        /bin/cat         as 3999999999 (by default)
sh       127.0.0.1:7                          /bin/sh          not offered: needs user root, but oxinetd runs as \
3999999999 and only root may change users (disabled)
";
        assert_eq!(lines(&table(text, false)), expected);
    }

    #[test]
    fn mistakes_are_counted() {
        assert_eq!(
            (summary(1).as_str(), summary(2).as_str()),
            ("1 mistake", "2 mistakes")
        );
    }

    #[test]
    fn json_says_the_same() {
        let text = "[service.sh]\nlisten = 7\ncommand = [\"/bin/sh\"]\nuser = \"root\"\n";
        let value = as_json(Some(&table(text, true)), &[], &[]);
        let expected = json!({
            "ok": true,
            "services": [{
                "name": "sh", "enabled": true, "unavailable": null, "addresses": ["0.0.0.0:7", "[::]:7"],
                "program": "/bin/sh", "builtin": null, "redirect": null, "user": "root", "user_by_default": false, "wait": false,
            }],
            "mistakes": [],
            "warnings": [],
        });
        assert_eq!(value, expected);
    }
}
