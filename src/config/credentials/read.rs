//! The section `credentials` of a lane: one way to be somebody, perhaps a role from there, and nothing mixed.

use super::super::read::{Notes, Section};
use super::super::secret::Secret;
use super::super::tree::{Shape, Tree};
use super::{Base, Cloud, Credentials, Places, Role, Source};
use std::time::Duration;

const FIELDS: [&str; 15] = [
    "source",
    "profile",
    "credentials_file",
    "access_key",
    "secret_key",
    "security_token",
    "domain_id",
    "username",
    "password",
    "domain_name",
    "token",
    "assume_role",
    "sts_endpoint",
    "iam_endpoint",
    "metadata_endpoint",
];

/// The ways to be somebody. Each is known by its fields.
const WAYS: [&[&str]; 5] = [
    &["access_key", "secret_key", "security_token", "domain_id"],
    &["username", "password", "domain_name"],
    &["token"],
    &["profile", "credentials_file"],
    &["source"],
];

/// How we call ourselves where the config says nothing.
const SESSION_NAME: &str = "tagmill";

impl Credentials {
    /// Reads the section as the config writes it. `cloud` is none where the provider is not known.
    pub(in crate::config) fn read(tree: &Tree, path: &str, cloud: Option<Cloud>, notes: &mut Notes) -> Option<Self> {
        let section = Section::open(tree, path, &FIELDS, notes)?;
        for (name, clouds) in [
            ("domain_id", &[Cloud::Huawei][..]),
            ("username", &[Cloud::Huawei]),
            ("password", &[Cloud::Huawei]),
            ("domain_name", &[Cloud::Huawei]),
            ("iam_endpoint", &[Cloud::Huawei]),
            ("token", &[Cloud::Huawei]),
            ("profile", &[Cloud::Aws, Cloud::Alibaba]),
            ("assume_role", &[Cloud::Aws, Cloud::Alibaba]),
        ] {
            if section.has(name) && cloud.is_some_and(|cloud| !clouds.contains(&cloud)) {
                let names: Vec<&str> = clouds.iter().map(|cloud| cloud.name()).collect();
                section.error(name, notes, format!("is for {} only", names.join(" and ")));
            }
        }
        for name in ["secret_key", "security_token", "password", "token"] {
            if matches!(section.get(name), Some(Tree { shape: Shape::Text(_), .. })) {
                let text = "the secret stands in the config; use {env: NAME}, {file: PATH} or {exec: [...]}";
                notes.warn(section.place_of(name), &section.at(name), text);
            }
        }
        let ways: Vec<usize> = WAYS
            .iter()
            .enumerate()
            .filter(|(_, fields)| fields.iter().any(|name| section.has(name)))
            .map(|(way, _)| way)
            .collect();
        let says_nothing = !FIELDS.iter().any(|name| section.has(name));
        if ways.len() > 1 || says_nothing {
            let text = "name one of: access_key and secret_key; username, password and domain_name; token; profile or \
                credentials_file; source. Leave credentials out for the usual chain of the cloud";
            notes.error(&tree.place, path, text);
            return None;
        }
        let base = base(&section, ways.first().copied(), cloud, notes);
        let places = Places {
            sts: section.parsed("sts_endpoint", notes, endpoint),
            iam: section.parsed("iam_endpoint", notes, endpoint),
            metadata: section.parsed("metadata_endpoint", notes, endpoint),
        };
        if !section.has("assume_role") {
            return Some(Self { base: base?, role: None, places });
        }
        let (role, source_profile) = role(&section, notes)?;
        let base = match (base?, source_profile) {
            (base, None) => base,
            (Base::Chain, Some(profile)) => Base::File { profile: Some(profile), file: None },
            (_, Some(_)) => {
                section.error("assume_role", notes, "source_profile says who we are, and so does the rest; keep one");
                return None;
            }
        };
        Some(Self { base, role: Some(role), places })
    }
}

