//! Lengths of time as people write them: `500ms`, `90s`, `15m`, `6h`, `7d`.

use std::time::Duration;

/// Reads a whole number with its unit.
pub fn read(text: &str) -> Result<Duration, String> {
    let bad = || "expected a length of time such as 500ms, 90s, 15m, 6h or 7d".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(bad)?;
    let number: u64 = number.parse().map_err(|_| bad())?;
    let seconds = match unit.trim_start() {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_a_bare_number_is_not() {
        let cases = [("500ms", 500), ("90s", 90_000), ("15m", 900_000), ("6h", 21_600_000), ("7d", 604_800_000)];
        for (text, milliseconds) in cases {
            assert_eq!(read(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["", "6", "h", "-1s", "1.5h", "1h30m", "6 hours", "99999999999999999999d", "999999999999999999d", "é"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
