//! A file is replaced whole: the old text is there or the new one.
//!
//! A new text is written beside it under another name, brought to the disk, and renamed. That other
//! name is also the lock between commands that edit at the same time; what an editor saved meanwhile
//! is noticed just before.

use super::Failure;
use super::document::{Document, failure, reason, status};
use crate::cli::{SYSTEM, TRY_AGAIN};
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag};
use nix::unistd::{AccessFlags, faccessat};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Puts a text in the place of a file's, with the same mode and owner; through a symbolic link, in
/// the place of what it leads to.
pub(super) fn replace(document: &Document, text: &str) -> Result<(), Failure> {
    let about =
        |what: &'static str, path: PathBuf| move |error: io::Error| failure(what, &path, &error);
    let target = document
        .path
        .canonicalize()
        .map_err(about("read", document.path.clone()))?;
    let metadata = target.metadata().map_err(about("read", target.clone()))?;
    check_replaceable(&target, &metadata)?;
    let directory = target.parent().unwrap_or(Path::new("/"));
    let mut beside = Beside::lock(&target)?;
    beside
        .fill(&document.with_mark(text))
        .map_err(about("write in", directory.to_owned()))?;
    beside
        .dress(&metadata)
        .map_err(|error| keeps_owner(&target, &metadata, &error))?;
    if !document
        .is_unchanged()
        .map_err(about("read", target.clone()))?
    {
        let message = format!(
            "{} was changed by somebody else meanwhile: try again",
            document.shown()
        );
        return Err(Failure::new(TRY_AGAIN, message));
    }
    beside
        .rename(&target)
        .map_err(about("replace", target.clone()))
}

/// A rename would break the one and overrule the other.
fn check_replaceable(target: &Path, metadata: &Metadata) -> Result<(), Failure> {
    let shown = target.display();
    if metadata.nlink() > 1 {
        let message = format!(
            "{shown} has {} names (hard links), of which only one would get the new text: edit it by hand",
            metadata.nlink()
        );
        return Err(Failure::new(SYSTEM, message));
    }
    faccessat(AT_FDCWD, target, AccessFlags::W_OK, AtFlags::AT_EACCESS)
        .map_err(|errno| failure("write", target, &errno.into()))
}

fn keeps_owner(target: &Path, metadata: &Metadata, error: &io::Error) -> Failure {
    let message = format!(
        "cannot keep owner, group and mode ({}:{}, {:04o}) of {}: {}",
        metadata.uid(),
        metadata.gid(),
        metadata.mode() & 0o7777,
        target.display(),
        reason(error),
    );
    Failure::new(status(error), message)
}

/// The file beside the target that is to take its place. Removed unless it did.
struct Beside {
    path: PathBuf,
    file: Flock<File>,
    is_renamed: bool,
}

