//! What a reload changes: services that come, change and go, and the addresses they listen on.

use super::{address, stop};
use crate::harness::*;
use nix::sys::signal::Signal;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

fn echo(name: &str, listen: &str, text: &str) -> String {
    format!("[service.{name}]\nlisten = {listen}\ncommand = [\"/bin/echo\", \"{text}\"]\n")
}

#[test]
fn services_come_change_and_go() {
    let [a, b, c] = [free_port(), free_port(), free_port()];
    let text = |port: u16| Client::connect(&address(port)).read_text();
    let kept = echo("a", &a.to_string(), "a");
    let server = server()
        .table(&(kept.clone() + &echo("b", &b.to_string(), "b")))
        .start();
    let line = server.reload_with(
        &(kept.clone() + &echo("b", &b.to_string(), "new") + &echo("c", &c.to_string(), "c")),
    );
    assert_eq!(line.0, "reloaded added=1 changed=1 removed=0 kept=1");
    assert_eq!([text(a), text(b), text(c)], ["a\n", "new\n", "c\n"]);
    let line = server.reload_with(&kept);
    assert_eq!(line.0, "reloaded added=0 changed=0 removed=2 kept=1");
    assert_eq!(text(a), "a\n");
    for port in [b, c] {
        assert_eq!(
            Client::try_connect(&address(port)).unwrap_err(),
            nix::errno::Errno::ECONNREFUSED
        );
    }
    stop(server);
}

#[test]
fn a_service_can_be_disabled_and_enabled() {
    let port = free_port();
    let other = echo("b", "\"127.0.0.1:0\"", "b");
    let table = echo("a", &port.to_string(), "a") + "enabled = ENABLED\n" + &other;
    let server = server().table(&table.replace("ENABLED", "true")).start();
    server.reload_with(&table.replace("ENABLED", "false"));
    assert!(Client::try_connect(&address(port)).is_err());
    server.reload_with(&table.replace("ENABLED", "true"));
    assert_eq!(Client::connect(&address(port)).read_text(), "a\n");
    stop(server);
}

#[test]
fn a_renamed_service_keeps_its_socket() {
    let port = free_port();
    let server = server().table(&echo("a", &port.to_string(), "a")).start();
    let sockets = socket_inodes(port);
    let line = server.reload_with(&echo("b", &port.to_string(), "b"));
    assert_eq!(line.0, "reloaded added=1 changed=0 removed=1 kept=0");
    assert_eq!(socket_inodes(port), sockets);
    assert_eq!(Client::connect(&address(port)).read_text(), "b\n");
    stop(server);
}

#[test]
fn connections_in_the_queue_survive() {
    let port = free_port();
    let table = echo("a", &port.to_string(), "a");
    let server = server().table(&table).start();
    server.signal(Signal::SIGSTOP);
    let queued: Vec<Client> = (0..50).map(|_| Client::connect(&address(port))).collect();
    server.write_table(&table.replace("\"a\"]", "\"new\"]"));
    server.signal(Signal::SIGHUP);
    server.signal(Signal::SIGCONT);
    for client in queued {
        let text = client.read_text();
        assert!(text == "a\n" || text == "new\n", "{text:?}");
    }
    assert_eq!(stop(server).of("a", "launched"), 50);
}

#[test]
fn sessions_outlive_their_service_and_its_totals_come_with_the_last() {
    let [a, b] = [free_port(), free_port()];
    let other = echo("other", "\"127.0.0.1:0\"", "other");
    let both = format!(
        "[service.a]\nlisten = {a}\ncommand = [\"/bin/cat\"]\n[service.b]\nlisten = {b}\nbuiltin = \"echo\"\n"
    );
    let server = server().table(&(both + &other)).start();
    let sessions = [a, b].map(|port| [(); 2].map(|()| Client::connect(&address(port))));
    sessions.iter().flatten().for_each(|client| {
        client.send("1").expect("1");
    });
    server.reload_with(&other);
    for ([first, last], name) in sessions.iter().zip(["a", "b"]) {
        let is_totals = |line: &Line| line.is("totals", name);
        first.send("2").expect("2").half_close().expect_end();
        last.send("3").expect("3");
        server.wait_ends(name, 1);
        assert_eq!(server.log().count(is_totals), 0);
        last.half_close().expect_end();
        let totals = server.log().wait_for(is_totals);
        assert_eq!((totals.number("accepted"), totals.number("live")), (2, 0));
    }
    server.stop();
}

