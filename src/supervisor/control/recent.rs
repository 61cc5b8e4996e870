//! What has happened lately, and who follows it.
//!
//! Events are kept once, however many follow: each follower has its place among them. They are kept
//! as long as there is room; a follower that is slower than that is told how many it has missed.

use super::kept::Kept;
use std::collections::{HashMap, VecDeque};

/// Events that are kept when nobody follows, and when somebody does: more than one turn makes.
const EVENTS: (usize, usize) = (1000, 16 * 1024);
/// Bytes that they may take, likewise.
const BYTES: (usize, usize) = (512 * 1024, 8 * 1024 * 1024);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recent {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The number of the first; all that ever were are counted.
    first: u64,
    followers: HashMap<u32, Follower>,
}

/// Somebody who is told of events.
#[derive(Debug)]
pub(super) struct Follower {
    /// The number of the event that is to be told next.
    next: u64,
    /// The number to end before; `None` to follow for ever.
    until: Option<u64>,
    /// Of these services only, unless empty.
    services: Vec<String>,
    /// Events that were to be told and are not kept any more.
    missed: u64,
}

/// What a follower is to be told next.
pub(super) enum Next<'a> {
    /// So many events were missed.
    Missed(u64),
    /// This has happened.
    Happened(&'a Kept),
    /// Nothing yet.
    Nothing,
    /// That was all.
    End,
}

impl Follower {
    fn wants(&self, kept: &Kept) -> bool {
        let of = |service: &str| self.services.iter().any(|wanted| wanted == service);
        self.services.is_empty() || kept.service().is_some_and(of)
    }
}

impl Recent {
    /// Keeps an event; the oldest make way.
    pub(super) fn add(&mut self, kept: Kept) {
        self.bytes += kept.size();
        self.kept.push_back(kept);
        self.fit();
    }

    /// Forgets as many of the oldest as must make way.
    fn fit(&mut self) {
        let (events, bytes) = match self.followers.is_empty() {
            true => (EVENTS.0, BYTES.0),
            false => (EVENTS.1, BYTES.1),
        };
        while self.kept.len() > events || self.bytes > bytes {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.kept.pop_front() else {
            return;
        };
        self.bytes -= oldest.size();
        for follower in self.followers.values_mut() {
            if follower.next == self.first {
                follower.next += 1;
                follower.missed += u64::from(follower.wants(&oldest));
            }
        }
        self.first += 1;
    }

    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Somebody is to be told: of what is kept, or of what comes.
    pub(super) fn follow(&mut self, who: u32, to_come: bool, services: Vec<String>) {
        let (next, until) = match to_come {
            true => (self.end(), None),
            false => (self.first, Some(self.end())),
        };
        let follower = Follower {
            next,
            until,
            services,
            missed: 0,
        };
        self.followers.insert(who, follower);
    }

    /// It is to be told no more.
    pub(super) fn leave(&mut self, who: u32) {
        if self.followers.remove(&who).is_some() && self.followers.is_empty() {
            self.fit();
            self.kept.shrink_to(EVENTS.0);
        }
    }

    /// Whether there is something to look at for somebody.
    pub(super) fn has_news(&self, who: u32) -> bool {
        let follower = self.followers.get(&who);
        follower.is_some_and(|follower| follower.next < self.end())
    }

    /// What somebody is to be told next.
    pub(super) fn next(&mut self, who: u32) -> Next<'_> {
        let end = self.end();
        let Some(follower) = self.followers.get_mut(&who) else {
            return Next::End;
        };
        if follower.missed > 0 {
            return Next::Missed(std::mem::take(&mut follower.missed));
        }
        while follower.next < end {
            if follower.until.is_some_and(|until| follower.next >= until) {
                return Next::End;
            }
            let place = (follower.next - self.first) as usize;
            follower.next += 1;
            if let Some(kept) = self.kept.get(place).filter(|kept| follower.wants(kept)) {
                return Next::Happened(kept);
            }
        }
        match follower.until {
            Some(_) => Next::End,
            None => Next::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::table::LogAddress;

    fn kept(service: &str) -> Kept {
        Kept::new(&Event::Resumed { service }, None, LogAddress::Full)
    }

    fn told(recent: &mut Recent, who: u32) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            told.push(match recent.next(who) {
                Next::Missed(count) => format!("missed {count}"),
                Next::Happened(kept) => kept.service().unwrap().to_owned(),
                Next::Nothing => "nothing".to_owned(),
                Next::End => "end".to_owned(),
            });
            if ["nothing", "end"].contains(&told.last().unwrap().as_str()) {
                return told;
            }
        }
    }

    #[test]
    fn the_past_ends_and_the_future_does_not() {
        let mut recent = Recent::default();
        recent.add(kept("a"));
        recent.add(kept("b"));
        recent.follow(1, false, vec![]);
        recent.follow(2, true, vec![]);
        recent.follow(3, true, vec!["d".into()]);
        recent.add(kept("c"));
        recent.add(kept("d"));
        assert_eq!(told(&mut recent, 1), ["a", "b", "end"]);
        assert_eq!(told(&mut recent, 2), ["c", "d", "nothing"]);
        assert_eq!(told(&mut recent, 3), ["d", "nothing"]);
        assert!(!recent.has_news(3));
        recent.leave(3);
        assert_eq!(told(&mut recent, 3), ["end"]);
    }

    #[test]
    fn a_follower_that_is_too_slow_is_told_what_it_has_missed_of_what_it_wants() {
        let mut recent = Recent::default();
        recent.follow(1, true, vec![]);
        recent.follow(2, true, vec!["a".into()]);
        recent.add(kept("a"));
        for _ in 0..EVENTS.1 {
            recent.add(kept("b"));
        }
        recent.add(kept("a"));
        assert_eq!(told(&mut recent, 2), ["missed 1", "a", "nothing"]);
        let all = told(&mut recent, 1);
        assert_eq!((all.len(), all[0].as_str()), (EVENTS.1 + 2, "missed 2"));
        recent.leave(1);
        recent.leave(2);
        assert_eq!(recent.kept.len(), EVENTS.0);
    }

    #[test]
    fn without_followers_a_thousand_are_kept() {
        let mut recent = Recent::default();
        for _ in 0..EVENTS.0 {
            recent.add(kept("a"));
        }
        recent.add(kept("b"));
        recent.follow(1, false, vec![]);
        let all = told(&mut recent, 1);
        assert_eq!((all.len(), all[999].as_str()), (EVENTS.0 + 1, "b"));
        let large = "x".repeat(BYTES.0 / 10);
        recent.leave(1);
        for _ in 0..20 {
            recent.add(kept(&large));
        }
        assert!(recent.bytes <= BYTES.0 && recent.kept.len() < 20);
    }
}
