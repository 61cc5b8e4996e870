//! Numbers beside each other: lowered limits, programs that wait, datagrams, sources of many
//! addresses.

use super::*;

#[test]
fn lowering_a_limit_below_what_is_live_ends_nothing() {
    let mut admission = with_rules(3, Rules::default());
    let (permits, _) = take_up_to(&mut admission, nth(0), &at(0.0), 3);
    admission.set_service("s", 1, Rc::default());
    assert_eq!(admission.live("s"), 3);
    let released = permits.into_iter().map(|permit| admission.release(permit));
    assert_eq!(released.collect::<Vec<_>>(), [true, true, true]);
    assert_eq!(admission.room("s", &at(0.0)), Room::Open);
}

#[test]
fn a_service_that_was_removed_is_forgotten_with_its_last_permit() {
    let mut admission = with_rules(3, Rules::default());
    let permit = admission.admit("s", nth(0), &at(0.0)).unwrap();
    admission.forget_service("s");
    assert_eq!(admission.room("s", &at(0.0)), Room::Full);
    assert_eq!(admission.live("s"), 1);
    admission.release(permit);
    assert!(admission.services.is_empty());
    assert!(admission.sources.is_empty());
}

#[test]
fn a_policy_that_changes_forgets_neither_who_is_in_nor_what_was_used_up() {
    let rules = Rules {
        rate: per_second(1, 5),
        max_per_source: Some(3),
        ..Rules::default()
    };
    let mut admission = with_rules(9, rules.clone());
    let (_permits, _) = take_up_to(&mut admission, nth(0), &at(0.0), 3);
    admission.set_service("s", 8, Rc::new(Policy { rules, acl: None }));
    let refusal = admission.admit("s", nth(0), &at(0.0)).unwrap_err();
    assert_eq!(refusal, Refusal::MaxPerSource);
    let (permits, why) = take_up_to(&mut admission, nth(1), &at(0.0), 9);
    assert_eq!((permits.len(), why), (2, Some(Refusal::Rate)));
}

#[test]
fn programs_that_wait_obey_numbers_and_the_rate_only() {
    let rules = Rules {
        rate: per_second(1, 2),
        hours: Some(Hours(Vec::new())),
        ..Rules::default()
    };
    let acl = acl(&[(List::Allow, "192.0.2.1/32")]);
    let mut admission = with_policy(1, Policy { rules, acl });
    let permit = admission.start("s", &at(0.0)).unwrap();
    assert_eq!(permit.service(), "s");
    assert_eq!(admission.room("s", &at(0.0)), Room::Full);
    assert_eq!(admission.start("s", &at(0.0)).unwrap_err(), Refusal::Full);
    assert!(admission.release(permit));
    let permit = admission.start("s", &at(0.0)).unwrap();
    assert!(admission.release(permit));
    assert_eq!(admission.start("s", &at(0.0)).unwrap_err(), Refusal::Rate);
    let until = Duration::from_secs(1);
    assert_eq!(admission.room("s", &at(0.0)), Room::RestUntil(until));
    admission.set_limit(0);
    let refusal = admission.start("s", &at(9.0)).unwrap_err();
    assert_eq!(refusal, Refusal::ServerFull);
    assert_eq!(
        admission.start("none", &at(9.0)).unwrap_err(),
        Refusal::Full
    );
    assert_eq!(admission.live_total(), 0);
}

/// How many of 1,000 datagrams are let in at this moment, and why the last is not.
fn datagrams(
    admission: &mut Admission<&'static str>,
    client: Client,
    now: &Now,
) -> (usize, Result<(), Refusal>) {
    let answers: Vec<_> = (0..1000)
        .map(|_| admission.datagram("s", client, now))
        .collect();
    let passed = answers.iter().filter(|answer| answer.is_ok()).count();
    (passed, answers[999])
}

#[test]
fn each_source_has_its_rate_of_datagrams_even_unasked() {
    let mut admission = with_rules(1, Rules::default());
    let over = Err(Refusal::RatePerSource);
    for (source, seconds, expected) in [
        ("192.0.2.1", 0.0, 200),
        ("::ffff:192.0.2.1", 0.0, 0),
        ("192.0.2.2", 0.0, 200),
        ("2001:db8::1", 0.0, 200),
        ("2001:db8::ffff", 0.0, 0),
        ("192.0.2.1", 0.055, 5),
        ("192.0.2.1", 1.055, 100),
    ] {
        let found = datagrams(&mut admission, client(source), &at(seconds));
        assert_eq!(found, (expected, over), "{source} at {seconds}");
    }
    let rules = Rules {
        rate_per_source: per_second(1, 7),
        ..Rules::default()
    };
    let mut admission = with_rules(1, rules);
    let found = datagrams(&mut admission, nth(0), &at(0.0));
    assert_eq!(found, (7, over));
}

#[test]
fn datagrams_obey_lists_bans_hours_and_rates_and_no_number_of_connections() {
    let rules = Rules {
        rate: per_second(1, 4),
        max_per_source: Some(1),
        ..Rules::default()
    };
    let acl = acl(&[(List::Deny, "192.0.2.1/32"), (List::Exempt, "192.0.2.3/32")]);
    let mut admission = with_policy(1, Policy { rules, acl });
    let ban = prefix("192.0.2.2/31");
    admission
        .ban(ban, Duration::from_secs(9), &at(0.0))
        .unwrap();
    let _permit = admission.admit("s", nth(0), &at(0.0)).unwrap();
    for (source, expected) in [
        ("192.0.2.1", (0, Err(Refusal::Denied))),
        ("192.0.2.2", (0, Err(Refusal::Banned))),
        ("192.0.2.3", (1000, Ok(()))),
        ("192.0.2.4", (3, Err(Refusal::Rate))),
        ("192.0.2.5", (0, Err(Refusal::Rate))),
    ] {
        let found = datagrams(&mut admission, client(source), &at(0.0));
        assert_eq!(found, expected, "{source}");
    }
    let closed = Rules {
        hours: Some(Hours(Vec::new())),
        ..Rules::default()
    };
    let policy = Policy {
        rules: closed,
        acl: None,
    };
    admission.set_service("s", 1, Rc::new(policy));
    let refusal = admission.datagram("s", nth(0), &at(0.0)).unwrap_err();
    assert_eq!(refusal, Refusal::Hours);
    assert_eq!(admission.live_total(), 1);
}

#[test]
fn a_hundred_thousand_addresses_of_one_network_are_one_source() {
    let rules = Rules {
        max_per_source: Some(2),
        rate_per_source: per_second(1, 5),
        ..Rules::default()
    };
    let mut admission = with_rules(200_000, rules);
    admission.set_limit(200_000);
    let network = u128::from_be_bytes([0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut permits = Vec::new();
    for number in 0..100_000u128 {
        let ip = IpAddr::V6((network | number << 40 | number).into());
        permits.extend(admission.admit("s", Client::Ip(ip), &at(0.0)));
    }
    assert_eq!(permits.len(), 2);
    let neighbour = client("2001:db8:0:8::1");
    assert!(admission.admit("s", neighbour, &at(0.0)).is_ok());
}
