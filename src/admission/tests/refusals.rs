//! Each reason for a refusal, their order, and what is explained.

use super::*;

#[test]
fn who_is_denied_does_not_get_in() {
    let acl = acl(&[(List::Allow, "192.0.2.0/24"), (List::Deny, "192.0.2.7/32")]);
    let rules = Rules::default();
    let mut admission = with_policy(5, Policy { rules, acl });
    for (text, expected) in [
        ("192.0.2.1", Ok(())),
        ("::ffff:192.0.2.1", Ok(())),
        ("192.0.2.7", Err(Refusal::Denied)),
        ("198.51.100.1", Err(Refusal::Denied)),
        ("2001:db8::1", Err(Refusal::Denied)),
    ] {
        let admitted = admission.admit("s", client(text), &at(0.0)).map(drop);
        assert_eq!(admitted, expected, "{text}");
    }
    let user = admission.admit("s", Client::Uid(0), &at(0.0)).map(drop);
    assert_eq!(user, Err(Refusal::Denied));
}

#[test]
fn who_is_banned_waits_for_the_end_of_the_ban() {
    let mut admission = with_rules(5, Rules::default());
    admission.set_service("other", 5, Rc::default());
    let (ban, until) = (prefix("192.0.2.0/24"), Duration::from_secs(60));
    admission.ban(ban, until, &at(0.0)).unwrap();
    for service in ["s", "other"] {
        let mut admit = |text| admission.admit(service, client(text), &at(59.0));
        assert_eq!(admit("192.0.2.1").unwrap_err(), Refusal::Banned);
        assert!(admit("192.0.3.1").is_ok());
        assert!(admission.admit(service, Client::Uid(0), &at(59.0)).is_ok());
    }
    let after = admission.admit("s", client("192.0.2.1"), &at(60.0));
    assert!(after.is_ok());
    admission
        .ban(ban, Duration::from_secs(90), &at(60.0))
        .unwrap();
    let listed: Vec<Ban> = admission.bans(&at(61.0)).collect();
    let rest = Duration::from_secs(29);
    assert_eq!(listed, [Ban { prefix: ban, rest }]);
    assert!(admission.unban(ban, &at(61.0)));
    assert!(!admission.unban(ban, &at(61.0)));
    assert!(admission.admit("s", client("192.0.2.1"), &at(61.0)).is_ok());
}

#[test]
fn nobody_gets_in_out_of_hours() {
    let hours = Some(Hours(vec![Span {
        days: 0b011_1110,
        from: 8 * 60,
        to: 18 * 60,
    }]));
    let rules = Rules {
        hours,
        ..Rules::default()
    };
    let acl = acl(&[(List::Exempt, "192.0.2.1/32")]);
    let mut admission = with_policy(5, Policy { rules, acl });
    for (weekday, minute, expected) in [
        (1, 8 * 60, Ok(())),
        (1, 18 * 60, Err(Refusal::Hours)),
        (0, 12 * 60, Err(Refusal::Hours)),
    ] {
        let now = Now {
            weekday,
            minute,
            ..at(0.0)
        };
        let admitted = admission.admit("s", client("192.0.2.1"), &now).map(drop);
        assert_eq!(admitted, expected, "{weekday} {minute}");
    }
}

#[test]
fn a_full_service_is_not_polled_unless_it_refuses() {
    let mut admission = with_rules(1, Rules::default());
    let permit = admission.admit("s", nth(0), &at(0.0)).unwrap();
    assert_eq!(admission.room("s", &at(0.0)), Room::Full);
    let refusal = admission.admit("s", nth(1), &at(0.0)).unwrap_err();
    assert_eq!(refusal, Refusal::Full);
    let refuses = Rules {
        when_full: WhenFull::Refuse,
        ..Rules::default()
    };
    let policy = Policy {
        rules: refuses,
        acl: None,
    };
    admission.set_service("s", 1, Rc::new(policy));
    assert_eq!(admission.room("s", &at(0.0)), Room::Open);
    let refusal = admission.admit("s", nth(1), &at(0.0)).unwrap_err();
    assert_eq!(refusal, Refusal::Full);
    assert!(admission.release(permit));
    assert!(admission.admit("s", nth(1), &at(0.0)).is_ok());
}

#[test]
fn all_services_together_have_a_limit_of_their_own() {
    let mut admission = Admission::new(1);
    admission.set_service("a", 5, Rc::default());
    admission.set_service("b", 5, Rc::default());
    let permit = admission.admit("a", nth(0), &at(0.0)).unwrap();
    assert!(admission.is_full());
    assert_eq!(admission.room("b", &at(0.0)), Room::ServerFull);
    let refusal = admission.admit("b", nth(1), &at(0.0)).unwrap_err();
    assert_eq!(refusal, Refusal::ServerFull);
    assert!(admission.release(permit));
    assert_eq!(admission.room("b", &at(0.0)), Room::Open);
}

