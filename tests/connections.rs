//! Connections and their programs: limits, the environment, standard error, failures, and many at once.

mod stderr;

use crate::harness::*;
use nix::sys::signal::Signal;

// Limits.

#[test]
fn clients_of_a_full_service_wait_and_are_served_in_order() {
    let server = server()
        .service("a", "command = [\"/bin/cat\"]\nmax_connections = 2")
        .service("other", "command = [\"/bin/cat\"]\nmax_connections = 1")
        .start();
    let clients: Vec<Client> = (0..6).map(|_| server.connect("a")).collect();
    let ports: Vec<u16> = clients.iter().map(Client::port).collect();
    clients.iter().for_each(|client| {
        client.send("a");
    });
    clients[..2].iter().for_each(|client| {
        client.expect("a");
    });
    let other = server.connect("other");
    other.send("b").expect("b").half_close().expect_end();
    server.wait_ends("other", 1);
    assert_eq!(
        server.log().count(|line| line.is("start", "a")),
        2,
        "another service is not affected"
    );
    for (n, client) in clients.iter().enumerate() {
        client.half_close();
        if n < 2 {
            client.expect_end()
        } else {
            client.expect("a").expect_end()
        }
        server.wait_ends("a", n + 1);
    }
    let mut starts = server.log().wait_for_many(6, |line| line.is("start", "a"));
    // Numbers are given in the order of accepting; which exec is over first is another matter.
    starts.sort_by_key(|line| line.number("id"));
    let order: Vec<u16> = starts.iter().map(port_of_peer).collect();
    assert_eq!(order, ports);
    server.settle();
    assert_eq!(server.stop().of("a", "launched"), 6);
}

