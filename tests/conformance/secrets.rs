//! What must never show, and what must always change.

use crate::data::{Sample, at, key, reply};
use tagmill::provider::{Answer, Credential, Op};

const SECRET: &str = "SecretNobodyMaySee";
const TOKEN: &str = "TokenNobodyMaySee";
const NOW: &str = "2025-01-02T03:04:05Z";

fn credentials() -> [Credential; 2] {
    [key("AccessKey", SECRET, Some(TOKEN), Some("account")), Credential::Token(TOKEN.into())]
}

#[test]
fn debug_output_shows_no_secret_and_no_tag_value() {
    for sample in Sample::all() {
        for v1 in [false, true] {
            let provider = sample.with(|settings| settings.signature_v1 = v1).unwrap();
            for credential in credentials() {
                let call = sample.call(Op::Set);
                let request = provider.encode(&call, sample.memo(&call).as_ref(), &credential, &at(NOW, "n-1"));
                let reply = reply(200, &[("x-subject-token", TOKEN)], SECRET.as_bytes());
                let memo = sample.memo(&call);
                let shown = format!("{request:?} {credential:?} {call:?} {reply:?} {provider:?} {memo:?}");
                for hidden in [SECRET, TOKEN, "Signature", "alice", "authorization"] {
                    assert!(!shown.contains(hidden), "{}: {shown}", sample.entry.name);
                }
            }
        }
    }
}

#[test]
fn the_secret_key_is_in_no_request() {
    for sample in Sample::all() {
        for v1 in [false, true] {
            let provider = sample.with(|settings| settings.signature_v1 = v1).unwrap();
            for op in [Op::Set, Op::Unset] {
                let [key, _] = credentials();
                let call = sample.call(op);
                let request = provider.encode(&call, sample.memo(&call).as_ref(), &key, &at(NOW, "n-1"));
                let sent = format!("{} {:?} {}", request.url, request.headers, String::from_utf8_lossy(&request.body));
                assert!(!sent.contains(SECRET), "{}", sample.entry.name);
                assert!(sent.contains(TOKEN), "{}: a temporary key sends its token", sample.entry.name);
            }
        }
    }
}

#[test]
fn the_same_moment_signs_the_same_and_another_one_differently() {
    for sample in Sample::all() {
        for v1 in [false, true] {
            let provider = sample.with(|settings| settings.signature_v1 = v1).unwrap();
            let [key, _] = credentials();
            let call = sample.call(Op::Set);
            let memo = sample.memo(&call);
            let encode = |now, nonce| provider.encode(&call, memo.as_ref(), &key, &at(now, nonce));
            let first = encode(NOW, "n-1");
            assert_eq!(first, encode(NOW, "n-1"), "{}", sample.entry.name);
            assert_ne!(first, encode("2025-01-02T03:04:06Z", "n-1"), "{}: the time is signed", sample.entry.name);
            // Huawei Cloud's signature has no nonce: the time alone makes it new.
            if sample.entry.name.starts_with("alibaba-") {
                assert_ne!(first, encode(NOW, "n-2"), "{}: the nonce is signed", sample.entry.name);
                let signature = |request: &tagmill::provider::HttpRequest| {
                    let header = request.headers.iter().find(|(name, _)| name == "authorization");
                    header.map_or_else(|| request.url.clone(), |(_, value)| value.clone())
                };
                let tail = |text: String| text.rsplit("Signature=").next().unwrap().to_owned();
                assert_ne!(tail(signature(&first)), tail(signature(&encode(NOW, "n-2"))));
            }
        }
    }
}

#[test]
fn a_message_repeats_neither_the_signed_text_nor_a_tag_value() {
    for sample in Sample::all() {
        let message = "value 'alice' refused for LTAI5tEXAMPLEKEYID00. server string to sign is:POST&prod&quoted";
        let body = serde_json::json!({
            "Code": "SignatureDoesNotMatch", "Message": message, "error_code": "APIGW.0301", "error_msg": message,
            "__type": "InvalidSignatureException", "message": message,
        });
        let answer = sample.decode(&sample.call(Op::Set), &reply(403, &[], body.to_string().as_bytes()));
        let Answer::Failure(failure) = answer else { panic!("{}", sample.entry.name) };
        for hidden in ["alice", "LTAI5tEXAMPLEKEYID00", "POST", "quoted"] {
            assert!(!failure.message.contains(hidden), "{}: {}", sample.entry.name, failure.message);
        }
        assert!(failure.message.starts_with("value '"), "{}: {}", sample.entry.name, failure.message);
    }
}

#[test]
fn tags_cannot_break_out_of_a_request() {
    let evil: &str = "a\"}],\"x\":[{\"&Tag.9.Key=z#?/%0d\r\n\u{0}王";
    for sample in Sample::all() {
        for v1 in [false, true] {
            let provider = sample.with(|settings| settings.signature_v1 = v1).unwrap();
            let mut call = sample.call(Op::Set);
            call.tags = vec![(evil.into(), evil.into())];
            let [key, _] = credentials();
            let request = provider.encode(&call, sample.memo(&call).as_ref(), &key, &at(NOW, "n-1"));
            let printable = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
            assert!(printable(&request.url) && !request.url.contains('#'), "{}: {}", sample.entry.name, request.url);
            assert!(request.headers.iter().all(|(name, value)| printable(name) && printable(value)));
            if let Ok(body) = serde_json::from_slice::<serde_json::Value>(&request.body) {
                // A list of pairs in one of two spellings, or a map.
                let pair = body["tags"][0]["key"] == evil || body["Tags"][0]["Key"] == evil;
                let whole = pair || body["Tags"].get(evil).is_some_and(|value| value == evil);
                assert!(body.get("x").is_none() && whole, "{}: {body}", sample.entry.name);
            } else {
                let text = format!("{}&{}", request.url, String::from_utf8_lossy(&request.body));
                assert!(!text.contains("&Tag.9.Key"), "{}: {text}", sample.entry.name);
            }
        }
    }
}
