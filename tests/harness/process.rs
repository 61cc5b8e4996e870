//! Processes of the tests: started with a dirty world when asked, waited for with a deadline, and
//! killed by pid. The only unsafe code of the harness.

#![allow(
    unsafe_code,
    reason = "code between fork and exec, and a system call that nix lacks"
)]

use super::DEADLINE;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

/// Something to do between fork and exec. It must make system calls only: other threads of the test
/// may hold any lock at that moment.
pub(crate) type BeforeExec = Box<dyn FnMut() -> io::Result<()> + Send + Sync>;

/// Has the command keep this descriptor open, under its present number.
pub(crate) fn pass_on(command: &mut Command, fd: &OwnedFd) {
    let fd = fd.as_raw_fd();
    before_exec(
        command,
        // SAFETY: clears a flag of a descriptor that the parent keeps open until the exec.
        Box::new(move || match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }),
    );
}

/// Has the command run as an ordinary user with this id, and as nobody else.
pub(crate) fn become_user(command: &mut Command, id: u32) {
    before_exec(
        command,
        // SAFETY: three system calls that take numbers.
        Box::new(move || unsafe {
            let done = libc::syscall(libc::SYS_setgroups, 0_usize, std::ptr::null::<u32>()) == 0
                && libc::syscall(libc::SYS_setresgid, id, id, id) == 0
                && libc::syscall(libc::SYS_setresuid, id, id, id) == 0;
            if done {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        }),
    );
}

/// Has the command do this in the child before the exec; several are done in order.
pub(crate) fn before_exec(command: &mut Command, action: BeforeExec) {
    // SAFETY: `BeforeExec` says what such a function may do.
    unsafe { command.pre_exec(action) };
}

/// Has the command inherit no descriptor but the first three, whatever the tests were started with.
pub(crate) fn close_others(command: &mut Command) {
    before_exec(
        command,
        // The exec closes them: std still needs one of its own until then.
        // SAFETY: a system call that takes numbers.
        Box::new(|| unsafe {
            let (from, to) = (3_u32, u32::MAX);
            match libc::syscall(libc::SYS_close_range, from, to, libc::CLOSE_RANGE_CLOEXEC) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }),
    );
}

/// Waits for an exit until the deadline; `None` when it did not come.
pub(crate) fn wait_until(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    if let Some(status) = child.try_wait().unwrap() {
        return Some(status);
    }
    // SAFETY: pidfd_open takes two numbers and returns a new descriptor; the child is not reaped.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0_u32) };
    let fd = i32::try_from(fd)
        .ok()
        .filter(|fd| *fd >= 0)
        .expect("pidfd_open");
    // SAFETY: it was just opened, and nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
    readable_until(&pidfd, deadline).then(|| child.wait().unwrap())
}

/// Waits until there is something to read (or an end); false when the deadline has passed.
pub(crate) fn readable_until(fd: &OwnedFd, deadline: Instant) -> bool {
    ready_until(fd, PollFlags::POLLIN, deadline)
}

/// Waits until a descriptor is ready; false when the deadline has passed.
pub(crate) fn ready_until(fd: &OwnedFd, flags: PollFlags, deadline: Instant) -> bool {
    use std::os::fd::AsFd;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd.as_fd(), flags)], timeout) {
            Ok(0) if left.is_zero() => return false,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return true,
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// A descriptor that becomes readable when something in the directory is made or changed.
pub(crate) fn watch_directory(path: &Path) -> OwnedFd {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes()).expect("a path without a zero byte");
    // SAFETY: inotify_init1 returns a new descriptor; the path is a C string that lives long enough.
    unsafe {
        let fd = libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK);
        assert!(fd >= 0, "inotify: {}", io::Error::last_os_error());
        assert!(libc::inotify_add_watch(fd, path.as_ptr(), libc::IN_CREATE | libc::IN_MODIFY) >= 0);
        OwnedFd::from_raw_fd(fd)
    }
}

/// Sends a signal. To a process that is gone it does nothing.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("kill {pid} {signal}: {error}"),
    }
}

/// Kills what may have outlived a test. It must still be a session leader, as every program that the
/// server starts is: a pid that was given to somebody else since is very unlikely to be one.
pub(crate) fn kill_program(pid: u32) {
    let raw = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    if nix::unistd::getsid(Some(raw)) == Ok(raw) {
        let _ = kill(raw, Signal::SIGKILL);
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// Panics, with what the command said, unless it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Ran {
        assert!(
            self.code == Some(0),
            "exit {:?}\n{}{}",
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Runs a command to its end, with nothing to read. Killed, and a panic, after the deadline.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    run_with_input(command, b"")
}

/// Runs a command to its end, with these bytes to read.
#[track_caller]
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Ran {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = collect(child.stdout.take().expect("a pipe"));
    let stderr = collect(child.stderr.take().expect("a pipe"));
    // A command that does not read all of it has its reasons.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let Some(status) = wait_until(&mut child, Instant::now() + 3 * DEADLINE) else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?} did not end");
    };
    Ran {
        code: status.code(),
        stdout: stdout.join().expect("no panic"),
        stderr: stderr.join().expect("no panic"),
    }
}

fn collect(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
