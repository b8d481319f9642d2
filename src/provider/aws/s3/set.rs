//! A bucket's tags as XML: read whole or not at all, written with everything escaped.

use crate::provider::{aws::rules, xml};
use quick_xml::{Reader, escape::escape, events::Event};
use std::{collections::BTreeMap, fmt::Write as _};

/// Every tag of a bucket, AWS's own included.
pub(super) type TagSet = BTreeMap<String, String>;

/// The tags of a `<Tagging><TagSet>` document. None unless it is complete: from half of a set the rest would be deleted.
pub(super) fn read(body: &[u8]) -> Option<TagSet> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut path: Vec<String> = Vec::new();
    let mut set = TagSet::new();
    let (mut words, mut key, mut value) = (String::new(), None, String::new());
    let (mut has_set, mut closed) = (false, false);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                path.push(tag.local_name().as_ref().to_owned());
                words.clear();
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                match names.as_slice() {
                    // A second document behind the first.
                    _ if closed => return None,
                    ["Tagging", "TagSet"] => has_set = true,
                    ["Tagging", "TagSet", "Tag"] => (key, value) = (None, String::new()),
                    ["Tagging", ..] => {}
                    _ => return None,
                }
            }
            Ok(Event::Empty(tag)) => match (path.len(), tag.local_name().as_ref()) {
                (1, "TagSet") => has_set = true,
                (0, _) => return None,
                // An empty value may come as an empty element.
                _ => {}
            },
            Ok(Event::End(_)) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                match names.as_slice() {
                    ["Tagging", "TagSet", "Tag", "Key"] => key = Some(std::mem::take(&mut words)),
                    ["Tagging", "TagSet", "Tag", "Value"] => value = std::mem::take(&mut words),
                    // Or without any element at all.
                    ["Tagging", "TagSet", "Tag"] => drop(set.insert(key.take()?, std::mem::take(&mut value))),
                    _ => {}
                }
                words.clear();
                path.pop();
                closed |= path.is_empty();
            }
            Ok(Event::Eof) => {
                let whole = closed && path.is_empty() && has_set && words.trim().is_empty();
                return whole.then_some(set);
            }
            Ok(event) => xml::collect(&event, &mut words),
            Err(_) => return None,
        }
    }
}

/// The body of PutBucketTagging.
pub(super) fn write(set: &TagSet) -> Vec<u8> {
    let tags = tags(set.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    format!(r#"<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>{tags}</TagSet></Tagging>"#)
        .into_bytes()
}

/// The body of S3 Control's TagResource.
pub(super) fn write_control<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let tags = tags(pairs);
    let space = "http://awss3control.amazonaws.com/doc/2018-08-20/";
    format!(r#"<TagResourceRequest xmlns="{space}"><Tags>{tags}</Tags></TagResourceRequest>"#).into_bytes()
}

fn tags<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    pairs.fold(String::new(), |mut text, (key, value)| {
        // Writing to a String cannot fail.
        let _ = write!(text, "<Tag><Key>{}</Key><Value>{}</Value></Tag>", escape(key), escape(value));
        text
    })
}

/// How many tags count against the quota: AWS's own do not.
pub(super) fn size(set: &TagSet) -> usize {
    set.keys().filter(|key| !rules::is_system(key)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> TagSet {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_was_written_is_read_again() {
        for pairs in [
            &[][..],
            &[("k<&>\"'", "王"), ("empty", ""), (" a b ", "  x  ")],
            &[("aws:cloudformation:stack-name", "s"), ("Project", "Project One")],
        ] {
            assert_eq!(read(&write(&set(pairs))), Some(set(pairs)));
        }
    }

    #[test]
    fn an_empty_value_comes_in_three_ways() {
        let body = b"<?xml version='1.0'?>\n<Tagging xmlns='u'><TagSet><Tag><Key>a</Key><Value></Value></Tag>\n\
            <Tag><Key>b</Key><Value/></Tag><Tag><Key>c</Key></Tag><Tag><Value>v</Value><Key>d&amp;&#33;</Key></Tag>\
            </TagSet></Tagging>\n";
        assert_eq!(read(body), Some(set(&[("a", ""), ("b", ""), ("c", ""), ("d&!", "v")])));
        assert_eq!(read(b"<Tagging><TagSet/></Tagging>"), Some(TagSet::new()));
    }

    #[test]
    fn half_a_set_is_no_set() {
        let whole = write(&set(&[("env", "prod"), ("owner", "alice")]));
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "cut at {cut}");
        }
        for body in [
            &b"<html></html>"[..],
            b"<Tagging></Tagging>",
            b"<Tagging/>",
            b"<Tagging><TagSet><Tag><Value>v</Value></Tag></TagSet></Tagging>",
            b"<Tagging><TagSet/></Tagging><Tagging><TagSet/></Tagging>",
            b"<Tagging><TagSet/></Tagging> and more",
            b"<Error><Code>NoSuchBucket</Code></Error>",
            b"\xff",
        ] {
            assert_eq!(read(body), None, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn tags_of_aws_do_not_count_against_the_quota() {
        assert_eq!(size(&set(&[("aws:x", "1"), ("env", "2"), ("owner", "3")])), 2);
    }
}
