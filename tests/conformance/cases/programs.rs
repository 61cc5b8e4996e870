//! What a program is given for a connection: descriptors, signals, ids, environment, and the
//! connection itself.

use super::super::table::{Address, Service, Table};
use super::super::world::{Found, Kind, World};
use super::{Case, Scenario, ensure};
use crate::harness::Directory;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        kind: Kind::Clean,
        table: clean,
        cases: &[
            Case::new(
                "descriptors 0 and 1 are the connection, and above 2 there is none",
                &["probe"],
                descriptors,
            ),
            Case::new(
                "a session and a process group of its own",
                &["probe"],
                session,
            ),
            Case::new("signals as at a login: none ignored", &["probe"], |world| {
                no_signals(world, "ignored")
            }),
            Case::new("the directory is /", &["probe"], |world| {
                let found = has_line(world, "probe", "cwd /");
                found.map_err(|_| "where the server was started".into())
            }),
            Case::new(
                "the client's address is in its environment",
                &["probe"],
                client_in_environment,
            ),
            Case::new("an argument with a blank stays one", &["blanks"], |world| {
                has_line(world, "blanks", "argv[4] a b")
            }),
            Case::new("runs as its user, in all four ids", &["ids"], |world| {
                has_line(
                    world,
                    "ids",
                    "uid real=65534 effective=65534 saved=65534 fs=65534",
                )
            }),
            Case::new(
                "a group that differs from that of root is taken",
                &["group"],
                |world| {
                    let line = "gid real=65534 effective=65534 saved=65534 fs=65534";
                    has_line(world, "group", line)
                },
            ),
            Case::new(
                "bytes after the client's end of input",
                &["cat"],
                half_close,
            ),
            Case::new("a client that resets harms nobody", &["cat"], resets),
            Case::new("a client from port 20 is served", &["cat"], |world| {
                let wire = world.connect_from_port("127.0.0.2", 20, "cat")?;
                wire.send("x")?.expect("x")?;
                Ok(())
            }),
            Case::new("IPv6", &["six"], |world| {
                has_line_with(world, "six", "peer=[::1]:")
            }),
            Case::new(
                "one entry for both families: an IPv4 client is told as one",
                &["both"],
                mapped,
            ),
            Case::new(
                "one entry for both families: a rule for IPv4 holds",
                &["rule"],
                mapped_rule,
            ),
            Case::new(
                "a program that is not there ends its client at once",
                &["cat", "missing"],
                missing,
            ),
            Case::new(
                "twenty clients in a row are served at once",
                &["hello"],
                in_a_row,
            )
            .varies(&[(
                "inetutils-inetd",
                "rests for a second when a program ends at the wrong moment",
            )]),
            Case::new(
                "fifty ended programs leave no zombie",
                &["hello"],
                no_zombies,
            ),
        ],
    },
    Scenario {
        kind: Kind::Dirty,
        table: dirty,
        cases: &[
            Case::new(
                "signals that the server was told to ignore are not ignored",
                &["probe"],
                |world| no_signals(world, "ignored"),
            ),
            Case::new(
                "signals that were blocked in the server are not",
                &["probe"],
                |world| no_signals(world, "blocked"),
            ),
            Case::new(
                "nothing of the server's own environment",
                &["probe"],
                no_secrets,
            ),
            Case::new(
                "groups of its user, not those of the server",
                &["ids"],
                |world| {
                    let none = has_line(world, "ids", "groups");
                    none.or_else(|_| has_line(world, "ids", "groups 65534"))
                },
            ),
            Case::new("its files are not for all to write", &["probe"], umask),
        ],
    },
];

/// Where a program is that is not there when a client comes.
const GONE: &str = "gone";

fn clean(directory: &Directory) -> Table {
    let probe = directory.probe();
    let gone = directory.program(GONE, "#!/bin/sh\n");
    let facts = "argv,env,signals,fds,same,session,cwd";
    let mut ids = Service::program("ids", 1002, &[&probe, "--only", "uid,gid,groups"]);
    ids.user = "nobody";
    let mut group = Service::program("group", 1003, &[&probe, "--only", "uid,gid,groups"]);
    group.group = Some("nogroup");
    let mut six = Service::program("six", 1004, &[&probe, "--only", "fds"]);
    six.address = Address::V6;
    let mut both = Service::program("both", 1005, &[&probe, "--only", "fds"]);
    both.address = Address::Any;
    let mut rule = Service::program("rule", 1006, &["/bin/echo", "in"]);
    rule.address = Address::Any;
    rule.deny = Some("127.0.0.2");
    Table::new(vec![
        Service::program("probe", 1000, &[&probe, "--only", facts]),
        Service::program("cat", 1001, &["/bin/cat"]),
        Service::program("hello", 1007, &["/bin/echo", "hello"]),
        ids,
        group,
        six,
        both,
        rule,
        // There is nothing of this name to be done then.
        Service::program("blanks", 1008, &[&probe, "--only", "argv", "--then", "a b"]),
        Service::program("missing", 1009, &[&gone]),
    ])
}

fn dirty(directory: &Directory) -> Table {
    let probe = directory.probe();
    let facts = "env,signals,umask,groups";
    let mut ids = Service::program("ids", 1002, &[&probe, "--only", "groups"]);
    ids.user = "nobody";
    Table::new(vec![
        Service::program("probe", 1000, &[&probe, "--only", facts]),
        ids,
    ])
}