fn base(section: &Section<'_>, way: Option<usize>, cloud: Option<Cloud>, notes: &mut Notes) -> Option<Base> {
    let secret = |name: &str, notes: &mut Notes| Secret::read(section.get(name)?, &section.at(name), notes);
    let mut needed = |names: &[&str]| {
        for name in names.iter().filter(|name| !section.has(name)) {
            section.error(name, notes, "is missing");
        }
    };
    match way {
        None => Some(Base::Chain),
        Some(0) => {
            needed(&["access_key", "secret_key"]);
            let (access_key, secret_key) = (secret("access_key", notes), secret("secret_key", notes));
            let security_token = secret("security_token", notes);
            let domain_id = section.text("domain_id", notes).map(str::to_owned);
            Some(Base::Keys { access_key: access_key?, secret_key: secret_key?, security_token, domain_id })
        }
        Some(1) => {
            needed(&["username", "password", "domain_name"]);
            let (username, password) = (secret("username", notes), secret("password", notes));
            let domain_name = section.text("domain_name", notes);
            Some(Base::Password { username: username?, password: password?, domain_name: domain_name?.to_owned() })
        }
        Some(2) => secret("token", notes).map(Base::Token),
        Some(3) => {
            let profile = section.text("profile", notes).map(str::to_owned);
            let file = section.text("credentials_file", notes).map(Into::into);
            Some(Base::File { profile, file })
        }
        Some(_) => section.parsed("source", notes, |text| source(text, cloud)).map(Base::Only),
    }
}

fn source(text: &str, cloud: Option<Cloud>) -> Result<Source, String> {
    let fits = |source: &Source| cloud.is_none_or(|cloud| Source::chain(cloud).contains(source));
    let found = Source::NAMES.iter().find(|(name, source)| *name == text && fits(source));
    found.map(|(_, source)| *source).ok_or_else(|| {
        let names: Vec<&str> = Source::NAMES.iter().filter(|(_, source)| fits(source)).map(|(name, _)| *name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// The role, and the profile it is taken from.
fn role(outer: &Section<'_>, notes: &mut Notes) -> Option<(Role, Option<String>)> {
    let known = ["role_arn", "external_id", "session_name", "source_profile", "duration"];
    let section = outer.section("assume_role", &known, notes)?;
    if !section.has("role_arn") {
        section.error("role_arn", notes, "is missing");
    }
    let arn = section.parsed("role_arn", notes, |text| {
        let fits = (text.starts_with("arn:") || text.starts_with("acs:ram::")) && text.contains(":role/");
        let text = text.to_owned();
        if fits {
            Ok(text)
        } else {
            Err("expected arn:aws:iam::ACCOUNT:role/NAME or acs:ram::ACCOUNT:role/NAME".into())
        }
    });
    let session_name = section.parsed("session_name", notes, |text| {
        // What both clouds take.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'@' | b'-' | b'_');
        let fits = (2..=64).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(text.to_owned()) } else { Err("has 2 to 64 characters of a-z A-Z 0-9 . @ - _".into()) }
    });
    let external_id = section.text("external_id", notes).map(str::to_owned);
    let source_profile = section.text("source_profile", notes).map(str::to_owned);
    let duration = section.time("duration", Duration::from_hours(12), notes);
    if duration.is_some_and(|duration| duration < Duration::from_mins(15)) {
        section.error("duration", notes, "must be from 15m to 12h");
    }
    let session_name = match session_name {
        Some(name) => name,
        None if section.has("session_name") => return None,
        None => SESSION_NAME.to_owned(),
    };
    Some((Role { arn: arn?, external_id, session_name, duration }, source_profile))
}

/// An endpoint: scheme and host, no path.
pub(in crate::config) fn endpoint(text: &str) -> Result<String, String> {
    let bad = || Err("expected http:// or https:// and a host, without a path".to_owned());
    let text = text.strip_suffix('/').unwrap_or(text);
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return bad() };
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '#' | '@' | '\\');
    if host.is_empty() || host.contains(odd) { bad() } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_and_a_host() {
        assert_eq!(endpoint("http://127.0.0.1:9001/"), Ok("http://127.0.0.1:9001".into()));
        assert_eq!(endpoint("https://[::1]:8443"), Ok("https://[::1]:8443".into()));
        for bad in ["tms.example.com", "ftp://x", "https://", "https://x/path", "https://user@x", "https://a b"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
