//! How the ends of programs are noticed beside others that live on, and what that costs.

use crate::harness::*;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// A server with so many programs that live on, all of them old: each has a descriptor by then.
fn with_sessions(builder: Builder, sessions: usize) -> (Server, Vec<Client>) {
    let server = builder
        .service("cat", "command = [\"/bin/cat\"]\nmax_connections = 100")
        .service("tiny", "command = [\"/bin/true\"]")
        .start();
    let clients = (0..sessions).map(|_| running(&server)).collect();
    let is_pidfd = |what: &String| what == "anon_inode:[pidfd]";
    until("they are old", || {
        let open = open_descriptors(server.pid()).into_iter();
        open.filter(is_pidfd).count() == sessions
    });
    (server, clients)
}

/// A client whose program has answered.
fn running(server: &Server) -> Client {
    let client = server.connect("cat");
    client.send("hi").expect("hi");
    client
}

#[test]
fn those_that_live_on_are_seldom_walked() {
    const CONNECTIONS: usize = 40;
    if without_strace() {
        return;
    }
    let (server, clients) = with_sessions(server(), 40);
    let strace = Strace::attach(server.pid(), &["-e", "trace=wait4"]);
    let since = Instant::now();
    for ended in 1..=CONNECTIONS {
        server.connect("tiny").read_all();
        server.wait_ends("tiny", ended);
    }
    let time = since.elapsed();
    let lines = strace.detach();
    let walks = lines
        .iter()
        .filter(|line| line.contains("wait4(-1"))
        .count();
    // One in a fifth of a second.
    let most = 2 + (time.as_millis() / Duration::from_millis(200).as_millis()) as usize;
    assert!(walks <= most, "{walks} walks in {time:?}");
    drop(clients);
    server.wait_ends("cat", 40);
    server.stop();
}

/// The second ends when it was looked for just before, and nothing else happens that would have it
/// looked for.
#[test]
fn children_that_others_have_left_to_the_server_are_reaped() {
    let leave = "sleep 100 >/dev/null 2>&1 & sleep 100 >/dev/null 2>&1 & exec \"$@\"";
    let builder = server().wrapped_in(&["/bin/sh", "-c", leave, "sh"]);
    let (server, clients) = with_sessions(builder, 20);
    let name = |pid: &u32| status(*pid, "Name");
    let mut left = children(server.pid());
    left.retain(|pid| name(pid) == "sleep");
    assert_eq!(left.len(), 2);
    for pid in left {
        signal(pid, Signal::SIGKILL);
        until("it is reaped", || !children(server.pid()).contains(&pid));
    }
    drop(clients);
    server.wait_ends("cat", 20);
    server.stop();
}

/// What a launch needs of memory that its child shares is in mappings of sixteen.
#[test]
fn launches_that_are_over_leave_their_memory_to_others() {
    let (server, clients) = with_sessions(server(), 60);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", server.pid())).unwrap();
    let shared = maps.lines().filter(|line| line.contains(" rw-s ")).count();
    assert!(shared <= 16, "{shared} launches have memory");
    drop(clients);
    server.wait_ends("cat", 60);
    server.stop();
}
