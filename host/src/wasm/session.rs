//! What a user may do, as a set of bits outside the module.

use policy_core::Timestamp;

use super::error::WasmError;

/// How many bytes stand before the words.
const HEADER: usize = 24;

/// What a user may do from one moment until another, resolved once: each check is a bit test and calls nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionSet {
    from: Timestamp,
    until: Option<Timestamp>,
    /// What the numbers of the policy's permissions have in their upper half.
    policy: u32,
    permissions: u32,
    words: Box<[u64]>,
}

impl SessionSet {
    /// Whether the user may, while the session is valid. A number of another policy is denied.
    #[inline]
    #[must_use]
    pub fn allows_id(&self, permission: i32) -> bool {
        let Ok(number) = u32::try_from(permission) else { return false };
        let place = number & 0xffff;
        let word = usize::try_from(place >> 6).ok().and_then(|word| self.words.get(word));
        number >> 16 == self.policy && word.is_some_and(|word| word >> (place & 63) & 1 == 1)
    }

    /// Whether the session still says what a check says at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|end| now < end)
    }

    /// From when on it holds no more; none where nothing ends it.
    #[must_use]
    pub const fn valid_until(&self) -> Option<Timestamp> {
        self.until
    }

    /// How many permissions the catalog has.
    #[must_use]
    pub const fn permission_count(&self) -> u32 {
        self.permissions
    }

    /// The places in the catalog of what the user may do, in byte order of the names.
    pub fn places(&self) -> impl Iterator<Item = u32> {
        let id = |place: u32| place.cast_signed() | (self.policy << 16).cast_signed();
        (0..self.permissions).filter(move |&place| self.allows_id(id(place)))
    }

    /// Reads what the module wrote.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, WasmError> {
        let short = || WasmError::BadAnswer("a set of too few bytes".to_owned());
        let (header, rest) = bytes.split_at_checked(HEADER).ok_or_else(short)?;
        let (times, numbers) = header.split_at_checked(16).ok_or_else(short)?;
        let (times, _) = times.as_chunks::<8>();
        let (numbers, _) = numbers.as_chunks::<4>();
        let (&[from, until], &[policy, permissions]) = (times, numbers) else { return Err(short()) };
        let (words, tail) = rest.as_chunks::<8>();
        let permissions = u32::from_le_bytes(permissions);
        if !tail.is_empty() || usize::try_from(permissions.div_ceil(64)) != Ok(words.len()) {
            return Err(short());
        }
        let until = i64::from_le_bytes(until);
        Ok(Self {
            from: Timestamp::from_micros(i64::from_le_bytes(from)),
            until: (until != i64::MAX).then(|| Timestamp::from_micros(until)),
            policy: u32::from_le_bytes(policy),
            permissions,
            words: words.iter().map(|word| u64::from_le_bytes(*word)).collect(),
        })
    }
}
