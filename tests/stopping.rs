//! The end of a server, and other signals; PID 1.

use crate::harness::*;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const CAT: &str = r#"command = ["/bin/cat"]"#;

/// A program that ignores the request to end, says "up", and waits for its client.
const STUBBORN: &str = r#"command = ["/bin/sh", "-c", "trap '' TERM; echo up; while :; do read -r line || sleep 1; done"]"#;

/// The log's line about the programs that live at the stop.
fn live_at_stop(server: &Server) -> u64 {
    server
        .log()
        .wait_for(|line| line.event() == "stopping")
        .number("live")
}

#[test]
fn programs_are_left_alone_and_the_end_is_quick() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = server().service("cat", CAT).start();
        let port = server.address("cat", "");
        let session = server.connect("cat");
        session.send("a").expect("a");
        let program = server.wait_start("cat").number("pid") as u32;
        let since = Instant::now();
        server.signal(signal);
        server.log().wait_for(|line| line.event() == "stopped");
        assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
        assert_eq!(live_at_stop(&server), 1);
        session.send("b").expect("b");
        assert!(is_running(program));
        assert!(Client::try_connect(&port).is_err(), "nobody listens");
        session.half_close().expect_end();
        server.leave_programs();
        let totals = server.stop();
        assert_eq!(
            (totals.of("cat", "launched"), totals.of("cat", "live")),
            (1, 1)
        );
    }
}

#[test]
fn sessions_of_builtins_end_with_the_server() {
    let server = server().service("echo", r#"builtin = "echo""#).start();
    let session = server.connect("echo");
    session.send("a").expect("a");
    server.log().wait_for(|line| line.is("start", "echo"));
    server.signal(Signal::SIGTERM);
    session.expect_end();
    let end = server.wait_end("echo");
    assert_eq!(end.field("reason"), Some("stopped"));
    server.stop();
}

#[test]
fn connections_in_the_queue_are_reset_not_forgotten() {
    let server = server()
        .service("cat", &format!("{CAT}\nmax_connections = 1"))
        .start();
    let session = server.connect("cat");
    session.send("a").expect("a");
    let queued = server.connect("cat");
    session.half_close();
    server.signal(Signal::SIGSTOP);
    server.signal(Signal::SIGTERM);
    server.signal(Signal::SIGCONT);
    // It was either served to the end or told: it does not hang.
    let shut = nix::sys::socket::Shutdown::Write;
    let _ = nix::sys::socket::shutdown(std::os::fd::AsRawFd::as_raw_fd(queued.fd()), shut);
    assert!(matches!(queued.read(1), Got::End | Got::Reset));
    server.log().wait_for(|line| line.event() == "stopped");
    let mut server = server;
    server.leave_programs();
    server.stop();
}

#[test]
fn a_worker_that_cannot_run_for_a_while_still_says_what_it_has_done() {
    let body = "listen = \"udp:127.0.0.1:0\"\nbuiltin = \"echo\"";
    let server = server().service("echo", body).start();
    let client = server.udp("echo");
    // It tells of them once a second at most.
    for _ in 0..3 {
        client.send("a").expect("a");
    }
    let started = |line: &Line| line.event() == "worker-started";
    let worker = server.log().wait_for(started).number("pid") as u32;
    signal(worker, Signal::SIGSTOP);
    server.signal(Signal::SIGTERM);
    live_at_stop(&server);
    let pause = Instant::now() + Duration::from_millis(300);
    assert!(!readable_until(client.fd(), pause), "nobody answers");
    signal(worker, Signal::SIGCONT);
    server.log().wait_for(|line| line.event() == "stopped");
    assert_eq!(server.stop().of("echo", "datagrams"), 3);
}

// With a drain timeout.

fn draining(time: &str, body: &str) -> Server {
    server()
        .service("a", body)
        .service("echo", r#"builtin = "echo""#)
        .with_options(&["--drain-timeout", time])
        .start()
}

#[test]
fn while_draining_programs_may_finish_and_nobody_new_comes() {
    let server = draining("1m", CAT);
    let (session, builtin) = (server.connect("a"), server.connect("echo"));
    session.send("a").expect("a");
    builtin.send("b").expect("b");
    server
        .log()
        .wait_for_many(2, |line| line.event() == "start");
    let addresses = [server.address("a", ""), server.address("echo", "")];
    server.signal(Signal::SIGTERM);
    assert_eq!(live_at_stop(&server), 2);
    for address in addresses {
        until("nobody listens", || Client::try_connect(&address).is_err());
    }
    session.send("c").expect("c").half_close().expect_end();
    builtin.send("d").expect("d").half_close().expect_end();
    // No second signal from us: it ends by itself with the last session.
    server.log().wait_for(|line| line.event() == "stopped");
    let end = server.wait_end("a");
    assert_eq!(end.field("status"), Some("exit:0"));
    assert_eq!(server.wait_end("echo").field("reason"), Some("finished"));
    server.stop();
}

#[test]
fn programs_that_do_not_finish_are_asked_to_end() {
    let server = draining("1s", CAT);
    let session = server.connect("a");
    session.send("a").expect("a");
    server.wait_start("a");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_end("a").field("status"), Some("signal:TERM"));
    session.expect_end();
    server.stop();
}

#[test]
fn programs_that_do_not_listen_are_killed_with_all_their_children() {
    let server = draining("1s", STUBBORN);
    let session = server.connect("a");
    session.expect("up\n");
    let program = server.wait_start("a").number("pid") as u32;
    session.half_close();
    until("it has a child", || !children(program).is_empty());
    let since = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_end("a").field("status"), Some("signal:KILL"));
    let took = since.elapsed();
    assert!(
        took > Duration::from_secs(4) && took < Duration::from_secs(15),
        "{took:?}"
    );
    assert!(
        matches!(session.read(1), Got::End | Got::Reset),
        "a child has it still"
    );
    server.stop();
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = draining("1m", CAT);
    let session = server.connect("a");
    session.send("a").expect("a");
    let program = server.wait_start("a").number("pid") as u32;
    server.signal(Signal::SIGTERM);
    server.log().wait_for(|line| line.event() == "stopping");
    let since = Instant::now();
    server.leave_programs();
    server.signal(Signal::SIGINT);
    server.log().wait_for(|line| line.event() == "stopped");
    assert!(since.elapsed() < AT_ONCE);
    assert!(is_running(program));
    session.send("b").expect("b").half_close().expect_end();
    server.stop();
}

