//! What became of every knob: a line each, for people to read before they switch over.

use std::fmt;

/// What became of a knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It means the same.
    Kept,
    /// It means something else, and how is said.
    Changed,
    /// Nothing is left of it, and why is said.
    Dropped,
    /// It cannot be kept, and must not get lost: somebody has to look.
    Error,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::Changed => "changed",
            Fate::Dropped => "dropped",
            Fate::Error => "ERROR",
        }
    }
}

/// A line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// File and line.
    pub place: String,
    /// The service; empty where it is about all.
    pub service: String,
    /// The knob as its format calls it.
    pub knob: String,
    /// What became of it.
    pub fate: Fate,
    /// How, or why.
    pub words: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fate.word())?;
        if !self.service.is_empty() {
            write!(f, ": {}", self.service)?;
        }
        write!(f, ": {}: {}", self.knob, self.words)
    }
}

/// The whole report.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Its lines, in the order of the source.
    pub notes: Vec<Note>,
    /// Services that were written.
    pub services: usize,
    /// Those of them that are switched off.
    pub off: usize,
}

impl Report {
    /// How many knobs fared so.
    pub fn count(&self, fate: Fate) -> usize {
        self.notes.iter().filter(|note| note.fate == fate).count()
    }
}

/// Errors are the last lines, so that they are seen. `{:#}` leaves out what is kept.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_error = |note: &&Note| note.fate == Fate::Error;
        let (errors, others): (Vec<_>, Vec<_>) = self.notes.iter().partition(is_error);
        let is_shown = |note: &&Note| !(f.alternate() && note.fate == Fate::Kept);
        let shown = others.into_iter().filter(is_shown).chain(errors);
        for line in shown.map(Note::to_string).collect::<Vec<_>>() {
            writeln!(f, "{}", line.replace(|c: char| c.is_control(), " "))?;
        }
        let [kept, changed, dropped, errors] =
            [Fate::Kept, Fate::Changed, Fate::Dropped, Fate::Error].map(|fate| self.count(fate));
        writeln!(
            f,
            "services: {}, of which off: {}; knobs kept: {kept}, changed in meaning: {changed}, dropped: {dropped}, errors: {errors}",
            self.services, self.off
        )
    }
}
