//! The three APIs as data: version, address form, limits and rules, each with its source.

use crate::{
    job::Resource,
    provider::{Limits, Silence, Write},
};

/// How an API names resources.
#[derive(Debug)]
pub(super) enum Address {
    /// `ResourceType` once, `ResourceId.N` for each.
    Id {
        /// Taken where a job gives none.
        default_kind: &'static str,
        /// What the API knows, in its own case.
        kinds: &'static [&'static str],
    },
    /// `ResourceARN.N`, and tags as one JSON object.
    Arn,
}

/// What keys and values an API takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// ECS: key not starting with `aliyun` or `acs:`, no `http://` or `https://` in either, value may be empty.
    Ecs,
    /// Tag: lengths only, and the value has at least one character.
    Tag,
}

/// One API.
#[derive(Debug)]
pub(super) struct Api {
    /// The provider's name in the config.
    pub(super) name: &'static str,
    /// The first part of host names.
    pub(super) product: &'static str,
    /// Goes into every request.
    pub(super) version: &'static str,
    pub(super) address: Address,
    pub(super) rule: Rule,
    pub(super) limits: Limits,
}

impl Api {
    /// The type of a resource, or the API's default.
    pub(super) fn kind_of<'a>(&'a self, resource: &'a Resource) -> &'a str {
        let given = resource.kind.as_deref().filter(|kind| !kind.is_empty());
        match &self.address {
            Address::Id { default_kind, .. } => given.unwrap_or(default_kind),
            Address::Arn => given.unwrap_or_default(),
        }
    }
}

/// RDS: the Quota Center shows the rate per account only; half of what its neighbours document is a safe start.
pub const RDS_RATE: f64 = 10.0;
/// ECS: as for RDS, shown per account in the Quota Center only.
pub const ECS_RATE: f64 = 10.0;
/// Tag: 1000 a second per region, API and account (Tag 2018-08-28, quota page); far less will do to start with.
pub const TAG_RATE: f64 = 20.0;

/// Key and value lengths of ECS, `TagResources` of the ECS SDK 7.11.8. Merge: the tag pages say that an existing key
/// is overwritten and say nothing of other keys being touched.
const ECS_LIMITS: Limits = Limits {
    // ECS: ResourceId.1 to 50, Tag.1 to 20, TagKey.1 to 20, same source.
    resources_per_call: 50,
    tags_per_call: 20,
    keys_per_call: 20,
    // Stated for RDS, assumed for ECS and Tag: they are one tag store.
    tags_per_resource: 20,
    key_chars: 128,
    value_chars: 128,
    write: Write::Merge,
    silence: Silence::AllOrNothing,
};

/// RDS 2014-08-15.
pub(super) static RDS: Api = Api {
    name: super::RDS,
    product: "rds",
    version: "2014-08-15",
    address: Address::Id {
        default_kind: "INSTANCE",
        kinds: &["INSTANCE", "CUSTOM", "CUSTOMDEPLOYMENTSET", "CUSTOMDISK", "CUSTOMSNAPSHOT"],
    },
    // The API page of RDS gives no lengths: the ECS rule, and the service decides.
    rule: Rule::Ecs,
    // RDS: 50 instances a call, 20 tags a call and an instance (API page TagResources).
    limits: ECS_LIMITS,
};

/// ECS 2014-05-26.
pub(super) static ECS: Api = Api {
    name: super::ECS,
    product: "ecs",
    version: "2014-05-26",
    address: Address::Id {
        default_kind: "instance",
        kinds: &[
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
    },
    rule: Rule::Ecs,
    limits: ECS_LIMITS,
};

/// Tag 2018-08-28.
pub(super) static TAG: Api = Api {
    name: super::TAG,
    product: "tag",
    version: "2018-08-28",
    address: Address::Arn,
    rule: Rule::Tag,
    limits: Limits {
        // Tag: 50 ARNs a call (API page; 10 in older editions), 10 tags a call and TagKey.1 to 10 (SDK 1.1.2).
        resources_per_call: 50,
        tags_per_call: 10,
        keys_per_call: 10,
        tags_per_resource: 20,
        key_chars: 128,
        value_chars: 128,
        write: Write::Merge,
        // The answer lists `FailedResources` and nothing else.
        silence: Silence::Success,
    },
};
