//! Where the log goes, in which form, and what becomes of it where it cannot be written.

use super::{Chatty, table, without_mounts};
use crate::harness::*;
use nix::sys::signal::Signal;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

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

#[test]
fn a_log_that_nobody_reads_delays_no_connection() {
    let chatty = Chatty::new("");
    let mut daemon = Daemon::start_unread(&["serve", "--config", &chatty.table]);
    chatty.fill();
    daemon.follow();
    chatty.check_lost(&daemon, "the log was not read");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
    daemon.log().wait_for_end();
    for name in ["chatty1", "chatty4"] {
        let totals = daemon.log().wait_for(|line| line.is("totals", name));
        assert_eq!((totals.number("launched"), totals.number("live")), (1, 0));
    }
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
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
}

#[test]
fn a_full_device_delays_no_connection_and_the_next_log_tells() {
    let chatty = Chatty::new("log = \"file:/dev/full\"\n");
    let mut daemon = Daemon::start_unread(&["serve", "--config", &chatty.table]);
    daemon.follow();
    chatty.fill();
    let text = std::fs::read_to_string(&chatty.table).unwrap();
    chatty
        .directory
        .file("services.toml", text.replace("file:/dev/full", "stderr"));
    daemon.signal(Signal::SIGHUP);
    chatty.check_lost(&daemon, "the disk was full");
}

#[test]
fn a_disk_that_was_full_has_all_lines_when_there_is_room_again() {
    if without_root("mounts a tiny file system") || without_mounts() {
        return;
    }
    let chatty = Chatty::new("log = \"file:DIR/disk/log\"\n");
    let disk = chatty.directory.directory("disk");
    let mount = format!("mount -t tmpfs -o size=1m none {disk} && exec \"$@\"");
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    let mut daemon = Daemon::start_wrapped(&wrapper, &["serve", "--config", &chatty.table]);
    let inside = format!("/proc/{}/root{disk}", daemon.pid());
    let lines =
        |file: &str| std::fs::read_to_string(format!("{inside}/{file}")).unwrap_or_default();
    let filler = format!("{inside}/filler");
    std::fs::write(&filler, [b'x'].repeat(2 << 20)).expect_err("it is full");
    // 200 lines, far less than are kept.
    chatty.ask(200);
    let size = lines("log").len();
    assert!(!lines("log").contains("end service=chatty"), "it is full");
    // Nobody tells the server that there is room: it looks again by itself.
    std::fs::remove_file(&filler).unwrap();
    until("all lines are there", || {
        lines("log").contains("end service=chatty")
    });
    assert!(lines("log").len() > size);
    assert_eq!(lines("log").matches("line=").count(), 200);
    assert!(!lines("log").contains("were lost"));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn the_reader_of_a_fifo_may_go_and_another_come() {
    let chatty = Chatty::new("log = \"file:DIR/fifo\"\n");
    let fifo = chatty.directory.join("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let read = || {
        std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&fifo)
    };
    // Without a reader it cannot be opened, and the log stays on standard error.
    let mut daemon = Daemon::start(&["serve", "--config", &chatty.table]);
    daemon
        .log()
        .wait_for(|line| line.0.contains("the log stays where it is: cannot open "));
    let reader = read().unwrap();
    daemon.signal(Signal::SIGUSR1);
    chatty.ask(0);
    until("the FIFO has lines", || {
        let mut byte = [0];
        nix::unistd::read(&reader, &mut byte) == Ok(1)
    });
    drop(reader);
    chatty.ask(100);
    // Opened for both, it is there before the server has looked again, and never at its end.
    let mut options = std::fs::OpenOptions::new();
    let reader = options.read(true).write(true).open(&fifo).unwrap();
    daemon.set_log(Log::follow(reader));
    daemon
        .log()
        .wait_for_count(100, |line| line.is("stderr", "chatty"));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
    daemon.log().wait_for(|line| line.event() == "stopped");
}
