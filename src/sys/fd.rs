//! Descriptors: the zones they live in, and small acts on them.
//!
//! A launch copies the descriptor table up to its connection's number, so numbers matter:
//! 0 to 2 are open from the start, [`LAUNCH_EVENT`] and [`NULL`] are fixed, then comes what belongs
//! to a launch in flight, and everything that lives longer is moved above a floor. The floor is an
//! optimisation: a connection above it costs more to launch, nothing else.

use super::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The eventfd that a child writes when its descriptor table is its own. Below every connection, or
/// the child would lose it in that very act.
pub const LAUNCH_EVENT: RawFd = 3;

/// `/dev/null`, read and write, for programs that are given no socket.
pub const NULL: RawFd = 4;

const DEFAULT_FLOOR: RawFd = 512;
static FLOOR: AtomicI32 = AtomicI32::new(DEFAULT_FLOOR);

/// Sets the floor for a soft descriptor limit of `nofile`: 512, or half the limit when it is small.
pub fn set_floor(nofile: u64) {
    let half = RawFd::try_from(nofile / 2).unwrap_or(DEFAULT_FLOOR);
    FLOOR.store(half.min(DEFAULT_FLOOR), Ordering::Relaxed);
}

/// Moves a descriptor that will live long above the floor, close-on-exec. Where no number is left
/// there it stays where it is.
pub fn raise(fd: OwnedFd) -> OwnedFd {
    let floor = FLOOR.load(Ordering::Relaxed);
    if fd.as_raw_fd() >= floor {
        return fd;
    }
    duplicate_from(fd.as_fd(), floor).unwrap_or(fd)
}

/// Duplicates a descriptor to the lowest free number above the fixed ones, close-on-exec: what a
/// launch needs of something that lives above the floor.
pub fn lower(fd: BorrowedFd) -> Result<OwnedFd, Errno> {
    duplicate_from(fd, NULL + 1)
}

fn duplicate_from(fd: BorrowedFd, lowest: RawFd) -> Result<OwnedFd, Errno> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(lowest)).map_err(|errno| match errno {
        // The limit does not even reach `lowest`.
        Errno::EINVAL => Errno::EMFILE,
        errno => errno,
    })?;
    // SAFETY: fcntl has just made this descriptor, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Takes a descriptor that the kernel has just handed out.
pub(super) fn own(number: RawFd) -> OwnedFd {
    // SAFETY: callers in `sys` pass the result of a system call that made the descriptor.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Closes whatever we inherited above 2, opens what is missing of 0 to 2 on `/dev/null`, and takes
/// the two fixed numbers. The first act of the supervisor: afterwards a new descriptor is never one
/// of 0 to 4. Descriptors in `keep` (above 2) survive, moved above the floor, in the same order; those that
/// are not open are `None`.
pub fn tidy(keep: &[RawFd]) -> Result<Vec<Option<OwnedFd>>, Errno> {
    for number in 0..3 {
        // SAFETY: F_GETFD on a number that may be closed only answers EBADF.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
            // The lowest free number is `number`, since those below it are open.
            let null = open("/dev/null", OFlag::O_RDWR, Mode::empty())?;
            std::mem::forget(null);
        }
    }
    // Above all of them, or a copy would be taken for one that is still to come. Where the limit does
    // not reach so far that could only be one that was named and not given.
    let above_fixed = 10;
    let above_all = keep.iter().fold(above_fixed, |lowest, number| {
        lowest.max(number.saturating_add(1))
    });
    let kept: Vec<Option<OwnedFd>> = keep
        .iter()
        .map(|number| {
            if *number < 3 {
                return None;
            }
            // SAFETY: the caller says that these numbers were given to us to own; a closed one fails
            // in fcntl.
            let given = unsafe { BorrowedFd::borrow_raw(*number) };
            let copy = duplicate_from(given, above_all);
            copy.or_else(|_| duplicate_from(given, above_fixed)).ok()
        })
        .collect();
    close_all_but(&kept);
    // 0 to 2 are open and what we keep is at 10 or above, so these are 3 and 4.
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    if event.as_fd().as_raw_fd() != LAUNCH_EVENT || null.as_raw_fd() != NULL {
        return Err(Errno::EBADF);
    }
    std::mem::forget((event, null));
    Ok(kept.into_iter().map(|fd| fd.map(raise)).collect())
}

/// Closes every descriptor above 2 except these.
fn close_all_but(kept: &[Option<OwnedFd>]) {
    let open = kept.iter().flatten();
    let mut numbers: Vec<u32> = open.map(|fd| fd.as_raw_fd() as u32).collect();
    numbers.sort_unstable();
    let mut from = 3;
    for number in numbers.into_iter().chain([u32::MAX]) {
        if number > from {
            close_range(from, number.saturating_sub(1));
        }
        from = number.saturating_add(1);
    }
}

/// close_range(2); where the kernel lacks it or a container forbids it, one by one as /proc tells.
fn close_range(first: u32, last: u32) {
    // SAFETY: closes descriptors of which nobody in this process has an owner: called at start only.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return;
    }
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|e| e.file_name().to_str()?.parse().ok())
                .collect()
        })
        .unwrap_or_else(|_| (3..1024).collect());
    for number in open {
        if (first..=last).contains(&(number as u32)) {
            // SAFETY: as above.
            unsafe { libc::close(number) };
        }
    }
}

/// The eventfd at [`LAUNCH_EVENT`].
pub fn launch_event() -> BorrowedFd<'static> {
    // SAFETY: `tidy` put it there for the life of the process.
    unsafe { BorrowedFd::borrow_raw(LAUNCH_EVENT) }
}

/// `/dev/null` at [`NULL`].
pub fn null() -> BorrowedFd<'static> {
    // SAFETY: `tidy` put it there for the life of the process.
    unsafe { BorrowedFd::borrow_raw(NULL) }
}

/// Sets or clears O_NONBLOCK, which belongs to the open file and is shared with whoever else has it.
pub fn set_nonblocking(fd: BorrowedFd, on: bool) -> Result<(), Errno> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let wanted = if on {
        flags | OFlag::O_NONBLOCK
    } else {
        flags & !OFlag::O_NONBLOCK
    };
    if wanted != flags {
        fcntl(fd, FcntlArg::F_SETFL(wanted))?;
    }
    Ok(())
}

/// Clears all flags of an open file that may be changed (fcntl(2), F_SETFL). Returns what they were, if
/// any was set, in words.
pub fn clear_flags(fd: BorrowedFd) -> Option<&'static str> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).ok()?);
    let found = flags & (OFlag::O_NONBLOCK | OFlag::O_ASYNC | OFlag::O_APPEND | OFlag::O_DIRECT);
    if found.is_empty() {
        return None;
    }
    fcntl(fd, FcntlArg::F_SETFL(flags & !found)).ok()?;
    Some(match found.contains(OFlag::O_NONBLOCK) {
        true => "it does not block any more",
        false => "its flags were changed",
    })
}

/// An anonymous file in memory, close-on-exec.
pub fn memory_file(name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    // SAFETY: `name` is a C string that outlives the call.
    Errno::result(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) }).map(own)
}
