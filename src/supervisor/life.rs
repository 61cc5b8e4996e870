//! Limits of sessions: when one is reached, the program and what it has started are asked to end
//! (TERM, and CONT for what is stopped), and after a grace period ended (KILL).
//!
//! Only sessions of services with a limit are known here. What a program has started is what is in the
//! control group that it was born in. Where there are no such groups it is its process group and its
//! descendants: it adopts those whose parents end, so none is lost while it lives. What it leaves
//! behind stays under its limits, looked after once a second: the control group; else the process
//! group, which keeps its number for as long as it has a member, and its descendants, which we adopt
//! when it ends (see `orphans`).

mod orphans;
mod watched;

use super::Supervisor;
use super::children::SessionFacts;
use super::timers::Timer;
use crate::event::Event;
use crate::sys::pulse::{self, Ends};
use crate::sys::signal::{Signal, is_group_empty, signal_group, signal_left_behind};
use crate::sys::spawn::Spawned;
use crate::table::{Life, LifeLimit};
use orphans::Orphans;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};
use watched::{LOOK, Step, Watched};

/// Sessions looked at in one turn.
const BATCH: usize = 64;
/// How often to kill at once what starts more while it is being killed; then once a second.
const ROUNDS: usize = 8;
/// Until a session that seems to be over is looked at again.
const MOMENT: Duration = Duration::from_millis(10);

/// Sessions with limits, by the number of their program and process group; negative numbers are of
/// what is left of one whose number another has now.
#[derive(Debug, Default)]
pub(super) struct Lives {
    sessions: HashMap<i32, Watched>,
    last_left: i32,
    /// When each is to be looked at next.
    due: BTreeSet<(Instant, i32)>,
    /// Whether the kernel tells how connections are.
    has_pulse: bool,
    /// Whether it was tried to have control groups.
    is_settled: bool,
    orphans: Orphans,
}

impl Lives {
    fn enter(&mut self, pid: i32, watched: Watched) {
        if let Some(earlier) = self.leave(pid) {
            // Its number is free, so its process group is empty. Others that it left may be there.
            self.last_left -= 1;
            let key = self.last_left;
            self.enter(key, earlier);
        }
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

    fn is_over(&mut self, pid: i32) -> bool {
        let watched = self.sessions.get_mut(&pid);
        watched.is_some_and(|watched| watched.is_over(pid))
    }

    /// Sends a signal to all that a program has started, where it has limits. False where that is not
    /// known.
    pub(super) fn signal(&self, pid: i32, signal: Signal) -> bool {
        let watched = self.sessions.get(&pid);
        watched.is_some_and(|watched| {
            watched.signal(pid, signal);
            true
        })
    }

    /// The limit by which a program was asked to end.
    pub(super) fn ending(&self, pid: i32) -> Option<LifeLimit> {
        self.sessions.get(&pid)?.step.limit()
    }
}

impl Watched {
    fn signal(&self, pid: i32, signal: Signal) {
        match &self.group {
            Some(group) if signal == Signal::SIGKILL => group.kill(),
            Some(group) => return group.signal(signal),
            None => {}
        }
        match self.has_ended {
            // The process of this number may be anyone's, the group is not.
            true if pid > 0 => signal_left_behind(pid, signal),
            true => {}
            false => signal_group(pid, signal),
        }
        self.tree.signal(signal);
    }

    /// Looks for what its program has started. Returns whether that is more than was known.
    fn look_for_descendants(&mut self, pid: i32) -> bool {
        if self.group.is_some() {
            return false;
        }
        let root = (!self.has_ended).then_some(pid);
        self.tree.grow(root)
    }

    /// Whether its connection is still passed on.
    fn is_passed_on(&self) -> bool {
        self.passed_on.strong_count() > 0
    }

    /// Whether nothing is left of it when its program has ended. Its control group is gone then.
    fn is_over(&mut self, pid: i32) -> bool {
        self.has_ended
            && !self.is_passed_on()
            && match &self.group {
                Some(group) => group.remove(),
                None => self.tree.is_empty() && (pid < 0 || is_group_empty(pid)),
            }
    }
}

impl Supervisor {
    /// Finds out what helps to keep the limits of a table, where it has some.
    pub(super) fn configure_lives(&mut self, lives: impl Iterator<Item = Life>) {
        let limited: Vec<Life> = lives.filter(Life::is_limited).collect();
        if limited.iter().any(Life::needs_pulse) && !self.lives.has_pulse {
            self.find_pulse();
        }
        if !limited.is_empty() && !std::mem::replace(&mut self.lives.is_settled, true) {
            self.find_groups();
        }
    }

    fn find_pulse(&mut self) {
        self.lives.has_pulse = pulse::is_answered(&mut self.diag);
        if !self.lives.has_pulse {
            let text = "idle_timeout, first_byte_timeout and kill_on_disconnect do not work here: \
                        the kernel tells nothing of connections (sock_diag, tcp_diag)";
            self.observe(&Event::Warning { text });
        }
    }

    fn find_groups(&mut self) {
        let text = match self.spawner.use_groups() {
            Ok(()) => "each connection with a life limit gets a control group".to_owned(),
            Err(why) => {
                self.adopt_orphans();
                format!(
                    "connections with a life limit are kept by process group and /proc, since \
                     control groups cannot be used here: {why}"
                )
            }
        };
        self.observe(&Event::Note { text: &text });
    }

