//! A provider's words without what must not be repeated: signed text, keys, tokens and tag values.

use std::sync::Arc;

/// Put where something was cut out.
const CUT: &str = "…";

/// Where signature errors begin to quote the request: Alibaba Cloud V1 and V3, Huawei Cloud.
const QUOTES: [&str; 5] =
    ["server string to sign", "string to sign", "stringtosign", "canonicalrequest", "canonical request"];

/// The message up to the first quoted request, without keys, tokens and the call's tag values.
///
/// A value of plain ASCII is cut out where it stands alone and has at least three characters (a shorter one names
/// nobody, and cutting `1` would maim every sentence); any other value wherever it occurs.
pub(super) fn scrub(message: &str, tags: &[(Arc<str>, Arc<str>)]) -> String {
    let mut text: String = message.chars().take(8192).collect();
    let lower = text.to_ascii_lowercase();
    if let Some(at) = QUOTES.iter().filter_map(|quote| lower.find(quote)).min() {
        text.truncate(at);
        text.push_str(CUT);
    }
    let mut values: Vec<&str> =
        tags.iter().map(|(_, value)| &**value).filter(|value| !value.trim().is_empty()).collect();
    // The longest first: cutting "prod" out of "prod-eu" would leave the rest of the longer value behind.
    values.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    for value in values {
        text = without_value(&text, value);
    }
    without_keys(&text)
}

fn without_value(text: &str, value: &str) -> String {
    if value.is_ascii() && value.len() < 3 {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, found) = rest.split_at(at);
        let after = found.get(value.len()..).unwrap_or_default();
        out.push_str(before);
        let alone = !out.ends_with(joins) && !after.starts_with(joins);
        out.push_str(if alone || !value.is_ascii() { CUT } else { value });
        rest = after;
    }
    out + rest
}

fn joins(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

/// Cuts out words that look like an access key or a token.
fn without_keys(text: &str) -> String {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '%' | '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !part_of_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(if is_key(word) { CUT } else { word });
        let mut chars = after.chars();
        out.extend(chars.next());
        rest = chars.as_str();
    }
    out
}

/// Alibaba Cloud keys start with `LTAI`, AWS and Huawei Cloud keys are 20 capitals and digits, tokens are long.
fn is_key(word: &str) -> bool {
    let capitals = word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let mixed = word.bytes().any(|b| b.is_ascii_uppercase()) && word.bytes().any(|b| b.is_ascii_digit());
    (word.starts_with("LTAI") && word.len() >= 12) || (word.len() == 20 && capitals && mixed) || word.len() >= 60
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(values: &[&str]) -> Vec<(Arc<str>, Arc<str>)> {
        values.iter().map(|&value| ("k".into(), value.into())).collect()
    }

    #[test]
    fn a_quoted_request_is_cut_off() {
        for quote in [
            "Specified signature is not matched with our calculation. server string to sign is:POST&%2F&AccessKeyId",
            "Specified signature is not matched with our calculation. server StringToSign is [POST / a=b]",
        ] {
            let text = scrub(quote, &[]);
            assert!(text.starts_with("Specified signature is not matched with our calculation. "), "{text}");
            assert!(!text.contains("POST"), "{text}");
        }
    }

    #[test]
    fn tag_values_are_cut_out_where_they_stand_alone() {
        let tags = tags(&["prod", "prod-eu", "王", "20", ""]);
        assert_eq!(scrub("value 'prod-eu' and prod of a product", &tags), "value '…' and … of a product");
        assert_eq!(scrub("值王无效, the maximum is 20", &tags), "值…无效, the maximum is 20");
    }

    #[test]
    fn keys_and_tokens_are_cut_out() {
        let token = "A1b2".repeat(20);
        let text = format!("no key LTAI5tEXAMPLEKEYID00, AKIDEXAMPLE0HUAWEI00 or {token}; rm-uf6wjk5aaaaaaa stays");
        assert_eq!(scrub(&text, &[]), "no key …, … or …; rm-uf6wjk5aaaaaaa stays");
    }

    #[test]
    fn ids_stay_readable() {
        let text = "a28531fa-a8d5-468e-8417-86a80962ee5e e1eb7c40cbea4c8389cde527594a306d arn:acs:ecs:*:*:instance/i-1";
        assert_eq!(scrub(text, &[]), text);
    }
}
