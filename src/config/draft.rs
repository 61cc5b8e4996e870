//! A table as it would be if one of its files had another text: for commands that edit tables.
//!
//! What is checked so goes through the very code that will load it, and mistakes name the real file.

use super::classic;
use super::file::{self, Opened};
use super::host::Host;
use super::mistake::Mistakes;
use super::source::Source;
use super::{Loaded, load_with};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A text that is not on disk yet.
#[derive(Debug, Clone, Copy)]
pub struct Replacement<'t> {
    /// Device and inode of the file whose text it is to be.
    pub inode: (u64, u64),
    /// The text, without a byte order mark.
    pub text: &'t str,
}

/// What a table says, and what it was read from.
#[derive(Debug)]
pub struct Draft {
    /// The table, or all mistakes.
    pub result: Result<Loaded, Mistakes>,
    /// Its files, the main one first, then those that it includes; only those that could be read.
    pub files: Vec<PathBuf>,
}

/// Loads a table, with a text in the place of one file's.
pub fn load_draft(path: &Path, host: &Host, replacement: Option<Replacement>) -> Draft {
    let mut files = Vec::new();
    let result = load_with(path, host, &mut |path, order| {
        let opened = file::read(path, order, host)?;
        if order != classic::RANK {
            files.push(path.to_owned());
        }
        Ok(match replacement {
            Some(new) if new.inode == opened.inode => with_text(opened, new.text),
            _ => opened,
        })
    });
    Draft { result, files }
}

/// Loads a table that is nowhere yet; `name` stands in its mistakes. It cannot include others.
pub fn load_text(name: &str, text: &str, host: &Host) -> Result<Loaded, Mistakes> {
    load_with(Path::new(name), host, &mut |path, order| {
        let source = Source::new(path.display().to_string(), text.to_owned(), order);
        Ok(Opened {
            source: Arc::new(source),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            inode: (0, 0),
        })
    })
}

fn with_text(opened: Opened, text: &str) -> Opened {
    let old = &opened.source;
    let source = Source::new(old.name().to_owned(), text.to_owned(), old.order());
    Opened {
        source: Arc::new(source),
        ..opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    fn inode(path: &Path) -> (u64, u64) {
        let metadata = fs::metadata(path).unwrap();
        (metadata.dev(), metadata.ino())
    }

    #[test]
    fn an_included_file_has_another_text() {
        let directory = tempfile::tempdir().unwrap();
        let (main, part) = (
            directory.path().join("main.toml"),
            directory.path().join("part.toml"),
        );
        fs::write(&main, "[server]\ninclude = \"part.toml\"\n").unwrap();
        fs::write(&part, "[service.a]\nlisten = 7001\nbuiltin = \"echo\"\n").unwrap();
        let host = Host::of_this_process();
        let draft = load_draft(&main, &host, None);
        assert_eq!(draft.files, [main.clone(), part.clone()]);
        assert_eq!(&*draft.result.unwrap().table.services[0].name, "a");
        let inode = inode(&part);
        let text = "[service.b]\nlisten = 7001\nbuiltin = \"echo\"\n";
        let draft = load_draft(&main, &host, Some(Replacement { inode, text }));
        assert_eq!(&*draft.result.unwrap().table.services[0].name, "b");
        let text = "[service.b]\n";
        let draft = load_draft(&main, &host, Some(Replacement { inode, text }));
        let mistakes = draft.result.unwrap_err();
        let place = format!("{}:1:10", part.display());
        assert_eq!(mistakes.0[0].place().to_string(), place);
    }
}
