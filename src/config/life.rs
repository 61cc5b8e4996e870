//! The life limits of a service: their forms, and where they can be kept.

use super::entry::Entry;
use super::mistake::Mistake;
use super::reader::{Node, Section};
use super::resolve::Resolver;
use super::value;
use crate::table::{Life, Transport};

/// A year, in seconds.
const LONGEST: u64 = 365 * 86_400;

/// What the keys say. One that is wrong says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct LifeEntry {
    max_lifetime: Option<u32>,
    idle_timeout: Option<u32>,
    first_byte_timeout: Option<u32>,
    kill_on_disconnect: Option<bool>,
    grace: Option<u32>,
}

pub(super) fn read_keys(s: &mut Section) -> LifeEntry {
    let seconds = |node: Node| Ok(value::duration(&node, LONGEST)? as u32);
    LifeEntry {
        max_lifetime: s.take("max_lifetime", seconds),
        idle_timeout: s.take("idle_timeout", seconds),
        first_byte_timeout: s.take("first_byte_timeout", seconds),
        kill_on_disconnect: s.take("kill_on_disconnect", |node| Ok(node.boolean()?.value)),
        grace: s.take("grace", seconds),
    }
}

/// The limits for which the kernel is asked about a TCP connection.
const BY_PULSE: [&str; 3] = ["idle_timeout", "first_byte_timeout", "kill_on_disconnect"];

impl Resolver<'_> {
    /// The limits of a service's sessions. A program that waits on its socket takes its clients
    /// itself: nobody else knows how long each has been there.
    pub(super) fn life(&mut self, entry: &Entry, wait: bool) -> Life {
        if entry.has("builtin") {
            return Life::default();
        }
        let (own, defaults) = (&entry.life, &self.defaults.life);
        if entry.has("redirect") {
            // The worker knows what it has passed on.
            return Life {
                max_lifetime: own.max_lifetime.or(defaults.max_lifetime),
                idle_timeout: own.idle_timeout.or(defaults.idle_timeout),
                ..Life::default()
            };
        }
        if wait {
            let why =
                "cannot be kept: the program is given the socket and takes its clients itself";
            self.refuse(entry, &BY_PULSE, why);
            self.refuse(entry, &["max_lifetime", "grace"], why);
            return Life::default();
        }
        let mut listeners = entry.listen.iter().flatten();
        let has_tcp = listeners.any(|wanted| wanted.value.transport == Transport::Tcp);
        if !has_tcp && entry.listen.is_some() {
            self.refuse(
                entry,
                &BY_PULSE,
                "is about TCP connections, and this service has none",
            );
        }
        let (own, defaults) = (&entry.life, &self.defaults.life);
        let usual = Life::default();
        Life {
            max_lifetime: own.max_lifetime.or(defaults.max_lifetime),
            idle_timeout: own
                .idle_timeout
                .or(defaults.idle_timeout)
                .filter(|_| has_tcp),
            first_byte_timeout: own
                .first_byte_timeout
                .or(defaults.first_byte_timeout)
                .filter(|_| has_tcp),
            kill_on_disconnect: has_tcp
                && own
                    .kill_on_disconnect
                    .or(defaults.kill_on_disconnect)
                    .unwrap_or(false),
            grace: own.grace.or(defaults.grace).unwrap_or(usual.grace),
        }
    }

    /// What is asked for by these keys cannot be done.
    fn refuse(&mut self, entry: &Entry, keys: &[&'static str], why: &str) {
        for key in keys {
            let is_asked =
                *key != "kill_on_disconnect" || entry.life.kill_on_disconnect != Some(false);
            if let Some(place) = entry.place_of(key).filter(|_| is_asked) {
                let mistake = Mistake::new(format!("{key} {why}")).at(place);
                self.mistakes.push(mistake.help("leave it out"));
            }
        }
    }
}
