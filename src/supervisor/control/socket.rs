//! The control socket as a file: made for the right people, never taken from a server that lives,
//! removed at the end if it is still ours.

use crate::control::Place;
use crate::sys::caller::{listen_for_ourselves, open_to_group};
use crate::sys::socket::{BindError, is_alive};
use crate::sys::{Errno, user};
use crate::table::Transport;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A control socket that listens.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) socket: OwnedFd,
    pub(super) path: PathBuf,
    /// Device and inode.
    file: Option<(u64, u64)>,
    /// Why the group of those that may look could not be let in.
    pub(super) closed_to_group: Option<Errno>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another server has it.
    Taken(PathBuf),
    /// In words.
    Failed(PathBuf, String),
}

/// Makes the control socket, for members of the group too where there is one; nothing where none is
/// wanted.
pub(super) fn make(place: &Place, group: Option<u32>) -> Result<Option<Made>, Trouble> {
    let path = match place {
        Place::Nowhere => return Ok(None),
        Place::At(path) => path.clone(),
        Place::Standard => standard()?,
    };
    let socket = bind(&path)?;
    let closed_to_group = group.and_then(|group| open_to_group(&path, group).err());
    Ok(Some(Made {
        socket,
        file: file_of(&path),
        path,
        closed_to_group,
    }))
}

/// The standard path, in a directory that is there and safe.
fn standard() -> Result<PathBuf, Trouble> {
    let uid = user::credentials().uid;
    let path = Place::standard(uid);
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mode = if uid == 0 { 0o755 } else { 0o700 };
    let made = std::fs::DirBuilder::new().mode(mode).create(directory);
    match made {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let why = format!("cannot make {}: {error}", directory.display());
            Err(Trouble::Failed(path, why))
        }
        _ if !Place::is_safe(directory, uid) => {
            let why = format!(
                "{} is not a directory that only we may write to",
                directory.display()
            );
            Err(Trouble::Failed(path, why))
        }
        _ => Ok(path),
    }
}

fn bind(path: &Path) -> Result<OwnedFd, Trouble> {
    // Between the look whether somebody lives there and the replacement, no other server may do the
    // same. Anybody may hold such a lock, so it is not waited for.
    let directory = path
        .parent()
        .and_then(|directory| File::open(directory).ok());
    let _lock = directory.map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock));
    match listen_for_ourselves(path) {
        Err(BindError {
            errno: Errno::EADDRINUSE,
            ..
        }) => replace(path),
        result => result.map_err(|error| failed(path, error)),
    }
}

fn replace(path: &Path) -> Result<OwnedFd, Trouble> {
    let in_the_way = |why: &str| Err(Trouble::Failed(path.into(), why.into()));
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return in_the_way("something was there a moment ago");
    };
    if !metadata.file_type().is_socket() {
        return in_the_way("something is there that is not a socket");
    }
    match is_alive(&path.to_string_lossy(), Transport::UnixStream) {
        Ok(true) => return Err(Trouble::Taken(path.into())),
        Ok(false) if metadata.uid() == user::credentials().uid => {}
        Ok(false) => return in_the_way("another user's socket is there"),
        Err(errno) => return in_the_way(&format!("somebody's socket is there: {}", errno.desc())),
    }
    if let Err(error) = std::fs::remove_file(path) {
        return in_the_way(&format!("cannot remove the socket that is there: {error}"));
    }
    listen_for_ourselves(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: BindError) -> Trouble {
    let why = format!("{}: {}", error.call, crate::event::words(error.errno));
    Trouble::Failed(path.into(), why)
}

impl Made {
    /// Removes the file, unless somebody has replaced it.
    pub(super) fn remove(&self) {
        if self.file.is_some() && file_of(&self.path) == self.file {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn it_is_made_for_ourselves_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let place = Place::At(path.clone());
        let made = make(&place, None).unwrap().unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(make(&place, None), Err(Trouble::Taken(_))));
        made.remove();
        assert!(!path.exists());
    }

    #[test]
    fn a_group_is_let_in() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let group = nix::unistd::getegid().as_raw();
        let made = make(&Place::At(path.clone()), Some(group))
            .unwrap()
            .unwrap();
        assert_eq!((mode(&path), made.closed_to_group), (0o660, None));
        assert_eq!(path.symlink_metadata().unwrap().gid(), group);
    }

    #[test]
    fn a_socket_that_was_left_behind_is_replaced_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        drop(UnixListener::bind(&path).unwrap());
        let made = make(&Place::At(path.clone()), None).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        made.remove();
        let again = make(&Place::At(path.clone()), None);
        assert!(matches!(again, Err(Trouble::Failed(_, _))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn none_is_none() {
        assert!(make(&Place::Nowhere, None).unwrap().is_none());
    }
}
