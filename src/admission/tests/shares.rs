//! One source that floods a service, and another that is served all the same.

use super::*;

const FLOOD: &str = "198.51.100.1";
const OTHER: &str = "192.0.2.1";

#[test]
fn a_flood_leaves_the_last_slots_to_others() {
    for (limit, most) in [(1, 1), (7, 7), (8, 7), (10, 8), (128, 97), (1000, 751)] {
        let mut admission = with_rules(limit, Rules::default());
        let (mut permits, why) = take_up_to(&mut admission, client(FLOOD), &at(0.0), 2000);
        assert_eq!(permits.len(), most, "of {limit}");
        if limit < 8 {
            assert_eq!(why, Some(Refusal::Full));
            continue;
        }
        assert_eq!(why, Some(Refusal::Share));
        assert_eq!(admission.room("s", &at(0.0)), Room::Open);
        // The others have what is left, and may use it up together.
        for number in most as u32..limit {
            permits.push(admission.admit("s", nth(number), &at(0.0)).unwrap());
        }
        assert_eq!(admission.room("s", &at(0.0)), Room::Full);
    }
}

#[test]
fn while_there_is_room_one_source_may_have_all_of_it_again_and_again() {
    let mut admission = with_rules(8, Rules::default());
    let (mut permits, _) = take_up_to(&mut admission, client(FLOOD), &at(0.0), 7);
    for _ in 0..1000 {
        admission.release(permits.remove(0));
        permits.push(admission.admit("s", client(FLOOD), &at(0.0)).unwrap());
    }
}

#[test]
fn a_hard_number_replaces_the_fair_share() {
    let rules = Rules {
        max_per_source: Some(1000),
        ..Rules::default()
    };
    let mut admission = with_rules(128, rules);
    let (permits, why) = take_up_to(&mut admission, client(FLOOD), &at(0.0), 2000);
    assert_eq!((permits.len(), why), (128, Some(Refusal::Full)));
}

/// A minute in which one source tries 1,000 times a second, and another ten times. Each connection
/// lasts two seconds. Returns how often each was admitted; the other must never be kept waiting.
fn minute_of_flood(admission: &mut Admission<&'static str>) -> (u32, u32) {
    let (mut flood, mut other) = (0, 0);
    let mut ends = std::collections::VecDeque::new();
    for millisecond in 0..60_000u32 {
        let now = at(f64::from(millisecond) / 1000.0);
        while ends.front().is_some_and(|(end, _)| *end <= millisecond) {
            let (_, permit) = ends.pop_front().unwrap();
            admission.release(permit);
        }
        assert_eq!(admission.room("s", &now), Room::Open, "at {millisecond} ms");
        if let Ok(permit) = admission.admit("s", client(FLOOD), &now) {
            ends.push_back((millisecond + 2000, permit));
            flood += 1;
        }
        if millisecond % 100 == 50 {
            let permit = admission.admit("s", client(OTHER), &now).unwrap();
            ends.push_back((millisecond + 2000, permit));
            other += 1;
        }
    }
    (flood, other)
}

#[test]
fn a_flood_keeps_nobody_waiting_where_only_numbers_are_limited() {
    let mut admission = with_rules(128, Rules::default());
    let (flood, other) = minute_of_flood(&mut admission);
    assert_eq!(other, 600);
    assert!(flood > 2000, "{flood} of the flood");
}

#[test]
fn a_flood_keeps_nobody_waiting_where_only_the_rate_is_limited() {
    let rules = Rules {
        rate: per_second(50, 50),
        ..Rules::default()
    };
    let mut admission = with_rules(10_000, rules);
    let (flood, other) = minute_of_flood(&mut admission);
    assert_eq!(other, 600);
    // All of the rate is used: 50 at once, 50 a second, and what is kept for others.
    assert!((2400..=2450).contains(&flood), "{flood} of the flood");
}

#[test]
fn a_flood_of_datagrams_leaves_the_last_tokens_to_others() {
    let rules = Rules {
        rate: per_second(50, 50),
        rate_per_source: per_second(1000, 1000),
        ..Rules::default()
    };
    let mut admission = with_rules(1, rules);
    let (mut flood, mut other) = (0, 0);
    for millisecond in 0..10_000u32 {
        let now = at(f64::from(millisecond) / 1000.0);
        flood += u32::from(admission.datagram("s", client(FLOOD), &now).is_ok());
        if millisecond % 100 == 50 {
            other += u32::from(admission.datagram("s", client(OTHER), &now).is_ok());
        }
    }
    assert_eq!(other, 100);
    assert!((400..=450).contains(&flood), "{flood} of the flood");
}

#[test]
fn a_source_that_has_flooded_is_as_any_other_a_while_later() {
    let rules = Rules {
        rate: per_second(40, 40),
        ..Rules::default()
    };
    let mut admission = with_rules(10_000, rules);
    let (permits, why) = take_up_to(&mut admission, client(FLOOD), &at(0.0), 1000);
    assert_eq!((permits.len(), why), (31, Some(Refusal::Rate)));
    // Others use what was left, and all that comes: it must not take of that...
    for number in 0..9 {
        assert!(admission.admit("s", nth(number), &at(0.0)).is_ok());
    }
    let refusal = admission.admit("s", client(FLOOD), &at(0.1)).unwrap_err();
    assert_eq!(refusal, Refusal::Rate);
    assert!(admission.admit("s", nth(9), &at(0.1)).is_ok());
    // ... until a quarter of the rate has paid for what it took beyond its share.
    for number in 0..90 {
        let now = at(0.2 + f64::from(number) * 0.025);
        assert!(admission.admit("s", nth(10 + number), &now).is_ok());
    }
    assert!(admission.admit("s", client(FLOOD), &at(2.45)).is_ok());
}

#[test]
fn a_small_burst_is_not_shared_and_its_sources_are_not_kept() {
    let rules = Rules {
        rate: per_second(7, 7),
        ..Rules::default()
    };
    let mut admission = with_rules(10_000, rules);
    let (permits, why) = take_up_to(&mut admission, client(FLOOD), &at(0.0), 1000);
    assert_eq!((permits.len(), why), (7, Some(Refusal::Rate)));
    let seen = admission.explain("s", client(FLOOD), &at(0.0));
    assert_eq!(seen.rate_used, 0);
}
