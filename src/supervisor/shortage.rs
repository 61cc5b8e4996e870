//! When descriptors, processes or memory run out: rest, say so once, lose nothing, go on.
//!
//! Accepting stops for 10 ms, doubling to 500 ms, ended early by a child's exit. Connections that
//! were accepted already are kept and launched first.
//!
//! A system has so many terminals, and any user can take them: when there are none, only services on
//! terminals rest. So do those whose connections the worker passes on when it has room for no more.

use super::Supervisor;
use super::take::Waiting;
use super::timers::{Timer, Timers};
use crate::event::Event;
use crate::sys::Errno;
use crate::table::ListenerId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// Without a failure for so long, the shortage is over.
const CALM: Duration = Duration::from_secs(1);

/// The state of our resources.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    /// When the present trouble began; `None` when there is none.
    since: Option<Instant>,
    /// Whether accepting rests right now.
    resting: bool,
    pause: Duration,
    /// The first success after the last failure.
    better_since: Option<Instant>,
    waiting: VecDeque<Waiting>,
    /// Listeners that something stopped which concerns all services.
    listeners: Vec<ListenerId>,
    /// Connections that wait for a terminal each.
    for_terminals: VecDeque<Waiting>,
    /// Since when there is none; `None` when there are.
    without_terminals: Option<Instant>,
    /// Since when the worker has no room for more that it passes on; `None` when it has.
    without_relays: Option<Instant>,
}

impl Shortage {
    pub(super) fn is_resting(&self) -> bool {
        self.resting
    }

    /// When the present trouble began; `None` when there is none.
    pub(super) fn since(&self) -> Option<Instant> {
        [self.since, self.without_terminals, self.without_relays]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether services on terminals have to rest.
    pub(super) fn lacks_terminals(&self) -> bool {
        self.without_terminals.is_some()
    }

    /// Keeps a connection until it can be launched.
    pub(super) fn keep(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Notes a listener that is to be woken when things are better.
    pub(super) fn rests(&mut self, listener: ListenerId) {
        self.listeners.push(listener);
    }

    /// Something that needs resources has worked.
    pub(super) fn succeeded(&mut self, timers: &mut Timers) {
        if self.since.is_some() && self.better_since.is_none() {
            let now = Instant::now();
            self.better_since = Some(now);
            timers.set(now + CALM, Timer::Calm);
        }
    }
}

impl Supervisor {
    /// A resource has run out: accepting rests.
    pub(super) fn run_short(&mut self, what: &'static str, errno: Errno) {
        let shortage = &mut self.shortage;
        shortage.better_since = None;
        if shortage.resting {
            return;
        }
        shortage.resting = true;
        shortage.pause = if shortage.since.is_none() {
            PAUSE.0
        } else {
            (shortage.pause * 2).min(PAUSE.1)
        };
        self.timers
            .set(Instant::now() + shortage.pause, Timer::Retry);
        if shortage.since.is_none() {
            shortage.since = Some(Instant::now());
            self.observe(&Event::Exhausted { what, errno });
        }
    }

    /// There is no terminal for a connection: it waits until there is one.
    pub(super) fn run_short_of_terminals(&mut self, waiting: Waiting, errno: Errno) {
        self.shortage.for_terminals.push_back(waiting);
        let now = Instant::now();
        self.timers.set_earlier(now + PAUSE.1, Timer::Retry);
        if self.shortage.without_terminals.is_none() {
            self.shortage.without_terminals = Some(now);
            let what = "open a terminal (all that kernel.pty.max allows are in use)";
            self.observe(&Event::Exhausted { what, errno });
        }
    }

    /// The worker has no room for more that it passes on: listeners of such services rest.
    pub(super) fn run_short_of_relays(&mut self) {
        if self.shortage.without_relays.is_none() {
            let now = Instant::now();
            self.shortage.without_relays = Some(now);
            self.timers.set_earlier(now + PAUSE.1, Timer::Retry);
            let what = "pass on more connections (the limit of open files allows so many)";
            let errno = Errno::EMFILE;
            self.observe(&Event::Exhausted { what, errno });
        }
    }

    fn retry_with_relays(&mut self) {
        let Some(since) = self.shortage.without_relays else {
            return;
        };
        if self.relays.are_full() {
            let at = Instant::now() + PAUSE.1;
            return self.timers.set_earlier(at, Timer::Retry);
        }
        self.shortage.without_relays = None;
        let after = since.elapsed();
        self.observe(&Event::Recovered { after });
    }

    fn retry_with_terminals(&mut self) {
        let Some(since) = self.shortage.without_terminals else {
            return;
        };
        while let Some(waiting) = self.shortage.for_terminals.pop_front() {
            let before = self.shortage.for_terminals.len();
            self.launch(waiting);
            if self.shortage.for_terminals.len() > before {
                self.shortage.for_terminals.rotate_right(1);
                return;
            }
        }
        self.shortage.without_terminals = None;
        let after = since.elapsed();
        self.observe(&Event::Recovered { after });
    }

    /// A child has ended or the pause is over: tries again, first what was accepted already.
    pub(super) fn retry(&mut self) {
        self.retry_with_terminals();
        self.retry_with_relays();
        if !self.shortage.resting {
            return;
        }
        self.shortage.resting = false;
        while let Some(waiting) = self.shortage.waiting.pop_front() {
            let before = self.shortage.waiting.len();
            self.launch(waiting);
            if self.shortage.waiting.len() > before {
                // It was put at the end; the order of arrival is kept.
                self.shortage.waiting.rotate_right(1);
                return;
            }
        }
        self.wake_all();
    }

    /// Wakes every listener that rests for a reason that concerned all services.
    pub(super) fn wake_all(&mut self) {
        let listeners = std::mem::take(&mut self.shortage.listeners);
        self.wake_in_turn(listeners);
    }

    /// A while has passed since things got better: says so if they still are.
    pub(super) fn calm_down(&mut self, now: Instant) {
        let shortage = &mut self.shortage;
        let (Some(since), Some(better)) = (shortage.since, shortage.better_since) else {
            return;
        };
        if now < better + CALM {
            return;
        }
        (shortage.since, shortage.better_since) = (None, None);
        self.observe(&Event::Recovered {
            after: better - since,
        });
    }

    /// Connections that could not be launched until we stopped.
    pub(super) fn give_up_waiting(&mut self) {
        let shortage = &mut self.shortage;
        let all = shortage.waiting.drain(..);
        for waiting in all
            .chain(shortage.for_terminals.drain(..))
            .collect::<Vec<_>>()
        {
            self.admission.release(waiting.permit);
            let session = super::SessionFacts {
                service: waiting.service,
                id: waiting.connection.id,
                peer: Some(waiting.connection.peer),
            };
            let stage = crate::sys::spawn::Stage::Clone;
            self.observe_session(session, |session| Event::NotStarted {
                session,
                stage,
                errno: Errno::ECANCELED,
                object: "",
            });
        }
    }
}
