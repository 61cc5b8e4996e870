//! Lines and words: comments, continuation, quotes, and the marks of update-inetd.

use super::Dialect;
use std::ops::Range;

/// A word, without its quotes, and where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// An entry: the words of a line and those that continue it. Never empty.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) words: Vec<Word>,
    pub(super) enabled: bool,
    /// Where a quote was opened that nothing closes.
    pub(super) open_quote: Option<usize>,
    /// Where the first line begins, mark included.
    start: usize,
}

impl Entry {
    /// From the first word to the last.
    pub(super) fn range(&self) -> Range<usize> {
        let last = self.words.last().map_or(self.start, |word| word.span.end);
        self.words.first().map_or(last, |word| word.span.start)..last
    }

    /// The same, with the mark that switches it off.
    pub(super) fn marked_range(&self) -> Range<usize> {
        self.start..self.range().end
    }
}

/// A part of the text.
#[derive(Debug)]
pub(super) enum Piece {
    /// A comment or an empty line, without its end.
    Comment(Range<usize>),
    Entry(Entry),
}

/// What update-inetd writes before a line that it switches off.
const OFF: &str = "#<off>#";

/// The parts of a text, in order.
pub(super) fn pieces(text: &str, dialect: Dialect) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut start = 0;
    for full in text.split_inclusive('\n') {
        let line = full.trim_end_matches(['\n', '\r']);
        let range = start..start + line.len();
        start += full.len();
        let is_blank = line.trim_matches([' ', '\t']).is_empty();
        let continued = match pieces.last_mut() {
            Some(Piece::Entry(entry)) if line.starts_with([' ', '\t']) && !is_blank => {
                Some(entry).filter(|entry| dialect.continues_lines() && entry.enabled)
            }
            _ => None,
        };
        if let Some(entry) = continued {
            split(line, range.start, dialect, entry);
            continue;
        }
        let (enabled, body) = match line.strip_prefix('#') {
            None => (true, line),
            Some(_) => (
                false,
                line.strip_prefix(OFF)
                    .unwrap_or_else(|| line.trim_start_matches('#')),
            ),
        };
        let is_entry = enabled || line.starts_with(OFF) || is_like_an_entry(body);
        if is_blank || body.trim_start().is_empty() || !is_entry {
            pieces.push(Piece::Comment(range));
            continue;
        }
        let mut entry = Entry {
            words: Vec::new(),
            enabled,
            open_quote: None,
            start: range.start,
        };
        split(body, range.end - body.len(), dialect, &mut entry);
        pieces.push(Piece::Entry(entry));
    }
    pieces
}

/// Whether a comment is a line that somebody has switched off.
fn is_like_an_entry(text: &str) -> bool {
    let words: Vec<&str> = text
        .split([' ', '\t'])
        .filter(|word| !word.is_empty())
        .collect();
    let [
        _,
        "stream" | "dgram" | "seqpacket",
        protocol,
        wait,
        _,
        program,
        ..,
    ] = words.as_slice()
    else {
        return false;
    };
    let is_protocol = ["tcp", "udp", "unix"]
        .iter()
        .any(|known| protocol.starts_with(known));
    let is_wait = wait.starts_with("wait") || wait.starts_with("nowait");
    is_protocol && is_wait && (program.starts_with('/') || *program == "internal")
}

/// Adds the words of a line that begins at `offset`.
fn split(line: &str, offset: usize, dialect: Dialect, entry: &mut Entry) {
    let mut chars = line.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c == ' ' || c == '\t' {
            continue;
        }
        let (mut text, mut end) = (String::new(), start + c.len_utf8());
        let mut next = Some((start, c));
        let mut quote = None;
        while let Some((at, c)) = next {
            end = at + c.len_utf8();
            match quote {
                Some((mark, _)) if c == mark => quote = None,
                None if dialect.has_quotes() && (c == '"' || c == '\'') => {
                    quote = Some((c, offset + at));
                }
                _ => text.push(c),
            }
            next = match chars.peek() {
                Some((_, ' ' | '\t')) if quote.is_none() => None,
                _ => chars.next(),
            };
        }
        entry.open_quote = entry.open_quote.or(quote.map(|(_, at)| at));
        let span = offset + start..offset + end;
        entry.words.push(Word { text, span });
    }
}
