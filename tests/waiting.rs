//! `wait` programs: they are given the socket itself, and are not trusted with it.

use crate::harness::*;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// A program that serves one client of the listening socket on 0, then does this.
fn one_client(then: &str) -> String {
    format!(
        "command = [\"{{probe}}\", \"--only\", \"umask\", \"--to\", \"accepted\"{then}]\nwait = true"
    )
}

/// A program that answers one datagram, then does this.
fn one_datagram(then: &str) -> String {
    format!("command = [\"{{probe}}\", \"--only\", \"umask\", \"--to\", \"sender\"{then}]")
}

const ANSWER: &str = "umask 022\n";

#[test]
fn a_program_takes_one_client_after_another_from_its_socket() {
    let body = one_client(", \"--then\", \"echo\"");
    let server = server()
        .service("tcp", &body)
        .service("six", &format!("listen = \"[::1]:0\"\n{body}"))
        .service("unix", &format!("listen = \"unix:{{dir}}/s\"\n{body}"))
        .service(
            "seqpacket",
            &format!("listen = \"unix-seqpacket:{{dir}}/q\"\n{body}"),
        )
        .start();
    for name in ["tcp", "six", "unix", "seqpacket"] {
        let both = [server.connect(name), server.connect(name)];
        for client in both {
            client
                .expect(ANSWER)
                .send("hi")
                .expect("hi")
                .half_close()
                .expect_end();
        }
        server.wait_ends(name, 2);
        assert_eq!(server.log().count(|line| line.is("start", name)), 2);
    }
    let totals = server.stop();
    assert_eq!(
        (totals.of("tcp", "starts"), totals.of("tcp", "accepted")),
        (2, 0)
    );
}

#[test]
fn a_program_takes_datagrams_from_its_socket() {
    let body = one_datagram("");
    let server = server()
        .service("udp", &format!("listen = \"udp:127.0.0.1:0\"\n{body}"))
        .service("six", &format!("listen = \"udp:[::1]:0\"\n{body}"))
        .service(
            "unix",
            &format!("listen = \"unix-dgram:{{dir}}/d\"\n{body}"),
        )
        .start();
    for name in ["udp", "six", "unix"] {
        for _ in 0..3 {
            server.udp(name).send("?").expect(ANSWER);
        }
        server.wait_ends(name, 3);
    }
    assert_eq!(server.stop().of("udp", "starts"), 3);
}

#[test]
fn one_program_at_a_time_has_the_socket() {
    let server = server()
        .service("a", &one_client(", \"--then\", \"drain\""))
        .start();
    let clients: Vec<Client> = (0..5).map(|_| server.connect("a")).collect();
    for (n, client) in clients.iter().enumerate() {
        client.expect(ANSWER);
        assert_eq!(server.log().count(|line| line.is("end", "a")), n);
        client.half_close().expect_end();
        server.wait_ends("a", n + 1);
    }
    server.stop();
}

#[test]
fn listen_fds_are_all_sockets_of_the_service() {
    let server = server()
        .service(
            "a",
            r#"listen = ["127.0.0.1:0", "[::1]:0", "udp:127.0.0.1:0"]
command = ["{probe}", "--only", "umask", "--to", "listen-fds"]
wait = true
pass = "listen_fds""#,
        )
        .start();
    for begins in ["127.", "[::1]", "127."] {
        let address = server.address("a", begins);
        assert_eq!(Client::connect(&address).read_text(), ANSWER);
    }
    server.udp("a").send("?").expect(ANSWER);
    server.wait_ends("a", 4);
    assert_eq!(server.stop().of("a", "starts"), 4);
}

// Programs that take nothing.

/// Clients that are served are not held up, however many wait.
#[track_caller]
fn check_no_pause(server: &Server) {
    let pauses = server.log().count(|line| line.0.contains("next start in"));
    assert_eq!(pauses, 0, "its program has taken one each time");
}

#[test]
fn a_program_that_takes_one_while_another_comes_does_not_back_off() {
    let server = server()
        .service("a", &one_client(", \"--then\", \"drain\""))
        .start();
    let mut first = server.connect("a");
    for turn in 1..=5 {
        first.expect(ANSWER);
        // As many wait when the program ends as when it was started.
        let next = server.connect("a");
        first.half_close().expect_end();
        server.wait_ends("a", turn);
        first = next;
    }
    first.expect(ANSWER).half_close().expect_end();
    server.wait_ends("a", 6);
    check_no_pause(&server);
    server.stop();
}

