//! Programs that are given the socket itself, and are not trusted with it.

use super::Supervisor;
use super::children::{Count, SessionFacts};
use super::listeners::{Listeners, State};
use super::services::Entry;
use crate::event::Event;
use crate::launch::{self, Lent};
use crate::sys::fd::clear_flags;
use crate::sys::poll::{Arrivals, is_readable};
use crate::sys::queue::{Diag, QueueHead, drop_head};
use crate::sys::socket::{self, Peer};
use crate::table::{ListenerId, Pass, ServiceId};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A program that lived this long has done something, whatever its queue looks like.
const GOOD_RUN: Duration = Duration::from_secs(1);

/// When a program that takes nothing would rest that long, the datagram that waits first is dropped: it
/// was tried four times by then, in less than a second.
const POISON: Duration = Duration::from_millis(800);

/// How long a listener rests whose program has used up its rate, and the next start is further away:
/// there is nobody to refuse.
const RATE_REST: Duration = Duration::from_secs(1);

/// A `wait` program that runs.
#[derive(Debug)]
pub(super) struct Waiter {
    lent: Vec<Queue>,
}

/// How a `wait` program went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// It could not be run.
    None,
    /// It ended with an error, after so long.
    Badly(Duration),
    /// It ended well, after so long.
    Well(Duration),
}

impl Run {
    fn is_short(self) -> bool {
        match self {
            Run::None => true,
            Run::Badly(lived) | Run::Well(lived) => lived < GOOD_RUN,
        }
    }
}

/// What a `wait` program was lent, as it was then.
#[derive(Debug)]
pub(super) struct Queue {
    listener: ListenerId,
    /// What waited first.
    head: Option<QueueHead>,
    /// What has come since; of datagrams the head tells enough.
    arrivals: Option<Arrivals>,
}

impl Queue {
    /// What has become of it, by what waits first now.
    fn appetite(&self, now: Option<QueueHead>, ended_well: bool) -> Appetite {
        use QueueHead::{Datagram, Waiting};
        match (self.head, now) {
            (Some(Datagram(before)), Some(Datagram(now))) if now == before => Appetite::None,
            (Some(Datagram(_)), _) => Appetite::Sound,
            (Some(Waiting(before)), Some(Waiting(now))) if now < before => Appetite::Sound,
            (Some(Waiting(_)), Some(Waiting(_))) if !self.has_arrivals() => Appetite::None,
            _ if ended_well => Appetite::Doubtful,
            _ => Appetite::None,
        }
    }

    fn has_arrivals(&self) -> bool {
        self.arrivals.as_ref().is_none_or(Arrivals::any)
    }
}

/// Whether a `wait` program has consumed something of what waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Appetite {
    /// Surely not.
    None,
    /// It may or may not have.
    Doubtful,
    /// It has, or there is nothing more.
    Sound,
}

impl Supervisor {
    /// Something waits at a listener of a `wait` service.
    pub(super) fn start_waiter(&mut self, id: ListenerId, service: ServiceId) {
        if !self.may_ask(id, service) {
            return;
        }
        if self.is_lent(service) {
            return self.rest(id);
        }
        if self.leaves_to_holder(id, service) {
            return;
        }
        let plan = self.services.plan(service, self.inherited);
        let (Some(entry), Some(plan)) = (self.services.get(service), plan) else {
            return;
        };
        let facts = Rc::clone(&entry.facts);
        let lent_ids: Vec<ListenerId> = match facts.pass {
            Pass::Stdio => vec![id],
            Pass::ListenFds => entry.listeners.to_vec(),
        };
        let connection_id = self.next_id();
        let now = self.moment();
        let Ok(permit) = self.admission.start(service, &now) else {
            return self.rest_for(id, RATE_REST);
        };
        let listeners = lent_ids.iter().filter_map(|id| self.listeners.get(*id));
        let lent: Vec<Lent> = listeners
            .filter_map(|listener| {
                Some(Lent {
                    socket: listener.socket()?,
                    endpoint: &listener.endpoint,
                    bound: listener.bound(),
                })
            })
            .collect();
        let queues = lent_ids
            .iter()
            .map(|id| queue_of(&self.listeners, &mut self.diag, *id))
            .collect();
        let born = Instant::now();
        match launch::wait(
            &mut self.spawner,
            &plan,
            &facts,
            &lent,
            connection_id,
            permit,
        ) {
            Ok(launched) => {
                let pid = launched.spawned.pid;
                let session = SessionFacts {
                    service,
                    id: connection_id,
                    peer: None,
                };
                self.lend(&lent_ids);
                self.waiters.insert(pid, Waiter { lent: queues });
                self.enter_program(launched, session, born, Count::Nobody);
                self.shortage.succeeded(&mut self.timers);
            }
            Err(postponed) => {
                self.admission.release(postponed.permit);
                self.run_short("start a program", postponed.errno);
                self.rest(id);
            }
        }
    }

