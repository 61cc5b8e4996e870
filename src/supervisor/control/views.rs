//! What callers see: services, sessions and the server, as they are at the moment of telling.

use super::super::Supervisor;
use super::super::children::{Child, Role};
use super::super::condition;
use super::super::listeners::{Listener, State as Listening};
use super::super::services::Entry;
use super::super::timers::Timer;
use super::since::{Since, unix};
use super::task::Found;
use crate::control::{
    Counters, Kind, LastFailure, NotBound, ServerStatus, ServiceStatus, SessionStatus, Sizes,
    State, Times,
};
use crate::event::{ConnectionId, Histogram, LAUNCH_BOUNDS, SESSION_BOUNDS, Tally};
use crate::sys::socket::Peer;
use crate::table::{Action, ListenerId, Service, ServiceId};
use std::time::Instant;

/// A state, since when, and until when.
type Holds = (State, Since, Option<Instant>);

impl Supervisor {
    /// All services in the order in which they came.
    pub(super) fn services_in_order(&self) -> Vec<ServiceId> {
        let mut all: Vec<ServiceId> = self.services.iter().map(|(id, _)| id).collect();
        all.sort_unstable();
        all
    }

    /// One service.
    pub(super) fn service_status(&mut self, id: ServiceId, times: bool) -> Option<ServiceStatus> {
        let queued = self.queued(id);
        let entry = self.services.get(id)?;
        let (state, since, until) = self.state(entry);
        let facts = &entry.facts;
        let listeners = || {
            let all = entry.listeners.iter();
            all.filter_map(|id| Some((*id, self.listeners.get(*id)?)))
        };
        let shown = listeners().filter(|(_, listener)| listener.state != Listening::LeftOut);
        let mut addresses: Vec<String> = shown.map(|(_, listener)| listener.shown()).collect();
        if entry.listeners.is_empty() {
            addresses = facts.endpoints.iter().map(ToString::to_string).collect();
        }
        let not_bound = listeners().filter(|(_, listener)| listener.state == Listening::NotBound);
        Some(ServiceStatus {
            name: facts.name.to_string(),
            kind: kind(facts),
            state,
            since: since.unix(),
            until: until.map(unix),
            addresses,
            not_bound: not_bound
                .map(|(id, listener)| self.not_bound(id, listener))
                .collect(),
            live: entry.tally.live,
            limit: facts.max_connections,
            when_full: entry.policy.rules.when_full,
            queued,
            counters: counters(&entry.tally),
            times: entry.condition.times().filter(|_| times).map(shown_times),
            fails: entry.condition.fails(),
            last_failure: entry
                .condition
                .last_failure()
                .map(|(since, text)| LastFailure {
                    time: since.unix(),
                    text: text.to_owned(),
                }),
        })
    }

    /// Whether a client can connect to any of its addresses.
    pub(super) fn is_reachable(&self, entry: &Entry) -> bool {
        let mut all = entry.listeners.iter();
        all.any(|id| {
            let listener = self.listeners.get(*id);
            listener.is_some_and(|it| !matches!(it.state, Listening::NotBound | Listening::LeftOut))
        })
    }

    fn not_bound(&self, id: ListenerId, listener: &Listener) -> NotBound {
        NotBound {
            address: listener.shown(),
            errno: listener.trouble().map(|errno| format!("{errno:?}")),
            next_try: self.timers.moment(Timer::Listener(id)).map(unix),
        }
    }

    /// Connections that the kernel holds for us, where it can tell.
    fn queued(&mut self, id: ServiceId) -> Option<u64> {
        let entry = self.services.get(id)?;
        let mut sum = None;
        for listener in entry
            .listeners
            .iter()
            .filter_map(|id| self.listeners.get(*id))
        {
            let Some(socket) = listener.socket() else {
                continue;
            };
            if let Some(waiting) = self.diag.waiting(socket, listener.endpoint.transport) {
                sum = Some(sum.unwrap_or(0) + u64::from(waiting));
            }
        }
        sum
    }

    /// What a service is doing. What keeps it from serving comes before what slows it.
    fn state(&self, entry: &Entry) -> Holds {
        let facts = &entry.facts;
        let simple = |state| (state, entry.condition.since(), None);
        if entry.retired {
            return simple(State::Removed);
        }
        if facts.unavailable.is_some() {
            return simple(State::Unavailable);
        }
        if !facts.enabled {
            return simple(State::Disabled);
        }
        if let Some((since, until)) = entry.condition.paused() {
            return (State::Paused, since, until);
        }
        let hindered = self
            .not_bound_since(entry)
            .or_else(|| self.backs_off(entry));
        hindered
            .or_else(|| Some((State::Full, self.full_since(entry)?, None)))
            .unwrap_or((State::Listening, self.listening_since(entry), None))
    }

    /// Since when it, or the server, has as many sessions as it may have.
    fn full_since(&self, entry: &Entry) -> Option<Since> {
        let server = || match entry.facts.action {
            Action::Exec(_) => Some(Since::at(self.start + self.admission.full_since()?)),
            // The oldest makes way.
            Action::Builtin(_) | Action::Redirect(_) => None,
        };
        entry.condition.full_since().or_else(server)
    }

    fn not_bound_since(&self, entry: &Entry) -> Option<Holds> {
        let all = entry.listeners.iter();
        let missing = all.filter_map(|id| {
            let listener = self.listeners.get(*id)?;
            let is_missing = listener.state == Listening::NotBound;
            is_missing.then_some((listener.since, self.timers.moment(Timer::Listener(*id))))
        });
        let (since, until): (Vec<_>, Vec<_>) = missing.unzip();
        let next = until.into_iter().flatten().min();
        Some((State::NotBound, since.into_iter().min()?, next))
    }

