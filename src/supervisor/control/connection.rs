//! One caller of the control socket: what it has sent, what it has not taken yet, how long it may
//! take. Nothing waits, and neither buffer grows without bound.

use super::task::Task;
use crate::control::{Failed, LONGEST};
use crate::sys::poll::Interest;
use crate::sys::{Errno, stream};
use serde::Serialize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a caller may keep silent where it is to ask, and take nothing where it is answered.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that wait to be taken; no more is made while there are so many.
const PLENTY: usize = 64 * 1024;

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) pid: i32,
    /// Whether it may do more than look.
    pub(super) may_act: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    /// Its own, among callers.
    pub(super) number: u32,
    pub(super) who: Identity,
    pub(super) task: Task,
    /// What it is polled for.
    pub(super) polled: Interest,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of the output is sent.
    sent: usize,
    /// When it was last given or told something, or gave or took something worth its time.
    touched: Instant,
    /// It is closed as soon as it has taken what it is told.
    is_last: bool,
}

/// What can be had from a caller.
pub(super) enum Received {
    /// A whole request, without its newline.
    Line(Vec<u8>),
    /// Nothing yet.
    Later,
    /// It has said something that is too long to be a request.
    TooLong,
    /// It will say no more.
    End,
}

/// Who makes way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It has asked for nothing and is owed nothing.
    Idle,
    /// It takes nothing, and may only look.
    StuckViewer,
    /// It may only look.
    Viewer,
    /// It takes nothing.
    StuckActor,
    /// It is being told something that it can ask for again.
    Looker,
    /// It follows events.
    Follower,
}

