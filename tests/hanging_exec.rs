//! Programs whose exec hangs: nobody else waits for them, and nobody gets at the memory that they
//! still share with the server.

use crate::harness::*;
use std::io::ErrorKind;
use std::time::Instant;

/// A program of our own directory that copies 0 to 1, with what its service needs.
fn with_hanging(server: Builder, more: &str) -> Builder {
    let path = server.directory().join("hang");
    run(std::process::Command::new("cp").args(["/bin/cat", &path])).ok();
    server.service("hang", &format!("command = [\"{path}\"]\n{more}"))
}

/// Holds it; `None`, after saying so, where that cannot be.
fn hold(server: &Server) -> Option<Hold> {
    let held = Hold::of(&server.directory().join("hang"));
    held.map_err(|error| skip(&format!("fanotify: {error}")))
        .ok()
}

fn parent_waits_for_exec() -> bool {
    let waits = std::env::var("OXINETD_SPAWN").is_ok_and(|rung| rung == "vfork");
    if waits {
        skip("vfork suspends the server until the exec");
    }
    waits
}

#[test]
fn two_hundred_hanging_programs_delay_no_other_service() {
    if without_root("fanotify") || parent_waits_for_exec() {
        return;
    }
    let server = with_hanging(server(), "max_connections = 300")
        .service("cat", "command = [\"/bin/cat\"]")
        .service("echo", "builtin = \"echo\"")
        .start();
    let Some(hold) = hold(&server) else { return };
    let clients: Vec<Client> = (0..200).map(|_| server.connect("hang")).collect();
    hold.wait_for(200);
    for service in ["cat", "echo"] {
        for _ in 0..50 {
            assert_answered_soon(&server, service);
        }
    }
    assert_eq!(server.log().count(|line| line.is("start", "hang")), 0);
    drop(hold);
    for client in &clients {
        client.send("hi").expect("hi");
    }
    // Whose exec was late has started all the same, while its client is still there.
    let started = |line: &Line| line.is("start", "hang");
    server.log().wait_for_many(200, started);
    drop(clients);
    let ended = |line: &Line| line.event() == "end" && line.field("service") != Some("echo");
    server.log().wait_for_many(250, ended);
    let totals = server.stop();
    assert_eq!(totals.of("hang", "launched"), 200);
    assert_eq!(totals.of("cat", "launched"), 50);
}

#[track_caller]
fn assert_answered_soon(server: &Server, service: &str) {
    let asked = Instant::now();
    let client = server.connect(service);
    client.send("hi").expect("hi").half_close();
    client.expect_end();
    assert!(
        asked.elapsed() < AT_ONCE,
        "{service} took {:?}",
        asked.elapsed()
    );
}

#[test]
fn a_start_is_told_of_however_late_its_exec_comes() {
    if without_root("fanotify") {
        return;
    }
    for rung in ["share", "memory", "fork"] {
        let server = with_hanging(server(), "")
            .env("OXINETD_SPAWN", rung)
            .start();
        let Some(hold) = hold(&server) else { return };
        let client = server.connect("hang");
        hold.wait_for(1);
        // Now nothing else is due that would make the server look.
        wait_until_old(&server);
        drop(hold);
        client.send("hi").expect("hi");
        server.wait_start("hang");
        drop(client);
        server.wait_end("hang");
    }
}

#[test]
fn a_client_that_leaves_before_the_exec_is_no_failure_to_start() {
    if without_root("fanotify") || parent_waits_for_exec() {
        return;
    }
    let server = with_hanging(server(), "stdio = \"pty\"").start();
    let Some(hold) = hold(&server) else { return };
    let worker = server
        .log()
        .wait_for(|line| line.event() == "worker-started");
    let worker = worker.number("pid") as u32;
    let has_master = |pid| open_descriptors(pid).iter().any(|it| it.contains("ptmx"));
    let client = server.connect("hang");
    hold.wait_for(1);
    until("the worker has the terminal", || has_master(worker));
    client.reset();
    until("the worker has hung up", || !has_master(worker));
    assert!(has_master(server.pid()));
    drop(hold);
    server.wait_start("hang");
    assert_eq!(server.wait_end("hang").field("status"), Some("signal:HUP"));
    server.stop();
}

/// Waits until the only program has lived so long that the server has a pidfd of it.
#[track_caller]
fn wait_until_old(server: &Server) {
    until("it is old", || {
        let open = open_descriptors(server.pid());
        open.iter().any(|what| what == "anon_inode:[pidfd]")
    });
}

#[test]
fn a_hanging_program_can_be_killed() {
    if without_root("fanotify") || parent_waits_for_exec() {
        return;
    }
    let server = with_hanging(server(), "max_connections = 1").start();
    let Some(hold) = hold(&server) else { return };
    let first = server.connect("hang");
    let pid = hold.wait_for(1)[0];
    let second = server.connect("hang");
    second.send("hi");
    kill(pid);
    first.expect_end();
    hold.wait_for(1);
    drop(hold);
    second.expect("hi").half_close().expect_end();
    server.log().wait_for_many(2, |line| line.is("end", "hang"));
}

fn kill(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("kill");
}

/// Ways into a process. The server's memory is mapped here and there; one address will do, since the
/// right to read is asked first.
const WAYS: [Way; 8] = [
    Way::Attach,
    Way::Seize,
    Way::Open("mem"),
    Way::Open("fd"),
    Way::Open("maps"),
    Way::Open("environ"),
    Way::Read(4096),
    Way::TakeDescriptor(0),
];

#[test]
fn the_user_of_a_service_cannot_get_at_a_child_before_its_exec() {
    if without_root("fanotify") {
        return;
    }
    for rung in ["share", "memory", "vfork", "fork"] {
        let user = format!("user = {ORDINARY_USER}\ngroup = {ORDINARY_USER}");
        let server = with_hanging(server(), &user)
            .env("OXINETD_SPAWN", rung)
            .start();
        let Some(hold) = hold(&server) else { return };
        let client = server.connect("hang");
        let pid = hold.wait_for(1)[0];
        assert_eq!(
            owner(pid),
            ORDINARY_USER,
            "it has become the service's user"
        );
        for way in WAYS {
            let denied = attempt(ORDINARY_USER, way, pid).map_err(|error| error.kind());
            assert_eq!(denied, Err(ErrorKind::PermissionDenied), "{rung}: {way:?}");
        }
        drop(hold);
        client.send("hi").expect("hi").half_close().expect_end();
        server.wait_end("hang");
    }
}

#[test]
fn the_same_attempts_succeed_at_an_ordinary_process_of_that_user() {
    if without_root("changes users") {
        return;
    }
    for way in WAYS {
        let mut victim = ordinary_process(ORDINARY_USER).expect("cat");
        let pid = victim.id() as i32;
        let way = match way {
            Way::Read(_) => Way::Read(stack_of(pid)),
            way => way,
        };
        let done = attempt(ORDINARY_USER, way, pid);
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(done.is_ok(), "{way:?}: {done:?}");
    }
}

/// Real user id of a process: /proc/PID itself may be root's.
fn owner(pid: i32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let first = line.and_then(|line| line.split_whitespace().next());
    first.expect("Uid:").parse().unwrap()
}

/// An address that can be read.
fn stack_of(pid: i32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let stack = maps.lines().find(|line| line.ends_with("[stack]"));
    let (_, end) = stack
        .and_then(|line| line.split_once('-'))
        .expect("a stack");
    let end = end.split(' ').next().expect("an address");
    usize::from_str_radix(end, 16).unwrap() - 8
}
