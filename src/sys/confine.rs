//! What a process can give up by itself, for good, and what it may ask for without privileges.

use super::Errno;
use nix::sys::signal::{SigSet, Signal};
use std::ffi::CStr;

/// Dies with the process that started us (prctl(2), PR_SET_PDEATHSIG). A change of uid undoes it, so
/// it comes after. Whoever was orphaned before this call has to find that out by itself.
pub fn die_with_parent() -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
}

/// No program that we could start gains anything from setuid bits, and nobody of our own uid may
/// trace us or read our memory (prctl(2), PR_SET_NO_NEW_PRIVS and PR_SET_DUMPABLE).
pub fn forgo_privileges() -> Result<(), Errno> {
    nix::sys::prctl::set_no_new_privs()?;
    nix::sys::prctl::set_dumpable(false)
}

/// What ps(1) and top(1) call us (prctl(2), PR_SET_NAME), instead of the name that we were executed by.
pub fn call_ourselves(name: &CStr) -> Result<(), Errno> {
    nix::sys::prctl::set_name(name)
}

/// Blocks SIGPIPE: whoever reads what we write has gone, and write(2) says so itself.
pub fn block_sigpipe() -> Result<(), Errno> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGPIPE);
    set.thread_block()
}
