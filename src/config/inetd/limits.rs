//! `wait` and `nowait`, and the limits behind them.

use super::super::words::{quoted, similar};
use super::fields::Reader;
use super::words::Word;
use std::ops::Range;

/// The limits behind `wait`; 0 is none.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) max_connections: Option<u32>,
    pub(super) rate_per_source: Option<u32>,
    pub(super) max_per_source: Option<u32>,
    pub(super) rate: Option<u32>,
}

impl Reader<'_> {
    pub(super) fn wait(&mut self, word: &Word) -> (bool, Limits) {
        let mut limits = Limits::default();
        let (flag, mark, rest) = match word.text.find(['.', ':', '/']) {
            Some(at) => (
                &word.text[..at],
                &word.text[at..at + 1],
                &word.text[at + 1..],
            ),
            None => (word.text.as_str(), "", ""),
        };
        let wait = match flag {
            "wait" => true,
            "nowait" => false,
            _ => {
                let message = format!("{} is neither wait nor nowait", quoted(&word.text));
                let help = match similar(flag, ["wait", "nowait"]) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => {
                        "write nowait, or wait for a program that takes the socket itself".into()
                    }
                };
                self.wrong(&word.span, message, help);
                false
            }
        };
        match mark {
            "" => {}
            "/" => self.freebsd_limits(rest, &word.span, &mut limits),
            _ => limits.rate = self.count(rest, &word.span),
        }
        if limits.rate.is_some_and(|rate| rate > 0) {
            let words = "beyond the rate clients wait or are refused for a moment; the socket is not closed for minutes";
            self.remark(&word.span, "starts in a minute", words.into(), false);
        }
        (wait, limits)
    }

    /// `MAX/RATE PER CLIENT/CLIENTS AT A TIME`.
    fn freebsd_limits(&mut self, text: &str, span: &Range<usize>, limits: &mut Limits) {
        let mut numbers = text
            .split('/')
            .map(|number| self.count(number, span))
            .take(3);
        limits.max_connections = numbers.next().flatten();
        limits.rate_per_source = numbers.next().flatten();
        limits.max_per_source = numbers.next().flatten();
        let (max, per_source) = (limits.max_connections, limits.max_per_source);
        if max
            .zip(per_source)
            .is_some_and(|(max, per)| max > 0 && per > max)
        {
            limits.max_per_source = None;
            let words =
                "the limit for each client is above the one for all, and never reached".into();
            self.remark(span, "clients at a time", words, true);
        }
        if max == Some(0) {
            let words = "0 was no limit; max_connections, 128 by default, holds now".into();
            self.remark(span, "connections at a time", words, false);
        }
    }
}
