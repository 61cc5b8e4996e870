//! A child's steps without a child: this process becomes the program.
//!
//! The very function that a child runs, on our own descriptors 0, 1 and 2 and in our session. Nothing
//! is shared here, so a failure may be told in ordinary code, with what rights are left.

use super::child::{Args, Stage, Words, child};
use super::{Environment, Plan};
use crate::sys::Errno;
use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

/// Takes the steps of a plan, except those that are a child's alone (a session, a descriptor table),
/// and executes its program. Only for a process with a single thread, whose signals were reset. All
/// descriptors above 2 are closed. When a step fails, `failed` says with which status to exit.
pub fn exec_in_place<F>(plan: &Plan, mut environment: Environment, failed: F) -> !
where
    F: Fn(Stage, Errno) -> u8,
{
    let words = Words {
        exec_at: Default::default(),
        tid: AtomicI32::new(0),
        unshared: AtomicU32::new(0),
        failure: AtomicU64::new(0),
        begun: AtomicU32::new(0),
        failed: Some(tell::<F>),
        context: (&raw const failed).cast(),
    };
    let (envp, listen_pid) = environment.finish(plan);
    let mut found_groups = vec![0; plan.group_count()];
    let args = Args {
        words: &raw const words,
        plan: plan.raw(),
        envp,
        listen_pid,
        stdio: [0, 1, 2],
        listen_fds: std::ptr::null(),
        listen_fd_count: 0,
        found_groups: found_groups.as_mut_ptr(),
        highest: 2,
        shares_files: false,
        is_grouped: false,
        probe: false,
    };
    // SAFETY: all that it points to is in this frame or the caller's, and neither is ever left.
    unsafe { child(&raw const args) }
}

/// What `fail` calls in place of ending a child.
///
/// # Safety
/// `context` is the `F` of [`exec_in_place`].
unsafe extern "C" fn tell<F>(context: *const c_void, stage: Stage, errno: u32) -> !
where
    F: Fn(Stage, Errno) -> u8,
{
    // SAFETY: the caller's promise; the frame that owns it is still there.
    let failed = unsafe { &*context.cast::<F>() };
    std::process::exit(failed(stage, Errno::from_raw(errno as i32)).into())
}
