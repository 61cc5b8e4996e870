//! A set of prefixes, sorted, that answers which of them fits an address best.
//!
//! Prefixes are nested or apart. So, in order of first address and length, the best fit is the last
//! one that does not begin after the address, or one that encloses that: one binary search, and a
//! walk outwards over the nesting, which is seldom deep. An entry costs its address and 12 bytes.
//!
//! On its way between processes it is one string of the sorted entries; what comes in is checked,
//! and the enclosing ones are found anew.

use super::acl::List;
use super::base64;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

/// Encloses an entry that nothing encloses.
const NONE: u32 = u32::MAX;

/// Bytes of a [`Note`] in the string.
const NOTE: usize = 8;

/// The prefix of that length that an address is in: the other bits are cleared, an IPv4-mapped one
/// of 96 bits or more is folded to IPv4, and a length beyond the family's is its whole address.
pub fn network(ip: IpAddr, length: u8) -> (IpAddr, u8) {
    match (ip, ip.to_canonical()) {
        (IpAddr::V6(_), IpAddr::V4(ip)) if length >= 96 => network(IpAddr::V4(ip), length - 96),
        (IpAddr::V4(ip), _) => (IpAddr::V4(ip.to_bits().cut(length).into()), length.min(32)),
        (IpAddr::V6(ip), _) => (IpAddr::V6(ip.to_bits().cut(length).into()), length.min(128)),
    }
}

/// An address as a number.
pub(super) trait Bits: Copy + Ord + fmt::Debug {
    /// How many bits it has.
    const WIDTH: u8;

    /// Itself with all but the first so many bits cleared.
    fn cut(self, length: u8) -> Self;

    /// Appends its bytes.
    fn write(self, bytes: &mut Vec<u8>);

    /// Takes its bytes from the start of those given.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! bits {
    ($type:ty) => {
        impl Bits for $type {
            const WIDTH: u8 = <$type>::BITS as u8;

            fn cut(self, length: u8) -> $type {
                let host = u32::from(Self::WIDTH.saturating_sub(length));
                self & <$type>::MAX.checked_shl(host).unwrap_or(0)
            }

            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_be_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Option<$type> {
                let (own, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$type>::from_be_bytes(*own))
            }
        }
    };
}

bits!(u32);
bits!(u128);

/// What is known of an entry beside its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Note {
    /// Bits of the prefix.
    pub(super) length: u8,
    /// Of prefixes that are the same, that of the lesser list stays: `deny` before `allow`.
    pub(super) list: List,
    /// Index of a file; the last one stands for those that come after it.
    pub(super) file: u16,
    /// Line in that file.
    pub(super) line: u32,
}

/// See the module. Equal to another that means the same, wherever that was written.
#[derive(Debug, Clone)]
pub(super) struct Prefixes<A> {
    /// First addresses.
    starts: Vec<A>,
    notes: Vec<Note>,
    /// The closest one around each, or `NONE`.
    around: Vec<u32>,
}

impl<A> Default for Prefixes<A> {
    fn default() -> Prefixes<A> {
        Prefixes {
            starts: Vec::new(),
            notes: Vec::new(),
            around: Vec::new(),
        }
    }
}

impl<A: Bits> Prefixes<A> {
    /// Made of entries in any order.
    pub(super) fn new(mut entries: Vec<(A, Note)>) -> Prefixes<A> {
        for (start, note) in &mut entries {
            note.length = note.length.min(A::WIDTH);
            *start = start.cut(note.length);
        }
        entries.sort_unstable();
        entries.dedup_by_key(|(start, note)| (*start, note.length));
        let (starts, notes) = entries.into_iter().unzip();
        Prefixes::linked(starts, notes)
    }