/// What has become of the output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// All is sent.
    All,
    /// There is no room.
    Some,
    /// Nobody reads it any more.
    Gone,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, number: u32, who: Identity, now: Instant) -> Connection {
        Connection {
            socket,
            number,
            who,
            task: Task::Idle,
            polled: Interest::Read,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            touched: now,
            is_last: false,
        }
    }

    /// The next request. What came after it is kept for later.
    pub(super) fn receive(&mut self) -> Received {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let rest = self.input.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.input, rest);
                line.pop();
                return Received::Line(line);
            }
            let room = LONGEST - self.input.len();
            if room == 0 {
                return Received::TooLong;
            }
            let mut buffer = [0; LONGEST];
            match stream::receive(self.socket.as_fd(), &mut buffer[..room]) {
                Ok(0) => return Received::End,
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                Err(Errno::EAGAIN) => return Received::Later,
                Err(_) => return Received::End,
            }
        }
    }

    /// Whether a caller that is to listen has gone, or has said something out of turn.
    pub(super) fn is_over(&self) -> bool {
        let mut byte = [0];
        stream::receive(self.socket.as_fd(), &mut byte) != Err(Errno::EAGAIN)
    }

    /// Adds a line of the answer.
    pub(super) fn say(&mut self, line: &impl Serialize) {
        // Our own types can always be written to memory.
        if serde_json::to_writer(&mut self.output, line).is_ok() {
            self.output.push(b'\n');
        }
    }

    /// Where to add a line that is made elsewhere, with its newline.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Adds the last line of the answer; the next request may come.
    pub(super) fn finish(&mut self, line: &impl Serialize, now: Instant) {
        self.say(line);
        self.task = Task::Idle;
        self.touched = now;
    }

    /// The same, for what cannot be done.
    pub(super) fn fail(&mut self, error: impl Into<String>, exit: u8, now: Instant) {
        let error = error.into();
        self.finish(&Failed { error, exit }, now);
    }

    /// Closes it once it has taken what it is told.
    pub(super) fn let_go(&mut self) {
        self.is_last = true;
    }

    /// Sends what there is room for.
    pub(super) fn flush(&mut self, now: Instant) -> Sent {
        while self.sent < self.output.len() {
            match stream::send(self.socket.as_fd(), &self.output[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    self.touched = now;
                }
                Err(Errno::EAGAIN) => return Sent::Some,
                Err(_) => return Sent::Gone,
            }
        }
        // Memory that a long answer has needed is not kept.
        (self.output, self.sent) = (Vec::new(), 0);
        match self.is_last {
            true => Sent::Gone,
            false => Sent::All,
        }
    }

    /// Whether enough waits to be taken.
    pub(super) fn has_plenty(&self) -> bool {
        self.output.len() - self.sent >= PLENTY
    }

    /// Whether it has not taken all yet.
    pub(super) fn is_owed(&self) -> bool {
        self.sent < self.output.len()
    }

    /// How soon it makes way for another, and for how long it has done nothing: idle ones first, then
    /// those who may only look, and who take nothing before the others. `None` for those for whom
    /// something is being done.
    pub(super) fn rank(&self) -> Option<(Rank, Instant)> {
        let is_stuck = self.is_owed();
        let rank = match &self.task {
            Task::Idle if self.output.is_empty() => Rank::Idle,
            _ if is_stuck && !self.who.may_act => Rank::StuckViewer,
            _ if !self.who.may_act => Rank::Viewer,
            _ if is_stuck => Rank::StuckActor,
            Task::Status { .. } | Task::List(_) => Rank::Looker,
            Task::Events { .. } => Rank::Follower,
            _ => return None,
        };
        Some((rank, self.touched))
    }

    /// When it will have been silent, or taken nothing, for too long. Whoever waits for us has time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits_for_us = self.task.waits() && self.output.is_empty();
        (!waits_for_us).then(|| self.touched + PATIENCE)
    }

    /// When to look at it again, whatever happens until then.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.deadline().or(self.task.deadline())
    }

    /// What to wait for: room while there is something to send or to make, else its next word.
    pub(super) fn interest(&self) -> Interest {
        let has_asked = || self.input.contains(&b'\n');
        let is_its_turn = match self.task {
            Task::Idle => !has_asked(),
            _ => self.task.waits(),
        };
        match is_its_turn && self.output.is_empty() {
            true => Interest::Read,
            false => Interest::Write,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let who = Identity {
            uid: 0,
            pid: 1,
            may_act: true,
        };
        (Connection::new(ours.into(), 1, who, Instant::now()), theirs)
    }

    fn line(connection: &mut Connection) -> Option<String> {
        match connection.receive() {
            Received::Line(line) => Some(String::from_utf8(line).unwrap()),
            _ => None,
        }
    }

    #[test]
    fn requests_are_put_together_and_taken_one_by_one() {
        let (mut connection, mut caller) = pair();
        caller.write_all(b"on").unwrap();
        assert_eq!(line(&mut connection), None);
        caller.write_all(b"e\ntwo\nth").unwrap();
        assert_eq!(line(&mut connection).as_deref(), Some("one"));
        assert_eq!(line(&mut connection).as_deref(), Some("two"));
        assert!(matches!(connection.receive(), Received::Later));
        drop(caller);
        assert!(matches!(connection.receive(), Received::End));
    }

    #[test]
    fn a_line_has_4096_bytes_with_its_newline() {
        for (length, is_taken) in [(LONGEST - 1, true), (LONGEST, false)] {
            let (mut connection, mut caller) = pair();
            let text = [vec![b'x'; length], b"\n".to_vec()].concat();
            caller.write_all(&text).unwrap();
            assert_eq!(line(&mut connection).is_some(), is_taken, "{length}");
            assert_eq!(matches!(connection.receive(), Received::TooLong), !is_taken);
        }
    }

    #[test]
    fn what_is_not_taken_waits_and_enough_is_enough() {
        let (mut connection, mut caller) = pair();
        let now = Instant::now();
        let text = "x".repeat(1000);
        let mut lines = 0;
        while connection.flush(now) == Sent::All {
            connection.say(&text);
            lines += 1;
        }
        assert_eq!(connection.interest(), Interest::Write);
        while !connection.has_plenty() {
            connection.say(&text);
            lines += 1;
        }
        let mut taken = 0;
        let mut buffer = vec![0; 1 << 20];
        while taken < lines * 1003 {
            taken += caller.read(&mut buffer).unwrap();
            connection.flush(now);
        }
        assert_eq!((taken, connection.flush(now)), (lines * 1003, Sent::All));
        drop(caller);
        connection.say(&text);
        assert_eq!(connection.flush(now), Sent::Gone);
    }
}
