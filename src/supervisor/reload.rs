//! Putting a table in force: whole, and without losing a connection.
//!
//! Sockets are matched by address, not by service, so an address that the new table still names
//! keeps its socket, whoever has it now. New ones are bound before old ones are closed, except where
//! an old one is in the way. What cannot be bound is tried again later: the state after a reload is
//! the state after a restart with the same table.

use super::Supervisor;
use super::changes::Changes;
use super::link::Attachment;
use super::listeners::{self, Key, Listener, State};
use super::services::Kept;
use super::timers::Timer;
use crate::control::{Order, Place, Work};
use crate::event::{Event, words};
use crate::sys::Errno;
use crate::sys::address::{Address, Transport};
use crate::sys::socket::{self, BindError};
use crate::table::{Action, Control, Difference, Endpoint, ListenerId, Service, ServiceId};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

/// Exit status when another server has the control socket (EX_TEMPFAIL).
const ANOTHER_SERVES: u8 = 75;

impl Supervisor {
    /// Puts a table in force, of whose services some stay as they are. Returns what that has changed.
    pub(super) fn apply(&mut self, difference: Difference, kept: &Kept) -> Changes {
        let changes = self.changes(&difference.table, kept);
        let server = difference.table.server.clone();
        self.configure_log(&server);
        self.keep_name(server.is_inetd);
        let place = match &server.control {
            None => Place::Standard,
            Some(Control::Off) => Place::Nowhere,
            Some(Control::At(path)) => Place::At(path.into()),
        };
        if !self.open_control(place, server.viewers) {
            self.phase.never_served(ANOTHER_SERVES);
            return changes;
        }
        self.admission.set_limit(server.max_connections);
        let is_another = self
            .link
            .configure(server.worker, server.max_worker_connections);
        if is_another {
            let text =
                "worker_user has changed: the worker stays who it is until the next one is started";
            self.observe(&Event::Warning { text });
        }
        let max_connections = server.max_worker_connections;
        self.order(Order::Ceiling { max_connections }, Attachment::Nothing);

        self.keep_listeners(kept);
        if kept.len() < self.services.len() || !difference.digests.is_empty() {
            self.change_services(difference, kept);
        }
        self.start_worker();
        self.wake_all();

        let first = self.phase.begin_serving();
        if first {
            let services = self
                .services
                .iter()
                .filter(|(_, entry)| entry.facts.enabled && !entry.retired)
                .count();
            let bound = self
                .listeners
                .iter()
                .filter(|(_, listener)| listener.socket().is_some())
                .count();
            self.observe(&Event::Ready {
                services,
                listeners: bound,
            });
            self.warn_of_unbound();
            self.close_spare();
            self.keep_pid_file(server.pid_file.as_deref());
            self.flush_log();
            self.options.tell_ready();
        } else {
            self.keep_pid_file(server.pid_file.as_deref());
            self.observe(&Event::Reloaded {
                added: changes.added.len(),
                changed: changes.changed.len(),
                removed: changes.removed.len(),
                kept: changes.kept,
            });
            self.options.tell_reloaded();
        }
        self.store_listeners();
        changes
    }

    fn warn_of_unbound(&mut self) {
        let all = self.listeners.iter();
        let unbound = all
            .filter(|(_, listener)| listener.state == State::NotBound)
            .count();
        if unbound > 0 {
            let text = format!(
                "not bound: {unbound} of the addresses above; each is tried again, after 1 s to 30 s"
            );
            self.observe(&Event::Warning { text: &text });
        }
    }

    /// Puts the services of a table in force, and retires those that neither are among them nor stay.
    fn change_services(&mut self, difference: Difference, kept: &Kept) {
        let Difference {
            mut table, digests, ..
        } = difference;
        self.services.take_shared(&mut table);
        let mut others = self.services.by_name(kept);
        let mut touched: Vec<ServiceId> = others.values().copied().collect();
        let services = table.services.into_iter().map(Rc::new);
        let changed: Vec<(ServiceId, Rc<Service>)> = services
            .zip(digests)
            .map(|(facts, digest)| {
                let known = others.remove(&facts.name);
                (self.enter_or_renew(known, &facts, digest), facts)
            })
            .collect();
        for id in others.into_values() {
            if let Some(entry) = self.services.get_mut(id).filter(|entry| !entry.retired) {
                entry.retire();
            }
        }
        touched.extend(changed.iter().map(|(id, _)| *id));
        touched.sort_unstable();
        touched.dedup();

        self.configure_for_all();
        let wanted = self.wanted(&changed);
        self.change_listeners(wanted, kept, &touched);
        for service in touched {
            self.forget_if_over(service);
        }
        self.services.tidy_shared();
        self.forget_lists();
    }