    /// Whether a program has all sockets of the service already (one that a reload has added it has
    /// not: that waits for the next program).
    fn is_lent(&self, service: ServiceId) -> bool {
        let Some(entry) = self.services.get(service) else {
            return false;
        };
        let mut listeners = entry
            .listeners
            .iter()
            .filter_map(|id| self.listeners.get(*id));
        entry.facts.pass == Pass::ListenFds
            && listeners.any(|listener| listener.state == State::Lent)
    }

    fn lend(&mut self, ids: &[ListenerId]) {
        for id in ids {
            let Some(listener) = self.listeners.get_mut(*id) else {
                continue;
            };
            if let Some(socket) = listener.socket() {
                if listener.state == State::Armed {
                    let _ = self.poller.remove(socket);
                }
                listener.state = State::Lent;
            }
        }
    }

    /// A `wait` program has ended: its sockets come home and are looked at. One that failed, or has
    /// surely consumed nothing, rests longer and longer. Where that is only likely (as many wait at a
    /// listener as before, but others have come) it rests shortly, and only after several such
    /// runs: a service must not be put to sleep by much traffic.
    pub(super) fn restore(&mut self, pid: i32, service: ServiceId, run: Run) {
        let Some(waiter) = self.waiters.remove(&pid) else {
            return;
        };
        let appetite = match run.is_short() {
            true => self.appetite(&waiter, matches!(run, Run::Well(_))),
            false => Appetite::Sound,
        };
        let ids: Vec<ListenerId> = waiter.lent.iter().map(|queue| queue.listener).collect();
        let took_something = appetite == Appetite::Sound;
        let is_held = run.is_short()
            && run != Run::None
            && self.look_for_holder(service, pid, &ids, took_something);
        let pause = match appetite {
            // It is for that one to take what waits.
            _ if is_held => None,
            Appetite::None => self.back_off(service, &waiter, run),
            Appetite::Doubtful => self.services.get_mut(service).and_then(Entry::doubt),
            Appetite::Sound => {
                self.services.get_mut(service).map(Entry::calm_down);
                None
            }
        };
        for Queue { listener: id, .. } in waiter.lent {
            self.repair(id, pause.is_some());
            if let Some(listener) = self
                .listeners
                .get_mut(id)
                .filter(|listener| listener.state == State::Lent)
            {
                listener.state = State::Resting;
            }
            match pause {
                Some(pause) => self.look_later(id, pause),
                None => self.activate(id),
            }
        }
    }

    /// What the queues of its sockets say of a program.
    fn appetite(&mut self, waiter: &Waiter, ended_well: bool) -> Appetite {
        let sockets = waiter
            .lent
            .iter()
            .filter_map(|queue| self.listeners.get(queue.listener)?.socket());
        if !sockets.into_iter().any(is_readable) {
            return Appetite::Sound;
        }
        let judged = waiter.lent.iter().map(|queue| {
            let now = head_of(&self.listeners, &mut self.diag, queue.listener);
            queue.appetite(now, ended_well)
        });
        judged.max().unwrap_or(Appetite::Sound)
    }

    /// Whether something of what waited then was taken, as far as can be told.
    pub(super) fn has_taken(&mut self, queue: &Queue) -> bool {
        let now = head_of(&self.listeners, &mut self.diag, queue.listener);
        queue.appetite(now, true) == Appetite::Sound
    }

