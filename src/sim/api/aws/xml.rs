//! Documents of S3: tag sets in, tag sets and errors out.

use super::super::{super::reply::Reply, Refusal};
use quick_xml::{
    Reader,
    escape::{escape, unescape},
    events::Event,
};
use std::fmt::Write as _;

/// The tags of a document with this root and list: `<root><list><Tag><Key/><Value/></Tag></list></root>`. None for any
/// other form; every tag must have both of its elements.
pub(super) fn tags(body: &[u8], root: &str, list: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut path: Vec<String> = Vec::new();
    let mut tags = Vec::new();
    let (mut key, mut value, mut raw) = (None, None, String::new());
    let mut whole = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                raw.clear();
                path.push(tag.local_name().as_ref().to_owned());
                let known: [&str; 3] = [root, list, "Tag"];
                let fits = match path.len() {
                    1..=3 => known.get(path.len() - 1).is_some_and(|name| path.last().is_some_and(|last| last == name)),
                    4 => path.last().is_some_and(|name| name == "Key" || name == "Value"),
                    _ => false,
                };
                if !fits || whole {
                    return None;
                }
            }
            Event::Empty(tag) => match (path.len(), tag.local_name().as_ref()) {
                (1, name) if name == list => {}
                (3, "Value") => value = Some(String::new()),
                _ => return None,
            },
            Event::Text(text) => raw.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) => {
                raw.push('&');
                raw.push_str(&entity.xml10_content());
                raw.push(';');
            }
            Event::End(_) => {
                let text = unescape(&raw).ok()?.into_owned();
                match (path.len(), path.last().map(String::as_str)) {
                    (4, Some("Key")) => key = Some(text),
                    (4, Some("Value")) => value = Some(text),
                    (3, _) => tags.push((key.take()?, value.take()?)),
                    _ => {}
                }
                raw.clear();
                path.pop();
                whole = path.is_empty();
            }
            Event::Eof => return whole.then_some(tags),
            _ => {}
        }
    }
}

fn document(status: u16, body: &str, id: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    Reply::new(status, "application/xml", body).with("x-amz-request-id", id).with("x-amz-id-2", "sim")
}

/// What GetBucketTagging answers.
pub(super) fn tagging(tags: &[(String, String)], id: &str) -> Reply {
    let tags = tags.iter().fold(String::new(), |mut text, (key, value)| {
        // Writing to a string cannot fail.
        let _ = write!(text, "<Tag><Key>{}</Key><Value>{}</Value></Tag>", escape(key), escape(value));
        text
    });
    let space = "http://s3.amazonaws.com/doc/2006-03-01/";
    document(200, &format!("<Tagging xmlns=\"{space}\"><TagSet>{tags}</TagSet></Tagging>"), id)
}

/// An answer without a body.
pub(super) fn empty(status: u16, id: &str) -> Reply {
    Reply::new(status, "application/xml", "").with("x-amz-request-id", id).with("x-amz-id-2", "sim")
}

/// An error of S3. The region of a bucket goes into a header, or for a malformed signature into the body.
pub(super) fn error(why: &Refusal, id: &str) -> Reply {
    let in_body = why.code == "AuthorizationHeaderMalformed";
    let region = why.region.as_deref();
    let element = region.filter(|_| in_body).map(|region| format!("<Region>{}</Region>", escape(region)));
    let (code, message) = (escape(why.code.as_ref()), escape(why.message.as_str()));
    let body = format!(
        "<Error><Code>{code}</Code><Message>{message}</Message>{}<RequestId>{id}</RequestId><HostId>sim</HostId></Error>",
        element.unwrap_or_default()
    );
    let reply = document(why.status, &body, id);
    match region.filter(|_| !in_body) {
        Some(region) => reply.with("x-amz-bucket-region", region),
        None => reply,
    }
}

/// An error of S3 Control.
pub(super) fn control_error(why: &Refusal, id: &str) -> Reply {
    let (code, message) = (escape(why.code.as_ref()), escape(why.message.as_str()));
    let body = format!(
        "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
    );
    document(why.status, &body, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Vec<(String, String)>> {
        tags(body.as_bytes(), "Tagging", "TagSet")
    }

    #[test]
    fn a_set_is_read_with_everything_unescaped() {
        let body = "<Tagging xmlns='u'><TagSet><Tag><Key>k&lt;&amp;&#33;</Key><Value>王</Value></Tag>\
            <Tag><Key>e</Key><Value/></Tag></TagSet></Tagging>";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(read(body), Some(vec![pair("k<&!", "王"), pair("e", "")]));
        assert_eq!(read("<Tagging><TagSet/></Tagging>"), Some(vec![]));
    }

    #[test]
    fn any_other_form_is_none() {
        for body in [
            "",
            "<Tagging>",
            "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>",
            "<Tagging><TagSet><Tag><Value>k</Value></Tag></TagSet></Tagging>",
            "<Tagging><Tags/></Tagging>",
            "<Other><TagSet/></Other>",
            "<Tagging><TagSet/></Tagging><Tagging><TagSet/></Tagging>",
            "{}",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
