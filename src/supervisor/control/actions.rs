//! What callers can do: pause, resume and drain services, end sessions.
//!
//! A paused service keeps its sockets, and nobody takes from them: its clients wait in the kernel's
//! queue. A pause survives a reload, not a restart. Every action is an event that says who did it.

use super::super::Supervisor;
use super::super::link::Attachment;
use super::super::listeners::State;
use super::super::timers::Timer;
use super::bans::{shown, span};
use super::connection::{Connection, Identity};
use super::since::unix;
use super::task::{Found, Task};
use crate::control::{Order, Request, Signal, Target};
use crate::event::Event;
use crate::sys::signal::{self, signal_group};
use crate::sys::socket::Peer;
use crate::table::{ListenerId, ServiceId, network};
use serde::Serialize;
use std::time::{Duration, Instant};
use std::vec::IntoIter;

/// Nobody waits longer, and clocks can count so far.
const LONGEST: u64 = 365 * 24 * 3600;
/// EX_TEMPFAIL: it may work later.
const LATER: u8 = 75;
/// EX_NOINPUT: there is no such session.
const NO_SUCH: u8 = 66;

/// Sessions that are being ended.
#[derive(Debug)]
pub(super) struct Killing {
    candidates: IntoIter<Found>,
    target: Target,
    signal: Signal,
    count: u64,
    /// How many of them the worker closes.
    closed: u64,
}

/// A service that is being drained.
#[derive(Debug)]
pub(super) struct Draining {
    service: ServiceId,
    name: String,
    began: Instant,
    pub(super) deadline: Instant,
}

/// A service that the worker has not let go of yet.
#[derive(Debug)]
pub(super) struct Pausing {
    service: ServiceId,
    did: Did,
}

/// The last line of an answer to an action.
#[derive(Debug, Serialize)]
pub(super) struct Did {
    done: bool,
    /// In words.
    did: String,
    /// When a pause ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// How many sessions it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl Did {
    pub(super) fn new(did: impl Into<String>) -> Did {
        Did {
            done: true,
            did: did.into(),
            until: None,
            count: None,
        }
    }
}

impl Supervisor {
    /// Does what was asked for, or begins to. The error is the name of a service that is not there.
    pub(super) fn act(&mut self, caller: &mut Connection, request: Request) -> Result<(), String> {
        let who = caller.who;
        match request {
            Request::Pause { service, seconds } => {
                let id = self.named(&service)?;
                self.pause_for(caller, id, &service, seconds);
            }
            Request::Resume { service } => {
                let id = self.named(&service)?;
                let did = match self.resume(id) {
                    true => format!("resumed {service}"),
                    false => format!("{service} was not paused"),
                };
                self.tell_action(who, Some(&service), &did);
                caller.finish(&Did::new(did), Instant::now());
            }
            Request::Drain { service, seconds } => {
                let id = self.named(&service)?;
                self.drain(caller, id, service, seconds);
            }
            Request::Reload { dry_run } => self.begin_reload(caller, dry_run),
            Request::Kill { target, signal } => self.kill(caller, target, signal)?,
            _ => {}
        }
        Ok(())
    }

    fn named(&self, service: &str) -> Result<ServiceId, String> {
        self.services
            .find(service)
            .ok_or_else(|| service.to_owned())
    }

    /// Says in every view what somebody has done.
    pub(super) fn tell_action(&mut self, who: Identity, service: Option<&str>, action: &str) {
        let Identity { uid, pid, .. } = who;
        self.observe(&Event::Control {
            uid,
            pid,
            action,
            service,
        });
    }

    fn pause_for(
        &mut self,
        caller: &mut Connection,
        id: ServiceId,
        name: &str,
        seconds: Option<u64>,
    ) {
        let now = Instant::now();
        let time = seconds.map(|seconds| Duration::from_secs(seconds.min(LONGEST)));
        let until = time.map(|time| now + time);
        self.pause(id, until);
        let mut did = Did::new(match time {
            Some(time) => format!("paused {name} for {}", span(time.as_secs())),
            None => format!("paused {name}"),
        });
        did.until = until.map(unix);
        self.tell_action(caller.who, Some(name), &did.did);
        caller.task = Task::Pause(Pausing { service: id, did });
    }

