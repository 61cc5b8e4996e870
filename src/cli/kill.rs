//! `oxinetd kill`: end sessions.

use super::USAGE;
use super::ban::prefix;
use super::client::{Failure, conclude};
use super::pause::Action;
use crate::control::{Request, Signal, Target};
use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::process::ExitCode;

/// End live sessions: one, those of a service, or those from an address.
///
/// Programs are sent a signal, with all that they have started; connections to built-in services are
/// closed. The service goes on: oxinetd pause keeps new clients away.
///
/// For example: oxinetd kill 17, or oxinetd kill --from 192.0.2.0/24 --signal KILL
#[derive(Debug, Args)]
pub(super) struct Kill {
    /// The session's id, as oxinetd list and the log have it.
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// All sessions of this service.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["id", "from"])]
    service: Option<String>,
    /// All sessions from this address or prefix.
    #[arg(long, value_name = "ADDRESS", value_parser = prefix, conflicts_with = "id")]
    from: Option<(IpAddr, u8)>,
    /// What programs are sent.
    #[arg(
        long,
        value_name = "SIGNAL",
        value_enum,
        ignore_case = true,
        default_value = "TERM"
    )]
    signal: Which,
    #[command(flatten)]
    action: Action,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Which {
    Term,
    Kill,
    Hup,
    Int,
}

impl Kill {
    pub(super) fn run(self) -> ExitCode {
        if self.id.is_none() && self.service.is_none() && self.from.is_none() {
            let text = "kill which sessions? Say ID, --service NAME or --from ADDRESS".to_owned();
            return conclude(Err(Failure { text, exit: USAGE }));
        }
        let target = match (self.id, self.service, self.from) {
            (_, Some(service), _) => Target::Service(service),
            (_, _, Some((address, bits))) => Target::From(address, bits),
            (id, ..) => Target::Id(id.unwrap_or_default()),
        };
        let signal = match self.signal {
            Which::Term => Signal::Term,
            Which::Kill => Signal::Kill,
            Which::Hup => Signal::Hup,
            Which::Int => Signal::Int,
        };
        self.action.ask(&Request::Kill { target, signal })
    }
}
