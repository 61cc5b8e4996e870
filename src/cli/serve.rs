//! `oxinetd serve`: the daemon, in the foreground.

use super::DEFAULT_TABLE;
use crate::control::Place;
use crate::supervisor::{Options, Source, serve};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Serve the services of a table, in the foreground, until SIGTERM or SIGINT.
///
/// SIGHUP reads the table again: a table with mistakes changes nothing, and no connection is lost.
/// SIGUSR1 opens log files again.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The table.
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_TABLE)]
    config: PathBuf,
    /// Write a newline to this descriptor when all services listen.
    #[arg(long, value_name = "N")]
    ready_fd: Option<i32>,
    /// On a signal to stop, give running programs so long (30s, 5m, 1h30m) to end by themselves
    /// before they are ended. Without it they are left alone.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    drain_timeout: Option<Duration>,
    /// The control socket for the other commands, or none. Another server's is never taken: then
    /// this one ends with 75.
    #[arg(long, value_name = "PATH")]
    control: Option<Place>,
}

impl Serve {
    pub(super) fn run(self) -> ExitCode {
        // The loader is another process, and nobody says that it will be in this directory.
        let config = std::path::absolute(&self.config).unwrap_or(self.config);
        let mut options = Options::new(Source::File(config));
        options.ready_fd = self.ready_fd;
        options.drain_timeout = self.drain_timeout;
        options.control = self.control.map(Place::absolute);
        serve(options).into()
    }
}
