//! The ledger of children, and how their ends are noticed.
//!
//! Looking for any child that has ended walks all that live, and a pidfd for each is dearer still
//! for programs that are over in a moment. So children are young first, and waited for by pid; those
//! that live longer than [`YOUTH`] get a pidfd. While the old are few, or no more than the young, one
//! look for any child serves both. Beyond that it is only for children that somebody else has left to
//! us, and rare ([`REST`]).

use crate::admission::Permit;
use crate::event::ConnectionId;
use crate::sys::socket::Peer;
use crate::sys::spawn::{Outcome, Spawned, Spawner, Stage};
use crate::sys::{Errno, wait};
use crate::table::ServiceId;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a child is young.
pub(super) const YOUTH: Duration = Duration::from_millis(100);

/// So many old ones are no reason not to look for any child.
const FEW: usize = 16;

/// How long not to look for any child again. To walk ten thousand takes 2 ms, since most of them are in
/// no cache: a hundredth of our time.
const REST: Duration = Duration::from_millis(200);

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

/// How a child's end is noticed.
#[derive(Debug)]
enum Age {
    /// By looking whether it has ended; since when it is young.
    Young(Instant),
    /// By this descriptor (pidfd_open(2)).
    Old(OwnedFd),
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
    age: Age,
}

/// How far a search for children that have ended has come.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The one of the young that was looked at last.
    last: Option<(Instant, i32)>,
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
    /// Boxed: a map has room for up to four times as many as are in it.
    by_pid: HashMap<i32, Box<Child>>,
    /// Since when each is, and its pid.
    young: BTreeSet<(Instant, i32)>,
    in_flight: Vec<Spawned>,
    /// Until when not to look for any child, and whether to do so then.
    rest: Option<Instant>,
    is_look_due: bool,
}

impl Children {
    /// How many are old: each has a descriptor.
    pub(super) fn old(&self) -> usize {
        self.by_pid.len() - self.young.len()
    }

    pub(super) fn get(&self, pid: i32) -> Option<&Child> {
        self.by_pid.get(&pid).map(Box::as_ref)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Child)> {
        self.by_pid.iter().map(|(pid, child)| (*pid, &**child))
    }

    /// Whether a launch is in flight.
    pub(super) fn is_launching(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// When the next [`super::Timer::Age`] is needed: a child becomes old, or one that is old has
    /// not exec'd yet (nothing tells of an exec that comes late), or a look for any child is due.
    pub(super) fn next_aging(&self, now: Instant) -> Option<Instant> {
        let young = self.young.first().map(|(since, _)| *since + YOUTH);
        let late = self.is_launching().then(|| now + LATE);
        [young, late, self.next_look()].into_iter().flatten().min()
    }

    /// When to look for any child, if that is due.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.rest.filter(|_| self.is_look_due)
    }

    /// Adds a child that was just made.
    pub(super) fn enter(&mut self, spawned: Spawned, role: Role, born: Instant) {
        let made = Instant::now();
        self.in_flight.push(spawned);
        self.young.insert((made, spawned.pid));
        let child = Child {
            role,
            born,
            launch: Some(spawned),
            launched_in: None,
            failure: None,
            age: Age::Young(made),
        };
        self.by_pid.insert(spawned.pid, Box::new(child));
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
        let mut child = *self.by_pid.remove(&pid)?;
        if let Age::Young(since) = child.age {
            self.young.remove(&(since, pid));
        }
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

    /// One child that has ended, if there is one.
    pub(super) fn next_exit(&mut self, search: &mut Search) -> Option<wait::Exit> {
        if self.old() <= self.young.len().max(FEW) {
            self.is_look_due = false;
            return wait::next_exit();
        }
        while let Some(one) = self.young_after(search.last) {
            search.last = Some(one);
            let exit = wait::exit_of(one.1);
            if exit.is_some() {
                return exit;
            }
        }
        self.any_exit(Instant::now())
    }

    fn young_after(&self, last: Option<(Instant, i32)>) -> Option<(Instant, i32)> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.young.range((after, Bound::Unbounded)).next().copied()
    }

    /// Nothing else tells of a child that somebody else has left to us.
    fn any_exit(&mut self, now: Instant) -> Option<wait::Exit> {
        self.is_look_due = self.rest.is_some_and(|until| now < until);
        if self.is_look_due {
            return None;
        }
        let exit = wait::next_exit();
        let is_left_to_us = exit.is_some_and(|exit| !self.by_pid.contains_key(&exit.pid));
        if !is_left_to_us {
            // None; or one of the old, and the descriptors of others that have ended tell of them.
            self.rest = Some(now + REST);
            self.is_look_due = exit.is_some();
        }
        exit
    }

    /// Gives a pidfd to the next child that is old enough; the caller polls it. One for which there
    /// is none to be had stays young for another while.
    pub(super) fn grow_old(&mut self, now: Instant) -> Option<i32> {
        while let Some((since, pid)) = self.young.first().copied() {
            if since + YOUTH > now {
                return None;
            }
            self.young.pop_first();
            match wait::pidfd(pid) {
                Ok(pidfd) => {
                    self.by_pid.get_mut(&pid)?.age = Age::Old(pidfd);
                    return Some(pid);
                }
                Err(_) => self.rejuvenate(pid, now),
            }
        }
        None
    }

    /// Makes a child young again: it has no descriptor that could be polled.
    pub(super) fn rejuvenate(&mut self, pid: i32, now: Instant) {
        if let Some(child) = self.by_pid.get_mut(&pid) {
            child.age = Age::Young(now);
            self.young.insert((now, pid));
        }
    }

    /// The descriptor of an old child.
    pub(super) fn pidfd(&self, pid: i32) -> Option<&OwnedFd> {
        self.by_pid.get(&pid)?.pidfd()
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
    pub(super) fn pidfd(&self) -> Option<&OwnedFd> {
        match &self.age {
            Age::Young(_) => None,
            Age::Old(pidfd) => Some(pidfd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_takes_at_most_240_bytes_of_the_ledger() {
        // A map may be as empty as that: it doubles also for entries that have gone.
        let in_map = 4 * size_of::<(i32, Box<Child>)>();
        let allocated = (size_of::<Child>() + size_of::<usize>()).next_multiple_of(16);
        let taken = in_map + allocated;
        assert!(taken <= 240, "{taken}");
    }
}
