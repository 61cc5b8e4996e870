//! Limits that were asked for, those that come by themselves, and floods.

use super::super::table::{Service, Table};
use super::super::wire::Wire;
use super::super::world::{Found, Kind, World, pause};
use super::{Case, Scenario, ensure};
use std::time::{Duration, Instant};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        kind: Kind::Clean,
        table: |_| {
            let mut service = Service::program("two", 3000, &["/bin/cat"]);
            service.at_once = Some(2);
            Table::new(vec![service])
        },
        cases: &[Case::new(
            "two programs at once: a third client waits, and is served then",
            &["two"],
            third_waits,
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: |_| {
            let mut service = Service::program("each", 3000, &["/bin/cat"]);
            service.per_source = Some(2);
            Table::new(vec![service])
        },
        cases: &[Case::new(
            "two programs for each source: a third of it is not served, another source is",
            &["each"],
            per_source,
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: |_| {
            let mut service = Service::program("rate", 3000, &["/bin/echo", "x"]);
            service.rate = Some(30);
            Table::new(vec![service])
        },
        cases: &[Case::new(
            "over its rate a service is slow, not off",
            &["rate"],
            |world| {
                flood(world, "rate", 90);
                let start = Instant::now();
                let most = Duration::from_secs(5).min(world.patience.wait);
                loop {
                    let answer = world.connect_from("127.0.0.3", "rate");
                    let answer = answer.and_then(|wire| wire.read_all());
                    match answer {
                        Ok(bytes) if bytes == b"x\n" => return Ok(()),
                        Ok(_) if start.elapsed() > most => return Err("closed at once".into()),
                        Err(error) if start.elapsed() > most => return Err(error),
                        _ => pause(),
                    }
                }
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: |directory| {
            let crash = "#!/bin/sh\necho x\nkill -KILL $$\n";
            let crash = directory.program("crash", crash);
            let services = vec![
                Service::program("crashes", 3002, &[&crash]),
                Service::program("flooded", 3000, &["/bin/echo", "x"]),
                Service::program("other", 3001, &["/bin/echo", "x"]),
            ];
            Table::new(services).with_default_limits()
        },
        cases: &[
            Case::new(
                "default limits: another source is served after 400 clients of one",
                &["flooded"],
                |world| {
                    flood(world, "flooded", 400);
                    let wire = world.connect_from("127.0.0.3", "flooded")?;
                    let answer = wire.read_all()?;
                    ensure(answer == b"x\n", "closed without a word")
                },
            ),
            Case::new(
                "default limits: a program that crashed for 300 clients is started for another source",
                &["crashes"],
                |world| {
                    flood(world, "crashes", 300);
                    let wire = world.connect_from("127.0.0.3", "crashes")?;
                    ensure(wire.read_all()? == b"x\n", "closed without a word")
                },
            ),
            Case::new(
                "default limits: another service is served after that",
                &["other"],
                |world| ensure(world.report("other")? == "x\n", "other bytes"),
            ),
        ],
    },
    Scenario {
        kind: Kind::Clean,
        table: |_| {
            let services = vec![Service::program("idle", 3000, &["/bin/cat"])];
            Table::new(services).with_default_limits()
        },
        cases: &[Case::new(
            "default limits: 150 silent clients of one source do not keep another out",
            &["idle"],
            |world| {
                // Where no more come in, there are enough.
                let silent = (0..150).map_while(|_| world.connect("idle").ok());
                let _silent: Vec<Wire> = silent.collect();
                let wire = world.connect_from("127.0.0.3", "idle")?;
                wire.send("x")?.expect("x")?;
                Ok(())
            },
        )],
    },
];

/// Clients that come as fast as they can, and wait for nothing but the end of the last ones.
pub(super) fn flood(world: &World, service: &str, count: usize) {
    let mut last: Vec<Found<Wire>> = Vec::new();
    for n in 0..count {
        let wire = world.connect(service);
        if wire.is_err() {
            return;
        }
        // No more than a few at a time, so that no queue is full.
        if n % 10 == 9 {
            for wire in last.drain(..).flatten() {
                wire.be_patient(Duration::from_secs(1));
                if wire.read_all().is_err() {
                    return;
                }
            }
        }
        last.push(wire);
    }
    for wire in last.into_iter().flatten() {
        wire.be_patient(Duration::from_secs(1));
        let _ = wire.read_all();
    }
}

fn third_waits(world: &mut World) -> Found<()> {
    let first = world.connect("two")?;
    first.send("1")?.expect("1")?;
    let second = world.connect("two")?;
    second.send("2")?.expect("2")?;
    let third = world.connect("two").map_err(|_| "turned away")?;
    let _ = third.send("3");
    world.stays(|_| ensure(third.is_silent(), "turned away, or served"))?;
    drop(first);
    third.expect("3").map_err(|error| format!("then {error}"))?;
    Ok(())
}

fn per_source(world: &mut World) -> Found<()> {
    let connect = |source| world.connect_from(source, "each");
    let first = connect("127.0.0.2")?;
    first.send("1")?.expect("1")?;
    let second = connect("127.0.0.2")?;
    second.send("2")?.expect("2")?;
    let third = connect("127.0.0.2")?;
    let _ = third.send("3");
    let answer = third.read_exactly(1);
    ensure(answer.is_err(), "the third is served")?;
    let other = connect("127.0.0.3").map_err(|error| format!("another: {error}"))?;
    let served = other.send("4").and_then(|it| it.expect("4"));
    served
        .map(drop)
        .map_err(|error| format!("another: {error}"))
}
