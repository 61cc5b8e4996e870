//! Listeners of one service, and services of a full server, take turns: who floods one of them does
//! not keep others from being served at another.

use super::{BOTH, check_leave, check_served};
use crate::harness::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Clients of many sources at one address, always more than are let in.
fn crowd(address: &str) -> Load {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut load = Load::new();
    for _ in 0..8 {
        let address = address.to_owned();
        load.client(move || {
            let source = NEXT.fetch_add(1, Ordering::Relaxed) % 200 + 1;
            let client = Client::connect_from(&format!("127.0.1.{source}"), &address);
            check_served(&client);
            check_leave(client);
        });
    }
    load
}

/// While the first of these addresses is crowded, clients of the others are served.
#[track_caller]
fn check_turns(server: Server, addresses: &[String]) {
    let load = crowd(&addresses[0]);
    load.more(8);
    for address in &addresses[1..] {
        let client = Client::connect(address);
        check_served(&client);
        check_leave(client);
    }
    load.stop();
    server.settle();
    server.stop();
}

fn check_listeners(keys: &str) {
    for (name, action) in BOTH {
        let listen = "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"127.0.0.1:0\"]";
        let server = server()
            .table(&format!("[service.{name}]\n{listen}\n{action}\n{keys}\n"))
            .start();
        let addresses = server.addresses(name);
        assert_eq!(addresses.len(), 3);
        check_turns(server, &addresses);
    }
}

#[test]
fn of_a_rate() {
    check_listeners("rate = \"20/s burst 1\"");
}

#[test]
fn of_the_room_in_a_service() {
    check_listeners("max_connections = 1");
}

#[test]
fn of_the_room_in_all_services() {
    let cat = "command = [\"/bin/cat\"]";
    let server = server()
        .table("[server]\nmax_connections = 1\n")
        .service("a", cat)
        .service("b", cat)
        .start();
    let addresses = [server.address("a", ""), server.address("b", "")];
    check_turns(server, &addresses);
}
