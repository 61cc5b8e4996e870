//! Slots: what one launch in flight needs of memory that the child shares.

use super::child::{Args, Stage, Words, child};
use super::plan::Plan;
use super::raw::CloneArgs;
use super::{Descriptors, Rung, raw};
use crate::sys::Errno;
use crate::sys::cgroup::Group;
use std::ffi::{CStr, c_char};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;

const PAGE: usize = 4096;
/// The child uses less than 200 bytes of it in a release build, some 4,000 in a debug build.
const STACK: usize = if cfg!(debug_assertions) {
    8 * PAGE
} else {
    PAGE
};
/// What is left of it for the stack below the words.
const STACK_SIZE: usize = STACK - size_of::<Words>().next_multiple_of(64);
const SLOTS: usize = 16;
/// Of clone3(2); libc has it in a type that it does not fit in.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Stack, words, arguments and environment of one launch.
#[derive(Debug)]
pub(super) struct Slot {
    /// End of the stack; the words lie above it.
    stack_top: *mut u8,
    pub(super) args: Args,
    pub(super) environment: Environment,
    listen: Vec<RawFd>,
    /// Where the child looks up its groups.
    found_groups: Vec<u32>,
    /// Keeps alive what the child reads.
    pub(super) plan: Option<Rc<Plan>>,
    /// Our copies of the child's descriptors, until its table is its own.
    pub(super) descriptors: Option<Descriptors>,
    /// Where the child was born, until somebody takes it.
    pub(super) group: Option<Group>,
}

impl std::fmt::Debug for Args {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Args")
            .field("stdio", &self.stdio)
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// Sixteen slots in one mapping, each stack with a guard page below. The mapping is shared, so
    /// that even a forked child's words come back; it is never unmapped.
    #[expect(clippy::vec_box, reason = "a child reads the slot: it must never move")]
    pub(super) fn make_chunk() -> Result<Vec<Box<Slot>>, Errno> {
        let each = PAGE + STACK;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping where the kernel likes.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), SLOTS * each, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let mut slots = Vec::with_capacity(SLOTS);
        for index in 0..SLOTS {
            // SAFETY: inside the mapping.
            let guard = unsafe { base.cast::<u8>().add(index * each) };
            // SAFETY: a whole page of ours that nobody uses.
            Errno::result(unsafe { libc::mprotect(guard.cast(), PAGE, libc::PROT_NONE) })?;
            // SAFETY: the last bytes of this slot's part of the mapping; zeroes are valid words.
            let stack_top = unsafe { guard.add(PAGE + STACK_SIZE) };
            slots.push(Box::new(Slot::new(stack_top)));
        }
        Ok(slots)
    }

    fn new(stack_top: *mut u8) -> Slot {
        let args = Args {
            words: stack_top.cast(),
            plan: std::ptr::null(),
            envp: std::ptr::null(),
            listen_pid: std::ptr::null_mut(),
            stdio: [0; 3],
            listen_fds: std::ptr::null(),
            listen_fd_count: 0,
            found_groups: std::ptr::null_mut(),
            highest: 0,
            shares_files: false,
            is_grouped: false,
            probe: false,
        };
        let environment = Environment::default();
        Slot {
            stack_top,
            args,
            environment,
            listen: Vec::new(),
            found_groups: Vec::new(),
            plan: None,
            descriptors: None,
            group: None,
        }
    }

    pub(super) fn words(&self) -> &Words {
        // SAFETY: they lie at `stack_top` for the life of the process, and both sides use them
        // through atomics only.
        unsafe { &*self.stack_top.cast::<Words>() }
    }

    /// Whether the child has left our memory (or there is none).
    pub(super) fn has_left(&self) -> bool {
        self.words().tid.load(Ordering::Acquire) == 0
    }

    /// Fills in everything that the child reads.
    pub(super) fn prepare(&mut self, plan: Rc<Plan>, descriptors: Descriptors, shares_files: bool) {
        self.args.plan = plan.raw();
        let (envp, listen_pid) = self.environment.finish(&plan);
        self.args.envp = envp;
        self.args.listen_pid = listen_pid;
        self.found_groups.resize(plan.group_count(), 0);
        self.args.found_groups = self.found_groups.as_mut_ptr();
        self.args.stdio = descriptors.stdio();
        self.listen = descriptors.listen();
        self.listen.sort_unstable();
        self.args.listen_fds = self.listen.as_ptr();
        self.args.listen_fd_count = self.listen.len();
        let numbers = self.args.stdio.iter().chain(&self.listen);
        self.args.highest = numbers
            .copied()
            .max()
            .unwrap_or(2)
            .max(crate::sys::fd::NULL) as u32;
        self.args.shares_files = shares_files;
        self.plan = Some(plan);
        self.descriptors = Some(descriptors);
    }

    /// The clone. Errors leave no child.
    pub(super) fn clone_child(&mut self, rung: Rung) -> Result<i32, Errno> {
        self.args.is_grouped = false;
        self.reset_words();
        let tid = self.words().tid.as_ptr();
        let args = &raw const self.args;
        // SAFETY: the stack below `stack_top` belongs to this slot, which is not used again before
        // its outcome is taken; the plan, the environment and these arguments live in it until then.
        let result = unsafe { raw::clone(rung.flags(), self.stack_top, tid, child, args) };
        self.made(result)
    }

    /// The clone of a child that is born in its control group. Where the system refuses that, and
    /// does not lack anything, it is born outside.
    pub(super) fn clone_in(
        &mut self,
        rung: Rung,
        group: Group,
        opened: &OwnedFd,
    ) -> Result<i32, Errno> {
        match self.clone_into(rung, opened.as_fd()) {
            Ok(pid) => {
                self.group = Some(group);
                Ok(pid)
            }
            Err(errno) => {
                group.remove();
                match errno {
                    Errno::EAGAIN | Errno::ENOMEM => Err(errno),
                    _ => self.clone_child(rung),
                }
            }
        }
    }

    /// The clone of a child that is born in a control group. Errors leave no child.
    pub(super) fn clone_into(&mut self, rung: Rung, group: BorrowedFd) -> Result<i32, Errno> {
        self.args.is_grouped = true;
        self.reset_words();
        let (flags, exit_signal) = (rung.flags() & !0xff, rung.flags() & 0xff);
        let how = CloneArgs {
            flags: flags as u64 | CLONE_INTO_CGROUP,
            child_tid: self.words().tid.as_ptr() as u64,
            exit_signal: exit_signal as u64,
            stack: self.stack_top as u64 - STACK_SIZE as u64,
            stack_size: STACK_SIZE as u64,
            cgroup: group.as_raw_fd() as u64,
            ..CloneArgs::default()
        };
        // SAFETY: as above.
        let result = unsafe { raw::clone3(&how, child, &raw const self.args) };
        self.made(result)
    }

    fn reset_words(&self) {
        let words = self.words();
        words.unshared.store(0, Ordering::Relaxed);
        words.failure.store(0, Ordering::Relaxed);
        words.exec_at.store(0, Ordering::Relaxed);
        words.begun.store(Stage::Unshare as u32, Ordering::Relaxed);
        words.tid.store(1, Ordering::Release);
    }

    fn made(&self, result: isize) -> Result<i32, Errno> {
        if result < 0 {
            self.words().tid.store(0, Ordering::Relaxed);
            return Err(Errno::from_raw(-result as i32));
        }
        Ok(result as i32)
    }
}

