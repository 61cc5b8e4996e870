//! `oxinetd enable`: offer a service that was disabled.

use super::edit::{self, Options, Verb};
use clap::Args;
use std::process::ExitCode;

const LONG: &str = "\
Offer a service again that is disabled.

Takes the line enabled = false out of it, or writes enabled = true where the line has a comment, or \
where [defaults] says false. \
Everything else stays as it is. Then the server is asked to read the table.

Exit status: 0 done, or enabled already; 66 there is no such service, 71 the system refused, 75 \
somebody else is editing: try again, 77 not permitted, 78 the table has mistakes, or would have.";

const EXAMPLES: &str = "\
Examples:
  oxinetd enable finger
  oxinetd enable finger --config ./services.toml --no-reload";

/// Offer a service again that is disabled.
#[derive(Debug, Args)]
#[command(long_about = LONG, after_help = EXAMPLES)]
pub(super) struct Enable {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    options: Options,
}

impl Enable {
    pub(super) fn run(self) -> ExitCode {
        edit::run(Verb::Enable, &self.service, &self.options, |tables| {
            tables.switch(&self.service, true)
        })
    }
}
