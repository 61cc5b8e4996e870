//! Everything that a connection has started, wherever it has hidden.

use super::{is_gone, pid_from, script};
use crate::harness::*;
use nix::sys::signal::Signal;

/// Forks twice into a session of its own, as daemons do: its parent is gone and its group is another.
/// It does not heed the request to end.
const DAEMON: &str = "(setsid sh -c \"trap : TERM; echo \\$\\$; while :; do sleep 0.05; done\" &) ";

/// By then a program has started all that it is to start, on a busy machine too.
const LIMITED: &str = "max_lifetime = \"3s\"\n";

/// The control group of a process, of version 2; nothing where there are none.
fn group_of(pid: u32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let group = text.lines().find_map(|line| line.strip_prefix("0::"));
    group.unwrap_or_default().to_owned()
}

/// Whether a server was told that there are control groups; skips the test if there are none.
fn has_groups(server: &Server) -> bool {
    let note = server
        .log()
        .wait_for(|line| line.0.contains("control group"));
    let has = note.0 == "each connection with a life limit gets a control group";
    if !has {
        skip(&note.0);
    }
    has
}

#[test]
fn a_daemon_that_a_program_has_started_ends_with_it() {
    check_daemon(server());
}

#[test]
fn a_daemon_that_a_program_has_started_ends_with_it_without_control_groups() {
    check_daemon(without_control_groups(server()));
}

fn check_daemon(builder: Builder) {
    let text = format!("{DAEMON}; sleep 66");
    let server = builder
        .service("a", &format!("{}{LIMITED}grace = \"1s\"", script(&text)))
        .service("unlimited", &script(DAEMON))
        .start();
    let client = server.connect("a");
    let daemon = pid_from(&client);
    let other = server.connect("unlimited");
    let free = pid_from(&other);
    assert_eq!(server.wait_end("a").field("reason"), Some("max-lifetime"));
    is_gone(daemon);
    // A shell says that it was told to end.
    client.read_all();
    // Where there is no limit, what is left behind is nobody's business.
    assert!(is_running(free));
    let free = nix::unistd::Pid::from_raw(free as i32);
    nix::sys::signal::kill(free, nix::sys::signal::Signal::SIGKILL).unwrap();
    other.read_all();
    server.stop();
}

#[test]
fn a_daemon_whose_client_has_vanished_ends_too() {
    let text = format!("{DAEMON}; sleep 67");
    let server = server()
        .service(
            "a",
            &format!("{}kill_on_disconnect = true\ngrace = \"1s\"", script(&text)),
        )
        .start();
    let client = server.connect("a");
    let daemon = pid_from(&client);
    client.reset();
    is_gone(daemon);
    assert_eq!(server.wait_end("a").field("reason"), Some("disconnected"));
    server.stop();
}

#[test]
fn a_daemon_that_was_seen_ends_although_its_program_ended_before() {
    // The program lives long enough to be looked at.
    let text = format!("{DAEMON}; sleep 2.5");
    let server = without_control_groups(server())
        .service(
            "a",
            &format!("{}kill_on_disconnect = true\ngrace = \"1s\"", script(&text)),
        )
        .start();
    let client = server.connect("a");
    let daemon = pid_from(&client);
    assert_eq!(server.wait_end("a").field("reason"), Some("exited"));
    assert!(is_running(daemon));
    client.reset();
    is_gone(daemon);
    let swept = server.log().wait_for(|line| line.is("swept", "a"));
    assert_eq!(swept.field("reason"), Some("disconnected"));
    server.stop();
}

/// A daemon that nobody has seen: its program and all between have ended at once. It has nothing of
/// the connection.
const UNSEEN: &str = "(setsid sh -c \"setsid sleep 71 </dev/null >/dev/null 2>&1 & echo \\$!\" &)";

