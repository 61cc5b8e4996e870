//! A file's text, and where in it something is.
//!
//! Offsets are bytes of the text; what people see are lines and columns counted from 1, a column
//! being a character. Nothing here can fail: an offset past the end is the end.

use std::ops::Range;
use std::sync::OnceLock;

/// A file that was read.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    order: u32,
    /// Where each line begins; made when the first place is asked for.
    lines: OnceLock<Vec<usize>>,
}

/// A place as people see it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spot<'s> {
    /// Line, from 1.
    pub(super) line: usize,
    /// Column in characters, from 1.
    pub(super) column: usize,
    /// The whole line, without its end.
    pub(super) text: &'s str,
    /// The place within that line, in bytes.
    pub(super) range: Range<usize>,
}

impl Source {
    /// `order` is the file's rank when mistakes are sorted.
    pub fn new(name: String, text: String, order: u32) -> Source {
        Source {
            name,
            text,
            order,
            lines: OnceLock::new(),
        }
    }

    /// The path, as the administrator wrote it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn order(&self) -> u32 {
        self.order
    }

    /// Line and column of a span. One that goes over several lines ends with its first.
    pub(super) fn spot(&self, span: &Range<usize>) -> Spot<'_> {
        let start = self.boundary(span.start);
        let line = self.line_of(start);
        let begin = self.lines()[line];
        let rest = &self.text[begin..];
        let text = rest.split('\n').next().unwrap_or_default();
        let text = text.strip_suffix('\r').unwrap_or(text);
        let from = (start - begin).min(text.len());
        let to = self
            .boundary(span.end)
            .saturating_sub(begin)
            .clamp(from, text.len());
        Spot {
            line: line + 1,
            column: text[..from].chars().count() + 1,
            text,
            range: from..to,
        }
    }

    /// Number of the line that holds this offset, from 0.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.lines().partition_point(|begin| *begin <= offset) - 1
    }

    /// The line's bytes in the text, its end not included.
    pub(super) fn line_range(&self, line: usize) -> Range<usize> {
        let lines = self.lines();
        let end = lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        lines[line]..end
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let ends = self
                .text
                .bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0)
                .chain(ends.map(|(at, _)| at + 1))
                .collect()
        })
    }

    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(text: &str, span: Range<usize>) -> (usize, usize, String, Range<usize>) {
        let source = Source::new("x".into(), text.into(), 0);
        let spot = source.spot(&span);
        (spot.line, spot.column, spot.text.into(), spot.range)
    }

    #[test]
    fn columns_are_characters() {
        assert_eq!(spot("a\nä = b\n", 7..8), (2, 5, "ä = b".into(), 5..6));
    }

    #[test]
    fn a_line_ends_before_its_carriage_return() {
        assert_eq!(spot("ab\r\ncd\r\n", 1..9), (1, 2, "ab".into(), 1..2));
    }

    #[test]
    fn the_end_of_the_file_is_a_place() {
        assert_eq!(spot("", 0..0), (1, 1, "".into(), 0..0));
        assert_eq!(spot("ab\n", 99..99), (2, 1, "".into(), 0..0));
        assert_eq!(spot("ab", 2..2), (1, 3, "ab".into(), 2..2));
    }

    #[test]
    fn an_offset_inside_a_character_is_its_start() {
        assert_eq!(spot("ä", 1..1), (1, 1, "ä".into(), 0..0));
    }
}
