//! Clients that are passed on to another server: it is called first, and the relay begins when it
//! answers.

use super::dial::{Call, Dial};
use super::end::End;
use super::flow::Flow;
use super::limits::Limits;
use super::{Far, Owner, Relay, Side};
use crate::admission::Permit;
use crate::control::{Report, ServiceId};
use crate::sys::Errno;
use crate::sys::poll::Interest;
use crate::sys::socket::Peer;
use crate::worker::{Source, Worker};
use std::cmp::Reverse;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long an address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// When to call one again whose queue is full (connect(2), EAGAIN of Unix sockets): nothing tells
/// when it has room.
const REDIAL: Duration = Duration::from_millis(50);

impl Worker<'_> {
    /// Passes a client on that was just admitted.
    pub(in crate::worker) fn redirect(
        &mut self,
        socket: OwnedFd,
        peer: Peer,
        permit: Permit<ServiceId>,
    ) {
        let (service, number) = (permit.service(), self.last_number);
        self.reports.push(Report::Accepted {
            service,
            number,
            peer,
        });
        let route = self.routes.get(&service).cloned().unwrap_or_default();
        let limits = Limits::new(&route.life, self.now);
        let due = limits.next();
        let relay = Relay {
            client: End::socket(socket),
            far: Far::Called(Dial::new(route)),
            inward: Flow::default(),
            outward: Flow::default(),
            is_cut: false,
            is_busy: false,
            lingers: false,
            is_deaf: false,
            limits,
            owner: Owner::Redirect(permit, peer, number),
        };
        let slot = self.relays.insert(relay);
        if let Some(due) = due {
            let note = (due, slot, u64::from(number));
            self.relays.limited.push(Reverse(note));
        }
        self.call(slot, |dial| Some(dial.next(None)));
    }

    /// Goes on with a call, in this way.
    pub(super) fn call(&mut self, slot: u32, go_on: impl FnOnce(&mut Dial) -> Option<Call>) {
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        let Far::Called(dial) = &mut relay.far else {
            return;
        };
        let Some(call) = go_on(dial) else { return };
        match call {
            Call::Failed(errno) => self.not_connected(slot, errno),
            Call::Calling | Call::Full => {
                let (number, attempt) = (relay.owner.number(), dial.attempt());
                let word = Source::Relay(slot, Side::Far).word();
                let polled = dial
                    .socket()
                    .map(|socket| self.poller.add(socket, Interest::BothEdge, word));
                if let Some(Err(errno)) = polled {
                    return self.not_connected(slot, errno);
                }
                let due = self.now + CONNECT_TIMEOUT;
                self.relays.calls.push_back((due, slot, number, attempt));
                if let Call::Full = call {
                    let due = self.now + REDIAL;
                    self.relays.redials.push_back((due, slot, number, attempt));
                }
            }
            Call::Answered(socket) => self.join(slot, socket),
        }
    }

    /// The other server is there.
    fn join(&mut self, slot: u32, socket: OwnedFd) {
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        relay.far = Far::Joined(End::socket(socket));
        let began = match &relay.owner {
            Owner::Redirect(permit, peer, number) => Report::Began {
                service: permit.service(),
                number: *number,
                peer: *peer,
            },
            Owner::Program(_) => return,
        };
        if let Err(errno) = self.poll_relay(slot) {
            return self.not_connected(slot, errno);
        }
        self.reports.push(began);
        self.advance_relay(slot);
    }

    fn not_connected(&mut self, slot: u32, errno: Errno) {
        let owner = self.relays.remove(slot).map(|relay| relay.owner);
        if let Some(Owner::Redirect(permit, _, number)) = owner {
            self.release(permit);
            self.reports.push(Report::NotConnected {
                number,
                errno: errno as i32,
            });
        }
    }

    /// Ends those that have reached a limit.
    pub(in crate::worker) fn end_limited_relays(&mut self) {
        while let Some(Reverse((due, slot, number))) = self.relays.limited.peek().copied() {
            if due > self.now {
                return;
            }
            self.relays.limited.pop();
            let relay = self.relays.at(slot);
            let Some(relay) = relay.filter(|relay| relay.owner.number() == number) else {
                continue;
            };
            // A slow client may have taken something without our notice.
            relay.limits.note(relay.moved(), self.now);
            match (relay.limits.reached(self.now), relay.limits.next()) {
                (Some(ending), _) => self.end_relay(slot, ending),
                (None, Some(due)) => self.relays.limited.push(Reverse((due, slot, number))),
                (None, None) => {}
            }
        }
    }

    /// Calls addresses again whose queue was full.
    pub(in crate::worker) fn redial(&mut self) {
        while let Some((due, slot, number, attempt)) = self.relays.redials.front().copied() {
            if due > self.now {
                return;
            }
            self.relays.redials.pop_front();
            let Some(relay) = self.relays.at(slot) else {
                continue;
            };
            let is_it = relay.owner.number() == number;
            let Far::Called(dial) = &mut relay.far else {
                continue;
            };
            if !is_it || dial.attempt() != attempt {
                continue;
            }
            match dial.again() {
                Some(call) => self.call(slot, |_| Some(call)),
                None => {
                    let due = self.now + REDIAL;
                    self.relays.redials.push_back((due, slot, number, attempt));
                }
            }
        }
    }

    /// Calls the next address where one has had its time.
    pub(in crate::worker) fn give_up_dialling(&mut self) {
        while let Some((due, slot, number, attempt)) = self.relays.calls.front().copied() {
            if due > self.now {
                return;
            }
            self.relays.calls.pop_front();
            let is_it = self
                .relays
                .at(slot)
                .is_some_and(|relay| relay.owner.number() == number);
            if is_it {
                self.call(slot, |dial| {
                    let is_late = dial.attempt() == attempt;
                    is_late.then(|| dial.next(Some(Errno::ETIMEDOUT)))
                });
            }
        }
    }
}