#[test]
fn a_daemon_that_nobody_has_seen_ends_at_the_limit_and_those_of_others_stay() {
    for builder in [server(), without_control_groups(server())] {
        let server = builder
            .service("a", &format!("{}{LIMITED}grace = \"1s\"", script(UNSEEN)))
            .service("long", &format!("{}max_lifetime = \"1h\"", script(UNSEEN)))
            .service("unlimited", &script(UNSEEN))
            .start();
        let others = ["long", "unlimited"].map(|name| pid_from(&server.connect(name)));
        let daemon = pid_from(&server.connect("a"));
        assert_eq!(server.wait_end("a").field("reason"), Some("exited"));
        assert!(is_running(daemon));
        let swept = server.log().wait_for(|line| line.is("swept", "a"));
        assert_eq!(swept.field("reason"), Some("max-lifetime"));
        is_gone(daemon);
        for other in others {
            assert!(is_running(other));
            let other = nix::unistd::Pid::from_raw(other as i32);
            nix::sys::signal::kill(other, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        server.stop();
    }
}

#[test]
fn a_daemon_that_has_the_pipe_of_an_ordinary_users_program_goes_with_the_client() {
    let body = script("(setsid sh -c 'trap : TERM; echo $$; while :; do sleep 0.05; done' &)");
    for stdio in ["", "stdio = \"pipe\"\n"] {
        let server = server()
            .as_ordinary_user()
            .service(
                "a",
                &format!("{body}{stdio}kill_on_disconnect = true\ngrace = \"1s\""),
            )
            .start();
        let client = server.connect("a");
        let daemon = pid_from(&client);
        // The end record of one behind pipes waits for the pipes.
        if stdio.is_empty() {
            assert_eq!(server.wait_end("a").field("reason"), Some("exited"));
        }
        client.reset();
        is_gone(daemon);
        // Where the worker has not told yet that the client has left, the end record says it.
        server.log().wait_for(|line| {
            let is_either = line.is("swept", "a") || line.is("end", "a");
            is_either && line.field("reason") == Some("disconnected")
        });
        server.stop();
    }
}

#[test]
fn a_daemon_that_nobody_has_seen_ends_too_where_there_are_control_groups() {
    // Each parent is gone before anybody has looked; what is stopped does not hear TERM.
    let text = "setsid sh -c 'setsid sh -c \"echo \\$\\$; kill -STOP \\$\\$; :\" & setsid sh -c \"echo \\$\\$; trap : TERM; while :; do sleep 0.05; done\" &' &";
    let server = server()
        .service(
            "a",
            &format!("{}kill_on_disconnect = true\ngrace = \"1s\"", script(text)),
        )
        .start();
    if !has_groups(&server) {
        server.stop();
        return;
    }
    let client = server.connect("a");
    let daemons = [pid_from(&client), pid_from(&client)];
    assert_eq!(server.wait_end("a").field("reason"), Some("exited"));
    let group = group_of(daemons[0]);
    assert_eq!(group, group_of(daemons[1]));
    assert!(
        group.contains(&format!("/oxinetd-{}/", server.pid())),
        "{group}"
    );
    assert!(daemons.into_iter().all(is_running));
    client.reset();
    daemons.into_iter().for_each(is_gone);
    let swept = server.log().wait_for(|line| line.is("swept", "a"));
    assert_eq!(swept.field("reason"), Some("disconnected"));
    server.stop();
}

#[test]
fn a_control_group_goes_with_its_session_and_those_of_a_killed_server_with_the_next() {
    let body = format!("{}max_lifetime = \"1h\"", script("echo $$; read x"));
    let free = script("echo $$; read x");
    let server = server().service("a", &body).service("free", &free).start();
    if !has_groups(&server) {
        server.stop();
        return;
    }
    let place = |group: &str| {
        let mounts =
            run(std::process::Command::new("findmnt").args(["-nlt", "cgroup2", "-o", "TARGET"]));
        let mount = mounts.ok().stdout.lines().next().unwrap().to_owned();
        std::path::PathBuf::from(format!("{mount}{group}"))
    };
    // Without a limit there is no group.
    let other = server.connect("free");
    assert_eq!(group_of(pid_from(&other)), group_of(server.pid()));
    other.send("\n").expect_end();

    let [one, two] = ["a", "a"].map(|name| server.connect(name));
    let pids = [&one, &two].map(pid_from);
    let groups = pids.map(|pid| place(&group_of(pid)));
    assert_ne!(groups[0], groups[1]);
    assert!(groups[0].is_dir());
    one.send("\n").expect_end();
    until("its group is gone", || !groups[0].exists());
    assert!(groups[1].is_dir());

    // Its program goes too, which leaves the group empty, for whichever server starts next.
    drop(server.kill());
    drop(two);
    is_gone(pids[1]);
    let next = crate::harness::server().service("a", &body).start();
    until("its group is gone", || {
        !groups[1].parent().unwrap().exists()
    });
    next.stop();
}

#[test]
fn a_session_that_is_killed_by_hand_goes_with_its_daemons() {
    for builder in [server(), without_control_groups(server())] {
        let text = format!("{DAEMON}; sleep 2; echo ready; sleep 69");
        let server = builder
            .service("a", &format!("{}idle_timeout = \"3s\"", script(&text)))
            .start();
        let client = server.connect("a");
        let daemon = pid_from(&client);
        // By then its descendants were looked for.
        client.expect("ready\n");
        let kill = r#"{"do":"kill","target":{"service":"a"},"signal":"KILL"}"#;
        assert_eq!(server.ask(kill)[0]["done"], true);
        client.read_all();
        is_gone(daemon);
        assert_eq!(server.wait_end("a").field("status"), Some("signal:KILL"));
        server.stop();
    }
}

#[test]
fn many_sessions_are_looked_after_in_one_search() {
    const SESSIONS: usize = 60;
    if without_strace() {
        return;
    }
    let idle = format!("{}kill_on_disconnect = true", script("echo; read x"));
    let clock = format!("{}max_lifetime = \"3s\"", script("sleep 66"));
    let server = without_control_groups(server())
        .service("idle", &idle)
        .service("clock", &clock)
        .start();
    // All of them begin in one turn, however long it takes the clients to come.
    server.signal(Signal::SIGSTOP);
    let clients: Vec<Client> = (0..SESSIONS).map(|_| server.connect("idle")).collect();
    server.signal(Signal::SIGCONT);
    for client in &clients {
        client.expect("\n");
    }
    let strace = Strace::attach(server.pid(), &["-e", "trace=openat"]);
    let client = server.connect("clock");
    assert_eq!(
        server.wait_end("clock").field("reason"),
        Some("max-lifetime")
    );
    let own = format!("\"/proc/{}/task\"", server.pid());
    let lines = strace.detach();
    let searches = lines.iter().filter(|line| line.contains(&own)).count();
    // Each second each of them is looked at; they are not due at the very same time.
    println!("searches: {searches}");
    assert!((1..SESSIONS).contains(&searches), "{searches} searches");
    client.read_all();
    drop(clients);
    server.stop();
}

#[test]
fn what_a_program_has_started_has_the_grace_too() {
    for builder in [server(), without_control_groups(server())] {
        // The program ends at once; its child has something to finish.
        let text = "(trap 'sleep 1.5; echo finished; exit' TERM; echo; while :; do sleep 0.05; done) & exec sleep 66";
        let server = builder
            .service(
                "a",
                &format!("{}stderr = \"null\"\n{LIMITED}grace = \"8s\"", script(text)),
            )
            .start();
        let client = server.connect("a");
        client.expect("\n").expect("finished\n").expect_end();
        let end = server.wait_end("a");
        assert_eq!(end.field("reason"), Some("max-lifetime"));
        server.stop();
    }
}
