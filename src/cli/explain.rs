//! `oxinetd explain`: which rule and limit would decide about a client, and why.

use super::client::{Failure, Server, conclude, json_line};
use super::moments::{length, now};
use super::output::put;
use super::status::state_words;
use crate::control::{Bucket, Explained, From, Holding, Request, Rule, State, Waits};
use crate::table::Refusal;
use clap::Args;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Exit status when the client would be refused, or cannot connect.
const REFUSED: u8 = 1;
/// Exit status when it would wait.
const WAITS: u8 = 2;

/// Tell whether a client would be let in now, and which rule and limit decide.
///
/// The running server is asked, so the counts are those of this moment; nothing is used up. Exits with
/// 0 when the client would be let in; with 1 when it would be refused, or nobody can connect; with 2
/// when it would wait in the kernel's queue: the service or all services are full, or it is paused.
///
/// For example: oxinetd explain finger --from 192.0.2.7, or oxinetd explain echo --from uid:1000
#[derive(Debug, Args)]
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
        put(&text)?;
        Ok(match (explained.waits, explained.refused) {
            (Some(_), _) => WAITS.into(),
            (None, None) if explained.reachable => ExitCode::SUCCESS,
            _ => REFUSED.into(),
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
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}: {}", it.service, verdict(it));
    let state = state_words(it.state, it.until, &it.not_bound, it.when_full, now());
    let is_resting = matches!(it.waits, Some(Waits::Paused | Waits::BackingOff));
    let waits = |reason| it.waits == Some(reason);
    let reasons = |reasons: &[Refusal]| it.refused.is_some_and(|reason| reasons.contains(&reason));
    for (title, text, decides) in [
        ("state", state, is_resting || !it.reachable),
        ("access", access(it), reasons(&[Refusal::Denied])),
        ("ban", ban(it), reasons(&[Refusal::Banned])),
        ("hours", hours(it), reasons(&[Refusal::Hours])),
        (
            "service",
            holding(it.connections),
            reasons(&[Refusal::Full]) || waits(Waits::Full),
        ),
        (
            "all services",
            holding(it.all_services),
            reasons(&[Refusal::ServerFull]) || waits(Waits::ServerFull) || it.evicts,
        ),
        (
            "source",
            source(it),
            reasons(&[Refusal::MaxPerSource, Refusal::Share]),
        ),
        (
            "rate",
            rate(it),
            reasons(&[Refusal::Rate]) || waits(Waits::Rate),
        ),
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

/// What becomes of the client.
fn verdict(it: &Explained) -> String {
    let client = format!("a client from {}", it.from);
    match (it.waits, it.refused) {
        _ if !it.reachable => format!("nobody can connect: {}", unreachable(it.state)),
        (Some(reason), _) => format!("{client} would wait: {}", waiting(reason, it)),
        (None, Some(reason)) => format!("{client} would be refused: {}", words(reason)),
        (None, None) if it.evicts => format!(
            "{client} would be let in: all built-in services together are full, so the session that \
             has been idle for the longest time makes way"
        ),
        (None, None) => format!("{client} would be let in"),
    }
}

fn unreachable(state: State) -> &'static str {
    match state {
        State::Disabled => "the service is disabled",
        State::Unavailable => "this server cannot offer the service",
        State::Removed => "the table no longer has the service",
        _ => "none of its addresses is bound",
    }
}

fn waiting(reason: Waits, it: &Explained) -> String {
    let of = |Holding { live, limit }| format!("{live} of {limit}");
    match reason {
        Waits::Full => format!("the service is full ({})", of(it.connections)),
        Waits::ServerFull => format!("all services together are full ({})", of(it.all_services)),
        Waits::Rate => "the rate is used up for less than a second".to_owned(),
        Waits::Paused => "the service is paused".to_owned(),
        Waits::BackingOff => "the worker, which serves it, rests after a failure".to_owned(),
    }
}

fn words(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Denied => "it is denied (denied)",
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
        (None, true) => "allowed: no entry of deny matches".to_owned(),
        (None, false) => "denied: no entry of allow matches".to_owned(),
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
    match (it.banned, &it.banned_prefix) {
        (Some(seconds), Some(prefix)) => format!("{prefix} for another {}", length(seconds)),
        (Some(seconds), None) => format!("for another {}", length(seconds)),
        (None, _) => "none".to_owned(),
    }
}

fn hours(it: &Explained) -> String {
    match it.open {
        true => "open".to_owned(),
        false => format!("closed (where the server is it is {})", it.local_time),
    }
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
    let rule = match it.max_per_source {
        Some(most) => format!(" of {most}"),
        None if limit < 8 => " live".to_owned(),
        None => format!(
            " live; {} are its share when fewer than a quarter are free",
            limit.div_ceil(4)
        ),
    };
    format!("{source_live}{rule} ({source})")
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
    use crate::table::WhenFull;

    #[test]
    fn a_client_is_an_address_or_a_user() {
        assert_eq!(client("::1"), Ok(From::Address("::1".parse().unwrap())));
        assert_eq!(client("uid:7"), Ok(From::Uid(7)));
        for wrong in ["", "localhost", "uid:", "uid:-1", "192.0.2.0/24"] {
            assert!(client(wrong).is_err(), "{wrong}");
        }
    }

    fn refused_for_its_share() -> Explained {
        Explained {
            done: true,
            service: "finger".into(),
            from: "192.0.2.7".into(),
            state: State::Listening,
            until: None,
            not_bound: Vec::new(),
            reachable: true,
            refused: Some(Refusal::Share),
            waits: None,
            evicts: false,
            allowed: true,
            rule: Some(Rule {
                list: "allow".into(),
                entry: "192.0.2.0/24".into(),
                file: "/etc/oxinetd/services.toml".into(),
                line: 12,
            }),
            exempt: None,
            banned: None,
            banned_prefix: None,
            open: true,
            local_time: "Fri 16:05".into(),
            when_full: WhenFull::Queue,
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
        }
    }

    #[test]
    fn what_decides_is_marked() {
        let expected = "\
finger: a client from 192.0.2.7 would be refused: its source has its share, and the last quarter is for others (share)
  state           listening
  access          allowed by allow 192.0.2.0/24 (/etc/oxinetd/services.toml:12)
  ban             none
  hours           open
  service         98 of 128
  all services    99 of 10000
> source          40 live; 32 are its share when fewer than a quarter are free (192.0.2.7/32)
  rate            20 of 50 left; its source has lately used 3
  rate of source  no limit
";
        assert_eq!(lines(&refused_for_its_share()), expected);
    }

    #[test]
    fn who_waits_and_who_cannot_connect_is_told() {
        let mut it = refused_for_its_share();
        it.refused = None;
        assert_eq!(verdict(&it), "a client from 192.0.2.7 would be let in");
        it.waits = Some(Waits::Full);
        let waits = "a client from 192.0.2.7 would wait: the service is full (98 of 128)";
        assert_eq!(verdict(&it), waits);
        (it.waits, it.evicts) = (None, true);
        assert!(verdict(&it).ends_with("longest time makes way"));
        (it.reachable, it.state) = (false, State::Disabled);
        let nobody = "nobody can connect: the service is disabled";
        assert_eq!(verdict(&it), nobody);
        (it.banned, it.banned_prefix) = (Some(60), Some("192.0.2.0/24".into()));
        assert_eq!(ban(&it), "192.0.2.0/24 for another 1m0s");
        it.open = false;
        assert_eq!(hours(&it), "closed (where the server is it is Fri 16:05)");
    }
}
