//! Patterns over resource ids: `*` stands for any run of characters, `?` for one.

/// Whether `text` fits `pattern`. A star first takes nothing, and one more character each time the rest does not fit;
/// only the last star is tried again, which is enough for globs and keeps this fast.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (mut rest, mut left) = (pattern.chars(), text.chars());
    let mut star = None;
    loop {
        let here = left.clone();
        match (rest.next(), left.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                left = here.clone();
                star = Some((rest.clone(), here));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after, mut taken)) = star else { return false };
                if taken.next().is_none() {
                    return false;
                }
                (rest, left) = (after.clone(), taken.clone());
                star = Some((after, taken));
            }
        }
    }
}

/// Whether an id, or the longer name it is part of (an ARN), fits one of the patterns.
pub(super) fn any(patterns: &[String], id: &str, name: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, id) || fits(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_wildcards_is_the_id_itself() {
        assert!(fits("i-1", "i-1"));
        assert!(!fits("i-1", "i-10"));
        assert!(!fits("i-1", "i-"));
        assert!(fits("", ""));
        assert!(!fits("", "x"));
    }

    #[test]
    fn a_star_stands_for_any_run_and_may_be_tried_again() {
        for (pattern, text, expected) in [
            ("bad-*", "bad-7", true),
            ("bad-*", "bad-", true),
            ("bad-*", "good-bad-7", false),
            ("*-bad", "a-bad-bad", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbx", false),
            ("*", "", true),
            ("?", "王", true),
            ("?", "", false),
            ("a?c*", "abcdef", true),
            ("arn:acs:ecs:*:instance/i-9*", "arn:acs:ecs:cn-hangzhou:1:instance/i-99", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
