//! Where the log goes, and in which form.

use crate::harness::*;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

#[test]
fn usr1_opens_the_log_file_again() {
    let port = free_port();
    let (directory, path) = table(&format!(
        "[server]\nlog = \"file:DIR/log\"\n[service.a]\nlisten = \"127.0.0.1:{port}\"\ncommand = [\"/bin/cat\"]\n"
    ));
    let mut daemon = Daemon::start_unread(&["serve", "--config", &path]);
    let (log, old) = (directory.join("log"), directory.join("log.old"));
    let lines = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let ask = || {
        let client = Client::connect(&format!("127.0.0.1:{port}"));
        client.send("a").expect("a").half_close().expect_end();
    };
    std::fs::rename(&log, &old).unwrap();
    ask();
    until("the old file has it", || {
        lines(&old).contains("end service=a")
    });
    assert!(!std::path::Path::new(&log).exists());
    daemon.signal(Signal::SIGUSR1);
    until("there is a new file", || {
        std::path::Path::new(&log).exists()
    });
    ask();
    until("the new file has the rest", || {
        lines(&log).contains("end service=a")
    });
    assert_eq!(lines(&old).matches("end service=a").count(), 1);
    let stamp = lines(&log)[..20].to_string();
    let shape: String = stamp
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(shape, "9999-99-99 99:99:99 ");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
    assert!(lines(&log).ends_with("stopped\n"));
}

/// A table in a directory (`DIR` in its text), for servers whose standard error is not the harness's.
fn table(text: &str) -> (Directory, String) {
    let directory = Directory::new();
    let here = directory.path().to_str().expect("UTF-8");
    let path = directory.file("services.toml", text.replace("DIR", here));
    (directory, path)
}

#[test]
fn every_line_of_a_json_log_is_an_object_with_the_same_fields() {
    let (_directory, path) = table(
        "[server]\nlog_format = \"json\"\n[service.a]\nlisten = \"127.0.0.1:0\"\nstderr = \"log\"\n\
         command = [\"/bin/sh\", \"-c\", \"printf 'a \\\"quoted\\\" \\\\033[31m\\\\n' >&2\"]\n\
         [service.b]\nlisten = \"127.0.0.1:0\"\ncommand = [\"/bin/cat\"]\ndirectory = \"/nonexistent\"\n",
    );
    let mut daemon = Daemon::start(&["serve", "--config", &path]);
    let of = |event: &str| {
        let text = format!("\"event\":\"{event}\"");
        move |line: &Line| line.0.contains(&text)
    };
    let addresses = daemon.log().wait_for_many(2, of("listening"));
    for line in &addresses {
        let address = parsed(line)["address"].as_str().unwrap().to_string();
        Client::connect(&address).half_close().read_all();
    }
    let end = parsed(&daemon.log().wait_for(of("end")));
    assert_eq!(
        (&end["service"], &end["status"], &end["severity"]),
        (&"a".into(), &"exit:0".into(), &"info".into())
    );
    assert!(
        end["duration"].is_f64() && end["time"].as_f64() > Some(1.7e9),
        "{end}"
    );
    let line = parsed(&daemon.log().wait_for(of("stderr")));
    assert_eq!(line["line"], "a \"quoted\" \u{1b}[31m");
    let failed = parsed(&daemon.log().wait_for(of("not-started")));
    assert_eq!(
        (&failed["stage"], &failed["errno"], &failed["service"]),
        (&"directory".into(), &"ENOENT".into(), &"b".into())
    );
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
    daemon.log().wait_for_end();
    let lines = daemon.log().lines();
    lines.iter().for_each(|line| drop(parsed(line)));
    assert_eq!(parsed(lines.last().unwrap())["event"], "stopped");
}

#[track_caller]
fn parsed(line: &Line) -> serde_json::Value {
    let value: serde_json::Value =
        serde_json::from_str(&line.0).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(value.is_object());
    value
}

/// A table of echo services, and their addresses. So many, because the log leaves out what is too much
/// of one.
fn echo_services(head: &str) -> (Directory, String, Vec<String>) {
    let addresses: Vec<String> = (0..5)
        .map(|_| format!("127.0.0.1:{}", free_port()))
        .collect();
    let section = |(n, address): (usize, &String)| {
        format!("[service.echo{n}]\nlisten = \"{address}\"\nbuiltin = \"echo\"\n")
    };
    let services: String = addresses.iter().enumerate().map(section).collect();
    let (directory, path) = table(&format!("{head}{services}"));
    (directory, path, addresses)
}

/// One client after the other; returns how long the slowest took.
fn ask(addresses: &[String], clients: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for n in 0..clients {
        let since = Instant::now();
        let client = Client::connect(&addresses[n % addresses.len()]);
        client.send("a").expect("a").half_close().expect_end();
        slowest = slowest.max(since.elapsed());
    }
    slowest
}

#[test]
fn a_log_that_nobody_reads_delays_no_connection() {
    let (_directory, path, addresses) = echo_services("");
    let mut daemon = Daemon::start_unread(&["serve", "--config", &path]);
    // Two lines each of 100 bytes and more: the pipe has 64 KiB, and our own buffer 1 MiB.
    let slowest = ask(&addresses, 9000);
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    daemon.follow();
    // What was lost is told with the next line for which there is room.
    let is_told = |line: &Line| {
        let words = " log lines were lost: the log was not read";
        line.0.starts_with("warning: ") && line.0.ends_with(words)
    };
    let mut clients = 9000;
    until("what was lost is told", || {
        ask(&addresses, 1);
        clients += 1;
        daemon.log().count(is_told) > 0
    });
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
    daemon.log().wait_for_end();
    let totals = daemon
        .log()
        .wait_for_many(5, |line| line.event() == "totals");
    let sum = |counter| totals.iter().map(|line| line.number(counter)).sum::<u64>();
    assert_eq!((sum("answered"), sum("live")), (clients, 0));
}

#[test]
fn a_log_that_nobody_reads_does_not_keep_the_server_from_its_end() {
    let port = free_port();
    let (_directory, path) = table(&format!(
        "[service.echo]\nlisten = \"127.0.0.1:{port}\"\nbuiltin = \"echo\"\n"
    ));
    let mut daemon = Daemon::start_unread(&["serve", "--config", &path]);
    for _ in 0..500 {
        let client = Client::connect(&format!("127.0.0.1:{port}"));
        client.send("a").expect("a").half_close().expect_end();
    }
    let since = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
}
