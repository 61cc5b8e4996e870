//! `oxinetd wrap`: one program, without a table.

use crate::harness::*;
use nix::sys::signal::Signal;

#[test]
fn a_program_is_served_and_the_address_is_printed() {
    let daemon = Daemon::start(&["wrap", "127.0.0.1:0", "--", "/bin/cat"]);
    let line = daemon.log().wait_for(|line| line.event() == "listening");
    assert_eq!(line.field("service"), Some("cat"));
    assert!(!daemon.address(0).ends_with(":0"), "{line}");
    daemon
        .connect()
        .send("hi")
        .expect("hi")
        .half_close()
        .expect_end();
    daemon.wait_ends(1);
    assert_eq!(daemon.stop().of("cat", "launched"), 1);
}

#[test]
fn a_bare_port_is_both_families() {
    let port = free_port().to_string();
    let daemon = Daemon::start(&["wrap", &port, "--", "/bin/echo", "hi"]);
    assert_eq!(
        [daemon.address(0), daemon.address(1)],
        [format!("0.0.0.0:{port}"), format!("[::]:{port}")]
    );
    for n in 0..2 {
        assert_eq!(Client::connect(&daemon.address(n)).read_text(), "hi\n");
    }
    daemon.wait_ends(2);
    daemon.stop();
}

#[test]
fn a_name_without_a_slash_is_looked_for_in_path() {
    let daemon = Daemon::start(&["wrap", "127.0.0.1:0", "--", "echo", "--", "-n", "hi"]);
    assert_eq!(daemon.connect().read_text(), "-- -n hi\n");
    daemon.wait_ends(1);
    daemon.stop();
}

#[test]
fn unix_sockets() {
    let directory = Directory::new();
    for form in ["unix:", "unix-seqpacket:"] {
        let address = form.to_string() + &directory.join("s");
        let daemon = Daemon::start(&["wrap", &address, "--", "/bin/cat"]);
        assert_eq!(daemon.address(0), address);
        daemon
            .connect()
            .send("hi")
            .expect("hi")
            .half_close()
            .expect_end();
        daemon.wait_ends(1);
        daemon.stop();
    }
}

#[test]
fn udp_gives_the_program_the_socket() {
    let directory = Directory::new();
    let probe = directory.probe();
    let daemon = Daemon::start(&[
        "wrap",
        "udp:127.0.0.1:0",
        "--",
        &probe,
        "--only",
        "umask",
        "--to",
        "sender",
    ]);
    for _ in 0..2 {
        UdpClient::connect(&daemon.address(0), &directory)
            .send("?")
            .expect("umask 022\n");
    }
    daemon.wait_ends(2);
    assert_eq!(daemon.stop().of("probe", "starts"), 2);
}

#[test]
fn wait_gives_the_program_the_listener() {
    let directory = Directory::new();
    let probe = directory.probe();
    let daemon = Daemon::start(&[
        "wrap",
        "--wait",
        "127.0.0.1:0",
        "--",
        &probe,
        "--only",
        "umask",
        "--to",
        "accepted",
    ]);
    assert_eq!(daemon.connect().read_text(), "umask 022\n");
    daemon.wait_ends(1);
    assert_eq!(daemon.stop().of("probe", "starts"), 1);
}

#[test]
fn the_user_is_nobody_unless_another_is_named() {
    if without_root("changes users") {
        return;
    }
    for (options, uid) in [
        (&[][..], "65534"),
        (&["--user", "root"], "0"),
        (&["--user", "1"], "1"),
    ] {
        let mut words = vec!["wrap", "127.0.0.1:0"];
        words.extend(options);
        words.extend(["--", "/usr/bin/id", "-u"]);
        let daemon = Daemon::start(&words);
        assert_eq!(daemon.connect().read_text(), format!("{uid}\n"));
        daemon.wait_ends(1);
        daemon.stop();
    }
}

