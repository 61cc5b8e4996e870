//! Making children: nothing is copied, nothing waits.
//!
//! A child shares our memory until it execs, and our descriptor table until its first act, which is
//! to copy the few descriptors that it needs. The supervisor goes on at once, so a hanging exec
//! stops nobody else. What is shared has rules: a [`Plan`] lives as long as a launch uses it, a slot
//! (small stack, words, environment) is used again only after its [`Outcome`] was taken, and the
//! parent closes its copies of the child's descriptors only when the child's table is its own.
//!
//! Where the kernel or a container forbids a step, [`Spawner::new`] finds out by trying and takes
//! the next [`Rung`] of the ladder. Failures come back as a [`Stage`] and an errno.

mod child;
mod in_place;
mod plan;
mod raw;
mod slot;

pub use child::Stage;
pub use in_place::exec_in_place;
pub use plan::{Identity, Plan, PlanSpec};
pub use slot::Environment;

use super::Errno;
use super::cgroup::{Group, Groups};
use super::fd::{self, NULL};
use super::time::monotonic_nanos;
use child::Args;
use slot::Slot;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Descriptors that are copied in no more time than it takes to wake us: measured, benches/README.md.
const SMALL_TABLE: usize = 50;

/// A way to make a child, fastest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// Shares memory and descriptor table, and the parent goes on at once.
    Share,
    /// Shares memory; the descriptor table is copied.
    Memory,
    /// Shares memory, and the parent waits for the exec.
    Vfork,
    /// Shares nothing. For debuggers, sanitizers, and as the reference.
    Fork,
}

impl Rung {
    const LADDER: [Rung; 4] = [Rung::Share, Rung::Memory, Rung::Vfork, Rung::Fork];

    /// The word for it in `OXINETD_SPAWN` and the log.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Share => "share",
            Rung::Memory => "memory",
            Rung::Vfork => "vfork",
            Rung::Fork => "fork",
        }
    }

    /// The rung that is called so.
    pub fn by_name(name: &str) -> Option<Rung> {
        Rung::LADDER.into_iter().find(|rung| rung.name() == name)
    }

    fn flags(self) -> usize {
        let share = match self {
            Rung::Share => libc::CLONE_VM | libc::CLONE_FILES,
            Rung::Memory => libc::CLONE_VM,
            Rung::Vfork => libc::CLONE_VM | libc::CLONE_VFORK,
            Rung::Fork => 0,
        };
        (share | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD) as usize
    }

    fn is_possible(self) -> bool {
        match self {
            Rung::Share | Rung::Memory => raw::CAN_SHARE_MEMORY && !dumps_setuid_memory(),
            Rung::Vfork => !dumps_setuid_memory(),
            Rung::Fork => true,
        }
    }
}

/// With fs.suid_dumpable = 1 a change of uid leaves memory traceable: then the service's user could
/// read ours through a child that still has it.
fn dumps_setuid_memory() -> bool {
    std::fs::read("/proc/sys/fs/suid_dumpable").is_ok_and(|text| text.starts_with(b"1"))
}

/// Which descriptors a child gets. All but [`NULL`] belong to the launch: the spawner closes them
/// when the child has its own.
#[derive(Debug)]
pub enum Descriptors {
    /// One socket or terminal on 0 and 1, and on 2 unless there is something else for it.
    Socket(OwnedFd, Option<StandardError>),
    /// `/dev/null` on 0 and 1, sockets on 3 and up, and what is given on 2.
    Listen(Vec<OwnedFd>, StandardError),
    /// The ends of two pipes on 0 and 1, and that on 1 also on 2 unless there is something else for it.
    Pipes(OwnedFd, OwnedFd, Option<StandardError>),
    /// Exactly these on 0 and 1, and ours on 2: for the server's own helpers.
    Helper(OwnedFd, OwnedFd),
}

/// Descriptor 2 of a child.
#[derive(Debug)]
pub enum StandardError {
    /// Nothing, or the file that the plan names.
    Null,
    /// This end of a pipe.
    Pipe(OwnedFd),
}

