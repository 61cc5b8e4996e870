//! Who may connect to a Unix socket in the file system: its owner, group and mode.

use super::Errno;
use super::fd::own;
use nix::libc;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

/// Everybody may connect, as to a port.
const MODE: u16 = 0o666;

/// What a socket's file is to have. `None` is our own user and group, and mode 0666.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct FileRights {
    /// Its owner.
    pub user: Option<u32>,
    /// Its group.
    pub group: Option<u32>,
    /// Its permissions, up to 0777; who may write may connect.
    pub mode: Option<u16>,
}

impl FileRights {
    /// The mask to bind with. What needs more than a mask is made without any permission: nobody can
    /// connect before [`FileRights::give`].
    pub(super) fn mask(&self) -> u32 {
        match self.is_plain() {
            true => 0o111,
            false => 0o777,
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        *self == FileRights::default()
    }

    /// Gives them to the socket at a path, which must be ours; `file` is its device and inode, where
    /// they are known. Nobody has more on the way than before or after. The error says which call
    /// failed.
    pub fn give(&self, path: &str, file: Option<(u64, u64)>) -> Result<(), (&'static str, Errno)> {
        let (opened, stat) = open(path).map_err(|errno| ("open", errno))?;
        let is_socket = stat.st_mode & libc::S_IFMT == libc::S_IFSOCK && stat.st_nlink == 1;
        if !is_socket || file.is_some_and(|file| file != (stat.st_dev, stat.st_ino)) {
            // Somebody else may write to the directory, and has.
            return Err(("open", Errno::ESTALE));
        }
        let user = self.user.unwrap_or(Uid::effective().as_raw());
        let group = self.group.unwrap_or(Gid::effective().as_raw());
        let mode = u32::from(self.mode.unwrap_or(MODE));
        if (stat.st_uid, stat.st_gid) != (user, group) {
            set_mode(&opened, stat.st_mode & mode).map_err(|errno| ("chmod", errno))?;
            set_owner(&opened, user, group).map_err(|errno| ("chown", errno))?;
        }
        set_mode(&opened, mode).map_err(|errno| ("chmod", errno))
    }
}

/// The file itself, whatever the path names later.
fn open(path: &str) -> Result<(OwnedFd, libc::stat), Errno> {
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: a string that ends in NUL.
    let opened = own(Errno::result(unsafe { libc::open(path.as_ptr(), flags) })?);
    // SAFETY: all-zero bytes are a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the buffer ours.
    Errno::result(unsafe { libc::fstat(opened.as_raw_fd(), &mut stat) })?;
    Ok((opened, stat))
}

fn set_owner(file: &OwnedFd, user: u32, group: u32) -> Result<(), Errno> {
    let (fd, empty, flags) = (file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the descriptor is open, and the string ends in NUL.
    Errno::result(unsafe { libc::fchownat(fd, empty, user, group, flags) }).map(drop)
}

/// By /proc: such a descriptor takes no fchmod(2).
fn set_mode(file: &OwnedFd, mode: u32) -> Result<(), Errno> {
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let path = path.map_err(|_| Errno::EINVAL)?;
    // SAFETY: a string that ends in NUL.
    Errno::result(unsafe { libc::chmod(path.as_ptr(), mode & 0o777) }).map(drop)
}
