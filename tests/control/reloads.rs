//! `reload`: the caller is told what has come of it.

use super::*;
use std::net::TcpListener;

const TABLE: &str = r#"
[service.a]
listen = "127.0.0.1:0"
command = ["/bin/cat"]
[service.b]
listen = "127.0.0.1:0"
command = ["/bin/cat"]
deny = ["10.0.0.0/8"]
"#;

/// With `b` changed, `c` instead of `a`, and an address that is not ours.
const OTHER: &str = r#"
[service.c]
listen = "192.0.2.1:9"
command = ["/bin/cat"]
[service.b]
listen = "127.0.0.1:0"
command = ["/bin/cat"]
deny = ["11.0.0.0/8"]
"#;

fn reload(server: &Server, dry_run: bool) -> Vec<Value> {
    server.ask(&format!(r#"{{"do":"reload","dry_run":{dry_run}}}"#))
}

/// The lines of this kind of change.
fn changes(lines: &[Value], change: &str) -> Vec<String> {
    let such = lines.iter().filter(|it| it["change"] == change);
    such.map(|it| it["service"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_caller_is_told_what_has_changed() {
    let server = server().table(TABLE).start();
    let same = last(reload(&server, false));
    assert_eq!((&same["kept"], &same["changed"]), (&json!(2), &json!(0)));
    server.write_table(OTHER);
    for dry_run in [true, false] {
        let lines = reload(&server, dry_run);
        assert_eq!(changes(&lines, "added"), ["c"]);
        assert_eq!(changes(&lines, "changed"), ["b"]);
        assert_eq!(changes(&lines, "removed"), ["a"]);
        let unbound = lines.iter().find(|it| it["not_bound"].is_string());
        assert_eq!(unbound.is_some(), !dry_run);
        assert_eq!(lines.last().unwrap()["dry_run"], dry_run);
        let is_there = |name: &str| {
            server
                .status()
                .services()
                .iter()
                .any(|it| it["name"] == name)
        };
        assert_eq!((is_there("a"), is_there("c")), (dry_run, !dry_run));
    }
    server.stop();
}

/// A table names users and rules by index, and in another order they have others.
#[test]
fn the_same_services_in_another_order_are_the_same() {
    let of = |name: &str, user: &str, deny: &str| {
        let user = if is_root() { user } else { "" };
        let listen = "listen = \"127.0.0.1:0\"";
        format!("[service.{name}]\n{listen}\n{CAT}\n{user}\ndeny = [\"{deny}\"]\n")
    };
    let a = of("a", "user = \"daemon\"", "10.0.0.0/8");
    let b = of("b", "user = \"nobody\"", "11.0.0.0/8");
    let server = server().table(&format!("{a}{b}")).start();
    server.write_table(&format!("{b}{a}"));
    let same = last(reload(&server, false));
    assert_eq!((&same["kept"], &same["changed"]), (&json!(2), &json!(0)));
    if is_root() {
        let a = of("a", "user = \"nobody\"", "10.0.0.0/8");
        server.write_table(&format!("{b}{a}"));
        assert_eq!(changes(&reload(&server, true), "changed"), ["a"]);
    }
    let a = of("a", "user = \"daemon\"", "11.0.0.0/8");
    server.write_table(&format!("{b}{a}"));
    assert_eq!(changes(&reload(&server, true), "changed"), ["a"]);
    server.stop();
}

#[test]
fn a_caller_is_told_every_mistake_and_nothing_changes() {
    let server = server().table(TABLE).start();
    server.write_table(&TABLE.replace("command", "comand"));
    for dry_run in [true, false] {
        let lines = reload(&server, dry_run);
        let mistakes = lines.iter().filter(|it| it["mistake"].is_string()).count();
        assert!(mistakes >= 2, "{lines:?}");
        assert_eq!(lines.last().unwrap()["exit"], 78);
    }
    let refused = |line: &Line| line.0.starts_with("reload refused");
    server.log().wait_for(refused);
    assert_eq!(
        server.log().count(refused),
        1,
        "a dry run is nobody's reload"
    );
    server
        .connect("a")
        .send("x")
        .expect("x")
        .half_close()
        .expect_end();
    server.stop();
}

/// Everybody is answered by a load that began after the question.
#[test]
fn many_may_ask_at_once() {
    let server = server().table(TABLE).start();
    let mut load = Load::new();
    for dry_run in [false, true, false] {
        let path = server.directory().join("control");
        load.client(move || {
            let stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
            let request = format!(r#"{{"do":"reload","dry_run":{dry_run}}}"#);
            let lines = ask(&mut std::io::BufReader::new(stream), &request);
            assert_eq!(lines.last().unwrap()["done"], true, "{lines:?}");
        });
    }
    let hang_up = || server.signal(Signal::SIGHUP);
    for n in 0..10 {
        hang_up();
        load.more(3);
        let address = format!("10.{n}.0.0/16");
        server.write_table(&TABLE.replace("10.0.0.0/8", &address));
        hang_up();
        load.more(3);
    }
    load.stop();
    server.write_table(OTHER);
    hang_up();
    let lines = reload(&server, false);
    // It may have been put in force by the signal, and then it is the same.
    assert_eq!(lines.last().unwrap()["not_bound"], 1, "{lines:?}");
    assert_eq!(state(&server, "c"), "not_bound");
    server.stop();
}

/// More than are tried in one turn.
#[test]
fn what_is_about_to_be_bound_is_not_told_as_missing() {
    let taken: Vec<TcpListener> = (0..300)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let service = |(n, socket): (usize, &TcpListener)| {
        let address = socket.local_addr().unwrap();
        format!("[service.s{n}]\nlisten = \"{address}\"\n{CAT}\n")
    };
    let table: String = taken.iter().enumerate().map(service).collect();
    let server = server().table(&table).start();
    assert_eq!(last(reload(&server, false))["not_bound"], 300);
    drop(taken);
    assert_eq!(last(reload(&server, false))["not_bound"], 0);
    server.stop();
}

/// The worker has to let go of an address before it is free.
#[test]
fn what_the_worker_lets_go_of_is_not_told_as_missing() {
    let port = free_port();
    let with = |name: &str, ip: &str, body: &str| {
        format!("[service.{name}]\nlisten = \"{ip}:{port}\"\n{body}\n")
    };
    let server = server().table(&with("e", "0.0.0.0", ECHO)).start();
    server
        .log()
        .wait_for(|line| line.event() == "worker-started");
    server.write_table(&with("f", "127.0.0.1", CAT));
    let lines = reload(&server, false);
    assert_eq!(lines.last().unwrap()["not_bound"], 0, "{lines:?}");
    Client::connect(&format!("127.0.0.1:{port}"))
        .send("x")
        .expect("x")
        .half_close()
        .expect_end();
    server.stop();
}
