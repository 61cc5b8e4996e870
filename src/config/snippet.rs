//! A line of a file and an underline below the place that is meant.
//!
//! Terminals differ in how they show tabs, control characters and wide characters, so those are
//! replaced or measured; a long line is cut around the place.

use std::ops::Range;

/// Columns before and after the start of the place that are shown of a long line.
const BEFORE: usize = 50;
const AFTER: usize = 70;

/// The line as it is shown, and the marks to be shown below it.
pub(super) fn render(line: &str, range: &Range<usize>) -> (String, String) {
    let (head, place, tail) = (
        &line[..range.start],
        &line[range.clone()],
        &line[range.end..],
    );
    let before = last_columns(head, BEFORE);
    let (place, place_is_cut) = first_columns(place, AFTER);
    let (after, after_is_cut) = first_columns(tail, AFTER.saturating_sub(width(&place)));
    let (before, dots) = match before.len() < head.len() {
        true => (before, "…"),
        false => (before, ""),
    };
    let before = shown(before);
    let end = if place_is_cut || after_is_cut {
        "…"
    } else {
        ""
    };
    let indent = width(&before) + dots.chars().count();
    let marks = " ".repeat(indent) + &"^".repeat(width(&place).max(1));
    (
        format!("{dots}{before}{place}{after}{end}")
            .trim_end()
            .to_owned(),
        marks,
    )
}

/// The end of the text that fits into so many columns.
fn last_columns(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let fits = text.char_indices().rev().take_while(|(_, c)| {
        used += character_width(*c);
        used <= columns
    });
    fits.last().map_or("", |(at, _)| &text[at..])
}

/// The beginning of the text that fits into so many columns, as it is shown; whether more follows.
fn first_columns(text: &str, columns: usize) -> (String, bool) {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += character_width(*c);
        used > columns
    });
    match end {
        Some((at, _)) => (shown(&text[..at]), true),
        None => (shown(text), false),
    }
}

/// The text without anything that would act on a terminal.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push_str("    "),
            c if c.is_control() || changes_direction(c) => shown.push('\u{FFFD}'),
            c => shown.push(c),
        }
    }
    shown
}

fn width(text: &str) -> usize {
    text.chars().map(character_width).sum()
}

/// Columns that a terminal gives a character: a rough measure, good enough to point with.
fn character_width(c: char) -> usize {
    match c {
        '\t' => 4,
        '\u{300}'..='\u{36F}' | '\u{200B}'..='\u{200D}' | '\u{FE00}'..='\u{FE0F}' => 0,
        '\u{1100}'..='\u{115F}'
        | '\u{2E80}'..='\u{A4CF}'
        | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE6F}'
        | '\u{FF00}'..='\u{FF60}'
        | '\u{1F300}'..='\u{1FAFF}'
        | '\u{20000}'..='\u{3FFFD}' => 2,
        _ => 1,
    }
}

/// Marks that let a text look like another one (Unicode's bidirectional controls).
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(line: &str, place: &str) -> (String, String) {
        let start = line.find(place).unwrap();
        render(line, &(start..start + place.len()))
    }

    #[test]
    fn marks_stand_below_the_place() {
        let expected = ("listen = 79x", "         ^^^");
        assert_eq!(
            rendered("listen = 79x", "79x"),
            (expected.0.into(), expected.1.into())
        );
    }

    #[test]
    fn an_empty_place_still_has_a_mark() {
        assert_eq!(render("ab", &(2..2)), ("ab".into(), "  ^".into()));
    }

    #[test]
    fn tabs_wide_and_control_characters_are_measured_as_shown() {
        let expected = ("    日本 \u{FFFD} x", "           ^");
        assert_eq!(
            rendered("\t日本 \u{1b} x", "x"),
            (expected.0.into(), expected.1.into())
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let (text, marks) = rendered(&line, "HERE");
        assert_eq!(text, format!("…{}HERE{}…", "a".repeat(50), "b".repeat(66)));
        assert_eq!(marks, format!("{}^^^^", " ".repeat(51)));
    }

    #[test]
    fn a_long_place_is_cut_too() {
        let (text, marks) = rendered(&"x".repeat(1000), &"x".repeat(1000));
        assert_eq!((text.chars().count(), marks.len()), (71, 70));
    }
}
