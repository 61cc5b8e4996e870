//! `stdio = "pipe"`, `newline` and `banner`: a program as in a pipeline of a shell.

use super::{script, text, worker};
use crate::harness::*;
use nix::sys::signal::Signal;
use std::io::Write;
use std::thread::spawn;

fn piped(body: &str) -> Builder {
    server().service("a", &format!("stdio = \"pipe\"\n{body}"))
}

/// Sockets and pipes that a process holds.
fn held(pid: u32) -> Vec<String> {
    let mut held = open_descriptors(pid);
    held.retain(|name| name.contains("socket:") || name.contains("pipe:"));
    held.sort();
    held
}

#[test]
fn a_program_opens_its_standard_input_and_output_by_name() {
    let server =
        piped("command = [\"/bin/dd\", \"if=/dev/stdin\", \"of=/dev/stdout\", \"status=none\"]")
            .start();
    let client = server.connect("a");
    assert_eq!(client.send("hello").half_close().read_text(), "hello");
    let end = server.wait_end("a");
    assert_eq!((end.number("received"), end.number("sent")), (5, 5));
    assert_eq!(
        (end.field("reason"), end.field("status")),
        (Some("exited"), Some("exit:0"))
    );
    let totals = server.stop();
    assert_eq!(
        (totals.of("a", "accepted"), totals.of("a", "launched")),
        (1, 1)
    );
}

#[test]
fn it_finds_pipes_and_nothing_else() {
    let body = script("for n in 0 1 2; do readlink /proc/$$/fd/$n; done; ls /proc/$$/fd; :");
    let server = piped(&body).start();
    let found = server.connect("a").half_close().read_text();
    let lines: Vec<&str> = found.lines().collect();
    assert!(
        lines[..3].iter().all(|name| name.starts_with("pipe:[")),
        "{found}"
    );
    assert!(lines[0] != lines[1] && lines[1] == lines[2], "{found}");
    assert_eq!(lines[3..], ["0", "1", "2"]);
    server.wait_end("a");
    server.stop();
}

#[test]
fn the_supervisor_keeps_nothing_of_a_connection() {
    let server = piped("command = [\"/bin/cat\"]").start();
    // By then it has all that it ever has.
    server.connect("a").half_close().expect_end();
    server.wait_end("a");
    let before = held(server.pid());
    let client = server.connect("a");
    client.send("x").expect("x");
    until("nothing is left", || held(server.pid()) == before);
    client.half_close().expect_end();
    server.wait_ends("a", 2);
    server.stop();
}

#[test]
fn a_pipeline_ends_as_in_a_shell() {
    let server = piped(&script("yes | head -1")).start();
    assert_eq!(server.connect("a").read_text(), "y\n");
    server.wait_end("a");
    server.stop();
}

#[test]
fn a_prompt_without_newline_is_seen_at_once() {
    let server = piped(&script("printf 'name? '; read name; echo hello $name")).start();
    let client = server.connect("a");
    client.expect("name? ").send("bob\n");
    assert_eq!(client.read_text(), "hello bob\n");
    server.wait_end("a");
    server.stop();
}

#[test]
fn a_calculator_answers_line_by_line() {
    let server = piped("command = [\"/usr/bin/bc\"]").start();
    let client = server.connect("a");
    client
        .send("6*7\n")
        .expect("42\n")
        .send("2^10\n")
        .expect("1024\n");
    client.half_close().expect_end();
    server.wait_end("a");
    server.stop();
}

#[test]
fn standard_error_goes_where_it_is_to_go() {
    let say = script("echo out; echo err >&2");
    let log = format!("stdio = \"pipe\"\nstderr = \"log\"\n{say}");
    let null = format!("stdio = \"pipe\"\nstderr = \"null\"\n{say}");
    let server = piped(&say)
        .service("log", &log)
        .service("null", &null)
        .start();
    assert_eq!(server.connect("a").read_text(), "out\nerr\n");
    for service in ["log", "null"] {
        assert_eq!(server.connect(service).read_text(), "out\n");
        server.wait_end(service);
    }
    let line = server.log().wait_for(|line| line.is("stderr", "log"));
    assert!(line.0.contains("err"), "{}", line.0);
    server.wait_end("a");
    server.stop();
}

