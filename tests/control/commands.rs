//! The commands as a person or a script meets them.

use super::*;

/// `oxinetd` with these words for this server.
fn command(server: &Server, words: &[&str]) -> Ran {
    let control = server.directory().join("control");
    run(oxinetd(words).args(["--control", &control]))
}

#[track_caller]
fn said(server: &Server, words: &[&str]) -> String {
    let ran = command(server, words);
    assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.stderr);
    ran.stdout
}

#[test]
fn status_is_a_table_and_json() {
    let server = server()
        .service("cat", CAT)
        .service("off", &format!("{CAT}\nenabled = false"))
        .start();
    let client = server.connect("cat");
    client.send("x").expect("x");
    let address = server.address("cat", "");
    let table = said(&server, &["status"]);
    let words = |line: &str| {
        line.split_whitespace()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = table.lines().map(words).collect();
    assert_eq!(
        lines[0],
        words("SERVICE STATE LIVE QUEUED ACCEPTED REFUSED FAILED ADDRESSES")
    );
    assert_eq!(
        lines[1],
        words(&format!("cat listening 1/128 0 1 0 0 {address}"))
    );
    assert_eq!(lines[2][..3], words("off disabled 0/128"));
    assert_eq!(lines[3], words("2 services 1 0 1 0 0"));
    assert!(!table.contains('\x1b'), "a pipe has no colours");
    let one = said(&server, &["status", "cat"]);
    assert!(
        one.starts_with("cat\n  state         listening, since "),
        "{one}"
    );
    assert!(one.contains("  accepted      1: 1 launched\n"), "{one}");
    let json: Value = serde_json::from_str(&said(&server, &["status", "--json"])).unwrap();
    assert_eq!(json["services"][0]["live"], 1);
    assert_eq!(json["server"]["pid"], server.pid());
    let list = said(&server, &["list"]);
    assert_eq!(list.lines().count(), 2, "{list}");
    let json: Value = serde_json::from_str(&said(&server, &["list", "--json"])).unwrap();
    assert_eq!(json["sessions"][0]["service"], "cat");
    drop(client);
    server.stop();
}

#[test]
fn exit_statuses_tell_scripts_what_is_the_matter() {
    let server = server().service("finger", CAT).start();
    let code = |words: &[&str]| command(&server, words).code;
    assert_eq!(code(&["status", "finger"]), Some(0));
    let ran = command(&server, &["pause", "figner"]);
    assert_eq!(ran.code, Some(66));
    assert_eq!(
        ran.stderr,
        "oxinetd: there is no service figner; did you mean finger?\n"
    );
    let ran = command(&server, &["kill"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            Some(64),
            "oxinetd: kill which sessions? Say ID, --service NAME or --from ADDRESS\n"
        )
    );
    let ran = command(&server, &["kill", "--service", "finger"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(66), "oxinetd: finger has no live session\n")
    );
    assert_eq!(code(&["kill", "--from", "nowhere"]), Some(64));
    assert_eq!(code(&["kill", "99"]), Some(66));
    assert_eq!(code(&["reload"]), Some(0));
    server.write_table("[service.finger]\n");
    assert_eq!(code(&["reload"]), Some(78));
    let nobody = run(&mut oxinetd(&[
        "status",
        "--control",
        "/nonexistent/control",
    ]));
    assert_eq!(nobody.code, Some(69));
    assert!(
        nobody.stderr.contains("/nonexistent/control"),
        "{}",
        nobody.stderr
    );
    let table = server.directory().join("services.toml");
    let nobody = run(&mut oxinetd(&["status", "--control", &table]));
    assert_eq!(
        (nobody.code, nobody.stderr),
        (Some(69), format!("oxinetd: {table} is not a socket\n"))
    );
    let nobody = run(&mut oxinetd(&[
        "health",
        "--control",
        "/nonexistent/control",
    ]));
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stdout.starts_with("down: "), "{}", nobody.stdout);
    server.stop();
}

#[test]
fn health_is_a_line_and_a_number() {
    let server = server().service("a", CAT).service("b", CAT).start();
    let health = || {
        let ran = command(&server, &["health"]);
        (ran.code, ran.stdout)
    };
    assert_eq!(health(), (Some(0), "ok: 2 services\n".into()));
    said(&server, &["pause", "b"]);
    assert_eq!(health(), (Some(1), "degraded: b paused\n".into()));
    said(&server, &["resume", "b"]);
    assert_eq!(health().0, Some(0));
    server.stop();
}

