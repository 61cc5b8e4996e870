//! The ends of what stands between a client and a program that is not given the client's socket.

use crate::sys::pty::{self, Manner};
use crate::sys::spawn::{Descriptors, Plan, StandardError};
use crate::sys::{Errno, pipe};
use crate::table::{Stdio, Terminal};
use std::os::fd::{AsFd, OwnedFd};

/// What the worker needs to pass on what both say.
#[derive(Debug)]
pub struct Handover {
    /// The client's socket.
    pub client: OwnedFd,
    /// The program.
    pub far: Far,
}

/// How a program is reached.
#[derive(Debug)]
pub enum Far {
    /// What it reads, and what it writes.
    Pipes(OwnedFd, OwnedFd),
    /// The master of its terminal.
    Terminal(OwnedFd),
}

/// Both ends. Dropping them closes them.
#[derive(Debug)]
pub(super) struct Ends {
    far: Far,
    program: Program,
}

#[derive(Debug)]
enum Program {
    Pipes(OwnedFd, OwnedFd),
    Terminal(OwnedFd),
}

impl Ends {
    /// Makes what a service needs; `None` where the program is given the socket.
    pub(super) fn make(stdio: &Stdio, plan: &Plan) -> Result<Option<Ends>, Errno> {
        match stdio {
            Stdio::Socket => Ok(None),
            Stdio::Pipe { .. } => Ends::pipes(plan).map(Some),
            Stdio::Terminal { terminal, .. } => Ends::terminal(terminal, plan).map(Some),
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
            far: Far::Pipes(input, output),
            program: Program::Pipes(reads, writes),
        })
    }

    fn terminal(terminal: &Terminal, plan: &Plan) -> Result<Ends, Errno> {
        let Terminal {
            rows,
            columns,
            raw,
            echo,
            ..
        } = *terminal;
        let (master, slave) = pty::open(Manner {
            rows,
            columns,
            raw,
            echo,
        })?;
        if let Some(user) = plan.user() {
            pipe::give_to(user, slave.as_fd())?;
        }
        Ok(Ends {
            far: Far::Terminal(master),
            program: Program::Terminal(slave),
        })
    }

    /// The worker's, and the program's.
    pub(super) fn split(
        self,
        client: OwnedFd,
        error: Option<StandardError>,
    ) -> (Handover, Descriptors) {
        let Ends { far, program } = self;
        let descriptors = match program {
            Program::Pipes(reads, writes) => Descriptors::Pipes(reads, writes, error),
            Program::Terminal(slave) => Descriptors::Socket(slave, error),
        };
        (Handover { client, far }, descriptors)
    }
}
