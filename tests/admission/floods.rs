//! One source floods a service; another one, on the same service, is served throughout.

use super::{check_leave, check_served};
use crate::harness::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections of the flood, one after the other on several threads; then so many at once.
const FLOOD: (usize, usize) = (20_000, 2_000);
const FLOODER: &str = "127.0.0.66";
const THREADS: usize = 4;
/// Between one client of the other source and the next: it stays below its share of the rate.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes place while `others` are served again and again; every one of them must be.
#[track_caller]
fn check_flood(action: &str, keys: &str) {
    let server = server().service("a", &format!("{action}\n{keys}")).start();
    let address = server.address("a", "");
    let mut others = Load::new();
    let to = address.clone();
    others.client(move || {
        let client = Client::connect(&to);
        check_served(&client);
        check_leave(client);
        std::thread::sleep(PAUSE);
    });
    others.more(20);
    flood(&address);
    others.more(20);
    let held: Vec<Client> = (0..FLOOD.1)
        .map(|_| Client::connect_from(FLOODER, &address))
        .collect();
    others.more(20);
    drop(held);
    let served = others.stop();
    server.settle();

    let refused = server.log().count(|line| {
        line.is("refused", "a")
            && !line
                .field("peer")
                .is_some_and(|peer| peer.starts_with(FLOODER))
    });
    assert_eq!(refused, 0, "others were refused");
    let totals = server.stop();
    let of = |counter| totals.of("a", counter);
    let in_all = (FLOOD.0 + FLOOD.1) as u64 + served;
    assert_eq!(of("accepted"), in_all);
    assert!(of("refused") > 0, "nobody was refused");
}

fn flood(address: &str) {
    let left = Arc::new(AtomicUsize::new(FLOOD.0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (left, address) = (Arc::clone(&left), address.to_owned());
            std::thread::spawn(move || {
                let one_more = |n: usize| n.checked_sub(1);
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
                    .is_ok()
                {
                    let client = Client::connect_from(FLOODER, &address);
                    // Either it is refused, or it leaves.
                    client.half_close();
                    let _ = client.read(1);
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("the flood"));
}

const PROGRAM: &str = "command = [\"/bin/cat\"]";
const BUILTIN: &str = "builtin = \"echo\"";

#[test]
fn a_program_with_a_limit_of_connections() {
    check_flood(PROGRAM, "max_connections = 12");
}

#[test]
fn a_program_with_a_rate() {
    check_flood(PROGRAM, "rate = \"50/s\"");
}

#[test]
fn a_builtin_with_a_limit_of_connections() {
    check_flood(BUILTIN, "max_connections = 12");
}

#[test]
fn a_builtin_with_a_rate() {
    check_flood(BUILTIN, "rate = \"50/s\"");
}
