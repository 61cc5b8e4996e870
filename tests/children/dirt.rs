//! Worlds to start a server in: each function returns what to do between fork and exec.
//!
//! System calls only, see `harness::process::BeforeExec`; what needs memory is prepared before.

#![allow(unsafe_code, reason = "code between fork and exec")]
#![allow(
    clippy::unnecessary_cast,
    reason = "musl gives these numbers another type"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// An action for `Builder::before_exec`.
pub(super) type Dirt = Box<dyn FnMut() -> io::Result<()> + Send + Sync>;

/// For a system call that would also tell what was before.
const NOWHERE: usize = 0;

/// Bytes of the kernel's set of signals.
const SET_SIZE: usize = 8;

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Soft and hard limit on descriptors in a known world.
const DESCRIPTORS: (u64, u64) = (1024, 4096);

/// What `plain.txt` was written for: limits, umask and nice value that do not depend on the machine.
/// The limit on processes stays as it is: it counts everything that the user runs, also for other
/// tests. Limits that are not named are taken to be unlimited.
pub(super) fn known_world() -> Dirt {
    const LIMITS: [(u32, u64, u64); 8] = [
        (libc::RLIMIT_CORE as u32, 0, 0),
        (libc::RLIMIT_MEMLOCK as u32, 65536, 65536),
        (libc::RLIMIT_MSGQUEUE as u32, 100_000, 100_000),
        (libc::RLIMIT_NICE as u32, 0, 0),
        (libc::RLIMIT_NOFILE as u32, DESCRIPTORS.0, DESCRIPTORS.1),
        (libc::RLIMIT_RTPRIO as u32, 0, 0),
        (libc::RLIMIT_SIGPENDING as u32, 1500, 2000),
        (libc::RLIMIT_STACK as u32, 8 << 20, 16 << 20),
    ];
    Box::new(|| {
        for (resource, soft, hard) in LIMITS {
            set_limit(resource, soft, hard)?;
        }
        // SAFETY: numbers only.
        unsafe {
            libc::umask(0o22);
            check(libc::setpriority(libc::PRIO_PROCESS, 0, 0))
        }
    })
}

/// What opens more: tests hold thousands of descriptors at times, which are all there until the exec.
fn with_room(mut open: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Dirt {
    const NOFILE: u32 = libc::RLIMIT_NOFILE as u32;
    Box::new(move || {
        let (soft, hard) = DESCRIPTORS;
        set_limit(NOFILE, hard, hard)?;
        open()?;
        set_limit(NOFILE, soft, hard)
    })
}

fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: one structure of ours. The number's type differs between C libraries.
    check(unsafe { libc::setrlimit(resource as _, &raw const limit) })
}

/// Another soft and hard limit.
pub(super) fn limit(resource: u32, soft: u64, hard: u64) -> Dirt {
    Box::new(move || set_limit(resource, soft, hard))
}

/// These descriptors closed.
pub(super) fn closed(fds: &'static [i32]) -> Dirt {
    Box::new(move || {
        // SAFETY: the process belongs to the test; nobody uses these before the exec.
        let close = |fd: &i32| check(unsafe { libc::close(*fd) });
        fds.iter().try_for_each(close)
    })
}

/// 0 to 2 replaced by copies of this descriptor.
pub(super) fn standard(fd: OwnedFd) -> Dirt {
    Box::new(move || {
        // SAFETY: as in `closed`.
        (0..3).try_for_each(|target| check(unsafe { libc::dup2(fd.as_raw_fd(), target) }))
    })
}

/// So many more copies of descriptor 0, from this number on, kept over the exec.
pub(super) fn extra_fds(first: i32, count: i32) -> Dirt {
    with_room(move || {
        // SAFETY: new descriptors, of nobody's.
        (0..count).try_for_each(|_| check(unsafe { libc::fcntl(0, libc::F_DUPFD, first) }))
    })
}

/// Every signal blocked.
pub(super) fn all_blocked() -> Dirt {
    Box::new(|| {
        let all = u64::MAX;
        // SAFETY: the kernel's set of signals is eight bytes.
        let done = unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const all,
                NOWHERE,
                SET_SIZE,
            )
        };
        check(done as i32)
    })
}

