//! Holds every exec of one file in the kernel, as a dead file server would.

#![allow(
    unsafe_code,
    reason = "fanotify(7), which nix offers as a feature only"
)]

use super::DEADLINE;
use super::process::readable_until;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

/// Whoever executes the file waits. To drop it lets all go on, whatever has happened to the test.
#[derive(Debug)]
pub(crate) struct Hold(OwnedFd);

impl Hold {
    /// Holds the execs of this file from now on; an error where the kernel or a container does not
    /// allow it.
    pub(crate) fn of(path: &str) -> io::Result<Hold> {
        let path = CString::new(path).expect("a path without a zero byte");
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        // SAFETY: takes two numbers and returns a new descriptor.
        let group = unsafe { libc::fanotify_init(flags, libc::O_RDONLY as u32) };
        if group < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just opened, and nobody else has it.
        let group = unsafe { OwnedFd::from_raw_fd(group) };
        let (what, here) = (libc::FAN_OPEN_EXEC_PERM, libc::AT_FDCWD);
        // SAFETY: the path is a C string that lives long enough.
        let marked = unsafe {
            libc::fanotify_mark(
                group.as_raw_fd(),
                libc::FAN_MARK_ADD,
                what,
                here,
                path.as_ptr(),
            )
        };
        if marked != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Hold(group))
    }

    /// The pids of the next `count` processes that are held, waited for.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<i32> {
        let deadline = Instant::now() + DEADLINE;
        let mut pids = Vec::new();
        while pids.len() < count {
            assert!(
                readable_until(&self.0, deadline),
                "{} of {count} came to their exec",
                pids.len()
            );
            pids.extend(self.next());
        }
        pids
    }

    /// One held process, if there is one that was not told of yet. It stays held.
    fn next(&self) -> Option<i32> {
        // SAFETY: zeros are a valid event; the kernel fills in as many as fit, which is one.
        let event = unsafe {
            let mut event: libc::fanotify_event_metadata = std::mem::zeroed();
            let size = size_of_val(&event);
            let read = libc::read(self.0.as_raw_fd(), (&raw mut event).cast(), size);
            (read == size as isize).then_some(event)?
        };
        // SAFETY: the kernel has opened the file for us, and says under which number.
        drop(unsafe { OwnedFd::from_raw_fd(event.fd) });
        Some(event.pid)
    }
}
