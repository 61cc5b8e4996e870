//! Datagram services: receive, decide whether to answer, answer.

use super::Worker;
use super::rate::Rates;
use super::reflection::OwnSockets;
use super::tally::Fate;
use crate::builtin;
use crate::control::ListenerId;
use crate::sys::Errno;
use crate::sys::datagram::{self, Origin};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// Datagrams of one socket in one turn.
const DATAGRAMS: usize = 64;

/// Whom to answer, and how often.
#[derive(Debug, Default)]
pub(super) struct Guard {
    pub(super) own: OwnSockets,
    rates: Rates,
}

impl Guard {
    /// Sends an answer, if it may be sent.
    fn answer(&mut self, socket: BorrowedFd, bytes: &[u8], origin: &Origin, now: Instant) -> Fate {
        match self.judge(origin, now) {
            Fate::Answered => match datagram::answer(socket, bytes, origin) {
                Ok(()) => Fate::Answered,
                // The client has gone, its queue is full, or no way leads there: datagrams get lost.
                Err(_) => Fate::Unanswered,
            },
            refused => refused,
        }
    }

    /// What would become of an answer to this origin.
    fn judge(&mut self, origin: &Origin, now: Instant) -> Fate {
        match origin {
            Origin::Nameless => Fate::Unanswered,
            Origin::Unix(_) => Fate::Answered,
            Origin::Udp { source, asked } => {
                if !asked.is_unicast() || !self.own.is_safe(*source, datagram::is_own_address) {
                    Fate::UnsafeSource
                } else if !self.rates.take(source.ip(), now) {
                    Fate::OverRate
                } else {
                    Fate::Answered
                }
            }
        }
    }
}

impl Worker<'_> {
    /// Serves what waits in a datagram socket.
    pub(super) fn serve_datagrams(&mut self, id: ListenerId) {
        for _ in 0..DATAGRAMS {
            let Some(listener) = self.listeners.at(id) else {
                return;
            };
            match datagram::receive(
                listener.socket.as_fd(),
                listener.offer.transport,
                &mut self.scratch,
            ) {
                Ok((length, origin)) => {
                    listener.works();
                    let moment = self.clock.now();
                    let answer =
                        builtin::answer(listener.offer.builtin, &self.scratch[..length], &moment);
                    let fate = match answer {
                        Some(answer) => {
                            self.guard
                                .answer(listener.socket.as_fd(), &answer, &origin, self.now)
                        }
                        None => Fate::Unanswered,
                    };
                    self.tallies.add(listener.offer.service, fate, self.now);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.listeners.rest(id, &self.poller, self.now),
            }
        }
    }
}
