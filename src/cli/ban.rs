//! `oxinetd ban` and `unban`: keep somebody away for a while.

use super::client::{Failure, Server, conclude, json_line};
use super::moments::length;
use super::output::put;
use super::pause::{Action, whole_seconds};
use crate::control::Request;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

/// Refuse clients of an address or prefix for a while, at every service; without one, list who is
/// banned.
///
/// Sessions go on: oxinetd kill --from ends them. Those whom a service exempts get in all the same. A
/// ban survives a reload of the table, not a restart of the server; deny in the table is for ever.
///
/// For example: oxinetd ban 192.0.2.7 --for 10m, or oxinetd ban 2001:db8::/32
#[derive(Debug, Args)]
pub(super) struct Ban {
    /// 192.0.2.7, 192.0.2.0/24, 2001:db8::/32. Bits beyond the prefix count for nothing.
    #[arg(value_name = "ADDRESS", value_parser = prefix)]
    address: Option<(IpAddr, u8)>,
    /// For so long (30s, 10m, 1h30m; default: 1h).
    #[arg(
        long = "for",
        value_name = "TIME",
        value_parser = super::limited_duration,
        requires = "address"
    )]
    time: Option<Duration>,
    #[command(flatten)]
    action: Action,
}

/// Let clients in again that were banned.
///
/// For example: oxinetd unban 192.0.2.7
#[derive(Debug, Args)]
pub(super) struct Unban {
    /// The address or prefix, as it was banned.
    #[arg(value_name = "ADDRESS", value_parser = prefix)]
    address: (IpAddr, u8),
    #[command(flatten)]
    action: Action,
}

/// Seconds of a ban, when nothing is said.
const DEFAULT: u64 = 3600;

/// One who is banned.
#[derive(Debug, Serialize, Deserialize)]
struct Banned {
    prefix: String,
    seconds: u64,
}

/// All of them.
#[derive(Debug, Serialize)]
struct All {
    bans: Vec<Banned>,
}

impl Ban {
    pub(super) fn run(self) -> ExitCode {
        match self.address {
            Some((address, bits)) => self.action.ask(&Request::Ban {
                address,
                bits,
                seconds: self.time.map_or(DEFAULT, whole_seconds),
            }),
            None => conclude(list(self.action.server(), self.action.is_json())),
        }
    }
}

impl Unban {
    pub(super) fn run(self) -> ExitCode {
        let (address, bits) = self.address;
        self.action.ask(&Request::Unban { address, bits })
    }
}

fn list(server: &Server, json: bool) -> Result<ExitCode, Failure> {
    let (bans, _) = server.call()?.all::<Banned>(&Request::Bans)?;
    let text = match json {
        true => json_line(&All { bans }),
        false if bans.is_empty() => "nobody is banned\n".to_owned(),
        false => lines(&bans),
    };
    put(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn lines(bans: &[Banned]) -> String {
    let width = bans.iter().map(|ban| ban.prefix.len()).max().unwrap_or(0);
    let line = |ban: &Banned| {
        let rest = length(ban.seconds);
        format!("{:width$}  for another {rest}\n", ban.prefix)
    };
    bans.iter().map(line).collect()
}

/// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
pub(super) fn prefix(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || "an address or a prefix looks like 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32";
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits
            .parse()
            .ok()
            .filter(|bits| *bits <= all)
            .ok_or_else(wrong)?,
        None => all,
    };
    Ok((address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_prefix_of_all_its_bits() {
        let v4 = |text: &str| (text.parse().unwrap(), 32);
        assert_eq!(prefix("192.0.2.7"), Ok(v4("192.0.2.7")));
        assert_eq!(
            prefix("192.0.2.0/24"),
            Ok(("192.0.2.0".parse().unwrap(), 24))
        );
        assert_eq!(prefix("::1"), Ok(("::1".parse().unwrap(), 128)));
        for wrong in [
            "",
            "localhost",
            "1.2.3.4/33",
            "::/129",
            "1.2.3.4/",
            "1.2.3.4/-1",
        ] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bans_are_lines() {
        let ban = |prefix: &str, seconds| Banned {
            prefix: prefix.into(),
            seconds,
        };
        let all = [ban("192.0.2.7", 59), ban("2001:db8::/32", 3600)];
        let expected = "\
192.0.2.7      for another 59s
2001:db8::/32  for another 1h0m
";
        assert_eq!(lines(&all), expected);
    }
}
