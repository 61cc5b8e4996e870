//! Connections that are passed on: what a client sends goes to another server, and what that answers
//! comes back, until both have ended.
//!
//! Each end is told of the other's end as soon as all before it was passed on, so that a half-closed
//! connection stays one. Whoever has more to move than its share of a turn goes on in the next, after
//! those that have little.

mod dial;
mod end;
mod flow;

use super::session::leave;
use super::{Source, Worker};
use crate::admission::Permit;
use crate::control::{Ending, Report, ServiceId};
use crate::sys::Errno;
use crate::sys::poll::{Interest, Ready};
use crate::sys::socket::Peer;
use dial::{Call, Dial};
use end::End;
use flow::{Broken, Flow, Stop};
use std::collections::{HashSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long an address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Relays with much to move that have their share in one turn.
const BUSY: usize = 16;

/// Which of a relay's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Far,
}

/// All relays.
#[derive(Debug, Default)]
pub(super) struct Relays {
    slots: Vec<Option<Relay>>,
    free: Vec<u32>,
    /// Those that have more to move. One may have ended since.
    busy: VecDeque<u32>,
    /// When addresses have had their time: slot, connection and attempt.
    calls: VecDeque<(Instant, u32, u32, usize)>,
}

#[derive(Debug)]
struct Relay {
    client: End,
    far: Far,
    inward: Flow,
    outward: Flow,
    /// The other server has reset the connection.
    is_cut: bool,
    is_busy: bool,
    permit: Permit<ServiceId>,
    peer: Peer,
    number: u32,
}

#[derive(Debug)]
enum Far {
    Called(Dial),
    Joined(End),
}

impl Relays {
    /// Whether some have more to move.
    pub(super) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// When the next address has had its time.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.calls.front().map(|(due, ..)| *due)
    }

    fn insert(&mut self, relay: Relay) -> u32 {
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(relay);
                slot
            }
            None => {
                self.slots.push(Some(relay));
                (self.slots.len() - 1) as u32
            }
        }
    }

    fn at(&mut self, slot: u32) -> Option<&mut Relay> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn remove(&mut self, slot: u32) -> Option<Relay> {
        let relay = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(relay)
    }
}

impl Relay {
    /// Moves a share each way. Whether there may be more; an error when the connection has ended.
    fn advance(&mut self, scratch: &mut [u8]) -> Result<Stop, Ending> {
        let Far::Joined(far) = &mut self.far else {
            return Ok(Stop::Waiting);
        };
        let outward = match self.outward.advance(far, &mut self.client, scratch) {
            Ok(stop) => stop,
            Err(Broken::Destination) => return Err(Ending::ClientLeft),
            Err(Broken::Source) => {
                // What it had sent before is still the client's.
                (self.is_cut, far.readable) = (true, false);
                self.outward.cut();
                self.inward.abandon();
                Stop::Share
            }
        };
        let inward = match self.inward.advance(&mut self.client, far, scratch) {
            Ok(stop) => stop,
            Err(Broken::Source) => return Err(Ending::ClientLeft),
            Err(Broken::Destination) => {
                self.inward.abandon();
                Stop::Share
            }
        };
        match self.outward.is_over() && self.inward.is_closed() {
            true if self.is_cut => Err(Ending::TargetLeft),
            true => Err(Ending::Finished),
            false if outward == Stop::Share => Ok(outward),
            false => Ok(inward),
        }
    }

    fn end(mut self, ending: Ending, scratch: &mut [u8]) -> (Permit<ServiceId>, Report) {
        if ending == Ending::Finished {
            self.inward.received += leave(self.client.as_fd(), scratch);
        }
        let report = Report::Ended {
            service: self.permit.service(),
            number: self.number,
            received: self.inward.received,
            sent: self.outward.sent,
            ending,
        };
        (self.permit, report)
    }
}