#[test]
fn more_clients_than_max_connections_wait() {
    let daemon = Daemon::start(&[
        "wrap",
        "127.0.0.1:0",
        "--max-connections",
        "2",
        "--",
        "/bin/cat",
    ]);
    let clients: Vec<Client> = (0..4).map(|_| daemon.connect()).collect();
    clients.iter().for_each(|client| {
        client.send("hi");
    });
    clients[0].expect("hi");
    clients[1].expect("hi");
    assert_eq!(daemon.log().count(|line| line.event() == "end"), 0);
    clients[0].half_close().expect_end();
    clients[2].expect("hi");
    let starts = daemon
        .log()
        .wait_for_many(3, |line| line.event() == "start");
    assert_eq!(starts.len(), 3);
    clients[1].half_close().expect_end();
    clients[3].expect("hi");
    drop(clients);
    daemon.wait_ends(4);
    daemon.stop();
}

#[test]
fn standard_error_goes_where_it_is_told_to() {
    let directory = Directory::new();
    let file = directory.join("stderr");
    std::fs::write(&file, "").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&file, open).unwrap();
    let to_file = format!("file:{file}");
    for (option, client, logged) in [
        ("client", "out\nerr\n", 0),
        ("log", "out\n", 1),
        ("null", "out\n", 0),
        (&to_file, "out\n", 0),
    ] {
        let words = [
            "wrap",
            "127.0.0.1:0",
            "--stderr",
            option,
            "--",
            "/bin/sh",
            "-c",
            "echo out; echo err >&2",
        ];
        let daemon = Daemon::start(&words);
        assert_eq!(daemon.connect().read_text(), client, "{option}");
        daemon.wait_ends(1);
        if logged > 0 {
            daemon
                .log()
                .wait_for(|line| line.is("stderr", "sh") && line.field("line") == Some("err"));
        }
        assert_eq!(
            daemon.log().count(|line| line.is("stderr", "sh")),
            logged,
            "{option}"
        );
        daemon.stop();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "err\n");
}

#[test]
fn a_reload_says_that_there_is_no_table() {
    let daemon = Daemon::start(&["wrap", "127.0.0.1:0", "--", "/bin/cat"]);
    daemon.signal(Signal::SIGHUP);
    let expected =
        "warning: there is no table to read again: the service was given on the command line";
    daemon.log().wait_for(|line| line.0 == expected);
    daemon
        .connect()
        .send("hi")
        .expect("hi")
        .half_close()
        .expect_end();
    daemon.wait_ends(1);
    daemon.stop();
}

#[test]
fn a_drain_timeout_lets_the_program_finish() {
    let daemon = Daemon::start(&[
        "wrap",
        "127.0.0.1:0",
        "--drain-timeout",
        "1m",
        "--",
        "/bin/cat",
    ]);
    let client = daemon.connect();
    client.send("a").expect("a");
    daemon.log().wait_for(|line| line.event() == "start");
    daemon.signal(Signal::SIGTERM);
    daemon.log().wait_for(|line| line.event() == "stopping");
    client.send("b").expect("b").half_close().expect_end();
    daemon.log().wait_for(|line| line.event() == "stopped");
    daemon.stop();
}

/// These words are refused with this exit code, and standard error says this among other things.
#[track_caller]
fn check_refused(words: &[&str], code: i32, says: &[&str]) {
    let ran = run(oxinetd(&["wrap"]).args(words));
    assert_eq!(ran.code, Some(code), "{words:?}: {}", ran.stderr);
    for part in says {
        assert!(
            ran.stderr.contains(part),
            "{words:?}: no {part:?} in: {}",
            ran.stderr
        );
    }
    assert_eq!(ran.stdout, "");
}

