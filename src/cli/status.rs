//! `oxinetd status`: what each service is doing, and what it has done.

use super::client::{Failure, Server, conclude, json_line};
use super::grid::{Cell, Column, Grid, Keeps, Screen, Tone};
use super::moments::{length, moment, now};
use super::output::put;
use crate::control::{Counters, NotBound, Request, ServerStatus, ServiceStatus, State};
use crate::table::WhenFull;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::process::ExitCode;

/// Show what each service of the running server is doing and has done; of one service, everything.
///
/// For example: oxinetd status finger
#[derive(Debug, Args)]
pub(super) struct Status {
    /// A service of the table.
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// Write one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// `--json`.
#[derive(Serialize)]
struct All {
    services: Vec<ServiceStatus>,
    server: Value,
}

/// Troubles that are told in full below the table.
const TROUBLES: usize = 10;
/// Seconds for which a failure is news.
const NEWS: u64 = 600;

impl Status {
    pub(super) fn run(self) -> ExitCode {
        conclude(self.show())
    }

    fn show(self) -> Result<ExitCode, Failure> {
        let request = Request::Status {
            service: self.service.clone(),
            times: false,
        };
        let mut client = self.server.call()?;
        let text = if self.json {
            let (services, mut done) = client.all(&request)?;
            let server = done["server"].take();
            json_line(&All { services, server })
        } else {
            let (services, done) = client.all::<ServiceStatus>(&request)?;
            let server = serde_json::from_value(done["server"].clone()).ok();
            let screen = Screen::of_stdout();
            match (&self.service, &services[..]) {
                (Some(_), [one]) => in_full(one, now()),
                _ => table(&services, screen) + &below(&services, server.as_ref(), screen),
            }
        };
        put(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

const fn column(title: &'static str, right: bool, least: Option<usize>, dispensable: u8) -> Column {
    Column {
        title,
        right,
        least,
        keeps: Keeps::Start,
        dispensable,
    }
}

const COLUMNS: [Column; 8] = [
    column("SERVICE", false, Some(8), 0),
    column("STATE", false, Some(STATE), 0),
    column("LIVE", true, None, 0),
    column("QUEUED", true, None, 3),
    column("ACCEPTED", true, None, 4),
    column("REFUSED", true, None, 0),
    column("FAILED", true, None, 0),
    Column {
        keeps: Keeps::End,
        ..column("ADDRESSES", false, Some(8), 2)
    },
];
/// `paused until 12:34:56`.
const STATE: usize = 21;

fn table(services: &[ServiceStatus], screen: Screen) -> String {
    let mut grid = Grid::new(&COLUMNS);
    let now = now();
    services.iter().for_each(|it| grid.row(row(it, now)));
    if services.len() > 1 {
        grid.row(sums(services));
    }
    grid.render(screen)
}

fn row(it: &ServiceStatus, now: u64) -> Vec<Cell> {
    let counters = &it.counters;
    let live = match it.state {
        State::Full => Tone::Notice,
        _ => Tone::Plain,
    };
    vec![
        it.name.clone().into(),
        Cell(state(it, now), tone(it.state)),
        Cell(format!("{}/{}", it.live, it.limit), live),
        number(
            it.queued.map_or(String::new(), |it| it.to_string()),
            Tone::Notice,
        ),
        counters.accepted.to_string().into(),
        number(refused(counters), Tone::Notice),
        number(failed(counters), Tone::Bad),
        it.addresses.join(" ").into(),
    ]
}

/// A number that has a tone unless it is 0.
fn number(number: impl Display, tone: Tone) -> Cell {
    let text = number.to_string();
    match text.as_str() {
        "0" => text.into(),
        _ => Cell(text, tone),
    }
}

fn refused(counters: &Counters) -> u64 {
    counters.refused.values().sum()
}

fn failed(counters: &Counters) -> u64 {
    counters.failed.values().sum::<u64>() + counters.failed_starts
}

fn sums(services: &[ServiceStatus]) -> Vec<Cell> {
    let sum = |of: &dyn Fn(&ServiceStatus) -> u64| services.iter().map(of).sum::<u64>();
    let cell = |sum: u64| Cell(sum.to_string(), Tone::Title);
    vec![
        Cell(format!("{} services", services.len()), Tone::Title),
        "".into(),
        cell(sum(&|it| it.live)),
        cell(sum(&|it| it.queued.unwrap_or(0))),
        cell(sum(&|it| it.counters.accepted)),
        cell(sum(&|it| refused(&it.counters))),
        cell(sum(&|it| failed(&it.counters))),
        "".into(),
    ]
}

/// The state in words: the contract's, with the moment where there is one.
pub(super) fn state(it: &ServiceStatus, now: u64) -> String {
    state_words(it.state, it.until, &it.not_bound, it.when_full, now)
}

/// The same, from what decides it.
pub(super) fn state_words(
    state: State,
    until: Option<u64>,
    not_bound: &[NotBound],
    when_full: WhenFull,
    now: u64,
) -> String {
    let with_end = |text: &str| match until {
        Some(until) => format!("{text} until {}", moment(until, now)),
        None => text.to_owned(),
    };
    match state {
        State::Listening => "listening".to_owned(),
        State::Full => match when_full {
            WhenFull::Queue => "full (queueing)".to_owned(),
            WhenFull::Refuse => "full (refusing)".to_owned(),
        },
        State::Paused => with_end("paused"),
        State::BackingOff => with_end("backing off"),
        State::NotBound => missing(not_bound, until, now),
        State::Disabled => "disabled".to_owned(),
        State::Unavailable => "unavailable".to_owned(),
        State::Removed => "removed".to_owned(),
    }
}

fn missing(not_bound: &[NotBound], until: Option<u64>, now: u64) -> String {
    let errno = not_bound.iter().find_map(|it| it.errno.clone());
    let next = until.map(|next| match next.checked_sub(now) {
        Some(wait) if wait > 0 => format!("next try in {}", length(wait)),
        _ => "trying".to_owned(),
    });
    let known: Vec<String> = errno.into_iter().chain(next).collect();
    match known.is_empty() {
        true => "not bound".to_owned(),
        false => format!("not bound ({})", known.join(", ")),
    }
}

fn tone(state: State) -> Tone {
    match state {
        State::Listening => Tone::Plain,
        State::Full | State::Paused | State::Removed => Tone::Notice,
        State::BackingOff | State::NotBound | State::Unavailable => Tone::Bad,
        State::Disabled => Tone::Faint,
    }
}

/// What is to be said of the server, and in full of what is not well.
fn below(services: &[ServiceStatus], server: Option<&ServerStatus>, screen: Screen) -> String {
    let now = now();
    let mut lines = Vec::new();
    if let Some(since) = server.and_then(|server| server.short_since) {
        let text = format!("short of resources since {}", moment(since, now));
        lines.push(screen.paint(&text, Tone::Bad));
    }
    if let Some(text) = server.and_then(full) {
        lines.push(screen.paint(&text, Tone::Notice));
    }
    let is_news = |it: &ServiceStatus| {
        let failure = it.last_failure.as_ref();
        failure.is_some_and(|failure| failure.time + NEWS > now)
    };
    let is_bad = |it: &&ServiceStatus| tone(it.state) == Tone::Bad || is_news(it);
    let failures = services.iter().filter(is_bad);
    let mut failures: Vec<_> = failures.filter_map(|it| it.last_failure.as_ref()).collect();
    failures.sort_by_key(|failure| failure.time);
    // The newest are the news.
    let more = failures.len().saturating_sub(TROUBLES);
    for failure in &failures[more..] {
        lines.push(format!("{} {}", moment(failure.time, now), failure.text));
    }
    if more > 0 {
        lines.push(format!("and {more} more: oxinetd status SERVICE tells"));
    }
    match lines.is_empty() {
        true => String::new(),
        false => format!("\n{}\n", lines.join("\n")),
    }
}

/// What is to be said of a server that has as many programs as it may have.
pub(super) fn full(server: &ServerStatus) -> Option<String> {
    let ServerStatus { live, limit, .. } = server;
    (*live >= u64::from(*limit))
        .then(|| format!("the server is full: {live} of [server] max_connections = {limit}"))
}

/// Everything about one service, a line each.
fn in_full(it: &ServiceStatus, now: u64) -> String {
    let counters = &it.counters;
    let mut lines = vec![
        (
            "state",
            format!("{}, since {}", state(it, now), moment(it.since, now)),
        ),
        ("addresses", it.addresses.join(" ")),
        ("live", format!("{} of {}", it.live, it.limit)),
    ];
    if let Some(queued) = it.queued {
        lines.push(("queued", queued.to_string()));
    }
    lines.push(("accepted", accepted(counters)));
    if counters.starts + counters.failed_starts > 0 {
        let text = format!("{} ({} failed)", counters.starts, counters.failed_starts);
        lines.push(("starts", text));
    }
    if counters.datagrams > 0 {
        let left_out = counters.datagrams_left_out.iter();
        let left_out = left_out.map(|(reason, n)| format!("{n} {reason}"));
        let text = match left_out.collect::<Vec<_>>() {
            none if none.is_empty() => counters.datagrams.to_string(),
            some => format!("{}, not answered: {}", counters.datagrams, some.join(", ")),
        };
        lines.push(("datagrams", text));
    }
    for missing in &it.not_bound {
        lines.push(("not bound", missing.address.clone()));
    }
    if let Some(failure) = &it.last_failure {
        let text = format!("{} {}", moment(failure.time, now), failure.text);
        lines.push(("last failure", text));
    }
    let shown = lines
        .iter()
        .map(|(name, text)| format!("  {name:12}  {text}\n"));
    format!("{}\n{}", it.name, shown.collect::<String>())
}

/// `120: 117 launched, 2 refused (2 denied), 1 failed (1 exec)`.
fn accepted(counters: &Counters) -> String {
    let by = |parts: Vec<String>| match parts.is_empty() {
        true => String::new(),
        false => format!(" ({})", parts.join(", ")),
    };
    let refusals = counters.refused.iter();
    let refusals = by(refusals
        .map(|(reason, n)| format!("{n} {reason}"))
        .collect());
    let failures = counters.failed.iter();
    let failures = by(failures.map(|(stage, n)| format!("{n} {stage}")).collect());
    let parts = [
        (counters.launched, "launched", String::new()),
        (counters.answered, "answered", String::new()),
        (refused(counters), "refused", refusals),
        (counters.failed.values().sum(), "failed", failures),
        (counters.aborted, "aborted", String::new()),
        (counters.pending, "pending", String::new()),
    ];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, name, more)| format!("{count} {name}{more}"))
        .collect();
    match parts.is_empty() {
        true => counters.accepted.to_string(),
        false => format!("{}: {}", counters.accepted, parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(state: &str, failure: Value) -> ServiceStatus {
        let mut it = json!({
            "name": "a", "kind": "program", "state": state, "since": 1, "addresses": [],
            "live": 0, "limit": 1, "when_full": "refuse", "queued": null,
            "accepted": 0, "launched": 0, "answered": 0, "refused": {}, "failed": {}, "aborted": 0,
            "pending": 0, "starts": 0, "failed_starts": 0, "datagrams": 0,
        });
        it["last_failure"] = failure;
        serde_json::from_value(it).unwrap()
    }

    #[test]
    fn the_newest_failures_are_told_in_the_order_in_which_they_were() {
        let start = now() - 20;
        let failure = |at: u64| json!({"time": start + at, "text": format!("failure {at}")});
        let order = [3, 11, 1, 7, 9, 2, 10, 4, 8, 6, 5];
        let mut services: Vec<_> = order.map(|at| service("listening", failure(at))).into();
        services.push(service("listening", Value::Null));
        let text = below(&services, None, Screen::of_stdout());
        let told: Vec<&str> = text
            .lines()
            .filter_map(|it| it.split_once(' '))
            .map(|it| it.1)
            .collect();
        let expected = [
            "failure 2",
            "failure 3",
            "failure 4",
            "failure 5",
            "failure 6",
            "failure 7",
            "failure 8",
            "failure 9",
            "failure 10",
            "failure 11",
            "1 more: oxinetd status SERVICE tells",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_full_service_says_what_becomes_of_clients() {
        assert_eq!(state(&service("full", Value::Null), 1), "full (refusing)");
    }
}
