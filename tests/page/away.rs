//! What cannot be had is said, what is shown stays, and nobody has to load the page again.

use crate::{
    place::{OPERATOR, Place},
    support::until,
};

#[test]
fn while_the_worker_or_its_broker_is_away_the_page_says_so_and_goes_on_by_itself() {
    let Some(mut place) = Place::new() else { return };
    place.visit("#/lanes", OPERATOR);
    place.browser.says("#lanes", "machines");

    // The worker ends.
    if let Some(worker) = place.worker.take() {
        worker.interrupt();
        worker.wait();
    }
    place.browser.says("#banner", "tagmill does not answer. Trying again. What is shown is");
    place.browser.says("#link", "away");
    assert!(place.browser.text("#lanes").contains("machines"), "what was shown stays");
    place.browser.picture("away");
    place.start();
    place.browser.says("#link", "live");
    until("nothing is wrong any more", || !place.browser.shows("#banner"));

    // The broker ends; the worker lives.
    place.fleet.runtime.block_on(place.fleet.node.settle());
    place.fleet.node.kill9();
    place.browser.says("#banner", "the broker is not there");
    place.fleet.runtime.block_on(place.fleet.node.restart());
    place.browser.says("#link", "live");
    until("nothing is wrong any more", || !place.browser.shows("#banner"));
}
