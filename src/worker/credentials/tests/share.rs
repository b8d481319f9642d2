//! One fetch for everybody: at the same time, after each other, and when it fails.

use super::{
    super::{Held, Keeper, Wanted, around::Around, clock, renewal, share::Shared},
    Home, Service, answer, shown,
};
use crate::config::{Base, Cloud, Secret, Source};
use jiff::{SignedDuration, Timestamp};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

fn lane(shared: &Arc<Shared>) -> Keeper {
    Keeper { shared: Arc::clone(shared), seen: Arc::default() }
}

fn shared(home: &Home) -> Arc<Shared> {
    Arc::new(Shared::new(home.wanted.clone(), home.around()))
}

/// A service that hands out a new key each time, good for so long.
async fn handing_out(minutes: i64) -> (Service, Home) {
    let number = Arc::new(AtomicU32::new(0));
    let service = Service::start(move |_| {
        let number = number.fetch_add(1, Ordering::Relaxed) + 1;
        let end = clock::wall() + SignedDuration::from_mins(minutes);
        answer(
            200,
            format!(r#"{{"AccessKeyId":"k{number}","AccessKeySecret":"s","SecurityToken":"t","Expiration":"{end}"}}"#),
        )
    })
    .await;
    let mut home = Home::of(Cloud::Alibaba);
    home.base(Base::Only(Source::Uri)).env("ALIBABA_CLOUD_CREDENTIALS_URI", &service.url);
    (service, home)
}

fn key(held: &Held) -> String {
    shown(&held.credential).split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_hundred_lanes_that_ask_at_once_cause_one_fetch() {
    let (service, home) = handing_out(60).await;
    let shared = shared(&home);
    let lanes: Vec<Keeper> = (0..100).map(|_| lane(&shared)).collect();
    let asked: Vec<_> = lanes.iter().map(|lane| tokio::spawn(lane.clone().fetch())).collect();
    for asked in asked {
        assert_eq!(key(&asked.await.unwrap().unwrap()), "k1");
    }
    assert_eq!(service.seen().len(), 1);
    // Each of them is refused and asks for a new one: again one fetch, whoever comes first.
    for lane in &lanes {
        assert_eq!(key(&lane.clone().fetch().await.unwrap()), "k2");
    }
    assert_eq!(service.seen().len(), 2);
    assert_eq!(key(&lanes[0].last().unwrap()), "k2");
}

#[tokio::test]
async fn a_lane_that_is_new_takes_what_is_there_unless_it_has_ended() {
    let (service, home) = handing_out(60).await;
    let shared = shared(&home);
    assert!(lane(&shared).last().is_none());
    lane(&shared).fetch().await.unwrap();
    let other = lane(&shared);
    assert_eq!(key(&other.last().unwrap()), "k1");
    assert_eq!(key(&lane(&shared).fetch().await.unwrap()), "k1");
    assert_eq!(service.seen().len(), 1);
    assert_eq!(key(&other.fetch().await.unwrap()), "k2", "it had k1 already");

    let (_service, home) = handing_out(-1).await;
    let shared = self::shared(&home);
    lane(&shared).fetch().await.unwrap();
    assert!(lane(&shared).last().is_none());
    assert_eq!(key(&lane(&shared).fetch().await.unwrap()), "k2");
}

#[tokio::test]
async fn a_failure_is_told_to_everybody_who_waits_and_the_next_tries_again() {
    let good = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&good);
    let service = Service::start(move |_| match told.load(Ordering::Relaxed) {
        0 => answer(500, ""),
        _ => answer(200, r#"{"AccessKeyId":"k","AccessKeySecret":"s","SecurityToken":"t"}"#),
    })
    .await;
    let mut home = Home::of(Cloud::Alibaba);
    home.env("ALIBABA_CLOUD_CREDENTIALS_URI", &service.url);
    let shared = shared(&home);
    let lanes: Vec<Keeper> = (0..20).map(|_| lane(&shared)).collect();
    let asked: Vec<_> = lanes.iter().map(|lane| tokio::spawn(lane.clone().fetch())).collect();
    for asked in asked {
        let why = asked.await.unwrap().unwrap_err();
        assert_eq!(why, "credentials URI: the address in ALIBABA_CLOUD_CREDENTIALS_URI hands out no key (HTTP 500)");
    }
    assert_eq!(service.seen().len(), 1);
    good.store(1, Ordering::Relaxed);
    assert_eq!(key(&lanes[7].clone().fetch().await.unwrap()), "k");
}

#[tokio::test]
async fn a_lane_that_is_closed_while_it_asks_takes_nothing_from_the_others() {
    let (service, home) = handing_out(60).await;
    let shared = shared(&home);
    let first = tokio::spawn(lane(&shared).fetch());
    let second = tokio::spawn(lane(&shared).fetch());
    tokio::task::yield_now().await;
    first.abort();
    assert_eq!(key(&second.await.unwrap().unwrap()), "k1");
    assert_eq!(service.seen().len(), 1);
}

#[test]
fn a_credential_is_renewed_before_it_ends_and_never_in_a_tight_circle() {
    let now: Timestamp = "2025-01-02T03:00:00Z".parse().unwrap();
    let at = |end: &str| renewal(now, end.parse().unwrap()).map(|at| at.to_string());
    assert_eq!(at("2025-01-02T04:00:00Z").as_deref(), Some("2025-01-02T03:50:00Z"));
    assert_eq!(at("2025-01-02T03:15:00Z").as_deref(), Some("2025-01-02T03:11:15Z"), "the last quarter");
    assert_eq!(at("2025-01-02T03:00:01Z").as_deref(), Some("2025-01-02T03:00:01Z"), "not more than once a second");
    assert_eq!(at("2025-01-02T03:00:00Z"), None);
    assert_eq!(at("2025-01-02T02:00:00Z"), None);
}

#[tokio::test]
async fn lanes_with_the_same_credentials_share_a_keeper_and_others_do_not() {
    let text = "lanes:
  - {name: a, provider: alibaba-ecs, region: cn-hangzhou}
  - {name: b, provider: alibaba-rds, region: cn-beijing}
  - {name: c, provider: huawei-tms, region: cn-north-4}
  - {name: d, provider: huawei-tms, region: cn-north-1}
  - {name: e, provider: alibaba-ecs, region: cn-qingdao, credentials: {source: environment}}
  - {name: f, provider: alibaba-ecs, region: cn-shanghai, credentials: {source: environment}}
";
    let config = crate::config::parse(text, std::path::Path::new("t.yaml"), []).unwrap();
    let home = Home::of(Cloud::Alibaba);
    let keepers = super::super::Keepers::among(home.around());
    let shared: Vec<_> = config.lanes.iter().map(|lane| keepers.of(lane).shared).collect();
    let same = |one: usize, other: usize| Arc::ptr_eq(&shared[one], &shared[other]);
    assert!(same(0, 1), "one account, two products, two regions");
    assert!(same(4, 5));
    assert!(!same(0, 4) && !same(0, 2) && !same(2, 3));
    assert_eq!(keepers.shared.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_secret_in_a_file_is_read_anew_each_time() {
    let mut home = Home::of(Cloud::Alibaba);
    let file = home.file("secret", "one\n");
    let base = Base::Keys {
        access_key: Secret::Plain("ak".into()),
        secret_key: Secret::File(file.into()),
        security_token: None,
        domain_id: None,
    };
    home.base(base);
    let shared = shared(&home);
    let lane = lane(&shared);
    assert_eq!(shown(&lane.clone().fetch().await.unwrap().credential), "ak/one/-/-");
    home.file("secret", "two\n");
    assert_eq!(shown(&lane.clone().fetch().await.unwrap().credential), "ak/two/-/-");
}

#[test]
fn nothing_here_shows_a_secret_when_printed() {
    let home = Home::of(Cloud::Alibaba);
    let around: Around = home.around();
    let wanted: Wanted = home.wanted.clone();
    let found = super::Found::lasting(
        crate::provider::Credential::Key {
            access_key: "ak".into(),
            secret_key: "SECRET".into(),
            security_token: Some("SECRET".into()),
            account: None,
        },
        "here",
    );
    let shared = Shared::new(wanted, around);
    let text = format!("{found:?} {shared:?} {:?}", Held::new(super::Found::lasting(found.credential.clone(), "x")));
    assert!(!text.contains("SECRET"), "{text}");
}
