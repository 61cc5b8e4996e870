//! The small services that servers speak themselves.

use super::Settings;
use super::candidates::{BARE_EPOLL, Candidate, OXINETD, PEERS, Service};
use super::load::{self, Pace, Seen, Talk};
use super::report::{Report, grouped};
use super::rounds;
use super::server::Server;
use super::stats::Spread;

/// Their own ports: some peers know built-ins only by the names that these have.
const DAYTIME: (u16, &str) = (13, "daytime");
const ECHO: (u16, &str) = (7, "echo");
const DISCARD: (u16, &str) = (9, "discard");

pub(crate) fn table(report: &mut Report, settings: Settings) {
    report.title("builtins: daytime, echo and discard without a program");
    for (what, talk) in [
        (DAYTIME, Talk::Line),
        (ECHO, Talk::Echo(64)),
        (DISCARD, Talk::Silence(64)),
    ] {
        for clients in [1, 16] {
            connections(report, settings, what, talk, clients);
        }
    }
    bulk(report, settings, ECHO, true);
    bulk(report, settings, DISCARD, false);
    datagrams(report, settings);
}

fn all() -> impl Iterator<Item = &'static Candidate> {
    // Those with built-ins: the first five.
    [&OXINETD]
        .into_iter()
        .chain(&PEERS[..5])
        .chain([&BARE_EPOLL])
}

fn connections(
    report: &mut Report,
    settings: Settings,
    (port, name): (u16, &'static str),
    talk: Talk,
    clients: usize,
) {
    report.title(&format!("{name}, {clients} clients"));
    let servers = rounds::start(report, all(), &[Service::builtin(port, name, false)]);
    let servers: Vec<_> = servers.iter().collect();
    let courses = rounds::run(&servers, settings, |server| {
        load::run(
            server.at(port),
            clients,
            settings.seconds,
            Pace::Closed,
            talk,
        )
    });
    rounds::print(report, &courses);
    if name == DAYTIME.1 {
        report.goal(
            "to bare epoll",
            0.9,
            rounds::ours_to(&courses, "bare epoll"),
        );
        let best = rounds::best_peer(&courses).map_or("none", |best| best.name);
        // That is what noise is here.
        report.goal(
            &format!("to the best peer ({best})"),
            0.95,
            rounds::ours_to(&courses, best),
        );
    }
}

/// One connection, as fast as it goes.
fn bulk(
    report: &mut Report,
    settings: Settings,
    (port, name): (u16, &'static str),
    is_echoed: bool,
) {
    report.title(&format!("{name}, one connection, MB/s"));
    let servers = rounds::start(report, all(), &[Service::builtin(port, name, false)]);
    let servers: Vec<_> = servers.iter().collect();
    // A rate of bytes in the place of that of connections.
    let courses = rounds::run(&servers, settings, |server| {
        let mut seen = Seen::default();
        match load::bulk(server.at(port), settings.seconds, is_echoed) {
            Ok(rate) => {
                seen.time = 1e6 / rate;
                seen.latencies.push(f64::NAN);
            }
            Err(kind) => drop(seen.errors.insert(kind, 1)),
        }
        seen
    });
    report.head(&["server", "MB/s", "oxinetd is × that", "errors"]);
    for course in &courses {
        let ratio = rounds::ours_to(&courses, course.name);
        report.row(&[
            course.name.into(),
            grouped(course.rate()),
            ratio.map_or("-".into(), |it| it.to_string()),
            format!("{:?}", course.seen.errors).replace(['{', '}'], ""),
        ]);
    }
    report.line("");
    report.goal(
        "to bare epoll",
        0.95,
        rounds::ours_to(&courses, "bare epoll"),
    );
    report.bars(
        &format!("{name}-bulk"),
        &format!("{name}, MB/s"),
        &rounds::bars(&courses),
    );
}

fn datagrams(report: &mut Report, settings: Settings) {
    report.title("echo over UDP, datagrams a second");
    report.line(
        "One client. oxinetd's limit on the datagrams of one source is lifted, as the peers have none. \
         A peer that answers nothing is said not to.",
    );
    let (port, name) = ECHO;
    let mut service = Service::builtin(port, name, true);
    service.keys = "rate_per_source = \"1000000/s\"".into();
    let peers = [&OXINETD].into_iter().chain(&PEERS[..5]);
    let servers: Vec<Server> = rounds::start(report, peers, &[service]);
    report.head(&["server", "1 on its way", "16 on their way", "lost"]);
    for server in &servers {
        let (mut cells, mut lost) = (vec![server.name.to_owned()], 0);
        for window in [1, 16] {
            let mut rates = Vec::new();
            for _ in 0..settings.rounds.min(3) {
                let (rate, missed) = load::datagrams(server.at(port), settings.seconds, window);
                rates.push(rate);
                lost += missed;
            }
            cells.push(Spread::of(rates).map_or("-".into(), |it| grouped(it.middle)));
        }
        cells.push(lost.to_string());
        report.row(&cells);
    }
}
