//! What the supervisor is to be told, and has not been yet. Nothing is ever left out: while the
//! control socket is full the queue grows, and while it is long nothing new is accepted.

use crate::control::{BATCH, LENGTH, Report};
use crate::sys::Errno;
use crate::sys::socket::send_record;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

/// From so many on, the worker takes no new work.
const LONG: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reports {
    queue: VecDeque<Report>,
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
        self.queue.push_back(report);
    }

    pub(super) fn is_long(&self) -> bool {
        self.queue.len() >= LONG
    }

    #[cfg(test)]
    pub(super) fn waiting(self) -> Vec<Report> {
        self.queue.into()
    }

    /// Sends as many as the control socket takes, [`BATCH`] in a message.
    pub(super) fn send(&mut self, control: BorrowedFd) -> Sent {
        while !self.queue.is_empty() {
            let count = self.queue.len().min(BATCH);
            let mut message = [0; BATCH * LENGTH];
            for (record, report) in message.chunks_exact_mut(LENGTH).zip(&self.queue) {
                record.copy_from_slice(&report.encode());
            }
            match send_record(control, &message[..count * LENGTH], &[]) {
                Ok(()) => drop(self.queue.drain(..count)),
                Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => return Sent::Gone,
                Err(_) => return Sent::Some,
            }
        }
        Sent::All
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
        let mut reports = Reports::default();
        let all = (0..100_000).map(|n| Report::Aborted {
            service: ServiceId(n),
        });
        all.clone().for_each(|report| reports.push(report));
        let mut arrived = Vec::new();
        let mut buffer = [0; BATCH * LENGTH];
        assert_eq!(reports.send(ours.as_fd()), Sent::Some);
        assert!(reports.is_long());
        while arrived.len() < 100_000 {
            let (count, _) = receive_record(theirs.as_fd(), &mut buffer).unwrap();
            arrived.extend(
                buffer[..count]
                    .chunks(LENGTH)
                    .map(|record| Report::decode(record).unwrap()),
            );
            reports.send(ours.as_fd());
        }
        assert!(all.eq(arrived));
        assert_eq!(reports.send(ours.as_fd()), Sent::All);
        assert!(!reports.is_long());
    }

    #[test]
    fn a_reader_that_has_gone_is_noticed() {
        let (ours, theirs) = record_pair().unwrap();
        drop(theirs);
        let mut reports = Reports::default();
        reports.push(Report::Aborted {
            service: ServiceId(1),
        });
        assert_eq!(reports.send(ours.as_fd()), Sent::Gone);
    }
}
