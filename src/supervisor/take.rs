//! Taking connections: accept, admit, launch.

use super::Supervisor;
use super::children::{Count, Role, SessionFacts};
use super::listeners::State;
use super::relays::REST;
use super::timers::Timer;
use super::word::Word;
use crate::admission::Room;
use crate::event::Event;
use crate::launch::{self, Connection, Launched, Local};
use crate::refuse;
use crate::sys::poll::Interest;
use crate::sys::pulse::Ends;
use crate::sys::socket::{self, Peer};
use crate::sys::spawn::Plan;
use crate::sys::{Errno, destroyed};
use crate::table::{Action, Client, ListenerId, Refusal, Service, ServiceId};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Connections taken from one listener in one turn, so that a busy service cannot starve a quiet one.
const BATCH: usize = 32;
/// What opening a terminal says when there is none left (pty(7)).
const NO_TERMINAL: Errno = Errno::ENOSPC;
/// How long a listener rests whose accept fails for a reason of its own.
const ODD_ERROR_REST: Duration = Duration::from_millis(100);

/// A connection that waits for resources to be launched.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) service: ServiceId,
    pub(super) facts: Rc<Service>,
    pub(super) plan: Rc<Plan>,
    pub(super) connection: Connection,
    pub(super) permit: crate::admission::Permit<ServiceId>,
}

impl Supervisor {
    /// Something waits at a listener.
    pub(super) fn on_listener(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.get(id) else {
            return;
        };
        if listener.state != State::Armed {
            return;
        }
        let service = listener.service;
        let Some(entry) = self.services.get(service) else {
            return;
        };
        if entry.facts.wait {
            self.start_waiter(id, service)
        } else if entry.facts.stdio.is_relayed() && self.relays.are_full() {
            self.run_short_of_relays();
            self.rest_for(id, REST)
        } else if entry.facts.stdio.is_relayed() && self.relays.are_many() {
            self.rest_for(id, REST)
        } else if entry.facts.stdio.terminal().is_some() && self.shortage.lacks_terminals() {
            self.rest_for(id, ODD_ERROR_REST)
        } else {
            self.take_batch(id, service)
        }
    }

