//! Everything that decides about a client at a moment, and the verdict.
//!
//! [`Admission::admit`](super::Admission::admit) goes by the same verdict, so what is explained and
//! what is done cannot differ.

use super::bans::Ban;
use super::bucket::Level;
use crate::table::{Judgement, Refusal, Who};

/// With fewer there is no fair share: a quarter would be next to nothing.
pub(super) const FEWEST_SHARED: u32 = 8;

/// How many there are, of how many there may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections (or programs that wait).
    pub live: u32,
    /// At most; it may have been lowered below `live`, and those that are exempt go beyond it.
    pub limit: u32,
}

impl Load {
    /// Whether there is no room for one more.
    pub fn is_full(self) -> bool {
        self.live >= self.limit
    }
}

/// What a client comes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Connection,
    Datagram,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What `allow`, `deny` and `exempt` say, and the entries that say it.
    pub access: Judgement,
    /// The ban that the client's address is under. (Who is exempt gets in all the same.)
    pub banned: Option<Ban>,
    /// Whether the service is open at this hour.
    pub open: bool,
    /// The service's connections; a limit of 0 means that there is no such service (any more).
    pub service: Load,
    /// Those of all services together.
    pub server: Load,
    /// What the client counts under: a prefix or a uid.
    pub source: Who,
    /// Connections of that source to this service.
    pub source_live: u32,
    /// `max_per_source`; `None` for a fair share.
    pub max_per_source: Option<u32>,
    /// What is left of `rate`.
    pub rate: Option<Level>,
    /// Tokens of it that the source has used lately. They are forgiven at a quarter of the rate.
    pub rate_used: u32,
    /// What is left of `rate_per_source`.
    pub rate_per_source: Option<Level>,
    /// What would become of a connection.
    pub verdict: Result<(), Refusal>,
}

impl Explanation {
    /// The verdict that follows from the other fields.
    pub(super) fn judge(&self, arrival: Arrival) -> Result<(), Refusal> {
        let exempt = self.access.exempt;
        let firm = [
            (self.service.limit == 0, Refusal::Full),
            (!self.access.allowed, Refusal::Denied),
            (self.banned.is_some() && !exempt, Refusal::Banned),
            (!self.open, Refusal::Hours),
        ];
        first(&firm)?;
        if exempt {
            return Ok(());
        }
        if arrival == Arrival::Connection {
            self.judge_room()?;
        }
        first(&[
            (self.has_used_its_rate(), Refusal::RatePerSource),
            (self.is_over_rate(), Refusal::Rate),
            // The last of all: the worker makes room for who is refused for nothing else.
            (
                arrival == Arrival::Connection && self.server.is_full(),
                Refusal::ServerFull,
            ),
        ])
    }

    fn judge_room(&self) -> Result<(), Refusal> {
        let own = match self.max_per_source {
            Some(most) => (self.source_live >= most, Refusal::MaxPerSource),
            None => {
                let Load { live, limit } = self.service;
                let free = limit.saturating_sub(live);
                (
                    is_beyond_share(self.source_live, free, limit),
                    Refusal::Share,
                )
            }
        };
        first(&[(self.service.is_full(), Refusal::Full), own])
    }

    fn has_used_its_rate(&self) -> bool {
        self.rate_per_source.is_some_and(|level| level.tokens == 0)
    }

    fn is_over_rate(&self) -> bool {
        self.rate.is_some_and(|Level { tokens, burst }| {
            tokens == 0 || is_beyond_share(self.rate_used, tokens, burst)
        })
    }
}

fn first(reasons: &[(bool, Refusal)]) -> Result<(), Refusal> {
    match reasons.iter().find(|(holds, _)| *holds) {
        Some((_, refusal)) => Err(*refusal),
        None => Ok(()),
    }
}

/// Whether somebody who has `own` of `all` must leave what is `free` to others: it has a quarter, and
/// less than a quarter is free.
fn is_beyond_share(own: u32, free: u32, all: u32) -> bool {
    let is_quarter = |part: u32| u64::from(part) * 4 >= u64::from(all);
    all >= FEWEST_SHARED && is_quarter(own) && !is_quarter(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_quarter_is_for_those_who_have_less_than_one() {
        for (own, free, all, expected) in [
            (8, 2, 8, false),
            (2, 1, 8, true),
            (1, 1, 8, false),
            (7, 0, 7, false),
            (96, 32, 128, false),
            (97, 31, 128, true),
            (32, 31, 128, true),
            (31, 31, 128, false),
            (3, 2, 10, true),
            (2, 2, 10, false),
            (5, 3, 10, false),
            (u32::MAX, 0, u32::MAX, true),
        ] {
            let found = is_beyond_share(own, free, all);
            assert_eq!(found, expected, "{own} of {all}, {free} free");
        }
    }
}
