//! If a step on the way to a program fails, the program is not run, and the log says which and why.

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
    let all: Vec<_> = STEPS.into_iter().chain(SHARING_STEPS).collect();
    // A server has lines for so many at once.
    for steps in all.chunks(10) {
        let server = step_server("share");
        for (fault, says) in steps {
            assert_not_run(&server, fault, says);
        }
        assert_run(&server);
        let totals = server.stop();
        assert_eq!(totals.of("steps", "failed"), steps.len() as u64);
        assert_eq!(totals.of("steps", "launched"), 1);
    }
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
