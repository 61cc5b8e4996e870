//! What the supervisor is to be told, and has not been yet. Nothing is ever left out: while the
//! control socket is full the queue grows, and while it is long nothing new is accepted.
//!
//! Each message wakes the supervisor. So what clients come and go with is told at once after a quiet
//! moment, and otherwise together; orders are answered at once. Pure but for sending: time is passed in.

use crate::control::{BATCH, LENGTH, Report};
use crate::sys::Errno;
use crate::sys::socket::send_record;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long what clients do may be kept to be told together.
const PAUSE: Duration = Duration::from_millis(1);

/// From so many on, the worker takes no new work.
const LONG: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reports {
    queue: VecDeque<Report>,
    /// Whether some of it is not to be kept.
    is_urgent: bool,
    /// When something was sent last.
    sent: Option<Instant>,
}

/// What has become of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All is sent.
    All,
    /// The control socket is full.
    Some,
    /// Nobody reads it any more.
    Gone,
}

impl Reports {
    pub(super) fn push(&mut self, report: Report) {
        self.is_urgent |= !is_of_client(&report);
        self.queue.push_back(report);
    }

    /// When to [`send`](Self::send), if there is something.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        let is_due = self.is_urgent || self.queue.len() >= BATCH;
        let kept = self.sent.filter(|_| !is_due).map(|sent| sent + PAUSE);
        Some(kept.unwrap_or(now))
    }

    pub(super) fn is_long(&self) -> bool {
        self.queue.len() >= LONG
    }

    #[cfg(test)]
    pub(super) fn waiting(self) -> Vec<Report> {
        self.queue.into()
    }

    /// Sends as many as the control socket takes, [`BATCH`] in a message.
    pub(super) fn send(&mut self, control: BorrowedFd, now: Instant) -> Sent {
        while !self.queue.is_empty() {
            let count = self.queue.len().min(BATCH);
            let mut message = [0; BATCH * LENGTH];
            for (record, report) in message.chunks_exact_mut(LENGTH).zip(&self.queue) {
                record.copy_from_slice(&report.encode());
            }
            match send_record(control, &message[..count * LENGTH], &[]) {
                Ok(()) => {
                    self.queue.drain(..count);
                    self.sent = Some(now);
                }
                Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => return Sent::Gone,
                Err(_) => return Sent::Some,
            }
        }
        self.is_urgent = false;
        Sent::All
    }
}

/// Whether clients can cause as many of these as they like, and nobody waits for one.
fn is_of_client(report: &Report) -> bool {
    match report {
        Report::Accepted { .. }
        | Report::Began { .. }
        | Report::Ended { .. }
        | Report::NotConnected { .. }
        | Report::Refused { .. }
        | Report::Aborted { .. } => true,
        Report::Passed { .. }
        | Report::Obeyed { .. }
        | Report::Explained { .. }
        | Report::Datagrams { .. }
        | Report::Unlistened { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ServiceId;
    use crate::sys::socket::{receive_record, record_pair};
    use std::os::fd::AsFd;

    #[test]
    fn nothing_is_lost_while_the_socket_is_full() {
        let (ours, theirs) = record_pair().unwrap();
        let now = Instant::now();
        let mut reports = Reports::default();
        let all = (0..100_000).map(|n| Report::Aborted {
            service: ServiceId(n),
        });
        all.clone().for_each(|report| reports.push(report));
        let mut arrived = Vec::new();
        let mut buffer = [0; BATCH * LENGTH];
        assert_eq!(reports.send(ours.as_fd(), now), Sent::Some);
        assert!(reports.is_long());
        while arrived.len() < 100_000 {
            let (count, _) = receive_record(theirs.as_fd(), &mut buffer).unwrap();
            arrived.extend(
                buffer[..count]
                    .chunks(LENGTH)
                    .map(|record| Report::decode(record).unwrap()),
            );
            reports.send(ours.as_fd(), now);
        }
        assert!(all.eq(arrived));
        assert_eq!(reports.send(ours.as_fd(), now), Sent::All);
        assert!(!reports.is_long());
    }

    #[test]
    fn a_reader_that_has_gone_is_noticed() {
        let (ours, theirs) = record_pair().unwrap();
        drop(theirs);
        let now = Instant::now();
        let mut reports = Reports::default();
        reports.push(Report::Aborted {
            service: ServiceId(1),
        });
        assert_eq!(reports.send(ours.as_fd(), now), Sent::Gone);
    }

    #[test]
    fn what_clients_do_is_told_at_once_and_then_together() {
        let (ours, _theirs) = record_pair().unwrap();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let aborted = Report::Aborted {
            service: ServiceId(1),
        };
        let mut reports = Reports::default();
        assert_eq!(reports.due(at(0)), None);
        reports.push(aborted);
        assert_eq!(reports.due(at(0)), Some(at(0)));
        assert_eq!(reports.send(ours.as_fd(), at(0)), Sent::All);

        reports.push(aborted);
        assert_eq!(reports.due(at(0)), Some(at(1)));
        reports.push(Report::Obeyed { serial: 1 });
        assert_eq!(reports.due(at(0)), Some(at(0)));
        assert_eq!(reports.send(ours.as_fd(), at(2)), Sent::All);

        (1..BATCH).for_each(|_| reports.push(aborted));
        assert_eq!(reports.due(at(2)), Some(at(3)));
        reports.push(aborted);
        assert_eq!(reports.due(at(2)), Some(at(2)));
    }
}
