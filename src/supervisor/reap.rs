//! Leave-taking: launches that are decided, children that have ended.

use super::Supervisor;
use super::account::Ended;
use super::children::{Child, Count, Role, Search};
use super::timers::Timer;
use super::waiting::Run;
use super::word::Word;
use crate::admission::Permit;
use crate::event::Event;
use crate::launch;
use crate::sys::poll::Interest;
use crate::sys::spawn::{Outcome, Stage};
use crate::sys::{Errno, wait};
use crate::table::ServiceId;
use std::time::Instant;

/// Children reaped in one turn; more wait for the next, so that a storm of exits starves nobody.
const BATCH: usize = 1024;

impl Supervisor {
    /// Closes what launched children have copies of, and tells of programs that run now.
    pub(super) fn settle_launches(&mut self) {
        for settled in self.children.sweep(&mut self.spawner) {
            if settled.outcome == Outcome::Executed {
                self.tell_started(settled.pid);
            }
        }
    }

    fn tell_started(&mut self, pid: i32) {
        if let Some(Child {
            role: Role::Program { session, count, .. },
            launched_in,
            ..
        }) = self.children.get(pid)
        {
            let (session, time) = (*session, *launched_in);
            if let Count::Worker = count {
                self.relays.executed(session.id.number);
            }
            self.observe_session(session, |session| Event::Started { session, pid });
            self.measure_launch(session, time);
        }
    }

    /// Some children have ended.
    pub(super) fn reap(&mut self) {
        let is_all = self.reap_batch();
        let next = (!is_all).then(Instant::now);
        if let Some(at) = next.or_else(|| self.children.next_look()) {
            self.timers.set_earlier(at, Timer::Age);
        }
    }

    /// An old child has ended.
    pub(super) fn on_old_child(&mut self, pid: i32) {
        self.settle_launches();
        if let Some(exit) = wait::exit_of(pid) {
            self.on_exit(exit);
        }
    }

    /// Children that have lived a while are polled for one by one.
    pub(super) fn age(&mut self, now: Instant) {
        while let Some(pid) = self.children.grow_old(now) {
            // By edge: of a child that is traced by another process we may not take leave yet, and
            // would be told of it without end.
            let word = Word::Child(pid).into();
            let polled = self
                .children
                .pidfd(pid)
                .map(|pidfd| self.poller.add(pidfd, Interest::ReadEdge, word));
            if polled.is_some_and(|result| result.is_err()) {
                self.children.rejuvenate(pid, now);
                break;
            }
        }
        // Whoever ended just before it became old was told of by a signal that looked at the young.
        self.reap();
        self.time_aging();
    }

    /// Takes leave of those that have ended, of so many at most. Returns whether that was all.
    fn reap_batch(&mut self) -> bool {
        // Somebody may have ended because another began to run: the line of that comes first.
        self.settle_launches();
        let mut search = Search::default();
        for _ in 0..BATCH {
            match self.children.next_exit(&mut search) {
                Some(exit) => self.on_exit(exit),
                None => return true,
            }
        }
        false
    }

    /// Sets the timer for the next child that becomes old.
    pub(super) fn time_aging(&mut self) {
        if let Some(at) = self.children.next_aging(Instant::now()) {
            self.timers.set_earlier(at, Timer::Age);
        }
    }

    fn on_exit(&mut self, exit: wait::Exit) {
        // Not ours: left to us by whoever exec'd us, or an orphan that we have adopted.
        let Some((child, outcome)) = self.children.leave(exit.pid, &mut self.spawner) else {
            self.lives.forget_orphan(exit.pid);
            return;
        };
        if let Some(pidfd) = child.pidfd() {
            let _ = self.poller.remove(pidfd);
        }
        let (failure, launched_in, born) = (child.failure(), child.launched_in, child.born);
        match child.role {
            Role::Loader => self.on_loader_exit(exit),
            Role::Worker => self.on_worker_exit(exit, failure),
            Role::Program {
                session,
                permit,
                pipe,
                count,
            } => {
                self.leave_pipe(pipe, session.service);
                if outcome == Some(Outcome::Executed) {
                    self.observe_session(session, |session| Event::Started {
                        session,
                        pid: exit.pid,
                    });
                    self.measure_launch(session, launched_in);
                }
                let duration = born.elapsed();
                let ended = Ended {
                    session,
                    exit,
                    duration,
                    limit: self.end_life(exit.pid),
                    unjoined: None,
                };
                self.on_program_exit(ended, permit, failure, count);
            }
        }
        // What it had may be what we lacked.
        self.retry();
    }

    /// A program has ended; what it left behind may have its standard error.
    fn leave_pipe(&mut self, pipe: Option<u32>, service: ServiceId) {
        let Some(number) = pipe else { return };
        self.on_stderr(number);
        let limit = self
            .services
            .get(service)
            .map_or(0, |entry| entry.facts.max_connections);
        self.pipes.orphan(number, limit as usize);
    }

    fn on_program_exit(
        &mut self,
        ended: Ended,
        permit: Permit<ServiceId>,
        failure: Option<(Stage, Errno)>,
        count: Count,
    ) {
        let (session, duration) = (ended.session, ended.duration);
        let wait::Exit { pid, status, .. } = ended.exit;
        match failure {
            None => match count {
                Count::Nobody => self.tell_end(ended, None),
                Count::Kernel(cookie) => self.account(ended, cookie),
                Count::Worker => return self.leave_relay(ended, permit),
            },
            Some((stage, errno)) => {
                match count {
                    Count::Nobody => {}
                    Count::Kernel(cookie) => self.accounts.forget(cookie),
                    Count::Worker => self.forget_relay(session.id.number),
                }
                let facts = self
                    .services
                    .get(session.service)
                    .map(|entry| entry.facts.clone());
                let object = facts
                    .as_ref()
                    .and_then(|facts| launch::object(stage, facts))
                    .unwrap_or_default();
                self.observe_session(session, |session| Event::NotStarted {
                    session,
                    stage,
                    errno,
                    object: &object,
                });
            }
        }
        let made_room = self.admission.release(permit);
        if session.peer.is_none() {
            let run = match (failure, status) {
                (Some(_), _) => Run::None,
                (None, wait::Status::Exited(0)) => Run::Well(duration),
                (None, _) => Run::Badly(duration),
            };
            self.restore(pid, session.service, run);
            self.wake_all();
        }
        self.follow(session.service, made_room);
    }

    /// A session is over: others may have its room.
    pub(super) fn follow(&mut self, service: ServiceId, made_room: bool) {
        if made_room {
            // The room may be for all: this service has had its turn.
            if !self.admission.is_full() {
                self.wake_all();
            }
            self.wake_service(service);
        }
        self.forget_if_over(service);
    }

    /// Forgets a service that was removed and has nothing left.
    pub(super) fn forget_if_over(&mut self, service: ServiceId) {
        let Some(entry) = self.services.get(service) else {
            return;
        };
        if !entry.retired || entry.tally.live > 0 || entry.tally.pending > 0 {
            return;
        }
        // The worker may have taken clients of it that we do not know of yet.
        if self
            .listeners
            .iter()
            .any(|(_, listener)| listener.served_for == Some(service))
        {
            return;
        }
        self.admission.forget_service(service);
        self.forget_policy(service);
        if let Some(entry) = self.services.leave(service) {
            self.observe(&Event::Totals {
                service: &entry.facts.name,
                tally: &entry.tally,
            });
        }
    }
}
