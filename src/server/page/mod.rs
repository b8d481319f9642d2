//! The page at `/`: files of our own within the binary, behind a policy that lets nothing else be loaded.

use super::problem::Problem;
use axum::{
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// One file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const INDEX: Asset = Asset { name: "index.html", kind: HTML, text: include_str!("index.html") };

/// What the page is made of, besides itself.
const ASSETS: &[Asset] = &[
    Asset { name: "style.css", kind: CSS, text: include_str!("style.css") },
    Asset { name: "icon.svg", kind: SVG, text: include_str!("icon.svg") },
    Asset { name: "api.js", kind: SCRIPT, text: include_str!("api.js") },
    Asset { name: "app.js", kind: SCRIPT, text: include_str!("app.js") },
    Asset { name: "chart.js", kind: SCRIPT, text: include_str!("chart.js") },
    Asset { name: "dead.js", kind: SCRIPT, text: include_str!("dead.js") },
    Asset { name: "dialog.js", kind: SCRIPT, text: include_str!("dialog.js") },
    Asset { name: "dom.js", kind: SCRIPT, text: include_str!("dom.js") },
    Asset { name: "format.js", kind: SCRIPT, text: include_str!("format.js") },
    Asset { name: "jobs.js", kind: SCRIPT, text: include_str!("jobs.js") },
    Asset { name: "lanes.js", kind: SCRIPT, text: include_str!("lanes.js") },
    Asset { name: "letter.js", kind: SCRIPT, text: include_str!("letter.js") },
    Asset { name: "overview.js", kind: SCRIPT, text: include_str!("overview.js") },
    Asset { name: "rules.js", kind: SCRIPT, text: include_str!("rules.js") },
    Asset { name: "series.js", kind: SCRIPT, text: include_str!("series.js") },
];

/// Scripts, styles and requests of this server alone; no inline code, no text that becomes markup, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What every file of the page wears.
const WORN: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    // A new binary may have new files: ask each time, which costs a 304.
    ("cache-control", "no-cache"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// The names of the files under `/page/`.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ASSETS.iter().map(|asset| asset.name)
}

/// `GET /`.
pub(super) async fn index(headers: HeaderMap) -> Response {
    INDEX.answer(&headers)
}

/// `GET /page/{file}`.
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    asset.map(|asset| asset.answer(&headers)).ok_or_else(|| Problem::not_found("the page has no such file"))
}

impl Asset {
    fn tag(&self) -> String {
        format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(self.text.as_bytes())))
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let tag = self.tag();
        let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // A proxy that compresses makes a tag a weak one.
        let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
        let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { self.text.into_response() };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        for (name, value) in WORN {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs};

    #[test]
    fn every_file_of_the_folder_is_served_and_no_other() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/page");
        let there: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !matches!(name.as_str(), "mod.rs" | "index.html"))
            .collect();
        assert_eq!(there, names().map(str::to_owned).collect());
    }

    #[test]
    fn nothing_of_the_page_comes_from_elsewhere_or_makes_markup_of_text() {
        for asset in ASSETS.iter().chain([&INDEX]) {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            for wrong in [
                "http://",
                "https://",
                "\"//",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "style=\"",
                "onclick=",
                "@import",
                "url(",
            ] {
                assert!(!text.contains(wrong), "{}: {wrong}", asset.name);
            }
        }
    }

    #[test]
    fn what_modules_import_and_the_page_names_is_there() {
        let all: BTreeSet<&str> = names().collect();
        for asset in ASSETS.iter().filter(|asset| asset.kind == SCRIPT) {
            for line in asset.text.lines().filter(|line| line.contains(" from \"")) {
                let name = line.split('"').nth(1).unwrap().strip_prefix("./").unwrap();
                assert!(all.contains(name), "{}: {line}", asset.name);
            }
        }
        for named in INDEX.text.split("\"page/").skip(1) {
            let name = named.split('"').next().unwrap();
            assert!(all.contains(name), "{name}");
        }
    }

    #[test]
    fn a_browser_that_has_a_file_is_told_so() {
        let mut headers = HeaderMap::new();
        let first = INDEX.answer(&headers);
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[header::ETAG].clone();
        headers.insert(header::IF_NONE_MATCH, tag.clone());
        assert_eq!(INDEX.answer(&headers).status(), StatusCode::NOT_MODIFIED);
        let weak = format!("\"other\", W/{}", tag.to_str().unwrap());
        headers.insert(header::IF_NONE_MATCH, weak.parse().unwrap());
        assert_eq!(INDEX.answer(&headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(header::IF_NONE_MATCH, "\"other\"".parse().unwrap());
        assert_eq!(INDEX.answer(&headers).status(), StatusCode::OK);
    }
}
