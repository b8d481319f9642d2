//! Alibaba Cloud signature V1: HMAC-SHA1 over every parameter of query and form body together.

use super::super::percent;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// The text to sign: `METHOD&%2F&` and the canonical parameters, encoded once more.
pub(in crate::sim) fn string_to_sign(method: &str, parameters: &[(String, String)]) -> String {
    let signed: Vec<(String, String)> = parameters.iter().filter(|(name, _)| name != "Signature").cloned().collect();
    format!("{method}&%2F&{}", percent::encode(&percent::canonical(&signed)))
}

/// The signature such a text should carry: the key is the secret and one ampersand.
pub(in crate::sim) fn signature(secret: &str, text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;

    #[test]
    fn every_recorded_v1_request_verifies_and_no_changed_one_does() {
        for vector in vectors::of("RPC-HMAC-SHA1") {
            let request = vector.request();
            let mut parameters = request.query_pairs();
            parameters.extend(request.form_pairs());
            let sent = parameters.iter().find(|(name, _)| name == "Signature").unwrap().1.clone();
            assert_eq!(sent, vector.signature, "{}", vector.name);
            assert!(parameters.iter().any(|(_, value)| *value == vector.access_key));
            let sign = |list: &[_]| signature(&vector.secret_key, &string_to_sign(request.method.as_str(), list));
            assert_eq!(sign(&parameters), vector.signature, "{}", vector.name);
            for index in 0..parameters.len() {
                let mut changed = parameters.clone();
                changed[index].1.push('x');
                let touched = changed[index].0 != "Signature";
                assert_eq!(sign(&changed) != vector.signature, touched, "{} {}", vector.name, changed[index].0);
            }
        }
    }
}