#[test]
fn a_source_has_so_many_connections_and_no_more() {
    let rules = Rules {
        max_per_source: Some(3),
        ..Rules::default()
    };
    let mut admission = with_rules(100, rules);
    let (mut permits, why) = take_up_to(&mut admission, client("192.0.2.1"), &at(0.0), 10);
    assert_eq!((permits.len(), why), (3, Some(Refusal::MaxPerSource)));
    assert!(admission.admit("s", client("192.0.2.2"), &at(0.0)).is_ok());
    admission.release(permits.remove(0));
    assert!(admission.admit("s", client("192.0.2.1"), &at(0.0)).is_ok());
}

#[test]
fn a_source_is_refused_over_its_own_rate_and_others_are_not() {
    let rules = Rules {
        rate_per_source: per_second(1, 3),
        ..Rules::default()
    };
    let mut admission = with_rules(100, rules);
    let (permits, why) = take_up_to(&mut admission, client("192.0.2.1"), &at(0.0), 10);
    assert_eq!((permits.len(), why), (3, Some(Refusal::RatePerSource)));
    assert!(admission.admit("s", client("192.0.2.2"), &at(0.0)).is_ok());
    // Neither an end nor a refusal gives a token back.
    for permit in permits {
        admission.release(permit);
    }
    let (permits, _) = take_up_to(&mut admission, client("192.0.2.1"), &at(0.9), 10);
    assert_eq!(permits.len(), 0);
    let (permits, _) = take_up_to(&mut admission, client("192.0.2.1"), &at(1.0), 10);
    assert_eq!(permits.len(), 1);
}

#[test]
fn a_listener_rests_until_the_next_token_if_that_is_near() {
    let rules = |rate| Rules {
        rate,
        ..Rules::default()
    };
    let mut admission = with_rules(100, rules(per_second(4, 2)));
    assert_eq!(admission.room("s", &at(7.0)), Room::Open);
    let (permits, why) = take_up_to(&mut admission, nth(0), &at(7.0), 10);
    assert_eq!((permits.len(), why), (2, Some(Refusal::Rate)));
    let until = Duration::from_millis(7250);
    assert_eq!(admission.room("s", &at(7.0)), Room::RestUntil(until));
    assert_eq!(admission.room("s", &at(7.2)), Room::RestUntil(until));
    assert_eq!(admission.room("s", &at(7.25)), Room::Open);
    let every_10s = Some(Rate::new(1, Duration::from_secs(10), None));
    let mut admission = with_rules(100, rules(every_10s));
    assert!(admission.admit("s", nth(0), &at(7.0)).is_ok());
    assert_eq!(admission.room("s", &at(7.0)), Room::Open);
    let refusal = admission.admit("s", nth(1), &at(7.0)).unwrap_err();
    assert_eq!(refusal, Refusal::Rate);
    let until = Duration::from_secs(17);
    assert_eq!(admission.room("s", &at(16.5)), Room::RestUntil(until));
}

#[test]
fn who_is_exempt_gets_in_beyond_every_limit() {
    let rules = Rules {
        rate: per_second(1, 1),
        rate_per_source: per_second(1, 1),
        max_per_source: Some(1),
        ..Rules::default()
    };
    let acl = acl(&[(List::Exempt, "192.0.2.0/24"), (List::Deny, "192.0.2.7/32")]);
    let mut admission = with_policy(2, Policy { rules, acl });
    let (now, far) = (at(0.0), Duration::from_secs(60));
    admission.ban(prefix("192.0.2.0/24"), far, &now).unwrap();
    let (permits, why) = take_up_to(&mut admission, client("192.0.2.1"), &now, 10);
    assert_eq!((permits.len(), why), (10, None));
    let denied = admission.admit("s", client("192.0.2.7"), &now).unwrap_err();
    assert_eq!(denied, Refusal::Denied);
    // The listener is polled for them, so the others are refused.
    assert_eq!(admission.room("s", &now), Room::Open);
    let full = admission.admit("s", nth(0), &now).unwrap_err();
    assert_eq!(full, Refusal::Full);
    for permit in permits {
        admission.release(permit);
    }
    // They have used nothing up.
    assert!(admission.admit("s", nth(0), &now).is_ok());
    admission.set_limit(1);
    assert!(admission.admit("s", client("192.0.2.1"), &now).is_ok());
    admission.forget_service("s");
    let gone = admission.admit("s", client("192.0.2.1"), &now).unwrap_err();
    assert_eq!(gone, Refusal::Full);
}

