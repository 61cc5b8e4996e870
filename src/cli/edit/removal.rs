//! Taking a service out of a text, with the comments that are about it.
//!
//! Comments right above its header (or keys) go with it, and those between its keys. What stands
//! below its last key may be about anything, and stays. One blank line stays between neighbours.

use super::outline::Statement;
use super::text::Edit;
use std::ops::Range;

/// The changes that take out everything of this path.
pub(super) fn remove(text: &str, outline: &[Statement], path: &[&str]) -> Vec<Edit> {
    let mut lines = Lines::new(text, outline);
    let mut edits = Vec::new();
    let mut at = 0;
    while at < outline.len() {
        let statement = &outline[at];
        let mut last = at;
        if statement.is_below(path) {
            if statement.value.is_none() {
                last += outline[at + 1..]
                    .iter()
                    .take_while(|next| next.value.is_some())
                    .count();
            }
            lines.take_out(statement, &outline[last]);
        } else if statement.is_above(path) {
            entries(statement, path, &mut edits);
        }
        at = last + 1;
    }
    edits.extend(lines.edits());
    edits
}

/// The changes that take entries of this path out of an inline table, and out of those inside it.
pub(super) fn entries(table: &Statement, path: &[&str], edits: &mut Vec<Edit>) {
    let inside = table.entries();
    let goes: Vec<bool> = inside.iter().map(|entry| entry.is_below(path)).collect();
    for (entry, _) in inside.iter().zip(&goes).filter(|(_, goes)| !**goes) {
        if entry.is_above(path) {
            entries(entry, path, edits);
        }
    }
    if goes.iter().all(|goes| *goes) {
        let Some(value) = table.value.as_ref().filter(|_| !inside.is_empty()) else {
            return;
        };
        return edits.push(Edit::remove(value.span.start + 1..value.span.end - 1));
    }
    let stays = |at: &usize| !goes[*at];
    for at in (0..inside.len()).filter(|at| goes[*at]) {
        // The comma in front goes too, or the one behind where nothing stays in front.
        let range = match (0..at).rev().find(stays) {
            Some(_) => inside[at - 1].span.end..inside[at].span.end,
            None => inside[at].span.start..inside[at + 1].span.start,
        };
        edits.push(Edit::remove(range));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Comment,
    Code,
}

/// The lines of a text, and which of them go.
struct Lines {
    spans: Vec<Range<usize>>,
    kinds: Vec<Kind>,
    goes: Vec<bool>,
}

impl Lines {
    fn new(text: &str, outline: &[Statement]) -> Lines {
        let mut spans = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            spans.push(start..start + line.len());
            start += line.len();
        }
        let kind = |span: &Range<usize>| match text[span.clone()].trim_start() {
            "" => Kind::Blank,
            line if line.starts_with('#') => Kind::Comment,
            _ => Kind::Code,
        };
        let mut lines = Lines {
            kinds: spans.iter().map(kind).collect(),
            goes: vec![false; spans.len()],
            spans,
        };
        // Comments and blanks inside a value are its own.
        for statement in outline {
            let inside = lines.of(statement);
            lines.kinds[inside].fill(Kind::Code);
        }
        lines
    }

    fn of(&self, statement: &Statement) -> Range<usize> {
        let line = |offset| self.spans.partition_point(|span| span.end <= offset);
        line(statement.span.start)..line(statement.span.end - 1) + 1
    }

    /// Marks the lines from one statement to another, with their comments.
    fn take_out(&mut self, first: &Statement, last: &Statement) {
        let (mut start, end) = (self.of(first).start, self.of(last).end);
        while start > 0 && self.kinds[start - 1] == Kind::Comment {
            start -= 1;
        }
        self.goes[start..end].fill(true);
    }

    /// A change for each run of lines that go, and of the blank lines that would be too many then.
    fn edits(mut self) -> Vec<Edit> {
        self.close_gaps();
        let mut edits = Vec::new();
        let mut line = 0;
        while line < self.goes.len() {
            let length = self.goes[line..].iter().take_while(|goes| **goes).count();
            if length == 0 {
                line += 1;
                continue;
            }
            let run = self.with_blanks(line..line + length);
            edits.push(Edit::remove(
                self.spans[run.start].start..self.spans[run.end - 1].end,
            ));
            line = run.end;
        }
        edits
    }

    /// Blank lines between two runs go with them.
    fn close_gaps(&mut self) {
        let mut last = None;
        for line in 0..self.goes.len() {
            if self.goes[line] {
                if let Some(last) = last {
                    self.goes[last..line].fill(true);
                }
                last = Some(line);
            } else if self.kinds[line] != Kind::Blank {
                last = None;
            }
        }
    }

    fn with_blanks(&self, run: Range<usize>) -> Range<usize> {
        let is_blank = |kind: &&Kind| **kind == Kind::Blank;
        let before = self.kinds[..run.start]
            .iter()
            .rev()
            .take_while(is_blank)
            .count();
        let after = self.kinds[run.end..].iter().take_while(is_blank).count();
        if run.end + after == self.kinds.len() {
            run.start - before..run.end
        } else if before > 0 || run.start == 0 {
            run.start..run.end + after
        } else {
            run
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outline::outline;
    use super::super::text::apply;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let edits = remove(text, &outline(text).unwrap(), &["service", "x"]);
        assert_eq!(apply(text, &edits), expected);
    }

    #[test]
    fn a_section_goes_with_its_comments() {
        let text = "# top\n\n[service.a]\nl = 1\n\n# x\n# is\n[service.x] # c\n# in\nl = 2\n\nm = [ # c\n\n# c\n]\n# x\n\n# b\n[service.b]\n";
        check(
            text,
            "# top\n\n[service.a]\nl = 1\n\n# x\n\n# b\n[service.b]\n",
        );
    }

    #[test]
    fn what_stands_above_the_next_header_belongs_to_it() {
        let text = "[service.x]\nl = 1\n# b\n[service.b]\nl = 2\n";
        check(text, "# b\n[service.b]\nl = 2\n");
    }

    #[test]
    fn the_files_first_and_last_words_stay() {
        check(
            "# The file.\n\n[service.x]\nl = 1\n# The end.\n",
            "# The file.\n\n# The end.\n",
        );
        check(
            "# The file.\n\n# x\n[service.x]\nl = 1\n\n[service.b]\n",
            "# The file.\n\n[service.b]\n",
        );
    }

    #[test]
    fn what_looks_like_a_comment_in_a_text_is_none() {
        check(
            "[service.a]\nu = '''\n# a'''\n[service.x]\n",
            "[service.a]\nu = '''\n# a'''\n",
        );
    }

    #[test]
    fn a_free_comment_stays() {
        check(
            "[service.a]\n\n[service.x]\nl = 1\n\n# free\n\n[service.b]\n",
            "[service.a]\n\n# free\n\n[service.b]\n",
        );
    }

    #[test]
    fn the_last_section_leaves_no_blank_line() {
        check(
            "[service.a]\nl = 1\n\n[service.x]\nl = 1",
            "[service.a]\nl = 1\n",
        );
        check(
            "[service.a]\n\n[service.x]\n\n[service.x.limits]\ncore = 0\n",
            "[service.a]\n",
        );
        check("[service.x]\nl = 1\n", "");
    }

    #[test]
    fn sections_below_it_go_too_wherever_they_are() {
        check(
            "[service.x]\nl = 1\n\n[service.a]\nl = 1\n\n[service.x.limits]\ncore = 0\n\n[service.b]\n",
            "[service.a]\nl = 1\n\n[service.b]\n",
        );
    }

    #[test]
    fn dotted_keys_go_line_by_line() {
        check(
            "# x\nservice.x.l = 1\nservice.a.l = 2\nservice.x.m = 3\n\n[service.b]\n",
            "service.a.l = 2\n\n[service.b]\n",
        );
    }

    #[test]
    fn entries_of_inline_tables_go_with_a_comma() {
        check(
            "[service]\na = { l = 1 }\nx = { l = 2 }\n",
            "[service]\na = { l = 1 }\n",
        );
        check(
            "service = { a = 1, x = { l = 2 }, b = 3 }\n",
            "service = { a = 1, b = 3 }\n",
        );
        check(
            "service = { x = { l = 2 }, b = 3 }\n",
            "service = { b = 3 }\n",
        );
        check(
            "service = { a = 1, x = { l = 2 } }\n",
            "service = { a = 1 }\n",
        );
        check(
            "service = { x.l = 1, x.m = 2, b = 3 }\n",
            "service = { b = 3 }\n",
        );
        check(
            "service = { b = 3, x.l = 1, x.m = 2 }\n",
            "service = { b = 3 }\n",
        );
        check(
            "service = { x.l = 1, b = 3, x.m = 2 }\n",
            "service = { b = 3 }\n",
        );
        check("service = { x = 1 }\n", "service = {}\n");
    }

    #[test]
    fn carriage_returns_stay() {
        check(
            "[service.a]\r\n\r\n[service.x]\r\nl = 1\r\n\r\n[service.b]\r\n",
            "[service.a]\r\n\r\n[service.b]\r\n",
        );
    }
}
