//! A command line cut into its words, the way a shell would, without a shell.

/// The program and its arguments. White space parts words; quotes keep it; a backslash takes the next character as it is,
/// except between single quotes. None when a quote is not closed or there is no word.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_as_a_shell_parts_them() {
        let cut = |line: &str| words(line).map(|words| words.join("|"));
        assert_eq!(cut("  get-key  --profile a ").as_deref(), Some("get-key|--profile|a"));
        assert_eq!(cut(r#"a 'b c' "d 'e' \" f" g\ h ''"#).as_deref(), Some(r#"a|b c|d 'e' " f|g h|"#));
        assert_eq!((cut("a 'b"), cut("  ")), (None, None));
    }
}
