//! A guard against growing slower: what one connection costs is counted, not timed, and has a limit.
//!
//! The limits are a little above what was counted when they were set. Who makes the server do more for a
//! connection, and means to, raises them with a reason.

use crate::admission::instructions::Instructions;
use crate::harness::*;
use std::collections::BTreeMap;

/// Connections, one after the other.
const CONNECTIONS: usize = 20;

/// A server with rules and the log on, as it is measured in benches/.
fn guarded() -> Server {
    let keys = "allow = [\"127.0.0.0/8\", \"192.0.2.0/24\"]";
    let server = server()
        .service("program", &format!("command = [\"/bin/true\"]\n{keys}"))
        .service("daytime", &format!("builtin = \"daytime\"\n{keys}"))
        .service("echo", &format!("builtin = \"echo\"\n{keys}"))
        .start();
    // What is done once is done.
    for service in ["program", "daytime", "echo"] {
        visit(&server, service);
    }
    server
}

/// One client, until the log says that it has gone.
fn visit(server: &Server, service: &str) {
    let is_end = |line: &Line| line.is("end", service);
    let ended = server.log().count(is_end);
    let client = server.connect(service);
    if service == "echo" {
        client.send("hi").half_close();
    }
    client.read_all();
    server.log().wait_for_many(ended + 1, is_end);
}

fn worker(server: &Server) -> u32 {
    let started = server
        .log()
        .wait_for(|line| line.event() == "worker-started");
    started.number("pid") as u32
}

/// What strace says of system calls; debug builds of Rust's library look at what they close.
fn is_call(what: &str) -> bool {
    what.contains('(') && !what.starts_with("<...") && !what.contains("F_GETFD")
}

/// System calls of a process for a connection of a service. Its children are not traced, and as quick
/// as ever: who lives for long takes more. So does who is kept waiting by a busy machine, which is why
/// the quieter connections count, and the best of some tries.
fn fewest_calls(server: &Server, pid: u32, service: &str, limit: f64) -> f64 {
    const TRIES: usize = 10;
    let mut fewest = f64::MAX;
    for _ in 0..TRIES {
        let strace = Strace::attach(pid, &["-e", "signal=none"]);
        (0..CONNECTIONS).for_each(|_| visit(server, service));
        let mut each: Vec<usize> = Vec::new();
        for line in strace.detach().iter().filter(|line| is_call(line)) {
            if line.starts_with("accept4(") && !line.contains(" = -1 ") {
                each.push(0);
            }
            if let Some(count) = each.last_mut() {
                *count += 1;
            }
        }
        each.sort_unstable();
        fewest = fewest.min(each[CONNECTIONS / 4] as f64);
        if fewest <= limit {
            break;
        }
    }
    fewest
}

/// System calls of each child that a process makes for a connection, up to its program.
fn calls_of_children(server: &Server, pid: u32, service: &str) -> f64 {
    let strace = Strace::attach(pid, &["-f", "-e", "signal=none"]);
    (0..CONNECTIONS).for_each(|_| visit(server, service));
    let lines = strace.detach();
    let mut count = 0;
    let mut runs_program: BTreeMap<&str, bool> = BTreeMap::new();
    for line in &lines {
        let (who, what) = line.split_once(' ').expect("a pid");
        let what = what.trim_start();
        if is_call(what) && who != pid.to_string() {
            let is_over = runs_program.entry(who).or_default();
            count += usize::from(!*is_over);
            *is_over |= what.starts_with("execve(");
        }
    }
    count as f64 / CONNECTIONS as f64
}

/// The fewest instructions of a process in user mode for a connection: some more are needed when it
/// is slower than its children.
fn instructions(server: &Server, pid: u32, service: &str) -> f64 {
    let counted = Instructions::of(pid).expect("ptrace");
    let of_one = || {
        let before = counted.count();
        visit(server, service);
        // The log comes before the last instruction.
        until("it sleeps", || status(pid, "State").starts_with('S'));
        counted.count() - before
    };
    let fewest = (0..CONNECTIONS).map(|_| of_one()).min();
    fewest.expect("some connections") as f64
}

#[track_caller]
fn check(what: &str, found: f64, most: f64) {
    println!("{what}: {found}, at most {most}");
    assert!(found <= most, "{what}: {found}, and {most} is the limit");
}

#[test]
fn a_connection_takes_no_more_system_calls_than_it_did() {
    if without_strace() {
        return;
    }
    if std::env::var_os("OXINETD_SPAWN").is_some() {
        return skip("counts the system calls of the usual way to launch");
    }
    let server = guarded();
    let own = fewest_calls(&server, server.pid(), "program", 16.0);
    check("calls of the supervisor for a program", own, 16.0);
    let of_child = calls_of_children(&server, server.pid(), "program");
    check("calls of the child up to its program", of_child, 21.0);
    let own = fewest_calls(&server, worker(&server), "daytime", 9.0);
    check("calls of the worker for daytime", own, 9.0);
    let own = fewest_calls(&server, worker(&server), "echo", 14.0);
    check("calls of the worker for echo", own, 14.0);
    server.stop();
}

#[test]
fn a_connection_takes_no_more_instructions_than_it_did() {
    if without_root("counts the instructions of a process that forbids it to others") {
        return;
    }
    if cfg!(debug_assertions) {
        return skip("needs an optimised build: another has several times the instructions");
    }
    let server = guarded();
    let found = instructions(&server, server.pid(), "program");
    check(
        "instructions of the supervisor for a program",
        found,
        40_000.0,
    );
    let found = instructions(&server, worker(&server), "daytime");
    check("instructions of the worker for daytime", found, 17_000.0);
    server.stop();
}