    /// Whether its program or the worker rests.
    fn backs_off(&self, entry: &Entry) -> Option<Holds> {
        let until = match entry.facts.action {
            Action::Exec(_) if !entry.facts.wait => None,
            Action::Exec(_) => {
                let all = entry.listeners.iter();
                let resting = all.filter(|id| {
                    let listener = self.listeners.get(**id);
                    listener.is_some_and(|listener| listener.state == Listening::Resting)
                });
                let moments = resting.filter_map(|id| self.timers.moment(Timer::Listener(*id)));
                moments.min()
            }
            Action::Builtin(_) | Action::Redirect(_) => self.timers.moment(Timer::StartWorker),
        }?;
        Some((
            State::BackingOff,
            entry.condition.rests_since(),
            Some(until),
        ))
    }

    /// The last of: it came, the last of its addresses was bound, something that hindered it ended.
    fn listening_since(&self, entry: &Entry) -> Since {
        let bound = entry
            .listeners
            .iter()
            .filter_map(|id| self.listeners.get(*id));
        let bound = bound.map(|listener| listener.since);
        bound.fold(entry.condition.since(), Since::max)
    }

    /// The server itself.
    pub(super) fn server_status(&self) -> ServerStatus {
        ServerStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.began.unix(),
            live: u64::from(self.admission.live_total()),
            limit: self.admission.limit(),
            worker: self.link.pid(),
            worker_live: self.link.live() as u64,
            worker_limit: self.link.limit(),
            worker_deaths: self.link.deaths(),
            short_since: self.shortage.since().map(unix),
            callers: self.control.let_in,
            callers_refused: self.control.turned_away,
        }
    }

    /// Live connections and programs, of one service or all: programs in the order in which they
    /// came, then the worker's.
    pub(super) fn sessions(&self, service: Option<ServiceId>) -> Vec<Found> {
        let is_asked = |of: ServiceId| service.is_none_or(|service| service == of);
        let programs = self.children.iter().filter_map(|(pid, child)| {
            let Role::Program { session, .. } = &child.role else {
                return None;
            };
            is_asked(session.service).then_some(Found::Program(pid))
        });
        let sessions = self.link.sessions();
        let sessions = sessions.filter(|(_, service, ..)| is_asked(*service));
        let sessions = sessions.map(|(number, ..)| Found::Session(number));
        let left = self.relays.left();
        let left = left.filter(|(_, session, _)| is_asked(session.service));
        let left = left.map(|(number, ..)| Found::Left(number));
        let mut all: Vec<Found> = programs.chain(left).chain(sessions).collect();
        all.sort_by_cached_key(|found| self.session(*found).map(|(_, id, ..)| id));
        all
    }

    /// One of them.
    pub(super) fn session_status(&self, found: Found) -> Option<SessionStatus> {
        let (service, id, peer, pid, born) = self.session(found)?;
        Some(SessionStatus {
            id: id.to_string(),
            service: self.services.get(service)?.facts.name.to_string(),
            peer: peer.map(|peer| peer.to_string()),
            pid,
            age: born.elapsed().as_millis() as f64 / 1000.0,
            ending: pid.and_then(|pid| self.lives.ending(pid)),
        })
    }

    /// Whose it is, its number, its client, its program and its beginning.
    #[allow(clippy::type_complexity, reason = "taken apart where it is used")]
    pub(super) fn session(
        &self,
        found: Found,
    ) -> Option<(ServiceId, ConnectionId, Option<Peer>, Option<i32>, Instant)> {
        match found {
            Found::Program(pid) => {
                let Child { role, born, .. } = self.children.get(pid)?;
                let Role::Program { session, .. } = role else {
                    return None;
                };
                Some((session.service, session.id, session.peer, Some(pid), *born))
            }
            Found::Left(number) => {
                let (session, began) = self.relays.one_left(number)?;
                Some((session.service, session.id, session.peer, None, began))
            }
            Found::Session(number) => {
                let (id, service, peer, born) = self.link.session(number)?;
                Some((service, id, Some(peer), None, born))
            }
        }
    }
}

fn kind(facts: &Service) -> Kind {
    match facts.action {
        Action::Exec(_) if facts.wait => Kind::Wait,
        Action::Exec(_) => Kind::Program,
        Action::Builtin(_) => Kind::Builtin,
        Action::Redirect(_) => Kind::Redirect,
    }
}

fn shown_times(times: &condition::Times) -> Times {
    Times {
        launches: sizes(&times.launches, &LAUNCH_BOUNDS),
        sessions: sizes(&times.sessions, &SESSION_BOUNDS),
    }
}

fn sizes<const N: usize>(histogram: &Histogram<N>, bounds: &[u64; N]) -> Sizes {
    Sizes {
        bounds: bounds.to_vec(),
        counts: histogram.counts(),
        sum: histogram.sum(),
    }
}

fn counters(tally: &Tally) -> Counters {
    let by_stage =
        |(stage, count): (&crate::sys::spawn::Stage, &u64)| (stage.name().into(), *count);
    Counters {
        accepted: tally.accepted,
        launched: tally.launched,
        answered: tally.answered,
        refused: tally.refused.clone(),
        failed: tally.failed.iter().map(by_stage).collect(),
        aborted: tally.aborted,
        pending: tally.pending,
        starts: tally.starts,
        failed_starts: tally.failed_starts,
        datagrams: tally.datagrams,
        datagrams_left_out: tally
            .left_out
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect(),
    }
}
