//! The commands: one binary for administrator and daemon alike.
//!
//! Each command is a file beside this one, with its clap definition and its help. Exit statuses
//! follow sysexits(3): 0 done, 64 used wrongly, 65 not all could be converted, 66 no such service, 71 the system refused, 74 standard output could not be
//! written, 75 try again, 77 not
//! permitted, 78 a table with mistakes.

mod add;
mod ban;
mod check;
mod client;
mod convert;
mod disable;
pub mod edit;
mod enable;
mod events;
mod explain;
mod grid;
mod health;
mod kill;
mod list;
mod metrics;
mod moments;
mod output;
mod pause;
mod reload;
mod remove;
mod run;
mod serve;
mod status;
mod wrap;

use crate::{config, worker};
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;
use wrap::find_program;

/// Where the table is when nothing else is said.
pub const DEFAULT_TABLE: &str = "/etc/oxinetd/services.toml";

/// Exit status for a command that was used wrongly (EX_USAGE).
const USAGE: u8 = 64;
/// Exit status for sources that cannot be kept whole (EX_DATAERR).
const DATA: u8 = 65;
/// Exit status for a mistake of ours (EX_SOFTWARE).
const SOFTWARE: u8 = 70;
/// Exit status for what may work a moment later (EX_TEMPFAIL).
const TRY_AGAIN: u8 = 75;
/// Exit status for what the system refused (EX_OSERR).
const SYSTEM: u8 = 71;
/// Exit status for what another user may do (EX_NOPERM).
const PERMISSION: u8 = 77;
/// Exit status for a table with mistakes (EX_CONFIG).
const CONFIG: u8 = 78;

/// Serves any program that speaks over stdin and stdout as a network service.
#[derive(Debug, Parser)]
#[command(
    name = "oxinetd",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Check(check::Check),
    Wrap(wrap::Wrap),
    Run(run::Run),
    Status(status::Status),
    List(list::List),
    Add(add::Add),
    Remove(remove::Remove),
    Enable(enable::Enable),
    Disable(disable::Disable),
    Health(health::Health),
    Events(events::Events),
    Metrics(metrics::Metrics),
    Reload(reload::Reload),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Drain(pause::Drain),
    Kill(kill::Kill),
    Ban(ban::Ban),
    Unban(ban::Unban),
    Explain(explain::Explain),
    Convert(convert::Convert),
}

/// The command line as data: what its manual page and completions are made from.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    helper(&arguments).unwrap_or_else(|| run(arguments))
}

/// The server's own processes, which it starts with these words; not commands for people.
fn helper(arguments: &[OsString]) -> Option<ExitCode> {
    let [_, name, argument] = arguments else {
        return None;
    };
    match name.to_str()? {
        "@loader" => Some(config::loader::answer(argument.as_ref())),
        "@worker" => Some(worker::main(argument.to_str()?.parse().ok()?)),
        _ => None,
    }
}

fn run(arguments: Vec<OsString>) -> ExitCode {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => match cli.command {
            Command::Serve(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Wrap(command) => command.run(),
            Command::Run(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Add(command) => command.run(),
            Command::Remove(command) => command.run(),
            Command::Enable(command) => command.run(),
            Command::Disable(command) => command.run(),
            Command::Health(command) => command.run(),
            Command::Events(command) => command.run(),
            Command::Metrics(command) => command.run(),
            Command::Reload(command) => command.run(),
            Command::Pause(command) => command.run(),
            Command::Resume(command) => command.run(),
            Command::Drain(command) => command.run(),
            Command::Kill(command) => command.run(),
            Command::Ban(command) => command.run(),
            Command::Unban(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Convert(command) => command.run(),
        },
        Err(error) => {
            let written = error.print();
            match error.use_stderr() {
                true => USAGE.into(),
                false => client::conclude(output::result(written).map(|()| ExitCode::SUCCESS)),
            }
        }
    }
}

/// A duration as the table writes it: `30s`, `5m`, `1h30m`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    config::parse_duration(text).ok_or_else(|| "a duration looks like 30s, 5m or 1h30m".to_owned())
}

/// How long something shall hold: from a second to a year.
fn limited_duration(text: &str) -> Result<std::time::Duration, String> {
    let time = duration(text)?;
    match time.as_secs_f64() {
        seconds if seconds <= 0.0 => Err("it must be longer than nothing".to_owned()),
        seconds if seconds > 365.0 * 86_400.0 => Err("a year (365d) is the longest".to_owned()),
        _ => Ok(time),
    }
}

/// A service that the table does not have, and perhaps the one that was meant.
fn no_such_service<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let hint = match config::similar(name, known) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => String::new(),
    };
    format!("there is no service {name:?} in this table{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_commands_has_no_full_stops() {
        for command in Cli::command().get_subcommands() {
            let about = command.get_about().unwrap().to_string();
            assert!(!about.ends_with('.') && !about.contains('\n'), "{about}");
        }
    }

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }
}
