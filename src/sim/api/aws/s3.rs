//! S3 bucket tags, which a write replaces as a whole, and S3 Control, which merges.

use super::{
    super::{
        super::{
            cloud::Cloud,
            config::{CloudConfig, WrongRegion},
            counts::Outcome,
            pattern, percent,
            reply::Reply,
            request::Request,
        },
        Command, Op, Refusal, Target,
    },
    rules::{self, Wrong},
    xml,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::Method;
use sha2::{Digest as _, Sha256};

/// Where S3 Control has its tags.
pub(super) const CONTROL: &str = "/v20180820/tags/";

/// Whose buckets are not ours.
const SOMEBODY_ELSE: &str = "999999999999";

fn denied() -> Refusal {
    Refusal::new(403, "AccessDenied", "Access Denied", Outcome::Denied)
}

fn malformed() -> Refusal {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    Refusal::rejected(400, "MalformedXML", message)
}

fn fits(patterns: &[String], bucket: &str) -> bool {
    pattern::any(patterns, bucket, bucket)
}

fn target(bucket: &str) -> Target {
    Target { key: bucket.to_owned(), id: bucket.to_owned(), label: bucket.to_owned() }
}

/// The bucket: the path, or where that is empty the first label of the host.
fn bucket(request: &Request) -> Option<String> {
    let path = request.path.trim_matches('/');
    let name = if path.is_empty() {
        request.header("host")?.split('.').next()?.to_owned()
    } else {
        percent::decode(path, false)
    };
    (name.len() >= 3 && !name.contains('/')).then_some(name)
}

/// Where a bucket is; none where every region will do.
fn region_of<'c>(config: &'c CloudConfig, bucket: &str) -> Option<&'c str> {
    let rule = config.bucket_regions.iter().find(|rule| pattern::fits(&rule.id, bucket));
    rule.map(|rule| rule.region.as_str()).or(config.region.as_deref())
}

pub(super) fn command(request: &Request, region: &str, cloud: &Cloud) -> Result<Command, Refusal> {
    let invalid = || Refusal::rejected(400, "InvalidBucketName", "The specified bucket is not valid.");
    let bucket = bucket(request).ok_or_else(invalid)?;
    let head = request.method == Method::HEAD;
    if let Some(home) = region_of(&cloud.config, &bucket).filter(|home| *home != region) {
        return Err(elsewhere(cloud.config.wrong_region, home, head));
    }
    let owner =
        if fits(&cloud.config.foreign, &bucket) { Some(SOMEBODY_ELSE) } else { cloud.config.account_id.as_deref() };
    let expected = request.header("x-amz-expected-bucket-owner");
    if expected.is_some_and(|expected| owner.is_some_and(|owner| owner != expected)) {
        return Err(denied());
    }
    if !head && !request.query_pairs().iter().any(|(name, _)| name == "tagging") {
        return Err(Refusal::rejected(501, "NotImplemented", "Only bucket tags are simulated."));
    }
    let op = match request.method {
        Method::GET | Method::HEAD => Op::Read,
        Method::PUT | Method::DELETE if fits(&cloud.config.abac, &bucket) => return Err(denied()),
        Method::PUT => {
            check_integrity(request)?;
            let tags = xml::tags(&request.body, "Tagging", "TagSet").ok_or_else(malformed)?;
            rules::tags(&tags, true, true).map_err(invalid_tag)?;
            Op::Replace(tags)
        }
        Method::DELETE => Op::Clear,
        _ => return Err(Refusal::rejected(405, "MethodNotAllowed", "The method is not allowed.")),
    };
    Ok(Command { resources: vec![target(&bucket)], op })
}

