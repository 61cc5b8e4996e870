//! `redirect`: another server at the far end.

use super::{text, worker};
use crate::harness::*;
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

fn redirect(to: &str) -> Builder {
    let body = format!("listen = \"127.0.0.1:0\"\nredirect = \"{to}\"");
    server().service("web", &body)
}

/// A server that takes one connection, and what it does with it.
fn target<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        serve(stream)
    });
    (address, thread)
}

/// Reads to the end, and answers only then.
fn answer_at_the_end(mut stream: impl Read + Write) {
    let mut request = String::new();
    stream.read_to_string(&mut request).unwrap();
    write!(stream, "you said {request}").unwrap();
}

/// An address where connections are neither taken nor refused, for as long as the sockets live.
fn silent() -> (String, TcpListener, Vec<TcpStream>) {
    use nix::sys::socket::{Backlog, listen};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queued.push(stream);
    }
    (address.to_string(), listener, queued)
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let (address, target) = target(answer_at_the_end);
    let server = redirect(&address).start();
    let client = server.connect("web");
    assert_eq!(
        client.send("hello").half_close().read_text(),
        "you said hello"
    );
    let start = server.wait_start("web");
    let end = server.wait_end("web");
    assert_eq!(start.field("id"), end.field("id"));
    assert_eq!((end.number("received"), end.number("sent")), (5, 14));
    assert_eq!(end.field("reason"), Some("finished"));
    target.join().unwrap();
    let totals = server.stop();
    assert_eq!(
        (totals.of("web", "accepted"), totals.of("web", "answered")),
        (1, 1)
    );
}

#[test]
fn a_target_that_has_ended_still_hears_the_client() {
    let (address, target) = target(|mut stream| {
        stream.write_all(b"bye").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        rest
    });
    let server = redirect(&address).start();
    let client = server.connect("web");
    assert_eq!(client.read_text(), "bye");
    client.send("more").half_close();
    assert_eq!(target.join().unwrap(), "more");
    assert_eq!(server.wait_end("web").field("reason"), Some("finished"));
    server.stop();
}

#[test]
fn over_a_unix_socket_to_a_unix_socket() {
    let builder = server();
    let path = builder.directory().path().join("target");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let target = spawn(move || answer_at_the_end(listener.accept().unwrap().0));
    let body = "listen = \"unix:{dir}/s\"\nredirect = \"unix:{dir}/target\"";
    let server = builder.service("web", body).start();
    let client = server.connect("web");
    assert_eq!(
        client.send("hello").half_close().read_text(),
        "you said hello"
    );
    target.join().unwrap();
    server.wait_end("web");
    server.stop();
}