#[test]
fn megabytes_pass_both_ways_and_a_slow_reader_loses_none() {
    let server = piped("command = [\"/bin/cat\"]").start();
    let bytes = text(relayed());
    let client = server.connect("a");
    let sender = nix::unistd::dup(client.fd()).unwrap();
    let sends = spawn({
        let bytes = bytes.clone();
        move || {
            let mut sender = std::net::TcpStream::from(sender);
            sender.write_all(&bytes).unwrap();
            sender.shutdown(std::net::Shutdown::Write).unwrap();
        }
    });
    // Until nothing moves any more, nothing is read: all has to wait for us.
    let worker = worker(&server);
    let mut used = cpu_time(worker);
    until("all waits", || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let before = std::mem::replace(&mut used, cpu_time(worker));
        used == before
    });
    assert!(client.read_all() == bytes);
    sends.join().unwrap();
    let end = server.wait_end("a");
    let all = relayed() as u64;
    assert_eq!((end.number("received"), end.number("sent")), (all, all));
    server.stop();
}

/// Bytes that pass: more than the kernel's buffers hold, or as many as RELAY_BYTES says.
fn relayed() -> usize {
    let wanted = std::env::var("RELAY_BYTES");
    wanted.map_or(24 << 20, |bytes| bytes.parse().expect("a number"))
}

#[test]
fn a_client_gets_all_that_a_program_has_written_before_it_ended() {
    let server = piped(&script(
        "head -c 1000000 /dev/zero | tr '\\0' x; kill -KILL $$",
    ))
    .start();
    let client = server.connect("a");
    server.log().wait_for(|line| line.is("start", "a"));
    assert!(client.read_all() == vec![b'x'; 1_000_000]);
    let end = server.wait_end("a");
    assert_eq!(end.field("status"), Some("signal:KILL"));
    assert_eq!(end.number("sent"), 1_000_000);
    server.stop();
}

#[test]
fn a_program_that_has_ended_is_a_session_until_its_client_has_all() {
    let body =
        "max_connections = 1\ncommand = [\"/usr/bin/head\", \"-c\", \"3000000\", \"/dev/zero\"]";
    let server = piped(body).start();
    let first = server.connect("a");
    server.wait_start("a");
    let second = server.connect("a");
    assert_eq!(first.read_all().len(), 3_000_000);
    assert_eq!(second.read_all().len(), 3_000_000);
    let ends = server.wait_ends("a", 2);
    assert!(ends.iter().all(|end| end.number("sent") == 3_000_000));
    server.stop();
}

#[test]
fn zero_bytes_are_an_answer_too() {
    let server = piped("command = [\"/bin/true\"]")
        .service("cat", "stdio = \"pipe\"\ncommand = [\"/bin/cat\"]")
        .start();
    // It says nothing and ends: its client need not say anything either.
    server.connect("a").expect_end();
    server.connect("cat").half_close().expect_end();
    let ends = [server.wait_end("a"), server.wait_end("cat")];
    for end in ends {
        assert_eq!((end.number("received"), end.number("sent")), (0, 0));
    }
    server.stop();
}

#[test]
fn a_program_that_reads_no_more_still_answers() {
    let server = piped(&script("exec <&-; sleep 0.1; echo done")).start();
    let client = server.connect("a");
    client.send(vec![b'x'; 300_000]);
    assert_eq!(client.read_line(), "done");
    client.expect_end();
    server.wait_end("a");
    server.stop();
}

#[test]
fn a_program_notices_that_its_client_has_left() {
    let server = piped(&script(
        "cat; echo more; sleep 0.05; echo more; sleep 0.05; exec yes",
    ))
    .start();
    let client = server.connect("a");
    client.send("x").expect("x");
    client.reset();
    let end = server.wait_end("a");
    assert_eq!(end.field("status"), Some("signal:PIPE"));
    assert_eq!(end.field("reason"), Some("client-left"));
    // One that does not read is told as well, although what it was sent last waits for it.
    let server2 = piped(&script(
        "trap 'exit 7' PIPE; while sleep 0.05; do echo x; done",
    ))
    .start();
    let client = server2.connect("a");
    client.send(vec![b'x'; 1_000_000]).expect("x\n");
    client.reset();
    let end = server2.wait_end("a");
    assert_eq!(end.field("status"), Some("exit:7"));
    assert_eq!(end.field("reason"), Some("client-left"));
    server.stop();
    server2.stop();
}