impl Beside {
    /// Makes it, or takes over what a command that was killed has left.
    fn lock(target: &Path) -> Result<Beside, Failure> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        // Not *.toml, so that no include pattern finds it.
        let path = target.with_file_name(format!(".{name}.edit"));
        let file = Beside::open(&path).map_err(|error| match fs::symlink_metadata(&path) {
            Ok(_) => failure("take over", &path, &error),
            Err(_) => failure("write in", target.parent().unwrap_or(target), &error),
        })?;
        let busy = || {
            let message = format!("another command is editing {}: try again", target.display());
            Failure::new(TRY_AGAIN, message)
        };
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| busy())?;
        match Beside::is_good(&file, &path) {
            Ok(true) => Ok(Beside {
                path,
                file,
                is_renamed: false,
            }),
            Ok(false) => Err(busy()),
            Err(error) => Err(failure("take over", &path, &error)),
        }
    }

    fn open(path: &Path) -> io::Result<File> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.bits())
            .open(path)
    }

    /// False when its last owner has renamed or removed it before we had the lock.
    fn is_good(file: &File, path: &Path) -> io::Result<bool> {
        let own = file.metadata()?;
        let is_ours = own.uid() == nix::unistd::geteuid().as_raw();
        if !own.is_file() || own.nlink() > 1 || !is_ours {
            return Err(io::Error::other("it is somebody else's; remove it"));
        }
        Ok(fs::symlink_metadata(path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
    }

    fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(0o600))?;
        self.file.set_len(0)?;
        self.file.write_all(bytes)
    }

    /// Gives it mode, owner and group of the target.
    fn dress(&mut self, target: &Metadata) -> io::Result<()> {
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) != (target.uid(), target.gid()) {
            fchown(&*self.file, Some(target.uid()), Some(target.gid()))?;
        }
        self.file
            .set_permissions(Permissions::from_mode(target.mode() & 0o7777))
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.is_renamed = true;
        // The new text is there; that the name survives a power cut is a wish.
        let _ = target
            .parent()
            .map(|directory| File::open(directory).and_then(|directory| directory.sync_all()));
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl Place {
        fn new(bytes: &[u8]) -> Place {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("t.toml");
            fs::write(&path, bytes).unwrap();
            Place { directory, path }
        }

        fn names(&self) -> Vec<String> {
            let entries = self.directory.path().read_dir().unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }

        fn refused(&self, document: &Document) -> (u8, String) {
            let before = fs::read(&self.path).unwrap();
            let failure = replace(document, "new").unwrap_err();
            assert_eq!(fs::read(&self.path).unwrap(), before);
            let directory = self.directory.path().to_str().unwrap();
            (failure.status, failure.message.replace(directory, "DIR"))
        }
    }

    #[test]
    fn a_byte_order_mark_stays() {
        let place = Place::new(b"\xEF\xBB\xBFa = 1\n");
        let document = Document::read(&place.path).unwrap();
        assert_eq!(document.text, "a = 1\n");
        replace(&document, "b = 2\n").unwrap();
        assert_eq!(fs::read(&place.path).unwrap(), b"\xEF\xBB\xBFb = 2\n");
        assert_eq!(place.names(), ["t.toml"]);
    }

    #[test]
    fn what_an_editor_saved_meanwhile_is_not_lost() {
        let place = Place::new(b"a = 1\n");
        let document = Document::read(&place.path).unwrap();
        // In place with the same length, as another file with the same text, and not at all.
        fs::write(&place.path, "a = 2\n").unwrap();
        let said = "DIR/t.toml was changed by somebody else meanwhile: try again";
        assert_eq!(place.refused(&document), (75, said.to_owned()));
        fs::write(place.directory.path().join("u.toml"), "a = 1\n").unwrap();
        fs::rename(place.directory.path().join("u.toml"), &place.path).unwrap();
        assert_eq!(place.refused(&document), (75, said.to_owned()));
        assert_eq!(place.names(), ["t.toml"]);
        replace(&Document::read(&place.path).unwrap(), "new").unwrap();
    }

    #[test]
    fn only_one_command_edits_at_a_time() {
        let place = Place::new(b"a = 1\n");
        let document = Document::read(&place.path).unwrap();
        let other = Beside::lock(&place.path).unwrap();
        let said = "another command is editing DIR/t.toml: try again";
        assert_eq!(place.refused(&document), (75, said.to_owned()));
        drop(other);
        // What a killed one has left is in nobody's way.
        fs::write(
            place.directory.path().join(".t.toml.edit"),
            "longer than the text",
        )
        .unwrap();
        replace(&document, "new").unwrap();
        assert_eq!(fs::read(&place.path).unwrap(), b"new");
        assert_eq!(place.names(), ["t.toml"]);
    }

    #[test]
    fn nothing_is_written_through_what_others_put_there() {
        let place = Place::new(b"a = 1\n");
        let document = Document::read(&place.path).unwrap();
        let (beside, victim) = (
            place.directory.path().join(".t.toml.edit"),
            place.directory.path().join("victim"),
        );
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &beside).unwrap();
        let (status, said) = place.refused(&document);
        assert_eq!(status, 71);
        assert!(
            said.starts_with("cannot take over DIR/.t.toml.edit: "),
            "{said}"
        );
        fs::remove_file(&beside).unwrap();
        fs::hard_link(&victim, &beside).unwrap();
        assert_eq!(place.refused(&document).0, 71);
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
}
