//! Mechanism: a refused client is told why, and is let go without a reset.
//!
//! The text goes out in one write that does not wait, then our half is closed. Closing the rest while
//! bytes of the client are unread would reset the connection, and the reset could overtake the text;
//! so the socket is kept, unread, until the client ends its half: for [`LINGER`] at most, and
//! [`PER_SERVICE`] of a service. Without a text there is nothing to wait for.

use crate::sys::Errno;
use crate::sys::fd::raise;
use crate::sys::poll::{Interest, Poller};
use crate::sys::socket::Peer;
use crate::sys::stream;
use crate::table::{Refusal, Rules, ServiceId};
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a refused client may take to go.
pub const LINGER: Duration = Duration::from_secs(1);
/// Refused clients of one service that may take that time at once.
pub const PER_SERVICE: usize = 64;
/// Of all services together; where descriptors are few, an eighth of them.
const IN_ALL: usize = 1024;

/// Refused clients that have not gone yet.
#[derive(Debug)]
pub struct Leaving {
    most: usize,
    all: HashMap<u32, (ServiceId, OwnedFd)>,
    by_service: HashMap<ServiceId, usize>,
    /// In the order of their time; some may have gone already.
    deadlines: VecDeque<(Instant, u32)>,
    next: u32,
}

impl Leaving {
    /// Nobody yet, in a process that may have so many descriptors.
    pub fn new(descriptors: u64) -> Leaving {
        Leaving {
            most: usize::try_from(descriptors / 8).map_or(IN_ALL, |most| most.min(IN_ALL)),
            all: HashMap::new(),
            by_service: HashMap::new(),
            deadlines: VecDeque::new(),
            next: 0,
        }
    }

    /// Descriptors that it may come to hold.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Tells a client the text, if there is one, and lets it go. `word` is what `poller` is to say
    /// when the client with that number goes; tell it to [`gone`](Self::gone) then.
    pub fn refuse(
        &mut self,
        service: ServiceId,
        socket: OwnedFd,
        text: Option<&str>,
        poller: &Poller,
        word: impl FnOnce(u32) -> u64,
        now: Instant,
    ) {
        let Some(text) = text else { return };
        let told = stream::send(socket.as_fd(), text.as_bytes()).is_ok();
        if !told || stream::shut_down_sending(socket.as_fd()) == Err(Errno::ENOTCONN) {
            return;
        }
        let count = self.by_service.get(&service).copied().unwrap_or_default();
        if count >= PER_SERVICE || self.all.len() >= self.most {
            return;
        }
        let (number, socket) = (self.next, raise(socket));
        if poller.add(&socket, Interest::End, word(number)).is_err() {
            return;
        }
        self.next = self.next.wrapping_add(1);
        self.all.insert(number, (service, socket));
        *self.by_service.entry(service).or_default() += 1;
        self.deadlines.push_back((now + LINGER, number));
    }

    /// A client has gone: its socket is closed.
    pub fn gone(&mut self, number: u32) {
        let Some((service, _)) = self.all.remove(&number) else {
            return;
        };
        if let Some(count) = self.by_service.get_mut(&service) {
            *count -= 1;
            if *count == 0 {
                self.by_service.remove(&service);
            }
        }
    }

    /// When [`expire`](Self::expire) has something to do.
    pub fn next_due(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _)| *at)
    }

    /// Closes those that have had their time.
    pub fn expire(&mut self, now: Instant) {
        while self.next_due().is_some_and(|at| at <= now) {
            if let Some((_, number)) = self.deadlines.pop_front() {
                self.gone(number);
            }
        }
    }
}

/// What a client is told, if anything: the service's text with `%a`, `%s` and `%%` filled in.
pub fn text(rules: &Rules, reason: Refusal, peer: Peer, service: &str) -> Option<String> {
    let written = rules.refusal.of(reason)?;
    let mut told = String::with_capacity(written.len());
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            told.push(character);
            continue;
        }
        match characters.next() {
            Some('a') => told.push_str(&address(peer)),
            Some('s') => told.push_str(service),
            Some(other) => told.push(other),
            None => told.push('%'),
        }
    }
    Some(told)
}

fn address(peer: Peer) -> String {
    match peer {
        Peer::Inet(address) => address.ip().to_string(),
        Peer::Unix { uid, .. } => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    const SERVICE: ServiceId = ServiceId(1);

    fn refuse(
        leaving: &mut Leaving,
        poller: &Poller,
        text: Option<&str>,
        now: Instant,
    ) -> UnixStream {
        let (client, ours) = UnixStream::pair().unwrap();
        leaving.refuse(SERVICE, ours.into(), text, poller, u64::from, now);
        client
    }

    #[test]
    fn a_refused_client_reads_the_text_and_is_kept_until_it_goes() {
        let (mut leaving, mut poller) = (Leaving::new(1024), Poller::new(4).unwrap());
        let now = Instant::now();
        let mut client = refuse(&mut leaving, &poller, Some("no\r\n"), now);
        client.write_all(b"unread").unwrap();
        assert_eq!(poller.wait(Some(Duration::ZERO)).unwrap().count(), 0);
        let mut told = String::new();
        client.read_to_string(&mut told).unwrap();
        assert_eq!(told, "no\r\n");
        client.shutdown(Shutdown::Write).unwrap();
        let words: Vec<u64> = poller.wait(None).unwrap().map(|ready| ready.word).collect();
        assert_eq!(words, [0]);
        leaving.gone(0);
        assert!(leaving.all.is_empty() && leaving.by_service.is_empty());
        leaving.expire(now + LINGER);
        assert_eq!(leaving.next_due(), None);
    }

    #[test]
    fn sixty_four_of_a_service_are_kept_for_a_second() {
        let (mut leaving, poller) = (Leaving::new(1024), Poller::new(4).unwrap());
        let now = Instant::now();
        let clients: Vec<UnixStream> = (0..70)
            .map(|_| refuse(&mut leaving, &poller, Some("no"), now))
            .collect();
        assert_eq!(leaving.all.len(), 64);
        leaving.expire(now + LINGER - Duration::from_millis(1));
        assert_eq!(leaving.all.len(), 64);
        leaving.expire(now + LINGER);
        assert_eq!(leaving.all.len(), 0);
        drop(clients);
    }

    #[test]
    fn of_few_descriptors_only_some_are_taken() {
        let (mut leaving, poller) = (Leaving::new(80), Poller::new(4).unwrap());
        let clients: Vec<UnixStream> = (0..20)
            .map(|_| refuse(&mut leaving, &poller, Some("no"), Instant::now()))
            .collect();
        assert_eq!((leaving.all.len(), leaving.most()), (10, 10));
        drop(clients);
    }

    #[test]
    fn without_a_text_nothing_is_kept() {
        let (mut leaving, poller) = (Leaving::new(1024), Poller::new(4).unwrap());
        let mut client = refuse(&mut leaving, &poller, None, Instant::now());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert!(leaving.all.is_empty());
    }

    #[test]
    fn a_text_is_filled_in() {
        let mut rules = Rules::default();
        rules.refusal.any = Some("%s: not for %a, 100%%".into());
        rules.refusal.by_reason.insert(Refusal::Full, "full".into());
        let peer = Peer::Inet("192.0.2.7:99".parse().unwrap());
        let told = |reason| text(&rules, reason, peer, "echo").unwrap();
        assert_eq!(told(Refusal::Denied), "echo: not for 192.0.2.7, 100%");
        assert_eq!(told(Refusal::Full), "full");
        assert_eq!(text(&Rules::default(), Refusal::Full, peer, "echo"), None);
    }
}
