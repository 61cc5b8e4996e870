//! Limits of sessions: when one is reached, the program and what it has started are asked to end
//! (TERM, and CONT for what is stopped), and after a grace period ended (KILL).
//!
//! Only sessions of services with a limit are known here. What a program leaves behind stays in its
//! process group, and so under its limits; it is looked after once a second. The group keeps its
//! number, and nobody else can be given that, for as long as it has a member.

use super::Supervisor;
use super::children::SessionFacts;
use super::timers::Timer;
use crate::event::Event;
use crate::sys::signal::{Signal, is_group_empty, signal_group, signal_left_behind};
use crate::table::{Life, LifeLimit};
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Sessions looked at in one turn.
const BATCH: usize = 64;
/// How often to look at what was left behind, or does not die.
const LOOK: Duration = Duration::from_secs(1);

/// Sessions with limits, by the number of their program and process group.
#[derive(Debug, Default)]
pub(super) struct Lives {
    sessions: HashMap<i32, Watched>,
    /// When each is to be looked at next.
    due: BTreeSet<(Instant, i32)>,
}

/// One of them.
#[derive(Debug)]
struct Watched {
    session: SessionFacts,
    life: Life,
    /// When it was accepted.
    began: Instant,
    /// When to look at it next.
    next: Instant,
    step: Step,
    /// Whether its program has ended: what is left is what it has left behind.
    has_ended: bool,
}

/// How far its end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// No limit was reached.
    Lives,
    /// It was asked to end.
    Asked(LifeLimit),
    /// It was ended; what is in the kernel may take its time.
    Killed(LifeLimit),
}

impl Lives {
    fn enter(&mut self, pid: i32, watched: Watched) {
        // One that is of this number still has nobody left, or the number would not be free.
        self.leave(pid);
        self.due.insert((watched.next, pid));
        self.sessions.insert(pid, watched);
    }

    fn leave(&mut self, pid: i32) -> Option<Watched> {
        let watched = self.sessions.remove(&pid)?;
        self.due.remove(&(watched.next, pid));
        Some(watched)
    }

    fn look_at(&mut self, pid: i32, next: Instant) {
        if let Some(watched) = self.sessions.get_mut(&pid) {
            self.due.remove(&(watched.next, pid));
            watched.next = next;
            self.due.insert((next, pid));
        }
    }

    /// One that is to be looked at.
    fn due(&self, now: Instant) -> Option<i32> {
        let (at, pid) = self.due.first()?;
        (*at <= now).then_some(*pid)
    }

    fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The limit by which a program was asked to end.
    pub(super) fn ending(&self, pid: i32) -> Option<LifeLimit> {
        self.sessions.get(&pid)?.step.limit()
    }
}

impl Step {
    fn limit(self) -> Option<LifeLimit> {
        match self {
            Step::Lives => None,
            Step::Asked(limit) | Step::Killed(limit) => Some(limit),
        }
    }
}

impl Watched {
    /// When its next limit is reached.
    fn next_limit(&self) -> Option<(Instant, LifeLimit)> {
        let time = Duration::from_secs(self.life.max_lifetime?.into());
        Some((self.began + time, LifeLimit::MaxLifetime))
    }

    fn signal(&self, pid: i32, signal: Signal) {
        match self.has_ended {
            // The process of this number may be anyone's, the group is not.
            true => signal_left_behind(pid, signal),
            false => signal_group(pid, signal),
        }
    }
}

impl Supervisor {
    /// Watches a session from now on.
    pub(super) fn begin_life(
        &mut self,
        pid: i32,
        session: SessionFacts,
        life: Life,
        began: Instant,
    ) {
        let mut watched = Watched {
            session,
            life,
            began,
            next: began,
            step: Step::Lives,
            has_ended: false,
        };
        let Some((at, _)) = watched.next_limit() else {
            return;
        };
        watched.next = at;
        self.lives.enter(pid, watched);
        self.time_lives();
    }

    /// A program has ended. Returns the limit by which it was asked to.
    pub(super) fn end_life(&mut self, pid: i32) -> Option<LifeLimit> {
        let watched = self.lives.sessions.get_mut(&pid)?;
        watched.has_ended = true;
        let (limit, next) = (watched.step.limit(), watched.next);
        if is_group_empty(pid) {
            self.lives.leave(pid);
        } else {
            self.lives.look_at(pid, next.min(Instant::now() + LOOK));
        }
        self.time_lives();
        limit
    }

    /// The time has come to look at some.
    pub(super) fn look_after_lives(&mut self, now: Instant) {
        for _ in 0..BATCH {
            match self.lives.due(now) {
                Some(pid) => self.look_after_life(pid, now),
                None => break,
            }
        }
        self.time_lives();
    }

    /// A moment that was set is not moved to a later one: of many short sessions each would leave
    /// its moment in the heap.
    fn time_lives(&mut self) {
        if let Some(at) = self.lives.next_due() {
            self.timers.set_earlier(at, Timer::Life);
        }
    }

    fn look_after_life(&mut self, pid: i32, now: Instant) {
        let Some(watched) = self.lives.sessions.get(&pid) else {
            return;
        };
        if watched.has_ended && is_group_empty(pid) {
            self.lives.leave(pid);
            return;
        }
        let (step, grace) = (watched.step, Duration::from_secs(watched.life.grace.into()));
        let reached = watched.next_limit().filter(|(at, _)| *at <= now);
        match (step, reached) {
            (Step::Lives, Some((_, limit))) => {
                self.ask_to_end(pid, limit);
                self.lives.look_at(pid, now + grace);
            }
            (Step::Lives, None) => self.look_again(pid, now),
            (Step::Asked(limit) | Step::Killed(limit), _) => {
                if let Some(watched) = self.lives.sessions.get_mut(&pid) {
                    watched.step = Step::Killed(limit);
                    watched.signal(pid, Signal::SIGKILL);
                }
                self.lives.look_at(pid, now + LOOK);
            }
        }
    }

    /// No limit was reached yet.
    fn look_again(&mut self, pid: i32, now: Instant) {
        let Some(watched) = self.lives.sessions.get(&pid) else {
            return;
        };
        let limit = watched.next_limit().map(|(at, _)| at);
        let look = watched.has_ended.then_some(now + LOOK);
        if let Some(next) = limit.into_iter().chain(look).min() {
            self.lives.look_at(pid, next);
        }
    }

    fn ask_to_end(&mut self, pid: i32, limit: LifeLimit) {
        let Some(watched) = self.lives.sessions.get_mut(&pid) else {
            return;
        };
        watched.step = Step::Asked(limit);
        watched.signal(pid, Signal::SIGTERM);
        watched.signal(pid, Signal::SIGCONT);
        let (session, has_ended) = (watched.session, watched.has_ended);
        if has_ended {
            self.observe_session(session, |session| Event::Swept { session, limit });
        }
    }
}
