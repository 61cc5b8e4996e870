//! `oxinetd explain`: which rule and limit would decide about a client, and why.

use super::client::{Failure, Server, conclude, json_line};
use super::moments::length;
use crate::control::{Bucket, Explained, From, Holding, Request, Rule};
use crate::table::Refusal;
use clap::Args;
use std::fmt::Write as _;
use std::io::{Write, stdout};
use std::process::ExitCode;

/// Exit status when the client would be refused.
const REFUSED: u8 = 1;

/// Tell whether a client would be let in now, and which rule and limit decide.
///
/// The running server is asked, so the counts are those of this moment; nothing is used up. Exits with
/// 0 when the client would be let in, with 1 when it would be refused.
///
/// For example: oxinetd explain finger --from 192.0.2.7
///              oxinetd explain echo --from uid:1000
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Explain {
    /// A service of the table.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The client: an address, or uid:1000 for a user of this host over a Unix socket.
    #[arg(long, value_name = "ADDRESS", value_parser = client)]
    from: From,
    /// Write the answer as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Explain {
    pub(super) fn run(self) -> ExitCode {
        conclude(self.ask())
    }

    fn ask(self) -> Result<ExitCode, Failure> {
        let request = Request::Explain {
            service: self.service,
            from: self.from,
        };
        let (_, answer) = self.server.call()?.all::<serde_json::Value>(&request)?;
        let text = json_line(&answer);
        let explained: Explained = serde_json::from_value(answer).map_err(|error| Failure {
            text: format!("the server answered what makes no sense here: {error}"),
            exit: super::SOFTWARE,
        })?;
        let text = match self.json {
            true => text,
            false => lines(&explained),
        };
        let _ = stdout().write_all(text.as_bytes());
        Ok(match explained.refused {
            None => ExitCode::SUCCESS,
            Some(_) => REFUSED.into(),
        })
    }
}

/// `192.0.2.7`, `::1` or `uid:1000`.
fn client(text: &str) -> Result<From, String> {
    let wrong = "a client is an address, such as 192.0.2.7 or ::1, or uid:1000";
    match text.strip_prefix("uid:") {
        Some(uid) => uid.parse().map(From::Uid).map_err(|_| wrong.to_owned()),
        None => text
            .parse()
            .map(From::Address)
            .map_err(|_| wrong.to_owned()),
    }
}

/// The verdict, then a line for everything that could decide; what decides is marked.
fn lines(it: &Explained) -> String {
    let mut out = String::new();
    let verdict = match it.refused {
        None => "would be let in".to_owned(),
        Some(reason) => format!("would be refused: {}", words(reason)),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}: a client from {} {verdict}", it.service, it.from);
    let reasons = |reasons: &[Refusal]| it.refused.is_some_and(|reason| reasons.contains(&reason));
    for (title, text, decides) in [
        ("access", access(it), reasons(&[Refusal::Denied])),
        ("ban", ban(it), reasons(&[Refusal::Banned])),
        ("hours", hours(it), reasons(&[Refusal::Hours])),
        (
            "service",
            holding(it.connections),
            reasons(&[Refusal::Full]),
        ),
        (
            "all services",
            holding(it.all_services),
            reasons(&[Refusal::ServerFull]),
        ),
        (
            "source",
            source(it),
            reasons(&[Refusal::MaxPerSource, Refusal::Share]),
        ),
        ("rate", rate(it), reasons(&[Refusal::Rate])),
        (
            "rate of source",
            bucket(it.rate_per_source),
            reasons(&[Refusal::RatePerSource]),
        ),
    ] {
        let mark = if decides { '>' } else { ' ' };
        let _ = writeln!(out, "{mark} {title:14}  {text}");
    }
    out
}

