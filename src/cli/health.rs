//! `oxinetd health`: one line and an exit status, for scripts and container platforms.

use super::client::{Failure, Server, conclude, json_line};
use super::moments::now;
use super::output::finish;
use super::status::{full, state};
use crate::control::{Kind, Request, ServerStatus, ServiceStatus, State};
use clap::Args;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

/// Say in one line whether all is well.
///
/// Exits with 0 when it is; with 1 when the server serves but something is degraded (an address is
/// not bound, a service is paused, unavailable or backing off, its last program could not be started,
/// the server has as many programs as it may have, resources are short); with 2 when no server answers within 5 seconds. Who may not ask, or asks wrongly, learns that on standard error, as
/// with every other command.
///
/// For example: oxinetd health || echo "look at oxinetd status"
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// The line.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Verdict {
    health: &'static str,
    services: usize,
    problems: Vec<String>,
    #[serde(skip)]
    exit: u8,
}

/// Whoever asks wants to know soon.
const PATIENCE: Duration = Duration::from_secs(5);
/// EX_UNAVAILABLE: no server answers.
const UNAVAILABLE: u8 = 69;
/// Problems that are named in the line.
const NAMED: usize = 5;

impl Health {
    pub(super) fn run(self) -> ExitCode {
        let verdict = match self.look() {
            Ok((services, server)) => judge(&services, server.as_ref(), now()),
            Err(failure) if failure.exit != UNAVAILABLE => return conclude(Err(failure)),
            Err(failure) => Verdict {
                health: "down",
                services: 0,
                problems: vec![failure.text],
                exit: 2,
            },
        };
        let text = match self.json {
            true => json_line(&verdict),
            false => verdict.line(),
        };
        finish(&text, verdict.exit)
    }

    fn look(&self) -> Result<(Vec<ServiceStatus>, Option<ServerStatus>), Failure> {
        let request = Request::Status {
            service: None,
            times: false,
        };
        let (services, mut done) = self.server.call_with(PATIENCE)?.all(&request)?;
        let server = serde_json::from_value(done["server"].take()).ok();
        Ok((services, server))
    }
}

fn judge(services: &[ServiceStatus], server: Option<&ServerStatus>, now: u64) -> Verdict {
    let problem = |it: &ServiceStatus| match it.state {
        State::Paused | State::BackingOff | State::NotBound | State::Unavailable => {
            Some(format!("{} {}", it.name, state(it, now)))
        }
        State::Listening | State::Full if it.fails => Some(match it.kind {
            Kind::Redirect => format!("{} cannot reach its server", it.name),
            Kind::Program | Kind::Wait | Kind::Builtin => format!("{} cannot be started", it.name),
        }),
        State::Listening | State::Full | State::Disabled | State::Removed => None,
    };
    let mut problems: Vec<String> = services.iter().filter_map(problem).collect();
    if let Some(full) = server.and_then(full) {
        problems.insert(0, full);
    }
    if server.is_some_and(|server| server.short_since.is_some()) {
        problems.insert(
            0,
            "short of descriptors, processes, memory or terminals".into(),
        );
    }
    let (health, exit) = match problems.is_empty() {
        true => ("ok", 0),
        false => ("degraded", 1),
    };
    Verdict {
        health,
        services: services.len(),
        problems,
        exit,
    }
}

impl Verdict {
    fn line(&self) -> String {
        let more = match self.problems.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named: Vec<&str> = self
            .problems
            .iter()
            .take(NAMED)
            .map(String::as_str)
            .collect();
        match self.problems.is_empty() {
            true if self.services == 1 => format!("{}: 1 service\n", self.health),
            true => format!("{}: {} services\n", self.health, self.services),
            false => format!("{}: {}{more}\n", self.health, named.join("; ")),
        }
    }
}
