//! AWS: the vendor's own chain from `aws-config`, source by source, and roles taken through STS.

use super::{
    Wanted,
    around::Around,
    chain::{Found, Look},
};
use crate::{config::Source, provider::Credential};
use aws_config::{
    BehaviorVersion, Region, ecs::EcsCredentialsProvider, imds, imds::credentials::ImdsCredentialsProvider,
    profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
    web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError},
};
use aws_sdk_sts::{
    config::{RuntimeComponents, SharedHttpClient},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use std::{error::Error, path::Path, sync::OnceLock};

/// The partition of a region: a key of one is nothing in another.
pub(super) fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        region if region.starts_with("eusc-") => "aws-eusc",
        region if region.starts_with("us-iso-") => "aws-iso",
        region if region.starts_with("us-isob-") => "aws-iso-b",
        region if region.starts_with("us-isof-") => "aws-iso-f",
        region if region.starts_with("eu-isoe-") => "aws-iso-e",
        _ => "aws",
    }
}

/// The connections of this process to AWS's identity services, and to services on this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    far: OnceLock<SharedHttpClient>,
    near: OnceLock<SharedHttpClient>,
}

impl Connections {
    fn far(&self) -> SharedHttpClient {
        self.far.get_or_init(|| client(true)).clone()
    }

    fn near(&self) -> SharedHttpClient {
        self.near.get_or_init(|| client(false)).clone()
    }
}

/// The vendor's client, with the TLS that everything else here uses, through the proxy that the environment names.
fn client(proxy: bool) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder();
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.set_proxy_config(proxy.then(ProxyConfig::from_env));
        builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
    })
}

/// The region whose identity services are asked: this machine's where it is told, so that an endpoint of its own network
/// is used; else that of the lane.
fn region(wanted: &Wanted, around: &Around) -> String {
    let here = around.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    here.filter(|region| partition(region) == wanted.site).unwrap_or_else(|| wanted.region.clone())
}

fn provider_config(wanted: &Wanted, around: &Around) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_behavior_version(Some(BehaviorVersion::latest()))
        .with_region(Some(Region::new(region(wanted, around))))
        .with_use_fips(Some(around.is_on("AWS_USE_FIPS_ENDPOINT")))
        .with_use_dual_stack(Some(around.is_on("AWS_USE_DUALSTACK_ENDPOINT")))
        .with_http_client(around.aws().far())
}

/// What one source of the chain has.
pub(super) async fn look(source: Source, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    match source {
        Source::Environment => environment(around),
        Source::File => shared_files(None, None, wanted, around).await,
        Source::WebIdentity => {
            const FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
            let Some(file) = around.var(FILE) else {
                return Ok(Look::Nothing(format!("web identity ({FILE} not set)")));
            };
            if around.var("AWS_ROLE_ARN").is_none() {
                return Err(format!("web identity: {FILE} is set and AWS_ROLE_ARN is not"));
            }
            let provider =
                WebIdentityTokenCredentialsProvider::builder().configure(&provider_config(wanted, around)).build();
            ask(&provider, &format!("web identity: a role for the token in {file}")).await
        }
        Source::Container => {
            let names = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
            if around.first(&names).is_none() {
                return Ok(Look::Nothing(format!("container ({} not set)", names.join(", "))));
            }
            let config = provider_config(wanted, around).with_http_client(around.aws().near());
            ask(&EcsCredentialsProvider::builder().configure(&config).build(), "container").await
        }
        Source::Instance => instance(wanted, around).await,
        Source::Uri => Ok(Look::Nothing("credentials URI (AWS has none)".into())),
    }
}

async fn instance(wanted: &Wanted, around: &Around) -> Result<Look, String> {
    const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
    if around.is_on(DISABLED) {
        return Ok(Look::Nothing(format!("instance metadata ({DISABLED} is set)")));
    }
    let config = provider_config(wanted, around).with_http_client(around.aws().near());
    let mut client = imds::Client::builder().configure(&config);
    if let Some(place) = &wanted.credentials.places.metadata {
        client = client.endpoint(place).map_err(|error| format!("metadata_endpoint: {error}"))?;
    }
    let provider = ImdsCredentialsProvider::builder().configure(&config).imds_client(client.build()).build();
    match ask(&provider, "instance metadata").await? {
        Look::Nothing(_) => Ok(Look::Nothing("instance metadata (does not answer, or knows no role)".into())),
        found @ Look::Found(_) => Ok(found),
    }
}

