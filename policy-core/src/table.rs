//! Texts kept end to end in one allocation, each with a number, found by hash.

use crate::error::LimitError;
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
    /// The texts in the order given.
    pub(crate) fn collect<'a>(mut texts: impl Iterator<Item = &'a str>) -> Result<Self, LimitError> {
        Self::of(&mut texts)
    }

    /// One function for texts from wherever they come.
    #[inline(never)]
    fn of(texts: &mut dyn Iterator<Item = &str>) -> Result<Self, LimitError> {
        let mut all = Self::default();
        for text in texts {
            all.push(text)?;
        }
        all.text.shrink_to_fit();
        all.ends.shrink_to_fit();
        Ok(all)
    }

    fn push(&mut self, text: &str) -> Result<(), LimitError> {
        self.text.push_str(text);
        LimitError::check("bytes of names", u32::MAX as usize, self.text.len())?;
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text with this number; empty when there is none.
    pub(crate) fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let start = match at.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before).copied().unwrap_or(u32::MAX),
        };
        let end = self.ends.get(at).copied().unwrap_or(0);
        self.text.get(start as usize..end as usize).unwrap_or_default()
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
        let mut finder = Self { numbers: HashTable::with_capacity(texts.len()), seed };
        for (text, number) in texts.iter().zip(0_u32..) {
            let hash = finder.hash(text);
            insert(&mut finder.numbers, hash, number, &|other| hash_text(seed, texts.get(other)));
        }
        finder
    }

    /// The number of `text` among `texts`, which must be those the finder was made for.
    pub(crate) fn find(&self, texts: &Texts, text: &str) -> Option<u32> {
        self.numbers.find(self.hash(text), |&number| texts.get(number) == text).copied()
    }

    fn hash(&self, text: &str) -> u64 {
        hash_text(self.seed, text)
    }
}

/// Adds a number that is not there. One function for whatever the numbers stand for, since a table that grows is much code.
#[inline(never)]
pub(crate) fn insert(numbers: &mut HashTable<u32>, hash: u64, number: u32, hash_of: &dyn Fn(u32) -> u64) {
    numbers.insert_unique(hash, number, |&other| hash_of(other));
}

fn hash_text(seed: u64, text: &str) -> u64 {
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}
