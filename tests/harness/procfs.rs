//! More of what /proc tells: states, children, sockets.

use std::collections::BTreeSet;
use std::fs;

/// A line of `/proc/PID/status` without its name, its words with one space between them.
#[track_caller]
pub(crate) fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let words: Vec<&str> = found
        .unwrap_or_else(|| panic!("no {key}"))
        .split_whitespace()
        .collect();
    words.join(" ")
}

/// Whether the process exists and is not just waiting to be reaped.
pub(crate) fn is_running(pid: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the state may hold anything, parentheses too.
    text.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The children of a process, as ids of our own namespace.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let text =
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the process lives");
    text.split_whitespace()
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}

/// The inodes of the listening TCP sockets and bound UDP sockets of this port.
pub(crate) fn socket_inodes(port: u16) -> BTreeSet<u64> {
    let mut inodes = BTreeSet::new();
    for (table, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
        let suffix = format!(":{port:04X}");
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[1].ends_with(&suffix) && words[3] == state {
                inodes.insert(words[9].parse().expect("an inode"));
            }
        }
    }
    inodes
}
