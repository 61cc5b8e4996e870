//! Blocks and attributes of xinetd.conf, with their places.

use super::super::Input;
use std::path::Path;

/// How an attribute is given its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Set,
    Add,
    Remove,
}

/// A line of a block.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) op: Op,
    pub(super) values: Vec<String>,
    pub(super) place: String,
}

/// A block.
#[derive(Debug, Clone)]
pub(super) struct Section {
    /// The service; empty for the defaults.
    pub(super) name: String,
    pub(super) place: String,
    pub(super) attributes: Vec<Attribute>,
    /// Comments within.
    pub(super) comments: Vec<String>,
}

/// A part of a file.
#[derive(Debug)]
pub(super) enum Piece {
    /// A comment or an empty line.
    Comment(String),
    Defaults(Section),
    Service(Section),
    Include {
        path: String,
        is_directory: bool,
        place: String,
    },
    Wrong {
        place: String,
        words: String,
    },
}

/// Whether a line begins a block or includes a file.
pub(in crate::convert) fn is_header(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["defaults"] | ["defaults", "{"] | ["service", _] | ["service", _, "{"] => true,
        ["include" | "includedir", path] => path.starts_with('/'),
        _ => false,
    }
}

/// Whether `includedir` reads a file of this name: none with a dot, none that ends in `~`.
pub(super) fn is_included(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    !name.contains('.') && !name.ends_with('~')
}

/// The parts of a file, in order.
pub(super) fn pieces(input: &Input) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut open: Option<(Section, bool)> = None;
    for (line, number) in input.text.lines().zip(1..) {
        let place = format!("{}:{number}", input.name);
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_comment = words.first().is_none_or(|word| word.starts_with('#'));
        match (&mut open, words.as_slice()) {
            (None, _) if is_comment => pieces.push(Piece::Comment(line.trim().to_owned())),
            (Some((section, _)), _) if is_comment => {
                if !words.is_empty() {
                    section.comments.push(line.trim().to_owned());
                }
            }
            (Some((_, begun @ false)), ["{"]) => *begun = true,
            (Some((_, true)), ["}"]) => {
                if let Some((section, _)) = open.take() {
                    pieces.push(close(section));
                }
            }
            (Some((section, true)), _) => match attribute(line, &place) {
                Some(attribute) => section.attributes.push(attribute),
                None => pieces.push(Piece::Wrong {
                    place,
                    words: "an attribute is NAME = VALUES, += or -=, with blanks between"
                        .to_owned(),
                }),
            },
            (None, ["defaults", rest @ ..]) => open = begin(String::new(), place, rest),
            (None, ["service", name, rest @ ..]) => open = begin((*name).to_owned(), place, rest),
            (None, [word @ ("include" | "includedir"), path]) => pieces.push(Piece::Include {
                path: (*path).to_owned(),
                is_directory: *word == "includedir",
                place,
            }),
            _ => pieces.push(Piece::Wrong {
                place,
                words: "this is neither a block, an attribute nor an include".to_owned(),
            }),
        }
    }
    if let Some((section, _)) = open {
        pieces.push(Piece::Wrong {
            place: section.place.clone(),
            words: "this block is not closed; what is in it is used".to_owned(),
        });
        pieces.push(close(section));
    }
    pieces
}

fn begin(name: String, place: String, rest: &[&str]) -> Option<(Section, bool)> {
    let section = Section {
        name,
        place,
        attributes: Vec::new(),
        comments: Vec::new(),
    };
    Some((section, rest.first() == Some(&"{")))
}

fn close(section: Section) -> Piece {
    match section.name.is_empty() {
        true => Piece::Defaults(section),
        false => Piece::Service(section),
    }
}

fn attribute(line: &str, place: &str) -> Option<Attribute> {
    let (left, values) = line.split_once('=')?;
    let (left, op) = match left.strip_suffix(['+', '-']) {
        Some(rest) if left.ends_with('+') => (rest, Op::Add),
        Some(rest) => (rest, Op::Remove),
        None => (left, Op::Set),
    };
    let name = left.trim();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| Attribute {
        name: name.to_ascii_lowercase(),
        op,
        values: values.split_whitespace().map(str::to_owned).collect(),
        place: place.to_owned(),
    })
}
