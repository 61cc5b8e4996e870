//! How a service is, for those who ask: since when it is so, and what went wrong last.
//!
//! Kept small, because there may be ten thousand: what most services never have is in a box.

use super::control::Since;
use crate::event::{Event, Histogram, LAUNCH_BOUNDS, SESSION_BOUNDS, Severity};
use crate::table::Service;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(super) struct Condition {
    since: Since,
    fails: bool,
    rare: Option<Box<Rare>>,
}

/// What is seldom there.
#[derive(Debug, Default)]
struct Rare {
    /// Since when it has as many as it may have.
    full: Option<Since>,
    /// It was told to rest: since when, and until when if that was said.
    paused: Option<(Since, Option<Instant>)>,
    /// Since when its program rests, or did last.
    rests: Option<Since>,
    /// What went wrong last, in words.
    failure: Option<(Since, String)>,
    times: Option<Box<Times>>,
}

/// How long things took.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// From accept to exec.
    pub(super) launches: Histogram<{ LAUNCH_BOUNDS.len() }>,
    /// From accept to the end.
    pub(super) sessions: Histogram<{ SESSION_BOUNDS.len() }>,
}

impl Default for Condition {
    fn default() -> Condition {
        Condition {
            since: Since::now(),
            fails: false,
            rare: None,
        }
    }
}

impl Condition {
    /// Takes note of an event of the service, which has so many sessions since.
    pub(super) fn note(&mut self, event: &Event, live: u64, facts: &Service) {
        self.count(live, facts);
        if let Event::Ended { duration, .. } | Event::Finished { duration, .. } = event {
            let sessions = &mut self.times_mut().sessions;
            sessions.add(&SESSION_BOUNDS, *duration);
        }
        match event {
            Event::NotStarted { .. } => self.fails = true,
            Event::Started { .. } | Event::Began { .. } => self.fails = false,
            _ => {}
        }
        if event.severity() <= Severity::Warning {
            self.note_failure(event);
        }
    }

    /// Whether what was to answer could not be started or reached the last time.
    pub(super) fn fails(&self) -> bool {
        self.fails
    }

    /// A connection has waited so long for its program.
    pub(super) fn add_launch(&mut self, time: Duration) {
        self.times_mut().launches.add(&LAUNCH_BOUNDS, time);
    }

    fn times_mut(&mut self) -> &mut Times {
        self.rare().times.get_or_insert_default()
    }

    /// How long things took; `None` while nothing has happened.
    pub(super) fn times(&self) -> Option<&Times> {
        self.rare.as_ref()?.times.as_deref()
    }

    /// Takes note of how many sessions there are, and may be.
    pub(super) fn count(&mut self, live: u64, facts: &Service) {
        let is_full = !facts.wait && live >= u64::from(facts.max_connections);
        if is_full != self.full_since().is_some() {
            self.rare().full = is_full.then(Since::now);
            self.begin_anew();
        }
    }

    fn note_failure(&mut self, event: &Event) {
        if matches!(
            event,
            Event::BackingOff { .. } | Event::DatagramDropped { .. }
        ) {
            self.rare().rests = Some(Since::now());
        }
        if let Some(text) = event.sentence() {
            self.rare().failure = Some((Since::now(), text));
        }
    }

    /// It was told to rest until then, or until it is told otherwise.
    pub(super) fn pause(&mut self, until: Option<Instant>) {
        self.rare().paused = Some((Since::now(), until));
    }

    /// It may go on. False if it was not told to rest.
    pub(super) fn resume(&mut self) -> bool {
        let paused = self.rare.as_mut().and_then(|rare| rare.paused.take());
        if paused.is_some() {
            self.begin_anew();
        }
        paused.is_some()
    }

    /// Since when and until when it was told to rest.
    pub(super) fn paused(&self) -> Option<(Since, Option<Instant>)> {
        self.rare.as_ref()?.paused
    }

    /// It is something else from now on.
    pub(super) fn begin_anew(&mut self) {
        self.since = Since::now();
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Since when it is as it is, when nothing more is known.
    pub(super) fn since(&self) -> Since {
        self.since
    }

    /// Since when it has as many as it may have; `None` when it has room.
    pub(super) fn full_since(&self) -> Option<Since> {
        self.rare.as_ref()?.full
    }

    /// Since when its program rests.
    pub(super) fn rests_since(&self) -> Since {
        let rests = self.rare.as_ref().and_then(|rare| rare.rests);
        rests.unwrap_or(self.since)
    }

    /// What went wrong last, and when.
    pub(super) fn last_failure(&self) -> Option<(Since, &str)> {
        let (since, text) = self.rare.as_ref()?.failure.as_ref()?;
        Some((*since, text))
    }
}
