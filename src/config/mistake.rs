//! What is wrong with a table, in words for the administrator.
//!
//! A mistake says what, where, what was expected and what to do. Its text looks like this, so that
//! editors and people find the place:
//!
//! ```text
//! services.toml:3:8: there is no user "fingr"
//!     3 | user = "fingr"
//!       |        ^^^^^^^
//!       = help: create it, or choose another
//! ```

use super::snippet;
use super::source::Source;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One thing that is wrong, or (as a warning) one that may be.
#[derive(Debug, Clone)]
pub struct Mistake {
    place: Place,
    message: String,
    /// Words, and a second place. Boxed, since few have one.
    note: Option<Box<(String, Place)>>,
    help: Option<String>,
    is_warning: bool,
    is_of_machine: bool,
}

/// Where something was written.
#[derive(Debug, Clone, Default)]
pub enum Place {
    /// Nowhere: it is about the machine.
    #[default]
    Nowhere,
    /// A file as a whole.
    File(Arc<Source>),
    /// Part of a file, in bytes of its text.
    Text(Arc<Source>, Range<usize>),
    /// An argument of the command line.
    Argument(&'static str),
}

/// A value, and where it was written.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// What.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T> Located<T> {
    /// A value with its place.
    pub(super) fn new(value: T, place: Place) -> Located<T> {
        Located { value, place }
    }
}

impl Mistake {
    /// A mistake without a place yet. A message is a clause: no capital, no full stop.
    pub fn new(message: impl Into<String>) -> Mistake {
        let message = message.into();
        Mistake {
            place: Place::Nowhere,
            message,
            note: None,
            help: None,
            is_warning: false,
            is_of_machine: false,
        }
    }

    /// Says where.
    pub fn at(self, place: &Place) -> Mistake {
        Mistake {
            place: place.clone(),
            ..self
        }
    }

    /// Says what to do.
    pub fn help(self, help: impl Into<String>) -> Mistake {
        Mistake {
            help: Some(help.into()),
            ..self
        }
    }

    /// Names a second place: `words` end where its file and line follow.
    pub fn note(self, words: impl Into<String>, place: &Place) -> Mistake {
        Mistake {
            note: Some(Box::new((words.into(), place.clone()))),
            ..self
        }
    }

    /// Says what follows from it: a clause.
    pub(super) fn consequence(self, words: &str) -> Mistake {
        Mistake {
            message: format!("{}; {words}", self.message),
            ..self
        }
    }

    /// Makes it a warning: the table is used all the same.
    pub fn warning(self) -> Mistake {
        Mistake {
            is_warning: true,
            ..self
        }
    }

    /// Says that it need be none elsewhere: a name that this machine does not know.
    pub(super) fn of_machine(self) -> Mistake {
        Mistake {
            is_of_machine: true,
            ..self
        }
    }

    /// Whether the table may be right on another machine.
    pub fn is_of_machine(&self) -> bool {
        self.is_of_machine
    }

    /// Whether the table is used all the same.
    pub fn is_warning(&self) -> bool {
        self.is_warning
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong, without place and help.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl Place {
    /// Line and column, from 1, where it is a part of a file.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        let Place::Text(source, span) = self else {
            return None;
        };
        let spot = source.spot(span);
        Some((spot.line, spot.column))
    }

    /// The file, where there is one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Place::File(source) | Place::Text(source, _) => Some(source.name()),
            Place::Nowhere | Place::Argument(_) => None,
        }
    }

    /// Rank in a list of mistakes: by file, then by place.
    pub(super) fn rank(&self) -> (u32, usize) {
        match self {
            Place::Nowhere | Place::Argument(_) => (0, 0),
            Place::File(source) => (source.order(), 0),
            Place::Text(source, span) => (source.order(), span.start),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Nowhere => f.write_str("this machine"),
            Place::File(source) => f.write_str(source.name()),
            Place::Text(source, span) => {
                let spot = source.spot(span);
                write!(f, "{}:{}:{}", source.name(), spot.line, spot.column)
            }
            Place::Argument(argument) => f.write_str(argument),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(self.place, Place::Nowhere) {
            write!(f, "{}: ", self.place)?;
        }
        if self.is_warning {
            f.write_str("warning: ")?;
        }
        // Parts of the file are quoted in it.
        f.write_str(&snippet::shown(&self.message))?;
        if let Place::Text(source, span) = &self.place {
            let spot = source.spot(span);
            let (line, marks) = snippet::render(spot.text, &spot.range);
            write!(f, "\n{:>5} | {line}\n      | {marks}", spot.line)?;
        }
        if let Some((words, place)) = self.note.as_deref() {
            write!(f, "\n      = {words} {place}")?;
        }
        let mut label = "= help:";
        for line in self.help.iter().flat_map(|help| help.lines()) {
            write!(f, "\n      {label} {}", snippet::shown(line))?;
            label = "       ";
        }
        Ok(())
    }
}

/// Everything that is wrong; never empty where it is an error.
#[derive(Debug, Clone, Default)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// More than anyone will read; a file of garbage has no end of them.
    const MOST: usize = 1000;

    /// By file and place, each once: one in `[defaults]` is found again with every service.
    pub(super) fn sorted(mut self) -> Mistakes {
        self.0.sort_by_key(|mistake| mistake.place.rank());
        self.0
            .dedup_by(|a, b| a.place.rank() == b.place.rank() && a.message == b.message);
        let more = self.0.len().saturating_sub(Mistakes::MOST);
        if more > 0 {
            self.0.truncate(Mistakes::MOST);
            self.0
                .push(Mistake::new(format!("and {more} more mistakes")));
        }
        self
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Mistakes {
        Mistakes(vec![mistake])
    }
}

/// All values, or the mistakes of all that are wrong.
pub(super) fn all<T>(
    results: impl IntoIterator<Item = Result<T, Mistakes>>,
) -> Result<Vec<T>, Mistakes> {
    let (mut values, mut mistakes) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(found) => mistakes.extend(found.0),
        }
    }
    if mistakes.is_empty() {
        Ok(values)
    } else {
        Err(Mistakes(mistakes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_shows_its_line_a_second_place_and_what_to_do() {
        let source = Arc::new(Source::new("t.toml".into(), "a = 1\nb = 2\n".into(), 0));
        let mistake = Mistake::new("b is wrong")
            .at(&Place::Text(source.clone(), 10..11))
            .note("the first is at", &Place::Text(source, 0..1))
            .help("leave it out");
        let expected = "t.toml:2:5: b is wrong\n    2 | b = 2\n      |     ^\n      \
                        = the first is at t.toml:1:1\n      = help: leave it out";
        assert_eq!(mistake.to_string(), expected);
    }

    #[test]
    fn mistakes_come_in_the_order_of_files_and_places_and_have_an_end() {
        let first = Arc::new(Source::new("1".into(), "abc".into(), 0));
        let second = Arc::new(Source::new("2".into(), "abc".into(), 1));
        let at = |source: &Arc<Source>, start| {
            Mistake::new("m").at(&Place::Text(source.clone(), start..start))
        };
        let sorted = Mistakes(vec![at(&second, 0), at(&first, 2), at(&first, 1)]).sorted();
        let places: Vec<String> = sorted.0.iter().map(|m| m.place.to_string()).collect();
        assert_eq!(places, ["1:1:2", "1:1:3", "2:1:1"]);
        let many = Mistakes((0..1234).map(|n| Mistake::new(n.to_string())).collect()).sorted();
        assert_eq!(many.0.len(), 1001);
        assert_eq!(many.0[1000].message(), "and 234 more mistakes");
    }
}
