//! The end: stop accepting, wait as long as was asked for, go.
//!
//! Programs that run are sessions of their own and are left alone, unless a drain timeout was given
//! or we are PID 1 (with which they would end anyway): then they get that long to end by themselves,
//! TERM, a grace period, KILL. A second signal ends it at once.

use super::Supervisor;
use super::children::Role;
use super::timers::Timer;
use crate::event::{Event, Tally};
use crate::sys::signal::{Signal, signal_group};
use crate::table::ListenerId;
use std::time::{Duration, Instant};

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long a launch in flight may take to be decided, and the worker to let go of its listeners: on a
/// busy machine neither may run for a while, and the totals would not be those of the lines before.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Nobody waits longer, and clocks can count so far.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where in its life the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first table is being read.
    Starting,
    /// It was no good; what to exit with.
    Failed(u8),
    /// A table is in force.
    Serving,
    /// Nothing is accepted; launches in flight and, while draining, programs come to their end.
    Stopping {
        /// When to go a step further.
        until: Instant,
        step: Step,
    },
    /// It is over.
    Over,
}

/// How far stopping has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Launches in flight are decided, and the worker says with the last of its listeners what it has
    /// not said yet.
    LastWords,
    /// Programs may end by themselves.
    Drain,
    /// They were asked to.
    Asked,
    /// They were killed.
    Killed,
}

impl Phase {
    /// Whether connections are taken.
    pub(super) fn is_serving(self) -> bool {
        matches!(self, Phase::Starting | Phase::Serving)
    }

    /// Whether a table has been in force.
    pub(super) fn has_served(self) -> bool {
        !matches!(self, Phase::Starting)
    }

    /// A table is in force. Returns whether it is the first.
    pub(super) fn begin_serving(&mut self) -> bool {
        let first = *self == Phase::Starting;
        *self = Phase::Serving;
        first
    }

    /// A table was no good: that is the end if it was the first.
    pub(super) fn never_served(&mut self, status: u8) {
        if *self == Phase::Starting {
            *self = Phase::Failed(status);
        }
    }
}

impl Supervisor {
    /// The exit status, when it is over.
    pub(super) fn exit_status(&self) -> Option<u8> {
        match self.phase {
            Phase::Failed(status) => Some(status),
            Phase::Over => Some(0),
            _ => None,
        }
    }

    /// Stops accepting; a second time ends at once.
    pub(super) fn stop(&mut self) {
        if !self.phase.is_serving() {
            self.phase = Phase::Over;
            return;
        }
        self.observe(&Event::Stopping {
            live: self.programs() + self.link.live(),
        });
        let now = Instant::now();
        let (step, time) = match self.options.drain_timeout {
            Some(time) => (Step::Drain, time.min(LONGEST)),
            None => (Step::LastWords, LAST_WORDS),
        };
        self.phase = Phase::Stopping {
            until: now + time,
            step,
        };
        self.timers.set(now + time, Timer::Stop);
        self.close_control();
        self.give_up_waiting();
        self.leave_listeners();
        let all: Vec<ListenerId> = self.listeners.iter().map(|(id, _)| id).collect();
        for id in all {
            self.close(id);
        }
        self.options.tell_stopping();
        self.stop_further();
    }

    /// Ends if nothing is left to wait for; when the time is over goes a step further.
    pub(super) fn stop_further(&mut self) {
        let Phase::Stopping { until, step } = self.phase else {
            return;
        };
        // The signal to stop overtakes those of children that ended before it.
        self.reap();
        let is_done = self.listeners.is_empty()
            && match step {
                Step::LastWords => !self.children.is_launching(),
                _ => self.programs() == 0 && self.link.live() == 0 && self.relays.leaving() == 0,
            };
        if is_done {
            self.phase = Phase::Over;
            return;
        }
        let now = Instant::now();
        if now < until {
            // An exec that succeeds does not wake us, so launches are looked at again and again.
            let next = match step {
                Step::LastWords => now + Duration::from_millis(1),
                _ => now + Duration::from_millis(50),
            };
            self.timers.set(next.min(until), Timer::Stop);
            return;
        }
        match step {
            Step::LastWords | Step::Killed => self.phase = Phase::Over,
            Step::Drain => self.end_programs(false, Step::Asked, GRACE),
            Step::Asked => self.end_programs(true, Step::Killed, Duration::from_secs(1)),
        }
    }

    fn end_programs(&mut self, forcibly: bool, step: Step, time: Duration) {
        let signal = match forcibly {
            true => Signal::SIGKILL,
            false => Signal::SIGTERM,
        };
        for (pid, child) in self.children.iter() {
            let is_program = matches!(child.role, Role::Program { .. });
            if is_program && !self.lives.signal(pid, signal) {
                signal_group(pid, signal);
            }
        }
        self.dismiss_worker();
        let until = Instant::now() + time;
        self.phase = Phase::Stopping { until, step };
        self.timers
            .set(Instant::now() + Duration::from_millis(10), Timer::Stop);
    }

    fn programs(&self) -> usize {
        self.children
            .iter()
            .filter(|(_, child)| matches!(child.role, Role::Program { .. }))
            .count()
    }

    /// The last words: what each service has done.
    pub(super) fn say_goodbye(&mut self) {
        self.close_control();
        self.remove_pid_file();
        self.dismiss_worker();
        self.close_all_accounts();
        self.close_relays();
        self.tell_dropped_lines();
        self.log.tell_left_out();
        if self.phase == Phase::Over {
            let mut totals: Vec<_> = self
                .services
                .iter()
                .map(|(id, entry)| (id, entry.facts.clone(), entry.tally.clone()))
                .collect();
            totals.sort_unstable_by_key(|(id, ..)| *id);
            // What was never asked has nothing to tell.
            totals.retain(|(_, _, tally)| *tally != Tally::default());
            for (_, facts, tally) in &totals {
                self.observe(&Event::Totals {
                    service: &facts.name,
                    tally,
                });
            }
            self.observe(&Event::Stopped);
        }
        self.finish_log();
    }

    /// Waits for a reader that reads, however slowly; one that does not must not keep us.
    fn finish_log(&mut self) {
        let mut backlog = usize::MAX;
        let mut deadline = Instant::now();
        while self.log.flush() && (self.log.backlog() < backlog || Instant::now() < deadline) {
            if self.log.backlog() < backlog {
                backlog = self.log.backlog();
                deadline = Instant::now() + Duration::from_millis(200);
            }
            let pause = Some(Duration::from_millis(10));
            let _ = self.poller.wait(pause).map(Iterator::count);
        }
    }
}
