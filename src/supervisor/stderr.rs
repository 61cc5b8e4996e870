//! The standard error of programs with `stderr = "log"`: pipes, cut into lines, within a budget.
//!
//! A program never waits for the log: its pipe is read as fast as the loop goes round, at most
//! [`TURN`] bytes a turn, and what is over the service's budget of lines is counted and left out.

use crate::event::ConnectionId;
use crate::table::ServiceId;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes read from one pipe in one turn.
const TURN: usize = 64 * 1024;
/// A longer line is cut into pieces of this length.
const LINE: usize = 1024;
/// Lines of one service that are logged at once, and how many more each second.
const BURST: u32 = 500;
const RATE: u32 = 100;
/// Between one count of lines that were left out and the next, where programs come and go.
const TELL: Duration = Duration::from_secs(1);

/// One pipe.
#[derive(Debug)]
struct Pipe {
    fd: OwnedFd,
    service: ServiceId,
    id: ConnectionId,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

/// Lines that a service may still log, and its pipes. It stays when the last of them is closed, or each
/// client of a busy service would bring a new one.
#[derive(Debug)]
struct Budget {
    /// Open pipes.
    pipes: usize,
    /// Those whose program has ended: something that it left behind holds the other end.
    orphans: VecDeque<u32>,
    lines: u32,
    since: Instant,
    dropped: u64,
    /// When it was told last how many were left out.
    told: Option<Instant>,
}

/// All pipes.
#[derive(Debug, Default)]
pub(super) struct Pipes {
    all: HashMap<u32, Pipe>,
    budgets: HashMap<ServiceId, Budget>,
    next: u32,
}

/// What came out of a pipe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// A line.
    Line(String),
    /// So many lines were left out before the next.
    Dropped(u64),
}

/// What one turn of reading brought.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) service: ServiceId,
    pub(super) id: ConnectionId,
    pub(super) output: Vec<Output>,
}

impl Pipes {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds the reading end of a pipe.
    pub(super) fn enter(&mut self, fd: OwnedFd, service: ServiceId, id: ConnectionId) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.budgets.entry(service).or_default().pipes += 1;
        self.all.insert(
            self.next,
            Pipe {
                fd,
                service,
                id,
                partial: Vec::new(),
            },
        );
        self.next
    }

    /// The program of a pipe has ended. What it left behind may go on writing, but such pipes are no
    /// more than the service may have programs: the oldest is closed then.
    pub(super) fn orphan(&mut self, number: u32, limit: usize) {
        let Some(pipe) = self.all.get(&number) else {
            return;
        };
        let Some(budget) = self.budgets.get_mut(&pipe.service) else {
            return;
        };
        budget.orphans.push_back(number);
        if budget.orphans.len() > limit {
            let oldest = budget.orphans.pop_front();
            oldest.into_iter().for_each(|oldest| self.forget(oldest));
        }
    }

    /// Closes a pipe without another look.
    pub(super) fn forget(&mut self, number: u32) {
        let Some(pipe) = self.all.remove(&number) else {
            return;
        };
        let Some(budget) = self.budgets.get_mut(&pipe.service) else {
            return;
        };
        budget.pipes -= 1;
        budget.orphans.retain(|orphan| *orphan != number);
        if budget.pipes == 0 && budget.lines == BURST && budget.dropped == 0 {
            self.budgets.remove(&pipe.service);
        }
    }

    /// What was left out and is not told yet, by service.
    pub(super) fn take_dropped(&mut self) -> Vec<(ServiceId, u64)> {
        let budgets = self.budgets.iter_mut();
        budgets
            .filter(|(_, budget)| budget.dropped > 0)
            .map(|(service, budget)| (*service, std::mem::take(&mut budget.dropped)))
            .collect()
    }

    pub(super) fn descriptor(&self, number: u32) -> Option<BorrowedFd<'_>> {
        self.all.get(&number).map(|pipe| pipe.fd.as_fd())
    }

    /// Reads what there is, within the turn; the pipe is closed and forgotten at its end.
    pub(super) fn read(&mut self, number: u32, now: Instant) -> Option<Batch> {
        let pipe = self.all.get_mut(&number)?;
        let budget = self.budgets.entry(pipe.service).or_default();
        budget.refill(now);
        let mut batch = Batch {
            service: pipe.service,
            id: pipe.id,
            output: Vec::new(),
        };
        let mut buffer = [0; 8192];
        for _ in 0..TURN / buffer.len() {
            match nix::unistd::read(&pipe.fd, &mut buffer) {
                Ok(0) => return Some(self.close(number, batch, now)),
                Ok(length) => {
                    pipe.partial.extend_from_slice(&buffer[..length]);
                    take_lines(&mut pipe.partial, |line| {
                        budget.spend(line, &mut batch.output)
                    });
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => break,
                Err(_) => return Some(self.close(number, batch, now)),
            }
        }
        Some(batch)
    }

    fn close(&mut self, number: u32, mut batch: Batch, now: Instant) -> Batch {
        let Some(pipe) = self.all.get(&number) else {
            return batch;
        };
        if let Some(budget) = self.budgets.get_mut(&pipe.service) {
            if !pipe.partial.is_empty() {
                budget.spend(&pipe.partial, &mut batch.output);
            }
            budget.tell_dropped(now, &mut batch.output);
        }
        self.forget(number);
        batch
    }
}

