//! What is seen: on a desk and on a phone, by day and by night, with work and without.

use crate::place::{OPERATOR, Place};
use serde_json::{Value, json};

const SECTIONS: [(&str, &str); 5] = [
    ("overview", "#tiles"),
    ("lanes", "#lanes tbody tr"),
    ("jobs", "#jobs"),
    ("dead", "#dead"),
    ("rules", "#rules tbody tr"),
];

/// Texts whose colour is too near to the colour behind them: WCAG 2.2 asks for 4.5 to 1.
const PALE: &str = r"
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const channels = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data]; };
    const light = ([r, g, b]) => { const l = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
    const behind = (node) => { for (; node; node = node.parentElement) {
        const found = channels(getComputedStyle(node).backgroundColor); if (found[3] === 255) return found; } return [255, 255, 255]; };
    const pale = [];
    for (const node of document.querySelectorAll('body *')) {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!own || !node.checkVisibility() || node.closest(':disabled')) continue;
        const style = getComputedStyle(node);
        const [one, other] = [light(channels(node.closest('svg') ? style.fill : style.color)), light(behind(node))].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 4.5) pale.push(`${node.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return pale;";

#[test]
fn every_section_fits_a_phone_and_is_readable_in_light_and_dark() {
    let Some(place) = Place::new() else { return };
    let browser = &place.browser;
    place.job(
        "a-job-with-a-name-that-is-as-long-as-a-name-may-be-and-holds-no-place-to-break-it-anywhere-0123456789",
        &["d-1", "gone-1-with-a-name-without-any-place-to-break-it-0123456789012345678901234567890123456789"],
    );
    place.visit("", OPERATOR);
    for (look, width, height) in [("desk", 1280, 900), ("phone", 360, 740)] {
        browser.size(width, height);
        for theme in ["light", "dark"] {
            while browser.text("#theme").to_lowercase() != theme {
                browser.click("#theme");
            }
            for (section, shown) in SECTIONS {
                browser.run(&format!("location.hash = '#/{section}'"));
                crate::support::until(section, || browser.shows(shown));
                browser.picture(&format!("{look}-{theme}-{section}"));
                let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
                assert!(wide.as_i64().unwrap() <= 0, "{section} is {wide} pixels wider than a {look}");
                assert_eq!(browser.run(PALE), json!([]), "{section} in {theme} on a {look}");
            }
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn numbers_and_charts_are_those_of_the_fleet_and_emptiness_is_said() {
    let Some(place) = Place::new() else { return };
    let browser = &place.browser;
    place.visit("", OPERATOR);
    browser.says("#last-jobs", "No job was finished since this server began.");
    browser.says("#attention", "Nothing needs attention");
    browser.says("#workers", "2 lanes");
    browser.says("#tiles", "0 of 2");
    browser.click("a[href='#/dead']");
    browser.says("#dead", "No dead letters: everything that came in was tagged");
    browser.click("a[href='#/rules']");
    browser.says("#rules", "owner");
    browser.says("#rules", "never");
    browser.click("a[href='#/']");

    // Work comes: the charts have lines, which the keys can read.
    for job in 0..5 {
        place.job(&format!("job-{job}"), &["d-1", "d-2", "d-3"]);
    }
    browser.says("#last-jobs", "job-4");
    let lines = "return document.querySelectorAll('#charts path.line').length";
    crate::support::until("all charts have lines", || browser.run(lines).as_u64().unwrap() >= 8);
    let label = "return [...document.querySelectorAll('#charts .plot')].map((plot) => plot.getAttribute('aria-label')).join('\\n')";
    let labels = browser.run(label);
    for title in ["Throughput: tagged", "Calls: calls", "Call latency: median", "Job latency: median"] {
        assert!(labels.as_str().unwrap().contains(title), "{labels}");
    }
    browser.run("document.querySelector('#charts .plot').focus()");
    browser.press(&[crate::browser::LEFT, crate::browser::LEFT]);
    browser.says("#charts .when", "ago");

    browser.picture("work");

    // An event comes: its rule has one more.
    browser.click("a[href='#/rules']");
    let event = include_bytes!("../../examples/events/huawei-create-server.json").to_vec();
    let taken = place.http().send("POST", "/v1/events/huawei", &[("content-type", "application/json")], event);
    assert_eq!(taken.status, 202, "{taken:?}");
    let matched = "return document.querySelector('#rules td[data-label=Matched]').textContent";
    crate::support::until("the rule has matched", || browser.run(matched) == "1");
    browser.picture("rules");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn rates_and_quantiles_are_right_also_when_a_lane_moves_to_another_worker() {
    let Some(place) = Place::new() else { return };
    place.browser.open(&place.url(""));
    let found = place.browser.run(
        r#"return import("/page/series.js").then(({ Growth, buckets, quantile, middle, Window }) => {
            const lane = (worker, tagged) => ({ name: "a", worker, counts: { tagged, unchanged: 0, dead: 0, calls: tagged, throttled: 0 } });
            const growth = new Growth();
            const grown = [lane("w1", 100), lane("w1", 130), { name: "a", worker: null, counts: null }, lane("w1", 150),
                lane("w2", 7), lane("w2", 3)].map((each) => growth.add([each]).tagged);
            const text = (...counts) => ["0.1", "1", "+Inf"].flatMap((le, i) =>
                [`h_bucket{provider="x",le="${le}"} ${counts[i]}`, `h_bucket{provider="y",le="${le}"} ${counts[i]}`,
                 `h_bucket_other{le="${le}"} 9`]).join("\n");
            const before = buckets(text(10, 10, 10), "h");
            const after = buckets(text(20, 30, 30), "h");
            const window = new Window(30);
            const looks = [0, 10, 20, 30, 40, 50].map((at) => window.add(at, at)[0]);
            return { grown, before, half: quantile(before, after, 0.5), most: quantile(before, after, 1),
                none: quantile(after, after, 0.5), above: quantile([], [[1, 0], [Infinity, 5]], 0.5),
                middle: middle([5, 1, 3], 0.5), nothing: middle([], 0.5), looks };
        })"#,
    );
    // First seen: nothing is known of before. No answer: the next one tells. Another worker, or the same one anew: from 0.
    assert_eq!(found["grown"], json!([0, 30, 0, 20, 7, 3]));
    assert_eq!(found["half"], json!(0.1));
    assert_eq!(found["most"], json!(1));
    assert_eq!((&found["none"], &found["nothing"]), (&Value::Null, &Value::Null));
    assert_eq!((&found["above"], &found["middle"]), (&json!(1), &json!(3)));
    assert_eq!(found["looks"], json!([0, 0, 0, 0, 10, 20]));
}
