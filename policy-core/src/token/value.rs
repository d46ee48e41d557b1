//! A value of a claim, of whatever type it is, without a copy where the text has no escapes.

use super::decimal::Decimal;
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// What a JSON value is, as far as claims can use it. Read so, a claim of a wrong type can be named; an error of the reader
/// could only say that something is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value<'a> {
    /// None at all: the member is not there.
    Absent,
    Null,
    Integer(i64),
    /// Any other number.
    Decimal(Decimal<'a>),
    Text(Cow<'a, str>),
    /// A list of texts only.
    Texts(Vec<Cow<'a, str>>),
    /// Anything else.
    Other,
}