    /// Made of entries that are sorted.
    fn linked(starts: Vec<A>, notes: Vec<Note>) -> Prefixes<A> {
        let mut around = Vec::with_capacity(starts.len());
        let mut last = NONE;
        for (index, start) in (0..).zip(&starts) {
            let mut outer = last;
            while outer != NONE && !fits(&starts, &notes, outer, *start) {
                outer = around[outer as usize];
            }
            around.push(outer);
            last = index;
        }
        Prefixes {
            starts,
            notes,
            around,
        }
    }

    /// The longest prefix that the address is in.
    pub(super) fn find(&self, address: A) -> Option<(A, Note)> {
        let not_after = self.starts.partition_point(|start| *start <= address);
        let mut index = (not_after as u32).wrapping_sub(1);
        while index != NONE && !fits(&self.starts, &self.notes, index, address) {
            index = self.around[index as usize];
        }
        let index = index as usize;
        Some((*self.starts.get(index)?, *self.notes.get(index)?))
    }

    /// Whether it was written in the same places too.
    pub(super) fn is_identical(&self, other: &Prefixes<A>) -> bool {
        (&self.starts, &self.notes) == (&other.starts, &other.notes)
    }

    /// The same for all that mean the same: how many there are, the first and the last.
    pub(super) fn outline(&self) -> (usize, Vec<u8>) {
        let mut ends = Vec::new();
        for end in self.starts.first().into_iter().chain(self.starts.last()) {
            end.write(&mut ends);
        }
        (self.starts.len(), ends)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(self.starts.len() * (size_of::<A>() + NOTE));
        for (start, note) in self.starts.iter().zip(&self.notes) {
            start.write(&mut bytes);
            bytes.extend_from_slice(&[note.length, note.list.code()]);
            bytes.extend_from_slice(&note.file.to_be_bytes());
            bytes.extend_from_slice(&note.line.to_be_bytes());
        }
        base64::encode(&bytes)
    }

    /// `None` for what no [`Prefixes::encode`] has made.
    fn decode(text: &str) -> Option<Prefixes<A>> {
        let bytes = base64::decode(text)?;
        let count = bytes.len() / (size_of::<A>() + NOTE);
        let (mut starts, mut notes) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut last = None;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let start = A::read(&mut rest)?;
            let note = Note::read(&mut rest)?;
            let place = Some((start, note.length));
            if note.length > A::WIDTH || start.cut(note.length) != start || place <= last {
                return None;
            }
            last = place;
            starts.push(start);
            notes.push(note);
        }
        Some(Prefixes::linked(starts, notes))
    }
}

impl Note {
    fn read(bytes: &mut &[u8]) -> Option<Note> {
        let (own, rest) = bytes.split_first_chunk::<NOTE>()?;
        *bytes = rest;
        let [length, list, file @ .., _, _, _, _] = *own;
        let [.., a, b, c, d] = *own;
        Some(Note {
            length,
            list: List::from_code(list)?,
            file: u16::from_be_bytes(file),
            line: u32::from_be_bytes([a, b, c, d]),
        })
    }
}

fn fits<A: Bits>(starts: &[A], notes: &[Note], index: u32, address: A) -> bool {
    let index = index as usize;
    address.cut(notes[index].length) == starts[index]
}

impl<A: Bits> PartialEq for Prefixes<A> {
    fn eq(&self, other: &Prefixes<A>) -> bool {
        let meaning = |note: &Note| (note.length, note.list);
        self.starts == other.starts
            && self
                .notes
                .iter()
                .map(meaning)
                .eq(other.notes.iter().map(meaning))
    }
}

impl<A: Bits> Eq for Prefixes<A> {}

impl<A: Bits> Serialize for Prefixes<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de, A: Bits> Deserialize<'de> for Prefixes<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Prefixes<A>, D::Error> {
        struct Text<A>(PhantomData<A>);

        impl<A: Bits> Visitor<'_> for Text<A> {
            type Value = Prefixes<A>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a packed list of prefixes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Prefixes<A>, E> {
                Prefixes::decode(text).ok_or_else(|| E::custom("a list of prefixes is damaged"))
            }
        }

        deserializer.deserialize_str(Text(PhantomData))
    }
}
