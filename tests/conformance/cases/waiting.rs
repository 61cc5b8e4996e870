//! Programs that are given the listening socket, good ones and others.

use super::super::table::{Service, Table};
use super::super::world::{Found, Kind, World};
use super::{Case, Scenario, ensure};
use crate::harness::Directory;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        kind: Kind::Clean,
        table: good,
        cases: &[
            Case::new("TCP: each program takes its client", &["tcp"], |world| {
                for _ in 0..3 {
                    ensure(world.report("tcp")?.contains("listening"), "other bytes")?;
                }
                Ok(())
            }),
            Case::new("TCP: the socket is blocking", &["tcp"], |world| {
                ensure(world.report("tcp")?.contains(" blocking "), "nonblocking")
            }),
            Case::new(
                "UDP: each program takes its datagram",
                &["udp"],
                datagrams_are_answered,
            ),
            Case::new("UDP: nobody else can take its port", &["udp"], port_is_safe),
        ],
    },
    Scenario {
        kind: Kind::Clean,
        table: |directory| spoilt(directory, Service::waiting, "accepted", "shutdown"),
        cases: &[Case::new(
            "TCP: served although the last program shut the listener down",
            &["bad"],
            |world| {
                world.report("bad")?;
                served_again(world)
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: |directory| spoilt(directory, Service::datagrams, "sender", "connect"),
        cases: &[Case::new(
            "UDP: served although the last program connected the socket",
            &["bad"],
            |world| {
                world.datagrams(0, "bad")?.ask("one")?;
                // Not before the program has ended: what is to be seen is the server's answer to it.
                world.settle()?;
                let again = world.wait(|world| {
                    let client = world.datagrams(0, "bad").ok()?;
                    client.brief();
                    client.ask("two").ok()
                });
                again.map(drop).ok_or("no answer".into())
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: |directory| spoilt(directory, Service::waiting, "accepted", "nonblock"),
        cases: &[Case::new(
            "TCP: blocking again although the last program changed that",
            &["bad"],
            |world| {
                world.report("bad")?;
                world.settle()?;
                ensure(world.report("bad")?.contains(" blocking "), "nonblocking")
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: idle,
        cases: &[Case::new(
            "TCP: a program that takes nothing is not started for ever",
            &["tcp"],
            |world| {
                let _client = world.connect("tcp")?;
                starts_are_few(world, "tcp-starts")
            },
        )],
    },
    Scenario {
        kind: Kind::Clean,
        table: idle,
        cases: &[Case::new(
            "UDP: a program that takes nothing is not started for ever",
            &["udp"],
            |world| {
                world.datagrams(0, "udp")?.send("x")?;
                starts_are_few(world, "udp-starts")
            },
        )],
    },
];

/// A service whose program answers the first, and then does that to the socket.
fn spoilt(
    directory: &Directory,
    service: fn(&'static str, u16, &[&str]) -> Service,
    to: &str,
    how: &str,
) -> Table {
    let probe = directory.probe();
    let words = [&probe, "--only", "fds", "--to", to, "--then", how];
    Table::new(vec![service("bad", 2000, &words)])
}

fn good(directory: &Directory) -> Table {
    let probe = directory.probe();
    let with = |to| [&*probe, "--only", "fds", "--to", to];
    Table::new(vec![
        Service::waiting("tcp", 2000, &with("accepted")),
        Service::datagrams("udp", 2001, &with("sender")),
    ])
}

fn idle(directory: &Directory) -> Table {
    let program = |name: &str| {
        let note = directory.join(&format!("{name}-starts"));
        directory.program(name, &format!("#!/bin/sh\necho x >>{note}\n"))
    };
    Table::new(vec![
        Service::waiting("tcp", 2000, &[&program("tcp")]),
        Service::datagrams("udp", 2001, &[&program("udp")]),
    ])
}

fn datagrams_are_answered(world: &mut World) -> Found<()> {
    for _ in 0..3 {
        let answer = world.datagrams(0, "udp")?.ask("?")?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        ensure(answer.contains("dgram"), "other bytes")?;
        world.settle()?;
    }
    Ok(())
}

/// Two sockets that both allow it can be bound to one port: whoever comes last gets the datagrams.
fn port_is_safe(_: &mut World) -> Found<()> {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
    };
    use std::os::fd::AsRawFd;
    let flags = SockFlag::SOCK_CLOEXEC;
    let thief = socket(AddressFamily::Inet, SockType::Datagram, flags, None).expect("a socket");
    setsockopt(&thief, sockopt::ReuseAddr, &true).expect("an option");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 2001));
    let taken = bind(thief.as_raw_fd(), &SockaddrStorage::from(address)).is_ok();
    ensure(!taken, "any user can")
}

fn served_again(world: &World) -> Found<()> {
    let mut last = String::new();
    let again = world.wait(|world| match world.report("bad") {
        Ok(text) => Some(text),
        Err(error) => {
            last = error;
            None
        }
    });
    again.map(drop).ok_or(last)
}

/// Twenty starts are more than any reason can be given for in a few seconds.
fn starts_are_few(world: &World, note: &str) -> Found<()> {
    let note = world.directory.join(note);
    let starts = || std::fs::read(&note).map_or(0, |text| text.len() / 2);
    world.wait_until("not started at all", |_| starts() > 0)?;
    world.stays(|_| ensure(starts() <= 20, "hundreds of starts"))
}
