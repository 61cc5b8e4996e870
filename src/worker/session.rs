//! One connection: its socket, its side of the protocol, its permit and its byte counts.
//!
//! A [`Session`] moves bytes between the socket and a [`Conversation`]; whatever goes wrong means
//! that the client has left.

use crate::admission::Permit;
use crate::builtin::{Conversation, Input};
use crate::control::{Ending, Report, ServiceId};
use crate::sys::Errno;
use crate::sys::poll::{Interest, Ready};
use crate::sys::stream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of a connection that are passed on in one turn, and of what it has to say that are sent.
pub(super) const SHARE: usize = 64 * 1024;

/// Bytes of memory that a session is lent for one call, and that it reads in one turn: as many as
/// make a call cheap (measured).
pub(super) const SCRATCH: usize = 2 * SHARE;

/// How often what the client sent is read and dropped before the socket is closed.
const DRAINS: usize = 4;

/// A live connection.
#[derive(Debug)]
pub(super) struct Session {
    socket: OwnedFd,
    conversation: Conversation,
    permit: Permit<ServiceId>,
    number: u32,
    received: u64,
    sent: u64,
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Session {
    pub(super) fn begin(
        socket: OwnedFd,
        conversation: Conversation,
        permit: Permit<ServiceId>,
        number: u32,
    ) -> Session {
        Session {
            socket,
            conversation,
            permit,
            number,
            received: 0,
            sent: 0,
        }
    }

    /// Its number in reports.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Whether there is something to say before the client says anything.
    pub(super) fn speaks_first(&self) -> bool {
        !self.conversation.output().is_empty()
    }

    /// Moves what can be moved: up to [`SHARE`] of what was to be said, and of input what the scratch
    /// buffer holds. True when something was; an error when the session has ended.
    pub(super) fn advance(&mut self, ready: Ready, scratch: &mut [u8]) -> Result<bool, Ending> {
        let before = (self.received, self.sent);
        if ready.writable {
            self.send_output()?;
        }
        if ready.readable {
            self.take_input(scratch)?;
        }
        if self.conversation.is_finished() {
            return Err(Ending::Finished);
        }
        Ok(before != (self.received, self.sent))
    }

    /// What to wait for now.
    pub(super) fn interest(&self) -> Interest {
        match (
            self.conversation.wants_input(),
            self.conversation.output().is_empty(),
        ) {
            (Input::Leave, _) => Interest::Write,
            (_, true) => Interest::Read,
            (_, false) => Interest::Both,
        }
    }

    /// Closes the connection. What is left is the permit, and the report of the end.
    pub(super) fn end(mut self, ending: Ending, scratch: &mut [u8]) -> (Permit<ServiceId>, Report) {
        if ending == Ending::Finished && self.conversation.leaves_input() {
            self.received += leave(self.socket.as_fd(), scratch);
        }
        let report = Report::Ended {
            service: self.permit.service(),
            number: self.number,
            received: self.received,
            sent: self.sent,
            ending,
        };
        (self.permit, report)
    }

    fn send_output(&mut self) -> Result<(), Ending> {
        let output = self.conversation.output();
        if output.is_empty() {
            return Ok(());
        }
        let output = &output[..output.len().min(SHARE)];
        let count = sent(stream::send(self.socket.as_fd(), output))?;
        self.conversation.written(count);
        self.sent += count as u64;
        Ok(())
    }

    fn take_input(&mut self, scratch: &mut [u8]) -> Result<(), Ending> {
        let wanted = self.conversation.wants_input();
        let result = match wanted {
            Input::Leave => return Ok(()),
            Input::Discard => stream::discard(self.socket.as_fd(), scratch),
            Input::Read => stream::receive(self.socket.as_fd(), scratch),
        };
        match result {
            Ok(0) => self.conversation.input_closed(),
            Ok(count) => {
                self.received += count as u64;
                if wanted == Input::Read {
                    self.pass_on(&scratch[..count])?;
                }
            }
            Err(Errno::EAGAIN) => {}
            Err(_) => return Err(Ending::ClientLeft),
        }
        Ok(())
    }

    /// Sends the answer straight from the buffer, and keeps what the client cannot take yet.
    fn pass_on(&mut self, input: &[u8]) -> Result<(), Ending> {
        let reply = self.conversation.input(input);
        let count = sent(stream::send(self.socket.as_fd(), reply))?;
        self.sent += count as u64;
        if count < reply.len() {
            self.conversation.keep(&reply[count..]);
        }
        Ok(())
    }
}

/// Drops what the client sent, and says that this was all: a socket that is closed with input left is
/// reset, and the client may lose the answer. The answer is how many bytes were dropped.
pub(super) fn leave(socket: BorrowedFd, scratch: &mut [u8]) -> u64 {
    let mut dropped = 0;
    for _ in 0..DRAINS {
        match stream::receive(socket, scratch) {
            Ok(count) if count > 0 => {
                if dropped == 0 && stream::shut_down_sending(socket).is_err() {
                    return dropped;
                }
                dropped += count as u64;
            }
            // Nothing is left: closing says that this was all.
            _ => break,
        }
    }
    dropped
}

/// How much was sent; nothing when there was no room.
fn sent(result: Result<usize, Errno>) -> Result<usize, Ending> {
    match result {
        Ok(count) => Ok(count),
        Err(Errno::EAGAIN) => Ok(0),
        Err(_) => Err(Ending::ClientLeft),
    }
}
