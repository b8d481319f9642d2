//! Signatures made by openssl and by the test itself, and every way in which one does not fit.

use super::*;
use num_bigint::BigUint;

const CERTIFICATE: &[u8] = include_bytes!("certificate.pem");
/// The private exponent of that certificate, which was made for this test and protects nothing.
const PRIVATE: &str = "0952101f28769321a4da0c25ad323e88516e2c7f45b69c59c85255b65eaaa601d8358fbebc3f17aef6a820076e692080a326a60237060cbb8562506aa6ec15adfaa117d4b193bb96df0a399c2619da67181d7c3927526f04eb4a71cffbc0994fba9af028b267ca03da36d64dc6ae0459079339407424fe3589ac8f2c4974e92e1bdd521c7990b99b107bc8b24e8c846ceadbd5d400c4b77154631af8e30e2bb4a10442cf852b1a5af18e923eb950ec1bb169c9344888fe5f51b94b3be50e2e49ad6bf7c31ddfafd44efd8a3a47c80eda8a6324cdae1c0eb82db4be49c36ea0736391db990fb4b496ab7b3262a180c0b5f25dc5ef8ce0b38778e07a2e95b311b5";
const SIGNED_AT: i64 = 1_767_225_600_000;
const ADDRESS: &str = "https://tags.example.com/v1/events/alibaba?team=a";
const CERTIFICATE_AT: &str =
    "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_2021012501.pem";
const OUR_TOKEN: &str = "token-of-a-test";
const BODY: &[u8] = br#"{"specversion":"1.0","id":"e-1"}"#;
/// `openssl dgst -sha256 -sign` of the string as it is documented.
const BY_OPENSSL_V2: &str = "Uj2Vjl7xODwsZLrjohVHzvSNdTTLrrAYVXbSM4o8L5h6PMdfMUoK47i7vD4jmutbJlKGvYOgQ3z6jGw7U8VSoiWoQqjLYmEfoa/q9SR84tDQlHl5qrs4dDBAhkJQgvvjzVFderpq4fyxAymMKOTg0KrGCSbnncJybUnBFSinIWTd+k8GWiwaTK1tm04c7bDtyGgma0Txw1Ba+hrg54il6oR26/TRpIUL1WG9um6FLrvJbHxO1rW1bLB7AxeIMxOhKTk7jJSG3r24yn8fgHl9xQKm5G3Gf5KInn84imyZN6ug5Helrc31nG9I9XXsZqjkHFLQKjDshOUF0ns5/wljrQ==";
/// `openssl pkeyutl -sign` of `a-temporary-secret`, and `openssl dgst -sha1 -hmac` of the string as the vendor's own
/// library builds it.
const BY_OPENSSL_SECRET: &str = "lG3Y7BwouJN7iXx5uVbltZYr/UhoGhXjFnFkjg1BMUmLnV2JKc3MuI7VYb1XiJNdsZJ/Q4glFOy5P3jC8ifrvUelhz9Yuh2NomMbdfpLgay41yS2ReVs1jRzV67uZ2OsqK4/v2nwEk9rBdlvnYIRi4XVqOg658asoAfdTRLv9ftGhmTUpE38DRdNz5jI/y3qG/vtjrluLAyAa7BvgDhRLFulCNmhDzkF3mibCgUgiQxUDEeWYLODKwm+HmzxvlsE6CtTE66b8xCDBvcsl68dLhl8wJxAC1bMBw46iJjJMNikIhcOnjAAbCi2zarTGksSkowQlE/Y6/KD3PJCF75tqA==";
const BY_OPENSSL_V1: &str = "6p/iTs6YO8Z5wb0QPQ5m+cCNDvw=";

type Headers = Vec<(&'static str, String)>;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn common(token: bool) -> Headers {
    let mut headers =
        vec![(TIMESTAMP, SIGNED_AT.to_string()), (VERSION, "1.0".to_owned()), (URL, CERTIFICATE_AT.to_owned())];
    if token {
        headers.push((TOKEN, OUR_TOKEN.to_owned()));
    }
    headers
}

fn v2(token: bool, signature: &str) -> Headers {
    let mut headers = common(token);
    headers.extend([(HASH_METHOD, "SHA256".to_owned()), (SIGNATURE_V2, signature.to_owned())]);
    headers
}

fn v1(token: bool, signature: &str) -> Headers {
    let mut headers = common(token);
    headers.extend([
        (METHOD, "HMAC-SHA1".to_owned()),
        (SECRET, BY_OPENSSL_SECRET.to_owned()),
        (SIGNATURE_V1, signature.to_owned()),
    ]);
    headers
}