impl Worker<'_> {
    /// Passes a client on that was just admitted.
    pub(super) fn redirect(&mut self, socket: OwnedFd, peer: Peer, permit: Permit<ServiceId>) {
        let (service, number) = (permit.service(), self.last_number);
        self.reports.push(Report::Accepted {
            service,
            number,
            peer,
        });
        let targets = self.targets.get(&service).cloned().unwrap_or_default();
        let relay = Relay {
            client: End::new(socket),
            far: Far::Called(Dial::new(targets)),
            inward: Flow::default(),
            outward: Flow::default(),
            is_cut: false,
            is_busy: false,
            permit,
            peer,
            number,
        };
        let slot = self.relays.insert(relay);
        self.call(slot, |dial| Some(dial.next(None)));
    }

    /// Goes on with a call, in this way.
    fn call(&mut self, slot: u32, go_on: impl FnOnce(&mut Dial) -> Option<Call>) {
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        let Far::Called(dial) = &mut relay.far else {
            return;
        };
        let Some(call) = go_on(dial) else { return };
        match call {
            Call::Failed(errno) => self.not_connected(slot, errno),
            Call::Calling => {
                let (number, attempt) = (relay.number, dial.attempt());
                let word = Source::Relay(slot, Side::Far).word();
                let polled = dial
                    .socket()
                    .map(|socket| self.poller.add(socket, Interest::BothEdge, word));
                if let Some(Err(errno)) = polled {
                    return self.not_connected(slot, errno);
                }
                let due = self.now + CONNECT_TIMEOUT;
                self.relays.calls.push_back((due, slot, number, attempt));
            }
            Call::Answered(socket) => self.join(slot, socket),
        }
    }

    /// The other server is there.
    fn join(&mut self, slot: u32, socket: OwnedFd) {
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        let far = End::new(socket);
        let words = [Side::Client, Side::Far].map(|side| Source::Relay(slot, side).word());
        let polled = self.poller.add(&relay.client, Interest::BothEdge, words[0]);
        let polled = polled.and_then(|()| {
            match self.poller.add(&far, Interest::BothEdge, words[1]) {
                // Since it was called.
                Err(Errno::EEXIST) => Ok(()),
                result => result,
            }
        });
        relay.far = Far::Joined(far);
        if let Err(errno) = polled {
            return self.not_connected(slot, errno);
        }
        self.reports.push(Report::Began {
            service: relay.permit.service(),
            number: relay.number,
            peer: relay.peer,
        });
        self.advance_relay(slot);
    }

    fn not_connected(&mut self, slot: u32, errno: Errno) {
        if let Some(relay) = self.relays.remove(slot) {
            self.release(relay.permit);
            self.reports.push(Report::NotConnected {
                number: relay.number,
                errno: errno as i32,
            });
        }
    }

    /// Calls the next address where one has had its time.
    pub(super) fn give_up_dialling(&mut self) {
        while let Some((due, slot, number, attempt)) = self.relays.calls.front().copied() {
            if due > self.now {
                return;
            }
            self.relays.calls.pop_front();
            let is_it = self
                .relays
                .at(slot)
                .is_some_and(|relay| relay.number == number);
            if is_it {
                self.call(slot, |dial| {
                    let is_late = dial.attempt() == attempt;
                    is_late.then(|| dial.next(Some(Errno::ETIMEDOUT)))
                });
            }
        }
    }

    /// The poller has news of a relay.
    pub(super) fn wake_relay(&mut self, slot: u32, side: Side, ready: Ready) {
        // Ended in this very turn, perhaps.
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        match (side, &mut relay.far) {
            (Side::Client, _) => relay.client.wake(ready),
            (Side::Far, Far::Joined(far)) => far.wake(ready),
            (Side::Far, Far::Called(_)) => return self.call(slot, Dial::look),
        }
        if !relay.is_busy {
            self.advance_relay(slot);
        }
    }

    fn advance_relay(&mut self, slot: u32) {
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        match relay.advance(&mut self.scratch) {
            Ok(Stop::Waiting) => relay.is_busy = false,
            Ok(Stop::Share) => {
                relay.is_busy = true;
                self.relays.busy.push_back(slot);
            }
            Err(ending) => self.end_relay(slot, ending),
        }
    }

    /// Moves a share of some that have much to move.
    pub(super) fn advance_busy_relays(&mut self) {
        for _ in 0..self.relays.busy.len().min(BUSY) {
            if let Some(slot) = self.relays.busy.pop_front() {
                self.advance_relay(slot);
            }
        }
    }

    fn end_relay(&mut self, slot: u32, ending: Ending) {
        if let Some(relay) = self.relays.remove(slot) {
            let (permit, report) = relay.end(ending, &mut self.scratch);
            self.release(permit);
            self.reports.push(report);
        }
    }

    /// Ends those of these numbers.
    pub(super) fn end_relays(&mut self, numbers: &HashSet<u32>) {
        let doomed = |relay: &Option<Relay>| {
            let relay = relay.as_ref();
            relay.is_some_and(|relay| numbers.contains(&relay.number))
        };
        let slots = self.relays.slots.iter().enumerate();
        let doomed: Vec<usize> = slots
            .filter(|(_, relay)| doomed(relay))
            .map(|(slot, _)| slot)
            .collect();
        for slot in doomed {
            self.end_relay(slot as u32, Ending::Killed);
        }
    }
}
