//! What somebody does on the page is done, once, and only after they were asked.

use crate::{
    amqp::Outgoing,
    browser::{ENTER, ESCAPE, TAB},
    place::{OPERATOR, Place, VIEWER},
    support::until,
};
use tagmill::sim::Faults;

#[test]
fn an_operator_finds_out_why_resources_are_dead_and_replays_them() {
    let Some(place) = Place::new() else { return };
    let browser = &place.browser;
    place.job("nightly-1", &["d-1", "gone-1", "gone-2"]);
    place.job("nightly-2", &["d-2", "gone-3"]);
    place.visit("", OPERATOR);
    browser.says("#badge-dead", "2");
    browser.says("#last-jobs", "nightly-1");
    browser.says("#last-jobs", "1 tagged · 2 dead");
    browser.picture("overview");

    // Why: from the job to its letter, by the link in its ledger.
    browser.click("a[href='#/jobs']");
    browser.says("#jobs-note", "2 jobs: 5 items, of which 3 dead");
    browser.picture("jobs");
    browser.click("#jobs a[title='its dead letters']");
    until("the filter is in the address", || browser.run("return location.hash") != "#/jobs");
    browser.says("#dead-count", "1 dead letter with");
    browser.click("#dead .linkish");
    browser.says("#letter", "TMS.0005");
    browser.says("#letter", "The resource does not exist");
    browser.picture("letter");
    browser.press(&[ESCAPE]);
    until("the letter is closed", || !browser.shows("#letter"));

    // All with that code; but before the answer there are more of them: nothing is done, and it asks again.
    browser.click("#dead-clear");
    browser.says("#dead-count", "2 dead letters with 3 items");
    browser.write("#dead-filter [name=code]", "TMS.0005");
    browser.click("#dead-filter .primary");
    until("the code is in the address", || browser.run("return location.hash") == "#/dead?code=TMS.0005");
    browser.click("#dead-replay");
    browser.says("#confirm h2", "Replay 2 dead letters?");
    browser.says("#confirm", "2 dead letters with 3 items will be sent again");
    browser.picture("confirm");
    place.job("nightly-3", &["gone-4"]);
    until("there are three", || place.letters() == 3);
    browser.click("#confirm .primary");
    browser.says("#confirm .wrong", "There were 2, and that has changed");
    browser.says("#confirm h2", "Replay 3 dead letters?");
    assert_eq!(place.letters(), 3);

    // Escape is a no.
    browser.press(&[ESCAPE]);
    until("it is not asked any more", || !browser.shows("#confirm"));
    assert_eq!(place.letters(), 3);

    // Mended, and sent again for good.
    place.fleet.clouds.faults("disks", Faults::default());
    browser.click("#dead-replay");
    browser.says("#confirm .primary", "Replay 3");
    browser.click("#confirm .primary");
    browser.says("#said", "3 dead letters with 4 items sent again");
    let disks = &place.fleet.lanes[0];
    until("every resource is tagged", || place.fleet.tags(disks).len() == 6);
    browser.says("#dead", "No dead letter is like that.");
    until("no letter is left", || place.letters() == 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn chosen_letters_are_discarded_and_no_others() {
    let Some(place) = Place::new() else { return };
    let browser = &place.browser;
    place.job("one", &["gone-1"]);
    place.job("two", &["gone-2"]);
    place.visit("#/dead", OPERATOR);
    browser.says("#dead-count", "2 dead letters");
    browser.click("#dead tbody tr:first-child input");
    browser.says("#dead-discard", "Discard 1 letter");
    browser.says("#dead-count", "1 chosen of 2 dead letters");
    browser.click("#dead-discard");
    browser.says("#confirm h2", "Discard 1 dead letter?");
    browser.says("#confirm", "Nothing brings them back");
    browser.click("#confirm .danger");
    browser.says("#said", "1 dead letter with 1 item discarded");
    browser.says("#dead-count", "1 dead letter with 1 item");
    let left = place.http().get("/v1/dead-letters").json();
    assert_eq!((&left["letters"][0]["job"], left["shown"].as_u64()), (&"two".into(), Some(1)));
    assert_eq!(place.fleet.tags(&place.fleet.lanes[0]).len(), 0);
}

#[test]
fn a_replay_says_what_stayed_and_calls_nothing_done_that_was_not() {
    let Some(place) = Place::new() else { return };
    let browser = &place.browser;
    place.job("one", &["gone-1"]);
    place.fleet.publish(vec![Outgoing { lane: "disks".into(), id: "broken".into(), body: b"no job at all".to_vec() }]);
    until("both are dead", || place.letters() == 2);
    place.fleet.clouds.faults("disks", Faults::default());
    place.visit("#/dead", OPERATOR);
    browser.says("#dead-count", "2 dead letters");
    browser.click("#dead-replay");
    browser.says("#confirm", "Of these, 1 is a message as it came: what is no job stays.");
    browser.click("#confirm .primary");
    browser.says("#said", "1 dead letter with 1 item sent again; 1 message that is no job stayed");
    browser.says("#dead-count", "1 dead letter");
    until("the resource is tagged", || place.fleet.tags(&place.fleet.lanes[0]).len() == 1);

    // It alone: nothing can be done, and nothing is said to be.
    browser.click("#dead tbody .linkish");
    browser.says("#letter pre", "no job at all");
    browser.click("#letter .primary");
    browser.click("#confirm .primary");
    browser.says("#said", "Nothing was sent again; 1 message that is no job stayed");
    assert_eq!(place.letters(), 1);
}

#[test]
fn a_lane_is_paused_and_resumed_with_the_keys_alone() {
    let Some(place) = Place::new() else { return };
    let browser = &place.browser;
    place.visit("#/lanes", OPERATOR);
    browser.says("#lanes", "machines");
    let focused = || browser.run("return document.activeElement.getAttribute('aria-label') ?? ''");
    let mut steps = 0;
    until("the keys come to the button", || {
        browser.press(&[TAB]);
        steps += 1;
        assert!(steps < 60, "it is out of reach");
        focused() == "Pause machines"
    });
    let ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle");
    assert_ne!(ring, "none", "where the focus is can be seen");
    browser.press(&[ENTER]);
    // The row may move, the focus stays.
    until("the button resumes now", || focused() == "Resume machines");
    let state = || {
        let lanes = place.http().get("/v1/lanes").json();
        let lane = lanes["lanes"].as_array().unwrap().iter().find(|lane| lane["name"] == "machines").cloned();
        lane.unwrap()["state"].as_str().unwrap().to_owned()
    };
    until("the lane is paused", || state() == "paused");
    browser.says("#said", "machines: paused");
    browser.press(&[ENTER]);
    until("the lane goes on", || state() == "idle");
    until("the button pauses now", || focused() == "Pause machines");

    // Sections and filters are within reach too.
    browser.press(&["/"]);
    assert_eq!(browser.run("return document.activeElement.name"), "q");
    browser.write("#lanes-filter [name=q]", "disk");
    until("one lane is left", || browser.run("return document.querySelectorAll('#lanes tbody tr').length") == 1);
    assert!(browser.text("#lanes").contains("disks"));
    until("the filter is in the address", || browser.run("return location.hash") == "#/lanes?q=disk");
}

#[test]
fn who_may_look_only_sees_everything_and_can_change_nothing() {
    let Some(place) = Place::new() else { return };
    let browser = &place.browser;
    place.job("one", &["gone-1"]);
    browser.open(&place.url(""));
    browser.write("#sign-in input", "not-a-token");
    browser.press(&[ENTER]);
    browser.says("#sign-in-wrong", "This token is not known here");
    browser.press(&[ESCAPE]);
    browser.write("#sign-in input", VIEWER);
    browser.press(&[ENTER]);
    browser.says("#me", "viewer (may look only)");
    browser.click("a[href='#/dead']");
    browser.says("#dead-note", "This token may look only");
    browser.click("#dead .linkish");
    browser.says("#letter", "TMS.0005");
    for hidden in ["#dead-replay", "#dead-discard", "#letter .primary", "#letter .danger"] {
        assert!(!browser.shows(hidden), "{hidden}");
    }
    browser.press(&[ESCAPE]);
    browser.click("a[href='#/lanes']");
    browser.says("#lanes", "machines");
    assert!(!browser.shows("#lanes tbody button"));
    // Not because the page is so kind: the server refuses it.
    let refused = browser.run(
        "const send = (path) => fetch(path, { method: 'POST', headers: { authorization: `Bearer ${sessionStorage.getItem('tagmill-token')}` } });
         return send('v1/lanes/machines/pause').then((reply) => reply.status)",
    );
    assert_eq!(refused, 403);

    // The token is in this tab alone, and is gone on request.
    assert_eq!(browser.run("return document.cookie + JSON.stringify(localStorage)"), "{\"tagmill-theme\":\"auto\"}");
    browser.click("#sign-out");
    until("it asks again", || browser.shows("#sign-in"));
    assert_eq!(browser.run("return sessionStorage.length"), 0);
}
