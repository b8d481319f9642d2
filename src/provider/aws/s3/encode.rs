//! The request of a step.

use super::{
    Buckets, address, bucket_of,
    set::{self, TagSet},
    step::{Stage, Step},
};
use crate::provider::{
    Call, Credential, HttpRequest, Memo, Method, Moment, Op,
    aws::sign::{Scope, signed},
    signing::percent,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

type Headers = Vec<(String, String)>;

impl Buckets {
    /// The signed request that the memo asks for; without a memo the first, a read.
    pub(super) fn request(
        &self,
        call: &Call,
        memo: Option<&Memo>,
        credential: &Credential,
        at: &Moment,
    ) -> HttpRequest {
        let step = Step::of(memo).unwrap_or_default();
        let bucket = bucket_of(call);
        if let Credential::Key { account: Some(account), .. } = credential {
            self.memory.learn_account(account);
        }
        self.memory.asks(bucket, at.now);
        let region = self.region(bucket, &step);
        let request = match &step.stage {
            Stage::Read | Stage::Verify => self.plain(Method::Get, &region, bucket, "?tagging"),
            Stage::Locate => self.plain(Method::Head, &region, bucket, ""),
            Stage::Write(set) => {
                self.memory.writes(bucket);
                self.write(&region, bucket, set)
            }
            Stage::ControlTag => self.control_tag(&region, bucket, call, &step),
            Stage::ControlUntag => self.control_untag(&region, bucket, call),
        };
        signed(Scope { service: "s3", region: &region }, request, credential, at)
    }

    /// Where a bucket is, as far as this call or an earlier one has learned.
    pub(super) fn region(&self, bucket: &str, step: &Step) -> String {
        let learned = || self.memory.region(bucket);
        step.region.clone().or_else(learned).unwrap_or_else(|| self.place.region.clone())
    }

    /// A request without a body. The owner guards against a bucket that somebody else has made under the same name.
    fn plain(&self, method: Method, region: &str, bucket: &str, query: &str) -> HttpRequest {
        let url = address::url(&self.place, self.style, region, bucket) + query;
        let owner = self.place.account.iter();
        let headers = owner.map(|account| ("x-amz-expected-bucket-owner".to_owned(), account.clone())).collect();
        HttpRequest { method, url, headers, body: Vec::new() }
    }

    fn write(&self, region: &str, bucket: &str, set: &TagSet) -> HttpRequest {
        if set.is_empty() {
            return self.plain(Method::Delete, region, bucket, "?tagging");
        }
        let mut request = self.plain(Method::Put, region, bucket, "?tagging");
        request.body = set::write(set);
        // Without a checksum the write is refused.
        let digest = STANDARD.encode(Sha256::digest(&request.body));
        request.headers.push(("x-amz-checksum-sha256".into(), digest));
        request.headers.push(("x-amz-sdk-checksum-algorithm".into(), "SHA256".into()));
        request
    }

    /// The account that S3 Control is asked for.
    pub(super) fn account(&self) -> Option<String> {
        self.place.account.clone().or_else(|| self.memory.account())
    }

    fn control(&self, method: Method, region: &str, bucket: &str) -> HttpRequest {
        let account = self.account().unwrap_or_default();
        let url = address::control_url(&self.place, &account, region, bucket);
        let headers: Headers = vec![("x-amz-account-id".into(), account)];
        HttpRequest { method, url, headers, body: Vec::new() }
    }

    fn control_tag(&self, region: &str, bucket: &str, call: &Call, step: &Step) -> HttpRequest {
        HttpRequest { body: set::write_control(written_by(call, step)), ..self.control(Method::Post, region, bucket) }
    }

    fn control_untag(&self, region: &str, bucket: &str, call: &Call) -> HttpRequest {
        let mut request = self.control(Method::Delete, region, bucket);
        let keys: Vec<String> = removed(call).map(|key| format!("tagKeys={}", percent(key))).collect();
        request.url = format!("{}?{}", request.url, keys.join("&"));
        request
    }
}

/// The keys that a call removes.
pub(super) fn removed(call: &Call) -> impl Iterator<Item = &str> {
    let own = (call.op == Op::Unset).then_some(&call.tags).into_iter().flatten().map(|(key, _)| &**key);
    own.chain(call.also_unset.iter().map(|key| &**key))
}

/// The pairs that a call sets after its read: not those whose keys keep what they have.
pub(super) fn written_by<'a>(call: &'a Call, step: &'a Step) -> impl Iterator<Item = (&'a str, &'a str)> {
    set_by(call).filter(|(key, _)| !step.kept.iter().any(|kept| kept == key))
}

/// The pairs that a call sets.
pub(super) fn set_by(call: &Call) -> impl Iterator<Item = (&str, &str)> {
    let own = (call.op == Op::Set).then_some(&call.tags).into_iter().flatten();
    own.map(|(key, value)| (&**key, &**value))
}
