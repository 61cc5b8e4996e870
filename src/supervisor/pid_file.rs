//! How others find us: `[server] pid_file`, written when everything listens, removed at the end while it is
//! still ours, and the name of the process.
//!
//! The file is made anew beside its place and moved there, so a link that somebody has put there is
//! replaced and never followed, and a reader never finds half a number. Nothing here ends the server.

use super::Supervisor;
use crate::event::Event;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that we have written.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl PidFile {
    fn write(path: &Path) -> io::Result<PidFile> {
        let pid = std::process::id();
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{pid}.new"));
        let new = path.with_file_name(name);
        // What an earlier process of this id has left behind; a link is not followed.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&new)?;
        let made = writeln!(file, "{pid}")
            .and_then(|()| file.metadata())
            .and_then(|metadata| fs::rename(&new, path).map(|()| metadata));
        let metadata = made.inspect_err(|_| drop(fs::remove_file(&new)))?;
        Ok(PidFile {
            path: path.to_owned(),
            file: (metadata.dev(), metadata.ino()),
        })
    }

    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file)
    }

    /// Removes the file, unless somebody has replaced it.
    fn remove(&self) {
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Supervisor {
    /// Is called what update-inetd looks for at the process id, while we take the place of inetd.
    pub(super) fn keep_name(&self, is_inetd: bool) {
        let name = if is_inetd { c"inetd" } else { c"oxinetd" };
        let _ = nix::sys::prctl::set_name(name);
    }

    /// Writes the file that a table asks for, and removes the one that the table before did.
    pub(super) fn keep_pid_file(&mut self, wanted: Option<&str>) {
        let path = wanted.map(Path::new);
        let is_kept = |file: &PidFile| Some(file.path.as_path()) == path && file.is_ours();
        if self.pid_file.as_ref().is_some_and(is_kept) {
            return;
        }
        self.remove_pid_file();
        let Some(path) = path else { return };
        match PidFile::write(path) {
            Ok(file) => self.pid_file = Some(file),
            Err(error) => {
                let text = format!("cannot write the process id to {}: {error}", path.display());
                self.observe(&Event::Warning { text: &text });
            }
        }
    }

    /// Removes the file, at the end.
    pub(super) fn remove_pid_file(&mut self) {
        if let Some(file) = self.pid_file.take() {
            file.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (
            directory.path().join("pid"),
            directory.path().join("target"),
        );
        fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        let expected = format!("{}\n", std::process::id());
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        file.remove();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_somebody_else_has_written_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        fs::write(&path, "1\n").unwrap();
        let file = PidFile::write(&path).unwrap();
        // Before ours is gone: else it could get the same number.
        fs::write(directory.path().join("other"), "2\n").unwrap();
        fs::rename(directory.path().join("other"), &path).unwrap();
        file.remove();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
    }

    #[test]
    fn a_directory_in_its_place_is_an_error_that_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        fs::create_dir(&path).unwrap();
        assert!(PidFile::write(&path).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