#[test]
fn a_reload_while_stopping_changes_nothing() {
    let server = draining("1m", CAT);
    let address = server.address("a", "");
    let session = server.connect("a");
    session.send("a").expect("a");
    server.wait_start("a");
    server.signal(Signal::SIGTERM);
    server.log().wait_for(|line| line.event() == "stopping");
    server.signal(Signal::SIGHUP);
    session.send("b").expect("b");
    assert!(Client::try_connect(&address).is_err());
    session.half_close().expect_end();
    server.log().wait_for(|line| line.event() == "stopped");
    assert_eq!(
        server
            .log()
            .count(|line| line.event().starts_with("reload")),
        0
    );
    server.stop();
}

// As PID 1.

/// A server that is PID 1 of a namespace, and its pid as we see it.
fn as_init(builder: Builder) -> (Server, u32) {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let server = builder.wrapped_in(&unshare).start();
    let inside = children(server.pid())[0];
    assert_eq!(status(inside, "NSpid").split(' ').next_back(), Some("1"));
    (server, inside)
}

#[test]
fn as_pid_1_it_reaps_orphans() {
    if without_root("makes a pid namespace") {
        return;
    }
    // The grandchild loses its parent, and ends when the client says so.
    let body = r#"command = ["/bin/sh", "-c", "(cat >/dev/null & echo started) & wait"]"#;
    let (server, inside) = as_init(server().service("a", body));
    let sessions: Vec<Client> = (0..5).map(|_| server.connect("a")).collect();
    for session in &sessions {
        session.expect("started\n").half_close();
    }
    server.wait_ends("a", 5);
    until("nothing is left of them", || children(inside).is_empty());
    signal(inside, Signal::SIGTERM);
    server.log().wait_for(|line| line.event() == "stopped");
    server.stop();
}

#[test]
fn as_pid_1_it_ends_what_would_end_with_it_in_good_order() {
    if without_root("makes a pid namespace") {
        return;
    }
    let (server, inside) = as_init(server().service("a", CAT));
    let session = server.connect("a");
    session.send("a").expect("a");
    server.wait_start("a");
    signal(inside, Signal::SIGTERM);
    session.send("b").expect("b");
    // Three seconds to end by itself, then it is asked to.
    assert_eq!(server.wait_end("a").field("status"), Some("signal:TERM"));
    server.log().wait_for(|line| line.event() == "stopped");
    server.stop();
}

