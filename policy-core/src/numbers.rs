//! Numbers found by the hash of what they stand for.
//!
//! ```text
//! slots   │ tag number │ tag number │   empty    │ tag number │ …
//!           32 bits each; a number lies in the slot that its tag points to, or the next that was free
//! ```
//! The tag is the upper half of the hash. Compared before what the number stands for, it leaves one slot in four billion to look at in
//! vain, and it is all that it takes to lay the slots out anew.

use alloc::vec;
use alloc::vec::Vec;

/// Numbers by hash. Two slots in three are taken at most, so few are passed on the way.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    slots: Vec<u64>,
    count: usize,
}

/// The number 4,294,967,295 stands for nothing.
const EMPTY: u64 = u64::MAX;

impl Numbers {
    /// With room for `count` numbers.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { slots: vec![EMPTY; slots_for(count)], count: 0 }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// The number with this hash that is the one.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = hash >> 32;
        let mut at = place(tag, self.slots.len());
        // There is always an empty slot.
        loop {
            let slot = *self.slots.get(at)?;
            if slot >> 32 == tag && slot != EMPTY && is_it(slot as u32) {
                return Some(slot as u32);
            }
            if slot == EMPTY {
                return None;
            }
            at = at.wrapping_add(1);
            if at == self.slots.len() {
                at = 0;
            }
        }
    }

    /// Adds a number that is not there.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        if slots_for(self.count.saturating_add(1)) > self.slots.len() {
            let roomier = vec![EMPTY; slots_for(self.count.saturating_mul(2).max(LEAST))];
            for slot in core::mem::replace(&mut self.slots, roomier) {
                self.put(slot);
            }
        }
        self.put((hash & !u64::from(u32::MAX)) | u64::from(number));
        self.count = self.count.saturating_add(1);
    }

    fn put(&mut self, slot: u64) {
        if slot == EMPTY {
            return;
        }
        let first = place(slot >> 32, self.slots.len());
        let (before, after) = self.slots.split_at_mut(first);
        if let Some(free) = after.iter_mut().chain(before).find(|other| **other == EMPTY) {
            *free = slot;
        }
    }
}

/// How many numbers a table begins with that was made for none.
const LEAST: usize = 8;

/// Half as many again as there are numbers, and one that stays empty.
fn slots_for(count: usize) -> usize {
    count.saturating_add(count / 2).saturating_add(1)
}

/// Where a tag points to: as far into the slots as it is into all tags.
fn place(tag: u64, slots: usize) -> usize {
    (tag.saturating_mul(slots as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_added_and_nothing_else() {
        for capacity in [0, 1, 7, 500, 2000] {
            let mut numbers = Numbers::with_capacity(capacity);
            let hash = |number: u32| u64::from(number % 700).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert_eq!(numbers.find(hash(0), |_| true), None);
            for number in 0..1000 {
                numbers.insert(hash(number), number);
                assert_eq!(numbers.len() as u32, number + 1);
            }
            for number in 0..1000 {
                assert_eq!(numbers.find(hash(number), |other| other == number), Some(number));
            }
            assert_eq!(numbers.find(hash(3), |other| other == 4), None);
            assert_eq!(numbers.find(u64::MAX, |_| true), None);
        }
    }

    #[test]
    fn the_last_tag_is_no_empty_slot() {
        let mut numbers = Numbers::with_capacity(1);
        assert_eq!(numbers.find(u64::MAX, |_| true), None);
        numbers.insert(u64::MAX, 0);
        numbers.insert(u64::MAX, 1);
        assert_eq!(numbers.find(u64::MAX, |number| number == 1), Some(1));
        assert_eq!(numbers.find(u64::MAX, |number| number == 2), None);
    }
}
