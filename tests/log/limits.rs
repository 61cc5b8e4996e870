//! Lines that clients can cause are limited, and counted exactly.

use crate::harness::*;
use std::time::{Duration, Instant};

/// So many clients of a service, each to its end.
fn ask(server: &Server, service: &str, clients: usize) {
    const AT_ONCE: usize = 10;
    let address = server.address(service, "");
    std::thread::scope(|scope| {
        for thread in 0..AT_ONCE {
            let address = &address;
            scope.spawn(move || {
                for _ in (thread..clients).step_by(AT_ONCE) {
                    Client::connect(address).half_close().read_all();
                }
            });
        }
    });
}

/// How many lines of the log so far tell of this event of this service.
fn lines(server: &Server, event: &str, service: &str) -> usize {
    let begins = |line: &Line| line.event().split(' ').next() == Some(event);
    let is_of = |line: &Line| begins(line) && line.field("service") == Some(service);
    server.log().count(is_of)
}

#[test]
fn what_is_too_much_is_told_at_a_reload_and_when_the_time_is_over() {
    let server = server()
        .service(
            "a",
            "command = [\"/bin/true\"]\ndirectory = \"/nonexistent\"",
        )
        .start();
    ask(&server, "a", 100);
    // A client may see its end before the server has taken leave of the child.
    until("all have failed", || {
        server.status().of("a")["failed"] == serde_json::json!({"directory": 100})
    });
    server.reload();
    let told = server.log().wait_for(|line| line.is("left-out", "a"));
    assert_eq!(told.field("kind"), Some("not-started"));
    assert_eq!(told.number("lines"), 80);
    assert_eq!(lines(&server, "cannot", "a"), 20);
    ask(&server, "a", 7);
    // Nothing happens that could wake the server but its own timer.
    let told = server
        .log()
        .wait_for_many(2, |line| line.is("left-out", "a"));
    assert_eq!(told[1].number("lines"), 7);
    assert_eq!(lines(&server, "cannot", "a"), 20);
    // The next window has lines again.
    ask(&server, "a", 1);
    server
        .log()
        .wait_for_many(21, |line| line.0.starts_with("cannot start a"));
    assert_eq!(server.stop().of("a", "failed"), 108);
}

#[test]
fn sessions_are_counted_but_the_end_of_a_program_is_always_written() {
    const CLIENTS: usize = 2100;
    let server = server()
        .service("program", "command = [\"/bin/true\"]")
        .service("builtin", "builtin = \"daytime\"")
        .start();
    let log = server.log().clone();
    let since = Instant::now();
    ask(&server, "program", CLIENTS);
    ask(&server, "builtin", CLIENTS);
    server.wait_ends("program", CLIENTS);
    let took = since.elapsed();
    let totals = server.stop();
    let of = |event: &str, service: &str| log.count(|line| line.is(event, service)) as u64;
    let left_out = |kind: &str, service: &str| -> u64 {
        let is_of = |line: &&Line| line.is("left-out", service) && line.field("kind") == Some(kind);
        let lines = log.lines();
        lines
            .iter()
            .filter(is_of)
            .map(|it| it.number("lines"))
            .sum()
    };
    assert_eq!(totals.of("program", "launched"), CLIENTS as u64);
    assert_eq!(totals.of("builtin", "answered"), CLIENTS as u64);
    let pairs = ["program", "builtin"].map(|service| {
        ["start", "end"].map(|event| (of(event, service), left_out(event, service)))
    });
    let many = CLIENTS as u64;
    assert_eq!(pairs[0][1], (many, 0), "the end of a program");
    for (written, left_out) in pairs.into_iter().flatten() {
        assert_eq!(written + left_out, many);
    }
    // On a machine that needs more than one window for this, more lines are written.
    if took < Duration::from_secs(9) {
        let some = (2000, 100);
        assert_eq!(pairs, [[some, (many, 0)], [some, some]]);
    }
}

#[test]
fn refusals_are_told_by_reason() {
    let server = server()
        .service("a", "builtin = \"echo\"\ndeny = [\"127.0.0.1\"]")
        .service("b", "command = [\"/bin/true\"]\ndeny = [\"127.0.0.1\"]")
        .start();
    let log = server.log().clone();
    for service in ["a", "b"] {
        ask(&server, service, 100);
        server
            .log()
            .wait_for_many(20, |line| line.is("refused", service));
    }
    // The worker has told of all that it refused when it has let go of its listeners.
    let totals = server.stop();
    for service in ["a", "b"] {
        assert_eq!(totals.of(service, "refused"), 100);
        assert_eq!(log.count(|line| line.is("refused", service)), 20);
        let told = log.wait_for(|line| line.is("left-out", service));
        assert_eq!(
            (
                told.field("kind"),
                told.field("reason"),
                told.number("lines")
            ),
            (Some("refused"), Some("denied"), 80)
        );
    }
}