    /// Says that a service is paused, when the worker has let go of it. False before that.
    pub(super) fn go_on_pausing(&mut self, caller: &mut Connection) -> bool {
        let Task::Pause(pausing) = &caller.task else {
            return false;
        };
        let mut all = self.listeners.iter();
        if all.any(|(_, it)| it.service == pausing.service && it.state == State::Leaving) {
            return false;
        }
        if let Task::Pause(pausing) = std::mem::replace(&mut caller.task, Task::Idle) {
            caller.finish(&pausing.did, Instant::now());
        }
        true
    }

    fn pause(&mut self, id: ServiceId, until: Option<Instant>) {
        let Some(entry) = self.services.get_mut(id) else {
            return;
        };
        entry.condition.pause(until);
        match until {
            Some(until) => self.timers.set(until, Timer::Resume(id)),
            None => self.timers.clear(Timer::Resume(id)),
        }
        let listeners = entry.listeners.clone();
        for listener in listeners.iter().copied() {
            match self.listeners.get(listener).map(|listener| listener.state) {
                Some(State::Armed) => drop(self.disarm(listener)),
                Some(State::Served) => self.take_back(listener),
                _ => {}
            }
        }
    }

    /// Takes clients again; false if it was not paused.
    fn resume(&mut self, id: ServiceId) -> bool {
        self.timers.clear(Timer::Resume(id));
        let Some(entry) = self.services.get_mut(id) else {
            return false;
        };
        let was_paused = entry.condition.resume();
        let listeners = entry.listeners.clone();
        for listener in listeners.iter().copied() {
            let rests = self.timers.moment(Timer::Listener(listener)).is_some();
            // What rests for another reason too is looked after when its time comes.
            if was_paused && !rests && self.phase.is_serving() {
                self.activate(listener);
            }
        }
        was_paused
    }

    /// A pause has lasted as long as it was to.
    pub(in crate::supervisor) fn end_pause(&mut self, id: ServiceId) {
        if self.resume(id) {
            if let Some(facts) = self.services.get(id).map(|entry| entry.facts.clone()) {
                let service = &facts.name;
                self.observe_service(id, &Event::Resumed { service });
            }
        }
    }

    /// Whether a listener is that of a paused service.
    pub(in crate::supervisor) fn is_paused(&self, id: ListenerId) -> bool {
        let entry = self
            .listeners
            .get(id)
            .and_then(|listener| self.services.get(listener.service));
        entry.is_some_and(|entry| entry.condition.paused().is_some())
    }

    fn drain(&mut self, caller: &mut Connection, service: ServiceId, name: String, seconds: u64) {
        self.pause(service, None);
        self.tell_action(caller.who, Some(&name), &format!("draining {name}"));
        let began = Instant::now();
        let deadline = began + Duration::from_secs(seconds.min(LONGEST));
        self.timers.set_earlier(deadline, Timer::Callers);
        caller.task = Task::Drain(Draining {
            service,
            name,
            began,
            deadline,
        });
    }

    /// What has come of draining; `None` when there is still something to wait for.
    pub(super) fn drained(&self, draining: &Draining) -> Option<Result<String, String>> {
        let tally = self.services.get(draining.service).map(|it| &it.tally);
        let live = tally.map_or(0, |tally| tally.live + tally.pending);
        let (name, now) = (&draining.name, Instant::now());
        let entry = self.services.get(draining.service);
        if entry.is_some_and(|entry| entry.condition.paused().is_none()) {
            return Some(Err(format!("{name} was resumed by somebody else")));
        }
        let lasted = (now - draining.began).as_secs();
        if live == 0 {
            return Some(Ok(format!(
                "{name} is paused and has no session after {}",
                span(lasted)
            )));
        }
        let (sessions, are) = match live {
            1 => ("session", "is"),
            _ => ("sessions", "are"),
        };
        let error = format!(
            "{live} {sessions} of {name} {are} live after {}; it stays paused",
            span(lasted)
        );
        (now >= draining.deadline).then_some(Err(error))
    }

