//! The ledger of children, and how their ends are noticed.
//!
//! Looking for any child that has ended walks all that live, and a pidfd for each is dearer still
//! for programs that are over in a moment. So children are young first, and waited for by pid; those
//! that live longer than [`YOUTH`] get a pidfd. While the old are no more than the young, one look
//! for any child serves both.

use crate::admission::Permit;
use crate::event::ConnectionId;
use crate::sys::socket::Peer;
use crate::sys::spawn::{Outcome, Spawned, Spawner, Stage};
use crate::sys::{Errno, wait};
use crate::table::ServiceId;
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a child is young.
pub(super) const YOUTH: Duration = Duration::from_millis(100);

/// How often to look after a launch that hangs.
const LATE: Duration = Duration::from_millis(500);

/// What a child is to us.
#[derive(Debug)]
pub(super) enum Role {
    /// A program, with its permit.
    Program {
        session: SessionFacts,
        permit: Permit<ServiceId>,
        /// Its standard error, where we read it.
        pipe: Option<u32>,
        count: Count,
    },
    /// The loader.
    Loader,
    /// The worker.
    Worker,
}

/// Who tells what a connection has moved.
#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    Nobody,
    /// The kernel, which calls it so.
    Kernel(u64),
    /// The worker, which passes it on.
    Worker,
}

/// What its events will say.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionFacts {
    pub(super) service: ServiceId,
    pub(super) id: ConnectionId,
    /// `None` for a `wait` program.
    pub(super) peer: Option<Peer>,
}

/// A child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) role: Role,
    pub(super) born: Instant,
    /// Its launch, while that is in flight.
    launch: Option<Spawned>,
    /// From its birth to the exec.
    pub(super) launched_in: Option<Duration>,
    /// How the launch failed; the exit follows.
    failure: Option<(Stage, Errno)>,
    /// Once it is old.
    pidfd: Option<OwnedFd>,
}

/// How far a search for children that have ended has come.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The next of the young to look at.
    next: usize,
    /// Whether one of them had ended.
    found: bool,
}

/// News of a launch.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) pid: i32,
    pub(super) outcome: Outcome,
}

/// All children.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_pid: HashMap<i32, Child>,
    /// In order of birth; those that have ended since are still named.
    young: VecDeque<(Instant, i32)>,
    in_flight: Vec<Spawned>,
    old: usize,
}

impl Children {
    /// How many have a descriptor (pidfd_open(2)).
    pub(super) fn descriptors(&self) -> usize {
        self.old
    }

    pub(super) fn get(&self, pid: i32) -> Option<&Child> {
        self.by_pid.get(&pid)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Child)> {
        self.by_pid.iter().map(|(pid, child)| (*pid, child))
    }

