//! Both sides of the loader: a child that resolves a table, and answers once.
//!
//! The supervisor starts `oxinetd @loader PATH` with memory files as its standard input and output:
//! digests of the services that it has, and room for an answer, which is what the table has that they
//! do not tell of. It waits for its end without blocking, and reads the answer. Whatever a table makes
//! us do (block in a name look-up, use memory) happens in the child and ends with it.

use super::{Host, load};
use crate::sys::fd::memory_file;
use crate::table::Difference;
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
        /// How it differs from the one that is known.
        difference: Box<Difference>,
        /// What may be wrong all the same.
        warnings: Vec<String>,
    },
    /// It cannot; this is why. Never empty.
    Mistakes(Vec<String>),
}

impl Answer {
    /// Loads a table for this process, of whose services some are known by their digests.
    pub fn of(path: &Path, known: &[u64]) -> Answer {
        let texts =
            |mistakes: Vec<super::Mistake>| mistakes.iter().map(ToString::to_string).collect();
        match load(path, &Host::of_this_process()) {
            Ok(loaded) => Answer::Table {
                difference: Box::new(Difference::of(loaded.table, known)),
                warnings: texts(loaded.warnings),
            },
            Err(mistakes) => Answer::Mistakes(texts(mistakes.0)),
        }
    }
}

/// The child's side: reads digests from standard input, loads the table and writes the answer to
/// standard output as JSON. Exits with 0 for a table, 78 for mistakes, 74 when a file could not be
/// read or written.
pub fn answer(path: &Path) -> ExitCode {
    let Ok(known) = read_digests(&mut io::stdin().lock()) else {
        return ExitCode::from(EX_IOERR);
    };
    let answer = Answer::of(path, &known);
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

/// The parent's side: a file with digests, for the loader's standard input.
pub fn write_digests(digests: &[u64]) -> io::Result<OwnedFd> {
    let bytes: Vec<u8> = digests.iter().copied().flat_map(u64::to_ne_bytes).collect();
    let mut file = File::from(memory_file(c"oxinetd digests")?);
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn read_digests(file: &mut impl Read) -> io::Result<Vec<u64>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let digests = bytes.chunks_exact(size_of::<u64>());
    let digest = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).unwrap_or_default();
    Ok(digests.map(digest).collect())
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
mod tests;
