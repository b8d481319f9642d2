//! Who a lane is to its cloud, as the config says it. The worker finds the credential itself when a call needs it.

mod read;

use super::secret::Secret;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use read::endpoint;

/// The clouds: each has its own credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// Alibaba Cloud.
    Alibaba,
    /// Amazon Web Services.
    Aws,
    /// Huawei Cloud.
    Huawei,
}

impl Cloud {
    /// The cloud of a provider, by the first word of its name.
    pub fn of(provider: &str) -> Option<Self> {
        match provider.split('-').next() {
            Some("alibaba") => Some(Self::Alibaba),
            Some("aws") => Some(Self::Aws),
            Some("huawei") => Some(Self::Huawei),
            _ => None,
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alibaba => "Alibaba Cloud",
            Self::Aws => "AWS",
            Self::Huawei => "Huawei Cloud",
        }
    }
}

/// The credentials of a lane. Two lanes whose credentials are written alike share them. Debug output shows no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// Who we are at first.
    pub base: Base,
    /// The role to take from there.
    pub role: Option<Role>,
    /// Where to ask, where that is not the cloud's usual place.
    pub places: Places,
}

/// Who we are before a role is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Base {
    /// Nothing was said: the cloud's usual chain.
    #[default]
    Chain,
    /// One link of that chain and no other.
    Only(Source),
    /// A key pair.
    Keys {
        /// The public half.
        access_key: Secret,
        /// The secret half.
        secret_key: Secret,
        /// The token of a temporary key pair.
        security_token: Option<Secret>,
        /// Huawei Cloud: the account the key pair belongs to.
        domain_id: Option<String>,
    },
    /// Huawei Cloud: a login that gives a token.
    Password {
        /// The IAM user.
        username: Secret,
        /// Its password.
        password: Secret,
        /// The account's name.
        domain_name: String,
    },
    /// Huawei Cloud: a token for `X-Auth-Token`.
    Token(Secret),
    /// The cloud's own files.
    File {
        /// The profile; the file's or the environment's choice where it is left out.
        profile: Option<String>,
        /// The file; the cloud's usual ones where it is left out.
        file: Option<PathBuf>,
    },
}

impl Credentials {
    /// The files that the config names for secrets: what is in them may change while a lane works.
    pub fn files(&self) -> Vec<&Path> {
        let secrets: Vec<&Secret> = match &self.base {
            Base::Keys { access_key, secret_key, security_token, domain_id: _ } => {
                [access_key, secret_key].into_iter().chain(security_token).collect()
            }
            Base::Password { username, password, domain_name: _ } => vec![username, password],
            Base::Token(token) => vec![token],
            Base::File { file: Some(file), profile: _ } => return vec![file],
            Base::File { file: None, profile: _ } | Base::Chain | Base::Only(_) => Vec::new(),
        };
        secrets.into_iter().filter_map(Secret::file).collect()
    }
}

/// The links of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Environment variables.
    Environment,
    /// The cloud's own files.
    File,
    /// A token file that is exchanged for a key: IRSA, RRSA, federation.
    WebIdentity,
    /// The container's own endpoint: ECS, EKS pod identity, CCE pod identity.
    Container,
    /// The metadata service of the machine.
    Instance,
    /// Alibaba Cloud: an address that hands out keys.
    Uri,
}

impl Source {
    /// Every source by the name it has in the config.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("environment", Self::Environment),
        ("file", Self::File),
        ("web_identity", Self::WebIdentity),
        ("container", Self::Container),
        ("instance", Self::Instance),
        ("uri", Self::Uri),
    ];

    /// The chain of a cloud, in the order it is walked.
    pub fn chain(cloud: Cloud) -> &'static [Self] {
        match cloud {
            // The vendor's order: environment, OIDC, the CLI's file and then the SDK's, ECS role, address.
            Cloud::Alibaba => &[Self::Environment, Self::WebIdentity, Self::File, Self::Instance, Self::Uri],
            Cloud::Aws => &[Self::Environment, Self::File, Self::WebIdentity, Self::Container, Self::Instance],
            // The vendor's SDK prefers federation to a key, and asks the machine before the pod. A pod's variables are
            // there on purpose, so they go before the machine here.
            Cloud::Huawei => &[Self::WebIdentity, Self::Environment, Self::File, Self::Container, Self::Instance],
        }
    }
}

/// A role to take, with what its trust policy asks for. AWS and Alibaba Cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// The role.
    pub arn: String,
    /// What its owner has agreed on with us.
    pub external_id: Option<String>,
    /// How we call ourselves in the account's trail.
    pub session_name: String,
    /// How long one session lasts; the cloud's default where it is left out.
    pub duration: Option<Duration>,
}

/// Addresses in place of the cloud's own: scheme and host, no path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Places {
    /// Roles are taken and callers named here (AWS, Alibaba Cloud, Huawei Cloud).
    pub sts: Option<String>,
    /// Huawei Cloud: logins and accounts.
    pub iam: Option<String>,
    /// The metadata service of a machine.
    pub metadata: Option<String>,
}
