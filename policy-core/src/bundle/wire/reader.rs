//! Numbers and texts out of a payload.

use super::super::BundleError;
use alloc::string::String;

/// What of a payload was not read yet.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// What is wrong with a payload.
#[derive(Clone, Copy)]
pub(super) enum Malformed {
    Unreadable(&'static str),
    NotCanonical,
}

const ENDS_EARLY: Malformed = Malformed::Unreadable("it ends too early");
const NUMBER: Malformed = Malformed::Unreadable("a number in it is too large");

impl Malformed {
    pub(super) fn into_error(self) -> BundleError {
        match self {
            Self::Unreadable(why) => BundleError::Malformed(String::from(why)),
            Self::NotCanonical => BundleError::NotCanonical,
        }
    }
}

impl From<Malformed> for BundleError {
    fn from(malformed: Malformed) -> Self {
        malformed.into_error()
    }
}

impl<'a> Reader<'a> {
    pub(super) const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// How many bytes were not read yet.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (byte, rest) = self.rest.split_first().ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// A number of at most 64 bits, seven bits a byte, the lowest first.
    fn long(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            // A number is written in as few bytes as it takes.
            if byte == 0 && shift > 0 {
                return Err(Malformed::NotCanonical);
            }
            let bits = u64::from(byte & 0x7f);
            number |= bits << shift;
            if number >> shift != bits {
                return Err(NUMBER);
            }
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(NUMBER)
    }

    /// A number of at most 32 bits.
    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.long()?).map_err(|_| NUMBER)
    }

    /// The length of something of which each piece takes a byte at least.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        self.count_of(1)
    }

    /// The length of something of which each piece takes so many bytes at least.
    pub(super) fn count_of(&mut self, bytes: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.long()?).map_err(|_| ENDS_EARLY)?;
        if count.saturating_mul(bytes) > self.rest.len() { Err(ENDS_EARLY) } else { Ok(count) }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.count()?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(ENDS_EARLY)?;
        self.rest = rest;
        core::str::from_utf8(text).map_err(|_| Malformed::Unreadable("a text in it is not UTF-8"))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Unreadable("what is either so or not in it is neither")),
        }
    }

    pub(super) fn moment(&mut self) -> Result<Option<i64>, Malformed> {
        if !self.flag()? {
            return Ok(None);
        }
        let zigzag = self.long()?;
        Ok(Some((zigzag >> 1).cast_signed() ^ if zigzag & 1 == 0 { 0 } else { -1 }))
    }

    /// Calls `read` for each entry of a list.
    pub(super) fn each<E: From<Malformed>>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        for _ in 0..self.count()? {
            read(self)?;
        }
        Ok(())
    }
}
