//! A payload looked through before anything is made of it: whether it is whole, what its numbers refer to, and what a policy made of
//! it would take.

use super::super::BundleError;
use super::reader::{Malformed, Reader};
use alloc::vec::Vec;

/// What was found.
pub(super) struct Outline<'a> {
    pub(super) modules: Vec<&'a str>,
    /// The names of the roles.
    pub(super) roles: Vec<&'a str>,
    pub(super) spellings: Vec<&'a str>,
    /// How many bytes follow.
    pub(super) trailing: usize,
    /// An upper bound for the bytes that the policy takes while it is made, or its compiled form but for its sets.
    pub(super) memory: u64,
}

/// What the outline of a payload may take: a byte of it may be an empty text, which is a pointer and a length in a list that may be
/// half empty and is being copied.
pub(super) const fn memory_of(payload: &[u8]) -> u64 {
    (payload.len() as u64).saturating_mul(size_of::<[usize; 6]>() as u64)
}

/// What an entry of each kind may take, in words: in its list, which may be half empty and is being copied, in the lists that are made
/// while it is checked and written, and in allocations of its own. For a compiled form it is about as much.
mod words {
    pub(super) const PERMISSION: usize = 48;
    pub(super) const ROLE: usize = 160;
    pub(super) const CONFLICT: usize = 56;
    pub(super) const OVERRIDE: usize = 64;
    pub(super) const USER: usize = 48;
    /// A pattern, alias or number in a list of somebody's.
    pub(super) const REFERENCE: usize = 32;
}

/// How often a text may be there at one time: in its own allocation, and in a table of all of them that is being copied.
const COPIES: usize = 3;

impl<'a> Outline<'a> {
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(payload);
        let mut words = 0_usize;
        let mut add = |count: usize, each: usize| words = words.saturating_add(count.saturating_mul(each));
        let modules = texts(reader)?;
        let mut permissions = 0_usize;
        reader.each(|reader| {
            reader.text()?;
            reader.number()?;
            permissions = permissions.saturating_add(1);
            reader.text().map(drop)
        })?;
        add(permissions, words::PERMISSION);
        let mut roles = Vec::new();
        let mut inherited = 0_usize;
        reader.each(|reader| {
            roles.push(reader.text()?);
            reader.text()?;
            add(reader.skip_texts()?, words::REFERENCE);
            let numbers = reader.skip_numbers()?;
            inherited = inherited.saturating_add(numbers);
            add(numbers, words::REFERENCE);
            add(reader.skip_texts()?, words::REFERENCE);
            add(1, words::ROLE);
            Ok::<_, Malformed>(())
        })?;
        reader.each(|reader| {
            add(1, words::CONFLICT);
            (0..4).try_for_each(|_| reader.text().map(drop))
        })?;
        reader.each(|reader| {
            add(1, words::OVERRIDE);
            reader.text()?;
            reader.flag()?;
            reader.text()?;
            reader.moment()?;
            reader.text().map(drop)
        })?;
        let spellings = texts(reader)?;
        let mut spelled = 0_usize;
        reader.each(|reader| {
            reader.text()?;
            let numbers = reader.skip_numbers()?;
            spelled = spelled.saturating_add(numbers);
            add(numbers, words::REFERENCE);
            add(1, words::USER);
            Ok::<_, Malformed>(())
        })?;
        // A text is there again for every number that refers to it.
        let referred = [(permissions, &modules), (inherited, &roles), (spelled, &spellings)];
        let mut bytes = payload.len().saturating_mul(1_usize.saturating_add(COPIES.saturating_mul(2)));
        for (count, list) in referred {
            let longest = list.iter().map(|text| text.len()).max().unwrap_or(0);
            bytes = bytes.saturating_add(count.saturating_mul(longest).saturating_mul(COPIES));
        }
        let memory = (words as u64).saturating_mul(size_of::<usize>() as u64).saturating_add(bytes as u64);
        Ok(Self { modules, roles, spellings, trailing: reader.left(), memory })
    }

    /// The entry of a list that a number refers to.
    pub(super) fn numbered(
        &self,
        what: &'static str,
        list: &[&'a str],
        number: u32,
    ) -> Result<&'a str, BundleError> {
        let unknown = BundleError::UnknownNumber { what, number, count: list.len() };
        list.get(number as usize).copied().ok_or(unknown)
    }
}

fn texts<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a str>, Malformed> {
    let mut texts = Vec::new();
    reader.each(|reader| {
        texts.push(reader.text()?);
        Ok::<_, Malformed>(())
    })?;
    Ok(texts)
}

impl Reader<'_> {
    /// Skips a list of texts and says how many there were.
    fn skip_texts(&mut self) -> Result<usize, Malformed> {
        let count = self.count()?;
        (0..count).try_for_each(|_| self.text().map(drop))?;
        Ok(count)
    }

    /// Skips a list of numbers and says how many there were.
    fn skip_numbers(&mut self) -> Result<usize, Malformed> {
        let count = self.count()?;
        (0..count).try_for_each(|_| self.number().map(drop))?;
        Ok(count)
    }
}