#[test]
fn the_first_reason_of_several_is_given() {
    let rules = Rules {
        rate: per_second(1, 1),
        rate_per_source: per_second(1, 1),
        max_per_source: Some(1),
        hours: Some(Hours(Vec::new())),
        ..Rules::default()
    };
    let acl = acl(&[(List::Deny, "192.0.2.1/32")]);
    let policy = |rules: &Rules, acl| {
        Rc::new(Policy {
            rules: rules.clone(),
            acl,
        })
    };
    let open = Rules {
        hours: None,
        ..rules.clone()
    };
    let (now, who) = (at(0.0), client("192.0.2.1"));
    let mut admission = Admission::new(1);
    admission.set_service("s", 1, policy(&open, None));
    let permit = admission.admit("s", who, &now).unwrap();
    let ban = prefix("192.0.2.1/32");
    admission.ban(ban, Duration::from_secs(9), &now).unwrap();
    let next = |admission: &mut Admission<_>, expected| {
        let refusal = admission.admit("s", who, &now).unwrap_err();
        assert_eq!(refusal, expected);
        assert_eq!(admission.explain("s", who, &now).verdict, Err(expected));
    };
    admission.set_service("s", 1, policy(&rules, acl));
    next(&mut admission, Refusal::Denied);
    admission.set_service("s", 1, policy(&rules, None));
    next(&mut admission, Refusal::Banned);
    admission.unban(ban, &now);
    next(&mut admission, Refusal::Hours);
    admission.set_service("s", 1, policy(&open, None));
    next(&mut admission, Refusal::Full);
    admission.set_service("s", 9, policy(&open, None));
    next(&mut admission, Refusal::MaxPerSource);
    let many = Rules {
        max_per_source: None,
        ..open
    };
    admission.set_service("s", 9, policy(&many, None));
    next(&mut admission, Refusal::RatePerSource);
    let shared = Rules {
        rate_per_source: None,
        ..many
    };
    admission.set_service("s", 9, policy(&shared, None));
    next(&mut admission, Refusal::Rate);
    admission.set_service("s", 9, Rc::default());
    next(&mut admission, Refusal::ServerFull);
    admission.release(permit);
    assert!(admission.admit("s", who, &now).is_ok());
}

#[test]
fn an_explanation_shows_what_decides_and_takes_nothing() {
    let rules = Rules {
        rate: per_second(10, 20),
        rate_per_source: per_second(1, 5),
        max_per_source: Some(4),
        ..Rules::default()
    };
    let lists = acl(&[(List::Deny, "192.0.3.0/24"), (List::Deny, "192.0.2.0/24")]);
    let mut admission = with_policy(10, Policy { rules, acl: lists });
    let who = client("2001:db8::1");
    let (_permits, _) = take_up_to(&mut admission, who, &at(0.0), 3);
    let far = Duration::from_secs(60);
    admission
        .ban(prefix("192.0.2.0/24"), far, &at(0.0))
        .unwrap();
    for _ in 0..100 {
        assert_eq!(admission.explain("s", who, &at(0.0)).verdict, Ok(()));
    }
    let seen = admission.explain("s", who, &at(0.1));
    let level = |tokens, burst| Some(Level { tokens, burst });
    assert_eq!(seen.access, Judgement::OPEN);
    assert_eq!((seen.banned, seen.open), (None, true));
    assert_eq!(seen.service, Load { live: 3, limit: 10 });
    let limit = 10_000;
    assert_eq!(seen.server, Load { live: 3, limit });
    assert_eq!(seen.source, Who::Prefix("2001:db8::".parse().unwrap(), 64));
    assert_eq!((seen.source_live, seen.max_per_source), (3, Some(4)));
    assert_eq!((seen.rate, seen.rate_used), (level(18, 20), 3));
    assert_eq!(seen.rate_per_source, level(2, 5));
    let seen = admission.explain("s", client("192.0.2.9"), &at(20.0));
    assert_eq!(seen.verdict, Err(Refusal::Denied));
    assert_eq!(seen.access.by.map(|by| by.line), Some(2));
    assert_eq!(
        seen.banned.map(|ban| ban.rest),
        Some(Duration::from_secs(40))
    );
    assert_eq!((seen.source_live, seen.rate_used), (0, 0));
    let none = admission.explain("none", who, &at(0.0));
    assert_eq!(none.verdict, Err(Refusal::Full));
    assert_eq!(none.service, Load { live: 0, limit: 0 });
}
