//! `oxinetd disable`: no longer offer a service, and keep its entry.

use super::edit::{self, Options, Verb};
use clap::Args;
use std::process::ExitCode;

const LONG: &str = "\
No longer offer a service, and keep its entry in the table.

Writes enabled = false in it. Everything else stays as it is. Then the server is asked to read the \
table; programs that run go on.

Exit status: 0 done, or disabled already; 66 there is no such service, 71 the system refused, 75 \
somebody else is editing: try again, 77 not permitted, 78 the table has mistakes, or would have (a \
table needs an enabled service).";

const EXAMPLES: &str = "\
Examples:
  oxinetd disable finger
  oxinetd disable finger --json | jq .file";

/// No longer offer a service, and keep its entry.
#[derive(Debug, Args)]
#[command(long_about = LONG, after_help = EXAMPLES)]
pub(super) struct Disable {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    options: Options,
}

impl Disable {
    pub(super) fn run(self) -> ExitCode {
        edit::run(Verb::Disable, &self.service, &self.options, |tables| {
            tables.switch(&self.service, false)
        })
    }
}
