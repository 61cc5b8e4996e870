//! Many services, one of them busy: what does each of the others cost?

use super::candidates::{OXINETD, PEERS, Service};
use super::load::{self, Pace, Talk};
use super::machine;
use super::report::{Report, grouped};
use super::rounds;
use super::server::Server;
use super::stats::Spread;
use super::tiny::Tiny;
use super::{Settings, TOLD};

const FIRST: u16 = 10_001;
const MANY: u16 = 10_000;
const COUNTS: [u16; 4] = [1, 100, 1_000, MANY];
const CLIENTS: usize = 16;

pub(crate) fn table(report: &mut Report, settings: Settings) {
    report.title("services: many of them, one busy, 16 clients");
    let tiny = Tiny::build();
    let words: Vec<&str> = tiny.answers.iter().map(String::as_str).collect();
    // Those with a table, and systemd.
    let candidates = || [&OXINETD].into_iter().chain(&PEERS[..5]).chain([&PEERS[8]]);
    // (services, its server, private memory in KiB)
    let mut running: Vec<(u16, Server, u64)> = Vec::new();
    for count in COUNTS {
        let services: Vec<Service> = (0..count)
            .map(|number| Service::program(FIRST + number, &words))
            .collect();
        for server in rounds::start(report, candidates(), &services) {
            let memory = machine::private_dirty(&server.pids);
            running.push((count, server, memory));
        }
    }
    // Whoever listens on more than it can serve answers nobody at its last port.
    let last_port = |server: &Server| {
        let count = running
            .iter()
            .find(|(_, other, _)| other.pids == server.pids);
        FIRST + count.expect("it runs").0 - 1
    };
    let (served, silent): (Vec<_>, Vec<_>) = running.iter().partition(|(_, server, _)| {
        let port = server.at(last_port(server));
        !load::run(port, 1, 0.05, Pace::Closed, Talk::Told(TOLD))
            .latencies
            .is_empty()
    });
    for (count, server, _) in silent {
        let alive = if server.is_alive() {
            ""
        } else {
            "; it has ended"
        };
        report.line(format!(
            "Left out: {} with {count} services: the last is not served{alive}.",
            server.name
        ));
    }
    let servers: Vec<&Server> = served.iter().map(|(_, server, _)| server).collect();
    let courses = rounds::run(&servers, settings, |server| {
        let talk = Talk::Told(TOLD);
        let address = server.at(last_port(server));
        load::run(address, CLIENTS, settings.seconds, Pace::Closed, talk)
    });
    report.line("");
    report.head(&[
        "server",
        "services",
        "served/s",
        "× that with 1",
        "oxinetd is × that",
        "p99 ms",
        "ready ms",
        "private KiB",
        "bytes a service",
    ]);
    let place = |name: &str, count: u16| {
        let mut found = served.iter();
        found.position(|(other, server, _)| server.name == name && *other == count)
    };
    let ratio = |over: Option<usize>, under: Option<usize>| {
        Spread::of_ratios(&courses[over?].rates, &courses[under?].rates)
    };
    let a_service = |name: &str, count: u16| {
        let memory = |count| Some(served[place(name, count)?].2 as f64 * 1024.0);
        (count > 1).then_some((memory(count)? - memory(1)?) / f64::from(count - 1))
    };
    let text = |spread: Option<Spread>| spread.map_or("-".into(), |it| it.to_string());
    for (number, (count, server, memory)) in served.iter().enumerate() {
        report.row(&[
            server.name.into(),
            count.to_string(),
            grouped(courses[number].rate()),
            text(ratio(Some(number), place(server.name, 1))),
            text(ratio(place("oxinetd", *count), Some(number))),
            format!("{:.2}", courses[number].seen.latency(99.0) * 1e3),
            format!("{:.1}", server.ready.as_secs_f64() * 1e3),
            memory.to_string(),
            a_service(server.name, *count).map_or("-".into(), |it| format!("{it:.0}")),
        ]);
    }
    report.line("");
    let ours = place("oxinetd", MANY);
    report.goal(
        "10,000 services to one",
        0.95,
        ratio(ours, place("oxinetd", 1)),
    );
    for candidate in candidates().skip(1) {
        if let Some(other) = place(candidate.name, MANY) {
            let what = format!("10,000 services to {} with as many", candidate.name);
            report.goal(&what, 8.0, ratio(ours, Some(other)));
        }
    }
    let ready = ours.map(|ours| served[ours].1.ready.as_secs_f64() * 1e3);
    report.ceiling("10,000 services ready within (ms)", 300.0, ready);
    report.ceiling(
        "bytes of private memory a service",
        600.0,
        a_service("oxinetd", MANY),
    );
    let lines: Vec<(String, Vec<(f64, f64)>)> = candidates()
        .map(|candidate| {
            let points = served
                .iter()
                .zip(&courses)
                .filter(|((_, server, _), _)| server.name == candidate.name)
                .map(|((count, ..), course)| (f64::from(*count), course.rate()));
            (candidate.name.to_owned(), points.collect())
        })
        .collect();
    report.lines(
        "services",
        "programs started a second, 16 clients",
        "services in the table",
        &lines,
    );
}
