//! The life of a connection in the worker: accepted, admitted, advanced, ended.
//!
//! When there is no room for one more in the whole worker, or no descriptor, the connection that
//! has been idle for the longest time makes way.

use super::listeners::Offer;
use super::session::Session;
use super::{Source, Worker};
use crate::admission::{Permit, Room};
use crate::builtin::Conversation;
use crate::control::{Ending, ListenerId, Report, ServiceId, Work};
use crate::refuse;
use crate::sys::Errno;
use crate::sys::poll::{Ready, is_readable};
use crate::sys::socket::{Peer, accept};
use crate::table::{Client, Refusal, Transport};
use std::os::fd::{AsFd, OwnedFd};

/// Connections accepted from one listener in one turn.
const ACCEPTS: usize = 32;

impl Worker<'_> {
    /// Accepts what waits in a listener's queue.
    pub(super) fn accept_from(&mut self, id: ListenerId) {
        for _ in 0..ACCEPTS {
            let Some(offer) = self.listeners.at(id).map(|listener| listener.offer) else {
                return;
            };
            if self.reports.is_long() {
                return self.listeners.rest(id, &self.poller, self.now);
            }
            let now = self.moment();
            match self.admission.room(offer.service, &now) {
                // When the whole worker is full, somebody makes way.
                Room::Open | Room::ServerFull => {}
                Room::Full => return self.listeners.wait_for_room(id, &self.poller),
                Room::RestUntil(at) => {
                    let until = self.start + at;
                    return self.listeners.rest_until(id, &self.poller, until);
                }
            }
            match self.accept_one(id) {
                Ok((socket, peer)) => self.begin(offer, socket, peer),
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Err(errno) if is_aborted(errno) => {
                    self.reports.push(Report::Aborted {
                        service: offer.service,
                    });
                }
                Err(errno) if self.overcomes(id, errno) => {}
                Err(_) => return,
            }
        }
    }

    fn accept_one(&mut self, id: ListenerId) -> Result<(OwnedFd, Peer), Errno> {
        let listener = self.listeners.at(id).ok_or(Errno::EAGAIN)?;
        let accepted = accept(listener.socket.as_fd(), true)?;
        listener.has_accepted(self.now);
        Ok(accepted)
    }

    /// What to do when the system lacks something. True when it is worth another try at once.
    fn overcomes(&mut self, id: ListenerId, errno: Errno) -> bool {
        // accept(2) takes a descriptor before it looks whether anybody waits.
        if self
            .listeners
            .at(id)
            .is_none_or(|listener| !is_readable(&listener.socket))
        {
            return false;
        }
        let room = errno == Errno::EMFILE && self.evict_oldest();
        if !room {
            self.listeners.rest(id, &self.poller, self.now);
        }
        room
    }

    fn begin(&mut self, offer: Offer, socket: OwnedFd, peer: Peer) {
        self.last_number = self.last_number.checked_add(1).unwrap_or(1);
        let permit = match self.admit(offer.service, peer) {
            Ok(permit) => permit,
            Err(reason) => return self.refuse(offer.service, socket, peer, reason),
        };
        let builtin = match offer.work {
            Work::Builtin(builtin) => builtin,
            Work::Redirect => return self.redirect(socket, peer, permit),
        };
        let records = offer.transport == Transport::UnixSeqpacket;
        let conversation = Conversation::begin(builtin, records, &self.clock.now());
        self.reports.push(Report::Began {
            service: offer.service,
            number: self.last_number,
            peer,
        });
        self.settle(Session::begin(
            socket,
            conversation,
            permit,
            self.last_number,
        ));
    }

    /// Takes a permit, if need be from the session that has been idle for the longest time.
    fn admit(&mut self, service: ServiceId, peer: Peer) -> Result<Permit<ServiceId>, Refusal> {
        let now = self.moment();
        loop {
            match self.admission.admit(service, Client::from(peer), &now) {
                Err(Refusal::ServerFull) if self.evict_oldest() => {}
                decided => return decided,
            }
        }
    }

    fn refuse(&mut self, service: ServiceId, socket: OwnedFd, peer: Peer, reason: Refusal) {
        self.reports.push(Report::Refused {
            service,
            number: self.last_number,
            peer,
            reason,
        });
        // Without keys of its own it has no text either.
        let Some((name, policy)) = self.policies.get(&service) else {
            return;
        };
        let text = refuse::text(&policy.rules, reason, peer, name);
        let word = |number| Source::Leaving(number).word();
        self.leaving.refuse(
            service,
            socket,
            text.as_deref(),
            &self.poller,
            word,
            self.now,
        );
    }

    /// Lets a new session say what it has to say first: short answers are over with that, and cost
    /// no registration. Then waits for it.
    fn settle(&mut self, mut session: Session) {
        if session.speaks_first() {
            let ready = Ready {
                word: 0,
                readable: false,
                writable: true,
                broken: false,
            };
            if let Err(ending) = session.advance(ready, &mut self.scratch) {
                return self.end(session, ending);
            }
        }
        let slot = self.sessions.insert(session, self.now);
        let Some(session) = self.sessions.at(slot) else {
            return;
        };
        if self
            .poller
            .add(&*session, session.interest(), Source::Session(slot).word())
            .is_err()
        {
            self.end_at(slot, Ending::Evicted);
        }
    }

    /// Moves a session's bytes.
    pub(super) fn advance(&mut self, slot: u32, ready: Ready) {
        // Ended in this very turn, perhaps.
        let Some(session) = self.sessions.at(slot) else {
            return;
        };
        let before = session.interest();
        let moved = match session.advance(ready, &mut self.scratch) {
            Ok(moved) => moved,
            Err(ending) => return self.end_at(slot, ending),
        };
        let interest = session.interest();
        if interest != before
            && self
                .poller
                .change(&*session, interest, Source::Session(slot).word())
                .is_err()
        {
            return self.end_at(slot, Ending::Evicted);
        }
        if moved {
            self.sessions.touch(slot, self.now);
        }
    }

    /// Ends those that have been idle for too long.
    pub(super) fn end_idle(&mut self) {
        while let Some((slot, touched)) = self.sessions.oldest() {
            if touched + self.settings.idle_timeout > self.now {
                return;
            }
            self.end_at(slot, Ending::IdleTimeout);
        }
    }

    fn evict_oldest(&mut self) -> bool {
        let Some((slot, _)) = self.sessions.oldest() else {
            return false;
        };
        self.end_at(slot, Ending::Evicted);
        true
    }

    pub(super) fn end_at(&mut self, slot: u32, ending: Ending) {
        if let Some(session) = self.sessions.remove(slot) {
            self.end(session, ending);
        }
    }

    fn end(&mut self, session: Session, ending: Ending) {
        let (permit, report) = session.end(ending, &mut self.scratch);
        self.release(permit);
        self.reports.push(report);
    }

    /// A connection has ended: others may have its room.
    pub(super) fn release(&mut self, permit: Permit<ServiceId>) {
        let service = permit.service();
        self.admission.release(permit);
        self.listeners.has_room(service, &self.poller, self.now);
        self.listeners.relieve(&self.poller, self.now);
    }
}

/// Whether accept(2) failed because of the one connection that it was to accept: the client gave it
/// up, a firewall forbade it, or the network broke under it.
fn is_aborted(errno: Errno) -> bool {
    use Errno::*;
    matches!(
        errno,
        ECONNABORTED
            | EPERM
            | EPROTO
            | ENOPROTOOPT
            | EOPNOTSUPP
            | ENETDOWN
            | ENETUNREACH
            | EHOSTDOWN
            | EHOSTUNREACH
            | ENONET
            | ETIMEDOUT
            | ECONNRESET
    )
}
