//! What /proc tells of a process, and its limits.

use super::DEADLINE;
use super::process::run;
use std::process::Command;
use std::time::{Duration, Instant};

/// Waits until something is so that nobody tells of, as states in /proc are.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        let _ = nix::poll::poll(&mut [], 5_u8);
    }
}

/// What the descriptors of a process are: `socket:[1]`, `pipe:[2]`, `anon_inode:[pidfd]`, `/path`.
pub(crate) fn open_descriptors(pid: u32) -> Vec<String> {
    let listed = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("/proc/PID/fd");
    listed
        .flatten()
        .filter_map(|fd| Some(fd.path().read_link().ok()?.to_string_lossy().into_owned()))
        .collect()
}

/// Processor time that a process has used, in user and kernel mode.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("/proc/PID/stat");
    let after_name = stat.rsplit(')').next().expect("fields");
    let ticks: u64 = after_name
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum();
    let in_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    let in_second = in_second.ok().flatten().expect("ticks in a second") as u64;
    Duration::from_millis(ticks * 1000 / in_second)
}

/// The inode of the TCP socket that listens on this port of 127.0.0.1: the same socket has the same.
pub(crate) fn listening_inode(address: &str) -> Option<String> {
    let port = address.rsplit(':').next()?.parse::<u16>().ok()?;
    let local = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let lines = table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields.get(1) == Some(&local.as_str()) && fields.get(3) == Some(&"0A"))
        .find_map(|fields| Some(fields.get(9)?.to_string()))
}

/// Sets the soft limit of a process on descriptors; a limit of a running process is in force at once.
#[track_caller]
pub(crate) fn limit_descriptors(pid: u32, soft: u64) {
    let limit = format!("--nofile={soft}:");
    run(Command::new("prlimit").args(["--pid", &pid.to_string(), &limit])).ok();
}

/// The soft limit of a process on descriptors.
pub(crate) fn descriptor_limit(pid: u32) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("/proc/PID/limits");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.expect("a limit").parse().expect("a number")
}
