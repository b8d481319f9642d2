//! One body to the JSON documents in it, byte for byte: one, an array of them, or one a line. Nothing is parsed here.

/// Why a body was not split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsplit {
    /// It holds more documents than this.
    TooMany(usize),
    /// It begins like an array and does not end like one.
    Unclosed,
}

/// The documents of a body: the elements of an array, or the body itself.
pub(super) fn documents(body: &[u8], most: usize) -> Result<Vec<&[u8]>, Unsplit> {
    let body = body.trim_ascii();
    let Some(inside) = body.strip_prefix(b"[") else { return Ok(vec![body]) };
    let (mut found, mut depth, mut begin, mut quoted, mut escaped) = (Vec::new(), 0_usize, 0, false, false);
    for (at, byte) in inside.iter().enumerate() {
        if quoted {
            (quoted, escaped) = (escaped || *byte != b'"', !escaped && *byte == b'\\');
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => depth += 1,
            b']' if depth == 0 => {
                let last = inside.get(begin..at).unwrap_or_default().trim_ascii();
                if !(last.is_empty() && found.is_empty()) {
                    found.push(last);
                }
                let rest = inside.get(at + 1..).unwrap_or_default();
                return if found.len() > most {
                    Err(Unsplit::TooMany(most))
                } else if rest.trim_ascii().is_empty() {
                    Ok(found)
                } else {
                    Err(Unsplit::Unclosed)
                };
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                found.push(inside.get(begin..at).unwrap_or_default().trim_ascii());
                begin = at + 1;
                if found.len() > most {
                    return Err(Unsplit::TooMany(most));
                }
            }
            _ => {}
        }
    }
    Err(Unsplit::Unclosed)
}

/// The lines of a body that hold something.
pub(super) fn lines(body: &[u8], most: usize) -> Result<Vec<&[u8]>, Unsplit> {
    let mut found = Vec::new();
    for line in body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        if found.len() == most {
            return Err(Unsplit::TooMany(most));
        }
        found.push(line);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn split(text: &str) -> Result<Vec<&str>, Unsplit> {
        documents(text.as_bytes(), 4).map(|all| all.into_iter().map(|one| std::str::from_utf8(one).unwrap()).collect())
    }

    #[test]
    fn elements_come_out_byte_for_byte() {
        assert_eq!(split(r#" {"a":1} "#).unwrap(), [r#"{"a":1}"#]);
        assert_eq!(
            split(r#"[{"a":"],[\"\\"} , {"b":[1,2]},3 ]"#).unwrap(),
            [r#"{"a":"],[\"\\"}"#, r#"{"b":[1,2]}"#, "3"]
        );
        assert_eq!(split("[]").unwrap(), Vec::<&str>::new());
        assert_eq!(split("[1,]").unwrap(), ["1", ""], "the parser complains of what is empty");
        assert_eq!(split("[1,2"), Err(Unsplit::Unclosed));
        assert_eq!(split("[1] 2"), Err(Unsplit::Unclosed));
        assert_eq!(split("[\"1]"), Err(Unsplit::Unclosed));
        assert_eq!(split("[1,2,3,4,5]"), Err(Unsplit::TooMany(4)));
        assert_eq!(lines(b"\n1\r\n\n 2 ", 2).unwrap(), [b"1", b"2"]);
        assert_eq!(lines(b"1\n2\n3", 2), Err(Unsplit::TooMany(2)));
    }

    proptest! {
        #[test]
        fn what_a_parser_finds_in_an_array_is_what_is_split(values in prop::collection::vec("[ -~]{0,20}", 0..4)) {
            let value: Value = values.iter().map(|text| serde_json::json!({"k": text, "l": [text, {"m": text}]})).collect();
            let text = serde_json::to_string_pretty(&value).unwrap();
            let found: Value = split(&text).unwrap().iter().map(|one| serde_json::from_str::<Value>(one).unwrap()).collect();
            prop_assert_eq!(found, value);
        }

        #[test]
        fn random_bytes_never_panic(body in prop::collection::vec(prop::sample::select(b"[]{},\"\\a1 \n".to_vec()), 0..60)) {
            let _ = documents(&body, 4);
            let _ = lines(&body, 4);
        }
    }
}