/// The variables of one launch, written into a buffer that is used again and again.
#[derive(Debug, Default)]
pub struct Environment {
    /// `NAME=value\0NAME=value\0…`.
    bytes: Vec<u8>,
    starts: Vec<usize>,
    /// Where the digits of LISTEN_PID go.
    listen_pid: Option<usize>,
    pointers: Vec<*const c_char>,
}

impl Environment {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.listen_pid = None;
    }

    /// Adds a variable. A NUL in the value ends it, as in any environment.
    pub fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        use std::io::Write;
        self.starts.push(self.bytes.len());
        // Writing to a Vec cannot fail.
        let _ = write!(self.bytes, "{name}={value}\0");
    }

    /// Adds LISTEN_PID, which the child fills in itself.
    pub fn set_listen_pid(&mut self) {
        self.set("LISTEN_PID", "0000000000");
        self.listen_pid = Some(self.bytes.len() - "0000000000\0".len());
    }

    /// The array for execve(2): the plan's first variables, these, then the plan's last.
    pub(super) fn finish(&mut self, plan: &Plan) -> (*const *const c_char, *mut u8) {
        self.pointers.clear();
        self.pointers
            .extend(plan.environment_before().map(CStr::as_ptr));
        // SAFETY: each start is inside the buffer, which is not touched again before the launch.
        self.pointers.extend(
            self.starts
                .iter()
                .map(|start| unsafe { self.bytes.as_ptr().add(*start) }.cast()),
        );
        self.pointers
            .extend(plan.environment_after().map(CStr::as_ptr));
        self.pointers.push(std::ptr::null());
        let listen_pid = match self.listen_pid {
            // SAFETY: inside the buffer, with room for ten digits and a NUL behind it.
            Some(place) => unsafe { self.bytes.as_mut_ptr().add(place) },
            None => std::ptr::null_mut(),
        };
        (self.pointers.as_ptr(), listen_pid)
    }
}
