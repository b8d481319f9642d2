//! Profiles: those of the CLI in `~/.aliyun/config.json`, and those of the SDKs in `~/.alibabacloud/credentials.ini`.

use super::{
    super::{
        Wanted,
        around::Around,
        chain::{Found, Look},
        clock, ini,
    },
    command, instance,
    sts::{self, Asked},
};
use crate::{config::Secret, provider::Credential};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::path::Path;

const CHOICE: [&str; 2] = ["ALIBABA_CLOUD_PROFILE", "ALIBABACLOUD_PROFILE"];
/// A profile that leans on a profile, and so on: so many are not meant.
const DEEPEST: usize = 8;

/// The profile of that name, or of the environment's or the file's choice, in that file or in the usual ones.
pub(super) async fn look(
    name: Option<&str>,
    file: Option<&Path>,
    wanted: &Wanted,
    around: &Around,
) -> Result<Look, String> {
    let chosen = name.map(str::to_owned).or_else(|| around.first(&CHOICE));
    if let Some(file) = file {
        let file = around.path(&file.to_string_lossy());
        let json = file.extension().is_some_and(|end| end == "json");
        let look =
            if json { cli(&file, chosen, wanted, around).await? } else { sdk(&file, chosen, wanted, around).await? };
        return Ok(look);
    }
    let mut looked = Vec::new();
    if around.is_on("ALIBABA_CLOUD_CLI_PROFILE_DISABLED") {
        looked.push("~/.aliyun/config.json (ALIBABA_CLOUD_CLI_PROFILE_DISABLED is set)".to_owned());
    } else {
        match cli(&around.path("~/.aliyun/config.json"), chosen.clone(), wanted, around).await? {
            Look::Nothing(why) => looked.push(why),
            found @ Look::Found(_) => return Ok(found),
        }
    }
    let files = match around.first(&["ALIBABA_CLOUD_CREDENTIALS_FILE", "ALIBABACLOUD_CREDENTIALS_FILE"]) {
        Some(file) => vec![around.path(&file)],
        // Some of the SDKs write the one, some the other.
        None => {
            ["~/.alibabacloud/credentials.ini", "~/.alibabacloud/credentials"].map(|name| around.path(name)).to_vec()
        }
    };
    for file in files {
        match sdk(&file, chosen.clone(), wanted, around).await? {
            Look::Nothing(why) => looked.push(why),
            found @ Look::Found(_) => return Ok(found),
        }
    }
    match chosen {
        // Going on would make us somebody else than the environment says.
        Some(chosen) if name.is_none() => {
            Err(format!("{} names the profile {chosen}, and there is none: {}", CHOICE[0], looked.join("; ")))
        }
        _ => Ok(Look::Nothing(looked.join("; "))),
    }
}

fn text<'v>(profile: &'v Value, name: &str) -> Option<&'v str> {
    profile.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// A profile of the CLI, with the roles it takes on the way.