#[test]
fn a_service_that_comes_back_while_its_sessions_live_is_the_same() {
    let port = free_port();
    let other = echo("other", "\"127.0.0.1:0\"", "other");
    let body = format!("[service.a]\nlisten = {port}\nbuiltin = \"echo\"\nmax_connections = 2\n");
    let server = server().table(&(body.clone() + &other)).start();
    let first = Client::connect(&address(port));
    first.send("1").expect("1");
    server.reload_with(&other);
    server.reload_with(&(body + &other));
    let second = Client::connect(&address(port));
    second.send("2").expect("2");
    let third = Client::connect(&address(port));
    third.send("3");
    server.log().wait_for_many(2, |line| line.is("start", "a"));
    first.half_close().expect_end();
    third.expect("3");
    server.log().wait_for_many(3, |line| line.is("start", "a"));
    let lines = server.log().lines();
    let place = |event: &str, n: usize| {
        lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.is(event, "a"))
            .nth(n)
            .expect("the line")
            .0
    };
    assert!(place("end", 0) < place("start", 2), "the limit held");
    drop((second, third));
    assert_eq!(stop(server).of("a", "accepted"), 3);
}

#[test]
fn a_builtin_that_comes_back_before_the_worker_let_go_of_it_is_served() {
    for listen in ["127.0.0.1:{port}", "unix:{dir}/a", "unix:@{dir}/a"] {
        let listen = listen.replace("{port}", &free_port().to_string());
        let other = echo("other", "\"127.0.0.1:0\"", "other");
        let body = format!("[service.a]\nlisten = \"{listen}\"\nbuiltin = \"echo\"\n");
        let server = server().table(&(body.clone() + &other)).start();
        server.connect("a").send("1").expect("1").half_close();
        let worker = server
            .log()
            .wait_for(|line| line.event() == "worker-started");
        let worker = worker.number("pid") as u32;
        signal(worker, Signal::SIGSTOP);
        server.reload_with(&other);
        server.reload_with(&(body + &other));
        signal(worker, Signal::SIGCONT);
        let client = server.connect("a");
        client.send("2").expect("2").half_close().expect_end();
        stop(server);
    }
}

#[test]
fn a_wildcard_takes_the_place_of_a_specific_address() {
    check_wildcard("command = [\"/bin/cat\"]");
}

#[test]
fn a_wildcard_takes_the_place_of_a_specific_address_of_a_builtin() {
    check_wildcard("builtin = \"echo\"");
}

/// Without a word of what cannot be bound, and at once.
#[track_caller]
fn check_wildcard(what: &str) {
    let port = free_port();
    let specific = format!(
        "[service.a]\nlisten = [\"127.0.0.1:{port}\", \"udp:127.0.0.1:{port}\"]\nbuiltin = \"echo\"\n"
    );
    let tcp_only = format!("[service.a]\nlisten = \"127.0.0.1:{port}\"\n{what}\n");
    let specific = if what.starts_with("builtin") {
        specific
    } else {
        tcp_only
    };
    let wildcard = specific.replace("127.0.0.1:", "");
    let server = server().table(&specific).start();
    for table in [&wildcard, &specific, &wildcard, &specific] {
        let mark = server.log().mark();
        server.reload_with(table);
        let client = Client::try_connect(&address(port)).expect("it listens after the reload");
        client.send("a").expect("a").half_close().expect_end();
        if table.contains("udp:") {
            let is_udp = |line: &Line| {
                let address = line.field("address").unwrap_or_default();
                line.is("listening", "a")
                    && ["udp:127.", "udp:0."]
                        .iter()
                        .any(|it| address.starts_with(it))
            };
            server.log().wait_after(mark, is_udp);
            let udp = format!("udp:{}", address(port));
            UdpClient::connect(&udp, server.directory())
                .send("a")
                .expect("a");
        }
        assert_eq!(
            server.log().count(|line| line.0.starts_with("cannot bind")),
            0
        );
    }
    stop(server);
}

