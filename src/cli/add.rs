//! `oxinetd add`: a new service at the end of the table.

use super::edit::{self, Failure, Options, Section, Verb};
use super::find_program;
use clap::Args;
use std::process::ExitCode;

const LONG: &str = "\
Add a service to the end of the table.

The table is edited in place, with your own rights: comments and order stay as they are, and so do \
mode and owner. What it would then say is checked first; with a new mistake in it nothing is written. \
Then the server is asked to read it.

Exit status: 0 done, 64 used wrongly, 71 the system refused, 75 somebody else is editing: try again, \
77 not permitted, 78 the table has mistakes, or would have.";

const EXAMPLES: &str = "\
Examples:
  oxinetd add finger --listen 79 --user nobody -- /usr/sbin/in.fingerd -w
  oxinetd add daytime --listen 13 udp:13 --builtin daytime
  oxinetd add git --listen 9418 --set max_connections=20 --set 'stderr=\"log\"' \\
      -- git daemon --inetd --export-all";

/// Add a service to the table.
#[derive(Debug, Args)]
#[command(long_about = LONG, after_help = EXAMPLES)]
pub(super) struct Add {
    /// What to call it.
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to listen, in any form that `listen` takes: 79, 127.0.0.1:79, udp:79, unix:/run/x.
    #[arg(long, value_name = "ADDRESS", required = true, num_args = 1..)]
    listen: Vec<String>,
    /// Run the program as this user; digits are an id (default: nobody when served by root).
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Speak a protocol of oxinetd's own: echo, discard, chargen, daytime or time.
    #[arg(long, value_name = "PROTOCOL", conflicts_with = "command")]
    builtin: Option<String>,
    /// Any other key of a service, in TOML: 'stderr="log"', max_connections=20.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    options: Options,
    /// The program and its arguments. A name without a slash is looked for in PATH.
    #[arg(
        last = true,
        value_name = "PROGRAM ARGS",
        required_unless_present = "builtin"
    )]
    command: Vec<String>,
}

impl Add {
    pub(super) fn run(self) -> ExitCode {
        edit::run(Verb::Add, &self.name, &self.options, |tables| {
            tables.add(&self.name, &self.section()?)
        })
    }

    fn section(&self) -> Result<Section, Failure> {
        let mut section = Section::new(&self.name);
        section.listen(&self.listen);
        if let Some(builtin) = &self.builtin {
            section.text("builtin", builtin);
        }
        if let [program, arguments @ ..] = self.command.as_slice() {
            let path = find_program(program)
                .ok_or_else(|| Failure::usage(format!("{program}: no such program in PATH")))?;
            section.texts("command", &[&[path], arguments].concat());
        }
        if let Some(user) = &self.user {
            section.word("user", user);
        }
        for pair in &self.set {
            section.set(pair).map_err(Failure::usage)?;
        }
        Ok(section)
    }
}
