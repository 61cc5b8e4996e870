//! Things in order of their last activity: a slab whose slots are linked from the oldest to the
//! newest. Everything takes constant time. Pure: time is passed in, and must not go backwards.

use std::time::Instant;

/// No slot.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot<T> {
    /// `None` for a free slot.
    value: Option<T>,
    touched: Instant,
    older: u32,
    /// For a free slot: the next free one.
    newer: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Recency<T> {
    slots: Vec<Slot<T>>,
    oldest: u32,
    newest: u32,
    free: u32,
}

impl<T> Recency<T> {
    pub(super) fn new() -> Recency<T> {
        Recency {
            slots: Vec::new(),
            oldest: NONE,
            newest: NONE,
            free: NONE,
        }
    }

    /// Puts a value in, as the newest. The answer is its slot.
    pub(super) fn insert(&mut self, value: T, now: Instant) -> u32 {
        let slot = if self.free == NONE {
            self.slots.push(Slot {
                value: Some(value),
                touched: now,
                older: NONE,
                newer: NONE,
            });
            (self.slots.len() - 1) as u32
        } else {
            let slot = self.free;
            let place = &mut self.slots[slot as usize];
            (place.value, self.free) = (Some(value), place.newer);
            slot
        };
        self.append(slot, now);
        slot
    }

    /// The value in a slot; `None` when it is free.
    pub(super) fn at(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.value.as_mut()
    }

    /// The slots of all values that are such.
    pub(super) fn slots_of(&self, such: impl Fn(&T) -> bool) -> Vec<u32> {
        let all = self.slots.iter().enumerate();
        all.filter(|(_, slot)| slot.value.as_ref().is_some_and(&such))
            .map(|(slot, _)| slot as u32)
            .collect()
    }

    /// Makes the value in this slot, which must not be free, the newest.
    pub(super) fn touch(&mut self, slot: u32, now: Instant) {
        self.unlink(slot);
        self.append(slot, now);
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let value = self.slots.get_mut(slot as usize)?.value.take()?;
        self.unlink(slot);
        (self.slots[slot as usize].newer, self.free) = (self.free, slot);
        Some(value)
    }

    /// The slot that was not touched for the longest time, and since when.
    pub(super) fn oldest(&self) -> Option<(u32, Instant)> {
        let slot = self.slots.get(self.oldest as usize)?;
        Some((self.oldest, slot.touched))
    }

    fn append(&mut self, slot: u32, now: Instant) {
        let before = std::mem::replace(&mut self.newest, slot);
        let place = &mut self.slots[slot as usize];
        (place.touched, place.older, place.newer) = (now, before, NONE);
        match self.slots.get_mut(before as usize) {
            Some(before) => before.newer = slot,
            None => self.oldest = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { older, newer, .. } = self.slots[slot as usize];
        match self.slots.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_is_the_one_that_was_not_touched() {
        let (mut all, start) = (Recency::new(), Instant::now());
        let second = |n| start + Duration::from_secs(n);
        let [a, b, c] = ["a", "b", "c"].map(|name| all.insert(name, start));
        all.touch(a, second(1));
        assert_eq!(all.oldest(), Some((b, start)));
        all.touch(b, second(2));
        assert_eq!(all.remove(c), Some("c"));
        assert_eq!(all.oldest(), Some((a, second(1))));
        assert_eq!(
            (all.remove(a), all.remove(a), all.at(a)),
            (Some("a"), None, None)
        );
        assert_eq!(all.oldest(), Some((b, second(2))));
        assert_eq!((all.remove(b), all.oldest()), (Some("b"), None));
    }

    #[test]
    fn free_slots_are_used_again() {
        let (mut all, now) = (Recency::new(), Instant::now());
        for round in 0..1000 {
            let slots = [all.insert(round, now), all.insert(round, now)];
            assert_eq!(
                slots.map(|slot| all.remove(slot)),
                [Some(round), Some(round)]
            );
        }
        assert_eq!(all.slots.len(), 2);
    }

    proptest! {
        /// Against a plain list, oldest first.
        #[test]
        fn it_agrees_with_a_list(acts in prop::collection::vec((0..3u8, any::<prop::sample::Index>()), 0..200)) {
            let (mut all, mut list, start) = (Recency::new(), Vec::new(), Instant::now());
            for (step, (act, which)) in acts.into_iter().enumerate() {
                let now = start + Duration::from_secs(step as u64);
                if act == 0 || list.is_empty() {
                    list.push((all.insert(step, now), step, now));
                } else {
                    let (slot, value, _) = list.remove(which.index(list.len()));
                    if act == 1 {
                        all.touch(slot, now);
                        list.push((slot, value, now));
                    } else {
                        prop_assert_eq!(all.remove(slot), Some(value));
                    }
                }
                prop_assert_eq!(all.oldest(), list.first().map(|(slot, _, touched)| (*slot, *touched)));
            }
            for (slot, value, _) in list {
                prop_assert_eq!(all.at(slot), Some(&mut { value }));
            }
        }
    }
}