#[test]
fn lines_end_as_on_the_network() {
    let body = format!(
        "newline = \"crlf\"\n{}",
        script("od -An -c; printf 'a\\nb\\r\\n'")
    );
    let server = piped(&body).start();
    let client = server.connect("a");
    client.send("x\r").send("\ny\r\0z\r").half_close();
    assert_eq!(
        client.read_text(),
        "   x  \\n   y  \\n   z  \\r\r\na\r\nb\r\n"
    );
    let end = server.wait_end("a");
    assert_eq!((end.number("received"), end.number("sent")), (8, 32));
    server.stop();
}

#[test]
fn a_banner_comes_before_the_first_byte() {
    let banner = "banner = \"hello\\r\\n\"\n";
    let server = piped(&format!("{banner}command = [\"/bin/echo\", \"x\"]"))
        .service(
            "socket",
            &format!("{banner}command = [\"/bin/echo\", \"x\"]"),
        )
        .service(
            "cut",
            &format!("stdio = \"pipe\"\n{banner}command = [\"/none\"]"),
        )
        .service(
            "unix",
            &format!("listen = \"unix:{{dir}}/s\"\n{banner}command = [\"/bin/echo\", \"x\"]"),
        )
        .start();
    for service in ["a", "socket", "unix"] {
        assert_eq!(
            server.connect(service).half_close().read_text(),
            "hello\r\nx\n"
        );
        server.wait_end(service);
    }
    assert_eq!(server.connect("cut").half_close().read_text(), "hello\r\n");
    assert_eq!(server.wait_end("a").number("sent"), 9);
    let totals = server.stop();
    assert_eq!(totals.of("cut", "failed"), 1);
}

#[test]
fn a_worker_that_dies_ends_what_it_passes_on_and_another_comes() {
    let server = piped("command = [\"/bin/cat\"]")
        .service("plain", "command = [\"/bin/cat\"]")
        .start();
    let (client, plain) = (server.connect("a"), server.connect("plain"));
    client.send("x").expect("x");
    let mark = server.log().mark();
    signal(worker(&server), Signal::SIGKILL);
    assert!(matches!(client.read(1), Got::End | Got::Reset));
    let end = server.wait_end("a");
    assert_eq!((end.field("received"), end.field("sent")), (None, None));
    assert_eq!(end.field("status"), Some("exit:0"));
    assert_eq!(end.field("reason"), Some("worker-died"));
    let died = std::time::Instant::now();
    server
        .log()
        .wait_after(mark, |line| line.event() == "worker-started");
    assert!(died.elapsed() < AT_ONCE);
    plain.send("y").expect("y");
    plain.half_close().expect_end();
    let next = server.connect("a");
    assert_eq!(next.send("z").half_close().read_text(), "z");
    server.wait_ends("a", 2);
    let totals = server.stop();
    assert_eq!(totals.of("a", "launched"), 2);
}

#[test]
fn clients_that_come_while_there_is_no_worker_wait_for_the_next() {
    let server = piped("max_connections = 2000\ncommand = [\"/bin/cat\"]").start();
    let pid = worker(&server);
    signal(pid, Signal::SIGSTOP);
    let clients: Vec<Client> = (0..300).map(|_| server.connect("a")).collect();
    // More than the control socket holds: the supervisor goes on, and its commands are answered.
    server
        .log()
        .wait_until(|lines| lines.iter().filter(|line| line.is("start", "a")).count() >= 128);
    assert!(server.status().of("a")["accepted"].as_u64() >= Some(128));
    signal(pid, Signal::SIGCONT);
    for client in &clients {
        client.send("x").half_close();
    }
    for client in &clients {
        assert_eq!(client.read_text(), "x");
    }
    server.wait_ends("a", 300);
    let totals = server.stop();
    assert_eq!(totals.of("a", "launched"), 300);
}

