//! Character generator (RFC 864): lines without end, until the client goes. Its input is thrown away.
//!
//! A line is 72 of the 95 printable ASCII characters, taken as a ring, and CR LF; each line starts
//! one character further. The pattern repeats after 95 lines, so all output is slices of a constant.

/// Bytes of a line.
const LINE: usize = 74;

/// Bytes after which the pattern repeats.
const CYCLE: usize = 95 * LINE;

/// Bytes of a stream that are offered at once, at most.
const SLICE: usize = 64 * 1024;

/// The largest answer to a datagram (RFC 864).
const DATAGRAM: usize = 512;

/// As many cycles as a slice needs that starts at the end of the first.
static PATTERN: [u8; CYCLE + SLICE] = pattern();

const fn pattern() -> [u8; CYCLE + SLICE] {
    let mut bytes = [0; CYCLE + SLICE];
    let mut at = 0;
    while at < bytes.len() {
        let (line, column) = (at % CYCLE / LINE, at % LINE);
        bytes[at] = match column {
            72 => b'\r',
            73 => b'\n',
            _ => b' ' + ((line + column) % 95) as u8,
        };
        at += 1;
    }
    bytes
}

/// One connection.
#[derive(Debug)]
pub struct Chargen {
    /// Place in the cycle.
    at: usize,
    slice: usize,
    input_closed: bool,
}

impl Chargen {
    /// Where record boundaries are kept, a record is a line.
    pub(super) fn new(records: bool) -> Chargen {
        Chargen {
            at: 0,
            slice: if records { LINE } else { SLICE },
            input_closed: false,
        }
    }

    pub(super) fn wants_input(&self) -> bool {
        !self.input_closed
    }

    pub(super) fn input_closed(&mut self) {
        self.input_closed = true;
    }

    pub(super) fn output(&self) -> &'static [u8] {
        &PATTERN[self.at..self.at + self.slice]
    }

    pub(super) fn written(&mut self, count: usize) {
        self.at = (self.at + count) % CYCLE;
    }
}

/// The answer to a datagram of this length: never more, so that nobody can be flooded through us.
pub(super) fn datagram(length: usize) -> Option<&'static [u8]> {
    (length > 0).then(|| &PATTERN[..length.min(DATAGRAM)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(length: usize, step: usize) -> Vec<u8> {
        let mut chargen = Chargen::new(false);
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let piece = &chargen.output()[..step];
            bytes.extend_from_slice(piece);
            chargen.written(piece.len());
        }
        bytes
    }

    #[test]
    fn each_line_starts_one_character_further() {
        let text = String::from_utf8(stream(CYCLE * 3, 1000)).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        let first = r##" !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg"##;
        let second =
            r##"!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefgh"##;
        let last = r##"~ !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdef"##;
        assert_eq!(
            (lines[0], lines[1], lines[94], lines[95]),
            (first, second, last, first)
        );
        assert!(lines[..285].iter().all(|line| line.len() == 72));
    }

    #[test]
    fn pieces_of_any_size_make_the_same_stream() {
        let whole = stream(SLICE, SLICE);
        assert_eq!(stream(SLICE, 1)[..SLICE], whole[..SLICE]);
        assert_eq!(stream(SLICE, 7001)[..SLICE], whole[..SLICE]);
    }

    #[test]
    fn records_are_lines() {
        let mut chargen = Chargen::new(true);
        chargen.written(LINE);
        assert_eq!(chargen.output(), &PATTERN[74..148]);
    }

    #[test]
    fn the_end_of_input_changes_nothing_but_that_none_is_read() {
        let mut chargen = Chargen::new(false);
        chargen.input_closed();
        assert!(!chargen.wants_input() && !chargen.output().is_empty());
    }
}
