//! `oxinetd remove`: a service less in the table.

use super::edit::{self, Options, Verb};
use clap::Args;
use std::process::ExitCode;

const LONG: &str = "\
Take a service out of the table, with the comments right above it.

It is taken out of the file that it is in, which may be an included one. Everything else stays as it \
is. Then the server is asked to read the table; programs that run go on.

Exit status: 0 done, 66 there is no such service, 71 the system refused, 75 somebody else is editing: \
try again, 77 not permitted, 78 the table has mistakes, or would have (a table needs a service).";

const EXAMPLES: &str = "\
Examples:
  oxinetd remove finger
  oxinetd remove finger --dry-run     # show the lines that would go";

/// Take a service out of the table.
#[derive(Debug, Args)]
#[command(long_about = LONG, after_help = EXAMPLES)]
pub(super) struct Remove {
    /// The service.
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    options: Options,
}

impl Remove {
    pub(super) fn run(self) -> ExitCode {
        edit::run(Verb::Remove, &self.service, &self.options, |tables| {
            tables.remove(&self.service)
        })
    }
}
