//! A file with entries of `allow`, `deny` or `exempt`, one a line.

use super::mistake::{Mistake, Place};
use super::source::Source;
use super::who::{parse, who};
use super::who_meant::several;
use super::words::quoted;
use crate::table::Who;
use std::ops::Range;
use std::sync::Arc;

/// Entries that a file may have.
const MOST: usize = 2_000_000;

/// Lines of a file that are shown when they are wrong.
const SHOWN: usize = 20;

/// A list, with the line of each entry, from 1.
#[derive(Debug)]
pub(super) struct List {
    pub(super) source: Arc<Source>,
    pub(super) entries: Vec<(Who, u32)>,
}

/// Reads a file's text, and says what is wrong with it.
pub(super) fn read(source: &Arc<Source>) -> (List, Vec<Mistake>) {
    let text = source.text();
    let mut entries = Vec::new();
    let mut wrong: Vec<Range<usize>> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let entry = line.split('#').next().unwrap_or_default().trim();
        match parse(entry) {
            Some(who) => entries.push((who, number)),
            None if entry.is_empty() => {}
            None => wrong.push(span(text, entry)),
        }
    }
    let mut mistakes = mistakes(source, &wrong);
    if entries.len() > MOST {
        let message = format!("this list has more than {MOST} entries");
        let mistake = Mistake::new(message).at(&Place::File(source.clone()));
        mistakes
            .push(mistake.help("join neighbours to larger prefixes, or leave it to a firewall"));
    }
    let source = source.clone();
    (List { source, entries }, mistakes)
}

/// Where a part of the text is.
fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

fn mistakes(source: &Arc<Source>, wrong: &[Range<usize>]) -> Vec<Mistake> {
    let place = |span: &Range<usize>| Place::Text(source.clone(), span.clone());
    let shown = wrong.iter().take(SHOWN);
    let mut mistakes: Vec<Mistake> = shown
        .map(|span| explain(&source.text()[span.clone()]).at(&place(span)))
        .collect();
    if let Some(first) = wrong.get(SHOWN) {
        let message = match wrong.len() - SHOWN - 1 {
            0 => "this line is wrong too".to_owned(),
            more => format!("this line and {more} more are wrong too"),
        };
        mistakes.push(Mistake::new(message).at(&place(first)));
    }
    mistakes
}

fn explain(entry: &str) -> Mistake {
    let is_bare = |c: char| !matches!(c, '"' | '\'' | ',' | '[' | ']');
    let bare: String = entry.chars().filter(|c| is_bare(*c)).collect();
    match entry.split_once(';') {
        _ if entry.starts_with('@') => Mistake::new("a list cannot name another file")
            .help("name both where this one is named: [\"@/FILE\", \"@/OTHER\"]"),
        Some((first, _)) if parse(first.trim()).is_some() || first.is_empty() => {
            Mistake::new("a comment begins with #").help("put # in place of ;")
        }
        _ if entry.contains(['"', '\'']) && parse(bare.trim()).is_some() => {
            Mistake::new(format!("{} is not an address", quoted(entry)))
                .help(format!("write it bare, one a line: {}", bare.trim()))
        }
        _ => match who(entry) {
            Err(mistake) => match several(&mistake) {
                Some(entries) => {
                    let help = format!("write each on a line of its own: {}", entries.join(" "));
                    mistake.help(help)
                }
                None => mistake,
            },
            Ok(_) => Mistake::new(format!("{} is not an address", quoted(entry))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::who::shown;
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> (Vec<(String, u32)>, Vec<Mistake>) {
        let (list, mistakes) = read(&Arc::new(Source::new("l".into(), text.into(), 0)));
        let entries = list.entries.into_iter();
        (
            entries.map(|(who, line)| (shown(who), line)).collect(),
            mistakes,
        )
    }

    #[test]
    fn entries_know_their_lines() {
        let text = "# friends\n192.0.2.1\n\n  2001:db8::/32\t# ours\r\nuid:7\nunix";
        let (entries, mistakes) = list(text);
        let expected = [
            ("192.0.2.1", 2),
            ("2001:db8::/32", 4),
            ("uid:7", 5),
            ("unix", 6),
        ];
        assert_eq!(
            entries,
            expected.map(|(text, line)| (text.to_owned(), line))
        );
        assert!(mistakes.is_empty());
    }

    #[test]
    fn wrong_lines_are_shown_up_to_a_point_and_then_counted() {
        let (entries, mistakes) = list(&"host.example\n192.0.2.1\n".repeat(30));
        assert_eq!((entries.len(), mistakes.len()), (30, 21));
        assert_eq!(
            mistakes[19].to_string().lines().next(),
            Some("l:39:1: \"host.example\" is a name, and only addresses are compared")
        );
        assert_eq!(
            mistakes[20].to_string(),
            "l:41:1: this line and 9 more are wrong too\n   41 | host.example\n      | ^^^^^^^^^^^^"
        );
    }

    #[test]
    fn a_hundred_thousand_lines_are_read() {
        let line = |n: u32| format!("10.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255);
        let (entries, mistakes) = list(&(0..100_000).map(line).collect::<String>());
        assert_eq!((entries.len(), mistakes.len()), (100_000, 0));
        assert_eq!(entries[99_999], ("10.1.134.159".to_owned(), 100_000));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_line_is_an_entry_or_wrong_or_says_nothing(text in "([0-9./:# ;\"@a-f\r]{0,12}\n){0,40}|\\PC{0,60}") {
            let (entries, mistakes) = list(&text);
            let says = |line: &&str| !line.split('#').next().unwrap_or_default().trim().is_empty();
            let wrong = text.lines().filter(says).count() - entries.len();
            prop_assert_eq!(mistakes.len(), wrong.min(SHOWN + 1));
        }
    }
}
