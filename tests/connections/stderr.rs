//! What programs write to standard error, with `stderr = "log"`.

use crate::harness::*;
use std::time::{Duration, Instant};

fn logging(script: &str) -> Builder {
    server().service(
        "a",
        &format!("stderr = \"log\"\ncommand = [\"/bin/sh\", \"-c\", '''{script}''']"),
    )
}

/// The lines so far, as text.
fn lines(server: &Server) -> Vec<String> {
    let all = server.log().lines();
    let of_a = all.iter().filter(|line| line.is("stderr", "a"));
    of_a.map(|line| line.field("line").expect("line=").to_string())
        .collect()
}

#[test]
fn lines_are_tagged_with_service_and_connection() {
    let server = logging("read -r name; echo one $name >&2; echo two $name >&2; echo done")
        .service(
            "b",
            "stderr = \"log\"\ncommand = [\"/bin/sh\", \"-c\", \"echo other >&2\"]",
        )
        .start();
    let clients = [server.connect("a"), server.connect("a")];
    for (client, name) in clients.iter().zip(["first", "second"]) {
        client.send(format!("{name}\n"));
        assert_eq!(
            client.read_text(),
            "done\n",
            "nothing of it goes to the client"
        );
    }
    server.connect("b").read_text();
    for (client, name) in clients.iter().zip(["first", "second"]) {
        let peer = format!("127.0.0.1:{}", client.port());
        let start = server
            .log()
            .wait_for(|line| line.is("start", "a") && line.field("peer") == Some(&peer));
        let said = server.log().wait_for_many(2, |line| {
            line.is("stderr", "a") && line.field("id") == start.field("id")
        });
        let said: Vec<_> = said
            .iter()
            .map(|line| line.field("line").expect("line="))
            .collect();
        assert_eq!(said, [format!("one {name}"), format!("two {name}")]);
    }
    server
        .log()
        .wait_for(|line| line.is("stderr", "b") && line.field("line") == Some("other"));
    server.settle();
    server.stop();
}

#[test]
fn lines_are_put_together_cut_and_made_harmless() {
    let long = r#"printf "%02000d" 7 >&2; printf "\n" >&2; "#;
    let odd = r#"printf "in "  >&2; printf "pieces\r\n\033[2Jstart service=forged id=1\001\377\n\nno end" >&2"#;
    let server = logging(&format!("{long}{odd}")).start();
    server.connect("a").expect_end();
    server
        .log()
        .wait_for(|line| line.is("stderr", "a") && line.0.contains("no end"));
    let zeros = "0".repeat(1024);
    let rest = "0".repeat(2000 - 1024 - 1) + "7";
    let expected = [
        &zeros,
        &rest,
        "in pieces",
        r"\x1b[2Jstart service=forged id=1\x01\xef\xbf\xbd",
        "",
        "no end",
    ];
    assert_eq!(lines(&server), expected);
    server.settle();
    server.stop();
}

#[test]
fn a_flood_is_bounded_counted_and_blocks_nobody() {
    let flood = "head -c 50000000 /dev/zero | tr '\\0' 'x' | fold -w 99 >&2; echo over";
    let server = logging(flood).service("echo", "builtin = \"echo\"").start();
    let since = Instant::now();
    let client = server.connect("a");
    let other = server.connect("echo");
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let asked = Instant::now();
        other.send("hi").expect("hi");
        slowest = slowest.max(asked.elapsed());
    }
    other.half_close().expect_end();
    client.expect("over\n").expect_end();
    server.wait_end("a");
    let is_drop = |line: &Line| line.is("stderr-dropped", "a");
    // 50 MB in lines of 99: the last is shorter.
    let all = 50_000_000_usize.div_ceil(99);
    until("every line was logged or counted", || {
        let log = server.log().lines();
        let dropped: u64 = log
            .iter()
            .filter(|line| is_drop(line))
            .map(|line| line.number("lines"))
            .sum();
        lines(&server).len() + dropped as usize == all
    });
    let (logged, took) = (lines(&server).len(), since.elapsed());
    let most = 500 + (took.as_secs_f64() * 100.0) as usize + 150;
    assert!((500..=most).contains(&logged), "{logged} lines in {took:?}");
    assert!(slowest < AT_ONCE, "{slowest:?}");
    server.settle();
    server.stop();
}

#[test]
fn a_grandchild_that_keeps_standard_error_open_is_heard() {
    let script = "exec 3<&0; (read -r line; echo late $line >&2) <&3 & echo started";
    let server = logging(script).start();
    let client = server.connect("a");
    client.expect("started\n");
    server.wait_end("a");
    client.send("bird\n");
    let line = server.log().wait_for(|line| line.is("stderr", "a"));
    assert_eq!(line.field("line"), Some("late bird"));
    assert_eq!(line.field("id"), server.wait_start("a").field("id"));
    client.expect_end();
    server.stop();
}

#[test]
fn the_programs_user_may_open_it_by_name() {
    if without_root("another user") {
        return;
    }
    let body = |more: &str, script: &str| {
        format!(
            "user = \"nobody\"\nstderr = \"log\"\n{more}\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]"
        )
    };
    let say = "id -un >/dev/stderr";
    let ways = [
        "",
        "stdio = \"pipe\"",
        "stdio = \"pty\"",
        "pass = \"listen_fds\"",
    ];
    let names = ["socket", "pipe", "pty", "listen_fds"];
    let datagram = "listen = \"udp:127.0.0.1:0\"";
    let mut builder = server().service(
        "udp",
        &body(datagram, &format!("head -c 1 >/dev/null; {say}")),
    );
    for (name, way) in names.iter().zip(ways) {
        builder = builder.service(name, &body(way, say));
    }
    let server = builder.start();
    for name in names {
        server.connect(name).read_all();
    }
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.address("udp", "udp:127.");
    udp.send_to(b"x", address.trim_start_matches("udp:"))
        .unwrap();
    for name in ["socket", "pipe", "pty", "listen_fds", "udp"] {
        let line = server.log().wait_for(|line| line.is("stderr", name));
        assert_eq!(line.field("line"), Some("nobody"));
        server.wait_end(name);
    }
    server.stop();
}
