//! Many sessions, and many callers of the worst kind: nobody else notices.

use super::*;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The clients are ours, and need as many.
fn own_descriptor_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    hard
}

/// The time that the slowest of some turns took.
fn slowest(turns: usize, mut turn: impl FnMut()) -> Duration {
    let times = (0..turns).map(|_| {
        let begin = Instant::now();
        turn();
        begin.elapsed()
    });
    times.max().unwrap()
}

/// The time that the quickest of some turns took: what others do on the machine adds to the rest.
fn quickest(turns: usize, mut turn: impl FnMut()) -> Duration {
    let times = (0..turns).map(|_| slowest(1, &mut turn));
    times.min().unwrap()
}

#[test]
fn status_of_three_thousand_sessions_is_quick_and_delays_nobody() {
    if own_descriptor_limit() < 8_000 {
        return skip("needs a descriptor limit of more than 8,000");
    }
    const SESSIONS: usize = 3_000;
    let server = server()
        .service(
            "cat",
            &format!("{CAT}\nmax_connections = 4000\nmax_per_source = 4000"),
        )
        .service("hello", "command = [\"/bin/echo\", \"hello\"]")
        .start();
    let clients: Vec<Client> = (0..SESSIONS).map(|_| server.connect("cat")).collect();
    until("all are there", || {
        server.status().of("cat")["live"] == SESSIONS
    });
    let status = quickest(9, || {
        assert_eq!(server.status().of("cat")["live"], SESSIONS)
    });
    assert!(status < Duration::from_millis(50), "status took {status:?}");
    let lines = server.ask(r#"{"do":"list"}"#);
    assert_eq!(lines.len(), SESSIONS + 1);

    let ask = || _ = server.connect("hello").expect("hello\n");
    let before = quickest(21, ask);
    let mut load = Load::new();
    for request in [r#"{"do":"list"}"#, r#"{"do":"status"}"#] {
        let path = server.directory().join("control");
        load.client(move || {
            let stream = UnixStream::connect(&path).unwrap();
            super::ask(&mut std::io::BufReader::new(stream), request);
        });
    }
    load.more(20);
    let meanwhile = quickest(21, ask);
    load.stop();
    let limit = (before * 10).max(Duration::from_millis(50));
    assert!(
        meanwhile < limit,
        "{before:?} without callers, {meanwhile:?} with them"
    );
    act(
        &server,
        r#"{"do":"kill","target":{"service":"cat"},"signal":"TERM"}"#,
    );
    clients.iter().for_each(|it| it.expect_end());
    server.stop();
}

/// Callers that say nothing, half a line, rubbish, too much, or ask for all and read nothing.
#[test]
fn a_thousand_hostile_callers_delay_nobody() {
    if own_descriptor_limit() < 3_000 {
        return skip("needs a descriptor limit of more than 3,000");
    }
    let server = server()
        .service("cat", CAT)
        .service("hello", "command = [\"/bin/echo\", \"hello\"]")
        .start();
    let session = server.connect("cat");
    session.send("a").expect("a");
    let call = || {
        let stream = UnixStream::connect(server.directory().join("control")).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let huge = vec![b'x'; 100_000];
    let follow = br#"{"do":"events","follow":true,"services":[],"text":false}"#;
    let glutton = [&br#"{"do":"status"}"#[..], b"\n"].concat().repeat(200);
    let words: [&[u8]; 6] = [
        b"",
        b"{\"do\":\"sta",
        b"\xff\x00\n\n\n{}\n[]\n",
        &huge,
        follow,
        &glutton,
    ];
    let mut callers = Vec::new();
    for n in 0..1_000 {
        let mut caller = call();
        // It may be closed already, or have no room.
        let _ = caller.write(words[n % words.len()]);
        callers.push(caller);
        if n % 100 == 0 {
            session.send("b").expect("b");
        }
    }
    let ours = slowest(20, || _ = server.connect("hello").expect("hello\n"));
    assert!(ours < AT_ONCE, "a client waited {ours:?}");
    let status = slowest(5, || drop(server.status()));
    assert!(status < AT_ONCE, "status took {status:?}");
    let descriptors = open_descriptors(server.pid()).len();
    assert!(descriptors < 130, "{descriptors} are open");
    drop(callers);
    drop(session);
    server.stop();
}

#[test]
fn callers_are_heard_one_request_after_the_other() {
    let server = server().service("a", CAT).start();
    let mut control = server.control();
    let requests =
        "nonsense\n{\"do\":\"list\"}\n{\"do\":\"status\",\"service\":\"b\"}\n{\"do\":\"list\"}\n";
    control.get_mut().write_all(requests.as_bytes()).unwrap();
    let answers = [(); 4].map(|()| next_line(&mut control).unwrap());
    assert_eq!(answers[0]["exit"], 64);
    assert_eq!(answers[1]["done"], true);
    assert_eq!(answers[2]["exit"], 66);
    assert_eq!(answers[3]["done"], true);
    let huge = format!("{}\n", "x".repeat(5_000));
    control.get_mut().write_all(huge.as_bytes()).unwrap();
    assert_eq!(next_line(&mut control).unwrap()["exit"], 64);
    assert_eq!(next_line(&mut control), None, "it was closed");
    server.stop();
}

/// Ten seconds: slow, but nothing else tells.
#[test]
fn silence_ends() {
    let server = server().service("a", CAT).start();
    let begin = Instant::now();
    let mut silent = server.control();
    let mut slow = server.control();
    slow.get_mut().write_all(b"{\"do\":").unwrap();
    assert_eq!(next_line(&mut silent), None);
    let lasted = begin.elapsed();
    assert!((9..15).contains(&lasted.as_secs()), "{lasted:?}");
    assert_eq!(next_line(&mut slow), None);
    server.stop();
}

#[test]
fn callers_are_taken_again_after_a_shortage_of_descriptors() {
    let server = server().service("cat", CAT).start();
    let mut first = server.control();
    let status = r#"{"do":"status"}"#;
    ask(&mut first, status);
    let usual = descriptor_limit(server.pid());
    limit_descriptors(server.pid(), 5);
    // Nobody can take the second, so no more are taken for a while; then the only caller leaves.
    let mut second = server.control();
    ask(&mut first, status);
    drop(first);
    until("the first has gone", || {
        let sockets = open_descriptors(server.pid());
        sockets
            .iter()
            .filter(|it| it.starts_with("socket:"))
            .count()
            == 2
    });
    limit_descriptors(server.pid(), usual);
    assert_eq!(ask(&mut second, status)[0]["name"], "cat");
    server.stop();
}
