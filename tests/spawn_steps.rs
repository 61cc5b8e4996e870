//! If a step on the way to a program fails, the program is not run, and the log says which and why.
//! And: every way of making a child gives the same.

use crate::harness::*;

/// A service that takes every step there is.
const EVERY_STEP: &str = r#"
command = ["{dir}/program"]
user = 61234
group = 61234
supplementary_groups = [61235, 61236]
limits = { nofile = 100 }
nice = 3
chroot = "/"
directory = "/tmp"
stderr = "file:{dir}/stderr"
"#;

/// A fault, and what the log must say of it.
const STEPS: [(&str, &str); 20] = [
    (
        "setsid:error=EPERM",
        "session: operation not permitted (EPERM)",
    ),
    (
        "dup3:error=EBUSY",
        "descriptors: device or resource busy (EBUSY)",
    ),
    (
        "openat:error=ENOSPC:when=1",
        "stderr-file {dir}/stderr: no space left on device (ENOSPC)",
    ),
    (
        "prlimit64:error=EPERM",
        "limits: operation not permitted (EPERM)",
    ),
    (
        "setpriority:error=EACCES",
        "nice: permission denied (EACCES)",
    ),
    (
        "chroot:error=EPERM",
        "chroot /: operation not permitted (EPERM)",
    ),
    (
        "chdir:error=EACCES",
        "directory /tmp: permission denied (EACCES)",
    ),
    (
        "setgroups:error=EPERM",
        "groups: operation not permitted (EPERM)",
    ),
    (
        "setresgid:error=EPERM",
        "group: operation not permitted (EPERM)",
    ),
    ("setresuid:error=EAGAIN", "user: try again (EAGAIN)"),
    ("getresuid:error=EFAULT", "verify: bad address (EFAULT)"),
    ("getresgid:error=EFAULT", "verify: bad address (EFAULT)"),
    (
        "getgroups:error=EINVAL",
        "verify: invalid argument (EINVAL)",
    ),
    ("capget:error=EINVAL", "verify: invalid argument (EINVAL)"),
    (
        "prctl:error=EINVAL",
        "no-new-privileges: invalid argument (EINVAL)",
    ),
    (
        "rt_sigprocmask:error=EINVAL",
        "signals: invalid argument (EINVAL)",
    ),
    // Steps that say that they were taken, and were not.
    (
        "setgroups:retval=0",
        "verify: operation not permitted (EPERM)",
    ),
    (
        "setresgid:retval=0",
        "verify: operation not permitted (EPERM)",
    ),
    (
        "setresuid:retval=0",
        "verify: operation not permitted (EPERM)",
    ),
    // The last.
    (
        "execve:error=EACCES",
        "exec {dir}/program: permission denied (EACCES)",
    ),
];

/// Those of the ways that share the descriptor table.
const SHARING_STEPS: [(&str, &str); 2] = [
    (
        "close_range:error=EPERM:when=1",
        "unshare: operation not permitted (EPERM)",
    ),
    (
        "close_range:error=EPERM:when=2",
        "descriptors: operation not permitted (EPERM)",
    ),
];

#[test]
fn a_program_is_not_run_when_any_step_fails() {
    if without_strace() {
        return;
    }
    let server = step_server("share");
    for (fault, says) in STEPS.into_iter().chain(SHARING_STEPS) {
        assert_not_run(&server, fault, says);
    }
    assert_run(&server);
    let totals = server.stop();
    assert_eq!(
        totals.of("steps", "failed"),
        (STEPS.len() + SHARING_STEPS.len()) as u64
    );
    assert_eq!(totals.of("steps", "launched"), 1);
}

#[test]
fn the_other_ways_of_making_a_child_fail_as_well() {
    if without_strace() {
        return;
    }
    for rung in ["memory", "vfork", "fork"] {
        let server = step_server(rung);
        for fault in [
            "setresuid:error=EAGAIN",
            "setresuid:retval=0",
            "execve:error=EACCES",
        ] {
            let says = STEPS
                .iter()
                .find(|(step, _)| *step == fault)
                .expect("a step")
                .1;
            assert_not_run(&server, fault, says);
        }
        assert_run(&server);
        assert_eq!(server.stop().of("steps", "failed"), 3, "{rung}");
    }
}

#[track_caller]
fn step_server(rung: &str) -> Server {
    let server = server().env("OXINETD_SPAWN", rung);
    let shell = "#!/bin/sh\necho ran\n";
    server.directory().program("program", shell);
    server.service("steps", EVERY_STEP).start()
}

