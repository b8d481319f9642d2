//! Names and words that come from elsewhere are shown as what they are: text.

use crate::{
    amqp::Outgoing,
    place::{OPERATOR, Place},
    support::until,
};

const MARKUP: &str = "<img/src=x/onerror=document.title='had'>";

#[test]
fn markup_in_a_job_an_id_or_a_broken_message_stays_text() {
    let Some(place) = Place::new() else { return };
    let browser = &place.browser;
    place.job(MARKUP, &["gone-<b>1</b>"]);
    let body = format!("<script>document.title='had'</script>{MARKUP}").into_bytes();
    let raw = Outgoing { lane: "disks".into(), id: MARKUP.into(), body };
    place.fleet.publish(vec![raw]);
    until("both are dead letters", || place.letters() == 2);
    place.visit("", OPERATOR);
    browser.says("#last-jobs", MARKUP);
    for hash in ["#/jobs", "#/dead", "#/lanes?q=<img src=x onerror=document.title=1>"] {
        browser.run(&format!("location.hash = {hash:?}"));
        until("the section is there", || browser.shows("section:not([hidden]) h1"));
    }
    browser.run("location.hash = '#/dead'");
    browser.says("#dead", MARKUP);
    let mut read = Vec::new();
    for row in 1..=2 {
        browser.click(&format!("#dead tbody tr:nth-child({row}) .linkish"));
        until("the letter is read", || browser.shows("#letter pre, #letter table"));
        read.push(browser.run("return document.querySelector('#letter').textContent").to_string());
        browser.click("#letter .quiet");
    }
    for text in ["gone-<b>1</b>", "<script>document.title='had'</script>"] {
        assert!(read.iter().any(|letter| letter.contains(text)), "{text} is in none of {read:?}");
    }
    let made = browser.run("return document.querySelectorAll('main img, main script, main b:not(.badge, .chart b), dialog img, dialog script, dialog b').length");
    assert_eq!(made, 0, "text became markup");
    let title = browser.run("return document.title");
    assert!(!title.as_str().unwrap().contains("had"), "{title}");
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // And what would be run all the same is not: the policy holds.
    let ran = browser.run(
        "const script = document.createElement('script');
         try { script.textContent = 'window.ran = true'; document.head.append(script); } catch {}
         return Boolean(window.ran)",
    );
    assert_eq!(ran, false, "inline code runs");
}