impl Default for Budget {
    fn default() -> Budget {
        let since = Instant::now();
        Budget {
            pipes: 0,
            orphans: VecDeque::new(),
            lines: BURST,
            since,
            dropped: 0,
            told: None,
        }
    }
}

impl Budget {
    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        let earned = (elapsed.as_millis() * u128::from(RATE) / 1000).min(u128::from(BURST)) as u32;
        if earned > 0 {
            self.lines = (self.lines + earned).min(BURST);
            self.since += Duration::from_millis(u64::from(earned) * 1000 / u64::from(RATE));
            if self.lines == BURST {
                self.since = now;
            }
        }
    }

    /// Tells how many were left out, once a second at most; the next to tell has the rest.
    fn tell_dropped(&mut self, now: Instant, output: &mut Vec<Output>) {
        let was_told = self.told.is_some_and(|told| now < told + TELL);
        if self.dropped > 0 && !was_told {
            self.told = Some(now);
            output.push(Output::Dropped(std::mem::take(&mut self.dropped)));
        }
    }

    fn spend(&mut self, line: &[u8], output: &mut Vec<Output>) {
        if self.lines == 0 {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 {
            output.push(Output::Dropped(std::mem::take(&mut self.dropped)));
        }
        self.lines -= 1;
        output.push(Output::Line(String::from_utf8_lossy(line).into_owned()));
    }
}

/// Takes all complete lines (and pieces of lines that are too long) out of the buffer.
fn take_lines(buffer: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
    let mut start = 0;
    loop {
        let rest = &buffer[start..];
        match rest.iter().take(LINE + 1).position(|byte| *byte == b'\n') {
            Some(end) => {
                each(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]));
                start += end + 1;
            }
            None if rest.len() > LINE => {
                each(&rest[..LINE]);
                start += LINE;
            }
            None => break,
        }
    }
    buffer.drain(..start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        for part in input {
            buffer.extend_from_slice(part);
            take_lines(&mut buffer, |line| {
                found.push(String::from_utf8_lossy(line).into_owned())
            });
        }
        (found, buffer)
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        assert_eq!(
            lines(&[b"on", b"e\ntw", b"o\r\nrest"]),
            (vec!["one".into(), "two".into()], b"rest".to_vec())
        );
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let (found, rest) = lines(&[&[b'x'; 2100]]);
        assert_eq!(
            found.iter().map(String::len).collect::<Vec<_>>(),
            [1024, 1024]
        );
        assert_eq!(rest.len(), 52);
    }

    #[test]
    fn what_is_left_out_is_told_once_a_second() {
        let start = Instant::now();
        let mut budget = Budget {
            lines: 0,
            since: start,
            ..Budget::default()
        };
        let mut output = Vec::new();
        for after in [0, 10, 999, 1000] {
            budget.spend(b"a", &mut output);
            budget.tell_dropped(start + Duration::from_millis(after), &mut output);
        }
        assert_eq!(output, [Output::Dropped(1), Output::Dropped(3)]);
    }

    #[test]
    fn a_budget_is_spent_and_comes_back_with_time() {
        let start = Instant::now();
        let mut budget = Budget {
            lines: 1,
            since: start,
            ..Budget::default()
        };
        let mut output = Vec::new();
        for line in [b"a", b"b", b"c"] {
            budget.spend(line, &mut output);
        }
        budget.refill(start + Duration::from_millis(10));
        budget.spend(b"d", &mut output);
        assert_eq!(
            output,
            [
                Output::Line("a".into()),
                Output::Dropped(2),
                Output::Line("d".into())
            ]
        );
    }
}
