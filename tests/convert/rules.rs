//! A client that the converted table lets in was let in before: random rules against naive models of
//! what xinetd, tcpserver, tcp_wrappers and systemd do.

use super::{converted, input, loaded};
use oxinetd::table::{Client, Table};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the first service lets a client in.
fn lets_in(table: &Table, client: IpAddr) -> bool {
    let service = &table.services[0];
    let rules = &table.rules[service.rules as usize];
    let judged = rules
        .acl
        .map(|acl| table.acls[acl as usize].judge(Client::Ip(client)));
    service.enabled && judged.is_none_or(|it| it.allowed)
}

/// An address and bits.
type Prefix = (IpAddr, u8);

fn has(prefix: &Prefix, client: IpAddr) -> bool {
    match (prefix.0, client) {
        (IpAddr::V4(net), IpAddr::V4(client)) => {
            (0..prefix.1).all(|bit| (net.to_bits() ^ client.to_bits()) >> (31 - bit) & 1 == 0)
        }
        (IpAddr::V6(net), IpAddr::V6(client)) => {
            (0..prefix.1).all(|bit| (net.to_bits() ^ client.to_bits()) >> (127 - bit) & 1 == 0)
        }
        _ => false,
    }
}

/// Few addresses near each other, so that rules meet.
fn address() -> impl Strategy<Value = IpAddr> {
    let octet = || prop_oneof![Just(0u8), Just(1), Just(2), Just(128), Just(255)];
    prop_oneof![
        3 => (octet(), octet(), octet()).prop_map(|(b, c, d)| Ipv4Addr::new(10, b, c, d).into()),
        1 => (0..3u16, 0..3u16).prop_map(|(a, b)| Ipv6Addr::new(0x2001, 0xdb8, a, 0, 0, 0, 0, b).into()),
    ]
}

fn network(prefix: &Prefix) -> String {
    let (address, bits) = (prefix.0, u32::from(prefix.1));
    match address {
        IpAddr::V4(v4) => {
            Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(32 - bits).unwrap_or(0))
                .to_string()
        }
        IpAddr::V6(v6) => {
            Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(128 - bits).unwrap_or(0))
                .to_string()
        }
    }
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (address(), 0..=32u8).prop_map(|(address, bits)| match address {
        IpAddr::V4(_) => (address, bits),
        IpAddr::V6(_) => (address, 128 - bits * 2),
    })
}

/// A value of `only_from`, and whom it means.
fn xinetd_value() -> impl Strategy<Value = (String, Vec<Prefix>)> {
    let wildcard = any::<[u8; 2]>().prop_map(|[_, n]| {
        let address = [
            Ipv4Addr::new(10, 1, 0, 0),
            Ipv4Addr::new(10, 0, 0, 0),
            Ipv4Addr::new(10, 1, 2, 0),
            Ipv4Addr::new(10, 1, 0, 2),
        ][usize::from(n % 4)];
        // Octets of zero at the end are any.
        let bits = [16, 8, 24, 32][usize::from(n % 4)];
        (address.to_string(), vec![(address.into(), bits)])
    });
    let listed = prop::collection::vec(0..4u8, 1..4).prop_map(|last| {
        let list: Vec<String> = last.iter().map(u8::to_string).collect();
        let prefixes = last
            .iter()
            .map(|last| (Ipv4Addr::new(10, 1, *last, 0).into(), 24))
            .collect();
        (format!("10.1.{{{}}}", list.join(",")), prefixes)
    });
    prop_oneof![
        prefix().prop_map(|it| (format!("{}/{}", it.0, it.1), vec![it])),
        wildcard,
        listed,
    ]
}

fn values() -> impl Strategy<Value = Option<Vec<(String, Vec<Prefix>)>>> {
    prop::option::of(prop::collection::vec(xinetd_value(), 0..4))
}