    /// Whether a launch is in flight.
    pub(super) fn is_launching(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// When the next [`super::Timer::Age`] is needed: a child becomes old, or one that is old has
    /// not exec'd yet (nothing tells of an exec that comes late).
    pub(super) fn next_aging(&self, now: Instant) -> Option<Instant> {
        let young = self.young.front().map(|(born, _)| *born + YOUTH);
        young.or_else(|| self.is_launching().then(|| now + LATE))
    }

    /// Adds a child that was just made.
    pub(super) fn enter(&mut self, spawned: Spawned, role: Role, born: Instant) {
        let made = Instant::now();
        self.in_flight.push(spawned);
        self.young.push_back((made, spawned.pid));
        self.by_pid.insert(
            spawned.pid,
            Child {
                role,
                born,
                launch: Some(spawned),
                launched_in: None,
                failure: None,
                pidfd: None,
            },
        );
    }

    /// Closes our copies of what launched children have, and says which launches are decided.
    pub(super) fn sweep(&mut self, spawner: &mut Spawner) -> Vec<Settled> {
        let mut settled = Vec::new();
        let by_pid = &mut self.by_pid;
        self.in_flight.retain(|spawned| {
            spawner.close_copies(spawned.slot);
            let Some(outcome) = spawner.settle(*spawned) else {
                return true;
            };
            if let Some(child) = by_pid.get_mut(&spawned.pid) {
                child.launch = None;
                child.note_exec(spawner.exec_time(*spawned));
                if let Outcome::Failed(stage, errno) = outcome {
                    child.failure = Some((stage, errno));
                }
            }
            settled.push(Settled {
                pid: spawned.pid,
                outcome,
            });
            false
        });
        settled
    }

    /// Takes out a child that was reaped. Says how its launch went if that was not said before.
    pub(super) fn leave(
        &mut self,
        pid: i32,
        spawner: &mut Spawner,
    ) -> Option<(Child, Option<Outcome>)> {
        let mut child = self.by_pid.remove(&pid)?;
        self.old -= usize::from(child.pidfd.is_some());
        let launch = child.launch.take();
        let outcome = launch.map(|spawned| {
            self.in_flight.retain(|other| other.pid != pid);
            child.note_exec(spawner.exec_time(spawned));
            spawner.settle_reaped(spawned)
        });
        if let Some(Outcome::Failed(stage, errno)) = outcome {
            child.failure = Some((stage, errno));
        }
        Some((child, outcome))
    }

    /// One child that has ended, if there is one: any child, or first of all one of the young.
    pub(super) fn next_exit(&mut self, search: &mut Search, any: bool) -> Option<wait::Exit> {
        if any || self.old <= self.by_pid.len() - self.old {
            return wait::next_exit();
        }
        while let Some((_, pid)) = self.young.get(search.next) {
            search.next += 1;
            let is_young = self
                .by_pid
                .get(pid)
                .is_some_and(|child| child.pidfd.is_none());
            let exit = if is_young { wait::exit_of(*pid) } else { None };
            if exit.is_some() {
                search.found = true;
                return exit;
            }
        }
        // None of the young: one of the old, whose descriptor tells too, or a child that somebody
        // else has left to us.
        if search.found {
            None
        } else {
            wait::next_exit()
        }
    }

    /// Gives a pidfd to the next child that is old enough; the caller polls it. One for which there
    /// is none to be had stays young for another while.
    pub(super) fn grow_old(&mut self, now: Instant) -> Option<i32> {
        while let Some((made, pid)) = self.young.front().copied() {
            let child = self
                .by_pid
                .get_mut(&pid)
                .filter(|child| child.pidfd.is_none());
            if child.is_some() && made + YOUTH > now {
                return None;
            }
            self.young.pop_front();
            let Some(child) = child else { continue };
            match wait::pidfd(pid) {
                Ok(pidfd) => {
                    child.pidfd = Some(pidfd);
                    self.old += 1;
                    return Some(pid);
                }
                Err(_) => self.young.push_back((now, pid)),
            }
        }
        None
    }

    /// Makes an old child young again: its descriptor could not be polled.
    pub(super) fn rejuvenate(&mut self, pid: i32, now: Instant) {
        let Some(child) = self.by_pid.get_mut(&pid) else {
            return;
        };
        if child.pidfd.take().is_some() {
            self.old -= 1;
            self.young.push_back((now, pid));
        }
    }

    /// The descriptor of an old child.
    pub(super) fn pidfd(&self, pid: i32) -> Option<&OwnedFd> {
        self.by_pid.get(&pid)?.pidfd.as_ref()
    }
}

impl Child {
    fn note_exec(&mut self, at: Option<Instant>) {
        self.launched_in = at.map(|at| at.saturating_duration_since(self.born));
    }

    /// How its launch failed, if it did.
    pub(super) fn failure(&self) -> Option<(Stage, Errno)> {
        self.failure
    }

    /// The descriptor that tells of its end, once it is old.
    pub(super) fn into_pidfd(self) -> (Role, Instant, Option<OwnedFd>) {
        (self.role, self.born, self.pidfd)
    }
}