#[test]
fn a_service_whose_program_cannot_be_started_is_not_healthy() {
    let builder = server();
    let program = builder
        .directory()
        .program("program", "#!/bin/sh\necho hi\n");
    let server = builder
        .service("a", &format!("command = [\"{program}\"]"))
        .start();
    let health = || command(&server, &["health"]).stdout;
    std::fs::rename(&program, server.directory().join("away")).unwrap();
    assert_eq!(server.connect("a").read_text(), "");
    server
        .log()
        .wait_for(|line| line.0.starts_with("cannot start a"));
    assert_eq!(health(), "degraded: a cannot be started\n");
    std::fs::rename(server.directory().join("away"), &program).unwrap();
    assert_eq!(server.connect("a").read_text(), "hi\n");
    server.settle();
    assert_eq!(health(), "ok: 1 service\n");
    server.stop();
}

#[test]
fn what_cannot_be_written_is_no_success() {
    let server = server().service("a", CAT).start();
    let table = server.directory().join("services.toml");
    let full = |words: &[&str]| {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = oxinetd(words);
        command.env("OXINETD_CONTROL", server.directory().join("control"));
        let output = command.stdout(full.unwrap()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    for words in [
        &["check", &table][..],
        &["status"],
        &["list"],
        &["events"],
        &["metrics"],
        &["health"],
        &["reload"],
        &["explain", "a", "--from", "::1"],
        &["ban"],
        &["pause", "a"],
        &["enable", "a", "--config", &table],
        &["--help"],
    ] {
        let (code, said) = full(words);

        assert_eq!(code, Some(74), "{words:?}: {said}");
        assert!(
            said.starts_with("oxinetd: cannot write to standard output: "),
            "{words:?}: {said}"
        );
    }
    server.stop();
}

/// Each gives up by itself; they wait at the same time.
#[test]
fn a_server_that_is_stopped_keeps_nobody_waiting() {
    let server = server().service("a", CAT).start();
    server.signal(Signal::SIGSTOP);
    let (health, killed) = std::thread::scope(|scope| {
        let health = scope.spawn(|| command(&server, &["health"]));
        let killed = command(&server, &["kill", "3"]);
        (health.join().unwrap(), killed)
    });
    server.signal(Signal::SIGCONT);
    let says = |seconds| {
        let path = server.directory().join("control");
        format!("the server at {path} does not answer within {seconds} s: is it stopped?\n")
    };
    assert_eq!(
        (health.code, health.stdout),
        (Some(2), "down: ".to_owned() + &says(5))
    );
    assert_eq!(
        (killed.code, killed.stderr),
        (Some(69), "oxinetd: ".to_owned() + &says(15))
    );
    server.stop();
}

#[test]
fn commands_find_the_server_by_the_environment() {
    let server = server().service("a", CAT).start();
    let control = server.directory().join("control");
    let ran = run(oxinetd(&["status"]).env("OXINETD_CONTROL", control));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    server.stop();
}

/// As strict as the format: one family after the other, each sample with the family's name, no label
/// or number that cannot be read, counters that agree with status.
#[test]
fn metrics_are_open_metrics() {
    let server = server()
        .service("cat", CAT)
        .service("bad", "command = [\"/nonexistent\"]")
        .start();
    server
        .connect("cat")
        .send("x")
        .expect("x")
        .half_close()
        .expect_end();
    server.connect("bad").expect_end();
    server.wait_end("cat");
    server
        .log()
        .wait_for(|line| line.0.starts_with("cannot start bad"));
    let text = said(&server, &["metrics"]);
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.pop(), Some("# EOF"));
    let mut families = std::collections::HashSet::new();
    let mut family = "";
    for line in &lines {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
            assert!(families.insert(family), "{family} twice");
        } else if !line.starts_with("# ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let ends = ["", "_total", "_bucket", "_count", "_sum"];
            let bare = name.split('{').next().unwrap();
            assert!(
                ends.iter().any(|end| bare == format!("{family}{end}")),
                "{line} in {family}"
            );
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    for sample in [
        r#"oxinetd_launched_total{service="cat"} 1"#,
        r#"oxinetd_failed_total{service="bad",stage="exec"} 1"#,
        r#"oxinetd_launch_seconds_count{service="cat"} 1"#,
        r#"oxinetd_session_seconds_count{service="cat"} 1"#,
    ] {
        assert!(lines.contains(&sample), "{sample} is not in\n{text}");
    }
    // The program was running long before a second was over, whenever we learnt of it.
    let soon = lines
        .iter()
        .find(|it| it.contains(r#"cat",le="0.5"}"#) && it.contains("launch"));
    assert!(soon.unwrap().ends_with(" 1"), "{soon:?}");
    server.stop();
}
