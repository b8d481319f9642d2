//! Keys, tokens, permissions: what is wrong with the account never costs an item its life.

use crate::support::{Clouds, Home, disks, lane, sums, until};
use tagmill::sim::Faults;

fn disks_of(count: usize) -> String {
    disks((0..count).map(|n| format!("d-{n}")))
}

#[test]
fn a_wrong_secret_key_kills_nothing_and_the_same_command_with_the_right_one_finishes() {
    let clouds = Clouds::start();
    let mut home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("disks.csv", &disks_of(500));
    home.env("HUAWEI_SECRET", "mistyped");
    for _ in 0..2 {
        let (done, ledger) = home.apply(&["disks.csv"]);
        assert_eq!(ledger["calls"], clouds.requests(), "over all processes");
        assert_eq!((done.code, sums(&ledger)), (69, [500, 0, 0, 500]), "{done:?}");
        assert!(done.err.contains("correct them"), "{}", done.err);
        assert!(done.err.contains("500 items pending; the same command goes on with them"), "{}", done.err);
        assert!(ledger["lanes"][0]["paused"].as_str().unwrap().contains("refuses the credentials"), "{ledger}");
    }
    assert!(home.dead_letters().is_empty());
    assert!(clouds.requests() < 40, "{} calls to be told that the key is wrong", clouds.requests());
    home.env("HUAWEI_SECRET", tagmill::sim::well_known::HUAWEI_SECRET_KEY);
    let (done, ledger) = home.apply(&["disks.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [500, 500, 0, 0]), "{done:?}");
    assert_eq!(clouds.tags("huawei-tms").len(), 500);
}

#[test]
fn a_secret_that_is_not_there_is_told_by_name_and_nothing_is_lost() {
    let clouds = Clouds::start();
    let mut home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.write("disks.csv", &disks_of(10));
    home.without("HUAWEI_SECRET");
    let (done, ledger) = home.apply(&["disks.csv"]);
    assert_eq!((done.code, sums(&ledger)), (69, [10, 0, 0, 10]), "{done:?}");
    assert!(done.err.contains("HUAWEI_SECRET"), "{}", done.err);
    assert_eq!(clouds.requests(), 0);
}

#[test]
fn a_key_that_is_revoked_or_denied_everything_kills_nothing() {
    for (name, faults) in [
        ("revoked", Faults { revoked: true, ..Faults::default() }),
        ("expired", Faults { expired: true, ..Faults::default() }),
        ("deny_all", Faults { deny_all: true, ..Faults::default() }),
    ] {
        let clouds = Clouds::start();
        let lanes = ["tms", "ecs", "tag"].map(|name| lane(name, &clouds.url(), ""));
        let home = Home::new(&lanes);
        for cloud in ["huawei-tms", "alibaba-ecs", "alibaba-tag"] {
            clouds.faults(cloud, faults.clone());
        }
        let mut csv = "id,type,lane,env\n".to_owned();
        for n in 0..400 {
            csv += &format!("d-{n},disk,tms,e{0}\nd-{n},disk,ecs,e{0}\narn:acs:ecs:*:*:disk/d-{n},,tag,e{0}\n", n % 9);
        }
        home.write("all.csv", &csv);
        let (done, ledger) = home.apply(&["all.csv"]);
        assert_eq!((done.code, sums(&ledger)), (69, [1200, 0, 0, 1200]), "{name}: {done:?}");
        assert_eq!(done.err.matches("is paused").count(), 3, "{name}: {}", done.err);
        assert!(home.dead_letters().is_empty(), "{name}");
        for cloud in ["huawei-tms", "alibaba-ecs", "alibaba-tag"] {
            clouds.faults(cloud, Faults::default());
        }
        let (done, ledger) = home.apply(&["all.csv"]);
        assert_eq!((done.code, sums(&ledger)), (0, [1200, 1200, 0, 0]), "{name}: {done:?}");
    }
}

#[test]
fn a_lane_that_can_go_on_goes_on_while_another_is_paused() {
    let clouds = Clouds::start();
    let mut home = Home::new(&["tms", "ecs"].map(|name| lane(name, &clouds.url(), "")));
    home.write("two.csv", "id,type,lane,env\nd-1,disk,tms,a\nd-1,disk,ecs,a\nd-2,disk,ecs,a\n");
    home.env("HUAWEI_SECRET", "mistyped");
    let (done, ledger) = home.apply(&["two.csv"]);
    assert_eq!((done.code, sums(&ledger)), (69, [3, 2, 0, 1]), "{done:?}");
    assert_eq!(clouds.tags("alibaba-ecs").len(), 2);
}

#[test]
fn one_denied_resource_is_dead_and_the_others_are_tagged() {
    let clouds = Clouds::start();
    for (name, cloud) in [("tms", "huawei-tms"), ("ecs", "alibaba-ecs")] {
        clouds.faults(cloud, Faults { denied: vec!["d-77".into()], ..Faults::default() });
        let home = Home::new(&[lane(name, &clouds.url(), "")]);
        home.write("disks.csv", &disks_of(200));
        let (done, ledger) = home.apply(&["disks.csv"]);
        assert_eq!((done.code, sums(&ledger)), (1, [200, 199, 1, 0]), "{done:?}");
        assert_eq!(home.failures().keys().collect::<Vec<_>>(), ["d-77"]);
        assert_eq!(clouds.tags(cloud).len(), 199);
    }
}

#[test]
fn a_token_that_ends_in_the_middle_is_renewed_once_and_nothing_is_lost() {
    let clouds = Clouds::start();
    let home = Home::new(&[lane("login", &clouds.url(), "rate: { per_second: 60 }")]);
    home.write("disks.csv", &disks_of(5000));
    let running = home.start(&["apply", "disks.csv", "--output", "json"]);
    until("it is on its way", || clouds.requests() >= 10);
    clouds.faults("huawei-tms", Faults { token_epoch: 1, ..Faults::default() });
    let done = running.wait();
    assert_eq!((done.code, sums(&done.json())), (0, [5000, 5000, 0, 0]), "{done:?}");
    let counts = clouds.counts("huawei-tms");
    assert!(counts.outcomes.auth > 0);
    assert_eq!(counts.tokens_issued, 2);
    assert_eq!(done.json()["calls"], counts.requests, "logins are no calls");
}

#[test]
fn a_wrong_password_says_that_the_login_failed() {
    let clouds = Clouds::start();
    let mut home = Home::new(&[lane("login", &clouds.url(), "")]);
    home.write("disks.csv", &disks_of(20));
    home.env("HUAWEI_PASSWORD", "mistyped");
    let (done, ledger) = home.apply(&["disks.csv"]);
    assert_eq!((done.code, sums(&ledger)), (69, [20, 0, 0, 20]), "{done:?}");
    assert!(done.err.contains("the login at IAM failed"), "{}", done.err);
    assert!(done.err.contains("check user, password, account and endpoint"), "{}", done.err);
}

#[test]
fn a_clock_that_is_off_is_corrected_by_the_clouds_own_time() {
    let clouds = Clouds::start();
    let home = Home::new(&["tms", "ecs"].map(|name| lane(name, &clouds.url(), "")));
    for cloud in ["huawei-tms", "alibaba-ecs"] {
        clouds.faults(cloud, Faults { clock_offset_s: 7200, ..Faults::default() });
    }
    home.write("two.csv", "id,type,lane,env\nd-1,disk,tms,a\nd-1,disk,ecs,a\n");
    let (done, ledger) = home.apply(&["two.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [2, 2, 0, 0]), "{done:?}");
}
