//! A file of the table as it is: its bytes, its text, and what is where in it.

use super::Failure;
use super::outline::{Statement, outline};
use crate::cli::{PERMISSION, SYSTEM};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A file as it is.
pub(super) struct Document {
    /// As the administrator wrote it.
    pub(super) path: PathBuf,
    bytes: Vec<u8>,
    /// Device and inode.
    pub(super) inode: (u64, u64),
    /// The text without a byte order mark; empty where it is none.
    pub(super) text: String,
    /// What is in it; `None` where it is not TOML.
    pub(super) outline: Option<Vec<Statement>>,
}

impl Document {
    /// Reads it. What is not UTF-8 has no text.
    pub(super) fn read(path: &Path) -> Result<Document, Failure> {
        let (metadata, bytes) = contents(path).map_err(|error| failure("read", path, &error))?;
        let inode = (metadata.dev(), metadata.ino());
        Ok(Document::new(path, inode, bytes))
    }

    /// A text that is in no file.
    pub(super) fn of_text(path: &Path, text: &str) -> Document {
        Document::new(path, (0, 0), text.into())
    }

    fn new(path: &Path, inode: (u64, u64), bytes: Vec<u8>) -> Document {
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        let text = String::from_utf8(text.to_vec());
        let outline = text.as_ref().ok().and_then(|text| outline(text));
        Document {
            path: path.to_owned(),
            inode,
            text: text.unwrap_or_default(),
            outline,
            bytes,
        }
    }

    /// Its name for messages.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// The services that it has, each as often as it is written.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        fn under<'s>(statements: &'s [Statement], names: &mut Vec<&'s str>) {
            for statement in statements
                .iter()
                .filter(|statement| statement.path[0] == "service")
            {
                match statement.path.get(1) {
                    Some(name) => names.push(name),
                    None => under(statement.entries(), names),
                }
            }
        }
        let mut names = Vec::new();
        under(self.outline.as_deref().unwrap_or_default(), &mut names);
        names.into_iter()
    }

    /// The line on which a service is named first, from 1.
    pub(super) fn line_of(&self, name: &str) -> usize {
        fn first(statements: &[Statement], path: &[&str]) -> Option<usize> {
            statements.iter().find_map(|statement| {
                let is_it = statement.is_below(path);
                if is_it {
                    Some(statement.span.start)
                } else {
                    first(statement.entries(), path)
                }
            })
        }
        let outline = self.outline.as_deref().unwrap_or_default();
        let at = first(outline, &["service", name]).unwrap_or(0);
        self.text[..at].matches('\n').count() + 1
    }

    /// Whether the file is still the one that was read.
    pub(super) fn is_unchanged(&self) -> io::Result<bool> {
        let (metadata, bytes) = contents(&self.path)?;
        Ok((metadata.dev(), metadata.ino()) == self.inode && bytes == self.bytes)
    }

    /// The bytes of another text: with a byte order mark where this has one.
    pub(super) fn with_mark(&self, text: &str) -> Vec<u8> {
        let mark = if self.bytes.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK
        } else {
            b""
        };
        [mark, text.as_bytes()].concat()
    }
}

fn contents(path: &Path) -> io::Result<(Metadata, Vec<u8>)> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((file.metadata()?, bytes))
}

/// What the system refused.
pub(super) fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {what} {}: {}", path.display(), reason(error));
    Failure::new(status(error), message)
}

/// The system's words.
pub(super) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => crate::event::words(crate::sys::Errno::from_raw(number)),
        None => error.to_string(),
    }
}

pub(super) fn status(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::PermissionDenied {
        PERMISSION
    } else {
        SYSTEM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Document::read(file.path()).unwrap()
    }

    #[test]
    fn services_are_found_however_they_are_written() {
        let found = |text| {
            let document = document(text);
            let names = document
                .names()
                .map(|name| (name.to_owned(), document.line_of(name)));
            names.collect::<Vec<_>>()
        };
        let service = |name: &str, line| (name.to_owned(), line);
        assert_eq!(
            found("service.a.listen = 1\n[service.b]\n[service.'b'.limits]\n[server]\nx = 1\n"),
            [service("a", 1), service("b", 2), service("b", 2)]
        );
        assert_eq!(
            found("[server]\n[service]\na = { x = 1 }\n"),
            [service("a", 3)]
        );
        assert_eq!(found("a b\n"), []);
    }
}
