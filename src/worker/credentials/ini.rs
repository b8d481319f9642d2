//! INI files as the clouds' tools write them: sections of keys and values, nothing else.

use std::collections::BTreeMap;

/// One section. No debug output: it holds secrets.
pub(super) type Section = BTreeMap<String, String>;

/// The sections of a file by name. Keys are in lower case; `#` and `;` begin a comment at the start of a line,
/// and ` #` ends a value. What is no section and no `key = value` is passed over.
pub(super) fn read(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let name = name.trim().to_owned();
            sections.entry(name.clone()).or_default();
            current = Some(name);
        } else if let (Some(name), Some((key, value))) = (&current, line.split_once('=')) {
            let value = value.split(" #").next().unwrap_or_default().trim();
            sections.entry(name.clone()).or_default().insert(key.trim().to_lowercase(), value.to_owned());
        }
    }
    sections
}

/// A value of a section that says something.
pub(super) fn text<'s>(section: &'s Section, key: &str) -> Option<&'s str> {
    section.get(key).map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_keys_and_comments_are_told_apart() {
        let file = "lost = 1\n# no\n[ default ]\nType = access_key # the kind\n key=a=b#c\n; no\nempty =\nodd\n[b]\n[b]\nx=1\n[default]\ny=2";
        let sections = read(file);
        let default = &sections["default"];
        assert_eq!(super::text(default, "type"), Some("access_key"));
        assert_eq!(super::text(default, "key"), Some("a=b#c"));
        assert_eq!((super::text(default, "empty"), super::text(default, "y")), (None, Some("2")));
        assert_eq!(super::text(&sections["b"], "x"), Some("1"));
        assert_eq!(sections.len(), 2);
    }
}
