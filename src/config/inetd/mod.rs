//! The classic table of inetd, `inetd.conf(5)`, in its dialects: text to lines that mean something,
//! and every mistake in the others.
//!
//! A line that is wrong is a mistake of its own and never hides another: all of a line's mistakes
//! are told, and all other lines hold. [`words`] splits, [`fields`], [`listen`],
//! [`limits`] and [`address`] read, [`dialect`]
//! guesses whose table it is, [`live`] makes entries of `services.toml` of the lines.

mod address;
mod dialect;
mod fields;
mod limits;
mod listen;
pub(super) mod live;
#[cfg(test)]
mod tests;
mod words;

pub use dialect::{Dialect, Guess};
pub(crate) use live::Names;

use super::mistake::{Located, Mistake, Place};
use super::source::Source;
use std::ops::Range;
use std::sync::Arc;

/// A table that was read.
#[derive(Debug)]
pub struct Conf {
    /// Whose table it was taken for, and why.
    pub guess: Guess,
    /// Comments and services, in the order of the text.
    pub items: Vec<Item>,
    /// What is wrong, line by line.
    pub mistakes: Vec<Mistake>,
}

/// A part of a table.
#[derive(Debug)]
pub enum Item {
    /// A comment or an empty line, without its end.
    Comment(String),
    /// A service.
    Service(Box<Line>),
    /// A line with mistakes, or one that says something else.
    Other(Range<usize>),
}

/// What a line says, in our words.
#[derive(Debug, Clone)]
pub struct Line {
    /// The line, from its first word to its last.
    pub place: Place,
    /// Whether the service is on: a `#` before it, or `#<off>#` of update-inetd, switches it off.
    pub enabled: bool,
    /// The service, without an address before it.
    pub name: String,
    /// The protocol as it was written, `tcp` or `udp6`.
    pub protocol: String,
    /// Addresses as `listen` takes them.
    pub listen: Vec<Located<String>>,
    /// Whether the program is given the listening socket.
    pub wait: bool,
    /// The user, a name.
    pub user: Located<String>,
    /// The group, a name.
    pub group: Option<Located<String>>,
    /// What answers.
    pub action: Act,
    /// Programs at the same time.
    pub max_connections: Option<u32>,
    /// Connections of a client in a minute.
    pub rate_per_source: Option<u32>,
    /// Connections of a client at the same time.
    pub max_per_source: Option<u32>,
    /// Starts in a minute.
    pub rate: Option<u32>,
    /// What is left out of the line, or does not mean quite the same here.
    pub remarks: Vec<Remark>,
}

/// What a service does.
#[derive(Debug, Clone)]
pub enum Act {
    /// It is built in, under this name.
    Builtin(Located<String>),
    /// A program.
    Run {
        /// Its path.
        path: Located<String>,
        /// Its arguments from argument 0 on; none where none is written.
        argv: Vec<Located<String>>,
    },
}

/// A part of a line that is not kept as it was.
#[derive(Debug, Clone)]
pub struct Remark {
    /// Where.
    pub place: Place,
    /// What it is called.
    pub knob: &'static str,
    /// What becomes of it: a clause.
    pub words: String,
    /// Whether nothing is left of it.
    pub is_dropped: bool,
}

/// Reads a table; `dialect` is guessed where it is not given.
pub fn parse(source: &Arc<Source>, dialect: Option<Dialect>) -> Conf {
    let guess = match dialect {
        Some(dialect) => Guess::told(dialect),
        None => Dialect::guess(source.text()),
    };
    let mut reader = fields::Reader::new(source, guess.dialect);
    let (mut items, mut mistakes) = (Vec::new(), Vec::new());
    for piece in words::pieces(source.text(), guess.dialect) {
        items.push(match piece {
            words::Piece::Comment(range) => {
                let text = &source.text()[range];
                reader.comment(text);
                Item::Comment(text.to_owned())
            }
            words::Piece::Entry(entry) => match reader.read(&entry) {
                Ok(Some(line)) => Item::Service(Box::new(line)),
                Ok(None) => Item::Other(entry.range()),
                // Somebody's remark that looks like an entry is no mistake.
                Err(_) if !entry.enabled => {
                    Item::Comment(source.text()[entry.marked_range()].to_owned())
                }
                Err(found) => {
                    mistakes.extend(found);
                    Item::Other(entry.range())
                }
            },
        });
    }
    Conf {
        guess,
        items,
        mistakes,
    }
}
