//! What admission costs a connection: system calls and instructions, counted, not timed.

use super::instructions::Instructions;
use super::{BOTH, check_leave, check_served};
use crate::harness::*;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Connections, one after the other, whose system calls are counted.
const CONNECTIONS: usize = 10;

/// How often these are called depends on who is faster: they wait, reap, and tell.
const BY_TIME: [&str; 6] = [
    "clock_gettime",
    "epoll_wait",
    "read",
    "sendmsg",
    "wait4",
    "write",
];

/// Every key, with lists as long as they get. Nobody of 127.0.0.0/8 is refused.
const ALL_KEYS: &str = "allow = \"127.0.0.0/8\"
deny = \"@{dir}/list\"
exempt = \"@{dir}/list\"
max_per_source = 100
source_prefix = { v4 = 24 }
rate = \"10000/s\"
rate_per_source = \"1000/s\"
hours = \"mon-sun 00:00-24:00\"
refusal = \"no, %a\"";

const DENIED: &str = "allow = \"192.0.2.1\"";
const TOLD: &str = "allow = \"192.0.2.1\"\nrefusal = \"no, %a\"";

/// A service for each of these sets of keys and each who admits: `program-0`, `worker-0`, …
fn with_keys(sets: &[&str]) -> Server {
    let mut builder = server();
    // On both sides of 127.0.0.0/8, in no order.
    let addresses = (0..100_000_u32).map(|n| Ipv4Addr::from(n.wrapping_mul(2_654_435_761)));
    let others = addresses.filter(|address| !address.is_loopback());
    let list: String = others.map(|address| format!("{address}\n")).collect();
    builder.directory().file("list", list);
    for (name, action) in BOTH {
        builder = builder.service(name, action);
        for (number, keys) in sets.iter().enumerate() {
            builder = builder.service(&format!("{name}-{number}"), &format!("{action}\n{keys}"));
        }
    }
    let server = builder.start();
    // What belongs to the start is over when something else has been done.
    BOTH.iter().for_each(|(name, _)| visit(&server, name, true));
    server
}

/// Who admits the clients of this service.
fn admitting(server: &Server, service: &str) -> u32 {
    match service.starts_with("program") {
        true => server.pid(),
        false => {
            let worker = |line: &Line| line.event() == "worker-started";
            server.log().wait_for(worker).number("pid") as u32
        }
    }
}

/// One client comes, is served or refused, and goes. If it was served the log has said so; of
/// refusals that says a few only.
#[track_caller]
fn visit(server: &Server, service: &str, is_served: bool) {
    let mark = server.log().mark();
    let client = server.connect(service);
    if is_served {
        check_served(&client);
        check_leave(client);
        server
            .log()
            .wait_after(mark, |line| line.is("end", service));
    } else {
        client.read_text();
    }
}

/// Each connection takes exactly these system calls. Several tries: a program that lives for long,
/// because the machine is busy, takes some more. Of each call the fewest count, so that not all of a
/// try need be undisturbed.
#[track_caller]
fn check_calls(server: &Server, service: &str, is_served: bool, expected: &[(&str, usize)]) {
    const TRIES: usize = 10;
    let of_all = |(name, count): &(&str, usize)| ((*name).to_string(), count * CONNECTIONS);
    let expected: BTreeMap<_, _> = expected.iter().map(of_all).collect();
    let mut fewest = calls(server, service, is_served);
    let mut found = fewest.clone();
    for _ in 1..TRIES {
        if found == expected || fewest == expected {
            return;
        }
        found = calls(server, service, is_served);
        fewest.retain(|name, _| found.contains_key(name));
        for (name, count) in &mut fewest {
            *count = (*count).min(found[name]);
        }
    }
    assert!(
        found == expected || fewest == expected,
        "{service}: {found:?}, at least {fewest:?}, expected {expected:?}"
    );
}

/// The system calls that so many connections take.
#[track_caller]
fn calls(server: &Server, service: &str, is_served: bool) -> BTreeMap<String, usize> {
    let pid = admitting(server, service);
    let sockets = || {
        open_descriptors(pid)
            .into_iter()
            .filter(|it| it.starts_with("socket:"))
    };
    let before: Vec<String> = sockets().collect();
    let strace = Strace::attach(pid, &["-e", "signal=none"]);
    (0..CONNECTIONS).for_each(|_| visit(server, service, is_served));
    until("they have left", || {
        sockets().all(|it| before.contains(&it))
    });
    let mut found = BTreeMap::new();
    for line in strace.detach() {
        // Whether somebody else waits; and debug builds of Rust's library look at what they close.
        let is_other = line.contains("EAGAIN") || line.contains("F_GETFD");
        if let Some((name, _)) = line.split_once('(').filter(|_| !is_other) {
            *found.entry(name.to_string()).or_default() += 1;
        }
    }
    found.retain(|name, _| !BY_TIME.contains(&name.as_str()));
    found
}

