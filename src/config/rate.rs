//! The form of `rate` and `rate_per_source`: `50/s`, `10/m burst 20`.

use super::mistake::{Located, Mistake, Mistakes};
use super::reader::Node;
use super::words::quoted;
use crate::table::Rate;
use std::time::Duration;

/// The largest count and burst.
const MOST: u32 = 1_000_000;

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)];

/// Reads a rate; a bare number is asked for its time.
pub(super) fn read(node: Node) -> Result<Rate, Mistakes> {
    match node.as_integer() {
        Some(count) => Err(wrong(&Located::new(count.to_string(), node.place()))),
        None => text(&node.string()?),
    }
}

/// A rate that was written as text.
pub(super) fn text(text: &Located<String>) -> Result<Rate, Mistakes> {
    parse(&text.value).ok_or_else(|| wrong(text))
}

fn parse(text: &str) -> Option<Rate> {
    let (rate, burst) = match text.split_once(" burst ") {
        Some((rate, burst)) => (rate, Some(number(burst)?)),
        None => (text, None),
    };
    let (count, unit) = rate.split_once('/')?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Rate::new(
        number(count)?,
        Duration::from_secs(*seconds),
        burst,
    ))
}

fn number(text: &str) -> Option<u32> {
    let is_plain = !text.starts_with(['0', '+']);
    text.parse()
        .ok()
        .filter(|number| is_plain && *number <= MOST)
}

fn wrong(text: &Located<String>) -> Mistakes {
    let mistake = Mistake::new(format!("{} is not a rate", quoted(&text.value))).at(&text.place);
    mistake.help(advice(&text.value)).into()
}

fn advice(text: &str) -> String {
    let numbers = numbers(text);
    if numbers.iter().any(|number| *number > u64::from(MOST)) {
        return format!("a rate has numbers up to {MOST}");
    }
    if numbers.contains(&0) && !text.contains('.') {
        let off = "a rate is 1 or more; to switch a service off, write: enabled = false";
        return off.to_owned();
    }
    let is_cps = text.split_whitespace().count() == 2 && numbers.len() == 2;
    match meant(text, &numbers) {
        Some(form) if is_cps && !text.contains('/') => {
            format!(
                "write {form}: there is no time of rest, clients come in as soon as the rate allows"
            )
        }
        Some(form) => format!("write {form}"),
        None => "write so many in a second, minute, hour or day, \"50/s\", \"10/m\", \"100/h\" or \
                 \"1000/d\", and how many at once after a rest: \"50/s burst 200\""
            .to_owned(),
    }
}

/// What was probably meant; several where that is not clear.
fn meant(text: &str, numbers: &[u64]) -> Option<String> {
    let count = numbers.first().filter(|_| !text.contains(['.', '-']))?;
    let words: Vec<String> = words(text);
    let unit = words.iter().find_map(|word| unit(word));
    let burst = match numbers {
        [_, burst] if words.iter().any(|word| word == "burst") => format!(" burst {burst}"),
        [_] if !words.iter().any(|word| word == "burst") => String::new(),
        [_, _] if words.is_empty() && !text.contains('/') => String::new(),
        _ => return None,
    };
    let form = |unit: &str| {
        let form = format!("{count}/{unit}{burst}");
        parse(&form).map(|_| quoted(&form))
    };
    match (unit, words.len()) {
        (Some(unit), _) => form(unit),
        (None, 0) if numbers.len() == 1 => Some(format!("{} or {}", form("s")?, form("m")?)),
        (None, 0) => form("s"),
        (None, _) => None,
    }
}

fn unit(word: &str) -> Option<&'static str> {
    const WORDS: [(&str, &[&str]); 4] = [
        ("s", &["s", "sec", "secs", "second", "seconds"]),
        ("m", &["m", "min", "mins", "minute", "minutes"]),
        ("h", &["h", "hr", "hour", "hours"]),
        ("d", &["d", "day", "days"]),
    ];
    let mut units = WORDS.iter();
    units
        .find(|(_, words)| words.contains(&word))
        .map(|(unit, _)| *unit)
}

fn numbers(text: &str) -> Vec<u64> {
    let runs = text.split(|c: char| !c.is_ascii_digit());
    runs.filter(|run| !run.is_empty())
        .map(|run| run.parse().unwrap_or(u64::MAX))
        .collect()
}

fn words(text: &str) -> Vec<String> {
    let runs = text.split(|c: char| !c.is_ascii_alphabetic());
    runs.filter(|run| !run.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_are_counts_in_a_time() {
        let rates = [
            ("50/s", 20_000_000, 50),
            ("50/s burst 200", 20_000_000, 200),
            ("10/m", 6_000_000_000, 1),
            ("100/h burst 5", 36_000_000_000, 5),
            ("1000/d", 86_400_000_000, 1),
            ("1000000/s", 1000, 1_000_000),
        ];
        for (text, interval, burst) in rates {
            assert_eq!(parse(text), Some(Rate { interval, burst }), "{text}");
        }
        for text in [
            "",
            "50",
            "/s",
            "0/s",
            "05/s",
            "+5/s",
            "-5/s",
            "1000001/s",
            "50/S",
            "50 /s",
            "50/s burst",
            "50/s burst 0",
            "50/s burst 1 ",
            "50/s  burst 1",
            "50/s burst 1 burst 2",
            "0.5/s",
            "50/2s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_meant_is_said() {
        let known = [
            ("50", "write \"50/s\" or \"50/m\""),
            (
                "50 10",
                "write \"50/s\": there is no time of rest, clients come in as soon as the rate allows",
            ),
            ("50 per second", "write \"50/s\""),
            ("10/min", "write \"10/m\""),
            ("10 / hour", "write \"10/h\""),
            ("50/s,burst=200", "write \"50/s burst 200\""),
            ("50/s burst 200/s", "write \"50/s burst 200\""),
            (
                "0/s",
                "a rate is 1 or more; to switch a service off, write: enabled = false",
            ),
            ("9999999/s", "a rate has numbers up to 1000000"),
        ];
        for (text, expected) in known {
            assert_eq!(advice(text), expected, "{text}");
        }
        for text in [
            "",
            "many",
            "0.5/s",
            "-5/s",
            "50/30s",
            "1 2 3",
            "50/fortnight",
        ] {
            assert!(
                advice(text).starts_with("write so many in a second"),
                "{text}: {}",
                advice(text)
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-z/ .+=-]{0,24}|\\PC{0,12}") {
            let _ = (parse(&text), advice(&text));
        }

        #[test]
        fn what_is_proposed_is_right(text in "[0-9]{1,7} ?(/|per|) ?(s|sec|minute|day|)( burst ?=?[0-9]{0,4})?") {
            let advice = advice(&text);
            if let Some(form) = advice.strip_prefix("write \"").and_then(|rest| rest.split('"').next()) {
                prop_assert!(parse(form).is_some(), "{advice}");
            }
        }

        #[test]
        fn every_rate_can_be_written(count in 1..=MOST, unit in 0..4usize, burst in prop::option::of(1..=MOST)) {
            let (name, seconds) = UNITS[unit];
            let burst_text = burst.map(|burst| format!(" burst {burst}")).unwrap_or_default();
            let expected = Rate::new(count, Duration::from_secs(seconds), burst);
            prop_assert_eq!(parse(&format!("{count}/{name}{burst_text}")), Some(expected));
        }
    }
}