    fn enter_or_renew(
        &mut self,
        known: Option<ServiceId>,
        facts: &Rc<Service>,
        digest: u64,
    ) -> ServiceId {
        let policy = self.services.policy(facts);
        let facts = Rc::clone(facts);
        let Some(id) = known else {
            return self.services.enter(facts, policy, digest);
        };
        if let Some(entry) = self.services.get_mut(id) {
            entry.renew(facts, policy, digest);
        }
        id
    }

    /// Makes ready for what any of the services needs.
    fn configure_for_all(&mut self) {
        let in_force = self.services.iter().filter(|(_, entry)| !entry.retired);
        let kinds = in_force.map(|(_, entry)| &entry.facts.kind);
        let (mut accounts, mut relays, mut lives) = (false, false, HashSet::new());
        for kind in kinds {
            accounts |= kind.account;
            relays |= kind.enabled && kind.stdio.is_relayed();
            if matches!(kind.action, Action::Exec(_)) {
                lives.insert(kind.life);
            }
        }
        self.configure_accounts(accounts);
        self.configure_lives(lives.into_iter());
        self.link.expect_relays(relays);
    }

    /// Every socket that services want which are new or not as they were.
    fn wanted(&mut self, changed: &[(ServiceId, Rc<Service>)]) -> Vec<(ServiceId, Endpoint)> {
        let mut wanted = Vec::new();
        for (id, facts) in changed {
            self.limit(*id, facts);
            if let Some(reason) = &facts.unavailable {
                let service = &*facts.name;
                self.observe_service(*id, &Event::Unavailable { service, reason });
            } else if facts.enabled {
                let endpoints = facts.endpoints.iter();
                wanted.extend(endpoints.map(|endpoint| (*id, endpoint.clone())));
            }
        }
        wanted
    }

    /// What could not be bound is tried again, and who rests is looked after: as if they were new.
    fn keep_listeners(&mut self, kept: &Kept) {
        let idle = self.listeners.iter().filter(|(_, listener)| {
            let state = listener.state;
            matches!(state, State::NotBound | State::LeftOut | State::Resting)
                && !listener.unwanted
                && kept.has(listener.service)
        });
        let idle: Vec<ListenerId> = idle.map(|(id, _)| id).collect();
        self.services.forget_rests(kept);
        for id in idle {
            self.put_to_use(id, true);
        }
    }

    fn limit(&mut self, id: ServiceId, facts: &Service) {
        let max_connections = facts.max_connections;
        // Those of the worker too, for whoever wants to know what would be decided.
        if let Some(entry) = self.services.get(id) {
            let policy = Rc::clone(&entry.policy);
            self.admission.set_service(id, max_connections, policy);
        }
        if !matches!(facts.action, Action::Exec(_)) {
            self.tell_keys(id);
            let order = Order::Limit {
                service: id,
                max_connections,
            };
            self.order(order, Attachment::Nothing);
        }
    }

    /// Matches what is wanted with what is bound, binds what is new, closes what nobody wants.
    fn change_listeners(
        &mut self,
        wanted: Vec<(ServiceId, Endpoint)>,
        kept: &Kept,
        touched: &[ServiceId],
    ) {
        let stays = |listener: &Listener| kept.has(listener.service) && !listener.unwanted;
        let mut existing: HashMap<Key, ListenerId> = self.listeners.by_key(stays);
        let mut by_service: HashMap<ServiceId, Vec<ListenerId>> = HashMap::new();
        let mut new = Vec::new();
        for (service, endpoint) in wanted {
            let id = match existing.remove(&Key::of(service, &endpoint)) {
                Some(id) => {
                    self.reassign(id, service, endpoint);
                    id
                }
                None => {
                    let id = self.listeners.enter(service, endpoint);
                    new.push(id);
                    id
                }
            };
            by_service.entry(service).or_default().push(id);
        }
        for service in touched {
            if let Some(entry) = self.services.get_mut(*service) {
                entry.listeners = by_service.remove(service).unwrap_or_default().into();
            }
        }

        let unwanted: Vec<ListenerId> = existing.into_values().collect();
        let in_the_way = new.iter().copied().filter(|id| {
            self.try_bind(*id)
                .is_err_and(|error| error.errno == Errno::EADDRINUSE)
        });
        let in_the_way: HashSet<ListenerId> = in_the_way.collect::<Vec<_>>().into_iter().collect();
        for id in unwanted {
            self.close(id);
        }
        for id in new {
            if in_the_way.contains(&id) {
                let _ = self.try_bind(id);
            }
            self.finish_binding(id);
        }
    }

