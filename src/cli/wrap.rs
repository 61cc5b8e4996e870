//! `oxinetd wrap`: one service without a table.

use super::{CONFIG, USAGE};
use crate::config::{self, CommandLine, Host};
use crate::control::Place;
use crate::supervisor::{Options, Source, serve};
use clap::Args;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Serve one program, without a table, until SIGTERM or SIGINT.
///
/// For example: oxinetd wrap 7000 -- /bin/cat
#[derive(Debug, Args)]
pub(super) struct Wrap {
    /// Where to listen, in any form that `listen` takes: 7000, 127.0.0.1:7000, [::1]:7000,
    /// udp:7000, unix:/run/cat.socket, unix:@cat. Port 0 chooses one and tells it.
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Run the program as this user (default: nobody when started by root, else you).
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Connections at once; more wait in the queue.
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,
    /// Who may come in, in any form that `allow` takes: 192.0.2.1, 192.0.2.0/24, 2001:db8::/32,
    /// uid:1000, unix, @FILE with a list. May be given several times; everybody else is refused.
    #[arg(long, value_name = "WHO")]
    allow: Vec<String>,
    /// Who may not, likewise. Of the entries that fit a client the most specific one decides.
    #[arg(long, value_name = "WHO")]
    deny: Vec<String>,
    /// Connections at once from one address (IPv6: from one /64); more are refused.
    #[arg(long, value_name = "N")]
    max_per_source: Option<u32>,
    /// Connections in a time: "50/s", "10/m burst 20"; more wait up to a second and are refused.
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// Where standard error goes: client, log, null or file:/path.
    #[arg(long, value_name = "WHERE")]
    stderr: Option<String>,
    /// What the program finds as standard input and output: socket, pipe or pty (a terminal).
    #[arg(long, value_name = "WHAT")]
    stdio: Option<String>,
    /// Give the program the listening socket itself, one program at a time (always so for udp:).
    #[arg(long)]
    wait: bool,
    /// On a signal to stop, give running programs so long (30s, 5m) to end by themselves.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    drain_timeout: Option<Duration>,
    /// Write a newline to this descriptor when the service listens.
    #[arg(long, value_name = "N")]
    ready_fd: Option<i32>,
    /// Make a control socket here, for the other commands.
    #[arg(long, value_name = "PATH")]
    control: Option<Place>,
    /// The program and its arguments. A name without a slash is looked for in PATH.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "PROGRAM ARGS"
    )]
    command: Vec<String>,
}

impl Wrap {
    pub(super) fn run(mut self) -> ExitCode {
        let program = &mut self.command[0];
        match find_program(program) {
            Some(path) => *program = path,
            None => {
                let _ = writeln!(
                    std::io::stderr(),
                    "oxinetd wrap: {program}: no such program in PATH"
                );
                return USAGE.into();
            }
        }
        let line = CommandLine {
            address: self.address,
            user: self.user,
            max_connections: self.max_connections,
            allow: self.allow,
            deny: self.deny,
            max_per_source: self.max_per_source,
            rate: self.rate,
            stderr: self.stderr,
            stdio: self.stdio,
            wait: self.wait,
            command: self.command,
        };
        let loaded = match config::for_command_line(&line, &Host::of_this_process()) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                for mistake in &mistakes.0 {
                    let _ = writeln!(std::io::stderr(), "{mistake}");
                }
                return CONFIG.into();
            }
        };
        for warning in &loaded.warnings {
            let _ = writeln!(std::io::stderr(), "{warning}");
        }
        let mut options = Options::new(Source::Table(Some(Box::new(loaded.table))));
        options.ready_fd = self.ready_fd;
        options.drain_timeout = self.drain_timeout;
        options.control = Some(self.control.map_or(Place::Nowhere, Place::absolute));
        serve(options).into()
    }
}

/// The absolute path of a program: looked for in PATH when it has no slash, else from here.
pub(super) fn find_program(name: &str) -> Option<String> {
    let path = if name.contains('/') {
        std::path::absolute(name).ok()?
    } else {
        let directories = std::env::var_os("PATH")?;
        std::env::split_paths(&directories)
            .map(|directory| directory.join(name))
            .find(|path| is_executable(path))?
    };
    path.into_os_string().into_string().ok()
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