#[test]
fn a_program_that_takes_one_of_many_like_datagrams_does_not_back_off() {
    let server = server()
        .service(
            "a",
            &format!("listen = \"udp:127.0.0.1:0\"\n{}", one_datagram("")),
        )
        .start();
    let client = server.udp("a");
    (0..5).for_each(|_| {
        client.send("again");
    });
    (0..5).for_each(|_| {
        client.expect(ANSWER);
    });
    server.wait_ends("a", 5);
    check_no_pause(&server);
    server.stop();
}

/// The log tells of pauses that double from 0.1 s since the clients came, and of no other start.
#[track_caller]
fn check_backoff(server: &Server, since: Instant) {
    let begins = "the program of a ended and left something waiting; next start in ";
    let is_pause = |line: &Line| line.0.starts_with(begins);
    let pauses: Vec<String> = server
        .log()
        .wait_for_many(4, is_pause)
        .iter()
        .map(|line| line.0[begins.len()..].into())
        .collect();
    assert_eq!(pauses, ["0.1s", "0.2s", "0.4s", "0.8s"]);
    assert!(
        since.elapsed() > Duration::from_millis(700),
        "the pauses were not kept"
    );
    let starts = server.log().count(|line| line.is("start", "a"));
    assert!(starts <= 5, "{starts} starts");
}