/// `ADDRESS:allow` of tcprules.
fn tcp_rule() -> impl Strategy<Value = (String, bool)> {
    let octets = prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2)], 0..4);
    let address = octets.prop_map(|octets| {
        let mut words = vec!["10".to_owned()];
        words.extend(octets.iter().map(u8::to_string));
        match words.len() {
            4 => words.join("."),
            1 => String::new(),
            _ => format!("{}.", words.join(".")),
        }
    });
    (address, any::<bool>())
}

/// Looks an address up as tcpserver does: itself, then ever shorter heads, at last nothing.
fn tcpserver_lets_in(rules: &[(String, bool)], client: Ipv4Addr) -> bool {
    let text = client.to_string();
    let mut keys = vec![text.clone()];
    keys.extend(
        text.rmatch_indices('.')
            .map(|(at, _)| text[..=at].to_owned()),
    );
    keys.push(String::new());
    let found = keys
        .iter()
        .find_map(|key| rules.iter().find(|(address, _)| address == key));
    found.is_none_or(|(_, allows)| *allows)
}

/// A line of hosts.allow or hosts.deny: clients, exceptions, and what an option says.
type HostsLine = (Vec<Prefix>, Vec<Prefix>, Option<bool>);

fn hosts_line() -> impl Strategy<Value = HostsLine> {
    let list = |most| prop::collection::vec(prefix(), 0..most);
    (list(3), list(2), prop::option::weighted(0.2, any::<bool>()))
}

fn hosts_text(lines: &[HostsLine]) -> String {
    let pattern = |prefix: &Prefix| match prefix.0 {
        IpAddr::V4(_) => format!("{}/{}", network(prefix), prefix.1),
        IpAddr::V6(_) => format!("[{}]/{}", network(prefix), prefix.1),
    };
    let line = |(clients, except, verdict): &HostsLine| {
        let clients: Vec<String> = clients.iter().map(pattern).collect();
        let except: Vec<String> = except.iter().map(pattern).collect();
        let except = if except.is_empty() {
            String::new()
        } else {
            format!(" EXCEPT {}", except.join(", "))
        };
        let verdict = verdict.map_or("", |it| if it { " : allow" } else { " : DENY" });
        format!(
            "cat, other : {}{except}{verdict}\n",
            if clients.is_empty() {
                "ALL".into()
            } else {
                clients.join(" ")
            }
        )
    };
    lines.iter().map(line).collect()
}