    /// Gives a bound listener to the service that has its address now.
    fn reassign(&mut self, id: ListenerId, service: ServiceId, endpoint: Endpoint) {
        let facts = self.services.get(service).map(|entry| &entry.facts);
        let options = facts.map(|facts| facts.socket).unwrap_or_default();
        let Some(listener) = self.listeners.get_mut(id) else {
            return;
        };
        let renewed = listener.set_options(options);
        let before = listener.service;
        listener.service = service;
        listener.endpoint = endpoint;
        listener.unwanted = false;
        if let Err(error) = renewed {
            let address = listener.shown();
            let text = format!(
                "the socket {address} stays as it was: {}: {}; what the table says holds when it is bound again",
                error.call,
                words(error.errno)
            );
            self.observe(&Event::Warning { text: &text });
        }
        self.put_to_use(id, before == service);
    }

    /// Has a listener do what its service's facts say now, which may be new, or be of another service.
    fn put_to_use(&mut self, id: ListenerId, is_same_service: bool) {
        let Some(listener) = self.listeners.get(id) else {
            return;
        };
        match listener.state {
            // It comes home when its program ends, and serves by the new facts from then on.
            State::Lent | State::Leaving => {}
            State::NotBound | State::LeftOut => {
                if let Some(listener) = self.listeners.get_mut(id) {
                    listener.try_anew();
                }
                self.look_later(id, Duration::ZERO);
            }
            State::Served => {
                // The worker counts sessions by service: taken back and given again.
                let stays = is_same_service && self.work(listener.service) == self.link.given(id);
                if !stays {
                    self.take_back(id);
                }
            }
            // Nothing about it has changed: of ten thousand, most.
            State::Armed if is_same_service && self.is_served_as_before(id) => {}
            State::Armed | State::Resting => {
                // What it has rested for is over, and nobody is to wait for that moment.
                self.timers.clear(Timer::Listener(id));
                self.rest(id);
                self.activate(id);
            }
        }
    }

    fn is_served_as_before(&self, id: ListenerId) -> bool {
        let Some(listener) = self.listeners.get(id) else {
            return false;
        };
        let Some(entry) = self.services.get(listener.service) else {
            return false;
        };
        matches!(entry.facts.action, Action::Exec(_)) && listener.blocks == entry.facts.wait
    }

    /// What the worker does for the service, if it serves it.
    fn work(&self, service: ServiceId) -> Option<Work> {
        match self.services.get(service)?.facts.action {
            Action::Builtin(builtin) => Some(Work::Builtin(builtin)),
            Action::Redirect(_) => Some(Work::Redirect),
            Action::Exec(_) => None,
        }
    }

    /// Lets whoever answers for the service take from a listener of it that nobody has.
    pub(super) fn activate(&mut self, id: ListenerId) {
        let Some(listener) = self.listeners.get(id) else {
            return;
        };
        let service = listener.service;
        let Some(entry) = self.services.get(service) else {
            return;
        };
        let (waits, work) = (entry.facts.wait, self.work(service));
        let Some(listener) = self
            .listeners
            .get_mut(id)
            .filter(|listener| listener.state == State::Resting)
        else {
            return;
        };
        // A `wait` program is given a blocking socket; we and the worker never block on one.
        listener.set_blocking(waits);
        match work {
            Some(_) if self.is_paused(id) => {}
            Some(work) => self.give(id, work),
            None => self.arm(id),
        }
    }

    /// Binds a listener. Nothing is told.
    fn try_bind(&mut self, id: ListenerId) -> Result<(), BindError> {
        let Some(service) = self.listeners.get(id).map(|listener| listener.service) else {
            return Ok(());
        };
        let Some(entry) = self.services.get(service) else {
            return Ok(());
        };
        // Of two sockets of one entry both get the port that was chosen for the first; a socket that
        // is made anew keeps its own.
        let port = self
            .listeners
            .sibling_port(id, &entry.listeners)
            .or_else(|| self.listeners.get(id)?.chosen_port());
        let (nonblocking, options) = (!entry.facts.wait, entry.facts.socket);
        match self.listeners.get_mut(id) {
            Some(listener) if listener.socket().is_none() => {
                let Endpoint {
                    transport, address, ..
                } = &listener.endpoint;
                match self.handovers.take(*transport, address) {
                    Some(handed) => {
                        listener.adopt(handed, options);
                        listener.set_blocking(!nonblocking);
                        Ok(())
                    }
                    None => listener.bind(nonblocking, port, options),
                }
            }
            _ => Ok(()),
        }
    }

