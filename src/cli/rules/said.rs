//! A job as lines that people compare, and what is different between two of them.

use crate::{cli::report::plain, job::Resource};

/// A job in lines: its lane, its resources, its tags, in an order that does not depend on how it was made.
pub(super) fn lines<'j>(
    lane: &str,
    resources: impl Iterator<Item = &'j Resource>,
    set: impl Iterator<Item = (&'j str, &'j str)>,
    unset: impl Iterator<Item = &'j str>,
    update: bool,
) -> Vec<String> {
    let mut resources: Vec<String> = resources.map(|one| format!("  on  {}", resource(one))).collect();
    let mut tags: Vec<String> = set.map(|(key, value)| format!("  set {} = {}", plain(key), plain(value))).collect();
    let mut keys: Vec<String> = unset.map(|key| format!("  unset {}", plain(key))).collect();
    for all in [&mut resources, &mut tags, &mut keys] {
        all.sort();
    }
    let head = format!("job in lane {}{}", plain(lane), if update { ", replacing tags that are there" } else { "" });
    [vec![head], resources, tags, keys].concat()
}

/// A resource: its id, and what else its provider has to know.
pub(super) fn resource(resource: &Resource) -> String {
    let more: Vec<&str> = resource.kind.iter().chain(&resource.project).map(|word| &**word).collect();
    match more.as_slice() {
        [] => plain(&resource.id),
        more => plain(&format!("{} ({})", resource.id, more.join(", "))),
    }
}

/// Both texts as one: lines of the first alone with `-`, of the second alone with `+`.
pub(super) fn difference(first: &[String], second: &[String]) -> Vec<String> {
    // How many lines from here on are the same, for every place of both.
    let width = second.len() + 1;
    let mut same = vec![0_u32; (first.len() + 1) * width];
    let at = |same: &[u32], one: usize, two: usize| same.get(one * width + two).copied().unwrap_or(0);
    for (one, line) in first.iter().enumerate().rev() {
        for (two, other) in second.iter().enumerate().rev() {
            let length = if line == other {
                at(&same, one + 1, two + 1) + 1
            } else {
                at(&same, one + 1, two).max(at(&same, one, two + 1))
            };
            if let Some(place) = same.get_mut(one * width + two) {
                *place = length;
            }
        }
    }
    let (mut one, mut two, mut lines) = (0, 0, Vec::new());
    loop {
        match (first.get(one), second.get(two)) {
            (None, None) => return lines,
            (Some(line), Some(other)) if line == other => {
                lines.push(format!("  {line}"));
                (one, two) = (one + 1, two + 1);
            }
            (Some(line), other) if other.is_none() || at(&same, one + 1, two) >= at(&same, one, two + 1) => {
                lines.push(format!("- {line}"));
                one += 1;
            }
            (_, Some(other)) => {
                lines.push(format!("+ {other}"));
                two += 1;
            }
            // The arm before takes it.
            (Some(_), None) => one += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_is_on_one_side_only() {
        let text = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let difference = |one: &str, two: &str| difference(&text(one), &text(two)).join(",");
        assert_eq!(difference("a b c", "a b c"), "  a,  b,  c");
        assert_eq!(difference("a b c", "a x c"), "  a,- b,+ x,  c");
        assert_eq!(difference("", "a"), "+ a");
        assert_eq!(difference("a b", ""), "- a,- b");
        assert_eq!(difference("a b", "b c"), "- a,  b,+ c");
    }
}
