//! One lane of the config, proven.

use super::credentials::{Base, Cloud, Credentials, endpoint};
use super::read::{Notes, Section};
use super::tree::Tree;
use super::valid::Catalog;
use crate::event::LaneFacts;
use crate::job::{LaneName, suggest};
use crate::provider::{Entry, Settings};
use std::time::Duration;

const FIELDS: [&str; 19] = [
    "name",
    // These two stand for many lanes; they are gone when one of them is read.
    "for_each",
    "exclude",
    "provider",
    "region",
    "credentials",
    "rate",
    "concurrency",
    "limits",
    "retry",
    "endpoint",
    "mode",
    "timeout",
    "signature",
    "delete_with_value",
    "account_id",
    "path_style",
    "verify",
    "allow_cloudformation_stacks",
];

/// A lane whose every setting has been checked.
#[derive(Clone, Debug)]
pub struct LaneConfig {
    /// Its name, unique in the config.
    pub name: LaneName,
    /// Its provider.
    pub provider: &'static Entry,
    /// What the provider is made with; making it has been tried.
    pub settings: Settings,
    /// Who it is to the cloud.
    pub credentials: Credentials,
    /// The ceiling of its call rate.
    pub rate: Rate,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// When it gives up on an item.
    pub retry: Retry,
    /// Apply or observe.
    pub mode: Mode,
    /// How long one call may take.
    pub timeout: Duration,
}

/// At most `burst + t * per_second` calls leave in any `t` seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Calls a second; above 0, may be below 1.
    pub per_second: f64,
    /// Calls at once after a pause; at least 1.
    pub burst: u32,
}

/// When to give up on an item: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts; at least 1.
    pub max_attempts: u32,
    /// Time from the first attempt.
    pub give_up_after: Duration,
}

/// What a lane does with its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Send them.
    #[default]
    Apply,
    /// Plan and log them, send nothing.
    Observe,
}

/// Between heartbeats to a broker. A call that lasts longer could meet those of the lane's next owner.
const HEARTBEAT: Duration = Duration::from_secs(10);

const DAY: Duration = Duration::from_hours(24);

impl LaneConfig {
    /// Whether another config of the lane differs in nothing but what a lane at work can change: rate, concurrency, retry.
    pub fn is_same_but_for_tuning(&self, other: &Self) -> bool {
        let Self { name, provider, settings, credentials, rate: _, concurrency: _, retry: _, mode, timeout } = self;
        (name, provider.name, settings) == (&other.name, other.provider.name, &other.settings)
            && (credentials, mode, timeout) == (&other.credentials, &other.mode, &other.timeout)
    }

    /// What events are held against to find the lane they are for.
    pub fn facts(&self) -> LaneFacts {
        LaneFacts {
            name: self.name.clone(),
            provider: self.provider.name.to_owned(),
            region: self.settings.region.clone(),
            regional: self.provider.regional,
            account: self.account(),
        }
    }

    /// The account it works in, as far as the config says so.
    fn account(&self) -> Option<String> {
        let owner = || match &self.credentials.base {
            Base::Keys { domain_id, .. } => domain_id.clone(),
            _ => None,
        };
        // arn:aws:iam::ACCOUNT:role/NAME, acs:ram::ACCOUNT:role/NAME
        let role = || {
            let arn = &self.credentials.role.as_ref()?.arn;
            arn.split(':').rev().nth(1).filter(|account| !account.is_empty()).map(str::to_owned)
        };
        self.settings.account_id.clone().or_else(role).or_else(owner)
    }

    /// `fleet` says that other workers may take the lane over.
    pub(super) fn read(tree: &Tree, path: &str, catalog: &Catalog, fleet: bool, notes: &mut Notes) -> Option<Self> {
        let section = Section::open(tree, path, &FIELDS, notes)?;
        for name in ["name", "provider", "region"].into_iter().filter(|name| !section.has(name)) {
            section.error(name, notes, "is missing");
        }
        let name = section.parsed("name", notes, |text| LaneName::new(text).map_err(|error| error.to_string()));
        let provider = section.parsed("provider", notes, |text| find(text, catalog));
        // Rules that depend on the cloud are only held against a provider that is known.
        let cloud = provider.map_or("", |entry| entry.name);
        let before = notes.errors.len();
        let settings = settings(&section, cloud, notes);
        if let (Some(entry), Some(settings)) = (provider, &settings)
            && notes.errors.len() == before
        {
            try_provider(&section, entry, settings, notes);
        }
        let credentials = match section.get("credentials") {
            None => Some(Credentials::default()),
            Some(tree) => Credentials::read(tree, &section.at("credentials"), Cloud::of(cloud), notes),
        };
        let mode = section.parsed("mode", notes, |text| match text {
            "apply" => Ok(Mode::Apply),
            "observe" => Ok(Mode::Observe),
            _ => Err("is either apply or observe".into()),
        });
        let concurrency = section.whole("concurrency", 1, 64, notes).unwrap_or(2);
        let timeout = section.time("timeout", Duration::from_mins(10), notes).unwrap_or(Duration::from_secs(9));
        if fleet && timeout >= HEARTBEAT {
            let text = "must be below 10s with a broker: a worker that is cut off notices it after 10s, and another may \
                        take its lanes over";
            section.error("timeout", notes, text);
        }
        let retry = retry(&section, notes);
        let rate = rate(&section, provider, notes);
        Some(Self {
            name: name?,
            provider: provider?,
            settings: settings?,
            credentials: credentials?,
            rate: rate?,
            concurrency: concurrency as usize,
            retry,
            mode: mode.unwrap_or_default(),
            timeout,
        })
    }
}

