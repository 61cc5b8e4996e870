//! Datagrams, counted by service until they are reported: at once after a quiet second, then at
//! most once a second. Pure: time is passed in.

use super::reports::Reports;
use crate::control::{Report, ServiceId};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(1);

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Answered.
    Answered,
    /// It asked for no answer, could not be given one, or the answer could not be sent.
    Unanswered,
    /// Its source is one that must not be answered.
    UnsafeSource,
    /// Its source, or the service, has had its share.
    OverRate,
    /// Its source may not, or not now.
    Refused,
}

#[derive(Debug, Default)]
struct Tally {
    received: u64,
    answered: u64,
    unsafe_source: u64,
    over_rate: u64,
    refused: u64,
}

impl Tally {
    fn add(&mut self, fate: Fate) {
        self.received += 1;
        match fate {
            Fate::Answered => self.answered += 1,
            Fate::Unanswered => {}
            Fate::UnsafeSource => self.unsafe_source += 1,
            Fate::OverRate => self.over_rate += 1,
            Fate::Refused => self.refused += 1,
        }
    }

    fn report(&self, service: ServiceId) -> Report {
        let Tally {
            received,
            answered,
            unsafe_source,
            over_rate,
            refused,
        } = *self;
        Report::Datagrams {
            service,
            received,
            answered,
            unsafe_source,
            over_rate,
            refused,
        }
    }
}

/// The tallies of all services that have had a datagram.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    services: HashMap<ServiceId, (Tally, Option<Instant>)>,
    due: Option<Instant>,
}

impl Tallies {
    /// Counts one.
    pub(super) fn add(&mut self, service: ServiceId, fate: Fate, now: Instant) {
        let (tally, reported) = self.services.entry(service).or_default();
        if tally.received == 0 {
            let due = reported.map_or(now, |last| now.max(last + INTERVAL));
            self.due = Some(self.due.map_or(due, |other| other.min(due)));
        }
        tally.add(fate);
    }

    /// When [`report`](Self::report) has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Reports what is due.
    pub(super) fn report(&mut self, reports: &mut Reports, now: Instant) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        for (service, (tally, reported)) in &mut self.services {
            let due = reported.map_or(now, |last| last + INTERVAL);
            if tally.received > 0 && due <= now {
                reports.push(std::mem::take(tally).report(*service));
                *reported = Some(now);
            } else if tally.received > 0 {
                self.due = Some(self.due.map_or(due, |other| other.min(due)));
            }
        }
    }

    /// Reports what is left of a service, and forgets it.
    pub(super) fn forget(&mut self, service: ServiceId, reports: &mut Reports) {
        if let Some((tally, _)) = self.services.remove(&service) {
            if tally.received > 0 {
                reports.push(tally.report(service));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: ServiceId = ServiceId(7);

    fn reported(tallies: &mut Tallies, now: Instant) -> Vec<Report> {
        let mut reports = Reports::default();
        tallies.report(&mut reports, now);
        reports.waiting()
    }

    fn counts(received: u64, answered: u64, unsafe_source: u64, over_rate: u64) -> Report {
        Report::Datagrams {
            service: ECHO,
            received,
            answered,
            unsafe_source,
            over_rate,
            refused: 0,
        }
    }

    #[test]
    fn the_first_is_reported_at_once_and_the_rest_once_a_second() {
        let (mut tallies, start) = (Tallies::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        tallies.add(ECHO, Fate::Answered, start);
        assert_eq!(reported(&mut tallies, start), [counts(1, 1, 0, 0)]);
        assert_eq!(tallies.due(), None);
        for fate in [
            Fate::Answered,
            Fate::UnsafeSource,
            Fate::OverRate,
            Fate::Unanswered,
        ] {
            tallies.add(ECHO, fate, at(300));
        }
        assert_eq!(tallies.due(), Some(at(1000)));
        assert_eq!(reported(&mut tallies, at(999)), []);
        assert_eq!(reported(&mut tallies, at(1000)), [counts(4, 1, 1, 1)]);
        tallies.add(ECHO, Fate::Answered, at(5000));
        assert_eq!(tallies.due(), Some(at(5000)));
    }

    #[test]
    fn each_service_has_its_own_second() {
        let (mut tallies, start) = (Tallies::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        tallies.add(ECHO, Fate::Answered, start);
        reported(&mut tallies, start);
        tallies.add(ECHO, Fate::Answered, at(100));
        tallies.add(ServiceId(9), Fate::Answered, at(500));
        assert_eq!(reported(&mut tallies, at(500)).len(), 1);
        assert_eq!(tallies.due(), Some(at(1000)));
        assert_eq!(reported(&mut tallies, at(1000)), [counts(1, 1, 0, 0)]);
    }

    #[test]
    fn a_service_that_goes_leaves_nothing_unreported() {
        let (mut tallies, mut reports) = (Tallies::default(), Reports::default());
        tallies.add(ECHO, Fate::OverRate, Instant::now());
        tallies.forget(ECHO, &mut reports);
        tallies.forget(ECHO, &mut reports);
        assert_eq!(reports.waiting(), [counts(1, 0, 0, 1)]);
    }
}