    /// A program has consumed nothing. Returns how long it rests.
    fn back_off(&mut self, service: ServiceId, waiter: &Waiter, run: Run) -> Option<Duration> {
        let entry = self.services.get_mut(service)?;
        let pause = entry.back_off();
        let facts = Rc::clone(&entry.facts);
        if run != Run::None && pause >= POISON {
            // The first time what waits behind it is tried at once.
            let rest = if pause == POISON {
                Duration::ZERO
            } else {
                pause
            };
            if self.drop_poison(service, waiter, rest) {
                return (!rest.is_zero()).then_some(rest);
            }
        }
        self.observe_service(
            service,
            &Event::BackingOff {
                service: &facts.name,
                pause,
            },
        );
        Some(pause)
    }

    /// Drops the datagrams that wait first and were not taken. Returns whether there were any.
    fn drop_poison(&mut self, service: ServiceId, waiter: &Waiter, pause: Duration) -> bool {
        let mut any = false;
        for queue in &waiter.lent {
            let Some(listener) = self.listeners.get(queue.listener) else {
                continue;
            };
            let transport = listener.endpoint.transport;
            let is_fit = |socket: &BorrowedFd| socket::damage(*socket, transport).is_none();
            // One that is made anew loses all that waits.
            let Some(socket) = listener.socket().filter(is_fit) else {
                continue;
            };
            if transport.is_connected() {
                continue;
            }
            let now = head_of(&self.listeners, &mut self.diag, queue.listener);
            if now.is_none() || now != queue.head {
                continue;
            }
            let (Ok(peer), Some(entry)) =
                (drop_head(socket, transport), self.services.get(service))
            else {
                continue;
            };
            let (facts, address) = (Rc::clone(&entry.facts), listener.shown());
            let event = Event::DatagramDropped {
                service: &facts.name,
                address: &address,
                peer: peer.map(Peer::Inet),
                pause,
            };
            self.observe_service(service, &event);
            any = true;
        }
        any
    }

    /// Puts a listener right that its program has left unfit: makes it anew where nothing else helps.
    fn repair(&mut self, id: ListenerId, rests: bool) {
        let Some(listener) = self.listeners.get(id) else {
            return;
        };
        let Some(socket) = listener.socket() else {
            return;
        };
        let transport = listener.endpoint.transport;
        if let Some(reason) = socket::damage(socket, transport) {
            self.tell_damage(id, reason, true);
            self.bind_anew(id);
            if rests {
                self.disarm(id);
            }
            return;
        }
        listener.options().restore_backlog(socket, transport);
        if let Some(reason) = clear_flags(socket) {
            self.tell_damage(id, reason, false);
        }
    }

    fn tell_damage(&mut self, id: ListenerId, reason: &'static str, is_new: bool) {
        let Some(listener) = self.listeners.get(id) else {
            return;
        };
        let (service, address) = (listener.service, listener.shown());
        let entry = self.services.get(service);
        let Some(facts) = entry.map(|entry| Rc::clone(&entry.facts)) else {
            return;
        };
        let event = Event::SocketDamaged {
            service: &facts.name,
            address: &address,
            reason,
            is_new,
        };
        self.observe_service(service, &event);
    }
}

/// A listener that is about to be lent. It is watched before its head is looked at: what comes in
/// between then counts twice, which makes for doubt and not for a wrong verdict.
pub(super) fn queue_of(listeners: &Listeners, diag: &mut Diag, id: ListenerId) -> Queue {
    let streams = listeners
        .get(id)
        .filter(|listener| listener.endpoint.transport.is_connected());
    let arrivals = streams.and_then(|listener| Arrivals::watch(listener.socket()?).ok());
    Queue {
        listener: id,
        head: head_of(listeners, diag, id),
        arrivals,
    }
}

fn head_of(listeners: &Listeners, diag: &mut Diag, id: ListenerId) -> Option<QueueHead> {
    let listener = listeners.get(id)?;
    diag.head(listener.socket()?, listener.endpoint.transport)
}
