//! One session with limits: which it reaches when. Pure; the time and the pulse are passed in.

use super::super::children::SessionFacts;
use crate::sys::cgroup::Group;
use crate::sys::pulse::{Ends, Pulse};
use crate::sys::tree::Tree;
use crate::table::{Life, LifeLimit};
use std::rc::Weak;
use std::time::{Duration, Instant};

/// How often to look at a connection whose end is to be noticed, and at what was left behind or does
/// not die.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// How often to look at one that can reach no limit.
const REST: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) session: SessionFacts,
    pub(super) life: Life,
    /// Its connection, where the kernel is asked about it.
    pub(super) ends: Option<Ends>,
    /// When it was accepted.
    began: Instant,
    /// When to look at it next.
    pub(super) next: Instant,
    pub(super) step: Step,
    /// Whether its program has ended: what is left is what it has left behind.
    pub(super) has_ended: bool,
    /// When nothing was left of it, as far as was seen.
    pub(super) over: Option<Instant>,
    /// The control group that its program was born in, and all that it starts; `None` where there are
    /// no such groups.
    pub(super) group: Option<Group>,
    /// Without one: what its program has started, as far as it was seen.
    pub(super) tree: Tree,
    /// What lives for as long as the worker passes on what its client and its program say.
    pub(super) passed_on: Weak<()>,
    moved: (u64, u64),
    /// When it moved something last, as far as is known.
    active: Instant,
    has_spoken: bool,
    is_gone: bool,
}

/// How far its end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// No limit was reached.
    Lives,
    /// It was asked to end, all of it, and has until then.
    Asked(LifeLimit, Instant),
    /// It was ended; what is in the kernel may take its time.
    Killed(LifeLimit),
}

impl Step {
    pub(super) fn limit(self) -> Option<LifeLimit> {
        match self {
            Step::Lives => None,
            Step::Asked(limit, _) | Step::Killed(limit) => Some(limit),
        }
    }
}

impl Watched {
    /// A session that begins, to be looked at when [`Watched::next`] says.
    pub(super) fn new(
        session: SessionFacts,
        life: Life,
        began: Instant,
        ends: Option<Ends>,
    ) -> Watched {
        let mut watched = Watched {
            session,
            life,
            ends,
            began,
            next: began,
            step: Step::Lives,
            has_ended: false,
            over: None,
            group: None,
            tree: Tree::default(),
            passed_on: Weak::new(),
            moved: (0, 0),
            active: began,
            has_spoken: false,
            is_gone: false,
        };
        watched.next = watched.next_look(began).unwrap_or(began);
        watched
    }

    /// Takes note of how its connection is.
    pub(super) fn note(&mut self, pulse: Pulse, now: Instant) {
        match pulse {
            Pulse::Gone => self.is_gone = true,
            Pulse::There {
                moved,
                has_spoken,
                quiet,
            } => {
                // What is sent again and again moves nothing.
                if moved != self.moved {
                    let at = now.checked_sub(quiet).unwrap_or(now);
                    self.active = self.active.max(at);
                }
                self.moved = moved;
                self.has_spoken |= has_spoken;
            }
        }
    }

    /// The limits, and when each is reached as things are.
    fn limits(&self) -> impl Iterator<Item = (Instant, LifeLimit)> {
        let after = |since: Instant, seconds: Option<u32>, limit| {
            Some((since + Duration::from_secs(seconds?.into()), limit))
        };
        let is_heard = self.ends.is_some();
        let ends_with_it = self.is_gone && self.life.kill_on_disconnect;
        let life = &self.life;
        let by_pulse = [
            ends_with_it.then_some((self.began, LifeLimit::Disconnected)),
            after(self.active, life.idle_timeout, LifeLimit::IdleTimeout),
            after(
                self.began,
                life.first_byte_timeout,
                LifeLimit::FirstByteTimeout,
            )
            .filter(|_| !self.has_spoken),
        ];
        let by_time = after(self.began, life.max_lifetime, LifeLimit::MaxLifetime);
        by_pulse
            .into_iter()
            .flatten()
            .filter(move |_| is_heard)
            .chain(by_time)
    }

    /// The first limit that was reached. What the kernel did not tell of just now, `is_known` being
    /// false, is not judged.
    pub(super) fn reached(&self, now: Instant, is_known: bool) -> Option<LifeLimit> {
        let by_time = |limit: LifeLimit| limit == LifeLimit::MaxLifetime;
        self.limits()
            .filter(|(at, limit)| *at <= now && (is_known || by_time(*limit)))
            .min_by_key(|(at, _)| *at)
            .map(|(_, limit)| limit)
    }

