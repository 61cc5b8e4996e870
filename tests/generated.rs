//! Manual pages, completions and the schema: made from the list of keys and the definitions of the
//! commands, and kept in `packaging/` so that packages need nothing to make them.
//!
//! `UPDATE=1` writes them anew.

mod checked;
mod commands;
mod forms;
mod keys;
mod mdoc;
mod schema;

use clap_complete::{Shell, generate};
use oxinetd::cli::definition;
use oxinetd::config::keys::KEYS;
use std::fs;
use std::path::{Path, PathBuf};

/// What is made: where it is, and its text.
fn outputs() -> Vec<(&'static str, String)> {
    vec![
        ("packaging/man/oxinetd.8", page("oxinetd.8")),
        ("packaging/man/oxinetd.1", page("oxinetd.1")),
        ("packaging/man/services.toml.5", page("services.toml.5")),
        ("packaging/schema/services.schema.json", schema::text()),
        (
            "packaging/completions/oxinetd.bash",
            completion(Shell::Bash),
        ),
        ("packaging/completions/_oxinetd", completion(Shell::Zsh)),
        (
            "packaging/completions/oxinetd.fish",
            completion(Shell::Fish),
        ),
    ]
}

/// A manual page: the text that people wrote, with `@what@` lines replaced by what is made.
fn page(name: &str) -> String {
    let written = fs::read_to_string(root().join("tests/generated").join(name)).unwrap();
    let mut out = String::new();
    for line in written.lines() {
        match line
            .strip_prefix('@')
            .and_then(|line| line.strip_suffix('@'))
        {
            Some("options of serve") => out += &commands::options_of("serve"),
            Some("commands") => out += &commands::all(),
            Some("keys of server") => out += &keys::of_server(),
            Some("keys of services") => out += &keys::of_services(),
            Some(other) => panic!("{name}: nothing makes {other}"),
            None => out += &format!("{line}\n"),
        }
    }
    out
}

fn completion(shell: Shell) -> String {
    let mut out = Vec::new();
    generate(shell, &mut definition(), "oxinetd", &mut out);
    let text = String::from_utf8(out).unwrap();
    // Some lines end with a space.
    let lines = text.lines().map(|line| line.trim_end().to_string() + "\n");
    lines.collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn output(name: &str) -> PathBuf {
    root().join(name)
}

#[test]
fn generated_files_are_what_the_code_says() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for (name, text) in outputs() {
        if update {
            fs::write(output(name), text).unwrap();
        } else if fs::read_to_string(output(name)).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "not what the code says: {stale:?}; UPDATE=1 cargo test generated writes them anew"
    );
}

#[test]
fn every_key_has_its_words_and_an_example() {
    for key in KEYS {
        let name = key.name;
        for text in [key.takes, key.default, key.help] {
            assert!(
                !text.trim().is_empty() && text == text.trim(),
                "{name}: {text:?}"
            );
        }
        assert!(key.help.ends_with('.'), "{name}: the help is sentences");
        assert!(
            key.example.starts_with(&format!("{name} = ")),
            "{name}: {:?} is no line of a table that sets it",
            key.example
        );
        assert!(
            forms::form(key).is_some(),
            "{name}: the schema cannot tell what \"{}\" is; see tests/generated/forms.rs",
            key.takes
        );
    }
}

#[test]
fn every_command_and_option_has_its_help() {
    for command in definition().get_subcommands() {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name}");
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{name}: {}",
                argument.get_id()
            );
        }
    }
}
