//! Signatures and whole requests against vectors made with the vendors' own SDKs and published examples.

use crate::data::{at, json, key};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};
use tagmill::{
    job::Resource,
    provider::{
        Call, Credential, HttpRequest, Moment, Op, Provider, Settings, Signed, alibaba::sign as alibaba, find,
        huawei::sign as huawei,
    },
};

/// Vectors of requests we never make: their signatures are checked, their requests are not.
const NOT_OURS: [&str; 8] = [
    // All=true removes tags nobody named.
    "ecs-untag-resources-v1-all",
    "ecs-untag-resources-v3-all",
    // V3 with a form body is signature mechanics only; an older SDK adds an empty SignatureType.
    "rds-tag-resources-v3-form-body",
    "rds-tag-resources-v1-legacy-core",
    // Other operations.
    "ecs-run-instances-v3-doc",
    "ecs-describe-regions-v1-doc",
    "tms-show-resource-tags-v2",
    "signing-guide-get-vpcs",
];
/// The account lookup, another operation too.
const LOOKUP: &str = "iam-list-auth-domains";

fn vectors() -> Vec<Value> {
    json("vectors.json")["vectors"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let map = value.as_object().cloned().unwrap_or_default();
    map.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
}

fn credential(vector: &Value) -> Credential {
    let one = |names: [&str; 2]| names.iter().find_map(|name| vector["credentials"][*name].as_str());
    key(
        one(["access_key_id", "ak"]).unwrap(),
        one(["access_key_secret", "sk"]).unwrap(),
        one(["security_token", ""]),
        one(["domain_id", ""]),
    )
}

/// The signature of a vector's own request by our signer.
fn sign(vector: &Value) -> Signed {
    let Credential::Key { access_key, secret_key, .. } = credential(vector) else { unreachable!() };
    let secret = secret_key.expose_secret();
    let (method, url, body) = (text(vector, "method"), text(vector, "url"), text(vector, "body").as_bytes());
    let headers = pairs(&vector["headers"]);
    match text(vector, "scheme") {
        "ACS3-HMAC-SHA256" => alibaba::sign_v3(method, url, &headers, body, &access_key, secret),
        "SDK-HMAC-SHA256" => huawei::sign(method, url, &headers, body, &access_key, secret),
        "RPC-HMAC-SHA1" => {
            let params: Vec<_> = pairs(&vector["query"]).into_iter().chain(pairs(&vector["form"])).collect();
            alibaba::sign_v1(method, &params, secret)
        }
        other => panic!("no signer for {other}"),
    }
}

#[test]
fn every_vector_is_signed_exactly() {
    let mut seen = BTreeMap::new();
    for vector in vectors() {
        let (name, signed) = (text(&vector, "name"), sign(&vector));
        let canonical = if vector["canonical_query"].is_null() { "canonical_request" } else { "canonical_query" };
        assert_eq!(signed.canonical, text(&vector, canonical), "{name}");
        assert_eq!(signed.string_to_sign, text(&vector, "string_to_sign"), "{name}");
        assert_eq!(signed.signature, text(&vector, "signature"), "{name}");
        assert_eq!(signed.authorization, text(&vector, "authorization"), "{name}");
        *seen.entry(text(&vector, "scheme").to_owned()).or_insert(0) += 1;
    }
    let expected = [("ACS3-HMAC-SHA256", 11), ("RPC-HMAC-SHA1", 11), ("SDK-HMAC-SHA256", 9)];
    assert_eq!(seen, expected.map(|(scheme, count)| (scheme.to_owned(), count)).into());
}

#[test]
fn the_signatures_of_typical_mistakes_are_not_ours() {
    let mut count = 0;
    for vector in vectors() {
        let signed = sign(&vector);
        for (mistake, wrong) in pairs(&vector["mistakes"]) {
            assert_ne!(signed.signature, wrong, "{mistake}");
            count += 1;
        }
    }
    assert_eq!(count, 3, "mistakes in the vectors");
}

/// Two of them made on purpose, so that it is known what "not ours" means.
#[test]
fn the_typical_mistakes_yield_the_signatures_on_record() {
    let vectors = vectors();
    let of = |name: &str| vectors.iter().find(|vector| text(vector, "name") == name).unwrap();
    let secret = |vector: &Value| {
        let Credential::Key { secret_key, .. } = credential(vector) else { unreachable!() };
        secret_key.expose_secret().to_owned()
    };

    let vector = of("rds-tag-resources-v1");
    let mac = Hmac::<Sha1>::new_from_slice(secret(vector).as_bytes()).unwrap();
    let bare_key = mac.chain_update(sign(vector).string_to_sign).finalize().into_bytes();
    assert_eq!(STANDARD.encode(bare_key), vector["mistakes"]["key_without_trailing_ampersand"]);

    let vector = of("tms-batch-create-minimal-headers");
    let canonical = sign(vector).canonical.replace("batch-create/\n", "batch-create\n");
    let hash = hex(&Sha256::digest(canonical.as_bytes()));
    let string_to_sign = format!("SDK-HMAC-SHA256\n{}\n{hash}", text(vector, "timestamp"));
    let mac = Hmac::<Sha256>::new_from_slice(secret(vector).as_bytes()).unwrap();
    let no_slash = hex(&mac.chain_update(string_to_sign).finalize().into_bytes());
    assert_eq!(no_slash, vector["mistakes"]["canonical_uri_without_trailing_slash"].as_str().unwrap());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The provider, the call and the moment of a vector that is one of our calls.
fn ours(vector: &Value) -> Option<(Box<dyn Provider>, Call, Moment)> {
    let name = text(vector, "name");
    if NOT_OURS.contains(&name) || name == LOOKUP {
        return None;
    }
    let mut settings = Settings { signature_v1: text(vector, "scheme").starts_with("RPC"), ..Settings::default() };
    let (provider, call) = if name.starts_with("tms-") {
        settings.region = if name.ends_with("-intl") { "ap-southeast-1" } else { "cn-north-4" }.into();
        settings.delete_with_value = name == "tms-batch-delete";
        ("huawei-tms", tms_call(vector))
    } else {
        let params: BTreeMap<_, _> = pairs(&vector["query"]).into_iter().chain(pairs(&vector["form"])).collect();
        settings.region.clone_from(&params["RegionId"]);
        if name.contains("-sts") {
            // This vector asks a host of one region for resources of another.
            settings.endpoint = Some(format!("https://{}", text(vector, "host")));
        }
        let product = name.split('-').next().unwrap();
        (["alibaba", product].join("-").leak() as &str, alibaba_call(name.contains("-untag-"), &params))
    };
    let stamp = text(vector, "timestamp");
    let now = if stamp.contains('-') { stamp.to_owned() } else { iso(stamp) };
    let provider = (find(provider).unwrap().build)(&settings).unwrap();
    Some((provider, call, at(&now, text(vector, "nonce"))))
}

/// `20250102T030405Z` with its dashes and colons.
fn iso(stamp: &str) -> String {
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        &stamp[..4],
        &stamp[4..6],
        &stamp[6..8],
        &stamp[9..11],
        &stamp[11..13],
        &stamp[13..15]
    )
}

fn tms_call(vector: &Value) -> Call {
    let body: Value = serde_json::from_str(text(vector, "body")).unwrap();
    let project = body["project_id"].as_str().map(Arc::from);
    let resources = body["resources"].as_array().unwrap().iter();
    let resources = resources.map(|row| Resource {
        project: project.clone(),
        ..Resource::typed(text(row, "resource_id"), text(row, "resource_type"))
    });
    let tags = body["tags"].as_array().unwrap().iter();
    Call {
        op: if text(vector, "path").ends_with("delete") { Op::Unset } else { Op::Set },
        resources: resources.collect(),
        tags: tags.map(|tag| (text(tag, "key").into(), text(tag, "value").into())).collect(),
        also_unset: Vec::new(),
        only_missing: Vec::new(),
    }
}

fn alibaba_call(unset: bool, params: &BTreeMap<String, String>) -> Call {
    let list = |form: &dyn Fn(usize) -> String| (1..).map_while(|n| params.get(&form(n)).cloned()).collect::<Vec<_>>();
    let kind = params.get("ResourceType").map(|kind| Arc::from(kind.as_str()));
    let mut ids = list(&|n| format!("ResourceId.{n}"));
    ids.extend(list(&|n| format!("ResourceARN.{n}")));
    let resource = |id: &String| Resource { kind: kind.clone(), ..Resource::plain(id) };
    let tags: Vec<(Arc<str>, Arc<str>)> = if unset {
        list(&|n| format!("TagKey.{n}")).into_iter().map(|key| (key.into(), "".into())).collect()
    } else if let Some(tags) = params.get("Tags") {
        pairs(&serde_json::from_str(tags).unwrap()).into_iter().map(|(k, v)| (k.into(), v.into())).collect()
    } else {
        let values = list(&|n| format!("Tag.{n}.Value"));
        list(&|n| format!("Tag.{n}.Key")).into_iter().zip(values).map(|(k, v)| (k.into(), v.into())).collect()
    };
    let op = if unset { Op::Unset } else { Op::Set };
    Call { op, resources: ids.iter().map(resource).collect(), tags, also_unset: Vec::new(), only_missing: Vec::new() }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn every_call_in_the_vectors_is_encoded_as_the_vendor_sends_it() {
    let mut encoded = 0;
    for vector in vectors() {
        let name = text(&vector, "name").to_owned();
        let Some((provider, call, moment)) = ours(&vector) else { continue };
        let request = provider.encode(&call, None, &credential(&vector), &moment);
        assert_eq!(request.method.as_str(), text(&vector, "method"), "{name}");
        match text(&vector, "scheme") {
            "RPC-HMAC-SHA1" => same_v1(&name, &vector, &request),
            "ACS3-HMAC-SHA256" => same_v3(&name, &vector, &request),
            _ => same_tms(&name, &vector, &request),
        }
        encoded += 1;
    }
    assert_eq!(encoded + NOT_OURS.len() + 1, vectors().len());
}

/// V1 signs query and body as one set, so the vendor's signature holds wherever a parameter travels.
fn same_v1(name: &str, vector: &Value, request: &HttpRequest) {
    let body = String::from_utf8(request.body.clone()).unwrap();
    let query = request.url.split_once('?').unwrap().1;
    if name.ends_with("-form-body") {
        assert_eq!((request.url.as_str(), body.as_str()), (text(vector, "url"), text(vector, "body")), "{name}");
    }
    let mut ours: Vec<&str> = query.split('&').chain(body.split('&')).collect();
    let wire = [text(vector, "url").split_once('?').unwrap().1, text(vector, "body")];
    let wire = wire.join("&").replace("%20", "+");
    let mut theirs: Vec<&str> = wire.split('&').filter(|pair| !pair.is_empty()).collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs, "{name}");
    assert_eq!(header(request, "content-type"), Some("application/x-www-form-urlencoded"), "{name}");
    let own = ["Tag", "Resource", "Region"];
    let stray = query.split('&').find(|pair| own.iter().any(|start| pair.starts_with(start)));
    assert_eq!(stray, None, "{name}: the operation's own parameters go into the body");
}

/// The vendor signs its own agent and telemetry headers too; what is common must agree, and with the documented
/// minimum of headers the whole request must.
fn same_v3(name: &str, vector: &Value, request: &HttpRequest) {
    assert_eq!(request.url, text(vector, "url"), "{name}");
    assert!(request.body.is_empty(), "{name}");
    for (header_name, value) in pairs(&vector["headers"]) {
        if header_name != "user-agent" && header_name != "x-acs-credentials-provider" {
            assert_eq!(header(request, &header_name), Some(value.as_str()), "{name}: {header_name}");
        }
    }
    if name.ends_with("-minimal-headers") {
        assert_eq!(header(request, "authorization"), Some(text(vector, "authorization")), "{name}");
    }
}

fn same_tms(name: &str, vector: &Value, request: &HttpRequest) {
    assert_eq!(request.url, text(vector, "url"), "{name}");
    let mut theirs: Value = serde_json::from_str(text(vector, "body")).unwrap();
    if name == "tms-batch-delete" {
        // We know no value when we remove a key.
        theirs["tags"][0]["value"] = "".into();
    }
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), theirs, "{name}");
    for header_name in ["x-sdk-date", "x-domain-id", "x-security-token"] {
        assert_eq!(header(request, header_name), vector["headers"][header_name].as_str(), "{name}: {header_name}");
    }
    if name.contains("-minimal-headers") {
        assert_eq!(request.body, text(vector, "body").as_bytes(), "{name}");
        assert_eq!(header(request, "authorization"), Some(text(vector, "authorization")), "{name}");
    }
}
