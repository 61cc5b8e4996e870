//! Tables of other superservers to `services.toml`, with a report of every knob.
//!
//! Texts in, a text and a report out: nothing here opens a file by itself, or fails. What cannot be
//! kept is reported; a rule about who gets in is never lost: where it cannot be kept, the service is
//! written switched off and the report has an error.
//!
//! Each format has a file (or folder) that reads it and writes to [`writer`]; [`sets`] computes with
//! addresses, [`draft`] makes TOML, [`refused`] has the loader look at it, [`report`] makes the report.

mod draft;
mod hosts;
mod inetd;
mod refused;
mod report;
mod sets;
mod shell;
mod systemd;
mod tcprules;
mod tcpserver;
mod writer;
mod xinetd;

pub use hosts::Hosts;
pub use report::{Fate, Note, Report};

use crate::config::inetd::{Dialect, Names};
use draft::Block;
use std::path::{Path, PathBuf};
use writer::Output;

/// A text, and the file that it is from.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The path, as it is to be shown.
    pub name: String,
    /// The text.
    pub text: String,
}

/// What a source is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// inetd.conf(5).
    Inetd,
    /// xinetd.conf(5).
    Xinetd,
    /// A command line, or a script with one, of tcpserver, tcpsvd or udpsvd.
    Tcpserver,
    /// Rules of tcprules(1), for a tcpserver in another file.
    Tcprules,
    /// A systemd.socket(5).
    Socket,
    /// A systemd.service(5), for a socket in another file.
    Service,
}

/// How files are read that a source names.
pub trait Files {
    /// The text of a file, or why there is none.
    fn read(&self, path: &Path) -> Result<String, String>;
    /// The files in a directory, in the order of their names.
    fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, String>;
}

/// How to convert.
pub struct Options<'o> {
    /// The dialect of inetd.conf; guessed where it is not given.
    pub dialect: Option<Dialect>,
    /// What tcp_wrappers would read, where it is known.
    pub hosts: Option<&'o Hosts>,
    /// For files that a source names.
    pub files: &'o dyn Files,
    /// Whether the table is one that another includes: of services only.
    pub is_drop_in: bool,
}

/// A table, and what became of every knob.
#[derive(Debug)]
pub struct Converted {
    /// The text of a services.toml.
    pub table: String,
    /// The report.
    pub report: Report,
}

/// Converts sources to one table.
pub fn convert(inputs: &[Input], options: &Options) -> Converted {
    let mut output = Output::default();
    for input in inputs {
        match Format::of(input) {
            Format::Inetd => inetd::convert(input, options.dialect, options.hosts, &mut output),
            Format::Xinetd => xinetd::convert(input, options, &mut output),
            Format::Tcpserver => tcpserver::convert(input, inputs, &mut output),
            Format::Socket => systemd::convert(input, inputs, options.files, &mut output),
            // Read with what they belong to.
            Format::Tcprules => tcprules::check_use(input, inputs, &mut output),
            Format::Service => systemd::check_use(input, inputs, &mut output),
        }
    }
    hosts::remark(options.hosts, &mut output);
    finish(inputs, options, output)
}

fn finish(inputs: &[Input], options: &Options, mut output: Output) -> Converted {
    name(&mut output.blocks);
    let sources: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    refused::take_out(&mut output, sources.first().copied().unwrap_or_default());
    let (services, off) = count(&output.blocks);
    let head = [
        format!(" Made by oxinetd convert from {}", sources.join(" ")),
        " Read the report, then see what it would offer: oxinetd check FILE".to_owned(),
    ];
    let is_false =
        |draft: &draft::Draft| draft.get("no_new_privileges") == Some(&draft::Value::Flag(false));
    let has_setuid = output
        .blocks
        .iter()
        .any(|block| matches!(block, Block::Service(draft) if is_false(draft)));
    if has_setuid {
        let words =
            "no_new_privileges = false, as before: take it out where no program needs setuid bits";
        output.note(sources[0], "setuid bits", Fate::Kept, words);
    }
    let report = Report {
        notes: output.notes,
        services,
        off,
    };
    Converted {
        table: draft::render(&head, &output.server, &output.blocks, !options.is_drop_in),
        report,
    }
}

/// Gives every service a name of its own; those that are on first, so that they keep theirs.
fn name(blocks: &mut [Block]) {
    let mut names = Names::default();
    for off in [false, true] {
        for block in blocks.iter_mut() {
            let Block::Service(draft) = block else {
                continue;
            };
            if draft.is_disabled() == off {
                draft.name = names.unique(&draft.name, &draft.protocol, |_| false);
            }
        }
    }
}

/// How many services there are, and how many of them are off.
fn count(blocks: &[Block]) -> (usize, usize) {
    let services = blocks.iter().filter_map(|block| match block {
        Block::Service(draft) if !draft.is_refused() => Some(draft),
        _ => None,
    });
    let off = services.clone().filter(|draft| draft.is_disabled());
    (services.clone().count(), off.count())
}

impl Format {
    /// What a source is, by its name and its first words.
    pub fn of(input: &Input) -> Format {
        if input.name.ends_with(".socket") {
            return Format::Socket;
        }
        if input.name.ends_with(".service") {
            return Format::Service;
        }
        let lines = || {
            input
                .text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
        };
        if lines().any(|line| line == "[Socket]") {
            return Format::Socket;
        }
        if lines().any(xinetd::is_header) {
            return Format::Xinetd;
        }
        if tcpserver::is_command_line(&input.text) {
            return Format::Tcpserver;
        }
        match lines().next() {
            Some(first) if tcprules::is_rule(first) => Format::Tcprules,
            _ => Format::Inetd,
        }
    }
}
