//! Circles among the rows of a table that a way follows as far as it leads: groups that are in themselves.

use std::collections::BTreeMap;

/// A circle, as its values in order, and how many values lie on circles or between two of them.
pub(super) fn find(edges: &[(String, String)]) -> Option<(usize, Vec<String>)> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for (from, to) in edges {
        for name in [from, to] {
            let next = numbers.len();
            numbers.entry(name).or_insert(next);
        }
    }
    let number = |name: &str| numbers.get(name).copied().unwrap_or_default();
    let edges: Vec<(usize, usize)> = edges.iter().map(|(from, to)| (number(from), number(to))).collect();
    let forth = remaining(numbers.len(), &edges);
    let back: Vec<(usize, usize)> = edges
        .iter()
        .filter(|(from, to)| forth.contains(from) && forth.contains(to))
        .map(|&(from, to)| (to, from))
        .collect();
    let left = remaining(numbers.len(), &back);
    let mut next: BTreeMap<usize, usize> = BTreeMap::new();
    for (from, to) in edges {
        if left.contains(&from) && left.contains(&to) {
            next.entry(from).or_insert(to);
        }
    }
    // Each value that is left leads to another that is left, so that going on comes back.
    let mut walked: Vec<usize> = Vec::new();
    let mut at = *left.first()?;
    while !walked.contains(&at) {
        walked.push(at);
        at = *next.get(&at)?;
    }
    let names: BTreeMap<usize, &str> = numbers.iter().map(|(name, number)| (*number, *name)).collect();
    let circle = walked.into_iter().skip_while(|walked| *walked != at);
    Some((
        left.len(),
        circle.filter_map(|number| names.get(&number)).map(|name| (*name).to_owned()).collect(),
    ))
}

/// What is left of the values when those to which nothing leads are taken away, again and again.
fn remaining(count: usize, edges: &[(usize, usize)]) -> std::collections::BTreeSet<usize> {
    let mut arriving = vec![0_usize; count];
    let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); count];
    for &(from, to) in edges {
        if let (Some(arriving), Some(leaving)) = (arriving.get_mut(to), leaving.get_mut(from)) {
            *arriving = arriving.saturating_add(1);
            leaving.push(to);
        }
    }
    let mut free: Vec<usize> = (0..count).filter(|value| arriving.get(*value) == Some(&0)).collect();
    let mut left: std::collections::BTreeSet<usize> = (0..count).collect();
    while let Some(value) = free.pop() {
        left.remove(&value);
        for &to in leaving.get(value).into_iter().flatten() {
            if let Some(arriving) = arriving.get_mut(to) {
                *arriving = arriving.saturating_sub(1);
                if *arriving == 0 {
                    free.push(to);
                }
            }
        }
    }
    left
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::find;

    fn edges(text: &str) -> Vec<(String, String)> {
        text.split_whitespace()
            .map(|edge| edge.split_once('>').unwrap())
            .map(|(from, to)| (from.to_owned(), to.to_owned()))
            .collect()
    }

    #[test]
    fn a_tree_has_none() {
        for tree in ["", "a>b", "a>b a>c b>d c>d", "a>b b>c a>c"] {
            assert_eq!(find(&edges(tree)), None, "{tree}");
        }
    }

    #[test]
    fn a_circle_is_named_in_its_order() {
        assert_eq!(find(&edges("a>a")).unwrap(), (1, vec!["a".to_owned()]));
        let (count, circle) = find(&edges("x>b b>c c>d d>b d>y")).unwrap();
        assert_eq!((count, circle.len()), (3, 3));
        for (from, to) in circle.iter().zip(circle.iter().skip(1)) {
            assert!(["b>c", "c>d", "d>b"].contains(&format!("{from}>{to}").as_str()), "{circle:?}");
        }
    }
}