    fn take_batch(&mut self, id: ListenerId, service: ServiceId) {
        let mut aborted = 0;
        for _ in 0..BATCH {
            if !self.may_ask(id, service) {
                return;
            }
            let Some(socket) = self
                .listeners
                .get(id)
                .and_then(|listener| listener.socket())
            else {
                return;
            };
            match socket::accept(socket, false) {
                Ok((socket, peer)) => self.take(id, service, socket, peer),
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                    return self.run_short("accept a connection", errno);
                }
                Err(errno) if is_clients_fault(errno) && aborted < BATCH / 2 => {
                    aborted += 1;
                    self.count_aborted(service);
                }
                Err(_) => return self.rest_for(id, ODD_ERROR_REST),
            }
        }
    }

    fn count_aborted(&mut self, service: ServiceId) {
        let Some(entry) = self.services.get_mut(service) else {
            return;
        };
        let name = &entry.facts.name;
        entry.tally.observe(&Event::Accepted { service: name });
        entry.tally.observe(&Event::Aborted { service: name });
    }

    /// Whether a listener may be asked now; else it rests until it may.
    pub(super) fn may_ask(&mut self, id: ListenerId, service: ServiceId) -> bool {
        if !self.phase.is_serving() || self.shortage.is_resting() {
            self.rest(id);
            return false;
        }
        let now = self.moment();
        match self.admission.room(service, &now) {
            Room::Open => return true,
            Room::Full | Room::ServerFull => self.rest(id),
            Room::RestUntil(at) => self.rest_for(id, at.saturating_sub(now.at)),
        }
        false
    }

    fn take(&mut self, id: ListenerId, service: ServiceId, socket: OwnedFd, peer: Peer) {
        let now = self.moment();
        let Some(listener) = self.listeners.get_mut(id) else {
            return;
        };
        listener.took = self.next_connection + 1;
        if matches!(peer, Peer::Inet(_)) && socket::is_gone(&socket) {
            return self.count_aborted(service);
        }
        let permit = match self.admission.admit(service, Client::from(peer), &now) {
            Ok(permit) => permit,
            Err(reason) => return self.refuse_client(service, socket, peer, reason),
        };
        let local = match (Local::of(listener.bound()), listener.is_wildcard()) {
            (Local::Inet(_), true) => match socket::local_address(socket.as_fd()) {
                Ok(Some(address)) => Local::Inet(address),
                _ => {
                    self.admission.release(permit);
                    return self.count_aborted(service);
                }
            },
            (local, _) => local,
        };
        let plan = self.services.plan(service, self.inherited);
        let (Some(entry), Some(plan)) = (self.services.get_mut(service), plan) else {
            self.admission.release(permit);
            return;
        };
        entry.tally.observe(&Event::Accepted {
            service: &entry.facts.name,
        });
        let facts = Rc::clone(&entry.facts);
        let cookie = match facts.account {
            true => destroyed::cookie(socket.as_fd()),
            false => None,
        };
        let connection = Connection {
            socket,
            peer,
            local,
            id: self.next_id(),
            at: Instant::now(),
            cookie,
            greeted: 0,
        };
        self.launch(Waiting {
            service,
            facts,
            plan,
            connection,
            permit,
        });
    }

    /// A connection is not admitted: its client is told why, and let go.
    fn refuse_client(&mut self, service: ServiceId, socket: OwnedFd, peer: Peer, reason: Refusal) {
        let session = SessionFacts {
            service,
            id: self.next_id(),
            peer: Some(peer),
        };
        self.observe_session(session, |session| Event::Refused { session, reason });
        let Some(entry) = self.services.get(service) else {
            return;
        };
        let text = refuse::text(&entry.policy.rules, reason, peer, &entry.facts.name);
        let word = |number| Word::Leaving(number).into();
        let (text, now) = (text.as_deref(), Instant::now());
        self.leaving
            .refuse(service, socket, text, &self.poller, word, now);
        if let Some(at) = self.leaving.next_due() {
            self.timers.set_once(at, Timer::Refused);
        }
    }

    /// Refused clients have had their time.
    pub(super) fn end_refused(&mut self, now: Instant) {
        self.leaving.expire(now);
        if let Some(at) = self.leaving.next_due() {
            self.timers.set(at, Timer::Refused);
        }
    }

    /// Launches a program on a connection; what lacks a resource waits until it is there.
    pub(super) fn launch(&mut self, waiting: Waiting) {
        let Waiting {
            service,
            facts,
            plan,
            connection,
            permit,
        } = waiting;
        let ends = facts.life.needs_pulse().then(|| ends_of(&connection));
        let open = self.listeners.len() + self.pipes.len() + self.children.old();
        self.spawner.expect_descriptors(open);
        if !self.spawner.has_free_slot() {
            // A launch that is over gives its slot back when somebody looks.
            self.settle_launches();
        }
        match launch::connection(&mut self.spawner, &plan, &facts, connection, permit) {
            Ok((mut launched, connected)) => {
                let session = SessionFacts {
                    service,
                    id: connected.id,
                    peer: Some(connected.peer),
                };
                let handover = launched.handover.take();
                let count = match (connected.cookie, &handover) {
                    (Some(cookie), _) => {
                        self.accounts.expect(cookie);
                        Count::Kernel(cookie)
                    }
                    (None, Some(_)) => Count::Worker,
                    (None, None) => Count::Nobody,
                };
                let spawned = launched.spawned;
                self.enter_program(launched, session, connected.at, count);
                if let Some(handover) = handover {
                    self.hand_over(session, &facts, handover, connected.at);
                }
                if facts.life.is_limited() {
                    let (life, ends) = (facts.life, ends.flatten());
                    self.begin_life(spawned, session, life, connected.at, ends);
                }
                self.shortage.succeeded(&mut self.timers);
            }
            Err(postponed) => {
                let launch::Postponed {
                    what: connection,
                    permit,
                    errno,
                } = postponed;
                let needs_terminal = facts.stdio.terminal().is_some();
                let waiting = Waiting {
                    service,
                    facts,
                    plan,
                    connection: *connection,
                    permit,
                };
                if needs_terminal && errno == NO_TERMINAL {
                    return self.run_short_of_terminals(waiting, errno);
                }
                self.shortage.keep(waiting);
                self.run_short("start a program", errno);
            }
        }
    }

    /// Enters a program that was launched into the ledger.
    pub(super) fn enter_program(
        &mut self,
        launched: Launched,
        session: SessionFacts,
        born: Instant,
        count: Count,
    ) {
        let Launched {
            spawned,
            permit,
            stderr,
            ..
        } = launched;
        self.observe_session(session, |session| Event::Cloned { session });
        let pipe = stderr.and_then(|reading| self.read_stderr(reading, session));
        let role = Role::Program {
            session,
            permit,
            pipe,
            count,
        };
        self.children.enter(spawned, role, born);
        self.time_aging();
    }

    /// Reads a program's standard error from now on. Without memory to poll it the lines are lost,
    /// the program is not.
    fn read_stderr(&mut self, reading: OwnedFd, session: SessionFacts) -> Option<u32> {
        let number = self.pipes.enter(reading, session.service, session.id);
        let descriptor = self.pipes.descriptor(number)?;
        let word = Word::Stderr(number).into();
        if self.poller.add(descriptor, Interest::Read, word).is_err() {
            self.pipes.forget(number);
            return None;
        }
        Some(number)
    }

    /// Stops to poll a listener until somebody wakes it.
    pub(super) fn rest(&mut self, id: ListenerId) {
        let Some(service) = self.disarm(id) else {
            return;
        };
        // Room in a nowait service comes with an exit of the service; anything else concerns all.
        let waits = self
            .services
            .get(service)
            .is_none_or(|entry| entry.facts.wait);
        let is_full = self.admission.is_full() || self.admission.live(service) == 0;
        if waits || is_full || self.shortage.is_resting() {
            self.shortage.rests(id);
        }
    }

    /// Stops to poll a listener; it has its own time to be looked after. Returns whose it is.
    pub(super) fn disarm(&mut self, id: ListenerId) -> Option<ServiceId> {
        let listener = self
            .listeners
            .get_mut(id)
            .filter(|listener| listener.state == State::Armed)?;
        listener.state = State::Resting;
        if let Some(socket) = listener.socket() {
            let _ = self.poller.remove(socket);
        }
        Some(listener.service)
    }

    /// Stops to poll a listener for a time.
    pub(super) fn rest_for(&mut self, id: ListenerId, pause: Duration) {
        self.disarm(id);
        self.look_later(id, pause);
    }

    /// Sets the time when a listener is to be bound or polled again.
    pub(super) fn look_later(&mut self, id: ListenerId, pause: Duration) {
        self.timers.set(Instant::now() + pause, Timer::Listener(id));
    }

    /// That time has come.
    pub(super) fn look_after(&mut self, id: ListenerId) {
        if !self.phase.is_serving() {
            return;
        }
        match self.listeners.get(id).map(|listener| listener.state) {
            Some(State::Resting) => {
                for id in self.in_turn(self.siblings(id)) {
                    self.activate(id);
                }
            }
            Some(State::NotBound | State::LeftOut) => self.finish_binding(id),
            _ => {}
        }
    }

    /// The listeners that wait for the same token as this one, which need not be the first to get it.
    fn siblings(&self, id: ListenerId) -> Vec<ListenerId> {
        let service = self.listeners.get(id).map(|listener| listener.service);
        match service.and_then(|service| self.services.get(service)) {
            Some(entry) if !entry.facts.wait => entry.listeners.to_vec(),
            _ => vec![id],
        }
    }

    /// First those that have taken nothing for the longest time: there may be room for one only.
    fn in_turn(&self, mut ids: Vec<ListenerId>) -> Vec<ListenerId> {
        ids.sort_by_cached_key(|id| self.listeners.get(*id).map(|listener| listener.took));
        ids
    }

    /// Not only polled: since one came to rest a reload may have given it another service.
    pub(super) fn wake_in_turn(&mut self, ids: Vec<ListenerId>) {
        for id in self.in_turn(ids) {
            self.activate(id);
        }
    }

    /// Polls a listener again.
    pub(super) fn arm(&mut self, id: ListenerId) {
        if self.is_paused(id) {
            return;
        }
        let Some(listener) = self
            .listeners
            .get_mut(id)
            .filter(|listener| listener.state == State::Resting)
        else {
            return;
        };
        let entry = self.services.get(listener.service);
        if listener.blocks && entry.is_some_and(|entry| !entry.facts.wait) {
            // It rests since it came home from a program, and the service waits no longer.
            listener.set_blocking(false);
        }
        let Some(socket) = listener.socket() else {
            return;
        };
        if self
            .poller
            .add(socket, Interest::Read, Word::Listener(id).into())
            .is_ok()
        {
            listener.state = State::Armed;
        } else {
            // No memory for it now.
            self.look_later(id, Duration::from_millis(500));
        }
    }

    /// A service that was full has room again.
    pub(super) fn wake_service(&mut self, service: ServiceId) {
        let Some(entry) = self.services.get(service) else {
            return;
        };
        match entry.facts.action {
            // Its other listeners may be backing off, and those that only lack room are noted there.
            Action::Exec(_) if entry.facts.wait => self.wake_all(),
            Action::Exec(_) => self.wake_in_turn(entry.listeners.to_vec()),
            Action::Builtin(_) | Action::Redirect(_) => {}
        }
    }
}

/// What tells a TCP connection from all others, for when it has been given away.
fn ends_of(connection: &Connection) -> Option<Ends> {
    match (&connection.local, connection.peer) {
        (Local::Inet(local), Peer::Inet(peer)) => Some(Ends {
            local: *local,
            peer,
            cookie: destroyed::cookie(connection.socket.as_fd())?,
        }),
        _ => None,
    }
}

/// Errors of accept(2) that concern the connection, not the listener.
fn is_clients_fault(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNABORTED
            | Errno::EPROTO
            | Errno::ENETDOWN
            | Errno::ENOPROTOOPT
            | Errno::EHOSTDOWN
            | Errno::ENONET
            | Errno::EHOSTUNREACH
            | Errno::EOPNOTSUPP
            | Errno::ENETUNREACH
            | Errno::ETIMEDOUT
            | Errno::ECONNRESET
            | Errno::EPERM
    )
}
