//! The supervisor's orders, obeyed.

use super::listeners::{Listener, Offer};
use super::session::Session;
use super::{Failure, Worker};
use crate::admission::Policy;
use crate::control::{
    Counts, Ending, Keys, LENGTH, ListenerId, Order, Report, Route, ServiceId, list_from_file,
};
use crate::sys::Errno;
use crate::sys::datagram;
use crate::sys::socket::{MOST_DESCRIPTORS, receive_record};
use crate::table::{Client, Refusal};
use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

/// Orders in one turn.
const ORDERS: usize = 64;

/// Descriptors that are never connections: standard ones, epoll, control, and what comes in flight.
const SPARE: u64 = 16;

impl Worker<'_> {
    /// Takes what has come. False at the end: the supervisor has gone.
    pub(super) fn take_orders(&mut self) -> Result<bool, Failure> {
        // One byte more, so that a message that is too long is noticed.
        let mut message = [0; LENGTH + 1];
        let mut doomed = HashSet::new();
        for _ in 0..ORDERS {
            match receive_record(self.control, &mut message) {
                Ok((0, _)) | Err(Errno::ECONNRESET) => return Ok(false),
                Ok((length, descriptors)) => {
                    let order = Order::decode(&message[..length]).map_err(Failure::Order)?;
                    match order {
                        Order::End { number } => drop(doomed.insert(number)),
                        order => self.obey(order, descriptors)?,
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::Call("recvmsg on the control socket", errno)),
            }
        }
        self.end_those(&doomed);
        Ok(true)
    }

    /// All in one look: there may be thousands.
    fn end_those(&mut self, numbers: &HashSet<u32>) {
        if numbers.is_empty() {
            return;
        }
        let doomed = |session: &Session| numbers.contains(&session.number());
        for slot in self.sessions.slots_of(doomed) {
            self.end_at(slot, Ending::Killed);
        }
        self.end_relays(numbers);
    }

    fn obey(&mut self, order: Order, mut descriptors: Vec<OwnedFd>) -> Result<(), Failure> {
        let mut descriptor = || descriptors.pop();
        match order {
            Order::Listen {
                service,
                listener,
                work,
                transport,
                max_connections,
            } => {
                let socket = descriptor().ok_or(Failure::NoDescriptor(listener))?;
                let offer = Offer {
                    service,
                    work,
                    transport,
                };
                self.listen(listener, Listener::new(offer, socket), max_connections);
            }
            Order::Unlisten { listener } => self.unlisten(listener),
            Order::Limit {
                service,
                max_connections,
            } => self.limit(service, max_connections),
            Order::Ceiling { max_connections } => {
                self.settings.max_connections = max_connections;
                self.fit_to_descriptors();
            }
            Order::OwnUdp { address } => self.own_udp.add(address),
            Order::Explain {
                serial,
                service,
                client,
            } => {
                let counts = self.counts(service, client);
                self.reports.push(Report::Explained { serial, counts });
            }
            Order::End { number } => self.end_those(&HashSet::from([number])),
            Order::ForgetUdp { address } => self.own_udp.forget(address),
            Order::List { list } => {
                let acl = descriptor().map(list_from_file);
                let Some(Ok(acl)) = acl else {
                    return Err(Failure::NoList(list));
                };
                self.lists.insert(list, Rc::new(acl));
            }
            Order::ForgetList { list } => drop(self.lists.remove(&list)),
            Order::Policy { service, list } => self.learn(service, list, descriptor())?,
            Order::Targets { service } => {
                let route = descriptor().map(Route::from_file);
                let Some(Ok(route)) = route else {
                    return Err(Failure::NoKeys(service));
                };
                self.routes.insert(service, Rc::new(route));
                self.fit_to_descriptors();
            }
            Order::Attend {
                number,
                way,
                newline,
            } => self.attend(number, way, newline, descriptors),
            Order::Exited { number } => self.program_has_ended(number),
            Order::Cut { number } => self.cut_relay(number),
            Order::Forget { service } => {
                self.policies.remove(&service);
                self.routes.remove(&service);
            }
            Order::Ban {
                serial,
                prefix,
                millis,
            } => {
                let now = self.moment();
                let until = now.at.saturating_add(Duration::from_millis(millis));
                // One too many is not banned; the supervisor, which has as much room, has said so.
                let _ = self.admission.ban(prefix, until, &now);
                self.reports.push(Report::Obeyed { serial });
            }
            Order::Unban { serial, prefix } => {
                let now = self.moment();
                self.admission.unban(prefix, &now);
                self.reports.push(Report::Obeyed { serial });
            }
        }
        Ok(())
    }

    fn counts(&mut self, service: ServiceId, client: Client) -> Counts {
        let now = self.moment();
        let explanation = self.admission.explain(service, client, &now);
        Counts {
            service: explanation.service,
            worker: explanation.server,
            source: explanation.source_live,
            rate: explanation.rate,
            rate_used: explanation.rate_used,
            rate_per_source: explanation.rate_per_source,
            refusal: explanation.verdict.err(),
            // Where all services together are full, the oldest session makes way.
            waits: self
                .admission
                .room(service, &now)
                .lack()
                .filter(|lack| *lack != Refusal::ServerFull),
        }
    }

    /// Puts a service's admission keys in force.
    fn learn(
        &mut self,
        service: ServiceId,
        list: u32,
        file: Option<OwnedFd>,
    ) -> Result<(), Failure> {
        let file = file.ok_or(Failure::NoKeys(service))?;
        let keys = Keys::from_file(file).map_err(|_| Failure::NoKeys(service))?;
        let acl = match list {
            0 => None,
            list => Some(self.lists.get(&list).ok_or(Failure::NoList(list))?),
        };
        let policy = Policy {
            rules: keys.rules.into_owned(),
            acl: acl.cloned(),
        };
        let known = (keys.name.into_owned(), Rc::new(policy));
        self.policies.insert(service, known);
        if let Some(max_connections) = self.listeners.limit(service) {
            self.limit(service, max_connections);
        }
        Ok(())
    }

    fn listen(&mut self, id: ListenerId, listener: Listener, max_connections: u32) {
        let service = listener.offer.service;
        if !listener.offer.transport.is_connected() {
            // Where it fails the answers leave from wherever the routes say.
            let _ = datagram::ask_for_destination(listener.socket.as_fd());
        }
        self.listeners.add(id, listener, &self.poller, self.now);
        self.limit(service, max_connections);
        self.fit_to_descriptors();
    }

    fn unlisten(&mut self, id: ListenerId) {
        if let Some(service) = self.listeners.remove(id, &self.poller) {
            self.admission.forget_service(service);
            self.tallies.forget(service, &mut self.reports);
        }
        self.reports.push(Report::Unlistened { listener: id });
        self.fit_to_descriptors();
    }

    fn limit(&mut self, service: ServiceId, max_connections: u32) {
        if self.listeners.set_limit(service, max_connections) {
            let policy = self.policies.get(&service);
            let policy = policy.map_or_else(Rc::default, |(_, policy)| Rc::clone(policy));
            self.admission.set_service(service, max_connections, policy);
            self.listeners.has_room(service, &self.poller, self.now);
        }
    }

    /// Listeners, connections and refused clients share the descriptors. So the oldest connection
    /// makes way in good order before the kernel refuses one, and what an order brings gets through.
    pub(super) fn fit_to_descriptors(&mut self) {
        let programs = self.relays.programs() * MOST_DESCRIPTORS;
        let taken = (self.listeners.len() + self.leaving.most() + self.parting.most() + programs)
            as u64
            + SPARE;
        // A client that is passed on takes two.
        let each = if self.routes.is_empty() { 1 } else { 2 };
        let left = self.settings.descriptors.saturating_sub(taken) / each;
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        self.admission
            .set_limit(self.settings.max_connections.min(left).max(1));
    }
}
