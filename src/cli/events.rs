//! `oxinetd events`: what happens, as the log has it.

use super::client::{Failure, Server, conclude, json_line};
use super::moments::stamp;
use super::output;
use crate::control::Request;
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// Show what has happened lately, or what happens from now on: the events of the log.
///
/// Nothing is left out but what a reader is too slow for, and how much that was is told.
///
/// For example: oxinetd events --follow --service finger
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Show what happens from now on, until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// Of this service only (may be given several times).
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Write each event as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Events {
    pub(super) fn run(self) -> ExitCode {
        conclude(self.show())
    }

    fn show(self) -> Result<ExitCode, Failure> {
        let mut client = self.server.call()?;
        let request = Request::Events {
            follow: self.follow,
            services: self.services,
            text: !self.json,
        };
        client.ask_raw(&request, |line, value| {
            let line = match self.json {
                true => line.to_owned(),
                false => shown(&value),
            };
            // A line at a time: whoever follows waits for it.
            output::write(&line)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// As a log file has it: date and time before each line.
fn shown(value: &Value) -> String {
    if let Some(missed) = value["missed"].as_u64() {
        return format!("({missed} events are missing here: this reader was too slow)\n");
    }
    let stamp = stamp(value["time"].as_f64().unwrap_or_default() as u64);
    match value["text"].as_str() {
        Some(text) => text
            .lines()
            .map(|line| format!("{stamp} {line}\n"))
            .collect(),
        None => json_line(value),
    }
}