    fn kill(
        &mut self,
        caller: &mut Connection,
        target: Target,
        signal: Signal,
    ) -> Result<(), String> {
        let service = match &target {
            Target::Service(name) => Some(self.named(name)?),
            _ => None,
        };
        let target = match target {
            Target::From(address, bits) => {
                let (address, bits) = network(address, bits);
                Target::From(address, bits)
            }
            target => target,
        };
        caller.task = Task::Kill(Killing {
            candidates: self.sessions(service).into_iter(),
            target,
            signal,
            count: 0,
            closed: 0,
        });
        Ok(())
    }

    /// Looks at the next session, and ends it if it is meant. False when all have been looked at.
    pub(super) fn go_on_killing(&mut self, killing: &mut Killing) -> bool {
        let Some(found) = killing.candidates.next() else {
            return false;
        };
        // It may have ended since; then there is nobody of that number.
        let Some((_, id, peer, ..)) = self.session(found) else {
            return true;
        };
        let is_meant = match &killing.target {
            Target::Id(wanted) => id.to_string() == *wanted,
            Target::Service(_) => true,
            Target::From(address, bits) => match peer {
                Some(Peer::Inet(peer)) => network(peer.ip(), *bits) == (*address, *bits),
                _ => false,
            },
        };
        if is_meant {
            killing.count += 1;
            match found {
                Found::Program(pid) => {
                    let signal = number(killing.signal);
                    if !self.lives.signal(pid, signal) {
                        signal_group(pid, signal);
                    }
                }
                Found::Left(number) => {
                    killing.closed += 1;
                    self.cut_relay(number, None);
                }
                Found::Session(number) => {
                    killing.closed += 1;
                    self.order(Order::End { number }, Attachment::Nothing);
                }
            }
        }
        true
    }

    /// All have been looked at.
    pub(super) fn end_killing(&mut self, caller: &mut Connection, killing: Task) {
        let Task::Kill(killing) = killing else { return };
        let now = Instant::now();
        if killing.count == 0 {
            let error = match &killing.target {
                Target::Service(service) => format!("{service} has no live session"),
                target => format!("there is no session {}", words(target)),
            };
            return caller.fail(error, NO_SUCH, now);
        }
        let mut did = Did::new(killed(&killing));
        did.count = Some(killing.count);
        let service = match &killing.target {
            Target::Service(service) => Some(service.as_str()),
            _ => None,
        };
        self.tell_action(caller.who, service, &did.did);
        caller.finish(&did, now);
    }

    /// What came of draining.
    pub(super) fn end_draining(
        &mut self,
        caller: &mut Connection,
        outcome: Result<String, String>,
    ) {
        let now = Instant::now();
        match outcome {
            Ok(did) => caller.finish(&Did::new(did), now),
            Err(error) => caller.fail(error, LATER, now),
        }
    }
}

/// Programs are sent a signal; sessions of the worker are closed.
fn killed(killing: &Killing) -> String {
    let sessions = |count: u64| match count {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    };
    let (signal, whom) = (name(killing.signal), words(&killing.target));
    let closed = sessions(killing.closed);
    match killing.count - killing.closed {
        0 => format!("closed {closed} {whom}"),
        sent if killing.closed == 0 => format!("sent {signal} to {} {whom}", sessions(sent)),
        sent => format!(
            "sent {signal} to {} and closed {closed} {whom}",
            sessions(sent)
        ),
    }
}

fn words(target: &Target) -> String {
    match target {
        Target::Id(id) => format!("with id {id}"),
        Target::Service(service) => format!("of {service}"),
        Target::From(address, bits) => format!("from {}", shown((*address, *bits))),
    }
}

fn number(signal: Signal) -> signal::Signal {
    match signal {
        Signal::Term => signal::Signal::SIGTERM,
        Signal::Kill => signal::Signal::SIGKILL,
        Signal::Hup => signal::Signal::SIGHUP,
        Signal::Int => signal::Signal::SIGINT,
    }
}

fn name(signal: Signal) -> &'static str {
    number(signal).as_str().trim_start_matches("SIG")
}
