//! Sets of permissions as bits, each different set kept once.

use crate::catalog::PermissionId;
use crate::table;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// How many permissions a word holds.
const WORD_BITS: usize = u64::BITS as usize;

/// How many words a set over `permissions` permissions takes.
pub(crate) const fn words_for(permissions: usize) -> usize {
    permissions.div_ceil(WORD_BITS)
}

/// Where a permission is in a set: the word, and the bit in it.
const fn place(permission: PermissionId) -> (usize, u64) {
    let (word, bit) = (permission.index() / WORD_BITS, 1_u64 << (permission.index() % WORD_BITS));
    (word, bit)
}

/// Whether the set holds the permission.
#[inline(always)]
pub(crate) fn contains(set: &[u64], permission: PermissionId) -> bool {
    let (word, bit) = place(permission);
    set.get(word).is_some_and(|word| word & bit != 0)
}

/// Adds the permission to a set that has room for it.
pub(crate) fn insert(set: &mut [u64], permission: PermissionId) {
    let (word, bit) = place(permission);
    if let Some(word) = set.get_mut(word) {
        *word |= bit;
    }
}

/// Adds the permissions from number `first` to before number `end`, a word at a time.
pub(crate) fn insert_run(set: &mut [u64], first: u16, end: u16) {
    let (first, end) = (usize::from(first), usize::from(end));
    for (at, word) in set.iter_mut().enumerate().skip(first / WORD_BITS).take(end.div_ceil(WORD_BITS)) {
        let base = at.saturating_mul(WORD_BITS);
        *word |= below(end.saturating_sub(base)) & !below(first.saturating_sub(base));
    }
}

/// How many words of a set a run touches.
pub(crate) fn run_words(first: u16, end: u16) -> usize {
    words_for(usize::from(end.saturating_sub(first))).saturating_add(1)
}

/// The word whose lowest `bits` bits are set.
fn below(bits: usize) -> u64 {
    match u32::try_from(bits) {
        Ok(bits) if bits < u64::BITS => !u64::MAX.unbounded_shl(bits),
        _ => u64::MAX,
    }
}

/// Takes away all of `other`.
pub(crate) fn subtract(set: &mut [u64], other: &[u64]) {
    for (word, less) in set.iter_mut().zip(other) {
        *word &= !less;
    }
}

/// Adds all of `other`.
pub(crate) fn unite(set: &mut [u64], other: &[u64]) {
    for (word, more) in set.iter_mut().zip(other) {
        *word |= more;
    }
}

/// The permissions of the set, least first.
pub(crate) fn members(set: &[u64]) -> impl Iterator<Item = PermissionId> {
    set.iter().enumerate().flat_map(|(at, &word)| {
        let first = at.saturating_mul(WORD_BITS);
        let mut rest = word;
        core::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let bit = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            u16::try_from(first.saturating_add(bit)).ok().map(PermissionId)
        })
    })
}

/// The number of a set in a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SetId(u32);

/// Sets of one width, each kept once, end to end.
#[derive(Clone, Debug)]
pub(crate) struct SetPool {
    words: Vec<u64>,
    width: usize,
}

impl SetPool {
    /// The set with this number.
    #[inline(always)]
    pub(crate) fn get(&self, id: SetId) -> &[u64] {
        let start = (id.0 as usize).saturating_mul(self.width);
        self.words.get(start..start.saturating_add(self.width)).unwrap_or_default()
    }

    /// How many words one set takes.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// A set with nothing in it, to fill.
    pub(crate) fn empty(&self) -> Vec<u64> {
        vec![0; self.width]
    }

    /// How many bytes the sets take.
    pub(crate) fn bytes(&self) -> usize {
        core::mem::size_of_val(self.words.as_slice())
    }
}

/// Fills a pool.
pub(crate) struct SetInterner {
    pool: SetPool,
    /// Numbers of sets.
    known: HashTable<u32>,
    hasher: FixedState,
}

impl SetInterner {
    /// A pool of sets over `permissions` permissions, with nothing in it.
    pub(crate) fn new(permissions: usize, seed: u64) -> Self {
        Self {
            pool: SetPool { words: Vec::new(), width: words_for(permissions) },
            known: HashTable::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// The number of this set, which is added unless it is there.
    pub(crate) fn intern(&mut self, set: &[u64]) -> SetId {
        let hash = hash_set(&self.hasher, set);
        if let Some(&id) = self.known.find(hash, |&id| self.pool.get(SetId(id)) == set) {
            return SetId(id);
        }
        let id = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.pool.words.extend_from_slice(set);
        let (pool, hasher) = (&self.pool, &self.hasher);
        table::insert(&mut self.known, hash, id, &|id| hash_set(hasher, pool.get(SetId(id))));
        SetId(id)
    }

    /// The sets so far.
    pub(crate) const fn pool(&self) -> &SetPool {
        &self.pool
    }

    /// The full pool.
    pub(crate) fn finish(mut self) -> SetPool {
        self.pool.words.shrink_to_fit();
        self.pool
    }
}

fn hash_set(hasher: &FixedState, set: &[u64]) -> u64 {
    let mut hasher = hasher.build_hasher();
    for word in set {
        hasher.write_u64(*word);
    }
    hasher.finish()
}
