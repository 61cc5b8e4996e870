//! What a server costs that nobody asks for anything.

use super::Settings;
use super::candidates::{OXINETD, PEERS, Service};
use super::machine;
use super::report::Report;
use super::rounds;
use std::time::Duration;

pub(crate) fn table(report: &mut Report, _: Settings) {
    const TIME: u64 = 10;
    report.title("idle: ten seconds without a client");
    report.line("Private memory is what a process alone has and has written to, over server and helpers, after sync.");
    let program = Service::program(2001, &["/bin/cat"]);
    let with_builtin = [program.clone(), Service::builtin(13, "daytime", false)];
    let mut found = Vec::new();
    for (what, services) in [
        ("one program", &[program][..]),
        ("one program, one built-in", &with_builtin[..]),
    ] {
        let candidates = [&OXINETD].into_iter().chain(&PEERS);
        for server in rounds::start(report, candidates, services) {
            found.push((what, server));
        }
    }
    // Whatever belongs to the clients that found out whether all listen is over: oxinetd counts ten
    // seconds of log lines after the last of them, and is woken once at their end.
    std::thread::sleep(Duration::from_secs(12));
    let before: Vec<u64> = found
        .iter()
        .map(|(_, server)| machine::switches(&server.pids))
        .collect();
    std::thread::sleep(Duration::from_secs(TIME));
    report.head(&[
        "server",
        "services",
        "processes",
        "private KiB",
        "context switches in 10 s",
    ]);
    let mut ours = Vec::new();
    let mut rivals = Vec::new();
    for ((what, server), before) in found.iter().zip(before) {
        let switches = machine::switches(&server.pids) - before;
        let memory = machine::private_dirty(&server.pids);
        report.row(&[
            server.name.into(),
            (*what).into(),
            server.pids.len().to_string(),
            memory.to_string(),
            switches.to_string(),
        ]);
        match server.name {
            "oxinetd" => ours.push((what, memory, switches)),
            "xinetd" | "openbsd-inetd" => rivals.push((what, memory)),
            _ => {}
        }
    }
    report.line("");
    for (what, memory, switches) in ours {
        let lowest = rivals
            .iter()
            .filter(|(other, _)| *other == what)
            .map(|it| it.1)
            .min();
        if let Some(lowest) = lowest {
            let goal = format!("{what}: private KiB, the lower of xinetd and openbsd-inetd");
            report.ceiling(&goal, lowest as f64, Some(memory as f64));
        }
        report.ceiling(
            &format!("{what}: context switches"),
            0.0,
            Some(switches as f64),
        );
    }
}
