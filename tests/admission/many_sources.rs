//! Very many sources, one after the other: all are served, what is known of them takes no more
//! memory, and the one that has used its rate up is not excused by the others.

use super::{check_served, other};
use crate::harness::*;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

/// After the first so many, memory is as it will be.
const SOURCES: (u32, u32) = (25_000, 50_000);
const THREADS: usize = 8;
/// What memory may grow by from there on, in KiB. A table that keeps all of them grows by 1,500.
const GROWTH: u64 = 512;

/// Each client a source of its own.
fn visit(address: &str, sources: std::ops::Range<u32>, turn: impl Fn(Client) + Sync) {
    let next = AtomicU32::new(sources.start);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= sources.end {
                        return;
                    }
                    let source = Ipv4Addr::from(0x7f10_0000 + number);
                    turn(Client::connect_from(&source.to_string(), address));
                }
            });
        }
    });
}

/// Resident memory of its own in KiB.
fn memory(pid: u32) -> u64 {
    let text = status(pid, "RssAnon");
    text.trim_end_matches(" kB").parse().expect("KiB")
}

#[track_caller]
fn check_many(action: &str, counter: &str, turn: impl Fn(&Client) + Sync) {
    let keys = "rate_per_source = \"1/h burst 2\"\nrefusal = \"enough\"";
    let server = server().service("a", &format!("{action}\n{keys}")).start();
    let address = server.address("a", "");
    let turn = |client: Client| {
        turn(&client);
        client.half_close().expect_end();
    };
    turn(other(&server, "a"));
    turn(other(&server, "a"));
    assert_eq!(other(&server, "a").read_text(), "enough");

    visit(&address, 0..SOURCES.0, turn);
    let pids: Vec<u32> = server
        .log()
        .lines()
        .iter()
        .filter(|line| line.event() == "worker-started")
        .map(|line| line.number("pid") as u32)
        .chain([server.pid()])
        .collect();
    let before: Vec<u64> = pids.iter().map(|pid| memory(*pid)).collect();
    visit(&address, SOURCES.0..SOURCES.1, turn);
    for (pid, before) in pids.into_iter().zip(before) {
        let grown = memory(pid).saturating_sub(before);
        assert!(grown < GROWTH, "grown by {grown} KiB from {before} KiB");
    }

    assert_eq!(other(&server, "a").read_text(), "enough");
    let totals = server.stop();
    assert_eq!(totals.of("a", counter), 50_002);
    assert_eq!(totals.of("a", "refused"), 2);
    assert_eq!(totals.of("a", "accepted"), 50_004);
}

#[test]
fn of_a_program() {
    let command = "command = [\"/bin/echo\", \"hi\"]";
    check_many(command, "launched", |client| {
        client.expect("hi\n");
    });
}

#[test]
fn of_a_builtin() {
    check_many("builtin = \"echo\"", "answered", check_served);
}
