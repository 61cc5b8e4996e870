//! Admission as its callers see it; the time is made up.

mod accounts;
mod limits;
mod refusals;
mod shares;
mod time;

use super::*;
use crate::table::{Acl, AclEntry, Hours, Judgement, List, Rate, Rules, Span};

/// Monday, 12:00.
fn at(seconds: f64) -> Now {
    Now {
        at: Duration::from_secs_f64(seconds),
        weekday: 1,
        minute: 12 * 60,
    }
}

fn client(text: &str) -> Client {
    Client::Ip(text.parse().unwrap())
}

/// One of many clients, each a source of its own.
fn nth(number: u32) -> Client {
    Client::Ip(IpAddr::V4((0x0a00_0000 + number).into()))
}

fn prefix(text: &str) -> (IpAddr, u8) {
    let (ip, length) = text.split_once('/').unwrap();
    (ip.parse().unwrap(), length.parse().unwrap())
}

/// An entry a line.
fn acl(entries: &[(List, &str)]) -> Option<Rc<Acl>> {
    let entries = (1..).zip(entries).map(|(line, (list, text))| {
        let (ip, length) = prefix(text);
        AclEntry {
            list: *list,
            who: Who::Prefix(ip, length),
            file: 0,
            line,
        }
    });
    Some(Rc::new(Acl::new(
        vec!["services.toml".into()],
        entries.collect(),
    )))
}

fn per_second(count: u32, burst: u32) -> Option<Rate> {
    Some(Rate::new(count, Duration::from_secs(1), Some(burst)))
}

/// A service `"s"` with these rules and no lists.
fn with_rules(limit: u32, rules: Rules) -> Admission<&'static str> {
    with_policy(limit, Policy { rules, acl: None })
}

fn with_policy(limit: u32, policy: Policy) -> Admission<&'static str> {
    let mut admission = Admission::new(10_000);
    admission.set_service("s", limit, Rc::new(policy));
    admission
}

/// Admits as many of `tries` as it can; returns the permits, and why it stopped.
fn take_up_to(
    admission: &mut Admission<&'static str>,
    client: Client,
    now: &Now,
    tries: usize,
) -> (Vec<Permit<&'static str>>, Option<Refusal>) {
    let mut permits = Vec::new();
    for _ in 0..tries {
        match admission.admit("s", client, now) {
            Ok(permit) => permits.push(permit),
            Err(refusal) => return (permits, Some(refusal)),
        }
    }
    (permits, None)
}