    /// Watches a session from now on.
    pub(super) fn begin_life(
        &mut self,
        spawned: Spawned,
        session: SessionFacts,
        life: Life,
        began: Instant,
        ends: Option<Ends>,
    ) {
        let ends = ends.filter(|_| self.lives.has_pulse);
        let mut watched = Watched::new(session, life, began, ends);
        watched.group = self.spawner.take_group(spawned);
        watched.passed_on = self.relays.life(session.id.number);
        if watched.next_look(began).is_some() {
            self.lives.enter(spawned.pid, watched);
            self.time_lives();
        }
    }

    /// A program has ended. Returns the limit by which it was asked to.
    pub(super) fn end_life(&mut self, pid: i32) -> Option<LifeLimit> {
        let watched = self.lives.sessions.get_mut(&pid)?;
        watched.has_ended = true;
        let (limit, next) = (watched.step.limit(), watched.next);
        let now = Instant::now();
        if self.lives.adopts() {
            // Not before its orphans were looked for, which is done for many at once.
            self.lives.look_at(pid, now);
        } else if !self.leave_if_over(pid, now) {
            self.lives.look_at(pid, next.min(now + LOOK));
        }
        self.time_lives();
        limit
    }

    /// Forgets a session whose program has ended, if nothing is left of it. Children of the last that
    /// was known are ours when that one has ended: where orphans are adopted it is over when nothing
    /// is left after one more search. Whether it was looked after.
    fn leave_if_over(&mut self, pid: i32, now: Instant) -> bool {
        if !self.lives.is_over(pid) {
            return false;
        }
        let adopts = self.lives.adopts();
        let watched = self.lives.sessions.get_mut(&pid).filter(|_| adopts);
        let before = watched.map(|watched| watched.over.replace(now));
        match before {
            Some(before) if before.is_none_or(|before| before >= now) => {
                self.lives.look_at(pid, now + MOMENT);
            }
            _ => drop(self.lives.leave(pid)),
        }
        true
    }

    /// The time has come to look at some.
    pub(super) fn look_after_lives(&mut self, now: Instant) {
        // Of thousands of sessions many are due at once, and one search takes as long as there are
        // children.
        self.lives.allow_searches(ROUNDS);
        self.sort_orphans();
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
        if self.leave_if_over(pid, now) {
            return;
        }
        let Some(watched) = self.lives.sessions.get_mut(&pid) else {
            return;
        };
        watched.look_for_descendants(pid);
        match watched.step {
            Step::Lives => self.judge(pid, now),
            // Its program has ended; what that has started has its grace all the same.
            Step::Asked(limit, until) if now < until => {
                self.cut_off(pid, limit);
                self.lives.look_at(pid, until.min(now + LOOK));
            }
            Step::Asked(limit, _) | Step::Killed(limit) => self.end_forcibly(pid, limit, now),
        }
    }

    fn end_forcibly(&mut self, pid: i32, limit: LifeLimit, now: Instant) {
        // The children of one that is being killed are seen only then.
        for _ in 0..ROUNDS {
            let Some(watched) = self.lives.sessions.get_mut(&pid) else {
                return;
            };
            watched.step = Step::Killed(limit);
            watched.signal(pid, Signal::SIGKILL);
            if !self.look_for_descendants(pid) {
                break;
            }
        }
        self.cut_off(pid, limit);
        self.lives.look_at(pid, now + LOOK);
    }

    /// Looks for what a session's program has started. Returns whether that is more than was known.
    fn look_for_descendants(&mut self, pid: i32) -> bool {
        let sessions = &mut self.lives.sessions;
        let has_grown = |watched: &mut Watched| watched.look_for_descendants(pid);
        let has_grown = sessions.get_mut(&pid).is_some_and(has_grown);
        self.sort_orphans() || has_grown
    }

    /// Looks whether a session has reached a limit.
    fn judge(&mut self, pid: i32, now: Instant) {
        let Some(watched) = self.lives.sessions.get_mut(&pid) else {
            return;
        };
        let pulse = watched
            .ends
            .and_then(|ends| pulse::pulse(&mut self.diag, &ends));
        if let Some(pulse) = pulse {
            watched.note(pulse, now);
        }
        if let Some(limit) = watched.reached(now, pulse.is_some()) {
            return self.ask_to_end(pid, limit, now);
        }
        match watched.next_look(now) {
            Some(next) => self.lives.look_at(pid, next),
            None => drop(self.lives.leave(pid)),
        }
    }

    fn ask_to_end(&mut self, pid: i32, limit: LifeLimit, now: Instant) {
        let Some(watched) = self.lives.sessions.get_mut(&pid) else {
            return;
        };
        let grace = Duration::from_secs(watched.life.grace.into());
        watched.step = Step::Asked(limit, now + grace);
        watched.signal(pid, Signal::SIGTERM);
        watched.signal(pid, Signal::SIGCONT);
        let (session, has_ended) = (watched.session, watched.has_ended);
        let is_passed_on = watched.is_passed_on();
        self.lives.look_at(pid, now + grace);
        self.cut_off(pid, limit);
        // Else its end says so.
        if has_ended && !is_passed_on {
            self.observe_session(session, |session| Event::Swept { session, limit });
        }
    }

    /// Ends the connection of a session that has reached a limit, if only the connection is left.
    fn cut_off(&mut self, pid: i32, limit: LifeLimit) {
        if let Some(watched) = self.lives.sessions.get(&pid) {
            self.cut_relay(watched.session.id.number, Some(limit));
        }
    }

    /// The connection of a session is over, and its program has ended: perhaps nothing is left of it.
    pub(super) fn forget_life_soon(&mut self, pid: i32) {
        self.lives.look_at(pid, Instant::now());
        self.time_lives();
    }
}
