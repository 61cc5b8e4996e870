//! Datagram services: receive, decide whether to answer, answer.

use super::Worker;
use super::tally::Fate;
use crate::admission::Now;
use crate::builtin;
use crate::control::{ListenerId, ServiceId, Work};
use crate::sys::Errno;
use crate::sys::datagram::{self, Origin};
use crate::table::{Client, Refusal};
use std::os::fd::AsFd;

/// Datagrams of one socket in one turn.
const DATAGRAMS: usize = 64;

/// Nobody's user id: who sent a datagram over a Unix socket is not told.
const SOMEBODY: Client = Client::Uid(u32::MAX);

impl Worker<'_> {
    /// Serves what waits in a datagram socket.
    pub(super) fn serve_datagrams(&mut self, id: ListenerId) {
        let now = self.moment();
        for _ in 0..DATAGRAMS {
            let Some(listener) = self.listeners.at(id) else {
                return;
            };
            let (socket, offer) = (listener.socket.as_fd(), listener.offer);
            match datagram::receive(socket, offer.transport, &mut self.scratch) {
                Ok((length, origin)) => {
                    listener.works();
                    let fate = match self.judge(offer.service, &origin, &now) {
                        Fate::Answered => self.answer(id, length, &origin),
                        refused => refused,
                    };
                    self.tallies.add(offer.service, fate, self.now);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.listeners.rest(id, &self.poller, self.now),
            }
        }
    }

    /// Whether a datagram of this origin is answered, if there is an answer.
    fn judge(&mut self, service: ServiceId, origin: &Origin, now: &Now) -> Fate {
        let client = match origin {
            Origin::Nameless => return Fate::Unanswered,
            Origin::Unix(_) => SOMEBODY,
            Origin::Udp { source, asked } => {
                let is_own = datagram::is_own_address;
                if !asked.is_unicast() || !self.own_udp.is_safe(*source, is_own) {
                    return Fate::UnsafeSource;
                }
                Client::Ip(source.ip().to_canonical())
            }
        };
        match self.admission.datagram(service, client, now) {
            Ok(()) => Fate::Answered,
            Err(Refusal::Rate | Refusal::RatePerSource) => Fate::OverRate,
            Err(_) => Fate::Refused,
        }
    }

    /// Answers the datagram of this length that was received last.
    fn answer(&mut self, id: ListenerId, length: usize, origin: &Origin) -> Fate {
        let moment = self.clock.now();
        let Some(listener) = self.listeners.at(id) else {
            return Fate::Unanswered;
        };
        // Nothing else is offered at such a socket.
        let Work::Builtin(builtin) = listener.offer.work else {
            return Fate::Unanswered;
        };
        let bytes = &self.scratch[..length];
        let Some(answer) = builtin::answer(builtin, bytes, &moment) else {
            return Fate::Unanswered;
        };
        match datagram::answer(listener.socket.as_fd(), &answer, origin) {
            Ok(()) => Fate::Answered,
            // The client has gone, its queue is full, or no way leads there: datagrams get lost.
            Err(_) => Fate::Unanswered,
        }
    }
}