/// A launch in flight: a slot, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotId(u32);

/// How a launch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The program runs (or ran).
    Executed,
    /// It was not run.
    Failed(Stage, Errno),
}

/// A child that was made. It has not yet exec'd, as far as we know.
#[derive(Debug, Clone, Copy)]
pub struct Spawned {
    /// Its process id.
    pub pid: i32,
    /// Its slot.
    pub slot: SlotId,
}

/// Makes children. One in a process, in its only thread.
#[derive(Debug)]
pub struct Spawner {
    rung: Rung,
    /// Whether the rung was not asked for: then a small descriptor table may be copied.
    is_free: bool,
    /// Whether copying our descriptor table costs less than to be told when a child has its own.
    table_is_small: bool,
    #[expect(clippy::vec_box, reason = "a child reads its slot: it must never move")]
    slots: Vec<Box<Slot>>,
    free: Vec<u32>,
    /// Where children whose tree is kept are born, if there is such a place.
    groups: Option<Groups>,
}

impl Spawner {
    /// Finds the fastest rung that works here, by making a child on each in turn; `wanted` starts
    /// further down the ladder. All signals must be blocked and [`fd::tidy`] done.
    pub fn new(wanted: Option<Rung>) -> Result<Spawner, Errno> {
        let mut spawner = Spawner {
            rung: Rung::Fork,
            is_free: wanted.is_none(),
            table_is_small: false,
            slots: Vec::new(),
            free: Vec::new(),
            groups: None,
        };
        let first = wanted.unwrap_or(Rung::Share);
        let candidates = Rung::LADDER.into_iter().skip_while(|rung| *rung != first);
        for rung in candidates.filter(|rung| rung.is_possible()) {
            spawner.rung = rung;
            match spawner.probe(None) {
                Ok(true) => return Ok(spawner),
                Ok(false) => {}
                Err(errno) if rung == Rung::Fork => return Err(errno),
                Err(_) => {}
            }
        }
        Err(Errno::ENOSYS)
    }

    /// The rung in use.
    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Tells how many descriptors we have open, about. A child that shares the table has to wake us
    /// when it has its own; to copy a small one takes less than that.
    pub fn expect_descriptors(&mut self, open: usize) {
        self.table_is_small = open <= SMALL_TABLE;
    }

    fn rung_of_next(&self) -> Rung {
        match self.rung {
            Rung::Share if self.is_free && self.table_is_small => Rung::Memory,
            rung => rung,
        }
    }

    /// Gives children whose tree is kept (`PlanSpec::keeps_tree`) a control group each from now on.
    /// The error says why they cannot have one; they are kept by the other way then.
    pub fn use_groups(&mut self) -> Result<(), String> {
        let mut groups = Groups::new()?;
        let made = groups.make();
        let (group, descriptor) = made.map_err(|errno| format!("mkdir: {errno}"))?;
        let born = self.probe(Some(descriptor.as_fd()));
        group.remove();
        match born {
            Ok(true) => self.groups = Some(groups),
            Ok(false) => return Err("a child that was born in one failed".to_owned()),
            Err(errno) => return Err(format!("clone3: {errno}")),
        }
        Ok(())
    }

    /// The control group that a child was born in, for whoever looks after it. One that nobody takes
    /// is removed when the launch is over.
    pub fn take_group(&mut self, spawned: Spawned) -> Option<Group> {
        self.slot(spawned.slot).group.take()
    }

    /// Whether the next launch needs no more memory.
    pub fn has_free_slot(&self) -> bool {
        !self.free.is_empty()
    }

    /// Takes a free slot, to fill its environment before [`Spawner::start`].
    pub fn reserve(&mut self) -> Result<SlotId, Errno> {
        if self.free.is_empty() {
            self.grow()?;
        }
        let index = self.free.pop().ok_or(Errno::ENOMEM)?;
        self.slots[index as usize].environment.clear();
        Ok(SlotId(index))
    }