/// Tags by ARN, under the account's own address.
pub(super) fn control(request: &Request, cloud: &Cloud) -> Result<Command, Refusal> {
    let account = request.header("x-amz-account-id").unwrap_or_default();
    if account.is_empty() || cloud.config.account_id.as_deref().is_some_and(|own| own != account) {
        return Err(denied());
    }
    let arn = percent::decode(request.path.strip_prefix(CONTROL).unwrap_or_default(), false);
    let invalid = || Refusal::rejected(400, "InvalidRequest", "The resource ARN is not valid.");
    let bucket = arn.strip_prefix("arn:aws:s3:::").filter(|bucket| bucket.len() >= 3).ok_or_else(invalid)?;
    let op = match request.method {
        Method::POST => {
            let tags = xml::tags(&request.body, "TagResourceRequest", "Tags").ok_or_else(malformed)?;
            rules::tags(&tags, true, false).map_err(invalid_tag)?;
            Op::Set(tags)
        }
        Method::DELETE => {
            let keys: Vec<String> =
                request.query_pairs().into_iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key).collect();
            if keys.is_empty() {
                return Err(Refusal::rejected(400, "InvalidRequest", "tagKeys is missing."));
            }
            Op::Unset(keys)
        }
        _ => return Err(Refusal::rejected(405, "MethodNotAllowed", "The method is not allowed.")),
    };
    Ok(Command { resources: vec![target(bucket)], op })
}

pub(super) fn done(request: &Request, region: &str, command: &Command, found: &[(String, String)], id: &str) -> Reply {
    match &command.op {
        Op::Read if request.method == Method::HEAD => xml::empty(200, id).with("x-amz-bucket-region", region),
        Op::Read if found.is_empty() => {
            xml::error(&Refusal::rejected(404, "NoSuchTagSet", "The TagSet does not exist"), id)
        }
        Op::Read => xml::tagging(found, id),
        _ => xml::empty(204, id),
    }
}

/// The bucket is in another region. HEAD has no body, and always tells which.
fn elsewhere(how: WrongRegion, home: &str, head: bool) -> Refusal {
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint.";
    let (status, code) = match how {
        WrongRegion::Redirect | WrongRegion::Silent => (301, "PermanentRedirect"),
        WrongRegion::Temporary => (307, "TemporaryRedirect"),
        WrongRegion::Malformed => (400, "AuthorizationHeaderMalformed"),
    };
    let told = how != WrongRegion::Silent || head;
    Refusal { region: told.then(|| home.to_owned()), ..Refusal::rejected(status, code, message) }
}

/// A write needs a checksum, and it must be right. MD5 is taken on trust.
fn check_integrity(request: &Request) -> Result<(), Refusal> {
    let bad = |name: &str| {
        Refusal::rejected(400, "BadDigest", format!("The {name} you specified did not match the calculated checksum."))
    };
    let sent = |name: &str| request.header(name);
    if let Some(sum) = sent("x-amz-checksum-sha256") {
        return if sum == STANDARD.encode(Sha256::digest(&request.body)) { Ok(()) } else { Err(bad("SHA256")) };
    }
    if let Some(sum) = sent("x-amz-checksum-crc32") {
        return if sum == STANDARD.encode(crc32(&request.body).to_be_bytes()) { Ok(()) } else { Err(bad("CRC32")) };
    }
    match sent("content-md5").map(|sum| STANDARD.decode(sum)) {
        Some(Ok(sum)) if sum.len() == 16 => Ok(()),
        Some(_) => Err(Refusal::rejected(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")),
        None => {
            let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
            Err(Refusal::rejected(400, "InvalidRequest", message))
        }
    }
}

/// CRC-32 as zip files have it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

fn invalid_tag(wrong: Wrong) -> Refusal {
    let message = match wrong {
        Wrong::Key => "The TagKey you have provided is invalid",
        Wrong::Value => "The TagValue you have provided is invalid",
        Wrong::System => "System tags cannot be added or updated by requester",
        Wrong::Twice => "Cannot provide multiple Tags with the same key",
    };
    Refusal::rejected(400, "InvalidTag", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_zip_files() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
