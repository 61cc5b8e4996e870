//! Lists by example, and beside a list that looks at every entry.

mod steps;

use super::*;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn who(text: &str) -> Who {
    match text.split_once('/') {
        _ if text == "local" => Who::Local,
        Some(("uid", number)) => Who::Uid(number.parse().unwrap()),
        Some((ip, length)) => Who::Prefix(ip.parse().unwrap(), length.parse().unwrap()),
        None => panic!("{text}"),
    }
}

fn client(text: &str) -> Client {
    match text.strip_prefix("uid/") {
        Some(number) => Client::Uid(number.parse().unwrap()),
        None => Client::Ip(text.parse().unwrap()),
    }
}

/// Lists of one file, an entry a line.
fn acl(lines: &[(List, &str)]) -> Acl {
    let entries = (1..).zip(lines).map(|(line, (list, text))| Entry {
        list: *list,
        who: who(text),
        file: 0,
        line,
    });
    Acl::new(vec!["services.toml".into()], entries.collect())
}

/// Whether the client is allowed, and the line that decided; 0 for none.
fn judged(acl: &Acl, text: &str) -> (bool, u32) {
    let judgement = acl.judge(client(text));
    (
        judgement.allowed,
        judgement.by.map_or(0, |entry| entry.line),
    )
}

use List::{Allow, Deny, Exempt};

#[test]
fn the_most_specific_prefix_decides() {
    let acl = acl(&[
        (Deny, "10.0.0.0/8"),
        (Allow, "10.1.0.0/16"),
        (Deny, "10.1.2.0/24"),
        (Allow, "10.1.2.3/32"),
        (Allow, "2001:db8::/32"),
        (Deny, "2001:db8:1::/48"),
    ]);
    for (text, expected) in [
        ("10.0.0.0", (false, 1)),
        ("10.0.255.255", (false, 1)),
        ("10.1.0.0", (true, 2)),
        ("10.1.1.255", (true, 2)),
        ("10.1.2.0", (false, 3)),
        ("10.1.2.2", (false, 3)),
        ("10.1.2.3", (true, 4)),
        ("10.1.2.4", (false, 3)),
        ("10.1.3.0", (true, 2)),
        ("10.2.0.0", (false, 1)),
        ("10.255.255.255", (false, 1)),
        ("11.0.0.0", (false, 0)),
        ("9.255.255.255", (false, 0)),
        ("2001:db8::", (true, 5)),
        ("2001:db8:0:ffff:ffff:ffff:ffff:ffff", (true, 5)),
        ("2001:db8:1::", (false, 6)),
        ("2001:db8:2::", (true, 5)),
        ("2001:db9::", (false, 0)),
        ("uid/0", (false, 0)),
    ] {
        assert_eq!(judged(&acl, text), expected, "{text}");
    }
}

#[test]
fn only_a_list_that_allows_closes_the_door_to_others() {
    let open = acl(&[(Deny, "192.0.2.0/24"), (Exempt, "192.0.2.7/32")]);
    assert_eq!(judged(&open, "192.0.2.7"), (false, 1));
    assert_eq!(judged(&open, "192.0.3.0"), (true, 0));
    assert_eq!(judged(&open, "::1"), (true, 0));
    assert_eq!(judged(&open, "uid/33"), (true, 0));
    assert!(open.judge(client("192.0.2.7")).exempt);
    assert!(!open.judge(client("192.0.2.8")).exempt);
    let closed = acl(&[(Allow, "local"), (Deny, "uid/33")]);
    assert_eq!(judged(&closed, "192.0.2.7"), (false, 0));
    assert_eq!(judged(&closed, "uid/33"), (false, 2));
    assert_eq!(judged(&closed, "uid/0"), (true, 1));
    assert_eq!(judged(&closed, "uid/4294967295"), (true, 1));
    assert_eq!(judged(&Acl::default(), "192.0.2.7"), (true, 0));
}

#[test]
fn a_denial_wins_over_an_allowance_that_is_as_specific() {
    for lists in [[Allow, Deny], [Deny, Allow]] {
        let acl = acl(&[(lists[0], "192.0.2.0/24"), (lists[1], "192.0.2.0/24")]);
        assert!(!acl.judge(client("192.0.2.1")).allowed);
        // An allowance there was: others are not meant.
        assert!(!acl.judge(client("192.0.3.1")).allowed);
    }
}

