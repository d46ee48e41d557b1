//! Separation of duties (SPEC section 4).

use crate::name::Label;
use crate::pattern::Pattern;
use alloc::string::String;
use serde::Serialize;

/// Two patterns that one user must not both hold. It denies nothing by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Conflict {
    /// What it is called in reports.
    pub name: Label,
    /// One duty.
    pub left: Pattern,
    /// The other duty.
    pub right: Pattern,
    /// Why the two must be apart, for people.
    pub reason: String,
}