fn with(mut headers: Headers, name: &'static str, value: &str) -> Headers {
    headers.retain(|(header, _)| *header != name);
    headers.push((name, value.to_owned()));
    headers
}

fn without(mut headers: Headers, name: &str) -> Headers {
    headers.retain(|(header, _)| *header != name);
    headers
}

fn key() -> PublicKey {
    PublicKey::from_pem(CERTIFICATE).unwrap()
}

/// The operation of whoever holds the private key, on a block of any form.
fn close(block: &[u8]) -> String {
    let private = BigUint::parse_bytes(PRIVATE.as_bytes(), 16).unwrap();
    let modulus = BigUint::from_bytes_be(&key_modulus());
    let closed = BigUint::from_bytes_be(block).modpow(&private, &modulus).to_bytes_be();
    BASE64_STANDARD.encode([vec![0; 256 - closed.len()], closed].concat())
}

fn key_modulus() -> Vec<u8> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(CERTIFICATE).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let x509_parser::public_key::PublicKey::RSA(key) = certificate.public_key().parsed().unwrap() else { panic!() };
    key.modulus.to_vec()
}

fn padded(content: &[u8], padding: usize) -> Vec<u8> {
    [&[0, 1][..], &vec![0xff; padding], &[0], content].concat()
}

fn check(expected: &Expected, headers: &Headers, now: i64, url: &str, body: &[u8]) -> Result<(), Refused> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let claim = expected.claim(&headers, at(now))?;
    assert_eq!(claim.certificate_url(), CERTIFICATE_AT);
    claim.check(&key(), &[url], body)
}

fn ours() -> Expected {
    Expected::new(&["cn-hangzhou".to_owned()], Some(OUR_TOKEN))
}

#[test]
fn what_openssl_signed_is_taken_in_both_versions() {
    assert_eq!(check(&ours(), &v2(true, BY_OPENSSL_V2), SIGNED_AT, ADDRESS, BODY), Ok(()));
    assert_eq!(check(&ours(), &v1(true, BY_OPENSSL_V1), SIGNED_AT, ADDRESS, BODY), Ok(()));
}

#[test]
fn the_address_may_be_one_of_several_and_has_to_be_one() {
    let headers = v2(true, BY_OPENSSL_V2);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let claim = ours().claim(&headers, at(SIGNED_AT)).unwrap();
    assert_eq!(claim.check(&key(), &["https://other.example.com/", ADDRESS], BODY), Ok(()));
    assert_eq!(claim.check(&key(), &["https://other.example.com/"], BODY), Err(Refused::Signature));
    assert_eq!(claim.check(&key(), &[], BODY), Err(Refused::Signature));
}

/// Signs in version 2 whatever is to be signed.
fn signed(text: &str) -> String {
    close(&padded(&[&key::SHA256[..], &Sha256::digest(text)].concat(), 256 - 3 - 51))
}

#[test]
fn every_documented_spelling_of_what_is_signed_is_taken_and_no_other() {
    let lines = format!("{TIMESTAMP}: {SIGNED_AT}\n{HASH_METHOD}: SHA256\n{VERSION}: 1.0\n{URL}: {CERTIFICATE_AT}\n");
    let body = std::str::from_utf8(BODY).unwrap();
    let open = Expected::new(&[], None);
    for text in [
        format!("{ADDRESS}\n{lines}{body}"),
        format!("{ADDRESS}\n{lines}{body}\n"),
        format!("{ADDRESS}\n{lines}{TOKEN}: \n{body}"),
        format!("{ADDRESS}\n{lines}{TOKEN}: \n{body}\n"),
    ] {
        assert_eq!(check(&open, &v2(false, &signed(&text)), SIGNED_AT, ADDRESS, BODY), Ok(()), "{text}");
    }
    for text in [
        format!("{ADDRESS}{lines}{body}"),
        format!("{ADDRESS}\n{lines}{body}\n\n"),
        format!("{ADDRESS}\n{lines}{TOKEN}: {OUR_TOKEN}\n{body}"),
        format!("{lines}{body}"),
        body.to_owned(),
        String::new(),
    ] {
        let refused = check(&open, &v2(false, &signed(&text)), SIGNED_AT, ADDRESS, BODY);
        assert_eq!(refused, Err(Refused::Signature), "{text}");
    }
}

