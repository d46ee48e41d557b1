//! What the calls of the ABI answer, as numbers: `ABI.md` lists them, and they never change their meaning.

use policy_core::Answer;
use policy_core::token::TokenError;

/// Why a call was not carried out. It denies, as every error does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Code {
    /// The handle was freed, never given out, or stands for another kind of thing.
    BadHandle = -16,
    /// A length is negative, or leads past the end of the input buffer.
    BadLength = -17,
    /// A text is not UTF-8.
    BadText = -18,
    /// The items of a list do not add up to its length.
    BadList = -19,
    /// The permission number is none of this policy.
    BadPermission = -20,
    /// The bundle is refused.
    BadBundle = -21,
    /// The key ring is refused.
    BadRing = -22,
    /// It might take more memory than there is.
    OutOfMemory = -23,
    /// No more objects can be made.
    TooMany = -24,
    /// The session is not valid at this time.
    Stale = -25,
}

impl Code {
    const ALL: [Self; 10] = [
        Self::BadHandle,
        Self::BadLength,
        Self::BadText,
        Self::BadList,
        Self::BadPermission,
        Self::BadBundle,
        Self::BadRing,
        Self::OutOfMemory,
        Self::TooMany,
        Self::Stale,
    ];

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    const fn text(self) -> &'static str {
        match self {
            Self::BadHandle => {
                "bad handle: it was freed, never given out, or stands for another kind of thing"
            }
            Self::BadLength => {
                "bad length: it is negative, or the lengths together are more than the input buffer has; call `pbac_input` with their sum"
            }
            Self::BadText => "bad text: it is not UTF-8",
            Self::BadList => {
                "bad list: each item is a length of 4 bytes, little-endian, and so many bytes, and together they are the list"
            }
            Self::BadPermission => {
                "bad permission number: it is none of this policy; look it up again with `pbac_permission_id`"
            }
            Self::BadBundle => "the bundle is refused; the output buffer says why",
            Self::BadRing => "the key ring is refused; the output buffer says why",
            Self::OutOfMemory => {
                "out of memory: it might take more than the limit of `pbac_init`, or than the host lets the module have"
            }
            Self::TooMany => "too many objects: free some, or make a new instance",
            Self::Stale => "the session is not valid at this time: resolve it again",
        }
    }
}

/// The number of an answer. Greater than 0 is allowed, and nothing else is.
#[must_use]
pub(crate) const fn number(answer: Answer) -> i32 {
    match answer {
        Answer::AllowedByRole => 1,
        Answer::AllowedByOverride => 2,
        Answer::NoGrant => 0,
        Answer::ExplicitDeny => -1,
        Answer::UnknownPermission => -2,
        Answer::InvalidRequest => -3,
    }
}

const FIRST_OF_TOKENS: i32 = -64;

/// The number for a token that is refused.
#[must_use]
pub(crate) fn token_number(error: TokenError) -> i32 {
    // By their words: a claim's name is no part of the number.
    let place = TokenError::ALL.iter().position(|known| known.reason() == error.reason());
    let place = place.and_then(|place| i32::try_from(place).ok()).unwrap_or(i32::MAX);
    FIRST_OF_TOKENS.saturating_sub(place)
}

/// A sentence for a number, or nothing for one that means nothing.
#[must_use]
pub fn describe(number: i32) -> &'static str {
    if let Some(code) = Code::ALL.into_iter().find(|code| code.number() == number) {
        return code.text();
    }
    let token = usize::try_from(FIRST_OF_TOKENS.saturating_sub(number)).ok();
    if let Some(error) = token.and_then(|place| TokenError::ALL.get(place)) {
        return error.reason();
    }
    match number {
        1 => "allowed by a role",
        2 => "allowed by an override of the user",
        0 => "denied: nothing grants it",
        -1 => "denied by an override of the user",
        -2 => "denied: the permission is not in the catalog",
        -3 => "denied: this is no permission, or no user id",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_document() {
        let codes = Code::ALL.map(Code::number);
        assert_eq!(codes, [-16, -17, -18, -19, -20, -21, -22, -23, -24, -25]);
        assert!(codes.iter().all(|&code| !describe(code).is_empty()));
        assert_eq!(token_number(TokenError::TooLong), -64);
        assert_eq!(token_number(TokenError::BadSignature), -73);
        assert_eq!(token_number(TokenError::InvalidClaim("roles")), -77);
        assert_eq!(token_number(TokenError::WrongAudience), -82);
        assert_eq!(describe(-82), "wrong_audience");
        assert_eq!(
            [describe(-83), describe(-26), describe(3), describe(i32::MIN), describe(i32::MAX)],
            [""; 5]
        );
    }

    #[test]
    fn only_what_is_allowed_is_greater_than_zero() {
        use Answer::*;
        for answer in
            [AllowedByRole, AllowedByOverride, NoGrant, ExplicitDeny, UnknownPermission, InvalidRequest]
        {
            assert_eq!(number(answer) > 0, answer.is_allowed());
        }
    }
}