fn hosts_let_in(allow: &[HostsLine], deny: &[HostsLine], client: IpAddr) -> bool {
    let fits = |(clients, except, _): &&HostsLine| {
        (clients.is_empty() || clients.iter().any(|it| has(it, client)))
            && !except.iter().any(|it| has(it, client))
    };
    match (allow.iter().find(fits), deny.iter().find(fits)) {
        (Some((.., verdict)), _) => verdict.unwrap_or(true),
        (None, Some((.., verdict))) => verdict.unwrap_or(false),
        (None, None) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// xinetd refuses whom `no_access` means, and whom `only_from`, where it is there, does not.
    #[test]
    fn xinetd(only in values(), no in values(), clients in prop::collection::vec(address(), 20)) {
        let mut text = "service s\n{\n type = UNLISTED\n socket_type = stream\n wait = no\n user = root\n server = /bin/cat\n port = 7\n flags = NOLIBWRAP\n".to_owned();
        for (name, values) in [("only_from", &only), ("no_access", &no)] {
            if let Some(values) = values {
                let words: Vec<&str> = values.iter().map(|(text, _)| text.as_str()).collect();
                text += &format!(" {name} = {}\n", words.join(" "));
            }
        }
        let made = converted(&[input("xinetd.conf", &(text + "}\n"))], None, None);
        let off = !made.table.contains("enabled = false");
        let table = off.then(|| loaded(&made.table));
        for client in clients {
            let fits = |values: &[(String, Vec<Prefix>)]| values.iter().any(|(_, all)| all.iter().any(|it| has(it, client)));
            let before = only.as_deref().is_none_or(fits) && !no.as_deref().is_some_and(fits);
            let now = table.as_ref().is_some_and(|table| lets_in(table, client));
            prop_assert_eq!(now, before, "{} {}", client, made.table);
        }
    }

    #[test]
    fn tcprules(rules in prop::collection::vec(tcp_rule(), 0..6), clients in prop::collection::vec(address(), 20)) {
        let text: String = rules.iter().map(|(address, allows)| format!("{address}:{}\n", if *allows { "allow" } else { "deny" })).collect();
        let text = if text.is_empty() { "10.:allow\n".to_owned() } else { text };
        let inputs = [input("run", "tcpserver -x smtp.cdb 0 25 /bin/cat\n"), input("smtp", &text)];
        let made = converted(&inputs, None, None);
        let table = (!made.table.contains("enabled = false")).then(|| loaded(&made.table));
        for client in clients {
            let IpAddr::V4(v4) = client else { continue };
            let now = table.as_ref().is_some_and(|table| lets_in(table, client));
            prop_assert_eq!(now, tcpserver_lets_in(&rules, v4), "{} {}{}", client, text, made.table);
        }
    }

    #[test]
    fn hosts_access(allow in prop::collection::vec(hosts_line(), 0..4), deny in prop::collection::vec(hosts_line(), 0..4), clients in prop::collection::vec(address(), 20)) {
        let conf = [input("inetd.conf", "7 stream tcp nowait root /usr/sbin/tcpd /bin/cat\n")];
        let made = converted(&conf, Some(&hosts_text(&allow)), Some(&hosts_text(&deny)));
        prop_assert!(!made.table.contains("tcpd\""), "{}", made.report);
        let table = (!made.table.contains("enabled = false")).then(|| loaded(&made.table));
        for client in clients {
            let now = table.as_ref().is_some_and(|table| lets_in(table, client));
            prop_assert_eq!(now, hosts_let_in(&allow, &deny, client), "{} {}", client, made.table);
        }
    }

    /// systemd lets in whom IPAddressAllow means, and of the others whom IPAddressDeny does not.
    #[test]
    fn systemd(allow in prop::collection::vec(prefix(), 0..4), deny in prop::collection::vec(prefix(), 0..4), clients in prop::collection::vec(address(), 20)) {
        let words = |list: &[Prefix]| list.iter().map(|it| format!("{}/{}", it.0, it.1)).collect::<Vec<_>>().join(" ");
        let socket = format!("[Socket]\nListenStream=7\nAccept=yes\nIPAddressAllow={}\nIPAddressDeny={}\n", words(&allow), words(&deny));
        let inputs = [input("s.socket", &socket), input("s@.service", "[Service]\nExecStart=/bin/cat\nStandardInput=socket\n")];
        let made = converted(&inputs, None, None);
        let table = (!made.table.contains("enabled = false")).then(|| loaded(&made.table));
        for client in clients {
            let fits = |list: &[Prefix]| list.iter().any(|it| has(it, client));
            let now = table.as_ref().is_some_and(|table| lets_in(table, client));
            prop_assert_eq!(now, fits(&allow) || !fits(&deny), "{} {}", client, made.table);
        }
    }

    /// Whatever is in a source: a table and a report come of it, and nothing panics.
    #[test]
    fn no_text_makes_it_panic(text in "(\\PC{0,20}|[a-z0-9:./#<>'\"={}@%$\\\\ \t\n,*+-]{0,60}|\n(service|defaults|\\{|\\}|only_from|env|tcpserver|-[a-zA-Z]|allow|\\[Socket\\]|\\[Service\\]|ListenStream=|ExecStart=|exec| = |:|0|10\\.1\\.|ALL|EXCEPT)[ \n]?){0,12}", name in "(a|s\\.socket|s@\\.service|inetd\\.conf)") {
        let made = converted(&[input(&name, &text)], Some(&text), Some(&text));
        let parsed = made.table.parse::<String>().is_ok();
        prop_assert!(parsed && made.table.starts_with("# Made by"));
    }
}
