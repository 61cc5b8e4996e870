//! A B C … A B C: who runs is asked in turn, so that all have the same good and bad moments.

use super::Settings;
use super::candidates::{Candidate, Service};
use super::load::Seen;
use super::machine;
use super::report::{Report, grouped};
use super::server::Server;
use super::stats::Spread;

/// What one server did over all rounds.
pub(crate) struct Course {
    pub(crate) name: &'static str,
    /// Served a second, one a round.
    pub(crate) rates: Vec<f64>,
    pub(crate) seen: Seen,
    /// Latencies in seconds, one a round: the middle, and that of 99 of 100.
    pub(crate) p50: Vec<f64>,
    pub(crate) p99: Vec<f64>,
    /// Seconds of the server itself, and of the whole machine.
    cpu: f64,
    busy: f64,
}

/// Starts those that can do it, and says why of the others.
pub(crate) fn start<'a>(
    report: &mut Report,
    candidates: impl IntoIterator<Item = &'a Candidate>,
    services: &[Service],
) -> Vec<Server> {
    let mut servers = Vec::new();
    for candidate in candidates {
        if !report.wants(candidate.name) {
            continue;
        }
        match Server::start(candidate, services) {
            Ok(server) => servers.push(server),
            Err(why) => report.line(format!("Left out: {}: {why}.", candidate.name)),
        }
    }
    report.line("");
    servers
}

/// Each server in each round.
pub(crate) fn run(
    servers: &[&Server],
    settings: Settings,
    visit: impl Fn(&Server) -> Seen,
) -> Vec<Course> {
    let mut courses: Vec<Course> = servers
        .iter()
        .map(|server| Course {
            name: server.name,
            rates: Vec::new(),
            seen: Seen::default(),
            p50: Vec::new(),
            p99: Vec::new(),
            cpu: 0.0,
            busy: 0.0,
        })
        .collect();
    for _ in 0..settings.rounds {
        for (server, course) in servers.iter().zip(&mut courses) {
            let before = (machine::cpu(&server.pids), machine::busy());
            let seen = visit(server);
            course.cpu += machine::cpu(&server.pids) - before.0;
            course.busy += machine::busy() - before.1;
            course.rates.push(seen.rate());
            course.p50.push(seen.latency(50.0));
            course.p99.push(seen.latency(99.0));
            course.seen.add(seen);
        }
    }
    courses
}

impl Course {
    fn each(&self, seconds: f64) -> String {
        let served = self.seen.latencies.len();
        match served {
            0 => "-".into(),
            _ => format!("{:.0}", seconds * 1e6 / served as f64),
        }
    }

    fn errors(&self) -> String {
        let words: Vec<String> = self
            .seen
            .errors
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        words.join(", ")
    }

    pub(crate) fn rate(&self) -> f64 {
        Spread::of(self.rates.iter().copied()).map_or(f64::NAN, |spread| spread.middle)
    }
}

/// A row for each; `ours` is what the ratio of each round is of.
pub(crate) fn print(report: &mut Report, courses: &[Course]) {
    report.head(&[
        "server",
        "served/s",
        "oxinetd is × that",
        "p50 ms",
        "p99 ms",
        "server CPU µs each",
        "all CPU µs each",
        "errors",
    ]);
    let ours = find(courses, "oxinetd");
    for course in courses {
        let ratio = ours.and_then(|ours| Spread::of_ratios(&ours.rates, &course.rates));
        report.row(&[
            course.name.into(),
            grouped(course.rate()),
            ratio.map_or("-".into(), |ratio| ratio.to_string()),
            format!("{:.3}", course.seen.latency(50.0) * 1e3),
            format!("{:.2}", course.seen.latency(99.0) * 1e3),
            course.each(course.cpu),
            course.each(course.busy),
            course.errors(),
        ]);
    }
    report.line("");
}

pub(crate) fn find<'a>(courses: &'a [Course], name: &str) -> Option<&'a Course> {
    courses.iter().find(|course| course.name == name)
}

/// How much faster we were than that one, round by round.
pub(crate) fn ours_to(courses: &[Course], name: &str) -> Option<Spread> {
    let (ours, other) = (find(courses, "oxinetd")?, find(courses, name)?);
    Spread::of_ratios(&ours.rates, &other.rates)
}

/// The fastest of those that are not ours and not bare.
pub(crate) fn best_peer(courses: &[Course]) -> Option<&Course> {
    courses
        .iter()
        .filter(|course| !course.name.starts_with("bare") && !course.name.starts_with("oxinetd"))
        .max_by(|a, b| a.rate().total_cmp(&b.rate()))
}

/// For a plot.
pub(crate) fn bars(courses: &[Course]) -> Vec<(String, f64)> {
    courses
        .iter()
        .map(|course| (course.name.to_owned(), course.rate()))
        .collect()
}