    /// When to look again, if no limit was reached; `None` when there is none to reach.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let quarter = |seconds: u32| now + Duration::from_secs(seconds.into()) / 4;
        let heard = self.ends.is_some();
        let movement = self.life.idle_timeout.filter(|_| heard).map(quarter);
        let follows = heard && self.life.kill_on_disconnect;
        let looks = [movement, (follows || self.has_ended).then_some(now + LOOK)];
        // One that was reached already could not be judged.
        let limits = self.limits().map(|(at, _)| at.max(now + LOOK / 10));
        let limits = limits.min();
        // Its group is to be removed, whenever it ends.
        let rest = self.group.is_some().then_some(now + REST);
        looks.into_iter().flatten().chain(limits).chain(rest).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ConnectionId;
    use crate::table::ServiceId;

    const SECOND: Duration = Duration::from_secs(1);

    fn watched(life: Life, began: Instant) -> Watched {
        let session = SessionFacts {
            service: ServiceId(0),
            id: ConnectionId {
                worker: 0,
                number: 1,
            },
            peer: None,
        };
        let ends = Ends {
            local: "127.0.0.1:1".parse().unwrap(),
            peer: "127.0.0.1:2".parse().unwrap(),
            cookie: 3,
        };
        Watched::new(session, life, began, Some(ends))
    }

    fn there(moved: (u64, u64), quiet: Duration) -> Pulse {
        Pulse::There {
            moved,
            has_spoken: moved.0 > 0,
            quiet,
        }
    }

    #[test]
    fn a_connection_is_idle_from_the_last_time_that_it_moved() {
        let start = Instant::now();
        let life = Life {
            idle_timeout: Some(40),
            ..Life::default()
        };
        let mut it = watched(life, start);
        assert_eq!(it.next, start + 10 * SECOND);
        it.note(there((1, 0), 3 * SECOND), start + 10 * SECOND);
        // Sent again, and not taken.
        it.note(there((1, 0), SECOND), start + 40 * SECOND);
        let reached = |it: &Watched, seconds| it.reached(start + seconds * SECOND, true);
        assert_eq!(reached(&it, 46), None);
        assert_eq!(it.next_look(start + 40 * SECOND), Some(start + 47 * SECOND));
        assert_eq!(reached(&it, 47), Some(LifeLimit::IdleTimeout));
        assert_eq!(it.reached(start + 47 * SECOND, false), None);
        it.note(there((1, 1), SECOND), start + 47 * SECOND);
        assert_eq!(reached(&it, 47), None);
        // Nothing moves in one that is over.
        it.note(Pulse::Gone, start + 86 * SECOND);
        assert_eq!(reached(&it, 86), Some(LifeLimit::IdleTimeout));
    }

    #[test]
    fn a_client_that_has_spoken_has_no_first_byte_to_send() {
        let start = Instant::now();
        let life = Life {
            first_byte_timeout: Some(5),
            max_lifetime: Some(9),
            ..Life::default()
        };
        let mut it = watched(life, start);
        assert_eq!(it.next, start + 5 * SECOND);
        it.note(there((0, 7), SECOND), start + 5 * SECOND);
        let at = |seconds| start + seconds * SECOND;
        assert_eq!(it.reached(at(5), true), Some(LifeLimit::FirstByteTimeout));
        it.note(there((1, 7), SECOND), at(5));
        assert_eq!(it.reached(at(5), true), None);
        assert_eq!(it.next_look(at(5)), Some(at(9)));
        assert_eq!(it.reached(at(9), false), Some(LifeLimit::MaxLifetime));
    }

    #[test]
    fn a_connection_that_is_over_ends_what_it_was_given_to_where_that_is_asked_for() {
        let start = Instant::now();
        let life = Life {
            kill_on_disconnect: true,
            ..Life::default()
        };
        let mut it = watched(life, start);
        assert_eq!(it.next, start + SECOND);
        it.note(there((1, 1), SECOND), start + SECOND);
        assert_eq!(it.reached(start + SECOND, true), None);
        assert_eq!(it.next_look(start + SECOND), Some(start + 2 * SECOND));
        it.note(Pulse::Gone, start + 2 * SECOND);
        assert_eq!(
            it.reached(start + 2 * SECOND, true),
            Some(LifeLimit::Disconnected)
        );
    }
}
