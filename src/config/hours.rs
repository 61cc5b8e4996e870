//! The form of `hours`: `mon-fri 08:00-18:00`, `22:00-06:00`.

use super::mistake::{Located, Mistake, Mistakes, all};
use super::reader::Node;
use super::words::quoted;
use crate::table::{Hours, Span};

const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const EVERY_DAY: u8 = 0b111_1111;
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Reads one span, or an array of them.
pub(super) fn read(node: Node) -> Result<Hours, Mistakes> {
    let elements = node.one_or_more();
    if elements.is_empty() {
        let mistake = Mistake::new("hours is empty: the service would never be open");
        return Err(mistake
            .at(&node.place())
            .help("leave it out for always; against [defaults] write \"00:00-24:00\"")
            .into());
    }
    let spans = elements
        .into_iter()
        .map(|node| span(&node.string()?).map_err(Mistakes::from));
    all(spans).map(Hours)
}

fn span(text: &Located<String>) -> Result<Span, Mistake> {
    parse(&text.value).ok_or_else(|| {
        Mistake::new(format!("{} is not a time of the week", quoted(&text.value)))
            .at(&text.place)
            .help(advice(&text.value))
    })
}

fn parse(text: &str) -> Option<Span> {
    let (days, times) = match text.split_once(' ') {
        Some((days, times)) => (self::days(days)?, times),
        None => (EVERY_DAY, text),
    };
    let (from, to) = times.split_once('-')?;
    let (from, to) = (time(from)?, time(to)?);
    let to = if to == 0 && from > 0 { DAY } else { to };
    (from < DAY && from != to).then_some(Span { days, from, to })
}

/// `sat,sun` or `mon-fri`; `fri-mon` goes over the end of the week.
fn days(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |set, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        let range = (0..=length).map(|n| 1 << ((first + n) % 7));
        Some(range.fold(set, |set: u8, day: u8| set | day))
    })
}

fn day(name: &str) -> Option<usize> {
    DAYS.iter().position(|day| *day == name)
}

/// Minutes after midnight of `HH:MM`; 24:00 is the end of the day.
fn time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most: u16| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|number| is_plain && *number <= most)
    };
    let minutes = number(hour, 24)? * 60 + number(minute, 59)?;
    Some(minutes).filter(|minutes| *minutes <= DAY)
}

fn advice(text: &str) -> String {
    let form = straightened(text);
    let words: Vec<&str> = form.split(' ').filter(|word| !word.is_empty()).collect();
    let (days, times): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| self::days(word).is_some());
    let days = days.join(",");
    let complete = |times: &str| format!("{days} {times}").trim_start().to_owned();
    let meant: Vec<String> = match times.as_slice() {
        [] => vec![complete("00:00-24:00")],
        times => times.iter().map(|times| complete(times)).collect(),
    };
    let is_empty = |times: &&str| times.split_once('-').is_some_and(|(from, to)| from == to);
    if let [times] = times.as_slice() {
        if is_empty(times) && time(&times[..times.len() / 2]).is_some() {
            return format!(
                "it ends when it begins; for the whole day write {}",
                quoted(&complete("00:00-24:00"))
            );
        }
    }
    if words.is_empty() || meant.iter().any(|form| parse(form).is_none()) {
        return "write days of the week, where not all are meant, and two times by the clock of 24 hours: \
                \"mon-fri 08:00-18:00\", \"sat,sun 10:00-12:00\" or \"22:00-06:00\""
            .to_owned();
    }
    let quoted: Vec<String> = meant.iter().map(|form| quoted(form)).collect();
    match quoted.as_slice() {
        [one] => format!("write {one}"),
        several => format!(
            "write each as a string of its own: [{}]",
            several.join(", ")
        ),
    }
}

/// Small letters, days by three of them, two digits for an hour, plain dashes without spaces.
fn straightened(text: &str) -> String {
    let text = text.to_lowercase().replace(['–', '—', '−'], "-");
    let text = text
        .replace(" - ", "-")
        .replace(", ", ",")
        .replace(';', " ");
    let mut form = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let is_same = |c: char| match first {
            'a'..='z' => c.is_ascii_lowercase(),
            '0'..='9' => c.is_ascii_digit(),
            _ => false,
        };
        let end = rest.find(|c| !is_same(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end.max(first.len_utf8()));
        match first {
            'a'..='z' => form.push_str(short_day(run)),
            '0'..='9' if run.len() == 1 && !form.ends_with(':') => {
                form.push_str(&format!("0{run}"))
            }
            _ => form.push_str(run),
        }
        rest = after;
    }
    form
}

