//! Programs that are given the socket itself, and are not trusted with it.

use super::Supervisor;
use super::children::SessionFacts;
use super::listeners::{Listeners, State};
use super::services::Entry;
use crate::event::Event;
use crate::launch::{self, Lent};
use crate::sys::poll::{Arrivals, is_readable};
use crate::sys::queue::{Diag, QueueHead};
use crate::sys::socket;
use crate::table::{ListenerId, Pass, ServiceId};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A program that lived this long has done something, whatever its queue looks like.
const GOOD_RUN: Duration = Duration::from_secs(1);

/// How long a listener rests whose program has used up its rate, and the next start is further away:
/// there is nobody to refuse.
const RATE_REST: Duration = Duration::from_secs(1);

/// A `wait` program that runs.
#[derive(Debug)]
pub(super) struct Waiter {
    lent: Vec<Queue>,
}

/// What a `wait` program was lent, as it was then.
#[derive(Debug)]
struct Queue {
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
        let plan = self.services.plan(service, self.inherited);
        let (Some(entry), Some(plan)) = (self.services.get(service), plan) else {
            return;
        };
        let facts = Rc::clone(&entry.facts);
        let lent_ids: Vec<ListenerId> = match facts.pass {
            Pass::Stdio => vec![id],
            Pass::ListenFds => entry.listeners.clone(),
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
                    bound: &listener.bound,
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
                self.enter_program(launched, session, born, None);
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
    pub(super) fn restore(
        &mut self,
        pid: i32,
        service: ServiceId,
        lived: Duration,
        ended_well: bool,
    ) {
        let Some(waiter) = self.waiters.remove(&pid) else {
            return;
        };
        let appetite = match lived < GOOD_RUN {
            true => self.appetite(&waiter, ended_well),
            false => Appetite::Sound,
        };
        let pause = match appetite {
            Appetite::None => self.back_off(service),
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

    fn back_off(&mut self, service: ServiceId) -> Option<Duration> {
        let entry = self.services.get_mut(service)?;
        let pause = entry.back_off();
        let facts = Rc::clone(&entry.facts);
        self.observe_service(
            service,
            &Event::BackingOff {
                service: &facts.name,
                pause,
            },
        );
        Some(pause)
    }

    /// Makes a listener anew if its program has left it unfit. (Its flags are put right when it is
    /// activated.)
    fn repair(&mut self, id: ListenerId, rests: bool) {
        let Some(listener) = self.listeners.get(id) else {
            return;
        };
        let Some(socket) = listener.socket() else {
            return;
        };
        let Some(reason) = socket::damage(socket, listener.endpoint.transport) else {
            let transport = listener.endpoint.transport;
            listener.options.restore_backlog(socket, transport);
            return;
        };
        let (service, address) = (listener.service, listener.shown());
        let Some(facts) = self
            .services
            .get(service)
            .map(|entry| Rc::clone(&entry.facts))
        else {
            return;
        };
        self.observe_service(
            service,
            &Event::SocketDamaged {
                service: &facts.name,
                address: &address,
                reason,
            },
        );
        self.bind_anew(id);
        if rests {
            self.disarm(id);
        }
    }
}

/// A listener that is about to be lent. It is watched before its head is looked at: what comes in
/// between then counts twice, which makes for doubt and not for a wrong verdict.
fn queue_of(listeners: &Listeners, diag: &mut Diag, id: ListenerId) -> Queue {
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
