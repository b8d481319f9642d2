//! One CSV record to its cells, after RFC 4180.
//!
//! Ours rather than a library's because a bad row is kept byte for byte, is named by the line it starts at, and must
//! not drag the rows behind it along.

/// Why a record has no cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A quoted cell goes on behind the end of the record.
    Open,
    /// Text stands between a closing quote and the next comma.
    Junk,
}

/// The cells of one record, reused from row to row.
#[derive(Debug, Default)]
pub(super) struct Cells {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    /// Takes the record apart. It comes without its line end.
    pub(super) fn split(&mut self, record: &[u8]) -> Result<(), Broken> {
        self.bytes.clear();
        self.ends.clear();
        let mut rest = record;
        loop {
            let more = if let Some(quoted) = rest.strip_prefix(b"\"") {
                self.quoted(quoted)?
            } else {
                let end = rest.iter().position(|b| *b == b',');
                self.bytes.extend_from_slice(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default());
                end.and_then(|end| rest.get(end + 1..))
            };
            self.ends.push(self.bytes.len());
            match more {
                Some(more) => rest = more,
                None => return Ok(()),
            }
        }
    }

    /// The rest of a cell behind its opening quote; gives what follows its comma.
    fn quoted<'r>(&mut self, mut rest: &'r [u8]) -> Result<Option<&'r [u8]>, Broken> {
        loop {
            let quote = rest.iter().position(|b| *b == b'"').ok_or(Broken::Open)?;
            self.bytes.extend_from_slice(rest.get(..quote).unwrap_or_default());
            rest = rest.get(quote + 1..).unwrap_or_default();
            match rest.split_first() {
                None => return Ok(None),
                Some((b'"', more)) => {
                    self.bytes.push(b'"');
                    rest = more;
                }
                Some((b',', more)) => return Ok(Some(more)),
                Some(_) => return Err(Broken::Junk),
            }
        }
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The cells in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let cell = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            cell
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(record: &str) -> Result<Vec<String>, Broken> {
        let mut cells = Cells::default();
        cells.split(record.as_bytes())?;
        assert_eq!(cells.len(), cells.iter().count());
        Ok(cells.iter().map(|cell| String::from_utf8(cell.to_vec()).unwrap()).collect())
    }

    #[test]
    fn cells_are_taken_apart_as_rfc_4180_says() {
        assert_eq!(split("a,b,c").unwrap(), ["a", "b", "c"]);
        assert_eq!(split("a,,").unwrap(), ["a", "", ""]);
        assert_eq!(split("").unwrap(), [""]);
        assert_eq!(split(r#""a,b","say ""hi""","""#).unwrap(), ["a,b", r#"say "hi""#, ""]);
        assert_eq!(split(r#""a"""#).unwrap_err(), Broken::Open);
        assert_eq!(split("\"two\nlines\",x").unwrap(), ["two\nlines", "x"]);
        assert_eq!(split(r#"5" disk,x"#).unwrap(), ["5\" disk", "x"], "a quote inside a plain cell is a character");
        assert_eq!(split(r#""a"b,c"#).unwrap_err(), Broken::Junk);
        assert_eq!(split(r#""open,c"#).unwrap_err(), Broken::Open);
    }
}
