//! What every server's log must say at its end, whatever the test was about.

use super::Line;
use std::collections::BTreeMap;

/// The `totals` line of each service.
#[derive(Debug)]
pub(crate) struct Totals(BTreeMap<String, Line>);

impl Totals {
    /// A counter of a service, by its name in the line; a service that was never asked has no line.
    #[track_caller]
    pub(crate) fn of(&self, service: &str, counter: &str) -> u64 {
        self.0.get(service).map_or(0, |line| line.number(counter))
    }
}

/// Panics at the first thing that is wrong.
#[track_caller]
pub(super) fn check(lines: &[Line], may_leave_programs: bool) -> Totals {
    let panicked = lines.iter().find(|line| line.0.contains("panicked"));
    assert!(panicked.is_none(), "a panic: {panicked:?}");
    assert_eq!(
        lines.last().map(Line::event),
        Some("stopped"),
        "the last line"
    );
    let totals = lines.iter().filter(|line| line.event() == "totals");
    let by_name = |line: &Line| {
        (
            line.field("service").expect("service=").to_string(),
            line.clone(),
        )
    };
    let totals: BTreeMap<String, Line> = totals.map(by_name).collect();
    totals
        .values()
        .for_each(|line| check_sum(line, may_leave_programs));
    check_pairs(lines, &totals);
    Totals(totals)
}

/// Promise 11.
#[track_caller]
fn check_sum(line: &Line, may_leave_programs: bool) {
    let parts = [
        "launched", "answered", "refused", "failed", "aborted", "pending",
    ];
    let sum: u64 = parts.iter().map(|part| line.number(part)).sum();
    assert_eq!(
        line.number("accepted"),
        sum,
        "accepted is not the sum of its parts: {line}"
    );
    assert!(
        may_leave_programs || line.number("live") == 0,
        "something still lives: {line}"
    );
}

/// Each `start` has one `end` of the same id, but for what lives at the stop.
#[track_caller]
fn check_pairs(lines: &[Line], totals: &BTreeMap<String, Line>) {
    let mut open = BTreeMap::new();
    for line in lines {
        let service = || line.field("service").expect("service=").to_string();
        let id = || {
            line.field("id")
                .unwrap_or_else(|| panic!("no id: {line}"))
                .to_string()
        };
        match line.event() {
            "start" => {
                let before = open.insert(id(), service());
                assert!(before.is_none(), "a second start of the same id: {line}");
            }
            "end" => {
                let started = open.remove(&id());
                assert_eq!(started, Some(service()), "an end without its start: {line}");
            }
            _ => {}
        }
    }
    for (service, total) in totals {
        let living = open.values().filter(|of| *of == service).count() as u64;
        assert_eq!(
            living,
            total.number("live"),
            "starts without an end of {service}: {open:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "totals service=a accepted=3 launched=1 answered=1 refused=0 failed=1 \
                       aborted=0 pending=0 live=0 starts=0 datagrams=0";

    fn checked(text: &[&str]) -> bool {
        let lines: Vec<Line> = text.iter().map(|line| Line((*line).to_string())).collect();
        std::panic::catch_unwind(|| check(&lines, false)).is_ok()
    }

    #[test]
    fn good_accounts_pass() {
        assert!(checked(&[
            "start service=a id=1",
            "end service=a id=1",
            SUM,
            "stopped"
        ]));
    }

    #[test]
    fn bad_accounts_fail() {
        assert!(!checked(&[SUM]), "not stopped");
        assert!(
            !checked(&[&SUM.replace("accepted=3", "accepted=4"), "stopped"]),
            "sum"
        );
        assert!(
            !checked(&[&SUM.replace("live=0", "live=1"), "stopped"]),
            "live"
        );
        assert!(
            !checked(&["start service=a id=1", SUM, "stopped"]),
            "no end"
        );
        assert!(
            !checked(&["end service=a id=1", SUM, "stopped"]),
            "no start"
        );
        let twice = [
            "start service=a id=1",
            "end service=a id=1",
            "end service=a id=1",
        ];
        assert!(
            !checked(&[twice[0], twice[1], twice[2], SUM, "stopped"]),
            "two ends"
        );
        assert!(
            !checked(&["thread 'main' panicked at x", SUM, "stopped"]),
            "panic"
        );
    }
}
