//! Who a lane is to its cloud: as the config says it, and resolved when a call needs it.

use super::read::{Notes, Section};
use super::secret::{Environment, Secret, SecretError};
use super::tree::{Shape, Tree};
use crate::provider::Credential;
use secrecy::{ExposeSecret as _, SecretString};

const FIELDS: [&str; 9] = [
    "access_key",
    "secret_key",
    "security_token",
    "domain_id",
    "username",
    "password",
    "domain_name",
    "iam_endpoint",
    "token",
];

/// The credentials of a lane. Debug output shows no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credentials {
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
        /// Where to log in, where it is not the cloud's usual place.
        iam_endpoint: Option<String>,
    },
    /// Huawei Cloud: a token for `X-Auth-Token`.
    Token(Secret),
    /// Nothing was said: the cloud's usual environment variables.
    Environment,
}

/// What credentials come to.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// Ready to sign with.
    Credential(Credential),
    /// A login has to be made first.
    Login(Login),
}

/// A Huawei Cloud login with its secrets at hand.
#[derive(Clone, Debug)]
pub struct Login {
    /// The IAM user.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// The account's name.
    pub domain_name: String,
    /// Where to log in, where it is not the cloud's usual place.
    pub iam_endpoint: Option<String>,
}

/// The environment variables of one cloud: per value, names in the order they are tried.
struct Variables {
    access_key: &'static [&'static str],
    secret_key: &'static [&'static str],
    token: &'static [&'static str],
    account: &'static [&'static str],
}

/// Alibaba Cloud: the SDKs' names, then those of Terraform users.
const ALIBABA: Variables = Variables {
    access_key: &["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALICLOUD_ACCESS_KEY"],
    secret_key: &["ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALICLOUD_SECRET_KEY"],
    token: &["ALIBABA_CLOUD_SECURITY_TOKEN", "ALICLOUD_SECURITY_TOKEN"],
    account: &[],
};
/// Huawei Cloud: the SDKs' names, then those of Terraform users.
const HUAWEI: Variables = Variables {
    access_key: &["HUAWEICLOUD_SDK_AK", "HW_ACCESS_KEY"],
    secret_key: &["HUAWEICLOUD_SDK_SK", "HW_SECRET_KEY"],
    token: &["HUAWEICLOUD_SDK_SECURITY_TOKEN", "HW_SECURITY_TOKEN"],
    account: &["HUAWEICLOUD_SDK_DOMAIN_ID", "HW_DOMAIN_ID"],
};
/// AWS: the names all its tools know.
const AWS: Variables = Variables {
    access_key: &["AWS_ACCESS_KEY_ID"],
    secret_key: &["AWS_SECRET_ACCESS_KEY"],
    token: &["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"],
    account: &["AWS_ACCOUNT_ID"],
};

impl Credentials {
    /// Fetches what the credentials name. `provider` says whose environment variables count where they name nothing.
    pub fn resolve(&self, provider: &str, env: Environment<'_>) -> Result<Resolved, SecretError> {
        let plain = |secret: &Secret| secret.resolve(env).map(|text| text.expose_secret().to_owned());
        Ok(match self {
            Self::Keys { access_key, secret_key, security_token, domain_id } => Resolved::Credential(Credential::Key {
                access_key: plain(access_key)?,
                secret_key: secret_key.resolve(env)?,
                security_token: security_token.as_ref().map(|token| token.resolve(env)).transpose()?,
                account: domain_id.clone(),
            }),
            Self::Password { username, password, domain_name, iam_endpoint } => Resolved::Login(Login {
                username: plain(username)?,
                password: password.resolve(env)?,
                domain_name: domain_name.clone(),
                iam_endpoint: iam_endpoint.clone(),
            }),
            Self::Token(token) => Resolved::Credential(Credential::Token(token.resolve(env)?)),
            Self::Environment => Resolved::Credential(from_environment(provider, env)?),
        })
    }

