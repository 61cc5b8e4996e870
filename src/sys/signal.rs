//! Signals as mail: all are blocked for good, and read from a descriptor.
//!
//! Nothing ever runs in a handler, so a child that shares our memory has nothing to undo but the
//! mask.

use super::Errno;
use super::fd::{own, raise};
pub use nix::sys::signal::Signal;
use nix::sys::signal::{SigSet, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Signals are numbered from 1 to this.
const LAST_SIGNAL: i32 = 64;

/// What the supervisor is told by signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mail {
    /// A child ended (SIGCHLD).
    Child,
    /// Read the table again (SIGHUP).
    Reload,
    /// Stop (SIGTERM, SIGINT).
    Stop,
    /// Open log files again (SIGUSR1).
    Reopen,
}

/// The descriptor that signals are read from.
#[derive(Debug)]
pub struct Mailbox {
    signals: OwnedFd,
}

/// Puts every signal back to its default disposition, and blocks all of them. Rust's runtime ignores
/// SIGPIPE and catches SIGSEGV and SIGBUS; whoever started us may have ignored or blocked others; a
/// child must find none of that.
pub fn reset_and_block() -> Result<(), Errno> {
    for number in
        (1..=LAST_SIGNAL).filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number))
    {
        // Handler (SIG_DFL), flags, restorer and mask: four words on every architecture. Not
        // sigaction(3), which keeps two real-time signals to itself.
        let default = [0usize; 4];
        // SAFETY: the default disposition runs no code; the kernel reads 32 bytes at most.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                std::ptr::null_mut::<u8>(),
                8,
            )
        };
    }
    SigSet::all().thread_block()
}

impl Mailbox {
    /// Opens it, above the descriptor floor. The signals must be blocked.
    pub fn open() -> Result<Mailbox, Errno> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGHUP,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGUSR1,
        ] {
            set.add(signal);
        }
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        // SignalFd cannot be taken apart; the duplicate reads the same mail.
        Ok(Mailbox {
            signals: raise(
                signals
                    .as_fd()
                    .try_clone_to_owned()
                    .map_err(|_| Errno::EMFILE)?,
            ),
        })
    }

    /// The next piece of mail, if there is one.
    pub fn take(&mut self) -> Option<Mail> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        while let Ok(length) = nix::unistd::read(&self.signals, &mut info) {
            if length != info.len() {
                return None;
            }
            // The number is the first field (signalfd(2)).
            let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]) as i32;
            match number {
                libc::SIGCHLD => return Some(Mail::Child),
                libc::SIGHUP => return Some(Mail::Reload),
                libc::SIGTERM | libc::SIGINT => return Some(Mail::Stop),
                libc::SIGUSR1 => return Some(Mail::Reopen),
                _ => {}
            }
        }
        None
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

/// A descriptor of the process that has this number now (pidfd_open(2)).
pub(super) fn open_process(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: plain system call.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    Ok(own(Errno::result(number)? as i32))
}

/// Sends a signal to that process, and to no later one of its number.
pub(super) fn signal_process(process: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    // SAFETY: the descriptor is open; without details the kernel fills them in.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal as i32,
            std::ptr::null::<u8>(),
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Sends SIGKILL to one process. The pid must be a child that was not reaped, or it may be anyone's.
pub fn kill_process(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// Sends a signal to a child's whole process group; to the child alone while it has no group yet.
pub fn signal_group(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid);
    if nix::sys::signal::killpg(pid, signal).is_err() {
        let _ = kill(pid, signal);
    }
}

/// Sends a signal to what is left of the group of a child that was reaped.
pub fn signal_left_behind(pid: i32, signal: Signal) {
    let _ = nix::sys::signal::killpg(Pid::from_raw(pid), signal);
}

/// Whether a process group has no member. That of a child which was reaped keeps its number for as
/// long as it has one.
pub fn is_group_empty(pid: i32) -> bool {
    nix::sys::signal::killpg(Pid::from_raw(pid), None) == Err(Errno::ESRCH)
}
