//! The three fields of an XML error, read without trusting the rest of it.

use super::classify::Told;
use quick_xml::{Reader, events::Event};

/// Code, message and request id of a body whose root is `<Error>` or `<ErrorResponse>`; none for anything else.
///
/// Total: HTML, cut-off XML and plain noise are None, or as much as could be read before they went wrong.
pub(super) fn read_error(body: &[u8]) -> Option<Told> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::from_str(text);
    let mut told = Told::default();
    let (mut path, mut words): (Vec<String>, String) = (Vec::new(), String::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                let name = tag.local_name().as_ref().to_owned();
                if path.is_empty() && name != "Error" && name != "ErrorResponse" {
                    return None;
                }
                words.clear();
                path.push(name);
            }
            Ok(Event::End(_)) => {
                let text = words.trim().to_owned();
                match path.pop().as_deref() {
                    Some("Code") if Told::is_code(&text) => told.code = told.code.or(Some(text)),
                    Some("Message") if told.message.is_empty() => told.message = text,
                    Some("RequestId") if !text.is_empty() => told.request_id = told.request_id.or(Some(text)),
                    _ => {}
                }
                words.clear();
                if path.is_empty() {
                    return Some(told);
                }
            }
            Ok(Event::Eof) | Err(_) => return told.code.is_some().then_some(told),
            Ok(event) => collect(&event, &mut words),
        }
    }
}

/// The text of the first element of that name in an error body, such as the region of a redirect.
pub(super) fn field(body: &[u8], name: &str) -> Option<String> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut words = None;
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) if tag.local_name().as_ref() == name => words = Some(String::new()),
            Ok(Event::End(_)) if words.is_some() => return words.map(|text: String| text.trim().to_owned()),
            Ok(Event::Eof) | Err(_) => return None,
            Ok(event) => {
                if let Some(words) = &mut words {
                    collect(&event, words);
                }
            }
        }
    }
}

/// Adds what an event says in words; one that says nothing adds nothing.
pub(super) fn collect(event: &Event<'_>, words: &mut String) {
    match event {
        Event::Text(piece) => words.push_str(&piece.xml10_content()),
        Event::CData(piece) => words.push_str(&piece.xml10_content()),
        Event::GeneralRef(entity) => words.extend(match entity.resolve_char_ref() {
            Ok(Some(c)) => Some(c),
            _ => predefined(&entity.xml10_content()),
        }),
        _ => {}
    }
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_xml_error_gives_its_three_fields() {
        let body = b"<?xml version='1.0'?>\n<Error><RequestId>R-1</RequestId><HostId>h</HostId>\
            <Code>Throttling.User</Code><Message>slow &lt;down&gt; &amp; wait&#33;</Message></Error>";
        let told = read_error(body).expect("an error");
        assert_eq!(told.code.as_deref(), Some("Throttling.User"));
        assert_eq!((told.message.as_str(), told.request_id.as_deref()), ("slow <down> & wait!", Some("R-1")));
    }

    #[test]
    fn a_wrapped_error_is_read_too() {
        let body =
            b"<ErrorResponse xmlns=\"u\"><Error><Code>A.B</Code></Error><RequestId>R</RequestId></ErrorResponse>";
        let told = read_error(body).expect("an error");
        assert_eq!((told.code.as_deref(), told.request_id.as_deref()), (Some("A.B"), Some("R")));
    }

    #[test]
    fn what_is_not_an_xml_error_is_none() {
        for body in [
            &b""[..],
            b"{\"Code\":\"x\"}",
            b"<html><body><Code>x</Code></body></html>",
            b"<Error",
            b"\xff\xfe",
            b"<a></b>",
        ] {
            assert_eq!(read_error(body), None);
        }
    }
}
