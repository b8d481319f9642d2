//! What differs between RDS, ECS and Tag: limits, resource types, and which status carries which code.

use super::super::{Refusal, Trouble};
use crate::sim::{config::Api, counts::Outcome};

/// A status and the code it comes with.
type Words = (u16, &'static str);

/// One product.
pub(super) struct Product {
    pub(super) api: Api,
    pub(super) version: &'static str,
    pub(super) resources: usize,
    pub(super) tags: usize,
    /// The shortest value; Tag does not take empty ones.
    pub(super) shortest_value: usize,
    pub(super) types: &'static [&'static str],
    missing: u16,
    too_many: u16,
    not_found: u16,
    bad_key: Words,
    bad_value: Words,
    duplicate_key: Words,
    not_ready: Words,
    quota: Words,
}

const RDS: Product = Product {
    api: Api::AlibabaRds,
    version: "2014-08-15",
    resources: 50,
    tags: 20,
    shortest_value: 0,
    types: &["INSTANCE", "CUSTOM", "CUSTOMDEPLOYMENTSET", "CUSTOMDISK", "CUSTOMSNAPSHOT"],
    missing: 400,
    too_many: 400,
    not_found: 400,
    bad_key: (400, "InvalidTagKey.Malformed"),
    bad_value: (400, "InvalidTagValue.Malformed"),
    duplicate_key: (400, "Duplicate.TagKey"),
    not_ready: (403, "OperationDenied.DBInstanceStatus"),
    quota: (400, "OperationDenied.QuotaExceed"),
};

const ECS: Product = Product {
    api: Api::AlibabaEcs,
    version: "2014-05-26",
    types: &[
        "instance",
        "disk",
        "snapshot",
        "image",
        "securitygroup",
        "volume",
        "eni",
        "ddh",
        "ddhcluster",
        "keypair",
        "launchtemplate",
        "reservedinstance",
        "snapshotpolicy",
        "elasticityassurance",
        "capacityreservation",
        "command",
        "invocation",
        "activation",
        "managedinstance",
    ],
    missing: 404,
    not_found: 404,
    duplicate_key: (403, "TagKey.Duplication"),
    not_ready: (400, "OperationConflict"),
    quota: (403, "QuotaExceed.TagsPerResource"),
    ..RDS
};

const TAG: Product = Product {
    api: Api::AlibabaTag,
    version: "2018-08-28",
    tags: 10,
    shortest_value: 1,
    types: &[],
    too_many: 403,
    bad_key: (400, "InvalidParameter.TagKey"),
    bad_value: (400, "InvalidParameter.TagValue"),
    duplicate_key: (403, "Duplicate.TagKey"),
    ..ECS
};

static PRODUCTS: [Product; 3] = [RDS, ECS, TAG];

/// The product of an API version: no two share one.
pub(super) fn by_version(version: &str) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.version == version)
}

impl Product {
    pub(super) fn missing(&self, parameter: &str) -> Refusal {
        let message = format!("The parameter {parameter} is required.");
        Refusal::rejected(self.missing, format!("MissingParameter.{parameter}"), message)
    }

    pub(super) fn too_many_resources(&self) -> Refusal {
        let message =
            format!("The maximum number of ResourceIds is exceeded. The maximum value is {}.", self.resources);
        Refusal::rejected(self.too_many, "NumberExceed.ResourceIds", message)
    }

    pub(super) fn too_many_tags(&self) -> Refusal {
        let message = format!("The maximum number of Tags is exceeded. The maximum value is {}.", self.tags);
        Refusal::rejected(self.too_many, "NumberExceed.Tags", message)
    }

    pub(super) fn duplicate_key(&self) -> Refusal {
        let (status, code) = self.duplicate_key;
        Refusal::rejected(status, code, "The Tag.N.Key contain duplicate key.")
    }

    /// Checks one key: 1 to 128 characters, no reserved beginning, no address.
    pub(super) fn check_key(&self, key: &str) -> Result<(), Refusal> {
        let folded = key.to_lowercase();
        let reserved = folded.starts_with("aliyun") || folded.starts_with("acs:");
        if key.is_empty() || key.chars().count() > 128 || reserved || has_address(&folded) {
            let (status, code) = self.bad_key;
            return Err(Refusal::rejected(status, code, "The Tag.N.Key parameter is invalid."));
        }
        Ok(())
    }

    /// Checks one value: up to 128 characters, no address.
    pub(super) fn check_value(&self, value: &str) -> Result<(), Refusal> {
        let length = value.chars().count();
        if length < self.shortest_value || length > 128 || has_address(&value.to_lowercase()) {
            let (status, code) = self.bad_value;
            return Err(Refusal::rejected(status, code, "The Tag.N.Value parameter is invalid."));
        }
        Ok(())
    }

    /// A trouble in this product's words.
    pub(super) fn words(&self, trouble: &Trouble) -> Refusal {
        let busy = "Request was denied due to user flow control.";
        let internal = "The request processing has failed due to some unknown error.";
        match trouble {
            Trouble::Throttled => Refusal::new(400, "Throttling.User", busy, Outcome::Throttled),
            Trouble::Internal | Trouble::Passing => Refusal::new(500, "InternalError", internal, Outcome::Error500),
            Trouble::Unavailable => {
                let message = "The request has failed due to a temporary failure of the server.";
                Refusal::new(503, "ServiceUnavailable", message, Outcome::Error503)
            }
            Trouble::Denied => {
                let message = "User not authorized to operate on the specified resource.";
                Refusal::new(403, "Forbidden.RAM", message, Outcome::Denied)
            }
            Trouble::Revoked => Refusal::auth(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."),
            Trouble::Expired => {
                Refusal::auth(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
            }
            Trouble::Replayed => {
                Refusal::auth(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
            }
            Trouble::Unknown => {
                let message = "The specified ResourceIds are not found in our records.";
                Refusal::rejected(self.not_found, "InvalidResourceId.NotFound", message)
            }
            // Neither happens here: the faults are S3's.
            Trouble::Conflict | Trouble::SystemTag => self.words(&Trouble::NotReady(None)),
            Trouble::NotReady(code) => {
                let (status, usual) = self.not_ready;
                let code = code.clone().unwrap_or_else(|| usual.to_owned());
                Refusal::new(
                    status,
                    code,
                    "The operation is not permitted due to status of instance.",
                    Outcome::NotReady,
                )
            }
            Trouble::Quota(most) => {
                let (status, code) = self.quota;
                Refusal::rejected(status, code, format!("The maximum number of Tags is exceeded: {most} per resource."))
            }
            Trouble::Failed(code, message) => Refusal::rejected(400, code.clone(), message.clone()),
        }
    }
}

fn has_address(folded: &str) -> bool {
    folded.contains("http://") || folded.contains("https://")
}