    /// The environment of a reserved slot.
    pub fn environment(&mut self, slot: SlotId) -> &mut Environment {
        &mut self.slot(slot).environment
    }

    /// Makes the child. On an error nothing was made: the slot is free again, and the descriptors
    /// come back.
    pub fn start(
        &mut self,
        slot: SlotId,
        plan: &Rc<Plan>,
        descriptors: Descriptors,
    ) -> Result<Spawned, (Errno, Descriptors)> {
        let rung = self.rung_of_next();
        let groups = self.groups.as_mut().filter(|_| plan.keeps_tree());
        let group = groups.and_then(|groups| groups.make().ok());
        let this = self.slot(slot);
        this.prepare(Rc::clone(plan), descriptors, rung == Rung::Share);
        let result = match group {
            Some((group, descriptor)) => this.clone_in(rung, group, &descriptor),
            None => this.clone_child(rung),
        };
        match result {
            Ok(pid) => {
                if rung != Rung::Share {
                    this.descriptors = None;
                }
                Ok(Spawned { pid, slot })
            }
            Err(errno) => {
                let descriptors = this
                    .descriptors
                    .take()
                    .expect("cannot happen: put there by prepare");
                this.plan = None;
                self.free.push(slot.0);
                Err((errno, descriptors))
            }
        }
    }

    /// Closes our copies of a child's descriptors if its own table is whole. Returns whether they
    /// are closed.
    pub fn close_copies(&mut self, slot: SlotId) -> bool {
        let slot = self.slot(slot);
        if slot.descriptors.is_some()
            && (slot.words().unshared.load(Ordering::Acquire) == 1 || slot.has_left())
        {
            slot.descriptors = None;
        }
        slot.descriptors.is_none()
    }

    /// Takes the outcome of a launch if the child has left our memory, and frees the slot.
    pub fn settle(&mut self, spawned: Spawned) -> Option<Outcome> {
        let rung = self.rung;
        let slot = self.slot(spawned.slot);
        let left = match rung {
            Rung::Fork => has_executed(spawned.pid),
            _ => slot.has_left(),
        };
        left.then(|| self.take_outcome(spawned.slot))
    }

    /// When the program was executed, where that is known. Good until the next launch.
    pub fn exec_time(&mut self, spawned: Spawned) -> Option<Instant> {
        let exec_at = self
            .slot(spawned.slot)
            .words()
            .exec_at
            .load(Ordering::Acquire);
        let passed = (exec_at > 0).then(|| monotonic_nanos().saturating_sub(exec_at))?;
        Instant::now().checked_sub(Duration::from_nanos(passed))
    }

    /// Takes the outcome of a launch whose child was reaped, and frees the slot.
    pub fn settle_reaped(&mut self, spawned: Spawned) -> Outcome {
        self.take_outcome(spawned.slot)
    }

    fn take_outcome(&mut self, id: SlotId) -> Outcome {
        let slot = self.slot(id);
        let failure = slot.words().failure.load(Ordering::Acquire);
        let begun = slot.words().begun.load(Ordering::Acquire);
        slot.descriptors = None;
        slot.plan = None;
        if let Some(group) = slot.group.take() {
            group.remove();
        }
        self.free.push(id.0);
        let named = |number: u64| Stage::ALL.into_iter().find(|stage| *stage as u64 == number);
        match (named(failure >> 32), named(begun.into())) {
            (Some(stage), _) => Outcome::Failed(stage, Errno::from_raw(failure as u32 as i32)),
            (None, Some(Stage::Exec) | None) => Outcome::Executed,
            // Killed on its way.
            (None, Some(stage)) => Outcome::Failed(stage, Errno::EINTR),
        }
    }

    fn slot(&mut self, id: SlotId) -> &mut Slot {
        &mut self.slots[id.0 as usize]
    }

    /// Sixteen more. Slots are never given back to the system: a few are always warm, and many were
    /// needed before.
    fn grow(&mut self) -> Result<(), Errno> {
        let first = self.slots.len() as u32;
        self.slots.extend(Slot::make_chunk()?);
        self.free.extend((first..self.slots.len() as u32).rev());
        Ok(())
    }