async fn cli(file: &Path, chosen: Option<String>, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    let shown = file.display();
    let Some(content) = around.file(file).await? else {
        return Ok(Look::Nothing(format!("{shown} (no such file)")));
    };
    // What is wrong with it can hold a secret.
    let config: Value = serde_json::from_str(&content).map_err(|_| format!("{shown}: is not JSON"))?;
    let name = chosen.or_else(|| text(&config, "current").map(str::to_owned)).unwrap_or_else(|| "default".into());
    let profiles = config.get("profiles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let find = |name: &str| profiles.iter().find(|profile| text(profile, "name") == Some(name));
    let Some(mut profile) = find(&name) else {
        return Ok(Look::Nothing(format!("{shown} (no profile {name})")));
    };
    let mut place = format!("{shown}, profile {name}");
    let mut roles = Vec::new();
    while mode(profile).eq_ignore_ascii_case("ChainableRamRoleArn") {
        roles.push(role(profile, &place)?);
        let source = text(profile, "source_profile").ok_or_else(|| format!("{place}: source_profile is missing"))?;
        profile = find(source).ok_or_else(|| format!("{place}: there is no profile {source}"))?;
        if roles.len() >= DEEPEST {
            return Err(format!("{place}: its source profiles lead in a circle"));
        }
        place = format!("{shown}, profile {source}");
    }
    let mut look = of_mode(profile, &place, wanted, around).await?;
    while let (Look::Found(found), Some(role)) = (&mut look, roles.pop()) {
        let credential = found.credential.clone();
        let base = Found { credential, expires_at: found.expires_at, place: std::mem::take(&mut found.place) };
        look = Look::Found(sts::assume(base, &role, wanted, around).await?);
    }
    Ok(look)
}

fn mode(profile: &Value) -> &str {
    text(profile, "mode").unwrap_or("AK")
}

fn key(profile: &Value) -> Option<Credential> {
    Some(Credential::Key {
        access_key: text(profile, "access_key_id")?.to_owned(),
        secret_key: text(profile, "access_key_secret")?.into(),
        security_token: text(profile, "sts_token").map(Into::into),
        account: None,
    })
}

fn role(profile: &Value, place: &str) -> Result<Asked, String> {
    let own = |name: &str| text(profile, name).map(str::to_owned);
    Ok(Asked {
        arn: own("ram_role_arn").ok_or_else(|| format!("{place}: ram_role_arn is missing"))?,
        session_name: own("ram_session_name"),
        external_id: own("external_id"),
        policy: own("policy"),
        seconds: profile.get("expired_seconds").and_then(Value::as_u64).and_then(|seconds| seconds.try_into().ok()),
        region: own("sts_region"),
        vpc: profile.get("enable_vpc").and_then(Value::as_bool).unwrap_or_default()
            || text(profile, "endpoint_type") == Some("vpc"),
    })
}

/// What a profile stands for by itself.
async fn of_mode(profile: &Value, place: &str, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    let missing = |name: &str| format!("{place}: {name} is missing");
    let mode = mode(profile);
    let is = |known: &str| mode.eq_ignore_ascii_case(known);
    if is("AK") || is("StsToken") {
        if text(profile, "access_key_id").is_none() && text(profile, "access_key_secret").is_none() {
            // What the CLI writes before anybody has told it anything.
            return Ok(Look::Nothing(format!("{place} (has no key)")));
        }
        let Some(Credential::Key { access_key, secret_key, security_token, account }) = key(profile) else {
            return Err(missing("access_key_id or access_key_secret"));
        };
        if is("StsToken") && security_token.is_none() {
            return Err(missing("sts_token"));
        }
        // A token that an earlier mode has left behind does not belong to the key.
        let security_token = security_token.filter(|_| is("StsToken"));
        return Ok(Look::Found(Found::lasting(
            Credential::Key { access_key, secret_key, security_token, account },
            place,
        )));
    }
    if is("RamRoleArn") {
        let base = key(profile).ok_or_else(|| missing("access_key_id or access_key_secret"))?;
        let asked = role(profile, place)?;
        return sts::assume(Found::lasting(base, place), &asked, wanted, around).await.map(Look::Found);
    }
    if is("EcsRamRole") || is("RamRoleArnWithRoleName") {
        // The profile says that there is a role: that there is none is an error.
        let found = match instance::look(text(profile, "ram_role_name"), wanted, around).await {
            Ok(Look::Found(found)) => Found { place: format!("{place}, {}", found.place), ..found },
            Ok(Look::Nothing(why)) | Err(why) => return Err(format!("{place}: {why}")),
        };
        if is("EcsRamRole") {
            return Ok(Look::Found(found));
        }
        return sts::assume(found, &role(profile, place)?, wanted, around).await.map(Look::Found);
    }
    if is("OIDC") {
        let provider = text(profile, "oidc_provider_arn").ok_or_else(|| missing("oidc_provider_arn"))?;
        let file = text(profile, "oidc_token_file").ok_or_else(|| missing("oidc_token_file"))?;
        let asked = role(profile, place)?;
        return sts::exchange(&asked, provider, file, place, wanted, around).await.map(Look::Found);
    }
    if is("CredentialsURI") {
        let named_by = format!("{place}, credentials_uri");
        return match text(profile, "credentials_uri") {
            Some(uri) => instance::uri_at(uri, &named_by, around).await.map(Look::Found),
            None => match instance::uri_of_environment(around).await? {
                Look::Found(found) => Ok(Look::Found(found)),
                Look::Nothing(_) => Err(missing("credentials_uri")),
            },
        };
    }
    if is("External") {
        let line = text(profile, "process_command").ok_or_else(|| missing("process_command"))?;
        return external(line, place, around).await.map(Look::Found);
    }
    if is("CloudSSO") || is("OAuth") {
        return signed_in(profile, place).map(Look::Found);
    }
    Err(format!("{place}: the mode {mode} gives no key that tagmill can sign with; use another profile"))
}

/// What a program prints.
async fn external(line: &str, place: &str, around: &Around) -> Result<Found, String> {
    let words = command::words(line).ok_or_else(|| format!("{place}: process_command is no command line"))?;
    let printed = around.secret(&Secret::Exec(words)).await.map_err(|why| format!("{place}: {why}"))?;
    let printed: Value = serde_json::from_str(printed.expose_secret())
        .map_err(|_| format!("{place}: process_command prints no JSON"))?;
    let credential = key(&printed).ok_or_else(|| format!("{place}: process_command prints no key"))?;
    let expires_at = text(&printed, "expiration").and_then(|text| text.parse().ok());
    Ok(Found { credential, expires_at, place: format!("{place}, process_command") })
}

/// What the CLI has left in the file when somebody signed in. Only the CLI can renew it.
fn signed_in(profile: &Value, place: &str) -> Result<Found, String> {
    let again = || format!("{place}: the sign-in has ended; run any `aliyun` command with this profile to renew it");
    let end = profile.get("sts_expiration").and_then(Value::as_i64).filter(|seconds| *seconds > 0);
    let expires_at = end.and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or_else(again)?;
    if expires_at <= clock::wall() {
        return Err(again());
    }
    let credential = key(profile).ok_or_else(again)?;
    Ok(Found { credential, expires_at: Some(expires_at), place: place.to_owned() })
}

/// A profile of the SDKs.
async fn sdk(file: &Path, chosen: Option<String>, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    let shown = file.display();
    let Some(content) = around.file(file).await? else {
        return Ok(Look::Nothing(format!("{shown} (no such file)")));
    };
    let name = chosen.unwrap_or_else(|| "default".into());
    let sections = ini::read(&content);
    let Some(section) = sections.get(&name) else {
        return Ok(Look::Nothing(format!("{shown} (no section {name})")));
    };
    let place = format!("{shown}, section {name}");
    if ini::text(section, "enable").is_some_and(|text| text.eq_ignore_ascii_case("false")) {
        return Ok(Look::Nothing(format!("{place} (is not enabled)")));
    }
    let need = |key: &str| ini::text(section, key).ok_or_else(|| format!("{place}: {key} is missing"));
    let pair = |token: Option<&str>| {
        Ok::<_, String>(Credential::Key {
            access_key: need("access_key_id")?.to_owned(),
            secret_key: need("access_key_secret")?.into(),
            security_token: token.map(Into::into),
            account: None,
        })
    };
    let own = |key: &str| ini::text(section, key).map(str::to_owned);
    let asked = || {
        Ok::<_, String>(Asked {
            arn: need("role_arn")?.to_owned(),
            session_name: own("role_session_name"),
            external_id: own("external_id"),
            policy: own("policy"),
            ..Asked::default()
        })
    };
    match need("type")? {
        "access_key" => Ok(Look::Found(Found::lasting(pair(None)?, place))),
        "sts" => {
            let token = need("security_token")?;
            Ok(Look::Found(Found::lasting(pair(Some(token))?, place)))
        }
        "ram_role_arn" => {
            let base = Found::lasting(pair(ini::text(section, "security_token"))?, place.clone());
            sts::assume(base, &asked()?, wanted, around).await.map(Look::Found)
        }
        "oidc_role_arn" => {
            let (provider, file) = (need("oidc_provider_arn")?, need("oidc_token_file_path")?);
            sts::exchange(&asked()?, provider, file, &place, wanted, around).await.map(Look::Found)
        }
        "ecs_ram_role" => match instance::look(ini::text(section, "role_name"), wanted, around).await {
            Ok(Look::Found(found)) => Ok(Look::Found(Found { place: format!("{place}, {}", found.place), ..found })),
            Ok(Look::Nothing(why)) | Err(why) => Err(format!("{place}: {why}")),
        },
        "credentials_uri" => {
            let named_by = format!("{place}, credentials_uri");
            instance::uri_at(need("credentials_uri")?, &named_by, around).await.map(Look::Found)
        }
        other => Err(format!("{place}: the type {other} gives no key that tagmill can sign with; use another section")),
    }
}
