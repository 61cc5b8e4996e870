//! `oxinetd metrics`: the counters as OpenMetrics text, rendered here from what `status` tells.
//!
//! Each metric stands once, with a sample for each service (and reason, stage or state) below it, as
//! the format (OpenMetrics 1.0) wants it. Names and units are part of what users rely on.

use super::client::{Failure, Server, conclude};
use super::output::put;
use crate::control::{Request, ServerStatus, ServiceStatus, Sizes, State};
use crate::table::Refusal;
use clap::Args;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Write the counters of the running server as OpenMetrics text, for Prometheus and its like.
///
/// For example, for the text-file collector of node_exporter:
/// oxinetd metrics > /var/lib/node_exporter/oxinetd.prom
#[derive(Debug, Args)]
pub(super) struct Metrics {
    #[command(flatten)]
    server: Server,
}

impl Metrics {
    pub(super) fn run(self) -> ExitCode {
        conclude(self.show())
    }

    fn show(self) -> Result<ExitCode, Failure> {
        let request = Request::Status {
            service: None,
            times: true,
        };
        let (services, mut done) = self.server.call()?.all(&request)?;
        let server = serde_json::from_value(done["server"].take()).ok();
        let text = render(&services, server.as_ref());
        put(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What kind of metric it is, as the format names it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Counter,
    Gauge,
    Histogram,
}

struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: Type, help: &str) {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if name.ends_with("_seconds") {
            let _ = writeln!(self.text, "# UNIT {name} seconds");
        }
        let _ = writeln!(self.text, "# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text += name;
        for (place, (label, text)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    /// A metric with one sample for each service.
    fn each(
        &mut self,
        services: &[ServiceStatus],
        (name, kind, help): (&str, Type, &str),
        value: impl Fn(&ServiceStatus) -> Option<u64>,
    ) {
        self.family(name, kind, help);
        let sample = sample_name(name, kind);
        for it in services {
            if let Some(value) = value(it) {
                self.sample(&sample, &[("service", &it.name)], value);
            }
        }
    }

    fn histogram(&mut self, name: &str, help: &str, each: &[(&str, &Sizes)]) {
        self.family(name, Type::Histogram, help);
        for (service, sizes) in each {
            let bounds = sizes.bounds.iter().map(|micros| seconds(*micros));
            let bounds = bounds.chain(["+Inf".to_owned()]);
            let mut sum = 0;
            for (bound, count) in bounds.zip(&sizes.counts) {
                sum += count;
                let labels = [("service", *service), ("le", bound.as_str())];
                self.sample(&format!("{name}_bucket"), &labels, sum);
            }
            let labels = [("service", *service)];
            self.sample(&format!("{name}_count"), &labels, sum);
            self.sample(&format!("{name}_sum"), &labels, seconds(sizes.sum));
        }
    }
}

fn sample_name(name: &str, kind: Type) -> String {
    match kind {
        Type::Counter => format!("{name}_total"),
        Type::Gauge | Type::Histogram => name.to_owned(),
    }
}

/// Microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let text = text.trim_end_matches('0');
    match text.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => text.to_owned(),
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

fn render(services: &[ServiceStatus], server: Option<&ServerStatus>) -> String {
    let mut page = Page {
        text: String::new(),
    };
    counters(&mut page, services);
    by_reason(&mut page, services);
    gauges(&mut page, services);
    times(&mut page, services);
    if let Some(server) = server {
        of_server(&mut page, server);
    }
    page.text + "# EOF\n"
}

fn counters(page: &mut Page, services: &[ServiceStatus]) {
    type Of = fn(&ServiceStatus) -> u64;
    let all: [(&str, &str, Of); 8] = [
        (
            "oxinetd_accepted",
            "Connections that were accepted.",
            |it| it.counters.accepted,
        ),
        (
            "oxinetd_launched",
            "Connections for which a program was executed.",
            |it| it.counters.launched,
        ),
        (
            "oxinetd_answered",
            "Connections that a built-in service took.",
            |it| it.counters.answered,
        ),
        (
            "oxinetd_aborted",
            "Connections that were gone before they could be served.",
            |it| it.counters.aborted,
        ),
        (
            "oxinetd_starts",
            "Starts of programs that wait on the socket itself.",
            |it| it.counters.starts,
        ),
        (
            "oxinetd_failed_starts",
            "Starts of such programs that failed.",
            |it| it.counters.failed_starts,
        ),
        (
            "oxinetd_datagrams",
            "Datagrams that reached a built-in service.",
            |it| it.counters.datagrams,
        ),
        ("oxinetd_ended", "Sessions that have ended.", |it| {
            it.times
                .as_ref()
                .map_or(0, |it| it.sessions.counts.iter().sum())
        }),
    ];
    for (name, help, of) in all {
        page.each(services, (name, Type::Counter, help), |it| Some(of(it)));
    }
}

fn by_reason(page: &mut Page, services: &[ServiceStatus]) {
    let help = "Connections that were accepted and refused, by reason.";
    page.family("oxinetd_refused", Type::Counter, help);
    for it in services {
        // All of them, so that a rate is known from the first on.
        for reason in Refusal::ALL {
            let count = it.counters.refused.get(&reason).copied().unwrap_or(0);
            let labels = [("service", it.name.as_str()), ("reason", reason.name())];
            page.sample("oxinetd_refused_total", &labels, count);
        }
    }
    let help = "Datagrams that were not answered by decision, by reason.";
    page.family("oxinetd_datagrams_left_out", Type::Counter, help);
    for it in services {
        for (reason, count) in &it.counters.datagrams_left_out {
            let labels = [("service", it.name.as_str()), ("reason", reason.as_str())];
            page.sample("oxinetd_datagrams_left_out_total", &labels, *count);
        }
    }
    let help = "Connections whose program could not be started, by step.";
    page.family("oxinetd_failed", Type::Counter, help);
    for it in services {
        for (stage, count) in &it.counters.failed {
            let labels = [("service", it.name.as_str()), ("stage", stage.as_str())];
            page.sample("oxinetd_failed_total", &labels, count);
        }
    }
}

fn gauges(page: &mut Page, services: &[ServiceStatus]) {
    type Of = fn(&ServiceStatus) -> Option<u64>;
    let all: [(&str, &str, Of); 5] = [
        ("oxinetd_live", "Live sessions.", |it| Some(it.live)),
        ("oxinetd_limit", "Sessions that may live at once.", |it| {
            Some(it.limit.into())
        }),
        (
            "oxinetd_queued",
            "Connections in the queue of the kernel.",
            |it| it.queued,
        ),
        (
            "oxinetd_pending",
            "Connections between accept and exec.",
            |it| Some(it.counters.pending),
        ),
        ("oxinetd_not_bound", "Addresses that are not bound.", |it| {
            Some(it.not_bound.len() as u64)
        }),
    ];
    for (name, help, of) in all {
        page.each(services, (name, Type::Gauge, help), of);
    }
    let help = "What the service is doing: 1 for its state, 0 for the others.";
    page.family("oxinetd_state", Type::Gauge, help);
    for it in services {
        for (state, name) in STATES {
            let labels = [("service", it.name.as_str()), ("state", name)];
            page.sample("oxinetd_state", &labels, u8::from(it.state == state));
        }
    }
}

/// As in `status --json`.
const STATES: [(State, &str); 8] = [
    (State::Listening, "listening"),
    (State::Full, "full"),
    (State::Paused, "paused"),
    (State::BackingOff, "backing_off"),
    (State::NotBound, "not_bound"),
    (State::Disabled, "disabled"),
    (State::Unavailable, "unavailable"),
    (State::Removed, "removed"),
];

fn times(page: &mut Page, services: &[ServiceStatus]) {
    let known = services
        .iter()
        .filter_map(|it| Some((it, it.times.as_ref()?)));
    let known: Vec<_> = known.map(|(it, times)| (it.name.as_str(), times)).collect();
    let launches: Vec<_> = known
        .iter()
        .map(|(name, it)| (*name, &it.launches))
        .collect();
    let sessions: Vec<_> = known
        .iter()
        .map(|(name, it)| (*name, &it.sessions))
        .collect();
    page.histogram(
        "oxinetd_launch_seconds",
        "From accept to the exec of the program.",
        &launches,
    );
    page.histogram(
        "oxinetd_session_seconds",
        "From accept to the end of the session.",
        &sessions,
    );
}

fn of_server(page: &mut Page, server: &ServerStatus) {
    let gauges = [
        ("oxinetd_programs", "Live programs.", server.live),
        (
            "oxinetd_programs_limit",
            "Programs that may live at once.",
            server.limit.into(),
        ),
        (
            "oxinetd_worker_connections",
            "Connections of the worker.",
            server.worker_live,
        ),
        (
            "oxinetd_worker_connections_limit",
            "Connections that the worker may have.",
            server.worker_limit.into(),
        ),
        (
            "oxinetd_worker_up",
            "Whether a worker runs.",
            server.worker.is_some().into(),
        ),
        (
            "oxinetd_short_of_resources",
            "Whether descriptors, processes, memory or terminals are short.",
            server.short_since.is_some().into(),
        ),
        (
            "oxinetd_start_time_seconds",
            "When the server began, since 1970.",
            server.since,
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, Type::Gauge, help);
        page.sample(name, &[], value);
    }
    let counters = [
        (
            "oxinetd_worker_deaths",
            "Workers that have died.",
            server.worker_deaths,
        ),
        (
            "oxinetd_callers",
            "Callers of the control socket.",
            server.callers,
        ),
        (
            "oxinetd_callers_refused",
            "Callers that may not use the control socket.",
            server.callers_refused,
        ),
    ];
    for (name, help, value) in counters {
        page.family(name, Type::Counter, help);
        page.sample(&sample_name(name, Type::Counter), &[], value);
    }
    page.family(
        "oxinetd_version",
        Type::Gauge,
        "The version that runs: always 1.",
    );
    page.sample("oxinetd_version", &[("version", &server.version)], 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(name: &str) -> ServiceStatus {
        serde_json::from_value(json!({
            "name": name, "kind": "program", "state": "full", "since": 1, "addresses": [],
            "live": 2, "limit": 3, "queued": null, "last_failure": null,
            "accepted": 4, "launched": 2, "answered": 0, "refused": {"denied": 1},
            "failed": {"exec": 1}, "aborted": 0, "pending": 0, "starts": 0, "failed_starts": 0,
            "datagrams": 0,
            "times": {
                "launches": {"bounds": [100, 1_000_000], "counts": [1, 1, 0], "sum": 1_500_000},
                "sessions": {"bounds": [1000], "counts": [0, 1], "sum": 90_000_001},
            },
        }))
        .unwrap()
    }

    #[test]
    fn each_sample_has_its_service_and_what_it_is_by() {
        let text = render(&[service("a\"\\b")], None);
        for line in [
            r#"oxinetd_accepted_total{service="a\"\\b"} 4"#,
            r#"oxinetd_refused_total{service="a\"\\b",reason="denied"} 1"#,
            r#"oxinetd_refused_total{service="a\"\\b",reason="full"} 0"#,
            r#"oxinetd_failed_total{service="a\"\\b",stage="exec"} 1"#,
            r#"oxinetd_live{service="a\"\\b"} 2"#,
            r#"oxinetd_state{service="a\"\\b",state="full"} 1"#,
            r#"oxinetd_state{service="a\"\\b",state="listening"} 0"#,
            r#"oxinetd_launch_seconds_bucket{service="a\"\\b",le="0.0001"} 1"#,
            r#"oxinetd_launch_seconds_bucket{service="a\"\\b",le="1.0"} 2"#,
            r#"oxinetd_launch_seconds_bucket{service="a\"\\b",le="+Inf"} 2"#,
            r#"oxinetd_launch_seconds_count{service="a\"\\b"} 2"#,
            r#"oxinetd_launch_seconds_sum{service="a\"\\b"} 1.5"#,
            r#"oxinetd_session_seconds_sum{service="a\"\\b"} 90.000001"#,
            "# TYPE oxinetd_accepted counter",
            "# UNIT oxinetd_launch_seconds seconds",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(
            !text.contains("oxinetd_queued{"),
            "what is unknown is left out"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    /// The format forbids samples of one metric with others between them.
    #[test]
    fn each_metric_stands_once() {
        let text = render(&[service("a"), service("b")], None);
        let types: Vec<&str> = text
            .lines()
            .filter(|it| it.starts_with("# TYPE "))
            .collect();
        let mut once = types.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!((types.len(), types.len()), (once.len(), 19));
    }
}
