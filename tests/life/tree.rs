//! Everything that a connection has started, wherever it has hidden.

use super::{is_gone, pid_from, script};
use crate::harness::*;

/// Forks twice into a session of its own, as daemons do: its parent is gone and its group is another.
/// It does not heed the request to end.
const DAEMON: &str = "(setsid sh -c \"trap : TERM; echo \\$\\$; while :; do sleep 0.05; done\" &) ";

#[test]
fn a_daemon_that_a_program_has_started_ends_with_it() {
    let text = format!("{DAEMON}; sleep 66");
    let server = server()
        .service(
            "a",
            &format!("{}max_lifetime = \"1s\"\ngrace = \"1s\"", script(&text)),
        )
        .service("unlimited", &script(DAEMON))
        .start();
    let client = server.connect("a");
    let daemon = pid_from(&client);
    let other = server.connect("unlimited");
    let free = pid_from(&other);
    assert_eq!(server.wait_end("a").field("reason"), Some("max-lifetime"));
    is_gone(daemon);
    // A shell says that it was told to end.
    client.read_all();
    // Where there is no limit, what is left behind is nobody's business.
    assert!(is_running(free));
    let free = nix::unistd::Pid::from_raw(free as i32);
    nix::sys::signal::kill(free, nix::sys::signal::Signal::SIGKILL).unwrap();
    other.read_all();
    server.stop();
}

#[test]
fn a_daemon_whose_client_has_vanished_ends_too() {
    let text = format!("{DAEMON}; sleep 67");
    let server = server()
        .service(
            "a",
            &format!("{}kill_on_disconnect = true\ngrace = \"1s\"", script(&text)),
        )
        .start();
    let client = server.connect("a");
    let daemon = pid_from(&client);
    client.reset();
    is_gone(daemon);
    assert_eq!(server.wait_end("a").field("reason"), Some("disconnected"));
    server.stop();
}

#[test]
fn a_daemon_that_was_seen_ends_although_its_program_ended_before() {
    // The program lives long enough to be looked at.
    let text = format!("{DAEMON}; sleep 2.5");
    let server = server()
        .service(
            "a",
            &format!("{}kill_on_disconnect = true\ngrace = \"1s\"", script(&text)),
        )
        .start();
    let client = server.connect("a");
    let daemon = pid_from(&client);
    assert_eq!(server.wait_end("a").field("reason"), Some("exited"));
    assert!(is_running(daemon));
    client.reset();
    is_gone(daemon);
    let swept = server.log().wait_for(|line| line.is("swept", "a"));
    assert_eq!(swept.field("reason"), Some("disconnected"));
    server.stop();
}
