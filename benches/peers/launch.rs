//! A program for each connection.

use super::candidates::{BARE, OXINETD, PEERS, Service};
use super::load::{self, Pace, Talk};
use super::report::Report;
use super::rounds::{self, Course};
use super::stats::Spread;
use super::tiny::Tiny;
use super::{Settings, TOLD};

const PORT: u16 = 2001;

pub(crate) fn table(report: &mut Report, settings: Settings) {
    let tiny = Tiny::build();
    let words: Vec<&str> = tiny.answers.iter().map(String::as_str).collect();
    report.title("launch: a program for each connection");
    report.line(format!(
        "The program is {}. oxinetd with its default limits, an allow list and the log on; peers without \
         their limits, lists and logs.",
        tiny.note
    ));
    let candidates = || [&OXINETD].into_iter().chain(&PEERS).chain(&BARE);
    let servers = rounds::start(report, candidates(), &[Service::program(PORT, &words)]);
    let servers: Vec<_> = servers.iter().collect();
    for clients in [1, 16, 64] {
        let courses = rounds::run(&servers, settings, |server| {
            let talk = Talk::Told(TOLD);
            load::run(
                server.at(PORT),
                clients,
                settings.seconds,
                Pace::Closed,
                talk,
            )
        });
        report.title(&format!("{clients} clients"));
        rounds::print(report, &courses);
        goals(report, clients, &courses);
        report.bars(
            &format!("launch-{clients}"),
            &format!("programs started a second, {clients} clients"),
            &rounds::bars(&courses),
        );
    }
    const ARRIVALS: f64 = 1_000.0;
    let courses = rounds::run(&servers, settings, |server| {
        let talk = Talk::Told(TOLD);
        load::run(
            server.at(PORT),
            64,
            settings.seconds,
            Pace::Open(ARRIVALS),
            talk,
        )
    });
    report.title(&format!(
        "{ARRIVALS} arrivals a second by plan, latency from the planned arrival"
    ));
    rounds::print(report, &courses);
    cat(report, settings);
}

fn goals(report: &mut Report, clients: usize, courses: &[Course]) {
    let best = rounds::best_peer(courses);
    let to_best = best.and_then(|best| rounds::ours_to(courses, best.name));
    let best_name = best.map_or("none", |best| best.name);
    if clients == 1 {
        report.goal(&format!("to the best peer ({best_name})"), 1.0, to_best);
        let p99 = best.zip(rounds::find(courses, "oxinetd"));
        let p99 = p99.and_then(|(best, ours)| Spread::of_ratios(&ours.p99, &best.p99));
        report.ceiling("p99 to that of the best peer", 1.0, p99.map(|it| it.middle));
        return;
    }
    report.goal(
        "to bare vfork",
        1.25,
        rounds::ours_to(courses, "bare vfork"),
    );
    report.goal("to bare share", 0.9, rounds::ours_to(courses, "bare share"));
    report.goal(&format!("to the best peer ({best_name})"), 1.4, to_best);
    report.goal("to xinetd", 3.5, rounds::ours_to(courses, "xinetd"));
}

/// Where the program costs more than the server.
fn cat(report: &mut Report, settings: Settings) {
    const PAYLOAD: usize = 4096;
    report.title(&format!(
        "/bin/cat, {PAYLOAD} bytes there and back, 16 clients"
    ));
    let candidates = || [&OXINETD].into_iter().chain(&PEERS).chain(&BARE);
    let servers = rounds::start(
        report,
        candidates(),
        &[Service::program(PORT, &["/bin/cat"])],
    );
    let servers: Vec<_> = servers.iter().collect();
    let courses = rounds::run(&servers, settings, |server| {
        let talk = Talk::Echo(PAYLOAD);
        load::run(server.at(PORT), 16, settings.seconds, Pace::Closed, talk)
    });
    rounds::print(report, &courses);
}
