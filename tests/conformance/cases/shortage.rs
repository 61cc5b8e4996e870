//! No descriptor, no process, a log that nobody reads, a program that cannot be started yet.

use super::super::table::{Service, Table};
use super::super::wire::Wire;
use super::super::world::{Found, Kind, World, pause};
use super::{Case, Scenario, ensure};
use crate::harness::{Directory, Hold};
use std::time::{Duration, Instant};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        kind: Kind::Clean,
        table: echo,
        cases: &[
            Case::new(
                "out of descriptors: it does not spin",
                &["hello"],
                |world| {
                    // A server that turns clients away does not spin.
                    let client = without_descriptors(world);
                    let found = world.rests();
                    world.give_descriptors();
                    let _ = client.map(|client| client.read_all());
                    found
                },
            ),
            Case::new(
                "out of descriptors: serves as ever afterwards",
                &["hello"],
                is_served,
            )
            .varies(&[("xinetd", "off for ten seconds where it has accepted")]),
        ],
    },
    Scenario {
        kind: Kind::Clean,
        table: echo,
        cases: &[Case::new(
            "out of descriptors: who came meanwhile is served",
            &["hello"],
            |world| {
                let client = without_descriptors(world)?;
                for_a_moment(&client);
                world.give_descriptors();
                let answer = client.read_all()?;
                ensure(answer == b"hello\n", "closed without a word")
            },
        )],
    },
    Scenario {
        kind: Kind::FewProcesses,
        table: echo,
        cases: &[
            Case::new(
                "out of processes: who came meanwhile is served",
                &["hello"],
                |world| {
                    world.take_processes();
                    let client = world.connect("hello")?;
                    for_a_moment(&client);
                    world.give_processes();
                    let answer = client.read_all()?;
                    ensure(answer == b"hello\n", "closed without a word")
                },
            ),
            Case::new(
                "out of processes: serves as ever afterwards",
                &["hello"],
                is_served,
            ),
        ],
    },
    Scenario {
        kind: Kind::StuckSyslog,
        table: failing,
        cases: &[Case::new(
            "nobody reads syslog: clients are served",
            &["hello", "fails"],
            logs_and_serves,
        )],
    },
    Scenario {
        kind: Kind::StuckStderr,
        table: failing,
        cases: &[Case::new(
            "nobody reads standard error: clients are served",
            &["hello", "fails"],
            logs_and_serves,
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: |directory| {
            let held = directory.program("held", "#!/bin/sh\n");
            Table::new(vec![
                Service::program("held", 5001, &[&held]),
                Service::program("hello", 5000, &["/bin/echo", "hello"]),
            ])
        },
        cases: &[Case::new(
            "a program whose file hangs: other services are served",
            &["held", "hello"],
            |world| {
                let path = world.directory.join("held");
                let hold = Hold::of(&path).map_err(|error| error.to_string())?;
                let _stuck = world.connect("held")?;
                hold.wait_for(1);
                let answer = world.report("hello");
                drop(hold);
                ensure(answer? == "hello\n", "other bytes")
            },
        )],
    },
];

fn echo(_: &Directory) -> Table {
    Table::new(vec![Service::program(
        "hello",
        5000,
        &["/bin/echo", "hello"],
    )])
}

fn is_served(world: &mut World) -> Found<()> {
    ensure(world.report("hello")? == "hello\n", "other bytes")
}

/// A client that came when the server could open nothing more.
fn without_descriptors(world: &World) -> Found<Wire> {
    world.report("hello")?;
    // What it has open for a client is closed by then.
    world.settle()?;
    world.take_descriptors();
    // Who waits in accept(2) has got a descriptor already: the first client has that.
    let first = world.connect("hello")?;
    for_a_moment(&first);
    world.connect("hello")
}

/// Gives the server time to find out that something is short; whatever it does may come sooner.
fn for_a_moment(client: &Wire) {
    let end = Instant::now() + Duration::from_millis(200);
    while Instant::now() < end && client.is_silent() {
        pause();
    }
}

fn failing(_: &Directory) -> Table {
    Table::new(vec![
        Service::program("hello", 5000, &["/bin/echo", "hello"]),
        Service::program("fails", 5001, &["/bin/false"]),
    ])
}

/// So many clients that any log has had more than its pipe or socket holds.
fn logs_and_serves(world: &mut World) -> Found<()> {
    for _ in 0..40 {
        let wire = world.connect("fails")?;
        wire.read_all()
            .map_err(|error| format!("frozen: {error}"))?;
    }
    let answer = world.report("hello");
    let answer = answer.map_err(|error| format!("frozen: {error}"))?;
    ensure(answer == "hello\n", "other bytes")
}
