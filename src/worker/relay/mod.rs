//! Connections that are passed on: what a client sends goes to another server or to a program, and
//! what that answers comes back, until both have ended.
//!
//! Each end is told of the other's end as soon as all before it was passed on, so that a half-closed
//! connection stays one. Whoever has more to move than its share of a turn goes on in the next, after
//! those that have little.

mod dial;
mod end;
mod flow;
mod limits;
mod newline;
mod program;
mod redirect;
mod terminal;

use super::session::leave;
use super::{Source, Worker};
use crate::admission::Permit;
use crate::control::{Ending, Report, ServiceId};
use crate::sys::Errno;
use crate::sys::poll::Ready;
use crate::sys::socket::Peer;
use dial::Dial;
use end::End;
use flow::{Broken, Flow, Stop};
use limits::Limits;
pub use newline::Newline;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::os::fd::AsFd;
use std::time::Instant;
use terminal::{Heard, Next};

/// Relays with much to move that have their share in one turn.
const BUSY: usize = 16;

/// Which of a relay's descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Far,
    /// What is only written at the far end.
    Input,
}

/// All relays.
#[derive(Debug, Default)]
pub(super) struct Relays {
    slots: Vec<Option<Relay>>,
    free: Vec<u32>,
    /// The slots of those of programs, by their numbers at the supervisor.
    programs: HashMap<u64, u32>,
    /// Those that have more to move. One may have ended since.
    busy: VecDeque<u32>,
    /// When addresses have had their time: slot, connection and attempt.
    calls: VecDeque<(Instant, u32, u64, usize)>,
    /// When addresses are called again whose queue was full, likewise.
    redials: VecDeque<(Instant, u32, u64, usize)>,
    /// When to see whether relays have reached a limit: slot and owner.
    limited: BinaryHeap<Reverse<(Instant, u32, u64)>>,
    /// When clients have had their time to take what is left: slot, owner, and what they had taken.
    leaving: VecDeque<(Instant, u32, u64, u64)>,
    /// When to look after programs on terminals whose client says no more: slot and owner.
    deaf: BinaryHeap<Reverse<(Instant, u32, u64)>>,
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
    /// Whether the other side has ended before the client took all, and that was noted.
    lingers: bool,
    /// Whether a program on a terminal is looked after until it has taken notice of the end.
    is_deaf: bool,
    limits: Limits,
    owner: Owner,
}

/// Whose it is, and so who keeps its permit.
#[derive(Debug)]
enum Owner {
    /// Ours: a client of a redirect, by its number.
    Redirect(Permit<ServiceId>, Peer, u32),
    /// The supervisor's: a program's client, by its number there.
    Program(u64),
}

impl Owner {
    fn number(&self) -> u64 {
        match self {
            Owner::Redirect(_, _, number) => u64::from(*number),
            Owner::Program(number) => *number,
        }
    }
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

    /// How many belong to programs: each has three descriptors at most.
    pub(super) fn programs(&self) -> usize {
        self.programs.len()
    }

    /// When the next address, client or program has had its time.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let calls = self.calls.front().map(|(due, ..)| *due);
        let redials = self.redials.front().map(|(due, ..)| *due);
        let leaving = self.leaving.front().map(|(due, ..)| *due);
        let deaf = self.deaf.peek().map(|Reverse((due, ..))| *due);
        let limited = self.limited.peek().map(|Reverse((due, ..))| *due);
        let all = [calls, redials, leaving, deaf, limited];
        all.into_iter().flatten().min()
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
        if self.outward.has_ended() && far.ends_as_one() {
            self.inward.abandon();
        }
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

    /// Whether the client is not taking what is left for it, though the other side has ended: what is
    /// there to read of that may not have been read.
    fn lingers(&self) -> bool {
        let has_ended = match &self.far {
            Far::Called(_) => false,
            Far::Joined(far) => self.outward.has_ended() || far.has_ended(),
        };
        has_ended && self.outward.is_blocked()
    }

    /// Bytes that the client has taken: others wait on our side of the connection, where a slow one
    /// makes room in large steps.
    fn taken(&self) -> u64 {
        let unsent = self.client.unsent();
        self.outward.sent.saturating_sub(unsent as u64)
    }

    /// Bytes that came from the client, or that it has taken.
    fn moved(&self) -> u64 {
        self.inward.received + self.taken()
    }

    /// Whether the client has gone although what it sent last still waits to be passed on.
    fn client_has_gone(&self) -> bool {
        self.inward.is_blocked() && self.client.is_broken()
    }
}

