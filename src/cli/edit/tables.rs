//! The files of a table, and which of them says what.

use super::document::Document;
use super::outline::Statement;
use super::removal;
use super::switch::{self, Written};
use super::{Change, Failure, Section, text};
use crate::cli::client::NO_SUCH;
use crate::cli::{CONFIG, no_such_service};
use crate::config::{Host, Loaded, Mistakes, load_draft, load_text};
use std::path::{Path, PathBuf};

/// A table as it is.
pub struct Tables {
    /// The main file.
    pub(super) path: PathBuf,
    pub(super) host: Host,
    /// What it says now.
    pub(super) present: Result<Loaded, Mistakes>,
    /// Its files, each once, the main one first.
    pub(super) documents: Vec<Document>,
}

impl Tables {
    /// Reads all files of a table; only the main one has to be there.
    pub(super) fn read(path: &Path) -> Result<Tables, Failure> {
        let host = Host::of_this_process();
        let draft = load_draft(path, &host, None);
        let mut documents: Vec<Document> = Vec::new();
        for file in &draft.files {
            let document = Document::read(file)?;
            if documents.iter().all(|known| known.inode != document.inode) {
                documents.push(document);
            }
        }
        match draft.result {
            Err(mistakes) if documents.is_empty() => {
                Err(Failure::mistakes("nothing was written", mistakes.0))
            }
            present => Ok(Tables {
                path: path.to_owned(),
                host,
                present,
                documents,
            }),
        }
    }

    /// A table of one file that is nowhere, as root would have it.
    pub fn of_text(text: &str) -> Tables {
        let (path, host) = (PathBuf::from("services.toml"), Host::of_root());
        Tables {
            present: load_text("services.toml", text, &host),
            documents: vec![Document::of_text(&path, text)],
            path,
            host,
        }
    }

    /// The text of the file that is changed, as it would be then.
    pub fn text_after(&self, change: &Change) -> String {
        text::apply(&self.documents[change.file].text, &change.edits)
    }

    /// A new service at the end of the main file.
    pub fn add(&self, name: &str, section: &Section) -> Result<Change, Failure> {
        if let Some(place) = self.places(name).first() {
            let document = &self.documents[*place];
            let line = document.line_of(name);
            let message = format!(
                "there is a service {name:?} already: {}:{line}",
                document.shown()
            );
            return Err(Failure::usage(message));
        }
        let main = &self.documents[0];
        let is_closed =
            |statement: &&Statement| statement.is(&["service"]) && statement.value.is_some();
        if self
            .outline(0)?
            .iter()
            .any(|statement| is_closed(&statement))
        {
            let message = format!(
                "{} has service = {{ … }}, below which nothing can be added: write it as [service.NAME] sections first",
                main.shown()
            );
            return Err(Failure::new(CONFIG, message));
        }
        Ok(Change {
            file: 0,
            edits: vec![section.append_to(&main.text)],
        })
    }

    /// A service less, from whichever file it is in.
    pub fn remove(&self, name: &str) -> Result<Change, Failure> {
        let places = self.places(name);
        if let [first, .., last] = places.as_slice() {
            let [first, last] = [first, last].map(|place| self.documents[*place].shown());
            let message = format!(
                "service {name:?} is in {first} and again in {last}, so that without the one the other would \
                 be offered: edit them by hand"
            );
            return Err(Failure::new(CONFIG, message));
        }
        let file = self.place(name)?;
        let edits = removal::remove(
            &self.documents[file].text,
            self.outline(file)?,
            &["service", name],
        );
        Ok(Change { file, edits })
    }

    /// A service that is offered, or not, in the file whose entry counts.
    pub fn switch(&self, name: &str, on: bool) -> Result<Change, Failure> {
        let file = self.place(name)?;
        let (text, outline) = (&self.documents[file].text, self.outline(file)?);
        let path = ["service", name];
        let value = match (switch::written(text, outline, &path), self.default(), on) {
            (Written::True, _, true) | (Written::False, _, false) => None,
            (Written::Nothing, default, on) if default == on => None,
            // Nothing need be written where that is what holds anyway.
            (Written::False, true, true) => Some(None),
            _ => Some(Some(on)),
        };
        let Some(value) = value else {
            return Ok(Change {
                file,
                edits: Vec::new(),
            });
        };
        match switch::write(text, outline, &path, value) {
            edits if edits.is_empty() => {
                let message = format!(
                    "service {name:?} has no keys of its own in {}",
                    self.documents[file].shown()
                );
                Err(Failure::new(CONFIG, message))
            }
            edits => Ok(Change { file, edits }),
        }
    }

    /// Whether services are offered that do not say so.
    fn default(&self) -> bool {
        let main = &self.documents[0];
        let outline = main.outline.as_deref().unwrap_or_default();
        switch::written(&main.text, outline, &["defaults"]) != Written::False
    }

    /// The file whose entry counts: the last.
    fn place(&self, name: &str) -> Result<usize, Failure> {
        if let Some(last) = self.places(name).last() {
            return Ok(*last);
        }
        // It may be in a file that nobody can read.
        for file in 0..self.documents.len() {
            self.outline(file)?;
        }
        let message = no_such_service(name, self.names());
        Err(Failure::new(NO_SUCH, message))
    }

    /// The files with an entry of this name.
    fn places(&self, name: &str) -> Vec<usize> {
        let has = |document: &Document| document.names().any(|known| known == name);
        (0..self.documents.len())
            .filter(|place| has(&self.documents[*place]))
            .collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().flat_map(Document::names)
    }

    /// What is in a file that is to be edited: TOML, or we would not know what we change.
    fn outline(&self, file: usize) -> Result<&[Statement], Failure> {
        let document = &self.documents[file];
        document.outline.as_deref().ok_or_else(|| {
            let message = format!("{} is not TOML: correct that first", document.shown());
            let mistakes = self.present.as_ref().err().cloned().unwrap_or_default();
            Failure::mistakes(message, mistakes.0)
        })
    }
}