#[test]
fn a_launch_that_fails_leaves_nobody_and_nothing_behind() {
    let server = piped("command = [\"/none\"]").start();
    // By then the worker has all that it ever has.
    server.connect("a").half_close().expect_end();
    let held = || held(server.pid()).len() + held(worker(&server)).len();
    let before = held();
    for _ in 0..20 {
        server.connect("a").half_close().expect_end();
    }
    until("nothing is left", || held() <= before);
    let totals = server.stop();
    assert_eq!(
        (totals.of("a", "accepted"), totals.of("a", "failed")),
        (21, 21)
    );
}

#[test]
fn an_ordinary_user_has_pipes_too() {
    let server = piped("command = [\"/bin/cat\", \"/dev/stdin\"]")
        .as_ordinary_user()
        .start();
    let client = server.connect("a");
    assert_eq!(client.send("hello").half_close().read_text(), "hello");
    server.wait_end("a");
    server.stop();
}

#[test]
fn hundreds_of_idle_connections_wait_in_one_worker() {
    const CLIENTS: usize = 400;
    let server = piped("max_connections = 1000\ncommand = [\"/bin/cat\"]").start();
    let clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect("a")).collect();
    for client in &clients {
        client.send("x").expect("x");
    }
    let worker = worker(&server);
    let used = cpu_time(worker);
    // Nobody of them says anything while another is served.
    for _ in 0..100 {
        clients[7].send("y").expect("y");
    }
    assert!(cpu_time(worker) - used < std::time::Duration::from_millis(500));
    for client in &clients {
        client.half_close().expect_end();
    }
    server.wait_ends("a", CLIENTS);
    until("nothing is left", || {
        held(worker)
            .iter()
            .filter(|it| it.contains("pipe:"))
            .count()
            <= 3
    });
    server.stop();
}

#[test]
fn an_answer_is_not_cut_although_its_client_goes_on_sending() {
    use nix::sys::socket::{setsockopt, sockopt::RcvBuf};
    use std::sync::atomic::{AtomicBool, Ordering};
    const ANSWER: usize = 3_000_000;
    let server = piped("command = [\"/usr/bin/head\", \"-c\", \"3000000\", \"/dev/zero\"]").start();
    let client = server.connect("a");
    setsockopt(client.fd(), RcvBuf, &65536).unwrap();
    let has_all = AtomicBool::new(false);
    let mut sender = std::net::TcpStream::from(nix::unistd::dup(client.fd()).unwrap());
    let received = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !has_all.load(Ordering::Relaxed) {
                if sender.write(&[b'x'; 65536]).is_err() {
                    break;
                }
            }
        });
        let mut received = 0;
        // Slower than it comes: most of it waits in the kernel when the program has ended.
        let end = loop {
            std::thread::sleep(std::time::Duration::from_millis(5));
            match client.read(16384) {
                Got::Bytes(bytes) => received += bytes.len(),
                end => break end,
            }
        };
        has_all.store(true, Ordering::Relaxed);
        (received, end)
    });
    assert_eq!(received, (ANSWER, Got::End));
    assert_eq!(server.wait_end("a").number("sent"), ANSWER as u64);
    server.stop();
}

#[test]
fn sessions_that_live_when_the_server_stops_have_an_end_record() {
    let server = piped("command = [\"/bin/cat\"]")
        .service("pty", "stdio = \"pty\"\ncommand = [\"/bin/cat\"]")
        .start();
    let clients = ["a", "pty"].map(|service| (service, server.connect(service)));
    for (service, client) in &clients {
        client.send("x").expect("x");
        server.wait_start(service);
    }
    server.signal(Signal::SIGTERM);
    for (service, client) in clients {
        client.expect_end();
        let end = server.wait_end(service);
        assert_eq!(end.field("reason"), Some("stopped"));
        assert_eq!((end.field("received"), end.field("sent")), (None, None));
    }
    server.stop();
}