fn words(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Denied => "its address may not (denied)",
        Refusal::Banned => "it is banned (banned)",
        Refusal::Hours => "the service is closed at this hour (hours)",
        Refusal::Full => "the service is full (full)",
        Refusal::ServerFull => "all services together are full (server_full)",
        Refusal::MaxPerSource => "its source has as many as one may have (max_per_source)",
        Refusal::Share => "its source has its share, and the last quarter is for others (share)",
        Refusal::Rate => "the rate is used up, or its source has had its share of it (rate)",
        Refusal::RatePerSource => "the rate of its source is used up (rate_per_source)",
    }
}

fn access(it: &Explained) -> String {
    let by = match (&it.rule, it.allowed) {
        (Some(rule), true) => format!("allowed by {}", place(rule)),
        (Some(rule), false) => format!("denied by {}", place(rule)),
        (None, true) => "allowed: no entry of deny means it".to_owned(),
        (None, false) => "denied: no entry of allow means it".to_owned(),
    };
    match &it.exempt {
        Some(rule) => format!("{by}; spared limits, rates and bans by {}", place(rule)),
        None => by,
    }
}

fn place(rule: &Rule) -> String {
    let Rule {
        list,
        entry,
        file,
        line,
    } = rule;
    format!("{list} {entry} ({file}:{line})")
}

fn ban(it: &Explained) -> String {
    match it.banned {
        Some(seconds) => format!("for another {}", length(seconds)),
        None => "none".to_owned(),
    }
}

fn hours(it: &Explained) -> String {
    if it.open { "open" } else { "closed" }.to_owned()
}

fn holding(holding: Holding) -> String {
    format!("{} of {}", holding.live, holding.limit)
}

fn source(it: &Explained) -> String {
    let Explained {
        source,
        source_live,
        ..
    } = it;
    let limit = it.connections.limit;
    let most = match it.max_per_source {
        Some(most) => format!(" of {most}"),
        None if limit < 8 => String::new(),
        None => format!(
            ", {} of which are its share when few are free",
            limit.div_ceil(4)
        ),
    };
    format!("{source_live}{most} ({source})")
}

fn rate(it: &Explained) -> String {
    let text = bucket(it.rate);
    match it.rate_used {
        0 => text,
        used => format!("{text}; its source has lately used {used}"),
    }
}

fn bucket(bucket: Option<Bucket>) -> String {
    match bucket {
        Some(Bucket { left, burst }) => format!("{left} of {burst} left"),
        None => "no limit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_user() {
        assert_eq!(client("::1"), Ok(From::Address("::1".parse().unwrap())));
        assert_eq!(client("uid:7"), Ok(From::Uid(7)));
        for wrong in ["", "localhost", "uid:", "uid:-1", "192.0.2.0/24"] {
            assert!(client(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_decides_is_marked() {
        let explained = Explained {
            done: true,
            service: "finger".into(),
            from: "192.0.2.7".into(),
            refused: Some(Refusal::Share),
            allowed: true,
            rule: Some(Rule {
                list: "allow".into(),
                entry: "192.0.2.0/24".into(),
                file: "/etc/oxinetd/services.toml".into(),
                line: 12,
            }),
            exempt: None,
            banned: None,
            open: true,
            connections: Holding {
                live: 98,
                limit: 128,
            },
            all_services: Holding {
                live: 99,
                limit: 10_000,
            },
            source: "192.0.2.7/32".into(),
            source_live: 40,
            max_per_source: None,
            rate: Some(Bucket {
                left: 20,
                burst: 50,
            }),
            rate_used: 3,
            rate_per_source: None,
        };
        let expected = "\
finger: a client from 192.0.2.7 would be refused: its source has its share, and the last quarter is for others (share)
  access          allowed by allow 192.0.2.0/24 (/etc/oxinetd/services.toml:12)
  ban             none
  hours           open
  service         98 of 128
  all services    99 of 10000
> source          40, 32 of which are its share when few are free (192.0.2.7/32)
  rate            20 of 50 left; its source has lately used 3
  rate of source  no limit
";
        assert_eq!(lines(&explained), expected);
    }
}
