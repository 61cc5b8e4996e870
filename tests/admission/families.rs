//! Rules of IPv4 for clients of IPv4, whatever their socket is; rules of IPv6 for those of IPv6; and
//! how many addresses of IPv6 are one source.

use super::{BOTH, check_refused, check_served};
use crate::harness::*;
use std::process::Command;

/// Where nobody is: the test's own network leads there and back.
const NETWORK: &str = "2001:db8::/32";

/// Who connects, to which address of this host, and what a refused one is called.
struct Case {
    from: &'static str,
    to: &'static str,
    called: &'static str,
}

const V4: Case = case("127.0.0.1", "127.0.0.1", "127.0.0.1");
const V4_OTHER: Case = case("127.0.0.9", "127.0.0.1", "127.0.0.9");
/// A socket of IPv6 that speaks IPv4.
const MAPPED: Case = case("::ffff:127.0.0.1", "[::ffff:127.0.0.1]", "127.0.0.1");
const MAPPED_OTHER: Case = case("::ffff:127.0.0.9", "[::ffff:127.0.0.1]", "127.0.0.9");
const V6: Case = case("::1", "[::1]", "::1");
const V6_OTHER: Case = case("2001:db8::9", "[::1]", "2001:db8::9");

const fn case(from: &'static str, to: &'static str, called: &'static str) -> Case {
    Case { from, to, called }
}

/// A program and a built-in service with these keys, each on a port of its own and with both of its
/// sockets; those of the first list are served, those of the second are not.
#[track_caller]
fn check_rules(keys: &str, served: &[Case], denied: &[Case]) {
    let ports = BOTH.map(|_| free_port());
    let server = on_ports(ports, keys).start();
    for ((name, _), port) in BOTH.into_iter().zip(ports) {
        let sockets = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
        assert_eq!(server.addresses(name), sockets);
        for Case { from, to, .. } in served {
            check_served(&Client::connect_from(from, &format!("{to}:{port}")));
        }
        for Case { from, to, called } in denied {
            let client = Client::connect_from(from, &format!("{to}:{port}"));
            check_refused(&server, name, client, called, "denied");
        }
    }
    server.settle();
    let totals = server.stop();
    for (name, _) in BOTH {
        assert_eq!(totals.of(name, "refused"), denied.len() as u64, "{keys}");
    }
}

fn on_ports(ports: [u16; 2], keys: &str) -> Builder {
    let mut builder = server();
    for ((name, action), port) in BOTH.into_iter().zip(ports) {
        let body = format!("listen = {port}\n{action}\nrefusal = \"%a\"\n{keys}");
        builder = builder.service(name, &body);
    }
    builder
}

fn lacks_ipv6() -> bool {
    let lacks = std::net::TcpListener::bind("[::1]:0").is_err();
    if lacks {
        skip("this host has no IPv6");
    }
    lacks
}

#[test]
fn both_sockets_of_a_bare_port_obey_the_rules_of_each_family() {
    if lacks_ipv6() {
        return;
    }
    // 127.0.0.0/29, in the other form.
    let near = "\"::ffff:127.0.0.0/125\"";
    check_rules(
        &format!("allow = [{near}, \"::1\"]"),
        &[V4, MAPPED, V6],
        &[V4_OTHER, MAPPED_OTHER],
    );
    check_rules(
        &format!("deny = {near}"),
        &[V4_OTHER, MAPPED_OTHER, V6],
        &[V4, MAPPED],
    );
    check_rules("deny = \"::1\"", &[V4, MAPPED, V4_OTHER], &[V6]);
}

#[test]
fn all_of_one_family_is_nobody_of_the_other() {
    if lacks_ipv6() {
        return;
    }
    for all in ["0.0.0.0/0", "::ffff:0:0/96"] {
        check_rules(&format!("allow = \"{all}\""), &[V4, MAPPED], &[V6]);
        check_rules(&format!("deny = \"{all}\""), &[V6], &[V4, MAPPED]);
    }
    check_rules("allow = \"::/0\"", &[V6], &[V4, MAPPED]);
    check_rules("deny = \"::/0\"", &[V4, MAPPED], &[V6]);
}