#[test]
fn what_cannot_be_bound_is_tried_again_and_the_rest_is_in_force() {
    let [a, b] = [free_port(), free_port()];
    let server = server().table(&echo("a", &a.to_string(), "a")).start();
    let taken = std::net::TcpListener::bind(("127.0.0.1", b)).unwrap();
    let line = server.reload_with(
        &(echo("a", &a.to_string(), "new") + &echo("b", &format!("\"127.0.0.1:{b}\""), "b")),
    );
    assert_eq!(line.0, "reloaded added=1 changed=1 removed=0 kept=0");
    let begins = format!("cannot bind b (127.0.0.1:{b}): address already in use");
    server.log().wait_for(|line| line.0.starts_with(&begins));
    assert_eq!(Client::connect(&address(a)).read_text(), "new\n");
    drop(taken);
    server.log().wait_for(|line| line.is("listening", "b"));
    assert_eq!(Client::connect(&address(b)).read_text(), "b\n");
    stop(server);
}

/// A waiting program that serves one client after another.
const WAITING: &str = "command = [\"{probe}\", \"--only\", \"umask\", \"--to\", \"accepted\", \"--then\", \"echo\"]\nwait = true\n";

#[test]
fn a_waiting_program_keeps_its_socket_through_a_reload() {
    let port = free_port();
    let body = format!("[service.a]\nlisten = \"127.0.0.1:{port}\"\n{WAITING}");
    let server = server().table(&body).start();
    let sockets = socket_inodes(port);
    let first = Client::connect(&address(port));
    first.expect("umask 022\n");
    server.reload_with(&(body.clone() + "umask = \"077\"\n"));
    let second = Client::connect(&address(port));
    first.send("still here").expect("still here");
    assert_eq!(
        server.log().count(|line| line.is("start", "a")),
        1,
        "one has the socket"
    );
    first.half_close().expect_end();
    second.expect("umask 077\n").half_close().expect_end();
    assert_eq!(socket_inodes(port), sockets);
    server.wait_ends("a", 2);
    stop(server);
}

#[test]
fn a_socket_that_comes_home_to_a_service_that_no_longer_waits_does_not_block() {
    let server = server()
        .service("a", "command = [\"/bin/sleep\", \"600\"]\nwait = true")
        .start();
    let first = server.connect("a");
    let program = server.wait_start("a").number("pid") as u32;
    let table = server.table().replace("wait = true", "");
    server.reload_with(&table.replace("\"/bin/sleep\", \"600\"", "\"/bin/cat\""));
    // It has taken nothing, so the socket rests for a moment.
    signal(program, Signal::SIGKILL);
    for client in [first, server.connect("a")] {
        client.send("hi").expect("hi").half_close().expect_end();
    }
    server.wait_ends("a", 3);
    server.stop();
}

#[test]
fn a_waiting_program_whose_service_goes_serves_its_client_to_the_end() {
    let port = free_port();
    let other = echo("other", "\"127.0.0.1:0\"", "other");
    let body = format!("[service.a]\nlisten = \"127.0.0.1:{port}\"\n{WAITING}");
    let server = server().table(&(body.clone() + &other)).start();
    let client = Client::connect(&address(port));
    client.expect("umask 022\n");
    server.reload_with(&other);
    client
        .send("still here")
        .expect("still here")
        .half_close()
        .expect_end();
    let totals = server.log().wait_for(|line| line.is("totals", "a"));
    assert_eq!((totals.number("starts"), totals.number("live")), (1, 0));
    assert!(
        Client::try_connect(&address(port)).is_err(),
        "the socket went with it"
    );
    server.reload_with(&(body + &other));
    Client::connect(&address(port))
        .expect("umask 022\n")
        .half_close()
        .expect_end();
    stop(server);
}

#[test]
fn the_limit_of_a_service_can_be_lowered_and_raised() {
    let port = free_port();
    let body = |limit: u32| {
        format!(
            "[service.a]\nlisten = {port}\ncommand = [\"/bin/cat\"]\nmax_connections = {limit}\n"
        )
    };
    let server = server().table(&body(3)).start();
    let connect = || Client::connect(&address(port));
    let mut sessions = vec![connect(), connect(), connect()];
    sessions.iter().for_each(|client| {
        client.send("a").expect("a");
    });
    server.reload_with(&body(1));
    let waiting = connect();
    waiting.send("b");
    while let Some(session) = sessions.pop() {
        assert_eq!(server.log().count(|line| line.is("start", "a")), 3);
        session.send("c").expect("c").half_close().expect_end();
    }
    waiting.expect("b");
    let more = connect();
    more.send("d");
    server.reload_with(&body(2));
    more.expect("d");
    drop((waiting, more));
    stop(server);
}

