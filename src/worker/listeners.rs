//! The listeners that the worker serves, and which of them it waits for just now.
//!
//! A listener is left out of the epoll set while its service is full, and while it *rests*: after a
//! failure of accept(2), or while the supervisor does not read our reports. A rest is 10 ms and
//! doubles up to 500 ms; it is over early when there is relief. No failure closes a listener.

use super::Source;
use crate::control::{ListenerId, ServiceId, Work};
use crate::sys::poll::{Interest, Poller};
use crate::table::Transport;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const SHORTEST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_millis(500);

/// What is offered at a listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) service: ServiceId,
    pub(super) work: Work,
    pub(super) transport: Transport,
}

/// One listener.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) offer: Offer,
    pub(super) socket: OwnedFd,
    polled: bool,
    /// The last one; zero since it worked.
    rest: Duration,
    /// When a client was accepted here last: listeners take turns.
    accepted: Option<Instant>,
}

impl Listener {
    pub(super) fn new(offer: Offer, socket: OwnedFd) -> Listener {
        Listener {
            offer,
            socket,
            polled: false,
            rest: Duration::ZERO,
            accepted: None,
        }
    }

    /// It works: the next rest is a short one.
    pub(super) fn works(&mut self) {
        self.rest = Duration::ZERO;
    }

    /// A client was accepted.
    pub(super) fn has_accepted(&mut self, now: Instant) {
        self.accepted = Some(now);
        self.works();
    }
}

/// A service's limit, its listeners, and whether some of them wait for room.
#[derive(Debug, Default)]
struct Service {
    max_connections: u32,
    listeners: Vec<ListenerId>,
    waiting: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: HashMap<ListenerId, Listener>,
    services: HashMap<ServiceId, Service>,
    resting: BinaryHeap<Reverse<(Instant, ListenerId)>>,
}

impl Listeners {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn at(&mut self, id: ListenerId) -> Option<&mut Listener> {
        self.all.get_mut(&id)
    }

    /// The service's `max_connections`; `None` when it has no listener.
    pub(super) fn limit(&self, service: ServiceId) -> Option<u32> {
        let service = self.services.get(&service)?;
        Some(service.max_connections)
    }

    /// Changes it. False when the service has no listener.
    pub(super) fn set_limit(&mut self, service: ServiceId, max_connections: u32) -> bool {
        let service = self.services.get_mut(&service);
        service
            .map(|service| service.max_connections = max_connections)
            .is_some()
    }

    /// Begins to serve a listener.
    pub(super) fn add(
        &mut self,
        id: ListenerId,
        listener: Listener,
        poller: &Poller,
        now: Instant,
    ) {
        self.services
            .entry(listener.offer.service)
            .or_default()
            .listeners
            .push(id);
        self.all.insert(id, listener);
        self.poll(id, poller, now);
    }

    /// Closes our copy of a listener. The answer is its service, if this was its last.
    pub(super) fn remove(&mut self, id: ListenerId, poller: &Poller) -> Option<ServiceId> {
        self.leave_out(id, poller);
        let listener = self.all.remove(&id)?;
        let service = self.services.get_mut(&listener.offer.service)?;
        service.listeners.retain(|other| *other != id);
        if !service.listeners.is_empty() {
            return None;
        }
        self.services.remove(&listener.offer.service);
        Some(listener.offer.service)
    }

    /// Leaves a listener out until its service has room again.
    pub(super) fn wait_for_room(&mut self, id: ListenerId, poller: &Poller) {
        self.leave_out(id, poller);
        if let Some(service) = self
            .all
            .get(&id)
            .and_then(|it| self.services.get_mut(&it.offer.service))
        {
            service.waiting = true;
        }
    }

    /// Leaves a listener out for a while.
    pub(super) fn rest(&mut self, id: ListenerId, poller: &Poller, now: Instant) {
        self.leave_out(id, poller);
        if let Some(listener) = self.all.get_mut(&id) {
            listener.rest = (listener.rest * 2).clamp(SHORTEST_REST, LONGEST_REST);
            self.resting.push(Reverse((now + listener.rest, id)));
        }
    }

    /// Leaves a listener out until then.
    pub(super) fn rest_until(&mut self, id: ListenerId, poller: &Poller, until: Instant) {
        self.leave_out(id, poller);
        if self.all.contains_key(&id) {
            self.resting.push(Reverse((until, id)));
        }
    }

    /// When the first of the resting is to be polled again.
    pub(super) fn next_awake(&self) -> Option<Instant> {
        self.resting.peek().map(|Reverse((until, _))| *until)
    }

    /// Polls those again that have rested until now.
    pub(super) fn wake(&mut self, poller: &Poller, now: Instant) {
        let mut rested = Vec::new();
        while self.next_awake().is_some_and(|until| until <= now) {
            rested.extend(self.resting.pop().map(|Reverse((_, id))| id));
        }
        self.poll_in_turn(rested, poller, now);
    }

