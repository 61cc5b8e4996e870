//! The life limits of a service: their forms, and where they can be kept.

use super::entry::Entry;
use super::mistake::Mistake;
use super::reader::{Node, Section};
use super::resolve::Resolver;
use super::value;
use crate::table::Life;

/// A year, in seconds.
const LONGEST: u64 = 365 * 86_400;

/// What the keys say. One that is wrong says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct LifeEntry {
    max_lifetime: Option<u32>,
    grace: Option<u32>,
}

pub(super) fn read_keys(s: &mut Section) -> LifeEntry {
    let seconds = |node: Node| Ok(value::duration(&node, LONGEST)? as u32);
    LifeEntry {
        max_lifetime: s.take("max_lifetime", seconds),
        grace: s.take("grace", seconds),
    }
}

/// The keys that are limits.
const LIMITS: [&str; 1] = ["max_lifetime"];

impl Resolver<'_> {
    /// The limits of a service's sessions. A program that waits on its socket takes its clients
    /// itself: nobody else knows how long each has been there.
    pub(super) fn life(&mut self, entry: &Entry, wait: bool) -> Life {
        if entry.has("builtin") {
            return Life::default();
        }
        if wait {
            self.refuse_with_wait(entry);
            return Life::default();
        }
        let (own, defaults) = (&entry.life, &self.defaults.life);
        let usual = Life::default();
        Life {
            max_lifetime: own.max_lifetime.or(defaults.max_lifetime),
            grace: own.grace.or(defaults.grace).unwrap_or(usual.grace),
        }
    }

    fn refuse_with_wait(&mut self, entry: &Entry) {
        for key in LIMITS.iter().chain(&["grace"]) {
            if let Some(place) = entry.place_of(key) {
                let message = format!(
                    "{key} cannot be kept: the program is given the socket and takes its clients itself"
                );
                self.mistakes
                    .push(Mistake::new(message).at(place).help("leave it out"));
            }
        }
    }
}