#[test]
fn a_listener_that_rests_for_its_program_is_put_to_its_new_use() {
    let port = free_port();
    let body = |what: &str| {
        format!(
            "[service.a]\nlisten = \"127.0.0.1:{port}\"\n{what}\n[service.b]\nlisten = \"127.0.0.1:0\"\ncommand = [\"/bin/cat\"]\n"
        )
    };
    // It takes nothing, and rests.
    let waiting = body("command = [\"/bin/false\"]\nwait = true");
    for new in ["command = [\"/bin/cat\"]", "builtin = \"echo\""] {
        let server = server().table(&waiting).start();
        let client = Client::connect(&format!("127.0.0.1:{port}"));
        let is_pause = |line: &Line| line.0.contains("next start in 0.8s");
        server.log().wait_for(is_pause);
        server.reload_with(&body(new));
        client.send("hi").expect("hi").half_close().expect_end();
        // Not blocked in accept.
        let other = server.connect("b");
        other.send("hi").expect("hi").half_close().expect_end();
        let again = Client::connect(&format!("127.0.0.1:{port}"));
        again.send("hi").expect("hi").half_close().expect_end();
        server.settle();
        server.stop();
    }
}

#[test]
fn the_rests_of_a_program_that_runs_begin_anew() {
    let server = server()
        .service(
            "a",
            "wait = true\ncommand = [\"/bin/sh\", \"-c\", \"read x < {dir}/fifo; exit 1\"]",
        )
        .start();
    let fifo = server.directory().join("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The program may be somebody else.
    let anybody = Permissions::from_mode(0o777);
    for path in [server.directory().join(""), fifo.clone()] {
        std::fs::set_permissions(path, anybody.clone()).unwrap();
    }
    let client = server.connect("a");
    let end_a_run = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).custom_flags(nix::libc::O_NONBLOCK);
        // Not before the program reads.
        until("it reads", || {
            let opened = options.open(&fifo);
            opened.is_ok_and(|mut file| file.write_all(b"x\n").is_ok())
        });
    };
    let rests = |pause: &str| {
        let text = format!("next start in {pause}");
        server.log().wait_for(move |line| line.0.ends_with(&text));
    };
    for pause in ["0.1s", "0.2s", "0.4s"] {
        end_a_run();
        rests(pause);
    }
    server.log().wait_for_many(4, |line| line.is("start", "a"));
    assert!(server.reload().0.ends_with("kept=1"));
    let pauses = server
        .log()
        .count(|line| line.0.ends_with("next start in 0.1s"));
    assert_eq!(pauses, 1);
    end_a_run();
    until("it rests anew", || {
        server
            .log()
            .count(|line| line.0.ends_with("next start in 0.1s"))
            == 2
    });
    drop(client);
    server.stop();
}

#[test]
fn a_service_that_stays_keeps_its_user_whoever_comes_and_goes() {
    if !is_root() {
        return skip("needs root: services have users");
    }
    let [a, b, c] = [free_port(), free_port(), free_port()];
    let service = |name: &str, port: u16, user: u32| {
        format!(
            "[service.{name}]\nlisten = {port}\ncommand = [\"/usr/bin/id\", \"-u\"]\nuser = {user}\ngroup = {user}\n"
        )
    };
    let uid = |port: u16| Client::connect(&address(port)).read_text();
    let stays = service("b", b, 61002);
    let server = server().table(&(service("a", a, 61001) + &stays)).start();
    assert_eq!([uid(a), uid(b)], ["61001\n", "61002\n"]);
    let line = server.reload_with(&stays);
    assert_eq!(line.0, "reloaded added=0 changed=0 removed=1 kept=1");
    assert_eq!(uid(b), "61002\n");
    let line = server.reload_with(&(stays.clone() + &service("c", c, 61003)));
    assert_eq!(line.0, "reloaded added=1 changed=0 removed=0 kept=1");
    assert_eq!([uid(b), uid(c)], ["61002\n", "61003\n"]);
    let line = server.reload_with(&(service("c", c, 61002) + &stays));
    assert_eq!(line.0, "reloaded added=0 changed=1 removed=0 kept=1");
    assert_eq!([uid(b), uid(c)], ["61002\n", "61002\n"]);
    stop(server);
}
