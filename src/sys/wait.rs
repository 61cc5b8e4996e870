//! Children that have ended: wait4(2), with what they used.

use super::Errno;
use super::fd::{own, raise};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it.
    Killed(i32),
}

/// A child that was reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Who.
    pub pid: i32,
    /// How.
    pub status: Status,
    /// Processor time that it and the children it waited for used, user and system.
    pub cpu: Duration,
    /// The largest resident set of any of them, in kibibytes.
    pub max_rss: u64,
}

/// Reaps any child that has ended; `None` when none has.
pub fn next_exit() -> Option<Exit> {
    wait4(-1, libc::WNOHANG).ok().flatten()
}

/// Reaps this child if it has ended.
pub fn exit_of(pid: i32) -> Option<Exit> {
    wait4(pid, libc::WNOHANG).ok().flatten()
}

/// Waits until this child has ended. Only for the short helpers of start-up.
pub fn wait_for(pid: i32) -> Result<Status, Errno> {
    loop {
        match wait4(pid, 0) {
            Ok(Some(exit)) => return Ok(exit.status),
            Ok(None) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn wait4(pid: i32, options: i32) -> Result<Option<Exit>, Errno> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to buffers of ours of the right type.
    let pid = Errno::result(unsafe { libc::wait4(pid, &mut status, options, usage.as_mut_ptr()) })?;
    if pid == 0 {
        return Ok(None);
    }
    // SAFETY: zeroed above, and every bit pattern is a valid rusage.
    let usage = unsafe { usage.assume_init() };
    let status = if libc::WIFEXITED(status) {
        Status::Exited(libc::WEXITSTATUS(status) as u8)
    } else {
        Status::Killed(libc::WTERMSIG(status))
    };
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    Ok(Some(Exit {
        pid,
        status,
        cpu,
        max_rss: usage.ru_maxrss as u64,
    }))
}

/// Our own peak memory in KiB. A child's is never told as less: it begins with our memory, and the
/// kernel keeps the peak over exec. VmHWM of proc(5), since what getrusage(2) tells of us is in turn the
/// peak of whoever has started us.
pub fn own_max_rss() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
    number.unwrap_or(u64::MAX)
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

/// A descriptor that becomes readable when the child ends (pidfd_open(2)), above the floor.
pub fn pidfd(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: plain system call; the pid is a child that was not reaped, so it names nobody else.
    let number = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    Ok(raise(own(number as i32)))
}

/// The signal's name without SIG, or its number.
pub fn signal_name(number: i32) -> std::borrow::Cow<'static, str> {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().trim_start_matches("SIG").into(),
        Err(_) => number.to_string().into(),
    }
}