    /// Tells what became of a listener, and puts it to work or tries again later.
    pub(super) fn finish_binding(&mut self, id: ListenerId) {
        // A second attempt, cheap, for the error: what is bound already is left alone.
        let result = self.try_bind(id);
        let is_about_to_be_free = result.is_err_and(|error| self.is_about_to_be_free(error.errno));
        let Some(listener) = self.listeners.get_mut(id) else {
            return;
        };
        let Some(facts) = self
            .services
            .get(listener.service)
            .map(|entry| Rc::clone(&entry.facts))
        else {
            return;
        };
        let (service, address) = (listener.service, listener.shown());
        match result {
            Ok(()) => {
                let (transport, bound) = (listener.endpoint.transport, listener.bound().clone());
                self.observe(&Event::Listening {
                    service: &facts.name,
                    address: &address,
                });
                if let (Transport::Udp, Address::Inet(address)) = (transport, bound) {
                    self.order(Order::OwnUdp { address }, Attachment::Nothing);
                }
                self.activate(id);
            }
            Err(error) if listener.endpoint.optional && listeners::is_missing_here(error.errno) => {
                listener.state = State::LeftOut;
            }
            Err(error) => {
                let advice = listeners::advice(error, &listener.endpoint.address);
                let pause = listener.next_retry();
                if !is_about_to_be_free && listener.is_news(error.errno) {
                    let BindError { call, errno } = error;
                    self.observe_service(
                        service,
                        &Event::NotBound {
                            service: &facts.name,
                            address: &address,
                            call,
                            errno,
                            advice,
                        },
                    );
                }
                self.look_later(id, pause);
            }
        }
    }

    /// Closes a listener that is spoilt and binds it again at once.
    pub(super) fn bind_anew(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.get_mut(id) {
            // The port that was chosen stays the one that clients know.
            listener.close();
        }
        self.finish_binding(id);
    }

    /// Closes a listener that the table no longer names. One that the worker has stays until the
    /// worker has let go of it: until then the address is taken, and clients may still be accepted.
    pub(super) fn close(&mut self, id: ListenerId) {
        let listener = self.listeners.get_mut(id);
        let served = listener.filter(|listener| listener.state == State::Served);
        if let Some(listener) = served {
            // Before it may come back at once, so that it is not given away again.
            listener.unwanted = true;
            self.take_back(id);
        }
        if let Some(listener) = self
            .listeners
            .get_mut(id)
            .filter(|listener| listener.state == State::Leaving)
        {
            listener.unwanted = true;
            // Nobody is to wait in its queue any more.
            listener.remove_file();
            let is_tcp = listener.endpoint.transport == Transport::Tcp;
            if let Some(socket) = listener.socket().filter(|_| is_tcp && !listener.goes_on) {
                let _ = socket::stop_listening(socket);
            }
            return;
        }
        let Some(mut listener) = self.listeners.leave(id) else {
            return;
        };
        if let Some(socket) = listener.socket() {
            if listener.state == State::Armed {
                let _ = self.poller.remove(socket);
            }
            if let (Transport::Udp, Address::Inet(address)) =
                (listener.endpoint.transport, listener.bound())
            {
                let address = *address;
                self.order(Order::ForgetUdp { address }, Attachment::Nothing);
            }
        }
        if let Some((socket, name)) = listener.give_back() {
            self.handovers.give_back(socket, name);
        }
        listener.close();
    }

    /// An address has become free: tries at once to bind what could not be bound.
    pub(super) fn bind_missing(&mut self) {
        let all = self.listeners.iter();
        let missing = all.filter(|(_, listener)| listener.state == State::NotBound);
        for id in missing.map(|(id, _)| id).collect::<Vec<_>>() {
            self.look_later(id, Duration::ZERO);
        }
    }

    /// Whether an address that is in use may be one that the worker is about to let go of.
    fn is_about_to_be_free(&self, errno: Errno) -> bool {
        errno == Errno::EADDRINUSE && self.listeners.iter().any(|(_, listener)| listener.unwanted)
    }
}
