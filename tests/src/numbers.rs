//! How many cases a generated suite makes, and from which seeds: `PBAC_CASES` and `PBAC_SEED`.

use std::env;

/// As many as `PBAC_CASES` asks for, but never fewer than usual.
///
/// # Panics
/// When `PBAC_CASES` is no number.
pub fn cases(usual: u64) -> u64 {
    number("PBAC_CASES").unwrap_or(usual).max(usual)
}

/// `PBAC_SEED`, so that a failure can be repeated; without it the same one each time.
///
/// # Panics
/// When `PBAC_SEED` is no number.
pub fn first_seed() -> u64 {
    number("PBAC_SEED").unwrap_or(20_260_101)
}

/// Seeds without an end, spread over all numbers, from [`first_seed`] on.
pub fn seeds() -> impl Iterator<Item = u64> {
    let first = first_seed();
    (0_u64..).map(move |at| first.wrapping_add(at.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, not a number")))
}
