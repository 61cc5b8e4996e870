//! Clients that were told the end and have not ended themselves: what they still send is read and
//! dropped, since a socket that is closed with input left, or gets more, is reset, and the client
//! may lose what it has not taken yet.
//!
//! They are no sessions any more. Whoever takes nothing for a [`PAUSE`], or has taken all by then, is
//! let go, and after [`PAUSES`] everybody; and no more than [`Parting::most`] are kept.

use super::{Source, Worker};
use crate::sys::poll::{Interest, Poller};
use crate::sys::stream;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Between two looks at what a client has taken.
const PAUSE: Duration = Duration::from_secs(1);
/// How often to look.
const PAUSES: u32 = 60;
/// How often something is read and dropped in one turn.
const DRAINS: usize = 4;
/// Of all services together; where descriptors are few, a sixteenth of them.
const IN_ALL: usize = 512;

/// See the module.
#[derive(Debug)]
pub(super) struct Parting {
    most: usize,
    all: HashMap<u32, Client>,
    /// When to look at each, in order; some may have gone already.
    due: VecDeque<(Instant, u32)>,
    next: u32,
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    /// Bytes that it had not taken at the last look.
    left: usize,
    looks: u32,
}

impl Parting {
    /// Nobody yet, in a process that may have so many descriptors.
    pub(super) fn new(descriptors: u64) -> Parting {
        Parting {
            most: usize::try_from(descriptors / 16).map_or(IN_ALL, |most| most.min(IN_ALL)),
            all: HashMap::new(),
            due: VecDeque::new(),
            next: 0,
        }
    }

    /// Descriptors that it may come to hold.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Parts with a client that was told the end, and is polled for already.
    pub(super) fn enter(&mut self, socket: OwnedFd, poller: &Poller, now: Instant) {
        if self.all.len() >= self.most {
            return;
        }
        let (number, word) = (self.next, Source::Parting(self.next).word());
        if poller.change(&socket, Interest::Read, word).is_err() {
            return;
        }
        self.next = self.next.wrapping_add(1);
        let left = stream::unsent(socket.as_fd());
        let looks = 0;
        self.all.insert(
            number,
            Client {
                socket,
                left,
                looks,
            },
        );
        self.due.push_back((now + PAUSE, number));
    }

    /// Drops what a client has sent; closes its socket at the end.
    fn drain(&mut self, number: u32, scratch: &mut [u8]) {
        let Some(client) = self.all.get(&number) else {
            return;
        };
        for _ in 0..DRAINS {
            match stream::discard(client.socket.as_fd(), scratch) {
                Ok(count) if count > 0 => {}
                Err(crate::sys::Errno::EAGAIN) => return,
                _ => return drop(self.all.remove(&number)),
            }
        }
    }

    /// When [`look`](Self::look) has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.front().map(|(at, _)| *at)
    }

    /// Lets those go that have had their time.
    pub(super) fn look(&mut self, now: Instant) {
        while self.next_due().is_some_and(|at| at <= now) {
            let Some((_, number)) = self.due.pop_front() else {
                return;
            };
            let Some(client) = self.all.get_mut(&number) else {
                continue;
            };
            let before = std::mem::replace(&mut client.left, stream::unsent(client.socket.as_fd()));
            client.looks += 1;
            if client.left > 0 && client.left != before && client.looks < PAUSES {
                self.due.push_back((now + PAUSE, number));
            } else {
                self.all.remove(&number);
            }
        }
    }
}

impl Worker<'_> {
    /// A client with which we part has sent something, or has ended.
    pub(super) fn drain_parting(&mut self, number: u32) {
        self.parting.drain(number, &mut self.scratch);
    }
}