#[test]
fn as_pid_1_it_ends_daemons_of_limited_sessions_and_reaps_them() {
    if without_root("makes a pid namespace") {
        return;
    }
    // The daemon has a session of its own, does not heed TERM, and is ours when its parents are gone.
    let text =
        "(setsid sh -c 'trap : TERM; echo daemon; while :; do sleep 0.05; done' &); sleep 66";
    let body = format!(
        "command = [\"/bin/sh\", \"-c\", \"{text}\"]\nmax_lifetime = \"3s\"\ngrace = \"1s\""
    );
    for builder in [server(), without_control_groups(server())] {
        let (server, inside) = as_init(builder.service("a", &body));
        let client = server.connect("a");
        client.expect("daemon\n");
        assert_eq!(server.wait_end("a").field("reason"), Some("max-lifetime"));
        client.read_all();
        until("nothing is left of them", || children(inside).is_empty());
        signal(inside, Signal::SIGTERM);
        server.log().wait_for(|line| line.event() == "stopped");
        server.stop();
    }
}

// At the start.

#[test]
fn a_table_with_mistakes_is_refused_with_all_of_them() {
    let refused = server()
        .service("a", "command = \"/bin/cat\"")
        .service("b", "builtin = \"ecko\"\nmax_connections = 0")
        .service("c", "comand = [\"/bin/cat\"]")
        .refused();
    assert_eq!(refused.code, Some(78));
    let count = |text: &str| refused.stderr.matches(text).count();
    assert!(count("services.toml:") >= 4, "{}", refused.stderr);
    for words in ["command", "ecko", "max_connections", "comand"] {
        assert!(count(words) > 0, "{words}: {}", refused.stderr);
    }
    assert_eq!(count("listening"), 0);
}

#[test]
fn a_table_that_is_not_there_is_refused() {
    let ran = run(&mut oxinetd(&[
        "serve",
        "--config",
        "/nonexistent/services.toml",
    ]));
    assert_eq!(ran.code, Some(78));
    assert!(
        ran.stderr.contains("/nonexistent/services.toml"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_ready_descriptor_gets_one_newline_after_all_listen() {
    // The first descriptor that is free in sh, as a service manager would choose it.
    check_ready("/bin/sh", "exec SERVE --ready-fd 7 7>&1 >/dev/null");
}

#[test]
fn a_ready_descriptor_above_the_limit_is_told_too() {
    // Who starts the server may have had more.
    for limit in ["64:4096", "64:64"] {
        let script = "exec 70>&1 >/dev/null; exec prlimit --nofile=LIMIT SERVE --ready-fd 70";
        check_ready("/bin/bash", &script.replace("LIMIT", limit));
    }
}

/// Has a shell start a server that is to tell of its readiness on the shell's standard output.
#[track_caller]
fn check_ready(shell: &str, script: &str) {
    let directory = Directory::new();
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let table = "[service.a]\nlisten = \"127.0.0.1:0\"\ncommand = [\"/bin/cat\"]\n";
    let path = directory.file("services.toml", table);
    let serve = format!("{OXINETD} serve --config {path} --control none");
    let mut child = std::process::Command::new(shell);
    child
        .args(["-c", &script.replace("SERVE", &serve)])
        .stdout(writer)
        .stderr(std::process::Stdio::piped());
    let mut running = child.spawn().unwrap();
    // It has the pipe's other end.
    drop(child);
    let child = &mut running;
    let log = Log::follow(child.stderr.take().unwrap());
    let mut text = String::new();
    // To its end: it is closed after the newline.
    std::io::Read::read_to_string(&mut std::fs::File::from(reader), &mut text).unwrap();
    assert_eq!(text, "\n");
    log.wait_for(|line| line.event() == "ready");
    let address = log
        .lines()
        .iter()
        .find_map(|line| line.field("address").map(String::from));
    Client::connect(&address.expect("listening"))
        .send("a")
        .expect("a")
        .half_close()
        .expect_end();
    signal(child.id(), Signal::SIGTERM);
    assert!(child.wait().unwrap().success());
}
