//! Which process has a socket open: found by /proc (proc(5)). What cannot be read is not found.

use nix::sys::stat;
use std::fs;
use std::os::fd::BorrowedFd;

/// The most processes that are looked at: it is done where nothing else is done meanwhile.
const MOST: usize = 1000;

/// A process that has this socket open: not ourselves, and nobody whom `is_known`. First it is looked
/// for among those that began after `parent`.
pub fn find(socket: BorrowedFd, parent: i32, is_known: impl Fn(i32) -> bool) -> Option<i32> {
    let link = link_of(socket)?;
    let own = std::process::id() as i32;
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut others: Vec<i32> = pids.filter(|pid| *pid != own && !is_known(*pid)).collect();
    others.sort_unstable_by_key(|pid| (*pid < parent, *pid));
    others.truncate(MOST);
    others.into_iter().find(|pid| has(*pid, &link))
}

/// Whether that process still has it.
pub fn holds(pid: i32, socket: BorrowedFd) -> bool {
    link_of(socket).is_some_and(|link| has(pid, &link))
}

fn link_of(socket: BorrowedFd) -> Option<String> {
    Some(format!("socket:[{}]", stat::fstat(socket).ok()?.st_ino))
}

fn has(pid: i32, link: &str) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
    let mut descriptors = descriptors.into_iter().flatten().flatten();
    descriptors
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|found| found.as_os_str() == link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::{AsFd, OwnedFd};
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_that_has_a_socket_is_found_as_long_as_it_has_it() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let given: OwnedFd = socket.try_clone().unwrap().into();
        let mut child = Command::new("/bin/cat")
            .stdin(Stdio::piped())
            .stdout(given)
            .spawn()
            .unwrap();
        let pid = child.id() as i32;
        // What other tests start has all that we have, for a moment.
        assert_eq!(find(socket.as_fd(), pid, |other| other != pid), Some(pid));
        assert_eq!(find(socket.as_fd(), pid, |_| true), None);
        assert!(holds(pid, socket.as_fd()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!holds(pid, socket.as_fd()));
    }
}
