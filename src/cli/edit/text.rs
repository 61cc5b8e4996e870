//! A text and changes to it: everything outside them stays byte for byte.

use std::ops::Range;

/// One change: these bytes become that text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// Where.
    pub(super) range: Range<usize>,
    /// What is there afterwards.
    pub(super) with: String,
}

impl Edit {
    /// Takes this out.
    pub(super) fn remove(range: Range<usize>) -> Edit {
        Edit {
            range,
            with: String::new(),
        }
    }

    /// Puts this in.
    pub(super) fn insert(at: usize, with: String) -> Edit {
        Edit {
            range: at..at,
            with,
        }
    }
}

/// The text with all changes made; they do not overlap.
pub(super) fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for edit in sorted(edits) {
        out += &text[done..edit.range.start];
        out += &edit.with;
        done = edit.range.end;
    }
    out + &text[done..]
}

fn sorted(edits: &[Edit]) -> Vec<&Edit> {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| edit.range.start);
    edits
}

/// How lines end here: as most do.
pub(super) fn line_end(text: &str) -> &'static str {
    let with_return = text.matches("\r\n").count();
    match with_return * 2 > text.matches('\n').count() {
        true => "\r\n",
        false => "\n",
    }
}

/// The lines that these bytes are on, with their ends.
pub(super) fn whole_lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = text[..range.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    // A range that ends with a line does not touch the next.
    if range.end > start && text[..range.end].ends_with('\n') {
        return start..range.end;
    }
    let end = text[range.end..]
        .find('\n')
        .map_or(text.len(), |newline| range.end + newline + 1);
    start..end
}

/// Lines that a change takes out and puts in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    /// Number of the first line, from 1, before the change.
    pub(super) line: usize,
    /// Lines that were there, without their ends.
    pub(super) removed: Vec<String>,
    /// Lines that are there afterwards.
    pub(super) added: Vec<String>,
}

impl Hunk {
    /// The line with the first change that is more than a blank line.
    pub(super) fn first_line_of_text(&self) -> usize {
        let lines = match self.added.is_empty() {
            true => &self.removed,
            false => &self.added,
        };
        let blank = lines.iter().take_while(|line| line.trim().is_empty());
        self.line + blank.count()
    }
}

/// What changes in whole lines, in the order of the text.
pub(super) fn hunks(text: &str, edits: &[Edit]) -> Vec<Hunk> {
    let mut groups: Vec<(Range<usize>, Vec<Edit>)> = Vec::new();
    for edit in sorted(edits) {
        let lines = touched_lines(text, edit);
        match groups
            .last_mut()
            .filter(|(range, _)| lines.start < range.end)
        {
            Some((range, group)) => {
                range.end = range.end.max(lines.end);
                group.push(edit.clone());
            }
            None => groups.push((lines, vec![edit.clone()])),
        }
    }
    groups
        .iter()
        .map(|(lines, group)| hunk(text, lines, group))
        .collect()
}

/// An insertion of whole lines between two lines touches neither.
fn touched_lines(text: &str, edit: &Edit) -> Range<usize> {
    let at = edit.range.start;
    let is_line_start = at == 0 || text[..at].ends_with('\n');
    match edit.range.is_empty() && is_line_start && edit.with.ends_with('\n') {
        true => at..at,
        false => whole_lines(text, &edit.range),
    }
}

fn hunk(text: &str, lines: &Range<usize>, edits: &[Edit]) -> Hunk {
    let inside: Vec<Edit> = edits
        .iter()
        .map(|edit| Edit {
            range: edit.range.start - lines.start..edit.range.end - lines.start,
            with: edit.with.clone(),
        })
        .collect();
    let old = &text[lines.clone()];
    let new = apply(old, &inside);
    let (mut removed, mut added): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = removed
        .iter()
        .zip(&added)
        .take_while(|(a, b)| a == b)
        .count();
    removed.drain(..same);
    added.drain(..same);
    while !removed.is_empty() && removed.last() == added.last() {
        removed.pop();
        added.pop();
    }
    let owned = |lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect();
    Hunk {
        line: text[..lines.start].matches('\n').count() + 1 + same,
        removed: owned(removed),
        added: owned(added),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_made_in_the_order_of_the_text() {
        let edits = [Edit::insert(3, "x".into()), Edit::remove(0..1)];
        assert_eq!(apply("abcd", &edits), "bcxd");
    }

    #[test]
    fn lines_end_as_most_do() {
        assert_eq!(line_end("a\r\nb\r\nc\n"), "\r\n");
        assert_eq!(line_end("a\r\nb\n"), "\n");
        assert_eq!(line_end(""), "\n");
    }

    #[test]
    fn bytes_are_on_lines() {
        let text = "ab\ncd\nef";
        assert_eq!(whole_lines(text, &(4..4)), 3..6);
        assert_eq!(whole_lines(text, &(1..4)), 0..6);
        assert_eq!(whole_lines(text, &(3..6)), 3..6);
        assert_eq!(whole_lines(text, &(7..8)), 6..8);
    }

    #[test]
    fn hunks_are_whole_lines() {
        let hunk = |line, removed: &[&str], added: &[&str]| Hunk {
            line,
            removed: removed.iter().map(|line| (*line).to_owned()).collect(),
            added: added.iter().map(|line| (*line).to_owned()).collect(),
        };
        let text = "a = 1\nb = 2\r\nc";
        assert_eq!(
            hunks(text, &[Edit::insert(6, "x\n".into())]),
            [hunk(2, &[], &["x"])]
        );
        assert_eq!(
            hunks(text, &[Edit::remove(6..13)]),
            [hunk(2, &["b = 2"], &[])]
        );
        assert_eq!(
            hunks(text, &[Edit::insert(14, "\n\nd\n".into())]),
            [hunk(4, &[], &["", "d"])]
        );
        let both = [
            Edit::remove(4..5),
            Edit::insert(4, "5".into()),
            Edit::remove(13..14),
        ];
        assert_eq!(hunks(text, &both[..1]), [hunk(1, &["a = 1"], &["a = "])]);
        assert_eq!(hunks(text, &[both[0].clone(), both[2].clone()]).len(), 2);
    }
}
