//! A table that is read again, a good one and others; the end of the server, a wanted one and others.

use super::super::table::{Service, Table};
use super::super::world::{Found, Kind, World};
use super::{Case, Scenario, ensure};
use nix::sys::signal::Signal;
use std::time::Instant;

const CAT: &[&str] = &["/bin/cat"];

fn one(_: &crate::harness::Directory) -> Table {
    Table::new(vec![
        Service::program("cat", 4000, CAT),
        Service::program("other", 4001, CAT),
    ])
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        kind: Kind::Clean,
        table: one,
        cases: &[
            Case::of_reload("a service that is added is served", &["cat"], added),
            Case::of_reload(
                "a live session goes on through a reload",
                &["cat"],
                |world| {
                    let wire = world.connect("cat")?;
                    wire.send("a")?.expect("a")?;
                    add_another(world, 4003)?;
                    wire.send("b")?.expect("b")?;
                    Ok(())
                },
            ),
            Case::of_reload(
                "no client is lost by ten reloads",
                &["cat"],
                no_client_is_lost,
            ),
            Case::of_reload(
                "the session of a service that is removed goes on",
                &["other"],
                removed,
            ),
            Case::of_reload("a removed service has no listener", &["other"], |world| {
                world.wait_until("still listens", |_| {
                    crate::harness::socket_inodes(4001).is_empty()
                })
            }),
        ],
    },
    Scenario {
        kind: Kind::Clean,
        table: one,
        cases: &[
            Case::of_reload(
                "a broken table: its services are served on",
                &["cat"],
                |world| {
                    let wire = world.connect("cat")?;
                    wire.send("a")?.expect("a")?;
                    world.reload_rubbish();
                    world.stays(|world| is_served(world, "cat"))
                },
            ),
            Case::of_reload("a broken table: put right, it is in force", &["cat"], added),
        ],
    },
    Scenario {
        kind: Kind::Clean,
        table: one,
        cases: &[Case::of_reload(
            "a table that is gone: its services are served on",
            &["cat"],
            |world| {
                world.reload_nothing();
                world.stays(|world| is_served(world, "cat"))
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: one,
        cases: &[Case::new(
            "SIGTERM: it ends, and its sessions go on",
            &["cat"],
            |world| {
                let wire = world.connect("cat")?;
                wire.send("a")?.expect("a")?;
                world.signal(Signal::SIGTERM);
                world.wait_until("it does not end", |world| {
                    !world
                        .pids()
                        .iter()
                        .any(|pid| crate::harness::is_running(*pid))
                })?;
                wire.send("b")?.expect("b")?;
                Ok(())
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: one,
        cases: &[Case::new(
            "killed beside a program's session: serves again, and the session goes on",
            &["cat"],
            |world| {
                let wire = world.connect("cat")?;
                wire.send("a")?.expect("a")?;
                world.kill()?;
                world.start_again()?;
                wire.send("b")?.expect("b")?;
                is_served(world, "cat")
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: |_| {
            let echo = Service::builtin("echo", false);
            Table::new(vec![echo, Service::program("cat", 4000, CAT)])
        },
        cases: &[Case::new(
            "killed beside a client of a built-in: serves again",
            &["echo", "cat"],
            |world| {
                let wire = world.connect("echo")?;
                wire.send("a")?.expect("a")?;
                world.kill()?;
                // A process of its own that serves built-ins has to notice.
                world.await_free("echo");
                world.start_again()?;
                // A client that has no answer may have met the queue of what is left of the killed one.
                for _ in 0..4 {
                    is_served(world, "cat")?;
                    is_served(world, "echo")?;
                }
                Ok(())
            },
        )],
    },
];

fn is_served(world: &World, service: &str) -> Found<()> {
    let wire = world.connect(service)?;
    wire.send("x")?.expect("x")?;
    Ok(())
}

fn add_another(world: &mut World, port: u16) -> Found<()> {
    let name = match port {
        4002 => "second",
        _ => "third",
    };
    world.reload(|table| table.services.push(Service::program(name, port, CAT)))?;
    world.wait_until("not there", |_| {
        !crate::harness::socket_inodes(port).is_empty()
    })
}

fn added(world: &mut World) -> Found<()> {
    add_another(world, 4002)?;
    is_served(world, "second")
}

fn removed(world: &mut World) -> Found<()> {
    let wire = world.connect("other")?;
    wire.send("a")?.expect("a")?;
    world.reload(|table| {
        table.services.retain(|it| it.name != "other");
        table.services.push(Service::program("last", 4004, CAT));
    })?;
    // It is read to its end when its last service is there.
    world.wait_until("not there", |_| {
        !crate::harness::socket_inodes(4004).is_empty()
    })?;
    world.stays(|_| wire.send("b")?.expect("b").map(drop))
}

/// Each client is served while the table is read, with a new service each time.
fn no_client_is_lost(world: &mut World) -> Found<()> {
    for n in 0..10 {
        let port = 4010 + n;
        world.reload(|table| {
            table.services.retain(|it| it.port < 4010);
            table.services.push(Service::program("changing", port, CAT));
        })?;
        let end = Instant::now() + world.patience.wait;
        while crate::harness::socket_inodes(port).is_empty() {
            is_served(world, "cat")?;
            ensure(Instant::now() < end, "not there")?;
        }
    }
    Ok(())
}
