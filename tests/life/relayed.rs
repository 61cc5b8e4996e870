//! Sessions that the worker passes on, whose client takes nothing: they end like others.

use crate::harness::*;
use nix::sys::signal::Signal;
use serde_json::Value;

const ENDLESS: &str = "command = [\"/bin/cat\", \"/dev/zero\"]";

const MODES: [(&str, &str); 3] = [
    ("pipe", "stdio = \"pipe\""),
    ("raw", "pty = { raw = true, echo = false }"),
    ("terminal", "pty = { echo = false }"),
];

/// A service of each mode with one place, and a client of each that reads nothing.
fn crowd(body: &str) -> (Server, Vec<Client>) {
    let builder = MODES.iter().fold(server(), |builder, (name, stdio)| {
        builder.service(name, &format!("{stdio}\nmax_connections = 1\n{body}"))
    });
    let server = builder.start();
    let clients = MODES.iter().map(|(name, _)| server.connect(name));
    let clients = clients.collect();
    (server, clients)
}

/// How often a process that sleeps has been given a processor; `None` of one that does not sleep.
fn turns_of_sleeper(pid: u32) -> Option<u64> {
    let count = |key| status(pid, key).parse::<u64>().expect("a number");
    let turns = count("voluntary_ctxt_switches") + count("nonvoluntary_ctxt_switches");
    status(pid, "State").starts_with('S').then_some(turns)
}

/// Ends the programs when nobody has room any more for what they say.
fn end_programs(server: &Server) {
    let started = MODES.map(|(name, _)| server.wait_start(name));
    let pids = started.map(|line| line.number("pid") as u32);
    let worker = server
        .log()
        .wait_for(|line| line.event() == "worker-started");
    let worker = worker.number("pid") as u32;
    let mut ran: Option<Vec<u64>> = None;
    // Who waits for a processor has something to move.
    until("nothing moves", || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let all = pids.iter().chain([&worker]);
        let before = std::mem::replace(&mut ran, all.map(|pid| turns_of_sleeper(*pid)).collect());
        ran.is_some() && ran == before
    });
    pids.into_iter()
        .for_each(|pid| signal(pid, Signal::SIGKILL));
}

/// Waits for the end of each, for this reason, and lets a second client in.
fn check_ends(server: Server, clients: Vec<Client>, reason: &str, status: &str) {
    for (name, _) in MODES {
        let end = server.wait_end(name);
        assert_eq!(end.field("reason"), Some(reason), "{name}");
        assert_eq!(end.field("status"), Some(status), "{name}");
        let next = server.connect(name);
        next.read_exactly(1);
        next.reset();
        server.wait_ends(name, 2);
    }
    drop(clients);
    server.stop();
}

#[test]
fn one_whose_program_is_ended_by_a_limit_is_over() {
    let (server, clients) = crowd(&format!("max_lifetime = \"1s\"\ngrace = \"1s\"\n{ENDLESS}"));
    check_ends(server, clients, "max-lifetime", "signal:TERM");
}

#[test]
fn one_whose_program_has_ended_reaches_its_limits_all_the_same() {
    for (limit, reason) in [
        ("max_lifetime = \"5s\"", "max-lifetime"),
        ("idle_timeout = \"5s\"", "idle-timeout"),
    ] {
        let (server, clients) = crowd(&format!("{limit}\n{ENDLESS}"));
        end_programs(&server);
        check_ends(server, clients, reason, "signal:KILL");
    }
}

#[test]
fn one_whose_program_has_ended_is_listed_and_can_be_killed() {
    let (server, clients) = crowd(ENDLESS);
    end_programs(&server);
    for (name, _) in MODES {
        let list = || -> Value {
            let asked = format!("{{\"do\":\"list\",\"service\":\"{name}\"}}");
            server.ask(&asked)[0].clone()
        };
        until("its program has ended", || list()["pid"].is_null());
        let listed = list();
        assert_eq!(listed["service"], name);
        let kill =
            serde_json::json!({"do": "kill", "target": {"id": listed["id"]}, "signal": "TERM"});
        let told = format!(
            "closed 1 session with id {}",
            listed["id"].as_str().unwrap()
        );
        assert_eq!(server.ask(&kill.to_string())[0]["did"], told);
    }
    check_ends(server, clients, "killed", "signal:KILL");
}
