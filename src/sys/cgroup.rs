//! A control group for each session: cgroups(7), version 2.
//!
//! A child is born in its group (CLONE_INTO_CGROUP), so nothing that it starts is ever outside, unless
//! it may write there and leaves: root, and our own user. The group ends in one write (`cgroup.kill`),
//! whatever is in it. No controller is switched on, so a group counts and limits nothing,
//! and the memory that a child shares with us until its exec stays ours to account for.
//!
//! Groups are made only below one that is ours to divide: where systemd runs, it must have said so.

use super::Errno;
use super::fd::{own, raise};
use super::signal::{self, Signal};
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What our groups are called; the number of our process follows.
const PREFIX: &str = "oxinetd-";
/// How often to look for processes that were started meanwhile, when a signal goes to all.
const ROUNDS: usize = 8;
/// How deep a program may have divided its group for us to clear it away.
const DEEPEST: usize = 8;

/// The group in which groups are made. Dropping it removes it, with the groups that are empty.
#[derive(Debug)]
pub struct Groups {
    directory: PathBuf,
    /// As long as it is held nobody takes the group for one that is left over. Numbers of processes
    /// do not tell: they are reused, and others in another PID namespace.
    lock: Option<Flock<File>>,
    made: u64,
}

/// A group of one session.
#[derive(Debug)]
pub struct Group {
    directory: PathBuf,
}

impl Groups {
    /// Makes a group for this process's groups. The error says why there can be none.
    pub fn new() -> Result<Groups, String> {
        let parent = delegated()?;
        remove_left_over(&parent);
        let directory = parent.join(format!("{PREFIX}{}", std::process::id()));
        let mut groups = Groups {
            directory,
            lock: None,
            made: 0,
        };
        let told = |error| format!("{}: {error}", groups.directory.display());
        groups.lock = Some(claim(&groups.directory).map_err(told)?);
        match groups.directory.join("cgroup.kill").exists() {
            true => Ok(groups),
            false => Err("the kernel has no cgroup.kill (before 5.14)".to_owned()),
        }
    }

    /// Makes a group, and opens it for the clone.
    pub(super) fn make(&mut self) -> Result<(Group, OwnedFd), Errno> {
        let directory = loop {
            self.made += 1;
            let directory = self.directory.join(self.made.to_string());
            match fs::create_dir(&directory) {
                Ok(()) => break directory,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Somebody has cleared it away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let claimed = claim(&self.directory);
                    self.lock = Some(claimed.map_err(|error| errno(&error))?);
                }
                Err(error) => return Err(errno(&error)),
            }
        };
        let group = Group { directory };
        match group.open() {
            Ok(descriptor) => Ok((group, descriptor)),
            Err(errno) => {
                group.remove();
                Err(errno)
            }
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        remove_all(&self.directory, DEEPEST);
    }
}

impl Group {
    fn open(&self) -> Result<OwnedFd, Errno> {
        let path = c_string(&self.directory)?;
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: a string that ends in NUL.
        Errno::result(unsafe { libc::open(path.as_ptr(), flags) }).map(own)
    }

    /// Ends all that are in it, and all that they start meanwhile.
    pub fn kill(&self) {
        let _ = fs::write(self.directory.join("cgroup.kill"), "1");
    }

    /// Sends a signal to each process in it, once.
    pub fn signal(&self, signal: Signal) {
        let mut told = BTreeSet::new();
        for _ in 0..ROUNDS {
            let found = self.processes();
            let new: Vec<i32> = found.difference(&told).copied().collect();
            if new.is_empty() {
                return;
            }
            let opened = new.iter().map(|pid| (*pid, signal::open_process(*pid)));
            let opened: Vec<_> = opened.collect();
            // Each descriptor is of whoever had the number; who still has it here is of this group.
            let still = self.processes();
            for (pid, process) in opened {
                if let Some(process) = process.ok().filter(|_| still.contains(&pid)) {
                    let _ = signal::signal_process(&process, signal);
                }
            }
            told.extend(new);
        }
    }

    /// Removes it; false while somebody is in it.
    pub fn remove(&self) -> bool {
        remove_all(&self.directory, DEEPEST)
    }

    fn processes(&self) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        collect(&self.directory, DEEPEST, &mut found);
        found
    }
}

/// The processes in a group and the groups below. Those of other PID namespaces, which read as 0,
/// cannot be told apart; `cgroup.kill` ends them too.
fn collect(directory: &Path, depth: usize, found: &mut BTreeSet<i32>) {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    let pids = text.lines().filter_map(|line| line.parse().ok());
    found.extend(pids.filter(|pid: &i32| *pid > 0));
    if depth > 0 {
        for below in groups_in(directory) {
            collect(&below, depth - 1, found);
        }
    }
}

/// Removes a group and the groups below it, as far as they are empty. Returns whether it is gone.
fn remove_all(directory: &Path, depth: usize) -> bool {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let remove = || fs::remove_dir(directory).map_or_else(|error| gone(&error), |()| true);
    if remove() {
        return true;
    }
    if depth == 0 {
        return false;
    }
    for below in groups_in(directory) {
        remove_all(&below, depth - 1);
    }
    remove()
}

