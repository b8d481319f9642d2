//! "Did you mean": the known word closest to one that is not known.

/// The candidate that a small slip of the keyboard turns into `word`, if there is one.
///
/// Case and `_` against `-` cost nothing; a swap, a missing, an extra or a wrong letter cost one each, and a
/// third of the word may be wrong.
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // A word nobody typed by hand is not worth the quadratic comparison.
    if word.len() > 64 {
        return None;
    }
    let word = folded(word);
    let allowed = (word.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &folded(candidate)), candidate))
        .filter(|(far, candidate)| *far <= allowed && *far < candidate.chars().count())
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// `, did you mean "x"?` or nothing.
pub fn hint<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    closest(word, candidates).map(|known| format!("; did you mean {known}?")).unwrap_or_default()
}

fn folded(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '-' { '_' } else { c }).flat_map(char::to_lowercase).collect()
}

/// Edit distance with swaps of neighbours (optimal string alignment), three rows at a time.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&above, column) + usize::from(from != to))
                .min(at(&above, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped = row > 0
                && column > 0
                && left.get(row - 1) == Some(to)
                && right.get(column - 1) == Some(from)
                && from != to;
            if swapped {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            current.push(cost);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(left.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["resources", "set", "unset", "lane", "created_at", "priority"];
        let cases = [
            ("resource", Some("resources")),
            ("resuorces", Some("resources")),
            ("Lane", Some("lane")),
            ("created-at", Some("created_at")),
            ("createdat", Some("created_at")),
            ("prio", None),
            ("x", None),
            ("colour", None),
            ("unste", Some("unset")),
        ];
        for (word, expected) in cases {
            assert_eq!(closest(word, known), expected, "{word}");
        }
        assert_eq!(closest(&"r".repeat(100_000), known), None);
    }
}
