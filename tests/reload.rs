//! Reloads: no connection is lost, mistakes change nothing, sessions are left alone.

mod changes;

use crate::harness::*;

/// A table of a program at one port and of a built-in service at another.
fn table(program: u16, builtin: u16) -> String {
    format!(
        "[service.program]\nlisten = {program}\ncommand = [\"/bin/sed\", \"s/^/program /\"]\n\
         [service.builtin]\nlisten = {builtin}\nbuiltin = \"echo\"\n"
    )
}

/// Three mistakes.
const BROKEN: &str = "[service.program]\nlisten = 0\ncommand = \"/bin/cat\"\n\
                      [service.builtin]\nlisten = 99999\nbuiltin = \"ecko\"\n";

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Stops when all sessions have ended.
#[track_caller]
fn stop(server: Server) -> Totals {
    server.settle();
    server.stop()
}

/// What a client of this port gets that says "hi".
#[track_caller]
fn ask(port: u16) -> String {
    let client = Client::connect(&address(port));
    client.send("hi").half_close();
    client.read_text()
}

/// Asks until the end; whatever is not one of these answers is a failure.
fn keep_asking(load: &mut Load, port: u16, answers: [&'static str; 2]) {
    load.client(move || {
        let found = ask(port);
        assert!(answers.contains(&found.as_str()), "{found:?}");
    });
}

#[test]
fn two_hundred_reloads_lose_no_connection() {
    let ports = [free_port(), free_port()];
    let good = table(ports[0], ports[1]);
    let server = server().table(&good).start();
    let mut load = Load::new();
    for _ in 0..2 {
        keep_asking(&mut load, ports[0], ["program hi"; 2]);
        keep_asking(&mut load, ports[1], ["hi"; 2]);
    }
    for turn in 1..=200 {
        let line = match turn % 10 {
            0 => server.reload_with(BROKEN),
            1 => server.reload_with(&good),
            _ => server.reload(),
        };
        let expected = match turn % 10 {
            0 => "reload refused: 3 mistakes; the table in force stays",
            _ => "reloaded added=0 changed=0 removed=0 kept=2",
        };
        assert_eq!(line.0, expected, "reload {turn}");
    }
    load.more(20);
    let turns = load.stop();
    let totals = stop(server);
    assert_eq!(
        totals.of("program", "accepted") + totals.of("builtin", "accepted"),
        turns
    );
    assert_eq!(
        totals.of("program", "aborted") + totals.of("builtin", "aborted"),
        0
    );
}

#[test]
fn signals_that_come_in_a_storm_are_answered_with_the_last_table() {
    let port = free_port();
    let body = |text: &str| {
        format!("[service.a]\nlisten = {port}\ncommand = [\"/bin/sed\", \"s/^/{text} /\"]\n")
    };
    let server = server().table(&body("0")).start();
    for turn in 1..=30 {
        server.write_table(&body(&turn.to_string()));
        server.signal(nix::sys::signal::Signal::SIGHUP);
    }
    until("the last table is in force", || ask(port) == "30 hi");
    stop(server);
}

#[test]
fn two_services_that_swap_their_ports_lose_no_connection() {
    let [a, b] = [free_port(), free_port()];
    let body = |name: &str, port: u16| {
        format!("[service.{name}]\nlisten = {port}\ncommand = [\"/bin/sed\", \"s/^/{name} /\"]\n")
    };
    let tables = [body("a", a) + &body("b", b), body("a", b) + &body("b", a)];
    check_swaps(&tables, [a, b], ["a hi", "b hi"]);
}

#[test]
fn a_program_and_a_builtin_that_swap_their_ports_lose_no_connection() {
    let [a, b] = [free_port(), free_port()];
    check_swaps(&[table(a, b), table(b, a)], [a, b], ["program hi", "hi"]);
}

#[test]
fn two_builtins_that_swap_their_ports_lose_no_connection() {
    let [a, b] = [free_port(), free_port()];
    let body = |a: u16, b: u16| {
        format!(
            "[service.a]\nlisten = {a}\nbuiltin = \"echo\"\n[service.b]\nlisten = {b}\nbuiltin = \"discard\"\n"
        )
    };
    check_swaps(&[body(a, b), body(b, a)], [a, b], ["hi", ""]);
}

/// Puts the two tables in force by turns, under load: each port answers as one of the services, with
/// the sockets that it had from the beginning.
#[track_caller]
fn check_swaps(tables: &[String; 2], ports: [u16; 2], answers: [&'static str; 2]) {
    let server = server().table(&tables[0]).start();
    let sockets = ports.map(socket_inodes);
    assert!(
        sockets.iter().all(|inodes| inodes.len() == 2),
        "{sockets:?}"
    );
    let mut load = Load::new();
    for port in [ports[0], ports[1], ports[0], ports[1]] {
        keep_asking(&mut load, port, answers);
    }
    for turn in 1..=20 {
        let line = server.reload_with(&tables[turn % 2]);
        assert_eq!(line.0, "reloaded added=0 changed=2 removed=0 kept=0");
        load.more(4);
    }
    load.stop();
    assert_eq!(ports.map(socket_inodes), sockets);
    stop(server);
}

#[test]
fn a_builtin_that_is_renamed_under_load_costs_no_session() {
    let port = free_port();
    let table = |name: &str| {
        let other = "[service.other]\nlisten = \"127.0.0.1:0\"\nbuiltin = \"echo\"\n";
        format!("{other}[service.{name}]\nlisten = {port}\nbuiltin = \"echo\"\n")
    };
    let server = server().table(&table("a")).start();
    let session = server.connect("other");
    let mut load = Load::new();
    (0..4).for_each(|_| keep_asking(&mut load, port, ["hi"; 2]));
    for turn in 0..20 {
        server.reload_with(&table(["b", "a"][turn % 2]));
        load.more(5);
        session.send("x").expect("x");
    }
    load.stop();
    session.half_close().expect_end();
    stop(server);
}

#[test]
fn a_service_becomes_builtin_and_a_program_again_without_loss() {
    let port = free_port();
    let body = |what: &str| format!("[service.a]\nlisten = {port}\n{what}\n");
    let tables = [
        body(r#"command = ["/bin/cat"]"#),
        body(r#"builtin = "echo""#),
    ];
    check_alternation(&tables, port, "hi");
}

#[test]
fn a_service_waits_and_does_not_again_without_loss() {
    let port = free_port();
    let body = |options: &str, wait: bool| {
        format!(
            "[service.a]\nlisten = \"127.0.0.1:{port}\"\ncommand = [\"{{probe}}\", \"--only\", \"umask\"{options}, \"--then\", \"drain\"]\nwait = {wait}\n"
        )
    };
    let tables = [body("", false), body(", \"--to\", \"accepted\"", true)];
    check_alternation(&tables, port, "umask 022\n");
}

#[test]
fn a_builtin_becomes_a_waiting_program_and_a_builtin_again_without_loss() {
    let port = free_port();
    let body = |what: &str| format!("[service.a]\nlisten = \"127.0.0.1:{port}\"\n{what}\n");
    let waiting = r#"command = ["{probe}", "--only", "", "--to", "accepted", "--then", "echo"]
wait = true"#;
    check_alternation(&[body(waiting), body(r#"builtin = "echo""#)], port, "hi");
}

/// Puts the two tables in force by turns, under load: every client gets the answer.
#[track_caller]
fn check_alternation(tables: &[String; 2], port: u16, answer: &'static str) {
    let server = server().table(&tables[0]).start();
    let sockets = socket_inodes(port);
    let mut load = Load::new();
    for _ in 0..3 {
        keep_asking(&mut load, port, [answer; 2]);
    }
    for turn in 1..=30 {
        let line = server.reload_with(&tables[turn % 2]);
        assert_eq!(line.0, "reloaded added=0 changed=1 removed=0 kept=0");
        load.more(2);
    }
    load.more(6);
    load.stop();
    assert_eq!(socket_inodes(port), sockets);
    stop(server);
}

#[test]
fn reloads_leak_no_descriptor() {
    let [a, b] = [free_port(), free_port()];
    let more = "[service.more]\nlisten = [\"127.0.0.1:0\", \"udp:127.0.0.1:0\", \"unix:{dir}/s\"]\nbuiltin = \"echo\"\n";
    let tables = [table(a, b), table(b, a) + more];
    let server = server().table(&tables[0]).start();
    let client = Client::connect(&address(b));
    client.send("a").expect("a").half_close().expect_end();
    server.wait_ends("builtin", 1);
    let worker = server
        .log()
        .wait_for(|line| line.event() == "worker-started")
        .number("pid") as u32;
    let open = || {
        // The worker has a pidfd when it is no longer young.
        let count = |pid| {
            open_descriptors(pid)
                .iter()
                .filter(|fd| !fd.contains("pidfd"))
                .count()
        };
        // Only root may look into the worker.
        let in_worker = is_root().then(|| count(worker));
        (count(server.pid()), in_worker)
    };
    let before = open();
    for turn in 1..=50 {
        let table = if turn % 10 == 9 {
            BROKEN
        } else {
            &tables[turn % 2]
        };
        server.reload_with(table);
    }
    until("as many descriptors are open as before", || {
        open() == before
    });
    server.stop();
}

#[test]
fn a_broken_table_is_refused_with_every_mistake_and_changes_nothing() {
    let ports = [free_port(), free_port()];
    let server = server().table(&table(ports[0], ports[1])).start();
    let sockets = ports.map(socket_inodes);
    let session = Client::connect(&address(ports[1]));
    session.send("before").expect("before");
    let mark = server.log().mark();
    let line = server.reload_with(BROKEN);
    assert_eq!(
        line.0,
        "reload refused: 3 mistakes; the table in force stays"
    );
    let path = server.directory().join("services.toml");
    for place in ["3:11", "5:10", "6:11"] {
        server.log().wait_after(mark, |line| {
            line.0.starts_with(&format!("{path}:{place}: "))
        });
    }
    session
        .send("after")
        .expect("after")
        .half_close()
        .expect_end();
    assert_eq!(ask(ports[0]), "program hi");
    assert_eq!(ports.map(socket_inodes), sockets);
    std::fs::remove_file(path).unwrap();
    assert_eq!(
        server.reload().0,
        "reload refused: 1 mistake; the table in force stays"
    );
    assert_eq!(ask(ports[0]), "program hi");
    stop(server);
}

#[test]
fn a_loader_that_hangs_delays_nobody() {
    // A FIFO in the place of the table, and nobody writes.
    let ports = [free_port(), free_port()];
    let server = server().table(&table(ports[0], ports[1])).start();
    let path = server.directory().join("services.toml");
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(
        path.as_str(),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    server.signal(nix::sys::signal::Signal::SIGHUP);
    let asked = std::time::Instant::now();
    assert_eq!(ask(ports[0]), "program hi");
    assert!(asked.elapsed() < AT_ONCE);
    server
        .log()
        .wait_for(|line| line.0.starts_with("reload refused: 1 mistake"));
    stop(server);
}

#[test]
fn a_program_whose_file_is_gone_still_reads_its_table() {
    if without_root("runs a copy of the program that can be removed") {
        return;
    }
    let (program, builtin) = (free_port(), free_port());
    let server = server()
        .table("[service.a]\nlisten = \"127.0.0.1:0\"\ncommand = [\"/bin/cat\"]\n")
        .as_ordinary_user()
        .start();
    std::fs::remove_file(server.directory().join("oxinetd")).expect("a copy");
    let line = server.reload_with(&table(program, builtin));
    assert_eq!(line.event(), "reloaded", "{line}");
    assert_eq!(ask(program), "program hi");
    assert_eq!(ask(builtin), "hi", "the worker comes from that file too");
    stop(server);
}
