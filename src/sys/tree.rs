//! What a process has started: found by /proc, told from later processes of the same numbers by the
//! time of their start (proc(5)), and signalled by descriptor (pidfd_open(2)).
//!
//! A process that adopts what its descendants leave behind (PR_SET_CHILD_SUBREAPER) keeps its tree
//! whole while it lives, whatever sessions they begin. What is left when it ends comes to the next that
//! adopts: to us, if we do. It is told from others by the environment that it was given. What cannot
//! be read is not found.

use super::Errno;
use super::signal::{Signal, open_process, signal_process};
use std::fs;

/// The most that is remembered of one tree, so that a fork bomb does not become ours.
const MOST: usize = 1024;

/// A process, and no later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    /// In the kernel's ticks since boot.
    start: u64,
}

/// Descendants of a process that are known.
#[derive(Debug, Default)]
pub struct Tree {
    known: Vec<Process>,
}

impl Tree {
    /// Looks for descendants of the root, where that still lives, and of all that are known; forgets
    /// who has ended. Returns whether new ones were found.
    pub fn grow(&mut self, root: Option<i32>) -> bool {
        let before = self.known.len();
        if let Some(root) = root {
            self.add_children(root);
        }
        let mut next = 0;
        while let Some(process) = self.known.get(next).copied() {
            if process.is_alive() {
                self.add_children(process.pid);
            }
            next += 1;
        }
        let has_grown = self.known.len() > before;
        self.known.retain(|process| process.is_alive());
        has_grown
    }

    /// Adds one that was found to be of this tree. It must be a child of ours that was not reaped.
    pub fn add(&mut self, pid: i32) {
        if let Some(process) = Process::of(pid) {
            self.remember(process);
        }
    }

    /// Whether nobody that is known lives.
    pub fn is_empty(&mut self) -> bool {
        self.known.retain(|process| process.is_alive());
        self.known.is_empty()
    }

    /// Sends a signal to all that are known.
    pub fn signal(&self, signal: Signal) {
        for process in &self.known {
            let _ = process.signal(signal);
        }
    }

    fn add_children(&mut self, pid: i32) {
        for process in children_of(pid).into_iter().filter_map(Process::of) {
            self.remember(process);
        }
    }

    fn remember(&mut self, process: Process) {
        if self.known.len() < MOST && !self.known.contains(&process) {
            self.known.push(process);
        }
    }
}

/// Makes our children what our descendants leave behind when they end (PR_SET_CHILD_SUBREAPER). They
/// are ours to reap from now on.
pub fn adopt_orphans() -> Result<(), Errno> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// Our own children, those that have ended and were not reaped too.
pub fn own_children() -> Vec<i32> {
    children_of(std::process::id() as i32)
}

fn children_of(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let mut children = Vec::new();
    // Each thread has children of its own.
    for thread in threads.into_iter().flatten().flatten() {
        let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
    }
    children
}

/// The environment that a process, or the one that it was forked from, was executed with: NAME=VALUE
/// each. Empty where it cannot be read, and for a moment during an exec.
pub fn environment_of(pid: i32) -> Vec<Vec<u8>> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0);
    words
        .filter(|word| !word.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

impl Process {
    /// The one that has this number now; `None` for one that has ended.
    fn of(pid: i32) -> Option<Process> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let start = start_of(&text)?;
        Some(Process { pid, start })
    }

    fn is_alive(self) -> bool {
        Process::of(self.pid) == Some(self)
    }

    fn signal(self, signal: Signal) -> Result<(), Errno> {
        let process = open_process(self.pid)?;
        // The descriptor is of whoever has the number; only now is it known who that is.
        if !self.is_alive() {
            return Err(Errno::ESRCH);
        }
        signal_process(&process, signal)
    }
}

/// The time of start in a `stat` file; `None` for a process that has ended. The name in front may
/// hold anything, parentheses too.
fn start_of(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split_whitespace();
    // Field 3 is the state, field 22 the start.
    match words.next()? {
        "Z" | "X" => None,
        _ => words.nth(18)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Command, Stdio};

    #[test]
    fn what_a_process_has_started_is_found_below_what_it_has_started() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "sh -c 'sleep 65 & echo ready; wait'; :"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let mut tree = Tree::default();
        assert!(tree.grow(Some(child.id() as i32)));
        assert_eq!(tree.known.len(), 2);
        assert!(!tree.grow(Some(child.id() as i32)));
        tree.signal(Signal::SIGKILL);
        child.wait().unwrap();
        // Who adopts the grandchild reaps it, or leaves a zombie.
        while !tree.is_empty() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_child_is_known_by_the_environment_that_it_was_given() {
        let mut child = Command::new("/bin/cat")
            .env("MARK", "a b")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The kernel tells of an exec before the new environment is in place.
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let stdout = child.stdout.as_mut().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        let pid = child.id() as i32;
        assert!(own_children().contains(&pid));
        let has = |word: &str| environment_of(pid).contains(&word.as_bytes().to_vec());
        assert!(has("MARK=a b"));
        assert!(!has("MARK=a"));
        let mut tree = Tree::default();
        tree.add(pid);
        assert!(!tree.is_empty());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(tree.is_empty());
        assert!(environment_of(pid).is_empty());
    }

    #[test]
    fn a_name_does_not_hide_the_time_of_start() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_of(&format!("9 (a) R (b) {fields}")), Some(4711));
        assert_eq!(start_of("9 (a) Z 1 2 3"), None);
        assert_eq!(start_of(""), None);
    }
}
