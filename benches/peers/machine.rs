//! What the kernel tells of processes and of the machine. Whoever has gone counts as nothing.

use std::fs::read_to_string;
use std::time::{Duration, Instant};

/// A process and the children that it has now.
pub(crate) fn with_children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = read_to_string(path).unwrap_or_default();
    let numbers = children
        .split_whitespace()
        .filter_map(|word| word.parse().ok());
    [pid].into_iter().chain(numbers).collect()
}

/// Seconds of processor time that these used themselves, without their children (they have one
/// thread each).
pub(crate) fn cpu(pids: &[u32]) -> f64 {
    let of = |pid: &u32| -> Option<f64> {
        let text = read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    pids.iter().filter_map(of).sum::<f64>() / 1e9
}

/// Seconds in which the machine's processors were busy, with whatever else it does. In steps of a
/// hundredth.
pub(crate) fn busy() -> f64 {
    let text = read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal.
    let sum = |places: &[usize]| places.iter().filter_map(|place| ticks.get(*place)).sum();
    let ticks: f64 = sum(&[0, 1, 2, 5, 6]);
    ticks / 100.0
}

/// Memory that these have for themselves and have written to, in KiB.
pub(crate) fn private_dirty(pids: &[u32]) -> u64 {
    // Pages of files that were just written are dirty too until this.
    nix::unistd::sync();
    let of = |pid: &u32| -> Option<u64> {
        let text = read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text
            .lines()
            .find(|line| line.starts_with("Private_Dirty:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    pids.iter().filter_map(of).sum()
}

/// How often these began or ceased to run.
pub(crate) fn switches(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> u64 {
        let text = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains("ctxt_switches"));
        lines
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum()
    };
    pids.iter().map(of).sum()
}

/// Asks again and again, for so long at most, until the answer is yes; the time that took.
pub(crate) fn wait_until(limit: Duration, mut asked: impl FnMut() -> bool) -> Option<Duration> {
    let since = Instant::now();
    while !asked() {
        if since.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Some(since.elapsed())
}

/// What the tables were made on.
pub(crate) fn description() -> String {
    let first = |path: &str, name: &str| {
        let text = read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once([':', '=']));
        value.map_or(String::new(), |(_, value)| {
            value.trim().trim_matches('"').to_owned()
        })
    };
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{}, {} processors ({}), Linux {}, load average {}",
        first("/etc/os-release", "PRETTY_NAME"),
        std::thread::available_parallelism().map_or(0, usize::from),
        first("/proc/cpuinfo", "model name"),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}
