//! Users and groups: what the system knows about them, and who we are.
//!
//! Asks NSS, so it may block: only the loader and the commands call this. A user that does not
//! exist is `None`; an error is a data base that did not answer.

use super::Errno;
use nix::unistd::{self, Gid, Uid};
use std::ffi::CString;

/// An entry of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// Ids that this process acts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary groups, sorted, each once.
    pub groups: Vec<u32>,
}

/// The user of this name (getpwnam(3)).
pub fn user_by_name(name: &str) -> Result<Option<User>, Errno> {
    known(unistd::User::from_name(name)).map(|user| user.map(User::from))
}

/// The user with this id (getpwuid(3)).
pub fn user_by_id(uid: u32) -> Result<Option<User>, Errno> {
    known(unistd::User::from_uid(Uid::from_raw(uid))).map(|user| user.map(User::from))
}

/// The id of the group of this name (getgrnam(3)).
pub fn group_by_name(name: &str) -> Result<Option<u32>, Errno> {
    known(unistd::Group::from_name(name)).map(|group| group.map(|group| group.gid.as_raw()))
}

/// The groups that the user of this name would have after logging in with this primary group, which is one of
/// them (getgrouplist(3)). Sorted, each once.
pub fn groups_of(name: &str, gid: u32) -> Result<Vec<u32>, Errno> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    unistd::getgrouplist(&name, Gid::from_raw(gid)).map(ids)
}

/// Who this process is.
pub fn credentials() -> Credentials {
    Credentials {
        uid: unistd::geteuid().as_raw(),
        gid: unistd::getegid().as_raw(),
        // getgroups(2) cannot fail on a buffer that is large enough.
        groups: ids(unistd::getgroups().unwrap_or_default()),
    }
}

/// Whether this process may become any user: it is root, or has CAP_SETUID and CAP_SETGID.
pub fn may_change_identity() -> bool {
    const NEEDED: u32 = 1 << 6 | 1 << 7; // CAP_SETGID, CAP_SETUID
    unistd::geteuid().is_root() || effective_capabilities().is_ok_and(|set| set & NEEDED == NEEDED)
}

/// Whether this process may listen on ports below `ip_unprivileged_port_start` (ip(7)).
pub fn may_bind_low_ports() -> bool {
    const NEEDED: u32 = 1 << 10; // CAP_NET_BIND_SERVICE
    effective_capabilities().is_ok_and(|set| set & NEEDED == NEEDED)
}

/// capget(2)'s header, and one half of its answer.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The first 32 capabilities, as bits.
fn effective_capabilities() -> Result<u32, Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = CapabilityHeader {
        version: VERSION_3,
        pid: 0,
    };
    let mut sets = [CapabilitySets::default(); 2];
    // SAFETY: version 3 of the interface takes this header and fills two of these structures.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    Errno::result(result).map(|_| sets[0].effective)
}

/// Without a passwd file the C library reports ENOENT instead of "no such user" (getpwnam(3)
/// lists its other ways of saying the same).
fn known<T>(answer: Result<Option<T>, Errno>) -> Result<Option<T>, Errno> {
    match answer {
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        answer => answer,
    }
}

fn ids(groups: Vec<Gid>) -> Vec<u32> {
    let mut ids: Vec<u32> = groups.into_iter().map(Gid::as_raw).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl From<unistd::User> for User {
    fn from(user: unistd::User) -> User {
        User {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir.to_string_lossy().into_owned(),
            shell: user.shell.to_string_lossy().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_id() {
        let root = user_by_name("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_by_id(0).unwrap(), Some(root));
    }

    #[test]
    fn names_are_matched_exactly_and_never_read_as_numbers() {
        for name in [
            "",
            "0",
            "0x0",
            "root ",
            "ROOT",
            "-1",
            "4294967295",
            "ro\0ot",
        ] {
            assert_eq!(user_by_name(name).unwrap(), None, "{name:?}");
        }
    }

    #[test]
    fn a_missing_data_base_is_an_unknown_user() {
        assert_eq!(known::<()>(Err(Errno::ENOENT)), Ok(None));
        assert_eq!(known::<()>(Err(Errno::EIO)), Err(Errno::EIO));
    }

    #[test]
    fn groups_contain_the_primary_group_once() {
        let groups = groups_of("root", 12345).unwrap();
        assert_eq!(groups.iter().filter(|gid| **gid == 12345).count(), 1);
        assert!(groups.is_sorted());
    }

    #[test]
    fn root_may_change_identity() {
        if credentials().uid == 0 {
            assert!(may_change_identity());
            assert!(effective_capabilities().is_ok());
        }
    }
}
