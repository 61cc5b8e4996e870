//! The control socket's part of the kernel: a Unix socket that only some may use, and who calls.
//!
//! Credentials are those that the kernel noted at connect(2): nobody can lend or forge them.

use super::Errno;
use super::fd::raise;
use super::socket::BindError;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::socket as net;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, sockopt};
use nix::sys::stat::{self, Mode, SFlag};
use nix::unistd::{Gid, fchownat, geteuid};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// SO_PEERGROUPS, which libc does not name for every architecture; socket.h has one number for all
/// that we build for.
const PEER_GROUPS: i32 = 59;

/// Groups of one caller that are looked at: the kernel allows 65,536 (NGROUPS_MAX).
const MOST_GROUPS: usize = 65_536;

/// Who has connected to a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Process id; 0 when it is not visible from here.
    pub pid: i32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Caller {
    /// Whether the group is one of the caller's.
    pub fn is_in(&self, group: u32) -> bool {
        self.gid == group || self.groups.contains(&group)
    }
}

/// Who is at the other end of an accepted Unix socket.
pub fn caller(socket: BorrowedFd) -> Result<Caller, Errno> {
    let credentials = net::getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Caller {
        uid: credentials.uid(),
        gid: credentials.gid(),
        pid: credentials.pid(),
        groups: groups(socket)?,
    })
}

fn groups(socket: BorrowedFd) -> Result<Vec<u32>, Errno> {
    let mut groups = vec![0u32; 64];
    loop {
        let mut length = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: groups and length describe a buffer of ours; the kernel writes no more than length.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                PEER_GROUPS,
                groups.as_mut_ptr().cast(),
                &mut length,
            )
        };
        let count = length as usize / size_of::<u32>();
        match Errno::result(result) {
            Ok(_) => {
                groups.truncate(count);
                return Ok(groups);
            }
            Err(Errno::ERANGE) if count > groups.len() && count <= MOST_GROUPS => {
                groups.resize(count, 0);
            }
            // Before Linux 4.13.
            Err(Errno::ENOPROTOOPT) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Makes a Unix stream socket that listens at the path, non-blocking, close-on-exec, above the
/// descriptor floor. From its first moment on only our own user may connect. EADDRINUSE when
/// something is there already.
pub fn listen_for_ourselves(path: &Path) -> Result<OwnedFd, BindError> {
    let failed = |call: &'static str| move |errno: Errno| BindError { call, errno };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = net::socket(AddressFamily::Unix, SockType::Stream, flags, None);
    let socket = raise(socket.map_err(failed("socket"))?);
    let address = net::UnixAddr::new(path).map_err(failed("bind"))?;
    // The mask belongs to this process alone and nothing else runs in it.
    let before = stat::umask(Mode::from_bits_truncate(0o177));
    let bound = net::bind(socket.as_raw_fd(), &address);
    stat::umask(before);
    bound.map_err(failed("bind"))?;
    net::listen(&socket, net::Backlog::MAXCONN).map_err(failed("listen"))?;
    Ok(socket)
}

/// Lets a group connect to a socket of ours, and nobody else (mode 0660).
pub fn open_to_group(path: &Path, group: u32) -> Result<(), Errno> {
    // The file itself, whatever its name comes to mean in the meantime.
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(nix::fcntl::AT_FDCWD, path, flags, Mode::empty())?;
    let found = stat::fstat(&file)?;
    let is_socket = found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits();
    if !is_socket || found.st_uid != geteuid().as_raw() {
        return Err(Errno::EPERM);
    }
    fchownat(
        &file,
        "",
        None,
        Some(Gid::from_raw(group)),
        AtFlags::AT_EMPTY_PATH,
    )?;
    // O_PATH descriptors have no fchmod; their entry in /proc leads to the very file.
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mode = Mode::from_bits_truncate(0o660);
    stat::fchmodat(
        nix::fcntl::AT_FDCWD,
        name.as_str(),
        mode,
        stat::FchmodatFlags::FollowSymlink,
    )
}

/// Connects to a Unix stream socket, blocking: for commands. EAGAIN when nobody takes the connection,
/// or later what is sent, for that long.
pub fn connect(path: &Path, patience: Duration) -> Result<OwnedFd, Errno> {
    let socket = net::socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let seconds = patience.as_secs().clamp(1, 3600) as libc::time_t;
    let patience = nix::sys::time::TimeVal::new(seconds, 0);
    net::setsockopt(&socket, sockopt::SendTimeout, &patience)?;
    net::connect(socket.as_raw_fd(), &net::UnixAddr::new(path)?)?;
    Ok(socket)
}
