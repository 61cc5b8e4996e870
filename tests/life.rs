//! Clients that vanish, programs that outlive them, and the limits that end both.

mod lifetime;
mod relayed;
mod sockets;
mod tree;
mod vanished;

use crate::harness::*;

fn script(text: &str) -> String {
    format!("command = [\"/bin/sh\", \"-c\", '''{text}''']\n")
}

/// A process, from the line in which it or its parent has said its number.
fn pid_from(client: &Client) -> u32 {
    client.read_line().parse().expect("a process id")
}

fn is_gone(pid: u32) {
    until("the process is gone", || !is_running(pid));
}

/// How long a session has lasted, by its end record.
fn seconds(end: &Line) -> f64 {
    let text = end.field("duration").expect("a duration");
    text.trim_end_matches('s').parse().expect("seconds")
}