fn has_line(world: &World, service: &str, line: &str) -> Found<()> {
    let report = world.report(service)?;
    let fact = line.split(' ').next();
    let found: Vec<&str> = report
        .lines()
        .filter(|it| it.split(' ').next() == fact)
        .collect();
    ensure(found == [line], found.join(", "))
}

fn has_line_with(world: &World, service: &str, words: &str) -> Found<()> {
    let report = world.report(service)?;
    let first = report.lines().next().unwrap_or_default();
    ensure(report.contains(words), first)
}

fn descriptors(world: &mut World) -> Found<()> {
    let report = world.report("probe")?;
    let numbers: Vec<&str> = report
        .lines()
        .filter_map(|line| line.strip_prefix("fd ")?.split(' ').next())
        .collect();
    let is_client = |n: &str| {
        let begins = format!("fd {n} socket inet stream connected");
        report
            .lines()
            .any(|line| line.starts_with(&begins) && line.contains(" blocking "))
    };
    ensure(is_client("0") && is_client("1"), "0 or 1 is another")?;
    let more: Vec<&str> = numbers
        .into_iter()
        .filter(|n| !["0", "1", "2"].contains(n))
        .collect();
    ensure(more.is_empty(), format!("{} is open", more.join(", ")))
}

fn session(world: &mut World) -> Found<()> {
    let report = world.report("probe")?;
    let own = |what: &str| report.contains(&format!("{what} own\n"));
    match (own("session"), own("process_group")) {
        (true, true) => Ok(()),
        (false, true) => Err("the server's session".into()),
        _ => Err("the server's process group".into()),
    }
}

fn no_signals(world: &World, state: &str) -> Found<()> {
    let report = world.report("probe")?;
    let begins = format!("signals {state}");
    let line = report.lines().find_map(|line| line.strip_prefix(&begins));
    // Those without a name are the C library's own, which no command can set back.
    let line = line.ok_or("no report")?;
    let named = line.split(' ').filter(|it| it.starts_with("SIG"));
    let named: Vec<&str> = named.collect();
    ensure(named.is_empty(), format!("{} {state}", named.join(" ")))
}

fn client_in_environment(world: &mut World) -> Found<()> {
    let report = world.report("probe")?;
    let has = report
        .lines()
        .any(|line| line.starts_with("env ") && line.ends_with("=127.0.0.1"));
    ensure(has, "not there")
}

fn no_secrets(world: &mut World) -> Found<()> {
    let report = world.report("probe")?;
    let names = ["SECRET", "NOTIFY_SOCKET", "LISTEN_FDS"];
    let found = names
        .into_iter()
        .filter(|name| report.contains(&format!("env {name}=")));
    let found: Vec<&str> = found.collect();
    ensure(found.is_empty(), format!("{} handed on", found.join(", ")))
}

fn umask(world: &mut World) -> Found<()> {
    let report = world.report("probe")?;
    let line = report
        .lines()
        .find(|it| it.starts_with("umask "))
        .ok_or("no report")?;
    ensure(
        ["umask 022", "umask 027", "umask 077"].contains(&line),
        line,
    )
}

/// As `nc -N` does, with more than fits into the sockets.
fn half_close(world: &mut World) -> Found<()> {
    let wire = world.connect("cat")?;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let stream = wire.stream().try_clone().expect("a socket");
    let copy = bytes.clone();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let done = (&stream).write_all(&copy);
        done.and_then(|()| stream.shutdown(std::net::Shutdown::Write))
    });
    let found = wire.read_all();
    let _ = writer.join();
    ensure(found? == bytes, "bytes were lost")
}

fn resets(world: &mut World) -> Found<()> {
    for _ in 0..20 {
        world.connect("cat")?.reset();
    }
    world.connect("cat")?.send("after")?.expect("after")?;
    Ok(())
}

fn mapped(world: &mut World) -> Found<()> {
    let report = world.report("both")?;
    match report.contains("peer=127.0.0.1:") {
        true => Ok(()),
        false if report.contains("peer=[::ffff:") => Err("::ffff:127.0.0.1".into()),
        false => Err("no address".into()),
    }
}

fn mapped_rule(world: &mut World) -> Found<()> {
    let other = world.connect_from("127.0.0.3", "rule")?;
    ensure(other.read_all()? == b"in\n", "another client is kept out")?;
    let kept_out = world.connect_from("127.0.0.2", "rule")?.read_all();
    ensure(
        !kept_out.is_ok_and(|it| it == b"in\n"),
        "the client gets in",
    )
}

fn missing(world: &mut World) -> Found<()> {
    let _ = std::fs::remove_file(world.directory.join(GONE));
    let wire = world.connect("missing")?;
    let end = wire.read_all();
    ensure(end != Err("no answer".into()), "the client hangs")?;
    world.connect("cat")?.send("after")?.expect("after")?;
    Ok(())
}

fn in_a_row(world: &mut World) -> Found<()> {
    // One that rests for a second after each needs twenty.
    let start = std::time::Instant::now();
    for _ in 0..20 {
        ensure(world.report("hello")? == "hello\n", "other bytes")?;
        let taken = start.elapsed();
        ensure(taken < world.patience.wait, "a second for each")?;
    }
    Ok(())
}

fn no_zombies(world: &mut World) -> Found<()> {
    super::limits::flood(world, "hello", 50);
    world.wait_until("zombies", |world| {
        let all: usize = world
            .pids()
            .iter()
            .map(|pid| crate::harness::children(*pid).len())
            .sum();
        all == world.live_children().len()
    })
}
