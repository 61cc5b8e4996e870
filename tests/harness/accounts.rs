//! What every server's log must say at its end, whatever the test was about.

use super::Line;
use std::collections::{BTreeMap, BTreeSet};

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

/// Each `start` has one `end` of the same id, but for what lives at the stop, and for lines that the
/// log says it has left out.
#[track_caller]
fn check_pairs(lines: &[Line], totals: &BTreeMap<String, Line>) {
    let mut all: BTreeMap<&str, Pairs> = BTreeMap::new();
    for line in lines {
        let is_of_pairs = |kind| ["start", "end"].contains(&kind);
        match (line.event(), line.field("kind")) {
            (event, _) if is_of_pairs(event) => {
                let service = line.field("service").expect("service=");
                let id = line.field("id").unwrap_or_else(|| panic!("no id: {line}"));
                let is_new = all.entry(service).or_default().of(event).0.insert(id);
                assert!(is_new, "a second {event} of the same id: {line}");
            }
            ("left-out", Some(kind)) if is_of_pairs(kind) => {
                let service = line.field("service").expect("service=");
                all.entry(service).or_default().of(kind).1 += line.number("lines");
            }
            _ => {}
        }
    }
    for (service, pairs) in &all {
        let live = totals.get(*service).map_or(0, |line| line.number("live"));
        pairs.check(service, live);
    }
}

/// The sessions of a service, by their lines: those of starts and of ends, each with the number of
/// those that were left out.
#[derive(Default)]
struct Pairs<'a> {
    starts: (BTreeSet<&'a str>, u64),
    ends: (BTreeSet<&'a str>, u64),
}

impl<'a> Pairs<'a> {
    fn of(&mut self, event: &str) -> &mut (BTreeSet<&'a str>, u64) {
        match event {
            "start" => &mut self.starts,
            _ => &mut self.ends,
        }
    }

    #[track_caller]
    fn check(&self, service: &str, live: u64) {
        let all = |of: &(BTreeSet<&str>, u64)| of.0.len() as u64 + of.1;
        let (starts, ends) = (&self.starts, &self.ends);
        let without_start: Vec<_> = ends.0.difference(&starts.0).collect();
        let without_end: Vec<_> = starts.0.difference(&ends.0).collect();
        assert!(
            without_start.len() as u64 <= starts.1,
            "ends without a start of {service}: {without_start:?}"
        );
        assert!(
            without_end.len() as u64 <= ends.1 + live,
            "starts without an end of {service}: {without_end:?}"
        );
        assert_eq!(
            all(starts),
            all(ends) + live,
            "starts, and ends with what lives, of {service}"
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
    fn lines_that_were_left_out_are_as_good() {
        let start = "start service=a id=1";
        let end = "end service=a id=2";
        let left_out = |kind: &str| format!("left-out service=a kind={kind} lines=1 within=1.000");
        let (starts, ends) = (left_out("start"), left_out("end"));
        assert!(checked(&[start, end, &starts, &ends, SUM, "stopped"]));
        assert!(!checked(&[start, end, &starts, SUM, "stopped"]));
        assert!(!checked(&[start, &starts, SUM, "stopped"]));
        assert!(!checked(&[end, &starts, &starts, SUM, "stopped"]));
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