#[test]
fn whatever_was_changed_on_the_way_does_not_fit() {
    for headers in [v2(true, BY_OPENSSL_V2), v1(true, BY_OPENSSL_V1)] {
        let no = Err(Refused::Signature);
        assert_eq!(check(&ours(), &headers, SIGNED_AT, ADDRESS, br#"{"specversion":"1.0","id":"e-2"}"#), no);
        assert_eq!(check(&ours(), &headers, SIGNED_AT, "https://tags.example.com/v1/events/alibaba", BODY), no);
        let later = with(headers.clone(), TIMESTAMP, &(SIGNED_AT + 1).to_string());
        assert_eq!(check(&ours(), &later, SIGNED_AT, ADDRESS, BODY), no);
        assert_eq!(check(&ours(), &with(headers, VERSION, "2.0"), SIGNED_AT, ADDRESS, BODY), no);
    }
}

#[test]
fn a_message_is_good_for_a_minute_either_way() {
    for headers in [v2(true, BY_OPENSSL_V2), v1(true, BY_OPENSSL_V1)] {
        for apart in [-60_000, 0, 60_000] {
            assert_eq!(check(&ours(), &headers, SIGNED_AT + apart, ADDRESS, BODY), Ok(()), "{apart}");
        }
        for apart in [-60_001, 60_001, 3_600_000] {
            let refused = check(&ours(), &headers, SIGNED_AT + apart, ADDRESS, BODY);
            assert_eq!(refused, Err(Refused::Late(apart / 1_000)), "{apart}");
        }
        for odd in ["1767225600000.0", "now", "99999999999999999999999", "0x10"] {
            let refused = check(&ours(), &with(headers.clone(), TIMESTAMP, odd), SIGNED_AT, ADDRESS, BODY);
            assert_eq!(refused, Err(Refused::Odd(TIMESTAMP)), "{odd}");
        }
        let extreme = with(headers, TIMESTAMP, &i64::MIN.to_string());
        assert!(matches!(check(&ours(), &extreme, SIGNED_AT, ADDRESS, BODY), Err(Refused::Late(_))));
    }
}

#[test]
fn the_token_is_asked_for_where_one_is_configured() {
    for headers in [v2(true, BY_OPENSSL_V2), v1(true, BY_OPENSSL_V1)] {
        let other = Expected::new(&[], Some("another"));
        assert_eq!(check(&other, &headers, SIGNED_AT, ADDRESS, BODY), Err(Refused::Token));
        assert_eq!(check(&ours(), &without(headers, TOKEN), SIGNED_AT, ADDRESS, BODY), Err(Refused::Token));
    }
}

#[test]
fn version_1_is_refused_without_a_token_since_anybody_can_make_it() {
    // Whoever has once been sent this secret opens it with the public key, and signs what he likes with it.
    let lines = format!("{TIMESTAMP}: {SIGNED_AT}\n{METHOD}: HMAC-SHA1\n{VERSION}: 1.0\n{URL}: {CERTIFICATE_AT}\n");
    let secret = key().opened(&BASE64_STANDARD.decode(BY_OPENSSL_SECRET).unwrap()).unwrap();
    let mac = Hmac::<Sha1>::new_from_slice(&secret).unwrap().chain_update(format!("{ADDRESS}\n{lines}forged"));
    let forged = v1(false, &BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    let open = Expected::new(&[], None);
    assert_eq!(check(&open, &forged, SIGNED_AT, ADDRESS, b"forged"), Err(Refused::Weak));
    assert_eq!(check(&ours(), &forged, SIGNED_AT, ADDRESS, b"forged"), Err(Refused::Token));
}

#[test]
fn version_2_stands_where_both_are_there() {
    let mut both = v2(true, &close(&[1; 256]));
    both.extend(v1(true, BY_OPENSSL_V1).into_iter().filter(|(name, _)| [METHOD, SECRET, SIGNATURE_V1].contains(name)));
    assert_eq!(check(&ours(), &both, SIGNED_AT, ADDRESS, BODY), Err(Refused::Signature));
}

#[test]
fn a_message_without_signature_or_with_half_of_one_is_refused_by_name() {
    assert_eq!(check(&ours(), &common(true), SIGNED_AT, ADDRESS, BODY), Err(Refused::Unsigned));
    for (headers, needed) in [
        (v2(true, BY_OPENSSL_V2), &[TIMESTAMP, HASH_METHOD, VERSION, URL][..]),
        (v1(true, BY_OPENSSL_V1), &[TIMESTAMP, METHOD, VERSION, URL, SECRET]),
    ] {
        for name in needed {
            let refused = check(&ours(), &without(headers.clone(), name), SIGNED_AT, ADDRESS, BODY);
            assert_eq!(refused, Err(Refused::Missing(name)), "{name}");
            let mut twice = headers.clone();
            twice.extend(headers.iter().find(|(header, _)| header == name).cloned());
            assert_eq!(check(&ours(), &twice, SIGNED_AT, ADDRESS, BODY), Err(Refused::Odd(name)), "{name}");
        }
    }
    let headers = with(v2(true, BY_OPENSSL_V2), HASH_METHOD, "MD5");
    assert_eq!(check(&ours(), &headers, SIGNED_AT, ADDRESS, BODY), Err(Refused::Method(HASH_METHOD)));
    let headers = with(v1(true, BY_OPENSSL_V1), METHOD, "none");
    assert_eq!(check(&ours(), &headers, SIGNED_AT, ADDRESS, BODY), Err(Refused::Method(METHOD)));
    let headers = with(v2(true, BY_OPENSSL_V2), VERSION, "1.0\nx: y");
    assert_eq!(check(&ours(), &headers, SIGNED_AT, ADDRESS, BODY), Err(Refused::Odd(VERSION)));
    let headers = v2(true, "no base64");
    assert_eq!(check(&ours(), &headers, SIGNED_AT, ADDRESS, BODY), Err(Refused::Odd(SIGNATURE_V2)));
    let headers = with(v2(true, BY_OPENSSL_V2), URL, "https://evil-eventbridge.oss-accelerate.aliyuncs.com/c.pem");
    assert_eq!(check(&ours(), &headers, SIGNED_AT, ADDRESS, BODY), Err(Refused::Address));
}

#[test]
fn blocks_that_are_not_padded_to_the_byte_are_no_signatures() {
    let key = key();
    let content = [&key::SHA256[..], &Sha256::digest(BODY)].concat();
    let fills = 256 - 3 - content.len();
    let open = |block: &[u8]| key.signed_digest(&BASE64_STANDARD.decode(close(block)).unwrap());
    assert_eq!(open(&padded(&content, fills)), Some(Sha256::digest(BODY).into()));
    let changed = |at: usize, to: u8| {
        let mut block = padded(&content, fills);
        block[at] = to;
        block
    };
    assert_eq!(open(&changed(1, 2)), None, "block type 2");
    assert_eq!(open(&changed(0, 1)), None, "the first byte");
    assert_eq!(open(&changed(40, 0xfe)), None, "in the padding");
    assert_eq!(open(&changed(fills + 2, 0xff)), None, "its end");
    assert_eq!(open(&changed(fills + 5, 0x31)), None, "the name of the hash");
    // Short padding and something behind it: what lets powers of 3 be forged.
    let garbage = [&content[..], &vec![7; fills - 8]].concat();
    assert_eq!(open(&padded(&garbage, 8)), None);
    assert_eq!(key.opened(&[0xff; 256]), None, "above the modulus");
    assert_eq!(key.opened(&[]), None);
    assert_eq!(key.opened(&[1; 255]), None);
}

#[test]
fn a_secret_is_short_so_that_its_padding_is_long() {
    let lines = format!(
        "{TIMESTAMP}: {SIGNED_AT}\n{METHOD}: HMAC-SHA1\n{VERSION}: 1.0\n{URL}: {CERTIFICATE_AT}\n{TOKEN}: {OUR_TOKEN}\n"
    );
    let try_secret = |secret: &[u8]| {
        let mac = Hmac::<Sha1>::new_from_slice(secret).unwrap();
        let mac = mac.chain_update(format!("{ADDRESS}\n{lines}")).chain_update(BODY);
        let headers = v1(true, &BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        let headers = with(headers, SECRET, &close(&padded(secret, 253 - secret.len())));
        check(&ours(), &headers, SIGNED_AT, ADDRESS, BODY)
    };
    assert_eq!(try_secret(&[b's'; 64]), Ok(()));
    assert_eq!(try_secret(&[b's'; 65]), Err(Refused::Signature));
    assert_eq!(try_secret(&[]), Err(Refused::Signature));
}

#[test]
fn certificates_of_other_kinds_are_refused_by_name() {
    let bad = |pem: &[u8]| PublicKey::from_pem(pem).map(|_| ()).unwrap_err();
    assert_eq!(bad(b""), BadCertificate::Form);
    assert_eq!(bad(b"<html>not found</html>"), BadCertificate::Form);
    assert_eq!(bad(&[0xff; 1_000]), BadCertificate::Form);
    assert_eq!(bad(&vec![b'-'; CERTIFICATE_BYTES + 1]), BadCertificate::TooLarge);
    assert_eq!(bad(include_bytes!("elliptic.pem")), BadCertificate::Kind);
    assert_eq!(bad(include_bytes!("exponent3.pem")), BadCertificate::Strength);
    let cut = &CERTIFICATE[..CERTIFICATE.len() / 2];
    assert_eq!(bad(cut), BadCertificate::Form);
}

#[test]
fn a_refusal_and_a_claim_show_nothing_of_what_they_hold() {
    let shown = format!("{:?} {}", ours(), Refused::Token);
    assert!(!shown.contains(OUR_TOKEN), "{shown}");
}
