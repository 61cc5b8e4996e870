//! How much a question costs, in looks at addresses: counted, not timed.

use crate::table::acl::List;
use crate::table::prefixes::{Bits, Note, Prefixes};
use std::cell::Cell;
use std::cmp::Ordering;

thread_local! {
    static LOOKS: Cell<u32> = const { Cell::new(0) };
}

/// An address of IPv4 that counts how often it is compared.
#[derive(Debug, Clone, Copy)]
struct Counted(u32);

impl Ord for Counted {
    fn cmp(&self, other: &Counted) -> Ordering {
        LOOKS.set(LOOKS.get() + 1);
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Counted) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Counted) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Counted {}

impl Bits for Counted {
    const WIDTH: u8 = 32;

    fn cut(self, length: u8) -> Counted {
        Counted(self.0.cut(length))
    }

    fn write(self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Counted> {
        u32::read(bytes).map(Counted)
    }
}

/// Different addresses without an order.
fn address(number: u32) -> u32 {
    number.wrapping_mul(2_654_435_761)
}

fn prefix(address: u32, length: u8) -> (Counted, Note) {
    let note = Note {
        length,
        list: List::Deny,
        file: 0,
        line: 1,
    };
    (Counted(address), note)
}

/// The most that any of many questions costs, about addresses in the list and others.
fn most_looks(prefixes: Vec<(Counted, Note)>) -> u32 {
    let prefixes = Prefixes::new(prefixes);
    let looks = (0..20_000).map(|number| {
        LOOKS.set(0);
        prefixes.find(Counted(address(number * 7)));
        LOOKS.get()
    });
    looks.max().unwrap()
}

#[test]
fn a_hundred_thousand_prefixes_cost_a_question_a_few_looks_more_than_one() {
    let some = |count| {
        (0..count)
            .map(|number| prefix(address(number), 32))
            .collect()
    };
    for (count, looks) in [(1, 2), (1_000, 12), (100_000, 20)] {
        let most = most_looks(some(count));
        assert!(most <= looks, "{most} looks at {count} prefixes");
    }
}

#[test]
fn prefixes_in_prefixes_cost_a_look_each() {
    // 0.0.0.0/0, 0.0.0.0/1, …: the first address is in the last of them, the last one in the first.
    let nest = || (0..=32).map(|length| prefix(0, length));
    let prefixes = Prefixes::new(nest().collect());
    for (address, most) in [(0, 7 + 1), (1, 7 + 2), (u32::MAX, 7 + 33)] {
        LOOKS.set(0);
        assert!(prefixes.find(Counted(address)).is_some());
        let looks = LOOKS.get();
        assert!(looks <= most, "{looks} looks for {address:#x}");
    }
    let many = (0..100_000).map(|number| prefix(address(number), 32));
    assert!(most_looks(many.chain(nest()).collect()) <= 19 + 33);
}
