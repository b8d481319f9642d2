//! The page for people against the code: a table that says something else is worse than none.

use crate::data::Sample;
use tagmill::provider::{Silence, Write};

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROVIDERS.md")).unwrap()
}

/// Cells of the table whose first header is `provider`, by row.
fn table() -> Vec<Vec<String>> {
    let page = page();
    let lines = page.lines().skip_while(|line| !line.starts_with("| provider |")).skip(2);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn the_table_of_providers_says_what_the_code_says() {
    let rows = table();
    let samples = Sample::all();
    let names: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(names, samples.iter().map(|sample| sample.entry.name).collect::<Vec<_>>());
    for (row, sample) in rows.iter().zip(samples) {
        let limits = sample.provider.limits();
        let partial = match limits.silence {
            Silence::Success => "listed",
            Silence::AllOrNothing => "none",
        };
        let write = match limits.write {
            Write::Merge => "merge",
            Write::Replace => "replace",
        };
        assert_eq!(*limits, *sample.entry.limits, "{}", sample.entry.name);
        let expected = [
            limits.resources_per_call.to_string(),
            limits.tags_per_call.to_string(),
            limits.keys_per_call.to_string(),
            limits.tags_per_resource.to_string(),
            format!("{} / {}", limits.key_chars, limits.value_chars),
            write.to_owned(),
            if limits.can_keep() { "honoured" } else { "not possible" }.to_owned(),
            partial.to_owned(),
            sample.entry.about.auth.replace('`', ""),
            sample.entry.default_rate.to_string(),
        ];
        assert_eq!(row[2..12], expected, "{}", sample.entry.name);
        assert!(row.len() == 13 && !row[12].is_empty(), "{}: the rate has a source", sample.entry.name);
    }
}

#[test]
fn the_files_the_page_names_exist() {
    let page = page();
    let paths = page.split('`').skip(1).step_by(2).filter(|text| {
        ["src/", "tests/", "docs/"].iter().any(|root| text.starts_with(root)) && !text.contains(['<', '*', ' '])
    });
    let mut count = 0;
    for path in paths {
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path} is named and missing");
        count += 1;
    }
    assert!(count >= 5, "the page names {count} files");
}
