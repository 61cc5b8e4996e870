//! Steps and jumps of the time that is passed in.

use super::*;

fn limited() -> Admission<&'static str> {
    let rules = Rules {
        rate: per_second(10, 50),
        rate_per_source: per_second(10, 20),
        ..Rules::default()
    };
    with_rules(100_000, rules)
}

/// How many of 100 get in at this moment.
fn taken(admission: &mut Admission<&'static str>, client: Client, seconds: f64) -> usize {
    let now = at(seconds);
    (0..100)
        .filter(|_| admission.admit("s", client, &now).is_ok())
        .count()
}

#[test]
fn a_jump_forward_gives_one_full_burst() {
    let mut admission = limited();
    let who = client("192.0.2.1");
    assert_eq!(taken(&mut admission, who, 0.0), 20);
    assert_eq!(taken(&mut admission, who, 1e9), 20);
    assert_eq!(taken(&mut admission, who, 1e9), 0);
    let sources = (0..10).map(|number| taken(&mut admission, nth(number), 1e9 + 10.0));
    assert_eq!(sources.sum::<usize>(), 50);
}

#[test]
fn a_step_back_gives_nothing_and_stops_nothing() {
    let mut admission = limited();
    let who = client("192.0.2.1");
    let ban = prefix("192.0.2.9/32");
    admission
        .ban(ban, Duration::from_secs(1030), &at(1000.0))
        .unwrap();
    assert_eq!(taken(&mut admission, who, 1000.0), 20);
    assert_eq!(taken(&mut admission, who, 1.0), 0);
    assert_eq!(admission.room("s", &at(0.5)), Room::Open);
    // Time goes on from there at its pace, for rates and bans alike.
    assert_eq!(taken(&mut admission, who, 1.5), 5);
    assert_eq!(taken(&mut admission, who, 0.5), 0);
    assert_eq!(taken(&mut admission, who, 1.0), 5);
    let rest = |admission: &Admission<_>, seconds| {
        let seen = admission.explain("s", client("192.0.2.9"), &at(seconds));
        seen.banned.map(|ban| ban.rest.as_secs())
    };
    assert_eq!(rest(&admission, 1.0), Some(29));
    assert_eq!(rest(&admission, 29.5), Some(0));
    assert_eq!(rest(&admission, 30.5), None);
    // Back and forth is no way to get more.
    let pairs = (0..50).map(|_| taken(&mut admission, who, 0.0) + taken(&mut admission, who, 1.0));
    assert_eq!(pairs.sum::<usize>(), 50 * 10);
}

#[test]
fn the_clock_on_the_wall_opens_and_closes_and_does_nothing_else() {
    let (every_day, from, to) = (0b111_1111, 8 * 60, 18 * 60);
    let rules = Rules {
        rate: per_second(10, 50),
        rate_per_source: per_second(1, 5),
        hours: Some(Hours(vec![Span {
            days: every_day,
            from,
            to,
        }])),
        ..Rules::default()
    };
    let mut admission = with_rules(100_000, rules);
    let (who, banned) = (client("192.0.2.1"), client("192.0.2.9"));
    let noon = at(100.0);
    let ban = prefix("192.0.2.9/32");
    let until = Duration::from_secs(160);
    admission.ban(ban, until, &noon).unwrap();
    let (permits, _) = take_up_to(&mut admission, who, &noon, 3);
    assert_eq!(permits.len(), 3);
    // Somebody sets it again and again; not a second goes by.
    for (weekday, minute) in [(1, 3 * 60), (6, 12 * 60), (0, 0), (1, 18 * 60), (1, 8 * 60)] {
        let set = Now {
            weekday,
            minute,
            ..noon
        };
        let is_open = (from..to).contains(&minute);
        let seen = admission.explain("s", who, &set);
        let expected = if is_open { Ok(()) } else { Err(Refusal::Hours) };
        assert_eq!((seen.verdict, seen.open), (expected, is_open));
        let tokens = |level: Option<Level>| level.map(|level| level.tokens);
        assert_eq!(
            (tokens(seen.rate), tokens(seen.rate_per_source)),
            (Some(47), Some(2))
        );
        assert_eq!(admission.room("s", &set), Room::Open);
        let seen = admission.explain("s", banned, &set);
        assert_eq!(seen.verdict, Err(Refusal::Banned));
        assert_eq!(
            seen.banned.map(|ban| ban.rest),
            Some(Duration::from_secs(60))
        );
    }
    let closed = Now {
        minute: 18 * 60,
        ..noon
    };
    let refusal = admission.admit("s", who, &closed).unwrap_err();
    assert_eq!(refusal, Refusal::Hours);
    let (permits, why) = take_up_to(&mut admission, who, &noon, 9);
    assert_eq!((permits.len(), why), (2, Some(Refusal::RatePerSource)));
    // The ban ends by the other clock.
    let over = Now { at: until, ..noon };
    assert!(admission.admit("s", banned, &over).is_ok());
}

#[test]
fn no_moment_is_too_far() {
    let mut admission = limited();
    for moment in [Duration::MAX, Duration::ZERO, Duration::MAX] {
        let now = Now {
            at: moment,
            weekday: 255,
            minute: u16::MAX,
        };
        let _ = admission.ban(prefix("192.0.2.1/32"), moment, &now);
        let _ = admission.admit("s", client("192.0.2.2"), &now);
        let _ = admission.datagram("s", client("192.0.2.2"), &now);
        let _ = admission.start("s", &now);
        admission.room("s", &now);
        admission.explain("s", client("192.0.2.1"), &now);
        assert!(admission.bans(&now).count() <= 1);
    }
}
