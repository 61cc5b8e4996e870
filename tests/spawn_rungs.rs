//! Every way of making a child gives the same: each rung of the ladder, chosen by OXINETD_SPAWN.

use crate::harness::*;

/// Flags of clone(2) for each way, so that a test knows that it tests what it says.
const RUNGS: [(&str, &str); 4] = [
    (
        "share",
        "flags=CLONE_VM|CLONE_FILES|CLONE_CHILD_CLEARTID|SIGCHLD",
    ),
    ("memory", "flags=CLONE_VM|CLONE_CHILD_CLEARTID|SIGCHLD"),
    (
        "vfork",
        "flags=CLONE_VM|CLONE_VFORK|CLONE_CHILD_CLEARTID|SIGCHLD",
    ),
    ("fork", "flags=CLONE_CHILD_CLEARTID|SIGCHLD"),
];

#[test]
fn sharing_memory_and_descriptors() {
    check_rung(0);
}

#[test]
fn sharing_memory() {
    check_rung(1);
}

#[test]
fn vfork() {
    check_rung(2);
}

#[test]
fn fork() {
    check_rung(3);
}

#[track_caller]
fn check_rung(rung: usize) {
    let (rung, flags) = RUNGS[rung];
    let server = server_of_all_kinds(rung);
    check_flags(&server, flags);
    let before = open_descriptors(server.pid()).len();
    many_at_once(&server);
    wait_programs(&server);
    stderr_is_logged(&server);
    a_program_that_is_missing(&server);
    one_that_kills_itself(&server);
    // Or one fewer: at first the descriptor that tells of readiness may not have been closed yet.
    until("descriptors are as before", || {
        open_descriptors(server.pid()).len() <= before
    });
    let totals = server.stop();
    assert_eq!(totals.of("missing", "failed"), 1);
    assert_eq!(totals.of("own", "launched"), 64);
}

fn server_of_all_kinds(rung: &str) -> Server {
    let server = server().env("OXINETD_SPAWN", rung);
    server.directory().program("missing", "#!/bin/sh\n");
    let server = server
        .service("cat", "command = [\"/bin/cat\"]")
        .service("own", "command = [\"{probe}\", \"--only\", \"fds\"]")
        .service("missing", "command = [\"{dir}/missing\"]")
        .service("suicide", "command = [\"/bin/sh\", \"-c\", \"kill -9 $$\"]")
        .service(
            "logged",
            "command = [\"/bin/sh\", \"-c\", \"echo heard >&2\"]\nstderr = \"log\"",
        )
        .service(
            "listen",
            "wait = true\npass = \"listen_fds\"\n\
             command = [\"{probe}\", \"--to\", \"listen-fds\", \"--only\", \"env\"]",
        )
        .start();
    std::fs::remove_file(server.directory().join("missing")).unwrap();
    server
}

#[track_caller]
fn check_flags(server: &Server, flags: &str) {
    if without_strace() {
        return;
    }
    let strace = Strace::attach(server.pid(), &["-e", "trace=clone,fork,vfork,clone3"]);
    server
        .connect("cat")
        .send("hi")
        .expect("hi")
        .half_close()
        .expect_end();
    server.wait_end("cat");
    let calls = strace.detach();
    assert!(
        calls
            .iter()
            .any(|call| call.contains(&format!(", {flags}, "))),
        "{calls:?}"
    );
}

/// Each has its own connection, and no other.
#[track_caller]
fn many_at_once(server: &Server) {
    let clients: Vec<Client> = (0..64).map(|_| server.connect("own")).collect();
    for client in &clients {
        let report = client.read_text();
        let peer = format!("peer=127.0.0.1:{}", client.port());
        let mine = report.lines().filter(|line| line.contains(&peer)).count();
        assert_eq!((mine, report.matches("peer=").count()), (3, 3), "{report}");
    }
    server.log().wait_for_many(64, |line| line.is("end", "own"));
}

#[track_caller]
fn wait_programs(server: &Server) {
    let report = server.connect("listen").read_text();
    let start = server.wait_start("listen");
    let pid = format!("LISTEN_PID={}\n", start.field("pid").expect("pid="));
    assert!(report.contains(&pid), "{report}");
    server.wait_end("listen");
}

#[track_caller]
fn stderr_is_logged(server: &Server) {
    server.connect("logged").expect_end();
    let line = server.log().wait_for(|line| line.is("stderr", "logged"));
    assert_eq!(line.field("line"), Some("heard"));
    server.wait_end("logged");
}

#[track_caller]
fn a_program_that_is_missing(server: &Server) {
    server.connect("missing").expect_end();
    let path = server.directory().join("missing");
    let says = format!("cannot start missing: exec {path}: no such file or directory (ENOENT)");
    server.log().wait_for(|line| line.event() == says);
}

#[track_caller]
fn one_that_kills_itself(server: &Server) {
    server.connect("suicide").expect_end();
    assert_eq!(
        server.wait_end("suicide").field("status"),
        Some("signal:KILL")
    );
}