fn groups_in(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    groups.map(|entry| entry.path())
}

/// Makes a group for our groups, unless it is left over from an earlier process of our number and not
/// empty, and takes it for ours.
fn claim(directory: &Path) -> io::Result<Flock<File>> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    lock(directory)
}

/// Fails where a server that lives has it. The lock is in no child after its exec, and goes with its
/// last holder.
fn lock(directory: &Path) -> io::Result<Flock<File>> {
    let file: File = raise(File::open(directory)?.into()).into();
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// Removes what servers that have ended have left, as far as nobody is in it.
fn remove_left_over(parent: &Path) {
    for directory in groups_in(parent) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let pid = name.strip_prefix(PREFIX).map(str::parse::<u32>);
        let is_ours = matches!(pid, Some(Ok(_)));
        if let Some(Ok(_held)) = is_ours.then(|| lock(&directory)) {
            remove_all(&directory, DEEPEST);
        }
    }
}

/// Our own group, if it is ours to divide.
fn delegated() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let membership = read("/proc/self/cgroup")?;
    let mounts = read("/proc/self/mountinfo")?;
    let directory = place_of(&membership, &mounts)
        .ok_or_else(|| "no cgroup v2 that is mounted here has this process".to_owned())?;
    let marks = ["trusted.delegate", "user.delegate"];
    let is_managed = Path::new("/run/systemd/system").exists();
    if is_managed && !marks.iter().any(|name| has_mark(&directory, name)) {
        return Err(format!(
            "systemd has not delegated {} to this service (Delegate=yes)",
            directory.display()
        ));
    }
    Ok(directory)
}

/// systemd.resource-control(5): a group that is delegated has this attribute with the value 1.
fn has_mark(directory: &Path, name: &str) -> bool {
    let (Ok(path), Ok(name)) = (c_string(directory), CString::new(name)) else {
        return false;
    };
    let mut value = [0u8; 2];
    let place = value.as_mut_ptr().cast();
    // SAFETY: two strings that end in NUL; the kernel writes no more than fits.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), place, size_of_val(&value)) };
    length == 1 && value[0] == b'1'
}

/// Where the group of `/proc/PID/cgroup` is in the file system, by `/proc/PID/mountinfo`.
fn place_of(membership: &str, mounts: &str) -> Option<PathBuf> {
    let path = membership
        .lines()
        .find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut words = before.split(' ').skip(3);
        let (root, point) = (plain(words.next()?), plain(words.next()?));
        let below = path.strip_prefix(root.trim_end_matches('/'))?;
        // Outside of the namespace's root a path begins with `/..`.
        let is_within = (below.is_empty() || below.starts_with('/')) && !below.starts_with("/..");
        is_within.then(|| Path::new(&point).join(below.trim_start_matches('/')))
    })
}

/// A word of mountinfo without its escapes: blanks and backslashes are in octal.
fn plain(word: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n")];
    let text = escapes.iter().fold(word.to_owned(), |text, (escape, is)| {
        text.replace(escape, is)
    });
    text.replace("\\134", "\\")
}

fn c_string(path: &Path) -> Result<CString, Errno> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_removed_and_what_a_server_has_is_not() {
        let parent = std::env::temp_dir().join(format!("groups-{}", std::process::id()));
        let group = |name: &str| parent.join(name);
        // The number of a process that lives tells nothing, nor that there is none.
        let left = group(&format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(left.join("1")).unwrap();
        fs::create_dir(group("other-1")).unwrap();
        let held = claim(&group("oxinetd-999999999")).unwrap();
        remove_left_over(&parent);
        assert!(!left.exists());
        assert!(group("oxinetd-999999999").exists());
        assert!(group("other-1").exists());
        drop(held);
        remove_left_over(&parent);
        assert!(!group("oxinetd-999999999").exists());
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn our_own_group_is_found_by_its_mount() {
        let mounts = "25 1 0:22 / /proc rw - proc proc rw\n\
                      30 1 0:26 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let found = |membership| place_of(membership, mounts);
        let unified = "/sys/fs/cgroup/unified";
        assert_eq!(found("3:cpu:/a\n0::/\n"), Some(unified.into()));
        let below = format!("{unified}/a.slice/b c");
        assert_eq!(found("0::/a.slice/b c\n"), Some(below.into()));
        assert_eq!(found("0::/../other\n"), None);
        assert_eq!(found("3:cpu:/a\n"), None);
        let part = "30 1 0:26 /a\\040b /mnt/x\\134y rw - cgroup2 none rw";
        assert_eq!(place_of("0::/a b/c", part), Some("/mnt/x\\y/c".into()));
        assert_eq!(place_of("0::/a b", part), Some("/mnt/x\\y/".into()));
        assert_eq!(place_of("0::/a bc", part), None);
        assert_eq!(place_of("0::/", "none of it"), None);
    }
}