fn port_of_peer(line: &Line) -> u16 {
    let peer = line.field("peer").expect("peer=");
    peer.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_full_service_has_one_limit_for_all_its_listeners() {
    let body = "listen = [\"127.0.0.1:0\", \"[::1]:0\", \"unix:{dir}/s\"]\ncommand = [\"/bin/cat\"]\nmax_connections = 1";
    let server = server().service("a", body).start();
    let mut clients: Vec<Client> = server
        .addresses("a")
        .iter()
        .map(|address| Client::connect(address))
        .collect();
    clients.iter().for_each(|client| {
        client.send("a");
    });
    for ended in 1..=3 {
        let served = server
            .log()
            .wait_for_many(ended, |line| line.is("start", "a"));
        assert_eq!(
            served.len() - 1,
            server.log().count(|line| line.is("end", "a"))
        );
        let is_it = |client: &Client| {
            let mut poll = [nix::poll::PollFd::new(
                std::os::fd::AsFd::as_fd(client.fd()),
                nix::poll::PollFlags::POLLIN,
            )];
            nix::poll::poll(&mut poll, nix::poll::PollTimeout::ZERO) == Ok(1)
        };
        let mut place = None;
        until("one of them is served", || {
            place = clients.iter().position(is_it);
            place.is_some()
        });
        clients
            .remove(place.expect("one"))
            .expect("a")
            .half_close()
            .expect_end();
        server.wait_ends("a", ended);
    }
    server.stop();
}

#[test]
fn the_server_has_a_limit_over_all_services() {
    let server = server()
        .table("[server]\nmax_connections = 2")
        .service("a", "command = [\"/bin/cat\"]")
        .service("b", "command = [\"/bin/cat\"]")
        .service("echo", "builtin = \"echo\"")
        .start();
    let full = [server.connect("a"), server.connect("b")];
    full.iter().for_each(|client| {
        client.send("1").expect("1");
    });
    let waiting = [server.connect("a"), server.connect("b")];
    waiting.iter().for_each(|client| {
        client.send("2");
    });
    server
        .connect("echo")
        .send("3")
        .expect("3")
        .half_close()
        .expect_end();
    let programs = |line: &Line| line.event() == "start" && line.field("pid").is_some();
    server.log().wait_for_many(2, programs);
    server.wait_ends("echo", 1);
    assert_eq!(server.log().count(programs), 2);
    drop(full);
    waiting.iter().for_each(|client| {
        client.expect("2");
    });
    drop(waiting);
    server.settle();
    server.stop();
}

// What a program is told.

#[test]
fn the_environment_says_who_is_connected_to_what() {
    let server = server()
        .service("a", "command = [\"/usr/bin/env\"]\nuser = \"nobody\"\nenv = { COLOUR = \"blue = green\" }\npass_env = [\"PASSED\", \"ABSENT\"]")
        .env("PASSED", "on")
        .env("SECRET", "no")
        .start();
    if !is_root() {
        return skip("needs root: the service has a user");
    }
    let client = server.connect("a");
    let text = client.read_text();
    let port = server
        .address("a", "")
        .rsplit(':')
        .next()
        .unwrap()
        .to_string();
    let id = server.wait_start("a").field("id").expect("id=").to_string();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let expected = format!(
        "COLOUR=blue = green\nHOME=/nonexistent\nLANG=C\nLOGNAME=nobody\nOXINETD_CONNECTION={id}\nOXINETD_SERVICE=a\n\
         PASSED=on\nPATH=PATH\nPROTO=TCP\nREMOTE_ADDR=127.0.0.1\nREMOTE_HOST=127.0.0.1\nREMOTE_PORT=CLIENT\nSHELL=/usr/sbin/nologin\n\
         TCPLOCALIP=127.0.0.1\nTCPLOCALPORT={port}\nTCPREMOTEIP=127.0.0.1\nTCPREMOTEPORT=CLIENT\nUSER=nobody"
    );
    let path = lines
        .iter()
        .find(|line| line.starts_with("PATH="))
        .expect("PATH=");
    let expected = expected
        .replace("PATH=PATH", path)
        .replace("CLIENT", &client.port().to_string());
    assert_eq!(lines.join("\n"), expected);
    server.settle();
    server.stop();
}

#[test]
fn nothing_of_one_client_is_told_to_another() {
    let server = server()
        .service("tcp", "command = [\"/usr/bin/env\"]")
        .service(
            "unix",
            "listen = \"unix:{dir}/s\"\ncommand = [\"/usr/bin/env\"]",
        )
        .start();
    let first = server.connect("tcp");
    let mine = format!("TCPREMOTEPORT={}\n", first.port());
    assert!(first.read_text().contains(&mine));
    let text = server.connect("unix").read_text();
    assert!(
        text.contains("PROTO=UNIX\n") && !text.contains("TCP") && !text.contains("REMOTE_PORT"),
        "{text}"
    );
    assert!(!server.connect("tcp").read_text().contains(&mine));
    server.settle();
    server.stop();
}

// Ends.

#[test]
fn the_end_says_how_a_program_ended() {
    let server = server()
        .service("code", "command = [\"/bin/sh\", \"-c\", \"exit 7\"]")
        .service(
            "abort",
            "command = [\"{probe}\", \"--to\", \"none\", \"--then\", \"abort\"]",
        )
        .service("cat", "command = [\"/bin/cat\"]")
        .start();
    server.connect("code").expect_end();
    server.connect("abort").expect_end();
    let client = server.connect("cat");
    client.send("a").expect("a");
    signal(
        server.wait_start("cat").number("pid") as u32,
        Signal::SIGKILL,
    );
    client.expect_end();
    for (service, status) in [
        ("code", "exit:7"),
        ("abort", "signal:ABRT"),
        ("cat", "signal:KILL"),
    ] {
        let end = server.wait_end(service);
        assert_eq!(end.field("status"), Some(status), "{end}");
        assert_eq!(end.field("pid"), server.wait_start(service).field("pid"));
    }
    server.stop();
}

#[test]
fn the_end_says_what_a_program_took() {
    let burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; x=$(head -c 30000000 /dev/zero | tr '\\\\0' x); read -r line";
    let server = server()
        .service("a", &format!("command = [\"/bin/sh\", \"-c\", \"{burn}\"]"))
        .service("small", "command = [\"/bin/cat\"]")
        .start();
    let client = server.connect("a");
    client.send("\n").expect_end();
    let end = server.wait_end("a");
    let seconds = |key: &str| end.field(key).expect(key).parse::<f64>().expect("seconds");
    assert!(
        seconds("cpu") > 0.005 && seconds("duration") >= seconds("cpu") * 0.5,
        "{end}"
    );
    let memory: u64 = end
        .field("maxrss")
        .and_then(|text| text.strip_suffix('K'))
        .expect("maxrss=")
        .parse()
        .unwrap();
    assert!((25_000..300_000).contains(&memory), "{end}");
    // What is no more than our own cannot be told apart from it.
    server.connect("small").half_close().expect_end();
    assert_eq!(server.wait_end("small").field("maxrss"), None);
    server.stop();
}

#[test]
fn what_cannot_be_started_says_why_and_lets_the_client_go() {
    let server = server()
        .service("gone", "command = [\"{dir}/gone\"]")
        .service("text", "command = [\"{dir}/text\"]")
        .service("format", "command = [\"{dir}/format\"]")
        .service(
            "directory",
            "command = [\"/bin/cat\"]\ndirectory = \"{dir}/gone\"",
        )
        .service("fine", "command = [\"/bin/cat\"]");
    let (directory, format) = (server.directory(), "\u{7f}not a program");
    directory.file("text", "no program");
    directory.program("format", format);
    let server = server.start();
    let path = |name: &str| server.directory().join(name);
    for (service, why) in [
        (
            "gone",
            format!("exec {}: no such file or directory (ENOENT)", path("gone")),
        ),
        (
            "text",
            format!("exec {}: permission denied (EACCES)", path("text")),
        ),
        (
            "format",
            format!("exec {}: exec format error (ENOEXEC)", path("format")),
        ),
        (
            "directory",
            format!(
                "directory {}: no such file or directory (ENOENT)",
                path("gone")
            ),
        ),
    ] {
        let client = server.connect(service);
        client.expect_end();
        let expected = format!(
            "cannot start {service}: {why} service={service} peer=127.0.0.1:{} id=",
            client.port()
        );
        server.log().wait_for(|line| line.0.starts_with(&expected));
    }
    server
        .connect("fine")
        .send("a")
        .expect("a")
        .half_close()
        .expect_end();
    server.settle();
    let totals = server.stop();
    for service in ["gone", "text", "format", "directory"] {
        assert_eq!(
            (totals.of(service, "failed"), totals.of(service, "launched")),
            (1, 0),
            "{service}"
        );
    }
}

#[test]
fn a_client_that_has_gone_before_it_was_accepted_starts_nothing() {
    let server = server().service("a", "command = [\"/bin/cat\"]").start();
    server.signal(Signal::SIGSTOP);
    (0..20).for_each(|_| server.connect("a").reset());
    server.signal(Signal::SIGCONT);
    server
        .connect("a")
        .send("a")
        .expect("a")
        .half_close()
        .expect_end();
    server.settle();
    let totals = server.stop();
    assert_eq!(
        (totals.of("a", "aborted"), totals.of("a", "launched")),
        (20, 1)
    );
}

// Many.

#[test]
fn every_connection_has_an_id_of_its_own() {
    let server = server()
        .service("program", "command = [\"/bin/cat\"]")
        .service("builtin", "builtin = \"echo\"")
        .start();
    for _ in 0..30 {
        for service in ["program", "builtin"] {
            server
                .connect(service)
                .send("a")
                .expect("a")
                .half_close()
                .expect_end();
        }
    }
    let starts = server
        .log()
        .wait_for_many(60, |line| line.event() == "start");
    let mut ids: Vec<&str> = starts
        .iter()
        .map(|line| line.field("id").expect("id="))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 60);
    server.settle();
    server.stop();
}

#[test]
fn thirty_programs_at_once_give_each_client_its_own_bytes() {
    let server = server().service("a", "command = [\"/bin/cat\"]").start();
    let address = server.address("a", "");
    let threads: Vec<_> = (1..=30_u32)
        .map(|seed| {
            let address = address.clone();
            std::thread::spawn(move || exchange(&address, seed))
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("a client has failed, see above"));
    server.wait_ends("a", 30);
    assert_eq!(server.stop().of("a", "launched"), 30);
}

/// Sends bytes that no other client sends, up to 400 KB of them, and gets them back.
fn exchange(address: &str, seed: u32) {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let length = 1 + (random() as usize * 7) % 400_000;
    let bytes: Vec<u8> = (0..length).map(|_| random() as u8).collect();
    let client = std::sync::Arc::new(Client::connect(address));
    let (sender, copy) = (std::sync::Arc::clone(&client), bytes.clone());
    let sending = std::thread::spawn(move || {
        sender.send(copy).half_close();
    });
    assert!(client.read_all() == bytes, "not its own {length} bytes");
    sending.join().unwrap();
}
