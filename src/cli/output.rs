//! Standard output of the commands: what could not be written is told, and is no success.
//!
//! A reader that has left (`oxinetd status | head`) has what it wants: that is quiet, and success.

use super::client::{Failure, conclude};
use std::io::{self, ErrorKind, Write, stdout};
use std::process::ExitCode;

/// EX_IOERR: standard output could not be written.
const IO_ERROR: u8 = 74;

/// Writes an answer, all of it.
pub(super) fn put(text: &str) -> Result<(), Failure> {
    result(write(text))
}

/// Writes an answer, and ends with this exit status if that could be done.
pub(super) fn finish(text: &str, exit: impl Into<ExitCode>) -> ExitCode {
    conclude(put(text).map(|()| exit.into()))
}

/// Writes a part of an answer. The error may be that the reader has left.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What becomes of a command that could write, or could not.
pub(super) fn result(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure {
            text: format!("cannot write to standard output: {}", words(&error)),
            exit: IO_ERROR,
        }),
        _ => Ok(()),
    }
}

/// The system's words, without the number.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => crate::event::words(crate::sys::Errno::from_raw(number)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_left_is_no_failure_and_a_full_disk_is_one() {
        assert!(result(Ok(())).is_ok());
        assert!(result(Err(ErrorKind::BrokenPipe.into())).is_ok());
        let failure = result(Err(io::Error::from_raw_os_error(28))).unwrap_err();
        assert_eq!(failure.exit, 74);
    }
}
