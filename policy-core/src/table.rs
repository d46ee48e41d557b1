//! Texts kept end to end in one allocation, each with a number, found by hash.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Texts with the numbers 0, 1, 2 … in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    text: String,
    ends: Vec<u32>,
}

impl Texts {
    /// The texts in the order given, which together have fewer bytes than 32 bits count.
    pub(crate) fn collect<'a>(mut texts: impl Iterator<Item = &'a str>) -> Self {
        Self::of(&mut texts)
    }

    /// One function for texts from wherever they come.
    #[inline(never)]
    fn of(texts: &mut dyn Iterator<Item = &str>) -> Self {
        let mut all = Self::default();
        for text in texts {
            all.text.push_str(text);
            all.ends.push(u32::try_from(all.text.len()).unwrap_or(u32::MAX));
        }
        all.text.shrink_to_fit();
        all.ends.shrink_to_fit();
        all
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text with this number; empty when there is none.
    pub(crate) fn get(&self, number: u32) -> &str {
        let (start, end) = self.span(number);
        self.text.get(start..end).unwrap_or_default()
    }

    #[inline(always)]
    fn bytes(&self, number: u32) -> &[u8] {
        let (start, end) = self.span(number);
        self.text.as_bytes().get(start..end).unwrap_or_default()
    }

    /// Where the text lies; nowhere when there is none.
    #[inline(always)]
    fn span(&self, number: u32) -> (usize, usize) {
        let at = number as usize;
        let start = match at.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or(u32::MAX),
        };
        let end = self.ends.get(at).copied().unwrap_or(0);
        (start as usize, end as usize)
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|number| self.get(u32::try_from(number).unwrap_or(u32::MAX)))
    }
}

/// Finds the number of a text.
///
/// The hash is seeded from the policy's content hash, so that names that collide cannot be chosen beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    numbers: HashTable<u32>,
    seed: u64,
}

impl Finder {
    /// A finder for texts that are all different.
    pub(crate) fn new(texts: &Texts, seed: u64) -> Self {
        let mut numbers = HashTable::with_capacity(texts.len());
        for (text, number) in texts.iter().zip(0_u32..) {
            let hash = hash_text(seed, text);
            insert(&mut numbers, hash, number, &|other| hash_text(seed, texts.get(other)));
        }
        Self { numbers, seed }
    }

    /// The number of `text` among `texts`, which must be those the finder was made for.
    pub(crate) fn find(&self, texts: &Texts, text: &str) -> Option<u32> {
        let hash = hash_text(self.seed, text);
        self.numbers.find(hash, |&number| same(texts.bytes(number), text.as_bytes())).copied()
    }
}

/// Adds a number that is not there. One function for whatever the numbers stand for, since a table that grows is much code.
#[inline(never)]
pub(crate) fn insert(numbers: &mut HashTable<u32>, hash: u64, number: u32, hash_of: &dyn Fn(u32) -> u64) {
    numbers.insert_unique(hash, number, |&other| hash_of(other));
}

/// Whether the texts are the same. Most are short, and a call to compare them would take longer than to do it: in words, of which the
/// last may reach back into the one before.
#[inline(always)]
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if let (Some(last), Some(other_last)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
        return last == other_last && words.into_iter().all(|(one, other)| one == other);
    }
    if let (Some(last), Some(other_last)) = (one.last_chunk::<4>(), other.last_chunk::<4>()) {
        return last == other_last && one.first_chunk::<4>() == other.first_chunk::<4>();
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

#[inline(always)]
fn hash_text(seed: u64, text: &str) -> u64 {
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}
