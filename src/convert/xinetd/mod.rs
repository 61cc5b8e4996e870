//! xinetd.conf(5), with what it includes, to services.
//!
//! [`syntax`] reads blocks, [`settings`] resolves them against the defaults, [`addresses`] reads who
//! gets in, [`service`], [`attributes`], [`banners`] and [`access`] write what a block
//! means.

mod access;
mod addresses;
mod attributes;
mod banners;
mod service;
mod settings;
mod syntax;

pub(super) use syntax::is_header;

use super::draft::Value;
use super::report::Fate;
use super::writer::Output;
use super::{Input, Options};
use settings::Settings;
use std::path::{Path, PathBuf};
use syntax::{Piece, Section};

/// How deep files may include others.
const DEEPEST: usize = 8;

/// Converts a file, and those that it includes.
pub(super) fn convert(input: &Input, options: &Options, output: &mut Output) {
    let mut reader = Reader {
        options,
        output,
        defaults: Settings::default(),
        has_defaults: false,
        ids: Vec::new(),
    };
    reader.file(input, 0);
    if !reader.has_defaults {
        let words = "there are none here: where this belongs to an xinetd.conf convert that, since its defaults may say who gets in";
        reader
            .output
            .note(&input.name, "defaults", Fate::Changed, words);
    }
}

struct Reader<'r> {
    options: &'r Options<'r>,
    output: &'r mut Output,
    defaults: Settings,
    /// Whether there was a section of them.
    has_defaults: bool,
    /// Of the services so far.
    ids: Vec<String>,
}

