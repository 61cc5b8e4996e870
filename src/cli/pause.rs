//! `oxinetd pause`, `resume` and `drain`: let a service rest.

use super::client::{Failure, Server, conclude, json_line};
use super::output::put;
use crate::control::Request;
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// Take no more clients of a service; they wait in the kernel's queue. Sessions go on.
///
/// A pause survives a reload of the table, not a restart of the server.
///
/// For example: oxinetd pause finger --for 10m
#[derive(Debug, Args)]
pub(super) struct Pause {
    /// A service of the table.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Go on after so long (30s, 10m, 1h30m); without it when told to (oxinetd resume).
    #[arg(long = "for", value_name = "TIME", value_parser = super::limited_duration)]
    time: Option<Duration>,
    #[command(flatten)]
    action: Action,
}

/// Take clients of a paused service again.
///
/// For example: oxinetd resume finger
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// A service of the table.
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    action: Action,
}

/// Pause a service and wait until its last session has ended. It stays paused.
///
/// Exits with 75 when sessions are left at the end of the time.
///
/// For example: oxinetd drain finger --timeout 5m
#[derive(Debug, Args)]
pub(super) struct Drain {
    /// A service of the table.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Wait so long at most (30s, 5m, 1h30m).
    #[arg(long, value_name = "TIME", value_parser = super::duration, default_value = "30s")]
    timeout: Duration,
    #[command(flatten)]
    action: Action,
}

/// What all actions take.
#[derive(Debug, Args)]
pub(super) struct Action {
    /// Write the answer as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Pause {
    pub(super) fn run(self) -> ExitCode {
        self.action.ask(&Request::Pause {
            service: self.service,
            seconds: self.time.map(whole_seconds),
        })
    }
}

impl Resume {
    pub(super) fn run(self) -> ExitCode {
        self.action.ask(&Request::Resume {
            service: self.service,
        })
    }
}

impl Drain {
    pub(super) fn run(self) -> ExitCode {
        self.action.ask(&Request::Drain {
            service: self.service,
            seconds: whole_seconds(self.timeout),
        })
    }
}

/// Rounded up: a little more, never nothing.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Action {
    /// Which server.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Whether the answer is to be JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Has it done, and says what was done.
    pub(super) fn ask(&self, request: &Request) -> ExitCode {
        conclude(self.try_to(request))
    }

    fn try_to(&self, request: &Request) -> Result<ExitCode, Failure> {
        let (_, done) = self.server.call()?.all::<Value>(request)?;
        let text = match self.json {
            true => json_line(&done),
            false => done["did"].as_str().unwrap_or("done").to_owned() + "\n",
        };
        put(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
