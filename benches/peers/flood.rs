//! One service is flooded; how long do the few clients of another wait?

use super::candidates::{OXINETD, PEERS, Service};
use super::load::{self, Flood, Pace, Talk};
use super::report::{Report, grouped};
use super::rounds;
use super::stats::Spread;
use super::tiny::Tiny;
use super::{Settings, TOLD};

const QUIET: u16 = 2001;
const FLOODED: u16 = 2002;
const ARRIVALS: f64 = 50.0;
const SECONDS: f64 = 2.0;
const THREADS: usize = 32;

pub(crate) fn table(report: &mut Report, settings: Settings) {
    report
        .title("flood: 32 clients without a pause at one service, 50 a second by plan at another");
    let tiny = Tiny::build();
    let words: Vec<&str> = tiny.answers.iter().map(String::as_str).collect();
    let services = [
        Service::program(QUIET, &words),
        Service::program(FLOODED, &words),
    ];
    let candidates = [&OXINETD].into_iter().chain(&PEERS[..5]);
    let servers = rounds::start(report, candidates, &services);
    report.head(&[
        "server",
        "p99 ms alone",
        "p99 ms beside the flood",
        "ratio",
        "flood served/s",
        "errors",
    ]);
    for server in &servers {
        let (mut alone, mut beside, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        let mut errors = Vec::new();
        for _ in 0..settings.rounds.min(3) {
            let ask = || {
                let (address, talk) = (server.at(QUIET), Talk::Told(TOLD));
                load::run(address, 8, SECONDS, Pace::Open(ARRIVALS), talk)
            };
            alone.push(ask().latency(99.0) * 1e3);
            let flood = Flood::start(server.at(FLOODED), THREADS);
            let seen = ask();
            beside.push(seen.latency(99.0) * 1e3);
            rates.push(flood.stop() as f64 / seen.time);
            errors.extend(
                seen.errors
                    .into_iter()
                    .map(|(kind, count)| format!("{count} {kind}")),
            );
        }
        let ratio = Spread::of_ratios(&beside, &alone);
        let text = |values: Vec<f64>| Spread::of(values).map_or("-".into(), |it| it.to_string());
        report.row(&[
            server.name.into(),
            text(alone),
            text(beside),
            ratio.map_or("-".into(), |it| it.to_string()),
            Spread::of(rates).map_or("-".into(), |it| grouped(it.middle)),
            errors.join(", "),
        ]);
    }
}