fn is_other_way_to_launch() -> bool {
    let is_other = std::env::var_os("OXINETD_SPAWN").is_some();
    if is_other {
        skip("counts the system calls of the usual way to launch");
    }
    is_other
}

#[test]
fn to_be_admitted_takes_no_system_call() {
    if without_strace() || is_other_way_to_launch() {
        return;
    }
    let server = with_keys(&["", ALL_KEYS]);
    let program = [
        ("accept4", 1),
        ("getpeername", 1),
        ("clone", 1),
        ("close", 1),
    ];
    let worker = [
        ("accept4", 1),
        ("epoll_ctl", 1),
        ("recvfrom", 2),
        ("sendto", 1),
        ("close", 1),
    ];
    for keys in 0..2 {
        check_calls(&server, &format!("program-{keys}"), true, &program);
        check_calls(&server, &format!("worker-{keys}"), true, &worker);
    }
    server.stop();
}

#[test]
fn to_be_refused_takes_no_system_call_but_for_the_text() {
    if without_strace() {
        return;
    }
    let server = with_keys(&[DENIED, TOLD]);
    let denied = [("accept4", 1), ("close", 1)];
    // Told, and waited for.
    let told = [
        ("accept4", 1),
        ("sendto", 1),
        ("shutdown", 1),
        ("fcntl", 1),
        ("epoll_ctl", 1),
        ("close", 2),
    ];
    for (keys, calls) in [(0, &denied[..]), (1, &told[..])] {
        let program = [calls, &[("getpeername", 1)]].concat();
        check_calls(&server, &format!("program-{keys}"), false, &program);
        check_calls(&server, &format!("worker-{keys}"), false, calls);
    }
    server.stop();
}

/// The instructions of whoever admits, from before one client of each service until it has gone.
fn instructions(server: &Server, services: &[String; 2]) -> [u64; 2] {
    let pid = admitting(server, &services[0]);
    let counted = Instructions::of(pid).expect("ptrace");
    // The log comes before the last instruction.
    let sleeps = || status(pid, "State").starts_with('S');
    services.each_ref().map(|service| {
        until("it sleeps", sleeps);
        let before = counted.count();
        visit(server, service, true);
        until("it sleeps", sleeps);
        counted.count() - before
    })
}

#[test]
fn a_hundred_thousand_prefixes_cost_next_to_no_instructions() {
    const ROUNDS: usize = 10;
    if without_root("counts the instructions of a process that forbids it to others") {
        return;
    }
    if cfg!(debug_assertions) {
        return skip("needs an optimised build: another has several times the instructions");
    }
    let server = with_keys(&["deny = \"192.0.2.1\"", "deny = \"@{dir}/list\""]);
    for (name, _) in BOTH {
        let services = [0, 1].map(|keys| format!("{name}-{keys}"));
        let mut fewest = [u64::MAX; 2];
        // About a hundred are the search. Some more depend on who is faster, so the fewest count.
        let is_next_to_nothing = (0..ROUNDS).any(|_| {
            for (fewest, found) in fewest.iter_mut().zip(instructions(&server, &services)) {
                *fewest = found.min(*fewest);
            }
            fewest[1] < fewest[0] + fewest[0] / 10
        });
        assert!(is_next_to_nothing, "{name}: {fewest:?}");
    }
    server.stop();
}

#[test]
fn the_worker_holds_a_list_once_however_many_services_have_it() {
    // Each list takes a megabyte and a half. Services that differ in another key share it too.
    const SERVICES: usize = 40;
    let mut builder = server();
    let list: String = (0..100_000_u32)
        .map(|n| format!("{}\n", Ipv4Addr::from(0x0a00_0000 + n)))
        .collect();
    builder.directory().file("list", list);
    for number in 0..SERVICES {
        let body = format!(
            "builtin = \"echo\"\ndeny = \"@{{dir}}/list\"\nmax_per_source = {}",
            number + 1
        );
        builder = builder.service(&format!("s{number}"), &body);
    }
    let server = builder.start();
    for number in [0, SERVICES - 1] {
        check_served(&server.connect(&format!("s{number}")));
    }
    let worker = server
        .log()
        .wait_for(|line| line.event() == "worker-started");
    let peak = status(worker.number("pid") as u32, "VmHWM");
    let kibibytes: u32 = peak.trim_end_matches(" kB").trim().parse().unwrap();
    assert!(kibibytes < 25_000, "the worker needed {peak}");
    server.settle();
    server.stop();
}