fn find(text: &str, catalog: &Catalog) -> Result<&'static Entry, String> {
    (catalog.find)(text).ok_or_else(|| {
        let names = (catalog.names)();
        let hint = suggest::hint(text, names.iter().copied());
        let hint = if hint.is_empty() { format!("; known are {}", names.join(", ")) } else { hint };
        format!("there is no provider {text}{hint}")
    })
}

fn settings(section: &Section<'_>, cloud: &str, notes: &mut Notes) -> Option<Settings> {
    let region = section.parsed("region", notes, |text| {
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits { Ok(text.to_owned()) } else { Err("a region has only letters, digits and -".into()) }
    });
    let limits = section.section("limits", &["resources_per_call", "tags_per_call"], notes);
    let limit = |name: &str, notes: &mut Notes| {
        let limit = limits.as_ref().and_then(|limits| limits.whole(name, 1, u32::MAX, notes));
        limit.map(|limit| limit as usize)
    };
    let signature = section.parsed("signature", notes, |text| match text {
        "v1" => Ok(true),
        "v3" => Ok(false),
        _ => Err("is either v1 or v3".into()),
    });
    let delete_with_value = section.flag("delete_with_value", notes);
    if !cloud.is_empty() && section.has("signature") && !cloud.starts_with("alibaba") {
        section.error("signature", notes, "is for Alibaba Cloud only");
    }
    if !cloud.is_empty() && section.has("delete_with_value") && !cloud.starts_with("huawei") {
        section.error("delete_with_value", notes, "is for Huawei Cloud only");
    }
    for (name, cloud_wanted, text) in [
        ("path_style", "aws-s3", "is for aws-s3 only"),
        ("verify", "aws-s3", "is for aws-s3 only"),
        ("allow_cloudformation_stacks", "aws-tagging", "is for aws-tagging only"),
    ] {
        if !cloud.is_empty() && section.has(name) && !cloud.starts_with(cloud_wanted) {
            section.error(name, notes, text);
        }
    }
    let (resources_per_call, tags_per_call) = (limit("resources_per_call", notes), limit("tags_per_call", notes));
    let account_id = section.parsed("account_id", notes, |text| {
        let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        let plain = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match cloud.starts_with("aws-") {
            true if !digits => Err("an AWS account has 12 digits; write them in quotes".into()),
            false if !plain => Err("an account has only letters, digits and -".into()),
            _ => Ok(text.to_owned()),
        }
    });
    let (path_style, verify) = (section.flag("path_style", notes), section.flag("verify", notes));
    let allow_cloudformation_stacks = section.flag("allow_cloudformation_stacks", notes);
    Some(Settings {
        endpoint: section.parsed("endpoint", notes, endpoint),
        resources_per_call,
        tags_per_call,
        delete_with_value: delete_with_value.unwrap_or(false),
        signature_v1: signature.unwrap_or(false),
        account_id,
        path_style,
        verify: verify.unwrap_or(false),
        allow_cloudformation_stacks: allow_cloudformation_stacks.unwrap_or(false),
        region: region?,
    })
}

/// Makes the provider once: what it refuses now it would refuse at the start of a worker.
fn try_provider(section: &Section<'_>, entry: &Entry, settings: &Settings, notes: &mut Notes) {
    let full = Settings { resources_per_call: None, tags_per_call: None, ..settings.clone() };
    let limits = match (entry.build)(&full) {
        Ok(provider) => provider.limits().clone(),
        Err(why) => return section.error("provider", notes, why),
    };
    let pairs = [
        ("resources_per_call", settings.resources_per_call, limits.resources_per_call),
        ("tags_per_call", settings.tags_per_call, limits.tags_per_call),
    ];
    let mut within = true;
    for (name, wanted, most) in pairs {
        if wanted.is_some_and(|wanted| wanted > most) {
            within = false;
            let place =
                section.section("limits", &[name, "resources_per_call", "tags_per_call"], &mut Notes::default());
            let text = format!("{} takes at most {most}; limits can only be lowered", entry.name);
            match place {
                Some(limits) => limits.error(name, notes, text),
                None => section.error("limits", notes, text),
            }
        }
    }
    if within && let Err(why) = (entry.build)(settings) {
        section.error("provider", notes, why);
    }
}

fn rate(section: &Section<'_>, provider: Option<&Entry>, notes: &mut Notes) -> Option<Rate> {
    if !section.has("rate") {
        return provider.map(|entry| Rate { per_second: entry.default_rate, burst: 1 });
    }
    let rate = section.section("rate", &["per_second", "burst"], notes)?;
    if !rate.has("per_second") {
        rate.error("per_second", notes, "is missing");
    }
    let burst = rate.whole("burst", 1, u32::MAX, notes).unwrap_or(1);
    Some(Rate { per_second: rate.positive("per_second", notes)?, burst })
}

fn retry(section: &Section<'_>, notes: &mut Notes) -> Retry {
    let retry = section.section("retry", &["max_attempts", "give_up_after"], notes);
    let retry = retry.as_ref();
    Retry {
        max_attempts: retry.and_then(|retry| retry.whole("max_attempts", 1, 1000, notes)).unwrap_or(8),
        give_up_after: retry.and_then(|retry| retry.time("give_up_after", 30 * DAY, notes)).unwrap_or(DAY / 4),
    }
}
