//! `events`: the log's own lines, live.

use super::*;

const FOLLOW: &str = r#"{"do":"events","follow":true,"services":[],"text":true}"#;

/// Begins to follow; what comes is read later.
fn follow(server: &Server, request: &str) -> std::io::BufReader<std::os::unix::net::UnixStream> {
    use std::io::Write;
    let mut control = server.control();
    control
        .get_mut()
        .write_all(format!("{request}\n").as_bytes())
        .unwrap();
    // Answered after what was asked before.
    server.status();
    control
}

#[test]
fn events_are_the_lines_of_the_log() {
    let server = server()
        .service("a", CAT)
        .service("bad", "command = [\"/nonexistent\"]")
        .service("e", ECHO)
        .start();
    let begin = server.log().lines().len();
    let mut control = follow(&server, FOLLOW);
    for service in ["a", "e"] {
        server
            .connect(service)
            .send("x")
            .expect("x")
            .half_close()
            .expect_end();
        server.wait_end(service);
    }
    server.connect("bad").expect_end();
    server
        .log()
        .wait_for(|line| line.0.starts_with("cannot start bad"));
    server.reload();
    let lines = server.log().lines();
    let mut told: Vec<String> = Vec::new();
    while told.len() < lines.len() - begin {
        let event = next_line(&mut control).unwrap();
        assert!(event["time"].as_f64().unwrap() > 1.7e9);
        let text = event["text"].as_str().unwrap().lines();
        told.extend(text.map(String::from));
    }
    let logged = lines[begin..].iter().map(|line| line.0.clone());
    assert_eq!(told, logged.collect::<Vec<_>>());
    // What has happened before is kept too.
    let recent = server.ask(&FOLLOW.replace("true,\"services", "false,\"services"));
    let recent = recent.iter().filter_map(|it| it["text"].as_str());
    let recent: Vec<_> = recent.flat_map(str::lines).collect();
    assert_eq!(
        recent,
        lines.iter().map(|it| it.0.as_str()).collect::<Vec<_>>()
    );
    server.stop();
}

#[test]
fn events_can_be_those_of_some_services() {
    let server = server().service("a", CAT).service("b", CAT).start();
    let request = r#"{"do":"events","follow":true,"services":["b"],"text":false}"#;
    let mut control = follow(&server, request);
    for service in ["a", "b"] {
        server.connect(service).half_close().expect_end();
        server.wait_end(service);
    }
    let told = [
        next_line(&mut control).unwrap(),
        next_line(&mut control).unwrap(),
    ];
    assert_eq!(told.each_ref().map(|it| &it["event"]), ["start", "end"]);
    assert!(told.iter().all(|it| it["service"] == "b"));
    assert_eq!(told[1]["status"], "exit:0");
    let none = last(server.ask(&request.replace("[\"b\"]", "[\"c\"]")));
    assert_eq!(none["exit"], 66);
    server.stop();
}

/// More than is kept while nobody reads: the counts are exact.
#[test]
fn a_follower_that_is_slow_is_told_how_much_it_has_missed() {
    const CONNECTIONS: usize = 12_000;
    let server = server().service("e", "builtin = \"daytime\"").start();
    let request = r#"{"do":"events","follow":true,"services":["e"],"text":false}"#;
    let mut control = follow(&server, request);
    let address = server.address("e", "");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..CONNECTIONS / 8 {
                    Client::connect(&address).read_all();
                }
            });
        }
    });
    until("all have ended", || {
        let status = server.status();
        status.of("e")["answered"] == CONNECTIONS && status.of("e")["live"] == 0
    });
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < 2 * CONNECTIONS as u64 {
        let told = next_line(&mut control).unwrap();
        match told["missed"].as_u64() {
            Some(count) => missed += count,
            None => seen += 1,
        }
    }
    assert_eq!(seen + missed, 2 * CONNECTIONS as u64);
    assert!(missed > 0, "all of it was kept");
    server.stop();
}
