//! Bytes as text for the table's way from loader to supervisor: a hundred thousand prefixes as one
//! JSON string are read a hundred times faster than as a hundred thousand JSON values.
//!
//! RFC 4648 section 4, without padding. Decoding gives `None` for anything else.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// No digit.
const NONE: u8 = 0xff;

/// What each byte stands for.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut digit = 0;
    while digit < 64 {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for digit in 0..=chunk.len() {
            let value = word >> (18 - 6 * digit) & 63;
            text.push(char::from(ALPHABET[value as usize]));
        }
    }
    text
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (chunks, rest) = text.as_bytes().split_at(text.len() / 4 * 4);
    // All digits seen, so that one question at the end finds a wrong one.
    let mut seen = 0;
    for chunk in chunks.chunks_exact(4) {
        let word = word(chunk, &mut seen).to_be_bytes();
        bytes.extend_from_slice(&word[1..]);
    }
    if !rest.is_empty() {
        let mut last = [b'A'; 4];
        last[..rest.len()].copy_from_slice(rest);
        let word = word(&last, &mut seen).to_be_bytes();
        bytes.extend_from_slice(&word[1..rest.len()]);
    }
    (seen < 64 && rest.len() != 1).then_some(bytes)
}

fn word(digits: &[u8], seen: &mut u8) -> u32 {
    digits.iter().fold(0, |word, digit| {
        let value = VALUES[usize::from(*digit)];
        *seen |= value;
        word << 6 | u32::from(value & 63)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in [
            "A",
            "AAAAA",
            "Zm9v=",
            "Zm 9",
            "Zm9\u{e9}",
            "-___",
            "Z\"",
            "\0\0\0\0",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn no_text_is_too_odd(text: String) {
            decode(&text);
        }
    }
}