impl Reader<'_> {
    fn file(&mut self, input: &Input, depth: usize) {
        // The defaults of an included file are its own.
        let before = self.defaults.clone();
        let mut comments = Vec::new();
        for piece in syntax::pieces(input) {
            match piece {
                Piece::Comment(line) => comments.push(line),
                Piece::Wrong { place, words } => {
                    self.output.note(&place, "line", Fate::Error, words);
                }
                Piece::Defaults(section) => {
                    self.flush(&mut comments);
                    self.defaults(&section);
                }
                Piece::Service(section) => {
                    self.flush(&mut comments);
                    self.service(&section);
                }
                Piece::Include {
                    path,
                    is_directory,
                    place,
                } => {
                    self.flush(&mut comments);
                    self.include(&path, is_directory, &place, depth);
                }
            }
        }
        self.flush(&mut comments);
        if depth > 0 {
            self.defaults = before;
        }
    }

    fn flush(&mut self, comments: &mut Vec<String>) {
        for line in comments.drain(..) {
            self.output.comment(&line);
        }
    }

    fn include(&mut self, path: &str, is_directory: bool, place: &str, depth: usize) {
        let knob = if is_directory {
            "includedir"
        } else {
            "include"
        };
        if depth >= DEEPEST {
            return self.output.note(
                place,
                knob,
                Fate::Error,
                "files include each other without end",
            );
        }
        let files = match is_directory {
            false => Ok(vec![PathBuf::from(path)]),
            true => self.options.files.list(Path::new(path)),
        };
        let files = match files {
            Ok(files) => files,
            Err(reason) => {
                let words = format!("cannot read {path}: {reason}");
                return self.output.note(place, knob, Fate::Error, words);
            }
        };
        let wanted = files
            .into_iter()
            .filter(|file| !is_directory || syntax::is_included(file));
        let wanted: Vec<PathBuf> = wanted.collect();
        if wanted.is_empty() {
            let words = format!("there is no file in {path} that xinetd would read");
            return self.output.note(place, knob, Fate::Dropped, words);
        }
        for file in wanted {
            match self.options.files.read(&file) {
                Ok(text) => {
                    self.output.note(
                        place,
                        knob,
                        Fate::Kept,
                        format!("{} follows", file.display()),
                    );
                    self.output.comment("");
                    self.output.comment(&format!("# {}", file.display()));
                    let name = file.display().to_string();
                    self.file(&Input { name, text }, depth + 1);
                }
                Err(reason) => {
                    let words = format!("cannot read {}: {reason}", file.display());
                    self.output.note(place, knob, Fate::Error, words);
                }
            }
        }
    }

    fn defaults(&mut self, section: &Section) {
        self.has_defaults = true;
        for comment in &section.comments {
            self.output.comment(comment);
        }
        for (place, words) in self.defaults.extend(section, true) {
            self.output.note(&place, "defaults", Fate::Error, words);
        }
        for attribute in &section.attributes {
            let values = attribute.values.join(" ");
            match attribute.name.as_str() {
                "log_type" => self.log(&attribute.values, &attribute.place),
                "log_on_success" | "log_on_failure" => {
                    let words = "the log always has a line for the beginning and the end of each connection, and each refusal";
                    self.output
                        .note(&attribute.place, &attribute.name, Fate::Changed, words);
                }
                "cps" => {
                    let words = format!(
                        "rate, see each service: {}",
                        attributes::beyond(&attribute.values)
                    );
                    self.output
                        .note(&attribute.place, "cps", Fate::Changed, words);
                }
                name => self.output.note(
                    &attribute.place,
                    name,
                    Fate::Kept,
                    format!("{values}: see each service"),
                ),
            }
        }
    }

    fn log(&mut self, values: &[String], place: &str) {
        let words: Vec<&str> = values.iter().map(String::as_str).collect();
        let (log, fate, words) = match words.as_slice() {
            ["SYSLOG", facility, ..] => (
                "syslog".to_owned(),
                Fate::Changed,
                format!("[server] log = syslog, facility daemon in the place of {facility}"),
            ),
            ["FILE", path, limits @ ..] => {
                let words = match limits.is_empty() {
                    true => format!("[server] log = file:{path}"),
                    false => format!(
                        "[server] log = file:{path}; limits of its size are left to logrotate"
                    ),
                };
                let fate = if limits.is_empty() {
                    Fate::Kept
                } else {
                    Fate::Changed
                };
                (format!("file:{path}"), fate, words)
            }
            _ => {
                return self.output.note(
                    place,
                    "log_type",
                    Fate::Dropped,
                    "not a kind of log that is known",
                );
            }
        };
        if self.options.is_drop_in {
            let words =
                format!("log belongs in the main table: write log = {log:?} in its [server]");
            return self.output.note(place, "log_type", Fate::Dropped, words);
        }
        self.output.server.retain(|(key, _)| *key != "log");
        self.output.server.push(("log", Value::text(log)));
        self.output.note(place, "log_type", fate, words);
    }

    fn service(&mut self, section: &Section) {
        let mut settings = self.defaults.clone();
        let wrong = settings.extend(section, false);
        let id = settings.one("id").unwrap_or(&section.name).to_owned();
        let is_double = self.ids.contains(&id);
        let mut writer = service::Service {
            section,
            settings: &settings,
            hosts: self.options.hosts,
            files: self.options.files,
            id: &id,
            is_double,
        }
        .write();
        // xinetd forgets a service that is off, and its id with it.
        if !writer.draft.is_off {
            self.ids.push(id.clone());
        }
        for (place, words) in wrong {
            writer.lost(&place, "attribute", words);
        }
        // What stands inside a block stands above it.
        let mut above: Vec<String> = section
            .comments
            .iter()
            .map(|line| line.trim().trim_start_matches('#').to_owned())
            .collect();
        above.append(&mut writer.draft.comments);
        writer.draft.comments = above;
        match writer.draft.keys.is_empty() {
            // It cannot be offered at all.
            true => self.comment_out(section, writer),
            false => self.output.finish(writer),
        }
    }

    fn comment_out(&mut self, section: &Section, writer: super::writer::Writer) {
        self.output.comment(&format!(
            "# service {} cannot be offered, see the report:",
            section.name
        ));
        for attribute in &section.attributes {
            self.output.comment(&format!(
                "#   {} = {}",
                attribute.name,
                attribute.values.join(" ")
            ));
        }
        self.output.notes.extend(writer.into_notes());
    }
}