/// These signals ignored, whoever may.
pub(super) fn ignored(signals: impl IntoIterator<Item = i32>) -> Dirt {
    let signals: Vec<i32> = signals.into_iter().collect();
    Box::new(move || {
        for signal in &signals {
            // The handler, SIG_IGN, is the first word.
            let action = [1_u64, 0, 0, 0];
            // SAFETY: the kernel's sigaction is at most four words. It refuses SIGKILL and SIGSTOP.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    *signal,
                    action.as_ptr(),
                    NOWHERE,
                    SET_SIZE,
                )
            };
        }
        Ok(())
    })
}

/// These signals blocked, and pending.
pub(super) fn pending(signals: &'static [i32]) -> Dirt {
    Box::new(move || {
        let set = signals
            .iter()
            .fold(0_u64, |set, signal| set | 1 << (signal - 1));
        // SAFETY: as in `all_blocked`; the signals stay pending, since they are blocked.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_BLOCK,
                &raw const set,
                NOWHERE,
                SET_SIZE,
            );
            signals
                .iter()
                .try_for_each(|signal| check(libc::kill(libc::getpid(), *signal)))
        }
    })
}

/// This umask.
pub(super) fn umask(mask: u32) -> Dirt {
    Box::new(move || {
        // SAFETY: a number of the process.
        unsafe { libc::umask(mask) };
        Ok(())
    })
}

/// A working directory that was removed.
pub(super) fn deleted_directory() -> Dirt {
    let path = CString::new(format!("/tmp/oxinetd-gone-{}", std::process::id())).expect("no zero");
    Box::new(move || {
        // SAFETY: C strings that live as long as the closure.
        unsafe {
            check(libc::mkdir(path.as_ptr(), 0o700))?;
            check(libc::chdir(path.as_ptr()))?;
            check(libc::rmdir(path.as_ptr()))
        }
    })
}

/// This nice value.
pub(super) fn nice(value: i32) -> Dirt {
    // SAFETY: numbers only.
    Box::new(move || check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) }))
}

/// A session of its own.
pub(super) fn own_session() -> Dirt {
    // SAFETY: takes nothing.
    Box::new(|| check(unsafe { libc::setsid() }))
}

/// A process group of its own.
pub(super) fn own_process_group() -> Dirt {
    // SAFETY: numbers only.
    Box::new(|| check(unsafe { libc::setpgid(0, 0) }))
}

/// A session with a controlling terminal, which is also 0 to 2.
pub(super) fn controlling_terminal() -> Dirt {
    let mut name = [0 as libc::c_char; 64];
    // SAFETY: a new terminal; its name goes into an array of ours of the length that is said.
    // It stays open as long as the tests run: when it is closed, the session gets SIGHUP.
    unsafe {
        let main = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(
            main >= 0 && libc::unlockpt(main) == 0,
            "{}",
            io::Error::last_os_error()
        );
        assert_eq!(libc::ptsname_r(main, name.as_mut_ptr(), name.len()), 0);
    }
    with_room(move || {
        // SAFETY: the name is a C string of the closure; the rest are numbers.
        unsafe {
            check(libc::setsid())?;
            let terminal = libc::open(name.as_ptr(), libc::O_RDWR);
            check(terminal)?;
            check(libc::ioctl(terminal, libc::TIOCSCTTY, 0))?;
            for target in 0..3 {
                check(libc::dup2(terminal, target))?;
            }
        }
        Ok(())
    })
}

/// These supplementary groups.
pub(super) fn groups(groups: &'static [u32]) -> Dirt {
    Box::new(move || {
        // SAFETY: a list of ours and its length.
        let done = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
        check(done as i32)
    })
}

/// An option of prctl(2) with one number.
pub(super) fn process_option(option: i32, value: u64) -> Dirt {
    // SAFETY: options that take numbers.
    Box::new(move || check(unsafe { libc::prctl(option, value, 0_u64, 0_u64, 0_u64) }))
}

/// All three timers of setitimer(2) running, due in an hour.
pub(super) fn timers() -> Dirt {
    Box::new(|| {
        let hour = libc::timeval {
            tv_sec: 3600,
            tv_usec: 0,
        };
        let value = libc::itimerval {
            it_interval: hour,
            it_value: hour,
        };
        for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
            // SAFETY: one structure of ours. The number's type differs between C libraries.
            check(unsafe { libc::setitimer(timer as _, &raw const value, std::ptr::null_mut()) })?;
        }
        Ok(())
    })
}

/// Standard descriptors that do not block: a flag of the open file, shared by all copies.
pub(super) fn nonblocking() -> Dirt {
    Box::new(|| {
        // SAFETY: numbers only; the parent's ends of the pipes are other open files.
        (0..3).try_for_each(|fd| check(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) }))
    })
}