    /// Reads the section as the config writes it.
    pub(super) fn read(tree: &Tree, path: &str, provider: &str, notes: &mut Notes) -> Option<Self> {
        let section = Section::open(tree, path, &FIELDS, notes)?;
        let secret = |name: &str, notes: &mut Notes| Secret::read(section.get(name)?, &section.at(name), notes);
        let huawei = provider.is_empty() || provider.starts_with("huawei");
        for name in ["domain_id", "username", "password", "domain_name", "iam_endpoint", "token"] {
            if section.has(name) && !huawei {
                section.error(name, notes, "is for Huawei Cloud only");
            }
        }
        let any = |names: &[&str]| names.iter().any(|name| section.has(name));
        let keys = any(&["access_key", "secret_key", "security_token", "domain_id"]);
        let login = any(&["username", "password", "domain_name", "iam_endpoint"]);
        let token = section.has("token");
        if usize::from(keys) + usize::from(login) + usize::from(token) != 1 {
            let text = "name either access_key and secret_key, or username, password and domain_name, or token; \
                leave credentials out for the environment variables of the cloud";
            notes.error(&tree.place, path, text);
            return None;
        }
        for name in ["secret_key", "security_token", "password", "token"] {
            if matches!(section.get(name), Some(Tree { shape: Shape::Text(_), .. })) {
                let text = "the secret stands in the config; use {env: NAME}, {file: PATH} or {exec: [...]}";
                notes.warn(section.place_of(name), &section.at(name), text);
            }
        }
        let required: &[&str] = match (keys, login) {
            (true, _) => &["access_key", "secret_key"],
            (_, true) => &["username", "password", "domain_name"],
            _ => &[],
        };
        for name in required.iter().filter(|name| !section.has(name)) {
            section.error(name, notes, "is missing");
        }
        if token {
            return secret("token", notes).map(Self::Token);
        }
        if login {
            let (username, password) = (secret("username", notes), secret("password", notes));
            let domain_name = section.text("domain_name", notes);
            let iam_endpoint = section.parsed("iam_endpoint", notes, endpoint);
            let (username, password, domain_name) = (username?, password?, domain_name?.to_owned());
            return Some(Self::Password { username, password, domain_name, iam_endpoint });
        }
        let (access_key, secret_key) = (secret("access_key", notes), secret("secret_key", notes));
        let security_token = secret("security_token", notes);
        let domain_id = section.text("domain_id", notes).map(str::to_owned);
        Some(Self::Keys { access_key: access_key?, secret_key: secret_key?, security_token, domain_id })
    }
}

/// An endpoint: scheme and host, no path.
pub(super) fn endpoint(text: &str) -> Result<String, String> {
    let bad = || Err("expected http:// or https:// and a host, without a path".to_owned());
    let text = text.strip_suffix('/').unwrap_or(text);
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return bad() };
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '#' | '@' | '\\');
    if host.is_empty() || host.contains(odd) { bad() } else { Ok(text.to_owned()) }
}

fn from_environment(provider: &str, env: Environment<'_>) -> Result<Credential, SecretError> {
    let variables = match provider.split('-').next() {
        Some("alibaba") => ALIBABA,
        Some("huawei") => HUAWEI,
        _ => AWS,
    };
    let first = |names: &[&str]| names.iter().find_map(|name| env(name).filter(|value| !value.trim().is_empty()));
    let needed = |names: &[&str]| {
        first(names).ok_or_else(|| {
            let text = format!("no credentials: set {}, or write credentials in the lane", names.join(" or "));
            SecretError(text)
        })
    };
    Ok(Credential::Key {
        access_key: needed(variables.access_key)?,
        secret_key: needed(variables.secret_key)?.into(),
        security_token: first(variables.token).map(Into::into),
        account: first(variables.account),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(provider: &str, set: &[(&str, &str)]) -> Result<(String, Option<String>), String> {
        let env = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        match Credentials::Environment.resolve(provider, &env).map_err(|error| error.to_string())? {
            Resolved::Credential(Credential::Key { access_key, account, .. }) => Ok((access_key, account)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn left_out_credentials_come_from_the_clouds_own_variables() {
        let sdk = [("HUAWEICLOUD_SDK_AK", "a"), ("HUAWEICLOUD_SDK_SK", "s"), ("HUAWEICLOUD_SDK_DOMAIN_ID", "d")];
        assert_eq!(key_of("huawei-tms", &sdk), Ok(("a".into(), Some("d".into()))));
        let terraform = [("ALICLOUD_ACCESS_KEY", "a"), ("ALICLOUD_SECRET_KEY", "s")];
        assert_eq!(key_of("alibaba-ecs", &terraform), Ok(("a".into(), None)));
        let error = key_of("alibaba-ecs", &sdk).unwrap_err();
        assert_eq!(
            error,
            "no credentials: set ALIBABA_CLOUD_ACCESS_KEY_ID or ALICLOUD_ACCESS_KEY, or write credentials in the lane"
        );
    }

    #[test]
    fn an_endpoint_is_a_scheme_and_a_host() {
        assert_eq!(endpoint("http://127.0.0.1:9001/"), Ok("http://127.0.0.1:9001".into()));
        assert_eq!(endpoint("https://[::1]:8443"), Ok("https://[::1]:8443".into()));
        for bad in ["tms.example.com", "ftp://x", "https://", "https://x/path", "https://user@x", "https://a b"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
