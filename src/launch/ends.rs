//! The ends of what stands between a client and a program that is not given the client's socket.

use crate::sys::Errno;
use crate::sys::pipe;
use crate::sys::spawn::{Descriptors, Plan, StandardError};
use crate::table::Stdio;
use std::os::fd::{AsFd, OwnedFd};

/// What the worker needs to pass on what both say.
#[derive(Debug)]
pub struct Handover {
    /// The client's socket.
    pub client: OwnedFd,
    /// What the program reads.
    pub input: OwnedFd,
    /// What the program writes.
    pub output: OwnedFd,
}

/// Both ends of each pipe. Dropping them closes them.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    program: (OwnedFd, OwnedFd),
}

impl Ends {
    /// Makes what a service needs; `None` where the program is given the socket.
    pub(super) fn make(stdio: &Stdio, plan: &Plan) -> Result<Option<Ends>, Errno> {
        match stdio {
            Stdio::Socket => Ok(None),
            Stdio::Pipe { .. } => Ends::pipes(plan).map(Some),
        }
    }

    fn pipes(plan: &Plan) -> Result<Ends, Errno> {
        let (input, reads) = pipe::to_program()?;
        let (output, writes) = pipe::from_program()?;
        if let Some(user) = plan.user() {
            pipe::give_to(user, reads.as_fd())?;
            pipe::give_to(user, writes.as_fd())?;
        }
        Ok(Ends {
            input,
            output,
            program: (reads, writes),
        })
    }

    /// The worker's, and the program's.
    pub(super) fn split(
        self,
        client: OwnedFd,
        error: Option<StandardError>,
    ) -> (Handover, Descriptors) {
        let Ends {
            input,
            output,
            program: (reads, writes),
        } = self;
        let handover = Handover {
            client,
            input,
            output,
        };
        (handover, Descriptors::Pipes(reads, writes, error))
    }
}