/// `mon` of `mondays`; other words stay.
fn short_day(word: &str) -> &str {
    const LONG: [&str; 7] = [
        "sunday",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
    ];
    let single = word.strip_suffix('s').unwrap_or(word);
    let is_it = |long: &&str| single.len() >= 3 && long.starts_with(single);
    LONG.iter()
        .find(|long| is_it(long))
        .map_or(word, |_| &word[..3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(days: u8, from: u16, to: u16) -> Option<Span> {
        Some(Span { days, from, to })
    }

    #[test]
    fn spans_are_days_and_times() {
        let spans = [
            ("mon-fri 08:00-18:00", span(0b011_1110, 480, 1080)),
            ("22:00-06:00", span(EVERY_DAY, 1320, 360)),
            ("sat,sun 10:00-12:00", span(0b100_0001, 600, 720)),
            ("fri-mon 00:00-24:00", span(0b110_0011, 0, 1440)),
            ("mon,wed-thu 22:00-00:00", span(0b001_1010, 1320, 1440)),
            ("sun-sat 00:00-00:01", span(EVERY_DAY, 0, 1)),
        ];
        for (text, expected) in spans {
            assert_eq!(parse(text), expected, "{text}");
        }
        for text in [
            "",
            "mon",
            "mon ",
            "08:00",
            "8:00-18:00",
            "08:00-18:60",
            "24:00-06:00",
            "00:00-24:01",
            "08:00-08:00",
            "00:00-00:00",
            "mon 08:00 - 18:00",
            " 08:00-18:00",
            "mon-fri  08:00-18:00",
            "Mon 08:00-18:00",
            "mon, 08:00-18:00",
            "08:00-18:00 mon",
            "+8:00-18:00",
            "mon-tue-wed 08:00-18:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_meant_is_said() {
        let known = [
            ("8:00-18:00", "write \"08:00-18:00\""),
            (
                "2:00-8:59 12:00-23:59",
                "write each as a string of its own: [\"02:00-08:59\", \"12:00-23:59\"]",
            ),
            ("Monday-Friday 8:00–18:00", "write \"mon-fri 08:00-18:00\""),
            ("08:00 - 18:00", "write \"08:00-18:00\""),
            ("08:00-18:00 sat, sun", "write \"sat,sun 08:00-18:00\""),
            ("mon-fri", "write \"mon-fri 00:00-24:00\""),
            (
                "mon 08:00-08:00",
                "it ends when it begins; for the whole day write \"mon 00:00-24:00\"",
            ),
        ];
        for (text, expected) in known {
            assert_eq!(advice(text), expected, "{text}");
        }
        for text in [
            "",
            "always",
            "08:00",
            "25:00-26:00",
            "8am-6pm",
            "08:00-18:00 UTC",
        ] {
            assert!(
                advice(text).starts_with("write days of the week"),
                "{text}: {}",
                advice(text)
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_makes_it_panic(text in "[a-zA-Z0-9:, –-]{0,30}|\\PC{0,16}") {
            let _ = (parse(&text), advice(&text));
        }

        #[test]
        fn what_is_proposed_is_right(text in "((mon|Fri|sundays)[-, ]){0,2}[0-9]{1,2}:[0-9]{2} ?- ?[0-9]{1,2}:[0-9]{2}") {
            let advice = advice(&text);
            if let Some(form) = advice.strip_prefix("write \"").and_then(|rest| rest.split('"').next()) {
                prop_assert!(parse(form).is_some(), "{advice}");
            }
        }

        #[test]
        fn every_span_can_be_written(days in 1..=EVERY_DAY, from in 0..DAY, to in 1..=DAY) {
            prop_assume!(from != to);
            let names: Vec<&str> = (0..7).filter(|day| days & (1 << day) != 0).map(|day| DAYS[day]).collect();
            let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            let text = format!("{} {}-{}", names.join(","), clock(from), clock(to));
            prop_assert_eq!(parse(&text), span(days, from, to));
        }
    }
}