/// A client comes while the fault is there.
#[track_caller]
fn assert_not_run(server: &Server, fault: &str, says: &str) {
    let says = says.replace("{dir}", server.directory().path().to_str().expect("UTF-8"));
    let mark = server.log().mark();
    let strace = Strace::inject(server.pid(), &[fault]);
    let client = server.connect("steps");
    client.expect_end();
    let expected = format!("cannot start steps: {says}");
    let said = server
        .log()
        .wait_after(mark, |line| line.0.starts_with("cannot start steps: "));
    assert_eq!(said.event(), expected, "{fault}");
    assert!(
        said.field("peer").is_some() && said.field("id").is_some(),
        "{said}"
    );
    let traced = strace.detach();
    assert!(
        traced.iter().any(|line| line.ends_with("(INJECTED)")),
        "{fault}: {traced:?}"
    );
    assert!(!has_run(&traced), "{fault}: {traced:?}");
}

/// The same look at a launch to which nothing is done.
#[track_caller]
fn assert_run(server: &Server) {
    let strace = Strace::inject(server.pid(), &["setsid:delay_enter=1"]);
    assert_eq!(server.connect("steps").read_text(), "ran\n");
    server.wait_end("steps");
    assert!(has_run(&strace.detach()));
}

fn has_run(traced: &[String]) -> bool {
    let mut execs = traced.iter().filter(|line| line.contains("execve"));
    execs.any(|line| line.ends_with(" = 0"))
}

#[test]
fn as_many_groups_as_wanted_but_others_are_noticed() {
    if without_strace() {
        return;
    }
    let server = server()
        .service(
            "steps",
            "command = [\"/bin/true\"]\nuser = 61234\ngroup = 61234\nsupplementary_groups = [61236]",
        )
        // One group, as the program is to have.
        .wrapped_in(&["setpriv", "--groups", "61235"])
        .start();
    let says = "verify: operation not permitted (EPERM)";
    assert_not_run(&server, "setgroups:retval=0", says);
}

/// Where a child is killed, and how far it has come.
const DEATHS: [(&str, &str); 6] = [
    ("close_range:signal=KILL:when=1", "unshare"),
    ("setsid:signal=KILL", "session"),
    ("dup3:signal=KILL", "descriptors"),
    ("chdir:signal=KILL", "limits"),
    ("setresuid:signal=KILL", "user"),
    // Blocked like all others, until the mask is emptied.
    ("setsid:signal=SEGV", "signals"),
];

#[test]
fn a_child_that_is_killed_on_its_way_was_not_launched() {
    if without_strace() {
        return;
    }
    let server = server()
        .env("OXINETD_SPAWN", "share")
        .service("cat", "command = [\"/bin/cat\"]")
        .start();
    for (n, (death, stage)) in DEATHS.into_iter().enumerate() {
        let strace = Strace::inject(server.pid(), &[death]);
        server.connect("cat").expect_end();
        strace.detach();
        let says = format!("cannot start cat: {stage}: interrupted system call (EINTR)");
        let told = |line: &Line| line.0.starts_with("cannot start ") || line.event() == "end";
        let told = server.log().wait_for_many(n + 1, told);
        assert_eq!(told[n].event(), says, "{death}");
    }
    let totals = server.stop();
    assert_eq!(
        (totals.of("cat", "launched"), totals.of("cat", "failed")),
        (0, 6)
    );
}

#[test]
fn a_child_that_is_stopped_on_its_way_stops_nobody_else() {
    if without_strace() {
        return;
    }
    let server = server()
        .env("OXINETD_SPAWN", "share")
        .service("cat", "command = [\"/bin/cat\"]")
        .service("other", "command = [\"/bin/cat\"]")
        .start();
    for step in ["close_range", "setsid", "setresuid"] {
        let strace = Strace::inject(server.pid(), &[&format!("{step}:signal=STOP:when=1")]);
        let client = server.connect("cat");
        client.send("hi");
        strace.wait_for("--- stopped by SIGSTOP ---");
        strace.detach();
        until("it is stopped", || stopped_child(&server).is_some());
        let stopped = stopped_child(&server).expect("it stays so");
        let other = server.connect("other");
        other.send("hi").expect("hi").half_close().expect_end();
        let pid = nix::unistd::Pid::from_raw(stopped);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).expect("kill");
        client.expect("hi").half_close().expect_end();
    }
    server.log().wait_for_many(6, |line| line.event() == "end");
}

/// A child of the server that a signal has stopped.
fn stopped_child(server: &Server) -> Option<i32> {
    let pid = server.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children
        .split_whitespace()
        .map(|pid| pid.parse().expect("a pid"))
        .find(|pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next();
            state.is_some_and(|state| state.starts_with('T'))
        })
}

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
    until("descriptors are as before", || {
        open_descriptors(server.pid()).len() == before
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