#[test]
fn megabytes_pass_both_ways_and_a_slow_reader_loses_none() {
    let bytes = text(8 << 20);
    let (address, target) = target({
        let bytes = bytes.clone();
        move |mut stream| {
            let mut sender = stream.try_clone().unwrap();
            let sends = spawn(move || {
                sender.write_all(&bytes).unwrap();
                sender.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            sends.join().unwrap();
            received
        }
    });
    let server = redirect(&address).start();
    let client = server.connect("web");
    // Nothing is read until all was sent: what comes the other way has to wait meanwhile.
    client.send(&bytes).half_close();
    assert!(client.read_all() == bytes);
    assert!(target.join().unwrap() == bytes);
    let end = server.wait_end("web");
    assert_eq!(
        (end.number("received"), end.number("sent")),
        (8 << 20, 8 << 20)
    );
    server.stop();
}

#[test]
fn a_target_that_is_not_there_is_told_and_counted() {
    let address = format!("127.0.0.1:{}", free_port());
    let server = redirect(&address).start();
    server.connect("web").expect_end();
    let told = format!("cannot reach web: connect {address}: connection refused (ECONNREFUSED)");
    server.log().wait_for(|line| line.0.starts_with(&told));
    assert_eq!(server.log().count(|line| line.event() == "start"), 0);
    let totals = server.stop();
    assert_eq!(
        (totals.of("web", "accepted"), totals.of("web", "failed")),
        (1, 1)
    );
}

#[test]
fn every_address_of_a_name_is_tried() {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = spawn(move || answer_at_the_end(listener.accept().unwrap().0));
    let server = redirect(&format!("localhost:{port}")).start();
    let client = server.connect("web");
    assert_eq!(
        client.send("hello").half_close().read_text(),
        "you said hello"
    );
    target.join().unwrap();
    server.wait_end("web");
    server.stop();
}

#[test]
fn an_address_that_does_not_answer_is_given_up() {
    let (address, _listener, _queued) = silent();
    let server = redirect(&address).start();
    let began = Instant::now();
    let client = server.connect("web");
    client.expect_end();
    assert!(
        began.elapsed() >= Duration::from_millis(4900),
        "{:?}",
        began.elapsed()
    );
    let told = format!("cannot reach web: connect {address}: connection timed out (ETIMEDOUT)");
    server.log().wait_for(|line| line.0.starts_with(&told));
    assert_eq!(server.stop().of("web", "failed"), 1);
}

#[test]
fn whoever_resets_ends_it_for_both() {
    let (address, first) = target(|mut stream| stream.read(&mut [0; 10]).is_err());
    let server = redirect(&address).start();
    let client = server.connect("web");
    server.wait_start("web");
    client.reset();
    assert_eq!(server.wait_end("web").field("reason"), Some("client-left"));
    first.join().unwrap();
    server.stop();

    let (address, second) = target(|mut stream| {
        stream.write_all(b"a").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        // Closed with something left to read, it is reset.
        let mut peeked = [0; 1];
        while stream.peek(&mut peeked).unwrap() == 0 {}
    });
    let server = redirect(&address).start();
    let client = server.connect("web");
    client.expect("a").send("b");
    client.send("c");
    assert!(matches!(client.read(1), Got::End | Got::Reset));
    assert_eq!(server.wait_end("web").field("reason"), Some("target-left"));
    second.join().unwrap();
    server.stop();
}

#[test]
fn a_worker_that_dies_leaves_an_end_of_each() {
    let (address, _listener, _queued) = silent();
    let (other, target) = target(|mut stream| stream.read(&mut [0; 10]).is_ok());
    let body = format!("listen = \"127.0.0.1:0\"\nredirect = \"{other}\"");
    let server = redirect(&address).service("other", &body).start();
    let (calling, joined) = (server.connect("web"), server.connect("other"));
    server.wait_start("other");
    until("it is calling", || {
        server.status().of("web")["pending"] == 1
    });
    let pid = worker(&server);
    signal(pid, Signal::SIGKILL);
    for service in ["web", "other"] {
        assert_eq!(
            server.wait_end(service).field("reason"),
            Some("worker-died")
        );
    }
    for client in [calling, joined] {
        assert!(matches!(client.read(1), Got::End | Got::Reset));
    }
    target.join().unwrap();
    let totals = server.stop();
    assert_eq!(
        (totals.of("web", "accepted"), totals.of("web", "answered")),
        (1, 1)
    );
}

#[test]
fn a_reload_names_another_target() {
    let (first, one) = target(|mut stream| stream.write_all(b"first").unwrap());
    let (second, two) = target(|mut stream| stream.write_all(b"second").unwrap());
    let server = redirect(&first).start();
    assert_eq!(server.connect("web").half_close().read_text(), "first");
    server.wait_ends("web", 1);
    let table = server.table().replace(&first, &second);
    server.reload_with(&table);
    assert_eq!(server.connect("web").half_close().read_text(), "second");
    server.wait_ends("web", 2);
    one.join().unwrap();
    two.join().unwrap();
    server.stop();
}

#[test]
fn a_target_whose_queue_is_full_for_a_moment_is_called_again() {
    use nix::sys::socket::{Backlog, listen};
    use std::os::unix::net::UnixStream;
    let builder = server();
    let path = builder.directory().path().join("target");
    let listener = UnixListener::bind(&path).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    // The only place in its queue.
    let queued = UnixStream::connect(&path).unwrap();
    let body = "listen = \"127.0.0.1:0\"\nredirect = \"unix:{dir}/target\"";
    let server = builder.service("web", body).start();
    let client = server.connect("web");
    client.send("hello").half_close();
    until("it is calling", || {
        server.status().of("web")["pending"] == 1
    });
    drop((listener.accept().unwrap(), queued));
    answer_at_the_end(listener.accept().unwrap().0);
    assert_eq!(client.read_text(), "you said hello");
    server.wait_end("web");
    // One that stays full is given up like others.
    let _queued = UnixStream::connect(&path).unwrap();
    let began = Instant::now();
    let used = cpu_time(worker(&server));
    server.connect("web").expect_end();
    assert!(began.elapsed() >= Duration::from_millis(4900));
    let used = cpu_time(worker(&server)) - used;
    assert!(used < Duration::from_millis(500), "{used:?}");
    let told = |line: &Line| line.0.contains("connection timed out (ETIMEDOUT)");
    server.log().wait_for(told);
    assert_eq!(server.stop().of("web", "failed"), 1);
}

#[test]
fn a_client_that_moves_nothing_or_stays_too_long_is_ended() {
    let (address, _listener, _queued) = silent();
    let (other, target) = target(|mut stream| {
        let mut said = Vec::new();
        let _ = stream.write_all(&text(64 << 20));
        let _ = stream.read_to_end(&mut said);
        said
    });
    let limits =
        |limits: &str, to: &str| format!("listen = \"127.0.0.1:0\"\nredirect = \"{to}\"\n{limits}");
    let server = server()
        .service("idle", &limits("idle_timeout = \"2s\"", &other))
        .service("old", &limits("max_lifetime = \"1s\"", &address))
        .start();
    let old = server.connect("old");
    let client = server.connect("idle");
    // It moves something for longer than it may move nothing.
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(500));
        client.send("x");
    }
    old.expect_end();
    let end = server.wait_end("old");
    assert_eq!(end.field("reason"), Some("max-lifetime"));
    let end = server.wait_end("idle");
    assert_eq!(end.field("reason"), Some("idle-timeout"));
    assert_eq!(end.number("received"), 6);
    assert_eq!(target.join().unwrap(), b"xxxxxx");
    drop(client);
    server.stop();
}

#[test]
fn a_client_that_takes_little_at_a_time_is_not_idle() {
    const ALL: usize = 3 << 20;
    let (address, _target) = target(|mut stream| {
        let _ = stream.write_all(&text(ALL));
    });
    let server = server()
        .service(
            "a",
            &format!("redirect = \"{address}\"\nidle_timeout = \"2s\""),
        )
        .start();
    let client = server.connect("a");
    // There is room on our side for all of it, so that nothing tells of what it takes.
    let mut taken = 0;
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(500));
        taken += client.read_exactly(100_000).len();
    }
    let rest = client.read_all().len();
    assert_eq!(taken + rest, ALL);
    drop(client);
    let end = server.wait_end("a");
    assert_eq!(end.field("reason"), Some("finished"), "{end}");
    server.stop();
}
