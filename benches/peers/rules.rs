//! What who-gets-in costs, and what the log costs: oxinetd beside itself.

use super::candidates::{Candidate, OXINETD, Service, Start};
use super::load::{self, Pace, Talk};
use super::report::Report;
use super::rounds;
use super::server::Server;
use super::tiny::Tiny;
use super::{Settings, TOLD};
use std::fmt::Write;
use std::net::Ipv4Addr;

const PORT: u16 = 2001;
const RULES: u32 = 100_000;

pub(crate) fn table(report: &mut Report, settings: Settings) {
    report.title("rules: 100,000 prefixes, and the log; 16 clients");
    report.line(
        "`with rules` denies 100,000 addresses that no client has. The log cannot be left out altogether: \
         `log to nowhere` writes its lines to /dev/null, and the others to a file.",
    );
    let tiny = Tiny::build();
    let words: Vec<&str> = tiny.answers.iter().map(String::as_str).collect();
    let list = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(list.path(), prefixes()).expect("the list");
    let plain = Service::program(PORT, &words);
    let mut ruled = plain.clone();
    ruled.keys = format!(
        "allow = \"127.0.0.0/8\"\ndeny = \"@{}\"",
        list.path().display()
    );
    let nowhere = Candidate {
        name: "log to nowhere",
        start: |job| {
            let start = (OXINETD.start)(job)?;
            let log = Some("/dev/null".into());
            Ok(Start { log, ..start })
        },
    };
    let named = |name, start| Candidate { name, start };
    let candidates = [
        (named("oxinetd", OXINETD.start), plain.clone()),
        (named("with rules", OXINETD.start), ruled),
        (nowhere, plain),
    ];
    let servers: Vec<Server> = candidates
        .iter()
        .map(|(candidate, service)| {
            Server::start(candidate, std::slice::from_ref(service)).expect("ours starts")
        })
        .collect();
    let servers: Vec<&Server> = servers.iter().collect();
    let courses = rounds::run(&servers, settings, |server| {
        let talk = Talk::Told(TOLD);
        load::run(server.at(PORT), 16, settings.seconds, Pace::Closed, talk)
    });
    rounds::print(report, &courses);
    let inverse = |name| {
        let (ours, other) = (&courses[0].rates, rounds::find(&courses, name)?);
        super::stats::Spread::of_ratios(&other.rates, ours)
    };
    report.goal("with rules to without", 0.95, inverse("with rules"));
    report.goal(
        "log to a file to log to nowhere",
        0.95,
        rounds::ours_to(&courses, "log to nowhere"),
    );
}

/// Different addresses without an order, none of them ours.
fn prefixes() -> String {
    let mut text = String::new();
    for number in 0..RULES {
        let address = Ipv4Addr::from(number.wrapping_mul(2_654_435_761));
        if !address.is_loopback() {
            let _ = writeln!(text, "{address}");
        }
    }
    text
}
