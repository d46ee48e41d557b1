//! "Did you mean": the known name that a wrong one was probably meant to be.

/// Names longer than this, in bytes, are not compared: the comparison costs the product of both lengths.
const MAX_COMPARED_BYTES: usize = 64;

/// The candidate nearest to `wanted`, when one is near enough to be a slip; the first of several. Looks at `most`
/// candidates at most.
pub(super) fn nearest<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Option<&'a str> {
    if wanted.len() > MAX_COMPARED_BYTES {
        return None;
    }
    let wanted = wanted.to_lowercase();
    // One slip in three characters; two exchanged ones are one slip.
    let allowed = wanted.chars().count().div_ceil(3).min(3);
    let candidates = candidates.into_iter().take(most);
    let near =
        candidates.filter(|candidate| candidate.len().abs_diff(wanted.len()) <= allowed.saturating_mul(4));
    near.filter(|candidate| candidate.len() <= MAX_COMPARED_BYTES)
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|&(slips, _)| slips <= allowed)
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn forgives_a_slip_and_not_another_word() {
        let keys = ["description", "grants", "inherits", "aliases"];
        assert_eq!(nearest("grant", keys, 9), Some("grants"));
        assert_eq!(nearest("Grants", keys, 9), Some("grants"));
        assert_eq!(nearest("inherit", keys, 9), Some("inherits"));
        assert_eq!(nearest("alaises", keys, 9), Some("aliases"));
        assert_eq!(nearest("permissions", keys, 9), None);
        assert_eq!(nearest("", keys, 9), None);
        assert_eq!(nearest("grant", keys, 1), None);
    }
}
