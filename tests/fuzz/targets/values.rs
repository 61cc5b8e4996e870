//! The small languages within a table: addresses, durations, rates, hours, lists of clients.

use super::table::loaded;
use oxinetd::config::parse_duration;
use oxinetd::table::{Client, Service, Table};
use std::fmt::Write;
use std::net::IpAddr;

/// What is listened on can be written, and means the same then.
pub(super) fn address(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Some(table) = service(&format!("listen = {}", quoted(text))) else {
        return;
    };
    for endpoint in &one(&table).endpoints {
        let written = endpoint.to_string();
        let again = service(&format!("listen = {}", quoted(&written)))
            .unwrap_or_else(|| panic!("{text:?} is {written:?}, which is nothing"));
        let found = &one(&again).endpoints;
        assert_eq!(found.len(), 1, "{text:?} is {written:?}");
        assert_eq!(
            (found[0].transport, &found[0].address),
            (endpoint.transport, &endpoint.address)
        );
    }
}

/// Days, hours, minutes and seconds in this order, some of them.
pub(super) fn duration(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let (mut rest, mut total, mut parts) = (text, 0u128, 0);
    for (unit, seconds) in [('d', 86400), ('h', 3600), ('m', 60), ('s', 1)] {
        let Some((digits, after)) = rest.split_once(unit) else {
            continue;
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let number = digits.bytes().fold(0u128, |number, digit| {
            (number * 10 + u128::from(digit - b'0')).min(1 << 80)
        });
        (rest, total, parts) = (after, total + number * seconds, parts + 1);
    }
    let expected = u64::try_from(total)
        .ok()
        .filter(|_| rest.is_empty() && parts > 0);
    let found = parse_duration(text).map(|duration| duration.as_secs());
    assert_eq!(found, expected, "{text:?}");
}

/// Times of the week can be written, and are the same then. Advice is right.
pub(super) fn hours(bytes: &[u8]) {
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let Some(text) = text(bytes) else { return };
    let key = |text: &str| format!("listen = 7\nhours = {}", quoted(text));
    let Some(table) = service_or_advice(text, &key) else {
        return;
    };
    let rules = &table.rules[one(&table).rules as usize];
    let spans = &rules.hours.as_ref().expect("hours").0;
    assert_eq!(spans.len(), 1);
    let mut written = String::new();
    let days = (0..7).filter(|day| spans[0].days & (1 << day) != 0);
    let days: Vec<&str> = days.map(|day| DAYS[day]).collect();
    let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let (from, to) = (time(spans[0].from), time(spans[0].to));
    write!(written, "{} {from}-{to}", days.join(",")).expect("a string");
    let again = service(&key(&written)).unwrap_or_else(|| panic!("{text:?} is {written:?}"));
    assert_eq!(again.rules, table.rules, "{text:?} is {written:?}");
}

/// There is one way to write a rate, so what it means gives back how it was written. Advice is right.
pub(super) fn rate(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let key = |text: &str| format!("listen = 7\nrate = {}", quoted(text));
    let Some(table) = service_or_advice(text, &key) else {
        return;
    };
    let found = table.rules[one(&table).rules as usize]
        .rate
        .expect("a rate");
    let numbers: Vec<u64> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let unit = text.split_once('/').expect("a rate").1.chars().next();
    let unit = unit.expect("a unit");
    let period: u64 = match unit {
        's' => 1_000_000_000,
        'm' => 60_000_000_000,
        'h' => 3_600_000_000_000,
        'd' => 86_400_000_000_000,
        _ => panic!("{text:?} has no unit"),
    };
    let (form, burst) = match numbers[..] {
        [count] => (
            format!("{count}/{unit}"),
            (1_000_000_000 / (period / count)).max(1),
        ),
        [count, burst] => (format!("{count}/{unit} burst {burst}"), burst),
        _ => panic!("{text:?} is taken"),
    };
    assert_eq!(form, text);
    assert_eq!(
        (found.interval, u64::from(found.burst)),
        (period / numbers[0], burst)
    );
}

/// An entry of `allow` means the addresses that begin as it does, and no other; the same entry in
/// `deny` denies them.
pub(super) fn access(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let lists = |list: &str| {
        let table = service(&format!("listen = 7\n{list} = {}", quoted(text)))?;
        Some((one(&table).rules, table))
    };
    let (Some((_, allow)), Some((_, deny))) = (lists("allow"), lists("deny")) else {
        return;
    };
    let mut clients: Vec<IpAddr> = ["127.0.0.1", "::1", "10.0.0.0", "255.255.255.255", "fe80::1"]
        .iter()
        .map(|text| text.parse().expect("an address"))
        .collect();
    let word = text.split('/').next().unwrap_or_default();
    clients.extend(word.parse::<IpAddr>().map(|ip| ip.to_canonical()));
    for ip in clients {
        let is_allowed = |table: &Table| table.acls[0].judge(Client::Ip(ip)).allowed;
        assert_ne!(is_allowed(&allow), is_allowed(&deny), "{text:?} and {ip}");
    }
}

/// A value is text without zero bytes, and not long.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= 512)
}

/// A table with one service of these keys, or nothing.
fn service(keys: &str) -> Option<Table> {
    let table = format!("[service.x]\ncommand = [\"/bin/sh\"]\nuser = \"root\"\n{keys}\n");
    loaded(&table).ok().map(|loaded| loaded.table)
}

/// The same; where there is none, what the advice says to write is a service.
fn service_or_advice(text: &str, key: &dyn Fn(&str) -> String) -> Option<Table> {
    let table = format!(
        "[service.x]\ncommand = [\"/bin/sh\"]\nuser = \"root\"\n{}\n",
        key(text)
    );
    let mistakes = match loaded(&table) {
        Ok(loaded) => return Some(loaded.table),
        Err(mistakes) => mistakes,
    };
    let advice = mistakes.0.iter().filter_map(|mistake| mistake.advice());
    let forms = advice.filter_map(|advice| advice.strip_prefix("write \"")?.strip_suffix('"'));
    // Two forms in one sentence, or a long one that was cut, are nobody's to type.
    for form in forms.filter(|form| !form.contains(['"', '\\', '…'])) {
        assert!(
            service(&key(form)).is_some(),
            "{text:?} is told to be {form:?}"
        );
    }
    None
}

fn one(table: &Table) -> &Service {
    let [service] = &table.services[..] else {
        panic!("{} services", table.services.len());
    };
    service
}

/// As a string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => write!(quoted, "\\u{:04x}", u32::from(c)).expect("a string"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
