//! Ten thousand services whose table is read again while clients come by plan.

use super::candidates::{OXINETD, PEERS, Service};
use super::load::{self, Pace, Seen, Talk};
use super::report::Report;
use super::rounds;
use super::stats::Spread;
use super::tiny::Tiny;
use super::{Settings, TOLD};
use std::time::Duration;

const FIRST: u16 = 10_001;
const SERVICES: u16 = 10_000;
const ARRIVALS: f64 = 300.0;
const SECONDS: f64 = 2.0;

pub(crate) fn table(report: &mut Report, settings: Settings) {
    report
        .title("reload: 10,000 services, 300 arrivals a second by plan, with and without a reload");
    let tiny = Tiny::build();
    let words: Vec<&str> = tiny.answers.iter().map(String::as_str).collect();
    let services: Vec<Service> = (0..SERVICES)
        .map(|number| Service::program(FIRST + number, &words))
        .collect();
    let candidates = [&OXINETD, &PEERS[0], &PEERS[1]];
    let servers = rounds::start(report, candidates, &services);
    report.head(&[
        "server",
        "p99 ms without",
        "p99 ms with",
        "ratio of p99",
        "longest ms without",
        "longest ms with",
        "errors with",
    ]);
    let mut goal = None;
    for server in &servers {
        let (mut calm, mut stirred) = (Vec::new(), Vec::new());
        let (mut all_calm, mut all_stirred) = (Seen::default(), Seen::default());
        for _ in 0..settings.rounds.min(7) {
            for is_reloaded in [false, true] {
                let seen = std::thread::scope(|scope| {
                    if is_reloaded {
                        scope.spawn(|| {
                            std::thread::sleep(Duration::from_secs_f64(SECONDS / 8.0));
                            server.reload();
                        });
                    }
                    let (address, talk) = (server.at(FIRST + SERVICES - 1), Talk::Told(TOLD));
                    load::run(address, 16, SECONDS, Pace::Open(ARRIVALS), talk)
                });
                let (p99s, all) = match is_reloaded {
                    false => (&mut calm, &mut all_calm),
                    true => (&mut stirred, &mut all_stirred),
                };
                p99s.push(seen.latency(99.0));
                all.add(seen);
            }
        }
        let ratio = Spread::of_ratios(&stirred, &calm);
        let middle = |values: &[f64]| {
            let spread = Spread::of(values.iter().map(|it| it * 1e3));
            spread.map_or("-".into(), |it| it.to_string())
        };
        report.row(&[
            server.name.into(),
            middle(&calm),
            middle(&stirred),
            ratio.map_or("-".into(), |it| it.to_string()),
            format!("{:.1}", all_calm.latency(100.0) * 1e3),
            format!("{:.1}", all_stirred.latency(100.0) * 1e3),
            format!("{:?}", all_stirred.errors).replace(['{', '}'], ""),
        ]);
        if server.name == OXINETD.name {
            goal = ratio;
        }
    }
    report.line("");
    report.ceiling(
        "p99 with a reload to that without",
        1.2,
        goal.map(|it| it.middle),
    );
}