#[test]
fn mapped_addresses_are_ipv4() {
    let acl = acl(&[
        (Allow, "::ffff:192.0.2.0/120"),
        (Deny, "192.0.2.1/32"),
        (Allow, "::/0"),
    ]);
    for (text, expected) in [
        ("192.0.2.2", (true, 1)),
        ("::ffff:192.0.2.2", (true, 1)),
        ("::ffff:192.0.2.1", (false, 2)),
        ("::ffff:192.0.3.1", (false, 0)),
        ("::192.0.2.1", (true, 3)),
    ] {
        assert_eq!(judged(&acl, text), expected, "{text}");
    }
    assert_eq!(
        acl.judge(client("::ffff:192.0.2.2")).by,
        Some(Entry {
            list: Allow,
            who: who("192.0.2.0/24"),
            file: 0,
            line: 1,
        })
    );
}

#[test]
fn equal_are_lists_that_mean_the_same() {
    let one = acl(&[
        (Allow, "10.0.0.0/8"),
        (Deny, "10.1.0.0/16"),
        (Exempt, "::1/128"),
    ]);
    let moved = acl(&[
        (Exempt, "::1/128"),
        (Deny, "10.1.0.0/16"),
        (Allow, "10.0.0.0/8"),
    ]);
    assert_eq!(one, moved);
    for other in [
        acl(&[
            (Allow, "10.0.0.0/8"),
            (Allow, "10.1.0.0/16"),
            (Exempt, "::1/128"),
        ]),
        acl(&[
            (Allow, "10.0.0.0/8"),
            (Deny, "10.1.0.0/17"),
            (Exempt, "::1/128"),
        ]),
        acl(&[
            (Allow, "10.0.0.0/8"),
            (Deny, "10.1.0.0/16"),
            (Deny, "::1/128"),
        ]),
        acl(&[(Deny, "10.1.0.0/16"), (Exempt, "::1/128")]),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn lists_come_back_from_their_journey() {
    let acl = acl(&[
        (Deny, "10.0.0.0/8"),
        (Allow, "2001:db8::/32"),
        (Exempt, "uid/33"),
        (Allow, "local"),
    ]);
    let text = serde_json::to_string(&acl).unwrap();
    let back: Acl = serde_json::from_str(&text).unwrap();
    assert_eq!(back, acl);
    assert_eq!(back.files, ["services.toml"]);
    for text in ["10.0.0.1", "2001:db8::1", "uid/33", "uid/34", "192.0.2.1"] {
        assert_eq!(back.judge(client(text)), acl.judge(client(text)), "{text}");
    }
}

/// A packed list of IPv4 prefixes, taken in.
fn taken(entries: &[[u8; 12]]) -> Result<Prefixes<u32>, serde_json::Error> {
    let text = crate::table::base64::encode(entries.as_flattened());
    serde_json::from_value(text.into())
}

#[test]
fn what_comes_in_is_checked() {
    assert!(taken(&[[10, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1]]).is_ok());
    for (wrong, entries) in [
        ("host bits", &[[10, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 1]][..]),
        ("length", &[[10, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 1]]),
        ("list", &[[10, 0, 0, 0, 8, 3, 0, 0, 0, 0, 0, 1]]),
        (
            "order",
            &[
                [10, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1],
                [9, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2],
            ],
        ),
        (
            "twice",
            &[
                [10, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1],
                [10, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 2],
            ],
        ),
    ] {
        let error = taken(entries).unwrap_err().to_string();
        assert_eq!(error, "a list of prefixes is damaged", "{wrong}");
    }
    assert!(serde_json::from_str::<Prefixes<u128>>("\"AAAA\"").is_err());
}

/// What a list says that looks at every entry.
fn naive(entries: &[Entry], list: fn(List) -> bool, client: Client) -> Option<Entry> {
    let fitting = entries.iter().filter(|entry| list(entry.list));
    let fitting = fitting.filter_map(|entry| Some((fit(entry.who, client)?, entry)));
    fitting
        .max_by_key(|(length, entry)| (*length, entry.list == Deny))
        .map(|(_, entry)| *entry)
}

/// How many bits say that the client is meant.
fn fit(who: Who, client: Client) -> Option<u8> {
    match (who, client) {
        (Who::Local, Client::Uid(_)) => Some(0),
        (Who::Uid(own), Client::Uid(uid)) => (own == uid).then_some(32),
        (Who::Prefix(prefix, length), Client::Ip(ip)) => {
            let (prefix, length) = match (prefix, prefix.to_canonical()) {
                (IpAddr::V6(_), folded @ IpAddr::V4(_)) if length >= 96 => (folded, length - 96),
                _ => (prefix, length),
            };
            let same = match (prefix, ip.to_canonical()) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    (a.to_bits() ^ b.to_bits()).leading_zeros() >= length.into()
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => {
                    (a.to_bits() ^ b.to_bits()).leading_zeros() >= length.into()
                }
                _ => false,
            };
            same.then_some(length)
        }
        _ => None,
    }
}

/// An address of few bits, so that prefixes are nested and clients are met; some at the edges.
fn some_ip() -> impl Strategy<Value = IpAddr> {
    let v4 = prop_oneof![
        0..64u32,
        (0..64u32).prop_map(|bits| bits << 26),
        Just(u32::MAX)
    ];
    let v6 = prop_oneof![
        (0..64u128),
        (0..64u128).prop_map(|bits| bits << 122),
        Just(u128::MAX),
    ];
    prop_oneof![
        3 => v4.clone().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        1 => v4.prop_map(|bits| IpAddr::V6(Ipv4Addr::from_bits(bits).to_ipv6_mapped())),
        2 => v6.prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

fn some_who() -> impl Strategy<Value = Who> {
    let length = prop_oneof![0..=6u8, 26..=32u8, 90..=128u8];
    prop_oneof![
        8 => (some_ip(), length).prop_map(|(ip, length)| {
            let (ip, length) = network(ip, length);
            Who::Prefix(ip, length)
        }),
        1 => (0..4u32).prop_map(Who::Uid),
        1 => Just(Who::Local),
    ]
}

fn some_entries() -> impl Strategy<Value = Vec<Entry>> {
    let list = prop_oneof![2 => Just(Deny), 2 => Just(Allow), 1 => Just(Exempt)];
    let entry = (list, some_who(), 0..3u32, 1..100u32);
    let entry = entry.prop_map(|(list, who, file, line)| Entry {
        list,
        who,
        file,
        line,
    });
    proptest::collection::vec(entry, 0..40)
}

fn some_client() -> impl Strategy<Value = Client> {
    prop_oneof![
        6 => some_ip().prop_map(Client::Ip),
        1 => (0..5u32).prop_map(Client::Uid),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn quick_lists_say_what_slow_ones_say(
        entries in some_entries(),
        clients in proptest::collection::vec(some_client(), 1..20),
    ) {
        let made = Acl::new(Vec::new(), entries.clone());
        let text = serde_json::to_string(&made).unwrap();
        let acl: Acl = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&acl, &made);
        let closed = entries.iter().any(|entry| entry.list == Allow);
        for client in clients {
            let judgement = acl.judge(client);
            let by = naive(&entries, |list| list != Exempt, client);
            let exempt_by = naive(&entries, |list| list == Exempt, client);
            let said = |entry: Entry| (entry.list, fit(entry.who, client));
            prop_assert_eq!(judgement.allowed, by.map_or(!closed, |by| by.list == Allow));
            prop_assert_eq!(judgement.exempt, exempt_by.is_some());
            prop_assert_eq!(judgement.by.map(said), by.map(said));
            prop_assert_eq!(judgement.exempt_by.map(said), exempt_by.map(said));
            // The place is that of an entry that was written so.
            for by in judgement.by.into_iter().chain(judgement.exempt_by) {
                let written = entries.iter().any(|entry| {
                    (entry.list, entry.file, entry.line) == (by.list, by.file, by.line)
                        && fit(entry.who, client) == fit(by.who, client)
                });
                prop_assert!(written);
            }
        }
    }

    #[test]
    fn no_journey_ends_in_a_panic(text in "[A-P]{0,64}", address: u32) {
        if let Ok(prefixes) = serde_json::from_value::<Prefixes<u32>>(text.into()) {
            prefixes.find(address);
        }
    }
}
