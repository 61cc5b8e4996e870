//! The ends of lines of a program on a terminal or on pipes: in any pieces they become what they
//! become in one, which is what a look at two bytes at a time makes of them.
//!
//! The first byte is how many pieces there are, as many bytes are their lengths, and the rest is text.

use oxinetd::worker::Newline;

pub(super) fn newline(bytes: &[u8]) {
    let (count, bytes) = bytes.split_first().unwrap_or((&0, b""));
    let (lengths, text) = bytes.split_at(usize::from(*count).min(bytes.len()));
    for (newline, expected) in [
        (Newline::OUTWARD, outward(text)),
        (Newline::INWARD, inward(text)),
    ] {
        assert_eq!(translated(newline, &[], text), expected);
        assert_eq!(translated(newline, lengths, text), expected, "{lengths:?}");
    }
}

/// In pieces of these lengths, then the rest.
fn translated(mut newline: Newline, lengths: &[u8], text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    for length in lengths {
        let (piece, after) = rest.split_at(usize::from(*length).min(rest.len()));
        let came = newline.translate(piece);
        assert!(came.len() <= 2 * piece.len() + 1);
        out.extend(came);
        rest = after;
    }
    out.extend(newline.translate(rest));
    out.extend(newline.finish());
    assert!(newline.finish().is_empty(), "it ends twice");
    out
}

/// LF is CRLF, unless it is one already.
fn outward(text: &[u8]) -> Vec<u8> {
    let before = std::iter::once(&0).chain(text);
    let pairs = before.zip(text);
    let one = |(before, byte): (&u8, &u8)| match (*before, *byte) {
        (b'\r', b'\n') => b"\n".to_vec(),
        (_, b'\n') => b"\r\n".to_vec(),
        (_, byte) => vec![byte],
    };
    pairs.flat_map(one).collect()
}

/// CRLF and CR NUL are LF; the CR is the first of the two, and any other stays.
fn inward(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    loop {
        rest = match rest {
            [] => return out,
            [b'\r', b'\n' | 0, after @ ..] => {
                out.push(b'\n');
                after
            }
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
        };
    }
}