fn environment(around: &Around) -> Result<Look, String> {
    let [key, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    match (around.var(key), around.var(secret)) {
        (Some(access_key), Some(secret_key)) => {
            let credential = Credential::Key {
                access_key,
                secret_key: secret_key.into(),
                security_token: around.first(&["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"]).map(Into::into),
                account: around.var("AWS_ACCOUNT_ID"),
            };
            let expires_at = around.var("AWS_CREDENTIAL_EXPIRATION").and_then(|text| text.parse().ok());
            Ok(Look::Found(Found { credential, expires_at, place: format!("environment: {key}") }))
        }
        (None, None) => Ok(Look::Nothing(format!("environment ({key} not set)"))),
        (Some(_), None) => Err(format!("environment: {key} is set and {secret} is not")),
        (None, Some(_)) => Err(format!("environment: {secret} is set and {key} is not")),
    }
}

/// A profile that the config names: it must be there.
pub(super) async fn profile(
    name: Option<&str>,
    file: Option<&Path>,
    wanted: &Wanted,
    around: &Around,
) -> Result<Found, String> {
    match shared_files(name, file, wanted, around).await? {
        Look::Found(found) => Ok(found),
        Look::Nothing(why) => Err(format!("no credentials for AWS: {why}")),
    }
}

/// Profiles of `~/.aws/config` and `~/.aws/credentials`: keys, roles, SSO, programs.
#[allow(deprecated, reason = "the same types by their other name are in a crate that the vendor keeps for itself")]
async fn shared_files(
    name: Option<&str>,
    file: Option<&Path>,
    wanted: &Wanted,
    around: &Around,
) -> Result<Look, String> {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let chosen = name.map(str::to_owned).or_else(|| around.var("AWS_PROFILE"));
    let mut builder = ProfileFileCredentialsProvider::builder().configure(&provider_config(wanted, around));
    if let Some(name) = &chosen {
        builder = builder.profile_name(name);
    }
    let mut place = "~/.aws".to_owned();
    if let Some(file) = file {
        let file = around.path(&file.to_string_lossy());
        place = file.display().to_string();
        let files = ProfileFiles::builder()
            .with_file(ProfileFileKind::Credentials, file)
            .include_default_config_file(true)
            .build();
        builder = builder.profile_files(files);
    } else if let Some(file) = around.first(&["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"]) {
        place = file;
    }
    let place = format!("{place}, profile {}", chosen.as_deref().unwrap_or("default"));
    match ask(&builder.build(), &place).await? {
        // Going on would make us somebody else than the environment says.
        Look::Nothing(why) if chosen.is_some() && name.is_none() => Err(format!("AWS_PROFILE is set: {why}")),
        look => Ok(look),
    }
}

/// Asks a provider. One that is not set up has nothing; one that is and fails is an error.
async fn ask(provider: &impl ProvideCredentials, place: &str) -> Result<Look, String> {
    match provider.provide_credentials().await {
        Ok(credentials) => Ok(Look::Found(found(&credentials, place))),
        Err(CredentialsError::CredentialsNotLoaded(_)) => Ok(Look::Nothing(format!("{place} (is not there)"))),
        Err(error) => Err(format!("{place}: {}", causes(&error))),
    }
}

fn found(credentials: &Credentials, place: &str) -> Found {
    let credential = Credential::Key {
        access_key: credentials.access_key_id().to_owned(),
        secret_key: credentials.secret_access_key().into(),
        security_token: credentials.session_token().map(Into::into),
        account: credentials.account_id().map(|id| id.as_str().to_owned()),
    };
    let expires_at = credentials.expiry().and_then(|end| Timestamp::try_from(end).ok());
    Found { credential, expires_at, place: place.to_owned() }
}

/// What an error says, and what it says was the reason. Never its debug form, which can hold a whole answer.
fn causes(error: &dyn Error) -> String {
    let mut told = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if told.last().is_none_or(|last| !last.contains(&text)) {
            told.push(text);
        }
        next = cause.source();
    }
    let text = told.join(": ");
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// STS as the credential sees it.
fn sts(credential: &Credential, wanted: &Wanted, around: &Around) -> aws_sdk_sts::Client {
    let (key, secret, token) = match credential {
        Credential::Key { access_key, secret_key, security_token, .. } => {
            (access_key.as_str(), secret_key.expose_secret(), security_token.as_ref())
        }
        // Nothing AWS takes: it is refused as such.
        Credential::Token(_) => ("", "", None),
    };
    let token = token.map(|token| token.expose_secret().to_owned());
    let configured = || {
        let ignored = around.is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        around.first(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]).filter(|_| !ignored)
    };
    let mut config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region(wanted, around)))
        .use_fips(around.is_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(around.is_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .credentials_provider(Credentials::new(key, secret, token, None, "tagmill"))
        .http_client(around.aws().far());
    config.set_endpoint_url(wanted.credentials.places.sts.clone().or_else(configured));
    aws_sdk_sts::Client::from_conf(config.build())
}

/// A failure of STS in a few words.
fn words<E: ProvideErrorMetadata + Error + 'static, R: std::fmt::Debug + 'static>(error: &SdkError<E, R>) -> String {
    match (error.code(), error.message()) {
        (Some(code), message) => format!("{code}: {}", message.unwrap_or("no reason given")),
        _ => causes(error),
    }
}

/// The role that the config asks for on top of what was found.
pub(super) async fn with_role(found: Found, wanted: &Wanted, around: &Around) -> Result<Found, String> {
    let Some(role) = &wanted.credentials.role else { return Ok(found) };
    let sent = sts(&found.credential, wanted, around)
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(&role.session_name)
        .set_external_id(role.external_id.clone())
        .set_duration_seconds(role.duration.and_then(|duration| duration.as_secs().try_into().ok()))
        .send()
        .await;
    let answer = sent.map_err(|error| {
        format!(
            "the role {} cannot be taken with the credentials from {} ({}); check the role, whom it trusts, and the \
            external id",
            role.arn,
            found.place,
            words(&error)
        )
    })?;
    let key = answer.credentials().ok_or_else(|| format!("the role {}: STS gives no key", role.arn))?;
    let credential = Credential::Key {
        access_key: key.access_key_id().to_owned(),
        secret_key: key.secret_access_key().into(),
        security_token: Some(key.session_token().into()),
        account: role.arn.split(':').nth(4).map(str::to_owned),
    };
    let expires_at = Timestamp::from_second(key.expiration().secs()).ok();
    Ok(Found { credential, expires_at, place: format!("role {} taken with {}", role.arn, found.place) })
}

/// Who STS says that the key belongs to: account and ARN.
pub(super) async fn caller(held: &Credential, wanted: &Wanted, around: &Around) -> Result<(String, String), String> {
    let answer = sts(held, wanted, around).get_caller_identity().send().await.map_err(|error| words(&error))?;
    match (answer.account(), answer.arn()) {
        (Some(account), Some(arn)) => Ok((account.to_owned(), arn.to_owned())),
        _ => Err("STS names nobody".into()),
    }
}
