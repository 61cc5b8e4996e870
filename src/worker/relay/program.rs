//! Clients whose program the supervisor has started on pipes or a terminal: their ends come with an order, and how
//! much was passed on is all that is reported.

use super::end::End;
use super::flow::Flow;
use super::limits::Limits;
use super::newline::Newline;
use super::{Far, Owner, Relay};
use crate::control::{Ending, Report, Way};
use crate::worker::Worker;
use std::os::fd::OwnedFd;

impl Worker<'_> {
    /// Passes on what a client and its program say to each other.
    pub(in crate::worker) fn attend(
        &mut self,
        number: u64,
        way: Way,
        newline: bool,
        descriptors: Vec<OwnedFd>,
    ) {
        let Some((client, far)) = ends(way, descriptors) else {
            // Lost on the way: too many are open here.
            return self.report_passed(number, (0, 0), Ending::Evicted);
        };
        let newline = |direction| newline.then_some(direction);
        let slot = self.relays.insert(Relay {
            client,
            far: Far::Joined(far),
            inward: Flow::new(newline(Newline::INWARD)),
            outward: Flow::new(newline(Newline::OUTWARD)),
            is_cut: false,
            is_busy: false,
            lingers: false,
            is_deaf: false,
            // The supervisor keeps those of programs.
            limits: Limits::default(),
            owner: Owner::Program(number),
        });
        self.relays.programs.insert(number, slot);
        self.fit_to_descriptors();
        match self.poll_relay(slot) {
            Ok(()) => self.advance_relay(slot),
            Err(_) => self.end_relay(slot, Ending::Evicted),
        }
    }

    /// A program has ended. What it has written is still its client's.
    pub(in crate::worker) fn program_has_ended(&mut self, number: u64) {
        // Perhaps its relay has, too.
        let Some(slot) = self.relays.programs.get(&number).copied() else {
            return;
        };
        let Some(relay) = self.relays.at(slot) else {
            return;
        };
        if let Far::Joined(far) = &mut relay.far {
            far.exit();
        }
        if !relay.is_busy {
            self.advance_relay(slot);
        }
    }

    /// The supervisor has lost its patience with a program's client.
    pub(in crate::worker) fn cut_relay(&mut self, number: u64) {
        if let Some(slot) = self.relays.programs.get(&number).copied() {
            self.end_relay(slot, Ending::Killed);
        }
    }

    pub(super) fn report_passed(&mut self, number: u64, moved: (u64, u64), ending: Ending) {
        let (received, sent) = moved;
        self.reports.push(Report::Passed {
            number,
            received,
            sent,
            ending,
        });
    }
}

/// The client's end and the program's.
fn ends(way: Way, descriptors: Vec<OwnedFd>) -> Option<(End, End)> {
    let mut descriptors = descriptors.into_iter();
    let client = End::socket(descriptors.next()?);
    let first = descriptors.next()?;
    let far = match way {
        Way::Pipes => End::pipes(first, descriptors.next()?),
        Way::Terminal => End::terminal(first, false),
        Way::RawTerminal => End::terminal(first, true),
    };
    Some((client, far))
}
