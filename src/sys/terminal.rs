//! What a command must know of the terminal that it writes to.

use super::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

/// Columns of a terminal; `None` for anything else, and for terminals that do not know.
pub fn columns(terminal: impl AsFd) -> Option<usize> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: TIOCGWINSZ fills in a winsize, which this is.
    let result = unsafe {
        libc::ioctl(
            terminal.as_fd().as_raw_fd(),
            libc::TIOCGWINSZ,
            size.as_mut_ptr(),
        )
    };
    Errno::result(result).ok()?;
    // SAFETY: zeroed above, which is a valid winsize.
    let columns = unsafe { size.assume_init() }.ws_col;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}
