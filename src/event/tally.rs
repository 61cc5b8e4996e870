//! Counters of one service, by the events of its life.

use super::{Event, Value};
use crate::sys::spawn::Stage;
use crate::table::Refusal;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::LazyLock;

/// What one service has done: counters of connections, which at any moment satisfy
/// `accepted = launched + answered + refused + failed + aborted + pending`; and, apart, starts of
/// `wait` programs and datagrams of built-in services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that the kernel handed out.
    pub accepted: u64,
    /// Programs whose exec succeeded.
    pub launched: u64,
    /// Clients that a built-in service took.
    pub answered: u64,
    /// Connections that were closed by decision, and why.
    pub refused: BTreeMap<Refusal, u64>,
    /// Connections whose program could not be started, and at which step.
    pub failed: BTreeMap<Stage, u64>,
    /// Connections that were gone before they could be served.
    pub aborted: u64,
    /// Connections between accept and exec.
    pub pending: u64,
    /// Live sessions and `wait` programs.
    pub live: u64,
    /// Starts of `wait` programs.
    pub starts: u64,
    /// Starts of `wait` programs that failed.
    pub failed_starts: u64,
    /// Datagrams that reached a built-in service.
    pub datagrams: u64,
    /// Those of them that were not answered by decision, and why.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// The tally of a service, which takes no memory before something is counted: of thousands of
/// services most are never asked.
#[derive(Debug, Default)]
pub struct LazyTally(Option<Box<Tally>>);

impl LazyTally {
    /// Counts an event of this service.
    pub fn observe(&mut self, event: &Event) {
        self.0.get_or_insert_default().observe(event);
    }
}

impl Deref for LazyTally {
    type Target = Tally;

    fn deref(&self) -> &Tally {
        static NOTHING: LazyLock<Tally> = LazyLock::new(Tally::default);
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl Tally {
    /// Counts an event of this service.
    pub fn observe(&mut self, event: &Event) {
        match event {
            Event::Accepted { .. } => {
                self.accepted += 1;
                self.pending += 1;
            }
            Event::Aborted { .. } => {
                self.aborted += 1;
                self.pending -= 1;
            }
            Event::Refused { reason, .. } => {
                self.accepted += 1;
                *self.refused.entry(*reason).or_default() += 1;
            }
            Event::Cloned { .. } => self.live += 1,
            Event::Started { session, .. } => match session.peer {
                Some(_) => {
                    self.launched += 1;
                    self.pending -= 1;
                }
                None => self.starts += 1,
            },
            Event::NotStarted { session, stage, .. } => {
                match session.peer {
                    Some(_) => {
                        *self.failed.entry(*stage).or_default() += 1;
                        self.pending -= 1;
                    }
                    None => self.failed_starts += 1,
                }
                // Without a clone there was nothing to be live; the worker has no clones.
                let is_live = !matches!(stage, Stage::Clone | Stage::Connect);
                self.live -= u64::from(is_live);
            }
            Event::Ended { .. } => self.live -= 1,
            Event::Began { accepted, .. } => {
                match accepted {
                    true => self.pending -= 1,
                    false => self.accepted += 1,
                }
                self.answered += 1;
                self.live += 1;
            }
            Event::Finished { .. } => self.live -= 1,
            Event::Datagrams {
                received,
                unsafe_source,
                over_rate,
                refused,
                ..
            } => {
                self.datagrams += received;
                let left_out = [
                    ("refused", refused),
                    ("rate", over_rate),
                    ("unsafe_source", unsafe_source),
                ];
                for (reason, count) in left_out.into_iter().filter(|(_, count)| **count > 0) {
                    *self.left_out.entry(reason).or_default() += count;
                }
            }
            _ => {}
        }
    }

    pub(super) fn fields(&self, show: &mut dyn FnMut(&'static str, Value<'_>)) {
        show("accepted", Value::Number(self.accepted));
        show("launched", Value::Number(self.launched));
        show("answered", Value::Number(self.answered));
        show("refused", Value::Number(self.refused.values().sum()));
        show("failed", Value::Number(self.failed.values().sum()));
        show("aborted", Value::Number(self.aborted));
        show("pending", Value::Number(self.pending));
        show("live", Value::Number(self.live));
        show("starts", Value::Number(self.starts));
        show("failed_starts", Value::Number(self.failed_starts));
        show("datagrams", Value::Number(self.datagrams));
    }
}
