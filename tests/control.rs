//! The control socket: what callers see and can do, over the socket itself and by the commands.

mod access;
mod commands;
mod crowds;
mod events;
mod reloads;

use crate::harness::*;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const CAT: &str = "command = [\"/bin/cat\"]";
const ECHO: &str = "builtin = \"echo\"";

/// The last line of an answer.
#[track_caller]
fn last(lines: Vec<Value>) -> Value {
    lines.into_iter().next_back().expect("a line")
}

/// Does something, and it is done.
#[track_caller]
fn act(server: &Server, request: &str) -> Value {
    let answer = last(server.ask(request));
    assert_eq!(answer["done"], true, "{answer}");
    answer
}

#[track_caller]
fn state(server: &Server, service: &str) -> String {
    server.status().of(service)["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn status_tells_what_a_service_does_and_has_done() {
    let server = server()
        .service("cat", &format!("{CAT}\nmax_connections = 2"))
        .service(
            "bad",
            "command = [\"/bin/sh\"]\ndirectory = \"/nonexistent\"",
        )
        .service("off", &format!("{CAT}\nenabled = false"))
        .service("elsewhere", &format!("listen = \"192.0.2.1:9\"\n{CAT}"))
        .service("udp", &format!("listen = \"udp:127.0.0.1:0\"\n{ECHO}"))
        .start();
    let clients = [
        server.connect("cat"),
        server.connect("cat"),
        server.connect("cat"),
    ];
    clients[..2]
        .iter()
        .for_each(|it| _ = it.send("a").expect("a"));
    server.connect("bad").expect_end();
    server
        .log()
        .wait_for(|line| line.0.starts_with("cannot start bad"));
    until("the third waits", || {
        server.status().of("cat")["queued"] == 1
    });
    let status = server.status();
    let cat = status.of("cat");
    assert_eq!(cat["state"], "full");
    assert_eq!((&cat["live"], &cat["limit"]), (&json!(2), &json!(2)));
    assert_eq!((&cat["accepted"], &cat["launched"]), (&json!(2), &json!(2)));
    assert_eq!(cat["addresses"], json!([server.address("cat", "")]));
    let bad = status.of("bad");
    assert_eq!(
        (&bad["accepted"], &bad["failed"]),
        (&json!(1), &json!({"directory": 1}))
    );
    let failure = bad["last_failure"]["text"].as_str().unwrap();
    assert!(
        failure.starts_with("cannot start bad: directory /nonexistent: "),
        "{failure}"
    );
    assert_eq!(status.of("off")["state"], "disabled");
    let elsewhere = status.of("elsewhere");
    assert_eq!(elsewhere["state"], "not_bound");
    assert_eq!(elsewhere["not_bound"][0]["errno"], "EADDRNOTAVAIL");
    assert!(elsewhere["until"].as_u64() >= elsewhere["since"].as_u64());
    assert_eq!(status.of("udp")["queued"], Value::Null);
    assert_eq!(status.server()["pid"], server.pid());
    assert_eq!(status.server()["live"], 2);
    drop(clients);
    until("it has room again", || state(&server, "cat") == "listening");
    server.stop();
}

#[test]
fn list_tells_who_is_there() {
    let server = server()
        .service("cat", CAT)
        .service("echo", ECHO)
        .service("unix", &format!("listen = \"unix:{{dir}}/cat\"\n{CAT}"))
        .start();
    let (cat, echo, unix) = (
        server.connect("cat"),
        server.connect("echo"),
        server.connect("unix"),
    );
    for client in [&cat, &echo, &unix] {
        client.send("a").expect("a");
    }
    // The worker tells of those who come together.
    server.log().wait_for(|line| line.is("start", "echo"));
    let mut lines = server.ask(r#"{"do":"list"}"#);
    assert_eq!(lines.pop().unwrap()["done"], true);
    let of = |service: &str| lines.iter().find(|it| it["service"] == service).unwrap();
    assert_eq!(of("cat")["peer"], format!("127.0.0.1:{}", cat.port()));
    let started = server.wait_start("cat");
    assert_eq!(of("cat")["pid"], started.number("pid"));
    assert_eq!(of("cat")["id"], started.field("id").unwrap());
    assert_eq!(
        (&of("echo")["pid"], &of("echo")["id"]),
        (&Value::Null, &json!("1.1"))
    );
    let peer = of("unix")["peer"].as_str().unwrap();
    assert!(peer.starts_with("unix:uid="), "{peer}");
    assert_eq!(lines.len(), 3);
    assert_eq!(server.ask(r#"{"do":"list","service":"cat"}"#).len(), 2);
    drop((cat, echo, unix));
    server.stop();
}

#[test]
fn sessions_are_listed_in_the_order_in_which_they_came() {
    let server = server().service("e", ECHO).service("a", CAT).start();
    let client = |service: &str| {
        let client = server.connect(service);
        client.send("x").expect("x");
        client
    };
    let clients: Vec<_> = (0..11).map(|_| [client("e"), client("a")]).collect();
    server.log().wait_for_many(11, |line| line.is("start", "e"));
    let lines = server.ask(r#"{"do":"list"}"#);
    let ids: Vec<&str> = lines.iter().filter_map(|it| it["id"].as_str()).collect();
    let expected = [
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "1.1", "1.2", "1.3", "1.4", "1.5",
        "1.6", "1.7", "1.8", "1.9", "1.10", "1.11",
    ];
    assert_eq!(ids, expected);
    drop(clients);
    server.stop();
}

#[test]
fn who_has_acted_is_in_the_log() {
    let server = server().service("a", CAT).start();
    act(&server, r#"{"do":"pause","service":"a"}"#);
    let line = server.log().wait_for(|line| line.event() == "control");
    let us = [nix::unistd::geteuid().as_raw(), std::process::id()];
    assert_eq!(line.field("action"), Some("paused a"), "{line}");
    assert_eq!(
        ["uid", "pid"].map(|key| line.number(key) as u32),
        us,
        "{line}"
    );
}

#[test]
fn a_service_that_no_longer_rests_is_resumed_at_once() {
    let waits = "listen = \"127.0.0.1:0\"\ncommand = [\"/bin/false\"]\nwait = true";
    let table = |body: &str| format!("[service.a]\n{body}\n");
    let server = server().table(&table(waits)).start();
    let client = server.connect("a");
    // It would rest for longer than the next client is waited for.
    server
        .log()
        .wait_for(|line| line.0.ends_with("next start in 6.4s"));
    server.reload_with(&table(&format!("listen = \"127.0.0.1:0\"\n{CAT}")));
    client.send("x").expect("x").half_close().expect_end();
    act(&server, r#"{"do":"pause","service":"a"}"#);
    act(&server, r#"{"do":"resume","service":"a"}"#);
    let begin = std::time::Instant::now();
    let next = server.connect("a");
    next.send("x").expect("x").half_close().expect_end();
    assert!(begin.elapsed() < AT_ONCE);
    server.settle();
    server.stop();
}

#[test]
fn a_paused_service_lets_its_clients_wait() {
    for body in [CAT, ECHO] {
        let server = server().service("a", body).service("b", CAT).start();
        let session = server.connect("a");
        session.send("x").expect("x");
        act(&server, r#"{"do":"pause","service":"a"}"#);
        assert_eq!(state(&server, "a"), "paused");
        let waiting = server.connect("a");
        waiting.send("y");
        until("it waits", || server.status().of("a")["queued"] == 1);
        // Sessions go on, other services do, and a reload changes nothing.
        session.send("z").expect("z");
        server
            .connect("b")
            .send("q")
            .expect("q")
            .half_close()
            .expect_end();
        server.reload();
        assert_eq!(server.status().of("a")["queued"], 1);
        act(&server, r#"{"do":"resume","service":"a"}"#);
        waiting.expect("y");
        assert_eq!(state(&server, "a"), "listening");
        let action = |line: &Line| line.event() == "control" && line.field("service") == Some("a");
        assert_eq!(server.log().wait_for_many(2, action).len(), 2);
        drop((session, waiting));
        server.stop();
    }
}

#[test]
fn a_pause_ends_by_itself() {
    let server = server().service("a", CAT).start();
    let answer = act(&server, r#"{"do":"pause","service":"a","seconds":1}"#);
    assert!(answer["until"].as_u64().is_some(), "{answer}");
    let client = server.connect("a");
    client.send("x").expect("x");
    server.log().wait_for(|line| line.is("resumed", "a"));
    drop(client);
    server.stop();
}

#[test]
fn draining_waits_for_the_last_session() {
    let server = server().service("a", CAT).service("e", ECHO).start();
    for service in ["a", "e"] {
        let client = server.connect(service);
        client.send("x").expect("x");
        // The worker tells of its clients a little later.
        server.wait_start(service);
        let request = format!(r#"{{"do":"drain","service":"{service}","seconds":0}}"#);
        let answer = last(server.ask(&request));
        assert_eq!(answer["exit"], 75, "{answer}");
        let says = format!("1 session of {service} is live after 0s; it stays paused");
        assert_eq!(answer["error"], says);
        let mut control = server.control();
        let request = request.replace(":0}", ":60}");
        std::thread::scope(|scope| {
            let draining = scope.spawn(|| last(ask(&mut control, &request)));
            assert_eq!(state(&server, service), "paused");
            drop(client);
            assert_eq!(draining.join().unwrap()["done"], true);
        });
        assert_eq!(server.status().of(service)["live"], 0);
    }
    server.stop();
}

#[test]
fn draining_ends_when_somebody_else_resumes() {
    let server = server().service("a", CAT).service("e", ECHO).start();
    for service in ["a", "e"] {
        let client = server.connect(service);
        client.send("x").expect("x");
        // The worker tells of its sessions a moment later.
        until("it is told of", || server.status().of(service)["live"] == 1);
        let mut control = server.control();
        let request = format!(r#"{{"do":"drain","service":"{service}","seconds":3600}}"#);
        std::thread::scope(|scope| {
            let draining = scope.spawn(|| last(ask(&mut control, &request)));
            until("it is paused", || state(&server, service) == "paused");
            act(
                &server,
                &format!(r#"{{"do":"resume","service":"{service}"}}"#),
            );
            let answer = draining.join().unwrap();
            let says = format!("{service} was resumed by somebody else");
            assert_eq!(answer, json!({"error": says, "exit": 75}));
        });
        client.send("y").expect("y");
    }
    server.stop();
}

#[test]
fn sessions_are_killed_by_id_by_service_and_by_source() {
    let server = server().service("a", CAT).service("e", ECHO).start();
    let kill = |target: Value, signal: &str| {
        let request = json!({"do": "kill", "target": target, "signal": signal});
        last(server.ask(&request.to_string()))
    };
    let client = |service: &str| {
        let client = server.connect(service);
        client.send("x").expect("x");
        client
    };
    let (one, two) = (client("a"), client("a"));
    let id = server.wait_start("a").field("id").unwrap().to_owned();
    assert_eq!(kill(json!({"id": id}), "TERM")["count"], 1);
    one.expect_end();
    server.wait_end("a");
    two.send("y").expect("y");
    assert_eq!(
        kill(json!({"from": ["127.0.0.1", 32]}), "KILL")["did"],
        "sent KILL to 1 session from 127.0.0.1"
    );
    two.expect_end();
    let ends = server.wait_ends("a", 2);
    let mut ends: Vec<_> = ends.iter().map(|it| it.field("status").unwrap()).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["signal:KILL", "signal:TERM"]);

    let builtins: Vec<Client> = (0..3).map(|_| client("e")).collect();
    // The worker tells of several together.
    server.log().wait_for_many(3, |line| line.is("start", "e"));
    assert_eq!(kill(json!({"id": "1.2"}), "TERM")["count"], 1);
    server.wait_end("e");
    assert_eq!(
        kill(json!({"from": ["127.0.0.0", 8]}), "TERM")["did"],
        "closed 2 sessions from 127.0.0.0/8"
    );
    builtins.iter().for_each(|it| drop(it.read(1)));
    let ends = server.wait_ends("e", 3);
    assert!(
        ends.iter().all(|it| it.field("reason") == Some("killed")),
        "{ends:?}"
    );
    assert_eq!(kill(json!({"from": ["10.0.0.0", 8]}), "TERM")["exit"], 66);
    assert_eq!(kill(json!({"service": "b"}), "TERM")["exit"], 66);
    server.stop();
}

#[test]
fn a_killed_program_takes_its_children_along() {
    let sleeper = r#"command = ["/bin/sh", "-c", "sleep 1000 & echo $!; wait"]"#;
    let server = server().service("a", sleeper).start();
    let client = server.connect("a");
    let child: u32 = client.read_line().parse().unwrap();
    act(
        &server,
        r#"{"do":"kill","target":{"service":"a"},"signal":"TERM"}"#,
    );
    until("the program's child is gone too", || !is_running(child));
    server.wait_end("a");
    server.stop();
}

#[test]
fn a_program_that_fails_is_told_as_backing_off() {
    let server = server()
        .service("a", "wait = true\ncommand = [\"/bin/false\"]")
        .start();
    let _client = server.connect("a");
    until("it rests", || {
        let status = server.status();
        let a = status.of("a");
        a["state"] == "backing_off" && a["until"].as_u64() >= a["since"].as_u64()
    });
    let failure = server.status().of("a")["last_failure"]["text"].clone();
    assert!(
        failure.as_str().unwrap().contains("left something waiting"),
        "{failure}"
    );
    server.stop();
}

#[test]
fn the_socket_is_there_for_one_server_at_a_time() {
    let mut first = server().service("a", CAT).start();
    let control = first.directory().join("control");
    let table = first.directory().join("services.toml");
    let words = ["serve", "--config", &table, "--control", &control];
    let second = run(&mut oxinetd(&words));
    assert_eq!(second.code, Some(75));
    assert!(second.stderr.contains(&control), "{}", second.stderr);
    assert!(
        !second.stderr.contains("listening"),
        "it has bound nothing: {}",
        second.stderr
    );
    // Killed it leaves the socket behind, which the next server replaces.
    first.leave_programs();
    let directory = first.kill();
    assert!(std::path::Path::new(&control).exists());
    let mut third = Daemon::start(&words);
    assert_eq!(third.address(0).split(':').next(), Some("127.0.0.1"));
    third.signal(Signal::SIGTERM);
    third.wait();
    assert!(!std::path::Path::new(&control).exists());
    drop(directory);
}
