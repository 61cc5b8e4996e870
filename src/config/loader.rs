//! Both sides of the loader: a child that resolves a table, and answers once.
//!
//! The supervisor starts `oxinetd @loader PATH` with a memory file as its standard output, waits for
//! its end without blocking, and reads the answer. Whatever a table makes us do (block in a name
//! look-up, use memory) happens in the child and ends with it.

use super::{Host, load};
use crate::table::Table;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

/// sysexits(3): something is wrong with the table.
const EX_CONFIG: u8 = 78;
/// sysexits(3): the answer could not be written.
const EX_IOERR: u8 = 74;

/// What a loader answers. Texts are rendered, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The table can be served.
    Table {
        /// It.
        table: Box<Table>,
        /// What may be wrong all the same.
        warnings: Vec<String>,
    },
    /// It cannot; this is why. Never empty.
    Mistakes(Vec<String>),
}

impl Answer {
    /// Loads a table for this process.
    pub fn of(path: &Path) -> Answer {
        let texts =
            |mistakes: Vec<super::Mistake>| mistakes.iter().map(ToString::to_string).collect();
        match load(path, &Host::of_this_process()) {
            Ok(loaded) => Answer::Table {
                table: Box::new(loaded.table),
                warnings: texts(loaded.warnings),
            },
            Err(mistakes) => Answer::Mistakes(texts(mistakes.0)),
        }
    }
}

/// The child's side: loads the table and writes the answer to standard output as JSON. Exits with 0
/// for a table, 78 for mistakes, 74 when the answer could not be written.
pub fn answer(path: &Path) -> ExitCode {
    let answer = Answer::of(path);
    let written = serde_json::to_vec(&answer)
        .map_err(io::Error::from)
        .and_then(|bytes| {
            let mut output = io::stdout().lock();
            output.write_all(&bytes).and_then(|()| output.flush())
        });
    match (written, answer) {
        (Ok(()), Answer::Table { .. }) => ExitCode::SUCCESS,
        (Ok(()), Answer::Mistakes(_)) => ExitCode::from(EX_CONFIG),
        (Err(_), _) => ExitCode::from(EX_IOERR),
    }
}

/// The parent's side: reads the answer from the start of the file that the child wrote. An error
/// means that the child did not finish: it was killed, or ran out of something.
pub fn read(file: OwnedFd) -> io::Result<Answer> {
    let mut file = File::from(file);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_back_from_the_start_of_its_file() {
        let mut file = tempfile::tempfile().unwrap();
        let answer = Answer::Mistakes(vec!["a \"b\"\n".into()]);
        file.write_all(&serde_json::to_vec(&answer).unwrap())
            .unwrap();
        assert_eq!(read(file.into()).unwrap(), answer);
    }

    #[test]
    fn half_an_answer_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"{\"Mistakes\":[").unwrap();
        assert!(read(file.into()).is_err());
        assert!(read(tempfile::tempfile().unwrap().into()).is_err());
    }
}
