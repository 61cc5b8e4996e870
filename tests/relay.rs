//! Clients that are passed on to another server, or to a program through pipes or a terminal, by the worker.

use crate::harness::*;

mod pipe;
mod redirect;
mod terminal;

/// Bytes in which every place can be told from its neighbours.
fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| (place * 31 + place / 251) as u8)
        .collect()
}

fn worker(server: &Server) -> u32 {
    let line = server
        .log()
        .wait_for(|line| line.event() == "worker-started");
    line.number("pid") as u32
}

fn script(text: &str) -> String {
    format!("command = [\"/bin/sh\", \"-c\", {text:?}]")
}