fn taking_nothing(listen: &str) -> Server {
    let body = format!("listen = {listen}\ncommand = [\"/bin/true\"]\nwait = true");
    server()
        .service("a", &body)
        .service("other", r#"builtin = "echo""#)
        .start()
}

#[test]
fn a_tcp_program_that_accepts_nobody_backs_off() {
    let server = taking_nothing("\"127.0.0.1:0\"");
    let since = Instant::now();
    let _client = server.connect("a");
    check_backoff(&server, since);
    server
        .connect("other")
        .send("hi")
        .expect("hi")
        .half_close()
        .expect_end();
    server.settle();
    server.stop();
}

#[test]
fn a_unix_program_that_accepts_nobody_backs_off() {
    for listen in ["\"unix:{dir}/s\"", "\"unix-seqpacket:{dir}/q\""] {
        let server = taking_nothing(listen);
        let since = Instant::now();
        let _clients = [server.connect("a"), server.connect("a")];
        check_backoff(&server, since);
        server.stop();
    }
}

/// What `status` says went wrong last.
fn last_failure(server: &Server, service: &str) -> String {
    let status = server.status();
    let text = &status.of(service)["last_failure"]["text"];
    text.as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_datagram_that_no_run_takes_is_dropped_and_the_next_client_is_served() {
    let script = "if [ -e {dir}/works ]; then exec {probe} --only umask --to sender; fi; exit 1";
    let body =
        format!("listen = \"udp:127.0.0.1:0\"\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]");
    let server = server().service("a", &body).start();
    let poison = server.udp("a");
    let since = Instant::now();
    poison.send("poison");
    let dropped = server.log().wait_for(|line| line.0.contains("dropped it"));
    assert!(since.elapsed() > Duration::from_millis(700));
    let address = server.address("a", "");
    let words = format!(
        "the program of a ended again and again without taking the datagram that waited first \
         ({address}); dropped it"
    );
    assert!(dropped.0.starts_with(&words), "{dropped}");
    let peer = format!("127.0.0.1:{}", poison.port());
    assert_eq!(dropped.field("peer"), Some(peer.as_str()));
    assert_eq!(last_failure(&server, "a"), words);
    // The next need not wait.
    assert!(!dropped.0.contains("next start in"), "{dropped}");
    server.directory().file("works", "");
    server.udp("a").send("?").expect(ANSWER);
    server.wait_ends("a", 5);
    assert_eq!(server.stop().of("a", "starts"), 5);
}

#[test]
fn datagrams_that_no_run_takes_are_dropped_at_the_pace_of_the_pauses() {
    for listen in ["\"udp:127.0.0.1:0\"", "\"unix-dgram:{dir}/d\""] {
        let server = taking_nothing(listen);
        check_drops(&server);
        server.stop();
    }
}

#[track_caller]
fn check_drops(server: &Server) {
    let client = server.udp("a");
    (0..3).for_each(|_| {
        client.send("?");
    });
    let lines = server
        .log()
        .wait_for_many(3, |line| line.0.contains("dropped it"));
    let rests: Vec<Option<&str>> = lines
        .iter()
        .map(|line| Some(line.0.split_once("next start in ")?.1))
        .map(|rest| rest?.split(' ').next())
        .collect();
    assert_eq!(rests, [None, Some("1.6s"), Some("3.2s")]);
    assert_eq!(server.log().count(|line| line.is("start", "a")), 6);
}

#[test]
fn a_program_that_looks_at_the_wrong_one_of_its_sockets_backs_off() {
    let body = "listen = [\"127.0.0.1:0\", \"[::1]:0\"]\npass = \"listen_fds\"\ncommand = [\"/bin/true\"]\nwait = true";
    let server = server().service("a", body).start();
    let since = Instant::now();
    let _client = Client::connect(&server.address("a", "[::1]"));
    check_backoff(&server, since);
    server.stop();
}

#[test]
fn a_program_that_cannot_be_started_backs_off() {
    let server = server()
        .service("a", &(one_client("") + "\ndirectory = \"{dir}/gone\""))
        .start();
    let client = server.connect("a");
    let gone = server.directory().join("gone");
    let expected = format!("cannot start a: directory {gone}: no such file or directory (ENOENT)");
    let failures = server
        .log()
        .wait_for_many(3, |line| line.0.starts_with(&expected));
    assert_eq!(failures.len(), 3);
    server.directory().directory("gone");
    client.expect(ANSWER).expect_end();
    server.wait_ends("a", 1);
    assert!(server.stop().of("a", "failed_starts") >= 3);
}

#[test]
fn a_program_that_takes_again_is_trusted_again() {
    let script = "if [ -e {dir}/works ]; then exec {probe} --only umask --to accepted; fi; exit 1";
    let body = format!("command = [\"/bin/sh\", \"-c\", \"{script}\"]\nwait = true");
    let server = server().service("a", &body).start();
    let client = server.connect("a");
    let pauses = |line: &Line| line.0.contains("next start in");
    server.log().wait_for_many(2, pauses);
    server.directory().file("works", "");
    client.expect(ANSWER).expect_end();
    // The client sees the end before the server.
    server
        .log()
        .wait_for(|line| line.is("end", "a") && line.field("status") == Some("exit:0"));
    let before = server.log().count(pauses);
    std::fs::remove_file(server.directory().join("works")).unwrap();
    let mark = server.log().mark();
    let _client = server.connect("a");
    let first = server.log().wait_after(mark, pauses);
    assert!(
        first.0.ends_with("next start in 0.1s"),
        "after {before} pauses: {first}"
    );
    server.stop();
}

// Programs that spoil what they were lent.

/// The next client is served, at the same address, and the log says what was done to the socket.
#[track_caller]
fn check_spoilt(listen: &str, how: &str, words: &str) {
    let then = format!(", \"--then\", \"{how}\"");
    let is_datagram = listen.contains("udp") || listen.contains("dgram");
    let program = if is_datagram {
        one_datagram(&then)
    } else {
        one_client(&then)
    };
    let server = server()
        .service("a", &format!("listen = {listen}\n{program}"))
        .start();
    let address = server.address("a", "");
    for _ in 0..3 {
        let (mark, since) = (server.log().mark(), Instant::now());
        if is_datagram {
            UdpClient::connect(&address, server.directory())
                .send("?")
                .expect(ANSWER);
        } else {
            Client::connect(&address).expect(ANSWER).expect_end();
        }
        assert!(since.elapsed() < AT_ONCE);
        server.log().wait_after(mark, |line| line.event() == "end");
        let expected = format!("the program of a spoilt its socket ({address}): {words}");
        server.log().wait_after(mark, |line| line.0 == expected);
        assert_eq!(last_failure(&server, "a"), expected);
        if words.ends_with("made anew") {
            server
                .log()
                .wait_after(mark, |line| line.is("listening", "a"));
        }
    }
    assert!(
        server.addresses("a").iter().all(|now| *now == address),
        "{:?}",
        server.addresses("a")
    );
    assert_eq!(server.log().count(|line| line.0.contains("spoilt")), 3);
    server.stop();
}

#[test]
fn a_listener_that_was_shut_down_is_made_anew() {
    let words = "it does not listen any more; made anew";
    check_spoilt(&format!("\"127.0.0.1:{}\"", free_port()), "shutdown", words);
    check_spoilt("\"unix:{dir}/s\"", "shutdown", words);
}

#[test]
fn a_listener_whose_port_was_chosen_keeps_it_when_it_is_made_anew() {
    check_spoilt(
        "\"127.0.0.1:0\"",
        "shutdown",
        "it does not listen any more; made anew",
    );
}

#[test]
fn a_udp_socket_that_was_connected_is_made_anew() {
    let words = "it is connected to one peer; made anew";
    check_spoilt(
        &format!("\"udp:127.0.0.1:{}\"", free_port()),
        "connect",
        words,
    );
    check_spoilt(&format!("\"udp4:{}\"", free_port()), "connect", words);
    check_spoilt("\"udp:127.0.0.1:0\"", "connect", words);
}

#[test]
fn a_socket_with_a_filter_is_made_anew() {
    let words = "a filter is attached to it; made anew";
    check_spoilt(
        &format!("\"udp:127.0.0.1:{}\"", free_port()),
        "filter",
        words,
    );
    // Of a listener only root may.
    if !without_root("attaches a filter to a listener") {
        let listen = format!("\"127.0.0.1:{}\"\nuser = \"root\"", free_port());
        check_spoilt(&listen, "filter", words);
    }
}

#[test]
fn a_socket_that_no_longer_blocks_is_put_right() {
    let words = "it does not block any more; put right";
    check_spoilt("\"127.0.0.1:0\"", "nonblock", words);
    check_spoilt("\"udp:127.0.0.1:0\"", "nonblock", words);
}

#[test]
fn a_socket_is_blocking_whatever_the_program_before_did() {
    let body = "command = [\"{probe}\", \"--only\", \"fds\", \"--to\", \"accepted\", \"--then\", \"nonblock\"]\nwait = true";
    let server = server().service("a", body).start();
    let fds: Vec<String> = (0..2).map(|_| server.connect("a").read_text()).collect();
    assert!(fds[0].contains("fd 0"), "{}", fds[0]);
    assert_eq!(
        fds[1].to_lowercase().contains("nonblock"),
        fds[0].to_lowercase().contains("nonblock"),
        "{fds:?}"
    );
    server.wait_ends("a", 2);
    server.stop();
}

#[test]
fn a_program_that_spoils_and_takes_nothing_backs_off() {
    let body = "listen = \"udp:127.0.0.1:0\"\ncommand = [\"{probe}\", \"--only\", \"\", \"--to\", \"none\", \"--then\", \"connect\"]";
    let server = server()
        .service("a", body)
        .service("other", r#"builtin = "echo""#)
        .start();
    let client = server.udp("a");
    let since = Instant::now();
    let is_pause = |line: &Line| line.0.contains("next start in 0.8s");
    until("it has backed off four times", || {
        // While the socket is made anew there is none.
        let _ = nix::sys::socket::send(
            client.fd().as_raw_fd(),
            b"?",
            nix::sys::socket::MsgFlags::MSG_DONTWAIT,
        );
        server.log().count(is_pause) > 0
    });
    assert!(
        since.elapsed() > Duration::from_millis(700),
        "the pauses were not kept"
    );
    server
        .connect("other")
        .send("hi")
        .expect("hi")
        .half_close()
        .expect_end();
    server.settle();
    server.stop();
}

// Programs that go to the background.

fn in_time(server: &Server, answer: &str) {
    let since = Instant::now();
    server.connect("a").expect(answer).expect_end();
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
}

#[test]
fn a_program_that_serves_in_the_background_is_left_alone_with_its_clients() {
    let body = "command = [\"{probe}\", \"--only\", \"\", \"--to\", \"none\", \"--then\", \"background\"]\nwait = true";
    let mut server = server().service("a", body).start();
    in_time(&server, "background\n");
    let begins = "the program of a went to the background and kept its socket (pid ";
    let line = server.log().wait_for(|line| line.0.starts_with(begins));
    let pid = line.0[begins.len()..].split(')').next().unwrap();
    assert_eq!(
        last_failure(&server, "a").split(';').next(),
        line.0.split(';').next()
    );
    (0..5).for_each(|_| in_time(&server, "background\n"));
    assert_eq!(server.log().count(|line| line.is("start", "a")), 1);
    // When it is gone another is started.
    signal(pid.parse().unwrap(), nix::sys::signal::Signal::SIGKILL);
    until("it is gone", || !is_running(pid.parse().unwrap()));
    in_time(&server, "background\n");
    let again = server
        .log()
        .wait_for_many(2, |line| line.0.starts_with(begins));
    let pid = again[1].0[begins.len()..].split(')').next().unwrap();
    signal(pid.parse().unwrap(), nix::sys::signal::Signal::SIGKILL);
    server.leave_programs();
    server.stop();
}

#[test]
fn a_process_that_only_keeps_the_socket_does_not_keep_the_clients() {
    let script = "exec 5<&0; sleep 20 & exec {probe} --only umask --to accepted";
    let body = format!("command = [\"/bin/sh\", \"-c\", \"{script}\"]\nwait = true");
    let mut server = server().service("a", &body).start();
    (0..3).for_each(|_| in_time(&server, ANSWER));
    server.wait_ends("a", 3);
    let holders = server
        .log()
        .count(|line| line.0.contains("went to the background"));
    assert!(holders > 0);
    server.leave_programs();
    server.stop();
}
