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
        seen.banned.map(|rest| rest.as_secs())
    };
    assert_eq!(rest(&admission, 1.0), Some(29));
    assert_eq!(rest(&admission, 29.5), Some(0));
    assert_eq!(rest(&admission, 30.5), None);
    // Back and forth is no way to get more.
    let pairs = (0..50).map(|_| taken(&mut admission, who, 0.0) + taken(&mut admission, who, 1.0));
    assert_eq!(pairs.sum::<usize>(), 50 * 10);
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
