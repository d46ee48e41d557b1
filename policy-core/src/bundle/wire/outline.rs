//! A payload looked through before anything is made of it: whether it is whole, and what its numbers refer to.

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
}

impl<'a> Outline<'a> {
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(payload);
        let modules = texts(reader)?;
        reader.each(|reader| {
            reader.text()?;
            reader.number()?;
            reader.text().map(drop)
        })?;
        let mut roles = Vec::new();
        reader.each(|reader| {
            roles.push(reader.text()?);
            reader.text()?;
            reader.skip_texts()?;
            reader.skip_numbers()?;
            reader.skip_texts()
        })?;
        reader.each(|reader| (0..4).try_for_each(|_| reader.text().map(drop)))?;
        reader.each(|reader| {
            reader.text()?;
            reader.flag()?;
            reader.text()?;
            reader.moment()?;
            reader.text().map(drop)
        })?;
        let spellings = texts(reader)?;
        reader.each(|reader| {
            reader.text()?;
            reader.skip_numbers()
        })?;
        Ok(Self { modules, roles, spellings, trailing: reader.left() })
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
    fn skip_texts(&mut self) -> Result<(), Malformed> {
        self.each(|reader| reader.text().map(drop))
    }

    fn skip_numbers(&mut self) -> Result<(), Malformed> {
        self.each(|reader| reader.number().map(drop))
    }
}
