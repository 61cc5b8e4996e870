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
fn check_rate(server: Server, addresses: &[String]) {
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

/// There is room for one, and somebody has it. Of those that wait the next is served at each of the
/// other addresses before anybody else at the first.
#[track_caller]
fn check_room(server: Server, addresses: &[String]) {
    let first = Client::connect(&addresses[0]);
    check_served(&first);
    let waits = |address: &String| {
        let client = Client::connect(address);
        client.send("hi");
        client
    };
    let crowd: Vec<Client> = (0..3).map(|_| waits(&addresses[0])).collect();
    let others: Vec<Client> = addresses[1..].iter().map(waits).collect();
    check_leave(first);
    for client in others.into_iter().chain(crowd) {
        client.expect("hi");
        check_leave(client);
    }
    server.settle();
    server.stop();
}

fn check_listeners(keys: &str, check: fn(Server, &[String])) {
    for (name, action) in BOTH {
        let listen = "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"127.0.0.1:0\"]";
        let server = server()
            .table(&format!("[service.{name}]\n{listen}\n{action}\n{keys}\n"))
            .start();
        let addresses = server.addresses(name);
        assert_eq!(addresses.len(), 3);
        check(server, &addresses);
    }
}

#[test]
fn of_a_rate() {
    check_listeners("rate = \"20/s burst 1\"", check_rate);
}

#[test]
fn of_the_room_in_a_service() {
    check_listeners("max_connections = 1", check_room);
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
    check_room(server, &addresses);
}