#[test]
fn wrong_uses_are_told_what_is_wrong() {
    let cat = ["--", "/bin/cat"];
    let with = |words: &[&'static str]| [words, &cat].concat();
    check_refused(&[], 64, &["Usage: oxinetd wrap"]);
    check_refused(&["127.0.0.1:0"], 64, &["PROGRAM"]);
    check_refused(&with(&["--colour", "127.0.0.1:0"]), 64, &["--colour"]);
    check_refused(
        &with(&["--drain-timeout", "soon", "127.0.0.1:0"]),
        64,
        &["a duration looks like 30s, 5m or 1h30m"],
    );
    check_refused(
        &["127.0.0.1:0", "--", "no-such-program"],
        64,
        &["oxinetd wrap: no-such-program: no such program in PATH"],
    );
    check_refused(
        &with(&["--max-connections", "many", "127.0.0.1:0"]),
        64,
        &["many"],
    );
}

#[test]
fn wrong_arguments_are_mistakes_like_those_of_a_table() {
    let cat = ["--", "/bin/cat"];
    let with = |words: &[&'static str]| [words, &cat].concat();
    check_refused(&with(&["99999"]), 78, &["ADDR", "99999"]);
    check_refused(&with(&["nowhere.invalid:80"]), 78, &["nowhere.invalid"]);
    check_refused(
        &with(&["--stderr", "elsewhere", "127.0.0.1:0"]),
        78,
        &["--stderr", "elsewhere"],
    );
    check_refused(
        &with(&["--max-connections", "0", "127.0.0.1:0"]),
        78,
        &["--max-connections", "a number from 1 to"],
    );
    check_refused(
        &with(&["--allow", "localhost", "127.0.0.1:0"]),
        78,
        &["write --allow 127.0.0.0/8 --allow ::1"],
    );
    check_refused(
        &with(&["--deny", "@/nonexistent", "127.0.0.1:0"]),
        78,
        &[
            "/nonexistent: there is no such file",
            "it is named at --deny",
        ],
    );
    check_refused(
        &with(&["--rate", "50", "127.0.0.1:0"]),
        78,
        &["--rate", "write \"50/s\" or \"50/m\""],
    );
    check_refused(
        &with(&["--max-per-source", "0", "127.0.0.1:0"]),
        78,
        &["--max-per-source", "a number from 1 to"],
    );
    check_refused(
        &with(&["--allow", "::1", "udp:127.0.0.1:0"]),
        78,
        &["--allow", "the program is given the socket"],
    );
    let all = with(&["--stderr", "elsewhere", "--max-connections", "0", "99999"]);
    check_refused(&all, 78, &["--stderr", "--max-connections", "99999"]);
}

#[test]
fn a_program_that_is_not_there_is_warned_of_and_its_clients_are_let_go() {
    for (program, warning, failure) in [
        (
            "/nonexistent/cat",
            "PROGRAM: warning: cannot find the program",
            "no such file or directory (ENOENT)",
        ),
        (
            "/etc/passwd",
            "PROGRAM: warning: \"/etc/passwd\" may not be executed",
            "permission denied (EACCES)",
        ),
    ] {
        let daemon = Daemon::start(&["wrap", "127.0.0.1:0", "--", program]);
        daemon.log().wait_for(|line| line.0.starts_with(warning));
        daemon.connect().expect_end();
        daemon
            .log()
            .wait_for(|line| line.0.contains(&format!("exec {program}: {failure}")));
        daemon.stop();
    }
}

#[test]
fn a_user_that_does_not_exist_is_a_mistake() {
    if without_root("an ordinary user cannot choose another") {
        return;
    }
    check_refused(
        &["--user", "no-such-user", "127.0.0.1:0", "--", "/bin/cat"],
        78,
        &["--user", "no-such-user"],
    );
}

#[test]
fn an_address_in_use_is_told_and_tried_again() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let daemon = Daemon::start(&["wrap", &address, "--", "/bin/echo", "hi"]);
    let begins = format!("cannot bind echo ({address}): address already in use (EADDRINUSE)");
    daemon.log().wait_for(|line| line.0.starts_with(&begins));
    drop(other);
    assert_eq!(daemon.connect().read_text(), "hi\n");
    daemon.wait_ends(1);
    daemon.stop();
}
