//! The commands in mdoc(7), from their definitions.

use super::mdoc::{argument, literal, paragraphs, sentences};
use clap::{Arg, Command};
use oxinetd::cli::definition;

/// All commands, each a subsection.
pub(super) fn all() -> String {
    definition().get_subcommands_mut().map(section).collect()
}

/// The options of one command, as a list.
pub(super) fn options_of(name: &str) -> String {
    let mut all = definition();
    options(all.find_subcommand_mut(name).unwrap())
}

fn section(command: &mut Command) -> String {
    command.build();
    let name = command.get_name().to_string();
    let long = command.get_long_about().or(command.get_about()).unwrap();
    let mut out = format!(".Ss oxinetd {name}\n{}", synopsis(command));
    out += &format!(".Pp\n{}", paragraphs(&long.to_string()));
    out += &options(command);
    if let Some(text) = command.get_after_help() {
        let text = text.to_string();
        // The title is in the manual's own words.
        out += &format!(".Pp\nExamples:\n{}", literal(&unindented(&text)));
    }
    out
}

/// What stands below the title of an after_help.
fn unindented(text: &str) -> String {
    let lines = text.lines().filter(|line| line.starts_with("  "));
    lines.map(|line| line[2..].to_string() + "\n").collect()
}

fn synopsis(command: &Command) -> String {
    let mut out = format!(".Nm oxinetd\n.Cm {}\n", command.get_name());
    for option in shown(command).filter(|arg| !arg.is_positional()) {
        out += &match option.is_required_set() {
            true => format!(".{}\n", flag(option)),
            false => format!(".Op {}\n", flag(option)),
        };
    }
    for operand in shown(command).filter(|arg| arg.is_positional()) {
        let separator = if operand.is_last_set() || operand.is_trailing_var_arg_set() {
            "No \\-\\- "
        } else {
            ""
        };
        let words = format!("{separator}Ar {}", value(operand));
        out += &match operand.is_required_set() {
            true => format!(".{words}\n"),
            false => format!(".Op {words}\n"),
        };
    }
    out
}

fn options(command: &Command) -> String {
    let items: Vec<String> = shown(command).map(item).collect();
    if items.is_empty() {
        return String::new();
    }
    format!(".Bl -tag -width Ds\n{}.El\n", items.concat())
}

fn item(arg: &Arg) -> String {
    let words = match arg.is_positional() {
        true => format!("Ar {}", value(arg)),
        false => match arg.get_short() {
            Some(short) => format!("Fl {short} , {}", flag(arg)),
            None => flag(arg),
        },
    };
    let help = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
    let mut out = format!(".It {words}\n{}", paragraphs(&with_stop(&help)));
    let defaults = arg.get_default_values().iter();
    for default in defaults.filter_map(|value| value.to_str()) {
        if !matches!(default, "" | "false") {
            out += &sentences(&format!("The default is {default}."));
        }
    }
    out
}

/// clap drops the last full stop.
fn with_stop(text: &str) -> String {
    match text.ends_with(['.', '?', '!']) {
        true => text.to_string(),
        false => format!("{text}."),
    }
}

fn flag(arg: &Arg) -> String {
    let name = arg.get_long().expect("options have long names");
    let takes = arg.get_num_args().is_some_and(|range| range.takes_values());
    match takes && arg.get_value_names().is_some() {
        true => format!("Fl Fl {name} Ar {}", value(arg)),
        false => format!("Fl Fl {name}"),
    }
}

fn value(arg: &Arg) -> String {
    let names: Vec<&str> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| name.as_str())
        .collect();
    let many = arg
        .get_num_args()
        .is_some_and(|range| range.max_values() > 1);
    let is_repeated = matches!(arg.get_action(), clap::ArgAction::Append);
    let more = if many || is_repeated { " ..." } else { "" };
    argument(&names.join(" ")) + more
}

/// Without those that every command has.
fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    let own = |arg: &&Arg| !matches!(arg.get_id().as_str(), "help" | "version");
    command
        .get_arguments()
        .filter(own)
        .filter(|arg| !arg.is_hide_set())
}