    /// Makes a child that does the first step and ends; looks whether it said so, whether its slot
    /// was left, and whether our own table is whole.
    fn probe(&mut self, group: Option<BorrowedFd>) -> Result<bool, Errno> {
        let witness = fd::raise(fd::lower(fd::launch_event())?);
        let plan = Rc::new(Plan::new(&PlanSpec::default()).map_err(|_| Errno::EINVAL)?);
        let id = self.reserve()?;
        let (zero, one) = (
            fd::lower(fd::launch_event())?,
            fd::lower(fd::launch_event())?,
        );
        let rung = self.rung;
        let slot = self.slot(id);
        slot.prepare(plan, Descriptors::Helper(zero, one), rung == Rung::Share);
        slot.args.probe = true;
        let made = match group {
            Some(group) => slot.clone_into(rung, group),
            None => slot.clone_child(rung),
        };
        let pid = match made {
            Ok(pid) => pid,
            Err(errno) => {
                self.slot(id).args.probe = false;
                self.take_outcome(id);
                return Err(errno);
            }
        };
        let status = super::wait::wait_for(pid)?;
        // The child has read it.
        self.slot(id).args.probe = false;
        let slot = self.slot(id);
        let told = slot.words().unshared.load(Ordering::Acquire) == 1;
        let left = slot.has_left();
        let outcome = self.take_outcome(id);
        let table_is_whole = fd::lower(std::os::fd::AsFd::as_fd(&witness)).is_ok();
        let ended_well = status == super::wait::Status::Exited(0) && outcome == Outcome::Executed;
        Ok(ended_well
            && table_is_whole
            && (told || self.rung != Rung::Share)
            && (left || self.rung == Rung::Fork))
    }
}

/// Whether a forked child has exec'd: the kernel's PF_FORKNOEXEC flag, ninth field of
/// /proc/PID/stat (proc(5)), is gone. Only the fork rung needs it.
fn has_executed(pid: i32) -> bool {
    const PF_FORKNOEXEC: u64 = 0x40;
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name
        .split_ascii_whitespace()
        .nth(6)
        .and_then(|flags| flags.parse::<u64>().ok())
        .is_some_and(|flags| flags & PF_FORKNOEXEC == 0)
}

impl Descriptors {
    /// The first of them, where a launch has failed; the others are closed.
    pub fn into_first(self) -> OwnedFd {
        match self {
            Descriptors::Socket(first, _)
            | Descriptors::Pipes(first, ..)
            | Descriptors::Helper(first, _) => first,
            Descriptors::Listen(mut sockets, _) => sockets.remove(0),
        }
    }

    /// Where 0, 1 and 2 come from.
    fn stdio(&self) -> [RawFd; 3] {
        match self {
            Descriptors::Socket(socket, None) => [socket.as_raw_fd(); 3],
            Descriptors::Socket(socket, Some(error)) => {
                [socket.as_raw_fd(), socket.as_raw_fd(), error.number()]
            }
            Descriptors::Pipes(input, output, error) => {
                let output = output.as_raw_fd();
                let error = error.as_ref().map_or(output, StandardError::number);
                [input.as_raw_fd(), output, error]
            }
            Descriptors::Listen(_, error) => [NULL, NULL, error.number()],
            Descriptors::Helper(input, output) => [input.as_raw_fd(), output.as_raw_fd(), 2],
        }
    }

    fn listen(&self) -> Vec<RawFd> {
        match self {
            Descriptors::Listen(sockets, _) => sockets.iter().map(AsRawFd::as_raw_fd).collect(),
            _ => Vec::new(),
        }
    }
}

impl StandardError {
    fn number(&self) -> RawFd {
        match self {
            StandardError::Null => NULL,
            StandardError::Pipe(end) => end.as_raw_fd(),
        }
    }
}

const _: () = assert!(
    size_of::<Args>() <= 128,
    "an argument block is two cache lines at most"
);
