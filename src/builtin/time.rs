//! Time (RFC 868): the seconds since 1900 as four bytes, big-endian.
//!
//! The count starts again at 0 on 7 February 2036, 06:28:16 UTC; clients know the era.

use super::Answer;

/// Seconds from 1900 to 1970.
const SINCE_1900: i64 = 2_208_988_800;

pub(super) fn answer(unix: i64) -> Answer {
    let seconds = unix.wrapping_add(SINCE_1900) as u32;
    Answer::new(&seconds.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_1900_and_wraps_in_2036() {
        let bytes = |unix| <[u8; 4]>::try_from(answer(unix).output()).unwrap();
        assert_eq!(bytes(-2_208_988_800), [0, 0, 0, 0]);
        assert_eq!(bytes(0), [0x83, 0xaa, 0x7e, 0x80]);
        assert_eq!(bytes(2_085_978_495), [0xff, 0xff, 0xff, 0xff]);
        assert_eq!(bytes(2_085_978_496), [0, 0, 0, 0]);
        assert_eq!(bytes(2_147_483_648), [0x03, 0xaa, 0x7e, 0x80]);
    }
}