    /// Polls all those again that rest because something was lacking: it may be there now. A rate is
    /// still used up.
    pub(super) fn relieve(&mut self, poller: &Poller, now: Instant) {
        let resting = std::mem::take(&mut self.resting).into_iter();
        let (lacking, others): (Vec<_>, Vec<_>) = resting.partition(|Reverse((_, id))| {
            let listener = self.all.get(id);
            listener.is_none_or(|listener| !listener.rest.is_zero())
        });
        self.resting = others.into();
        let ids = lacking.into_iter().map(|Reverse((_, id))| id).collect();
        self.poll_in_turn(ids, poller, now);
    }

    /// The service has room: polls again those that wait for it.
    pub(super) fn has_room(&mut self, service: ServiceId, poller: &Poller, now: Instant) {
        let Some(service) = self
            .services
            .get_mut(&service)
            .filter(|service| service.waiting)
        else {
            return;
        };
        service.waiting = false;
        let ids = service.listeners.clone();
        self.poll_in_turn(ids, poller, now);
    }

    /// Polls listeners again, first those that have accepted nobody for the longest time: there may
    /// be room for one only.
    fn poll_in_turn(&mut self, mut ids: Vec<ListenerId>, poller: &Poller, now: Instant) {
        ids.sort_by_cached_key(|id| self.all.get(id).map(|listener| listener.accepted));
        for id in ids {
            self.poll(id, poller, now);
        }
    }

    fn poll(&mut self, id: ListenerId, poller: &Poller, now: Instant) {
        let Some(listener) = self.all.get_mut(&id).filter(|listener| !listener.polled) else {
            return;
        };
        listener.polled = poller
            .add(
                &listener.socket,
                Interest::Read,
                Source::Listener(id).word(),
            )
            .is_ok();
        if !listener.polled {
            self.rest(id, poller, now);
        }
    }

    /// The supervisor has a copy of the socket, so that closing ours would not take it out.
    fn leave_out(&mut self, id: ListenerId, poller: &Poller) {
        if let Some(listener) = self.all.get_mut(&id).filter(|listener| listener.polled) {
            // It fails only for a socket that is not there.
            let _ = poller.remove(&listener.socket);
            listener.polled = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    const ID: ListenerId = ListenerId(3);

    struct Fixture {
        listeners: Listeners,
        poller: Poller,
        start: Instant,
    }

    /// One listener that always has something to read.
    fn one() -> Fixture {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"", socket.local_addr().unwrap()).unwrap();
        let offer = Offer {
            service: ServiceId(1),
            work: Work::Builtin(crate::table::Builtin::Echo),
            transport: Transport::Udp,
        };
        let listener = Listener::new(offer, socket.into());
        let (mut listeners, poller) = (Listeners::default(), Poller::new(4).unwrap());
        let start = Instant::now();
        listeners.add(ID, listener, &poller, start);
        Fixture {
            listeners,
            poller,
            start,
        }
    }

    impl Fixture {
        fn is_polled(&mut self) -> bool {
            self.poller.wait(Some(Duration::ZERO)).unwrap().count() == 1
        }

        fn rest_at(&mut self, now: Instant) -> Duration {
            self.listeners.rest(ID, &self.poller, now);
            self.listeners.next_awake().unwrap() - now
        }
    }

    #[test]
    fn a_rest_doubles_until_it_works_again() {
        let mut it = one();
        let mut now = it.start;
        let mut rests = Vec::new();
        for _ in 0..8 {
            let rest = it.rest_at(now);
            assert!(!it.is_polled());
            it.listeners.wake(&it.poller, now);
            assert!(!it.is_polled());
            now += rest;
            it.listeners.wake(&it.poller, now);
            assert!(it.is_polled());
            rests.push(rest.as_millis());
        }
        assert_eq!(rests, [10, 20, 40, 80, 160, 320, 500, 500]);
        it.listeners.at(ID).unwrap().works();
        assert_eq!(it.rest_at(now).as_millis(), 10);
    }

    #[test]
    fn relief_ends_every_rest() {
        let mut it = one();
        it.rest_at(it.start);
        it.listeners.relieve(&it.poller, it.start);
        assert!(it.is_polled());
        assert_eq!(it.listeners.next_awake(), None);
    }

    #[test]
    fn one_that_waits_for_room_is_polled_when_there_is_room() {
        let mut it = one();
        it.listeners.wait_for_room(ID, &it.poller);
        it.listeners.relieve(&it.poller, it.start);
        assert!(!it.is_polled());
        it.listeners.has_room(ServiceId(1), &it.poller, it.start);
        assert!(it.is_polled());
    }

    #[test]
    fn one_that_is_removed_is_gone_from_the_epoll_set() {
        let mut it = one();
        let copy = it.listeners.at(ID).unwrap().socket.try_clone().unwrap();
        it.rest_at(it.start);
        it.listeners.relieve(&it.poller, it.start);
        assert_eq!(it.listeners.remove(ID, &it.poller), Some(ServiceId(1)));
        assert!(!it.is_polled());
        assert_eq!((it.listeners.len(), it.listeners.services.len()), (0, 0));
        drop(copy);
    }
}