impl Worker<'_> {
    /// Has the poller tell of both ends.
    fn poll_relay(&mut self, slot: u32) -> Result<(), Errno> {
        let Some(relay) = self.relays.at(slot) else {
            return Ok(());
        };
        let word = |side| Source::Relay(slot, side).word();
        relay
            .client
            .poll(&self.poller, word(Side::Client), word(Side::Client))?;
        match &relay.far {
            Far::Called(_) => Ok(()),
            Far::Joined(far) => match far.poll(&self.poller, word(Side::Far), word(Side::Input)) {
                // Since it was called.
                Err(Errno::EEXIST) => Ok(()),
                result => result,
            },
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
            (Side::Input, Far::Joined(far)) => {
                if !far.wake_input(ready) {
                    relay.inward.abandon();
                }
            }
            (_, Far::Called(_)) => return self.call(slot, Dial::look),
        }
        if !relay.is_busy {
            self.advance_relay(slot);
        }
    }

    fn advance_relay(&mut self, slot: u32) {
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        let advanced = relay.advance(&mut self.scratch);
        if relay.limits.count_movement() {
            relay.limits.note(relay.moved(), self.now);
        }
        match advanced {
            Ok(_) if relay.client_has_gone() => return self.end_relay(slot, Ending::ClientLeft),
            Ok(Stop::Waiting) => relay.is_busy = false,
            Ok(Stop::Share) => {
                relay.is_busy = true;
                self.relays.busy.push_back(slot);
                return;
            }
            Err(ending) => return self.end_relay(slot, ending),
        }
        let (lingers, is_deaf) = (relay.lingers(), relay.inward.was_told());
        let is_news = (
            lingers && !std::mem::replace(&mut relay.lingers, lingers),
            is_deaf && !std::mem::replace(&mut relay.is_deaf, is_deaf),
        );
        if is_news.0 {
            self.wait_for_client(slot);
        }
        if is_news.1 {
            self.insist(slot);
        }
    }

    /// Sees to it that a program on a terminal takes notice that its client says no more.
    fn insist(&mut self, slot: u32) {
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        let Far::Joined(far) = &mut relay.far else {
            return;
        };
        let heard = Heard {
            bytes: relay.outward.received,
            waits: relay.outward.is_blocked(),
        };
        match far.insist(heard, self.now) {
            None => {}
            Some(Next::Look(pause)) => {
                let note = (self.now + pause, slot, relay.owner.number());
                self.relays.deaf.push(Reverse(note));
            }
            Some(Next::HangUp) => self.end_relay(slot, Ending::ClientLeft),
        }
    }

    /// Looks after those of whom it is time.
    pub(super) fn look_after_the_deaf(&mut self) {
        while let Some(Reverse((due, slot, number))) = self.relays.deaf.peek().copied() {
            if due > self.now {
                return;
            }
            self.relays.deaf.pop();
            let relay = self.relays.at(slot);
            if relay.is_some_and(|relay| relay.owner.number() == number) {
                self.insist(slot);
            }
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

    fn wait_for_client(&mut self, slot: u32) {
        let due = self.now + self.settings.patience;
        if let Some(relay) = self.relays.at(slot) {
            let note = (due, slot, relay.owner.number(), relay.taken());
            self.relays.leaving.push_back(note);
        }
    }

    /// Ends relays whose client has taken nothing of what is left for too long.
    pub(super) fn end_lingering_relays(&mut self) {
        while let Some((due, slot, number, taken)) = self.relays.leaving.front().copied() {
            if due > self.now {
                return;
            }
            self.relays.leaving.pop_front();
            let relay = self.relays.at(slot);
            match relay.filter(|relay| relay.owner.number() == number) {
                Some(relay) if relay.lingers() && relay.taken() == taken => {
                    self.end_relay(slot, Ending::IdleTimeout);
                }
                Some(_) => self.wait_for_client(slot),
                None => {}
            }
        }
    }

    fn end_relay(&mut self, slot: u32, ending: Ending) {
        let Some(mut relay) = self.relays.remove(slot) else {
            return;
        };
        let has_answer = matches!(ending, Ending::Finished | Ending::TargetLeft);
        if has_answer && !relay.inward.has_ended() {
            if let Some(socket) = relay.client.into_socket() {
                relay.inward.received += leave(socket.as_fd(), &mut self.scratch);
                self.parting.enter(socket, &self.poller, self.now);
            }
        }
        let (received, sent) = (relay.inward.received, relay.outward.sent);
        match relay.owner {
            Owner::Redirect(permit, _, number) => {
                let service = permit.service();
                self.release(permit);
                self.reports.push(Report::Ended {
                    service,
                    number,
                    received,
                    sent,
                    ending,
                });
            }
            Owner::Program(number) => {
                self.relays.programs.remove(&number);
                self.fit_to_descriptors();
                self.report_passed(number, (received, sent), ending);
            }
        }
    }

    /// Ends those of these numbers that are ours.
    pub(super) fn end_relays(&mut self, numbers: &HashSet<u32>) {
        let doomed = |relay: &Option<Relay>| match relay.as_ref().map(|relay| &relay.owner) {
            Some(Owner::Redirect(_, _, number)) => numbers.contains(number),
            _ => false,
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
