//! `log = "syslog"`: a log daemon of the test's own at /dev/log, which is another in the server's
//! mount namespace.

use super::{Chatty, without_mounts};
use crate::harness::*;
use nix::sys::signal::Signal;
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

/// Runs a command with a /dev in which nothing is but null and, as log, what is at DIR/socket.
const WORLD: &str = "mkdir DIR/dev && mount -t tmpfs none DIR/dev && touch DIR/dev/null && \
                     mount --bind /dev/null DIR/dev/null && ln -s DIR/socket DIR/dev/log && \
                     mount --rbind DIR/dev /dev && exec \"$@\"";

/// A server that logs to the socket of this name in the directory; its standard error is its log.
fn start() -> (Chatty, Daemon, String) {
    let chatty = Chatty::new("log = \"syslog\"\n");
    let (daemon, socket) = start_with(&chatty);
    (chatty, daemon, socket)
}

fn start_with(chatty: &Chatty) -> (Daemon, String) {
    let socket = chatty.directory.join("socket");
    let here = chatty.directory.path().to_str().expect("UTF-8");
    let world = WORLD.replace("DIR", here);
    let wrapper = ["unshare", "-m", "sh", "-c", &world, "sh"];
    let mut daemon = Daemon::start_wrapped(&wrapper, &["serve", "--config", &chatty.table]);
    daemon.follow();
    (daemon, socket)
}

fn cannot_be_tested() -> bool {
    without_root("has a /dev of its own") || without_mounts()
}

/// A log daemon.
struct Syslogd(UnixDatagram);

impl Syslogd {
    /// At this path, where another may have been before.
    fn bind(path: &str) -> Syslogd {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path).unwrap();
        Syslogd(socket)
    }

    /// Reads from now on.
    fn follow(&self) -> Log {
        Log::follow(Datagrams(self.0.try_clone().unwrap()))
    }
}

impl Drop for Syslogd {
    fn drop(&mut self) {
        // Whoever follows it comes to the end.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Each datagram as a line without its head, which must be right.
struct Datagrams(UnixDatagram);

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let room = buffer.len() - 1;
        let length = self.0.recv(&mut buffer[..room])?;
        if length == 0 {
            return Ok(0);
        }
        let line = String::from_utf8(buffer[..length].to_vec()).unwrap();
        let text = without_head(&line).unwrap_or_else(|| panic!("no head: {line}"));
        let text = format!("{text}\n");
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        Ok(text.len())
    }
}

/// What follows `<30>Nov 20 11:03:58 oxinetd[42]: `.
fn without_head(line: &str) -> Option<&str> {
    let (priority, rest) = line.strip_prefix('<')?.split_once('>')?;
    let (head, text) = rest.split_once(" oxinetd[")?;
    let (pid, text) = text.split_once("]: ")?;
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    // Facility 3, severities 3 to 6; a date as in `Nov  3 04:05:06`.
    let is_right = ["27", "28", "29", "30"].contains(&priority) && head.len() == 15;
    (is_right && is_number(pid)).then_some(text)
}

/// The server's connection, waited for.
fn accept(listener: &UnixListener) -> UnixStream {
    let mut accepted = None;
    until("the server connects", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (stream, _) = accepted.expect("just seen");
    stream.set_nonblocking(false).unwrap();
    stream
}

fn is_chatty(event: &'static str) -> impl Fn(&Line) -> bool {
    move |line| line.is(event, "chatty")
}

#[test]
fn lines_go_to_the_log_daemon_and_to_the_one_that_comes_after_it() {
    if cannot_be_tested() {
        return;
    }
    let chatty = Chatty::new("log = \"syslog\"\n");
    let syslogd = Syslogd::bind(&chatty.directory.join("socket"));
    let log = syslogd.follow();
    let (mut daemon, socket) = start_with(&chatty);
    log.wait_for(|line| line.event() == "ready");
    chatty.ask(3);
    log.wait_for(is_chatty("end"));
    assert_eq!(log.count(is_chatty("stderr")), 3);
    drop(syslogd);
    log.wait_for_end();
    // Nobody listens: nothing is lost, nobody waits.
    chatty.ask(100);
    let syslogd = Syslogd::bind(&socket);
    let log = syslogd.follow();
    log.wait_for(is_chatty("end"));
    assert_eq!(log.count(is_chatty("stderr")), 100);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
    log.wait_for(|line| line.event() == "stopped");
    assert_eq!(daemon.log().lines(), [], "all of it went to the daemon");
}

#[test]
fn a_log_daemon_that_does_not_read_delays_nobody() {
    if cannot_be_tested() {
        return;
    }
    let chatty = Chatty::new("log = \"syslog\"\n");
    let syslogd = Syslogd::bind(&chatty.directory.join("socket"));
    let (mut daemon, _) = start_with(&chatty);
    chatty.fill();
    daemon.set_log(syslogd.follow());
    chatty.check_lost(&daemon, "the log was not read");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn a_log_daemon_that_is_not_there_yet_is_waited_for() {
    if cannot_be_tested() {
        return;
    }
    let (chatty, mut daemon, socket) = start();
    let told = "warning: the log waits for somebody to listen at /dev/log: \
                no such file or directory (ENOENT)";
    daemon.log().wait_for(|line| line.0 == told);
    chatty.fill();
    let syslogd = Syslogd::bind(&socket);
    daemon.set_log(syslogd.follow());
    chatty.check_lost(&daemon, "nobody listened at /dev/log");
    daemon.log().wait_for(|line| line.event() == "ready");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn a_log_daemon_may_want_a_stream() {
    if cannot_be_tested() {
        return;
    }
    let chatty = Chatty::new("log = \"syslog\"\n");
    let listener = UnixListener::bind(chatty.directory.join("socket")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (mut daemon, _) = start_with(&chatty);
    let stream = accept(&listener);
    let log = Log::follow(stream.try_clone().unwrap());
    let text = |line: &Line| without_head(&line.0).map(|text| Line(text.into()));
    let of_chatty = |event| move |line: &Line| text(line).is_some_and(|it| it.is(event, "chatty"));
    chatty.ask(200);
    log.wait_for(of_chatty("end"));
    assert_eq!(log.count(of_chatty("stderr")), 200);
    assert!(log.lines().iter().all(|line| text(line).is_some()));
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    chatty.ask(200);
    let stream = accept(&listener);
    let log = Log::follow(stream);
    log.wait_for(of_chatty("end"));
    // It begins with a whole line.
    assert!(log.lines().iter().all(|line| text(line).is_some()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
    log.wait_for(|line| text(line).is_some_and(|it| it.event() == "stopped"));
}
