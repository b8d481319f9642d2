//! The rules that every tag, id and time of a job holds to, whatever it was read from.

use jiff::Timestamp;

/// Longest tag key, in characters: the most that any of our clouds allows.
pub const KEY_CHARS: usize = 128;
/// Longest tag value, in characters.
pub const VALUE_CHARS: usize = 256;
/// Longest resource id, in bytes.
pub const ID_BYTES: usize = 2048;
/// Longest type, project, source or batch, in characters.
pub const WORD_CHARS: usize = 512;

/// Whether this may be a tag key. The text never shows the key: the caller names it as it likes.
pub fn key(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("the key is empty".into());
    }
    plain("the key", key, KEY_CHARS)
}

/// Whether this may be a tag value. The text never shows the value.
pub fn value(value: &str) -> Result<(), String> {
    plain("the value", value, VALUE_CHARS)
}

/// Whether this may be the id of a resource.
pub fn id(id: &str) -> Result<(), String> {
    if id.len() > ID_BYTES {
        return Err(format!("the id has {} bytes, at most {ID_BYTES} are allowed", id.len()));
    }
    word("the id", id, ID_BYTES)
}

/// Whether this may be a type or a project.
pub fn word(what: &str, text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    if text.chars().any(|c| c.is_whitespace() && !c.is_control()) {
        return Err(format!("{what} holds a space"));
    }
    plain(what, text, most)
}

/// Whether this is text for people and logs: a source, a batch.
pub fn label(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    plain(what, text, WORD_CHARS)
}

fn plain(what: &str, text: &str, most: usize) -> Result<(), String> {
    // Bytes first: counting characters is only needed where it can matter.
    if text.len() > most {
        let chars = text.chars().count();
        if chars > most {
            return Err(format!("{what} has {chars} characters, at most {most} are allowed"));
        }
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} holds a control character"));
    }
    Ok(())
}

/// Reads a time as RFC 3339 spells it. jiff alone would also take spellings that no schema can describe.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let bad = || "not a time such as 2026-01-31T12:00:00Z".to_owned();
    if !is_rfc3339(text.as_bytes()) {
        return Err(bad());
    }
    text.parse().map_err(|_| bad())
}

fn is_rfc3339(text: &[u8]) -> bool {
    let Some((date, rest)) = text.split_at_checked(19) else { return false };
    let shape = date.iter().zip(b"0000-00-00T00:00:00").all(|(c, form)| match form {
        b'0' => c.is_ascii_digit(),
        _ => c == form,
    });
    let rest = match rest.split_first() {
        Some((b'.', rest)) => {
            let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
            if !(1..=9).contains(&digits) {
                return false;
            }
            rest.get(digits..).unwrap_or_default()
        }
        _ => rest,
    };
    let zone = match rest {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            matches!((h1, h2), (b'0' | b'1', b'0'..=b'9') | (b'2', b'0'..=b'3'))
                && matches!((m1, m2), (b'0'..=b'5', b'0'..=b'9'))
        }
        _ => false,
    };
    shape && zone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(key(&"ü".repeat(128)), Ok(()));
        assert!(key(&"ü".repeat(129)).is_err());
        assert_eq!(value(&"ü".repeat(256)), Ok(()));
        assert!(value(&"x".repeat(257)).is_err());
        assert!(id(&"ü".repeat(1025)).is_err());
    }

    #[test]
    fn only_one_spelling_of_a_time_is_read() {
        for good in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00+05:30"] {
            assert!(time(good).is_ok(), "{good}");
        }
        for bad in [
            "2026-01-31 12:00:00Z",
            "20260131T120000Z",
            "2026-02-30T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00Z[UTC]",
            "now",
            "",
        ] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
