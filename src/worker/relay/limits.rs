//! How long a client of a redirect may stay. Pure; the time is passed in.

use crate::control::Ending;
use crate::table::Life;
use std::time::{Duration, Instant};

/// See the module; by default for ever.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// When it has lasted as long as it may.
    last: Option<Instant>,
    /// How long it may move nothing, and since when that is.
    idle: Option<(Duration, Instant)>,
    moved: u64,
}

impl Limits {
    pub(super) fn new(life: &Life, now: Instant) -> Limits {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Limits {
            last: life.max_lifetime.map(|it| now + seconds(it)),
            idle: life.idle_timeout.map(|it| (seconds(it), now)),
            moved: 0,
        }
    }

    /// Whether it matters what it moves.
    pub(super) fn count_movement(&self) -> bool {
        self.idle.is_some()
    }

    /// So many bytes came from the client, or were taken by it, by now.
    pub(super) fn note(&mut self, moved: u64, now: Instant) {
        if let Some((_, since)) = self.idle.as_mut().filter(|_| moved != self.moved) {
            (*since, self.moved) = (now, moved);
        }
    }

    /// When the next is reached as things are.
    pub(super) fn next(&self) -> Option<Instant> {
        let idle = self.idle.map(|(time, since)| since + time);
        [self.last, idle].into_iter().flatten().min()
    }

    /// Why it is to end, if it is.
    pub(super) fn reached(&self, now: Instant) -> Option<Ending> {
        let at = self.next().filter(|at| *at <= now)?;
        Some(match self.last {
            Some(last) if last == at => Ending::MaxLifetime,
            _ => Ending::IdleTimeout,
        })
    }
}
