//! The ends of lines on their way: LF is CRLF on the network (RFC 854), and a bare CR is CR NUL there.
//!
//! Pure: bytes in, bytes out. What depends on a byte that has not come yet is remembered, so that it
//! makes no difference in which pieces the bytes come.

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newline {
    /// To the client: LF becomes CRLF, unless it is one already.
    Outward {
        /// Whether the last byte was a CR.
        after_cr: bool,
    },
    /// From the client: CRLF and CR NUL become LF.
    Inward {
        /// Whether a CR has come of which it is not known yet what it becomes.
        held_cr: bool,
    },
}

impl Newline {
    /// To the client, before the first byte.
    pub const OUTWARD: Newline = Newline::Outward { after_cr: false };
    /// From the client, before the first byte.
    pub const INWARD: Newline = Newline::Inward { held_cr: false };

    /// What becomes of the next bytes: twice as many at most, and one that was held.
    pub fn translate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16 + 1);
        match self {
            Newline::Outward { after_cr } => {
                for byte in bytes {
                    if *byte == b'\n' && !*after_cr {
                        out.push(b'\r');
                    }
                    out.push(*byte);
                    *after_cr = *byte == b'\r';
                }
            }
            Newline::Inward { held_cr } => {
                for byte in bytes {
                    let had_cr = std::mem::replace(held_cr, *byte == b'\r');
                    match byte {
                        b'\n' | 0 if had_cr => out.push(b'\n'),
                        _ => {
                            if had_cr {
                                out.push(b'\r');
                            }
                            if *byte != b'\r' {
                                out.push(*byte);
                            }
                        }
                    }
                }
            }
        }
        out
    }

    /// What is left when no more bytes come.
    pub fn finish(&mut self) -> &'static [u8] {
        match self {
            Newline::Inward { held_cr: true } => {
                *self = Newline::INWARD;
                b"\r"
            }
            _ => b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In pieces of these lengths, then to the end.
    fn translated(mut newline: Newline, bytes: &[u8], lengths: &[usize]) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), bytes);
        for length in lengths {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            out.extend(newline.translate(piece));
            rest = after;
        }
        out.extend(newline.translate(rest));
        out.extend(newline.finish());
        out
    }

    #[test]
    fn lines_end_in_crlf_on_the_network_and_never_twice() {
        let out = |text: &str| translated(Newline::OUTWARD, text.as_bytes(), &[]);
        assert_eq!(out("a\nb\r\n\n\r"), b"a\r\nb\r\n\r\n\r");
    }

    #[test]
    fn crlf_and_cr_nul_are_one_line_end_here() {
        let inward = |text: &str| translated(Newline::INWARD, text.as_bytes(), &[]);
        assert_eq!(inward("a\r\nb\r\0c\n"), b"a\nb\nc\n");
        assert_eq!(inward("\r\r\n\rx\0\r"), b"\r\n\rx\0\r");
    }

    #[test]
    fn a_line_end_that_comes_in_two_pieces_is_one() {
        assert_eq!(translated(Newline::OUTWARD, b"\r\n", &[1]), b"\r\n");
        assert_eq!(translated(Newline::INWARD, b"\r\n", &[1]), b"\n");
        assert_eq!(translated(Newline::INWARD, b"\r\0", &[1]), b"\n");
        assert_eq!(translated(Newline::INWARD, b"\rx", &[1]), b"\rx");
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b'x'), any::<u8>()];
        prop::collection::vec(byte, 0..200)
    }

    /// From Latin-1, in which every byte is a character.
    fn replaced(bytes: &[u8], pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        for (from, to) in pairs {
            text = text.replace(from, to);
        }
        text.chars().map(|c| c as u8).collect()
    }

    proptest! {
        #[test]
        fn outwards_it_is_what_replacing_all_at_once_makes(bytes in text(), lengths in prop::collection::vec(0..9usize, 0..60)) {
            let expected = replaced(&bytes, &[("\r\n", "\n"), ("\n", "\r\n")]);
            prop_assert_eq!(translated(Newline::OUTWARD, &bytes, &lengths), expected);
        }

        #[test]
        fn inwards_too(bytes in text(), lengths in prop::collection::vec(0..9usize, 0..60)) {
            // What the first replacement makes is a line end for the second.
            let expected = replaced(&bytes, &[("\r\0", "\r\n"), ("\r\n", "\n")]);
            prop_assert_eq!(translated(Newline::INWARD, &bytes, &lengths), expected);
        }
    }
}
