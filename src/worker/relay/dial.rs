//! Calling the server that a client is passed on to: its addresses one after the other, until one
//! answers.

use crate::control::Route;
use crate::sys::Errno;
use crate::sys::stream;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// A call that is under way.
#[derive(Debug)]
pub(super) struct Dial {
    route: Rc<Route>,
    next: usize,
    socket: Option<OwnedFd>,
    /// How the last attempt failed.
    errno: Errno,
}

/// How it stands.
#[derive(Debug)]
pub(super) enum Call {
    /// An address has answered.
    Answered(OwnedFd),
    /// Another address is called: its socket is to be polled.
    Calling,
    /// Its queue is full: it is to be called [`again`](Dial::again) in a moment.
    Full,
    /// No address is left.
    Failed(Errno),
}

impl Dial {
    pub(super) fn new(route: Rc<Route>) -> Dial {
        Dial {
            route,
            next: 0,
            socket: None,
            errno: Errno::EADDRNOTAVAIL,
        }
    }

    /// The number of the attempt, counted from 1.
    pub(super) fn attempt(&self) -> usize {
        self.next
    }

    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    /// Gives the present address up because of this, and calls the next.
    pub(super) fn next(&mut self, because: Option<Errno>) -> Call {
        self.socket = None;
        self.errno = because.unwrap_or(self.errno);
        while let Some(target) = self.route.targets.get(self.next) {
            self.next += 1;
            match stream::connect(target) {
                Ok((socket, true)) => return Call::Answered(socket),
                Ok((socket, false)) => {
                    self.socket = Some(socket);
                    return Call::Calling;
                }
                Err(Errno::EAGAIN) => return Call::Full,
                Err(errno) => self.errno = errno,
            }
        }
        Call::Failed(self.errno)
    }

    /// Calls the present address again. `None` when its queue is still full.
    pub(super) fn again(&mut self) -> Option<Call> {
        let attempt = self.next;
        self.next = attempt.saturating_sub(1);
        match self.next(None) {
            Call::Full if self.next == attempt => None,
            call => Some(call),
        }
    }

    /// The present address may have answered. `None` when it has not.
    pub(super) fn look(&mut self) -> Option<Call> {
        let socket = self.socket.take()?;
        match stream::connected(socket.as_fd()) {
            Ok(()) => Some(Call::Answered(socket)),
            Err(Errno::EAGAIN) => {
                self.socket = Some(socket);
                None
            }
            Err(errno) => Some(self.next(Some(errno))),
        }
    }
}
