//! Many services, many live programs, many launches: nothing slows to a halt, nothing leaks.

use crate::harness::*;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many services the table of [`ten_thousand_services`] has, one loopback address each.
const SERVICES: u32 = 10_000;

#[test]
fn ten_thousand_services_start_answer_and_reload() {
    if descriptor_limit() < u64::from(SERVICES) + 100 {
        return skip("needs a descriptor limit of more than 10,100");
    }
    let server = server().table(&table(SERVICES)).start();
    assert_eq!(
        server.log().count(|line| line.event() == "listening"),
        SERVICES as usize
    );
    server.connect("s0").expect("hello\n");
    server.wait_end("s0");
    let descriptors = descriptors_of(&server);
    for n in sample() {
        server.connect(&format!("s{n}")).expect("hello\n");
    }
    let line = server.reload_with(&table(SERVICES + 1));
    assert_eq!(line.0, "reloaded added=1 changed=0 removed=0 kept=10000");
    server.connect(&format!("s{SERVICES}")).expect("hello\n");
    for n in sample() {
        server.connect(&format!("s{n}")).expect("hello\n");
    }
    server
        .log()
        .wait_for_many(202, |line| line.event() == "end");
    until("one listener more, and nothing else", || {
        descriptors_of(&server) == descriptors + 1
    });
    let totals = server.stop();
    assert_eq!(totals.of("s10000", "launched"), 1);
}

/// A hundred services from everywhere in the table.
fn sample() -> impl Iterator<Item = u32> {
    (0..100).map(|n| n * 97 % SERVICES)
}

/// So many services; each address is used once, so that the ports may be the same.
fn table(services: u32) -> String {
    let mut text = String::new();
    for n in 0..services {
        let address = Ipv4Addr::from(0x7f01_0000 + n);
        let command = r#"command = ["/bin/echo", "hello"]"#;
        writeln!(text, "[service.s{n}]\nlisten = \"{address}:0\"\n{command}").unwrap();
    }
    text
}

#[test]
fn three_thousand_sessions_end_at_once_and_all_are_reaped() {
    if descriptor_limit() < 8_000 {
        return skip("needs a descriptor limit of more than 8,000");
    }
    const SESSIONS: usize = 3_000;
    let mut server = server()
        // The log shows 2,000 starts of one service in ten seconds.
        .service("sleep", "command = [\"/bin/cat\"]\nmax_connections = 4000")
        .service("doze", "command = [\"/bin/cat\"]\nmax_connections = 4000")
        .service("other", "command = [\"/bin/echo\", \"hello\"]")
        .start();
    // What belongs to the start is over when something else has been done.
    server.connect("other").expect("hello\n");
    server.wait_end("other");
    let before = descriptors_of(&server);
    let clients: Vec<Client> = (0..SESSIONS)
        .map(|n| server.connect(["sleep", "doze"][n % 2]))
        .collect();
    let is_of_both = |line: &Line, event| line.is(event, "sleep") || line.is(event, "doze");
    server
        .log()
        .wait_for_count(SESSIONS, |line| is_of_both(line, "start"));
    let lines = server.log().lines();
    let started: Vec<_> = lines
        .iter()
        .filter(|line| is_of_both(line, "start"))
        .collect();
    server.connect("other").expect("hello\n");
    // Another process kills them all: nobody tells the server but the kernel.
    let pids: Vec<&str> = started
        .iter()
        .map(|line| line.field("pid").unwrap())
        .collect();
    let killed = Command::new("kill")
        .arg("-KILL")
        .args(&pids)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(killed.success());
    server
        .log()
        .wait_for_count(SESSIONS, |line| is_of_both(line, "end"));
    let ended = server.log().lines();
    let mut ended = ended.iter().filter(|line| is_of_both(line, "end"));
    assert!(ended.all(|line| line.field("status") == Some("signal:KILL")));
    server.connect("other").expect("hello\n");
    server
        .log()
        .wait_for_many(3, |line| line.is("end", "other"));
    until("as many descriptors as before", || {
        descriptors_of(&server) == before
    });
    drop(clients);
    server.leave_programs();
    let totals = server.stop();
    for service in ["sleep", "doze"] {
        assert_eq!(totals.of(service, "launched"), SESSIONS as u64 / 2);
        assert_eq!(totals.of(service, "live"), 0);
    }
}

/// A million with `OXINETD_LAUNCHES=1000000`.
#[test]
fn launches_leak_nothing() {
    let launches: usize = std::env::var("OXINETD_LAUNCHES").map_or(20_000, |n| n.parse().unwrap());
    let server = server()
        .service("tiny", r#"command = ["/bin/true"]"#)
        .start();
    let address = server.address("tiny", "");
    ask(&address, launches / 2);
    server
        .log()
        .wait_for_many(launches / 2, |line| line.is("end", "tiny"));
    let (descriptors, memory) = (descriptors_of(&server), memory_of(&server));
    ask(&address, launches / 2);
    server
        .log()
        .wait_for_many(launches, |line| line.is("end", "tiny"));
    until("as many descriptors as before", || {
        descriptors_of(&server) == descriptors
    });
    let grown = memory_of(&server).saturating_sub(memory);
    assert!(grown < 256, "grown by {grown} KiB from {memory} KiB");
    let totals = server.stop();
    assert_eq!(totals.of("tiny", "launched"), launches as u64);
}

/// So many connections from sixteen clients, each read to its end.
fn ask(address: &str, connections: usize) {
    const CLIENTS: usize = 16;
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..connections / CLIENTS {
                    assert_eq!(Client::connect(address).read_all(), b"");
                }
            });
        }
    });
}

/// Descriptors of the supervisor.
fn descriptors_of(server: &Server) -> usize {
    let directory = format!("/proc/{}/fd", server.pid());
    std::fs::read_dir(directory).unwrap().count()
}

/// Resident memory of the supervisor in KiB.
fn memory_of(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptor_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // The clients are ours.
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    hard
}

#[test]
fn an_idle_server_sleeps() {
    let server = server()
        .service("cat", r#"command = ["/bin/cat"]"#)
        .service("echo", r#"builtin = "echo""#)
        .start();
    let client = server.connect("cat");
    client.send("hi").expect("hi");
    server.wait_start("cat");
    let worker = server
        .log()
        .wait_for(|line| line.event() == "worker-started")
        .number("pid");
    until("both children are old, and watched by their pidfds", || {
        let open = open_descriptors(server.pid());
        let pidfds = open.iter().filter(|it| *it == "anon_inode:[pidfd]");
        pidfds.count() == 2
    });
    let watch = [u64::from(server.pid()), worker];
    // What was begun before may be done in the first of them.
    let slept = (0..3).any(|_| {
        let before = watch.map(switches);
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
        }
        watch.map(switches) == before
    });
    assert!(slept, "an idle server was woken again and again");
    drop(client);
    server.wait_end("cat");
    server.stop();
}

/// Context switches that a process asked for.
fn switches(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .unwrap();
    line.trim().parse().unwrap()
}