#[test]
fn ipv4_rules_in_the_form_of_ipv6_hold_where_there_is_no_ipv6() {
    let ports = BOTH.map(|_| free_port());
    let keys = "allow = [\"::ffff:127.0.0.1\", \"::1\"]";
    let server = without_ipv6(on_ports(ports, keys)).start();
    for ((name, _), port) in BOTH.into_iter().zip(ports) {
        assert_eq!(server.addresses(name), [format!("0.0.0.0:{port}")]);
        let address = format!("127.0.0.1:{port}");
        check_served(&Client::connect(&address));
        let client = Client::connect_from(V4_OTHER.from, &address);
        check_refused(&server, name, client, V4_OTHER.called, "denied");
    }
    server.settle();
    server.stop();
}

/// In a network in which every address of [`NETWORK`] is this host.
fn in_wide_network(test: impl FnOnce() + Send + 'static) {
    if lacks_ipv6() {
        return;
    }
    in_own_network(|| {
        run(Command::new("ip").args(["-6", "route", "add", "local", NETWORK, "dev", "lo"])).ok();
        test();
    });
}

#[test]
fn a_prefix_of_ipv6_holds_for_its_addresses() {
    in_wide_network(|| {
        let served = [V4, MAPPED, V6];
        check_rules("deny = \"2001:db8::/64\"", &served, &[V6_OTHER]);
        check_rules("allow = \"2001:db8::/64\"", &[V6_OTHER], &[V4, MAPPED, V6]);
        check_rules("deny = \"2001:db8:0:1::/64\"", &[V6_OTHER], &[]);
    });
}

/// The host with this number in a network of 64 bits.
fn host(network: u16, number: usize) -> String {
    format!(
        "2001:db8:0:{network:x}:{:x}::{number:x}",
        number * 7 % 65536
    )
}

#[test]
fn all_addresses_of_a_network_of_64_bits_are_one_source() {
    const ADDRESSES: usize = 200;
    in_wide_network(|| {
        let keys = "listen = \"[::1]:0\"\nmax_per_source = 2\nmax_connections = 1000";
        let mut builder = server();
        for (name, action) in BOTH {
            let refusal = "refusal = \"no\"";
            builder = builder.service(name, &format!("{action}\n{keys}\n{refusal}"));
            let apart = format!("{action}\n{keys}\nsource_prefix = {{ v6 = 128 }}");
            builder = builder.service(&format!("{name}-apart"), &apart);
        }
        let server = builder.start();
        for (name, _) in BOTH {
            let to =
                |name: &str, host: String| Client::connect_from(&host, &server.address(name, ""));
            let mut clients: Vec<Client> = (1..=2).map(|n| to(name, host(0, n))).collect();
            clients.iter().for_each(check_served);
            for n in 3..=ADDRESSES {
                assert_eq!(to(name, host(0, n)).read_text(), "no", "{}", host(0, n));
            }
            clients.push(to(name, host(1, 1)));
            let apart = format!("{name}-apart");
            clients.extend((1..=ADDRESSES).map(|n| to(&apart, host(0, n))));
            clients.iter().for_each(check_served);
        }
        server.settle();
        let refused = |line: &Line| line.event() == "refused";
        let reasons = server.log().lines().into_iter().filter(refused);
        let other = reasons.filter(|line| line.field("reason") != Some("max_per_source"));
        assert_eq!(other.count(), 0);
        let totals = server.stop();
        for (name, _) in BOTH {
            assert_eq!(totals.of(name, "refused"), 198);
            assert_eq!(totals.of(name, "accepted"), 201);
            assert_eq!(totals.of(&format!("{name}-apart"), "refused"), 0);
        }
    });
}
