//! The pages for people against the code. What a page shows is read, parsed or looked up here, so it cannot drift.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not only the tests themselves, stop at what is wrong"
)]

mod fields;
mod page;

use clap::Parser as _;
use page::{Block, Page};
use std::{collections::BTreeSet, fs, io::Cursor, path::Path, process::Command};
use tagmill::{
    cli::{self, Cli, exit},
    config::{self, Config},
    event,
    file::{self, Format, LaneInfo, Options, Row, set_argument},
    job::LaneName,
    provider,
    sim::SimConfig,
};

fn configs() -> Vec<(Block, Config)> {
    let blocks = Page::readme().blocks("yaml");
    let read = |block: Block| match config::parse(&block.text, Path::new(&block.place), []) {
        Ok(config) => (block, config),
        Err(error) => panic!("{error}"),
    };
    blocks.into_iter().map(read).collect()
}

#[test]
fn the_configs_of_the_readme_are_good_ones() {
    let configs = configs();
    assert!(!configs.is_empty());
    for (block, config) in configs {
        assert!(config.warnings.is_empty(), "{}: {:?}", block.place, config.warnings);
    }
    let text = fs::read_to_string(page::root().join("examples/sim.yaml")).unwrap();
    let config = config::parse(&text, Path::new("examples/sim.yaml"), []).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn the_configs_of_the_page_on_credentials_are_good_ones() {
    let blocks = Page::read("docs/CREDENTIALS.md").blocks("yaml");
    assert_eq!(blocks.len(), 2);
    let lanes: Vec<usize> = blocks
        .iter()
        .map(|block| {
            let config =
                config::parse(&block.text, Path::new(&block.place), []).unwrap_or_else(|error| panic!("{error}"));
            assert!(config.warnings.is_empty(), "{}: {:?}", block.place, config.warnings);
            config.lanes.len()
        })
        .collect();
    assert_eq!(lanes, [6, 3]);
}

#[test]
fn the_page_on_credentials_names_every_source_and_every_variable_that_is_read() {
    let page = fs::read_to_string(page::root().join("docs/CREDENTIALS.md")).unwrap();
    for (name, _) in config::Source::NAMES {
        assert!(page.contains(name), "the page does not name the source {name}");
    }
    let mut read = 0;
    for file in [
        "alibaba/mod.rs",
        "alibaba/sts.rs",
        "alibaba/instance.rs",
        "alibaba/profile.rs",
        "huawei/mod.rs",
        "huawei/login.rs",
        "huawei/near.rs",
        "aws.rs",
    ] {
        let code = fs::read_to_string(page::root().join("src/worker/credentials").join(file)).unwrap();
        let names = code.split('"').filter(|word| {
            ["ALIBABA_CLOUD_", "AWS_", "HUAWEICLOUD_", "HW_", "HC_", "ALICLOUD_"]
                .iter()
                .any(|start| word.starts_with(start))
                && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
        });
        for name in names {
            // The page writes `_SK` for what shares its beginning with the name before.
            let short = ["ALIBABA_CLOUD", "HUAWEICLOUD_SDK"].iter().find_map(|start| name.strip_prefix(start));
            let said = page.contains(name) || short.is_some_and(|rest| page.contains(&format!("`{rest}`")));
            let family = ["ALICLOUD_ACCESS_KEY_", "ALICLOUD_SECURITY_", "AWS_CONTAINER_", "AWS_EC2_METADATA_"];
            let said = said || family.iter().any(|start| name.starts_with(start));
            assert!(said, "{file} reads {name}, and the page does not say so");
            read += 1;
        }
    }
    assert!(read > 50, "only {read} names were found");
}

#[test]
fn the_page_on_http_names_every_route_and_what_it_needs() {
    use tagmill::server::routes::{Needs, table};
    let page = fs::read_to_string(page::root().join("docs/HTTP.md")).unwrap();
    let rows: Vec<(String, String)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let request = cells.next()?.trim().trim_end_matches('`').to_owned();
            request.contains(" /").then(|| (request, cells.next().unwrap_or_default().trim().replace('`', "")))
        })
        .collect();
    let mut routes: Vec<(String, String)> = table()
        .iter()
        .map(|route| {
            let needs = match route.needs {
                Needs::Nothing => String::new(),
                Needs::AnyToken => "any".to_owned(),
                Needs::Scope(scope) => scope.as_str().to_owned(),
            };
            (format!("{} {}", route.method, route.path), needs)
        })
        .collect();
    let mut rows = rows;
    rows.sort();
    routes.sort();
    assert_eq!(rows, routes);
}

#[test]
fn the_page_on_metrics_names_every_series_with_its_labels() {
    let page = fs::read_to_string(page::root().join("docs/METRICS.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `tagmill_")).collect();
    let wanted: Vec<String> = tagmill::telemetry::metrics::TABLE
        .iter()
        .map(|series| {
            let labels: Vec<String> = series.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} | {} |", series.name, series.kind, labels.join(", "), series.help)
        })
        .collect();
    assert_eq!(rows, wanted);
    for state in tagmill::telemetry::metrics::STATES {
        assert!(page.contains(&format!("`{state}`")), "{state}");
    }
}

#[test]
fn the_page_on_logs_names_every_field_of_the_log_and_every_attribute_of_a_span() {
    let page = Page::read("docs/LOGGING.md");
    let said = |row: &[String]| row[0].split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>();
    let rows: Vec<String> = page.table("field").iter().flat_map(|row| said(row)).collect();
    let named: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), named.len(), "a field stands there twice");
    let mut files = vec![page::root().join("src")];
    let mut logged = BTreeSet::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            logged.extend(fields::of(&fs::read_to_string(path).unwrap()));
        }
    }
    assert_eq!(named, logged, "the page, and the code");
    // JSON would have them twice: they are what every line has.
    for name in ["timestamp", "level", "message", "target"] {
        assert!(!logged.contains(name), "{name}");
    }
    let attributes: Vec<(String, String)> =
        page.table("attribute").into_iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone())).collect();
    let table = tagmill::telemetry::spans::TABLE;
    let wanted: Vec<_> = table.iter().map(|(name, says)| ((*name).to_owned(), (*says).to_owned())).collect();
    assert_eq!(attributes, wanted);
}

#[test]
fn the_commands_for_jq_on_the_page_on_logs_find_what_they_are_for() {
    let line = r#"{"timestamp":"t","level":"INFO","message":"dead","lane":"l","job":"j","resource":"r","code":"c","request_id":"q","attempts":1,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}
{"timestamp":"t","level":"ERROR","message":"paused","lane":"l","why":"w"}
"#;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("worker.log"), line).unwrap();
    let blocks = Page::read("docs/LOGGING.md").blocks("sh");
    let commands: Vec<&str> =
        blocks.iter().flat_map(|block| block.text.lines()).filter(|line| line.starts_with("jq ")).collect();
    assert!(commands.len() >= 4);
    if Command::new("jq").arg("--version").output().is_err() {
        // It is on no list of what the tests need.
        return;
    }
    for command in commands {
        let done = Command::new("sh").args(["-c", command]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success() && said.lines().count() == 1, "{command}: {said}");
    }
}

#[test]
fn the_simulated_clouds_of_the_pages_can_be_started() {
    let mut clouds = Page::read("docs/SIMULATOR.md").blocks("yaml");
    let text = fs::read_to_string(page::root().join("examples/clouds.yaml")).unwrap();
    clouds.push(Block { place: "examples/clouds.yaml".into(), text });
    assert!(clouds.len() >= 2);
    for block in clouds {
        SimConfig::parse(&block.text).unwrap_or_else(|error| panic!("{}: {error:#}", block.place));
    }
}

#[test]
fn every_command_on_the_pages_is_one() {
    let mut count = 0;
    for page in Page::all() {
        for (place, line) in page.commands() {
            let words = line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("tagmill "));
            let Some(words) = words else { continue };
            let words = std::iter::once("tagmill").chain(words.split_whitespace().take_while(|word| *word != ">"));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{place}: {line}\n{error}");
            }
            count += 1;
        }
    }
    assert!(count >= 25, "the pages show {count} commands");
}

#[test]
fn every_target_of_make_and_every_test_the_pages_name_exists() {
    let manifest = fs::read_to_string(page::root().join("Cargo.toml")).unwrap();
    let makefile = fs::read_to_string(page::root().join("Makefile")).ok();
    let mut tests = 0;
    for page in Page::all() {
        for (place, line) in page.commands() {
            if let (Some(target), Some(makefile)) = (line.strip_prefix("make "), &makefile) {
                let target = target.split_whitespace().next().unwrap_or_default();
                let rule = format!("{target}:");
                assert!(makefile.lines().any(|line| line.starts_with(&rule)), "{place}: make has no target {target}");
            }
            if let Some((_, test)) = line.split_once("--test ").filter(|_| line.starts_with("cargo ")) {
                let name = test.split_whitespace().next().unwrap_or_default();
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{place}: there is no test {name}");
                tests += 1;
            }
        }
    }
    assert!(tests >= 3, "the pages name {tests} tests");
}

#[test]
fn the_job_files_of_the_readme_are_read_without_a_bad_row() {
    let (_, config) = configs().swap_remove(0);
    let lanes: Vec<LaneInfo> = config
        .lanes
        .iter()
        .map(|lane| LaneInfo { name: lane.name.clone(), region: lane.settings.region.clone(), provider: lane.provider })
        .collect();
    for (language, format) in [("csv", Format::Csv), ("ndjson", Format::Ndjson), ("json", Format::AwsResources)] {
        let blocks = Page::readme().blocks(language);
        assert!(!blocks.is_empty(), "the README shows no {language}");
        for block in blocks {
            let mut options = Options { lanes: lanes.clone(), prefix: "page".into(), ..Options::default() };
            if format == Format::AwsResources {
                // A list names no lane and no tags: the command below it does.
                options.lanes.clear();
                options.lane = LaneName::new("tag-hangzhou").ok();
                options.set.extend([set_argument("env=prod").unwrap()]);
            }
            let rows = file::read(Cursor::new(block.text), Path::new(&block.place), options, None).unwrap();
            assert_eq!(rows.format(), format, "{}", block.place);
            let mut count = 0;
            for row in rows {
                let Row::Job { job, line } = row.unwrap() else { panic!("{}: a bad row", block.place) };
                if let Some(lane) = config.lanes.iter().find(|lane| lane.name == job.lane) {
                    let checked = (lane.provider.build)(&lane.settings).unwrap().check(&job);
                    assert_eq!(checked, provider::Checked::default(), "{}, line {line}", block.place);
                }
                count += 1;
            }
            assert!(count > 0, "{}", block.place);
        }
    }
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_code() {
    let table = Page::readme().table("exit code");
    let listed: Vec<u8> = table.iter().map(|row| row[0].parse().unwrap()).collect();
    // 0 and 2 are those of every program: done, and usage.
    assert_eq!(listed, [0, exit::DEAD, 2, exit::BAD_INPUT, exit::UNAVAILABLE, exit::CONFIG, exit::INTERRUPTED]);
    for code in listed {
        assert!(exit::HELP.split([' ', ',']).any(|word| word == code.to_string()), "--help does not name {code}");
    }
}

#[test]
fn the_providers_of_the_readme_are_those_of_the_code() {
    let rows = Page::readme().table("provider");
    let names: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(names, provider::ALL.iter().map(|entry| entry.name).collect::<Vec<_>>());
    for (row, entry) in rows.iter().zip(provider::ALL) {
        let limits = entry.limits;
        let expected =
            [limits.resources_per_call.to_string(), limits.tags_per_call.to_string(), entry.default_rate.to_string()];
        assert_eq!(row[3..6], expected, "{}", entry.name);
    }
}

#[test]
fn the_table_of_providers_is_the_one_the_command_prints() {
    let page = fs::read_to_string(page::root().join("docs/PROVIDERS.md")).unwrap();
    assert!(page.contains(&cli::providers::markdown()), "run `tagmill providers --markdown` and put its table there");
    let run = |words: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_tagmill")).args(words).output().unwrap();
        assert!(out.status.success(), "{words:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(run(&["providers", "--markdown"]), cli::providers::markdown());
    let rows: Vec<serde_json::Value> = serde_json::from_str(&run(&["providers", "--output", "json"])).unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, provider::ALL.iter().map(|entry| entry.name).collect::<Vec<_>>());
    assert_eq!(run(&["providers", "--output", "ndjson"]).lines().count(), rows.len());
    let table = run(&["providers"]);
    assert!(table.lines().count() == rows.len() + 1 && names.iter().all(|name| table.contains(name)), "{table}");
}

#[test]
fn validate_and_plan_print_what_the_readme_shows() {
    let shown = Page::readme().blocks("text").remove(0).text;
    for (command, words) in [
        ("$ tagmill validate\n", vec!["validate"]),
        ("$ tagmill plan examples/servers.csv\n", vec!["plan", "examples/servers.csv"]),
    ] {
        let after = shown.split_once(command).unwrap_or_else(|| panic!("the README shows no {command}")).1;
        let expected = after.split("\n$ ").next().unwrap().trim_end();
        let out = Command::new(env!("CARGO_BIN_EXE_tagmill"))
            .args(words)
            .current_dir(page::root())
            .env("TAGMILL_CONFIG", "examples/sim.yaml")
            .output()
            .unwrap();
        let printed = [out.stdout, out.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert_eq!(printed.trim_end(), expected, "{command}");
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut count = 0;
    for page in Page::all() {
        for link in page.links() {
            let target = page.folder().join(link.split('#').next().unwrap_or_default());
            assert!(target.exists(), "{}: {link} leads nowhere", page.name);
            count += 1;
        }
    }
    assert!(count >= 5, "the pages have {count} links");
}

#[test]
fn every_file_the_pages_name_exists() {
    let mut count = 0;
    for page in Page::all() {
        for path in page.paths() {
            assert!(page::root().join(&path).exists(), "{}: {path} is named and missing", page.name);
            count += 1;
        }
    }
    assert!(count >= 40, "the pages name {count} files");
}

#[test]
fn the_map_of_the_code_names_every_folder() {
    fn folders(of: &Path, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(of).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
            let path = entry.path();
            into.insert(format!("{}/", path.strip_prefix(page::root()).unwrap().display()));
            folders(&path, into);
        }
    }
    let mut there = BTreeSet::new();
    folders(&page::root().join("src"), &mut there);
    let map = Page::read("docs/ARCHITECTURE.md").table("folder");
    let named: BTreeSet<String> = map.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(named, there);
}

#[test]
fn the_numbers_of_the_states_are_the_constants_of_the_code() {
    let table = Page::read("docs/STATES.md").table("number");
    assert!(table.len() >= 10);
    for row in table {
        let (name, path) = row[2].trim_matches('`').split_once("` in `").unwrap();
        let code = fs::read_to_string(page::root().join(path)).unwrap();
        let line = code.lines().find(|line| line.contains(&format!("const {name}: ")));
        let value = line.and_then(|line| line.split_once(" = ")).unwrap_or_else(|| panic!("{path} has no {name}")).1;
        assert_eq!(page::numbers(&row[1]), page::numbers(value), "{name} in {path}");
    }
}

#[test]
fn the_page_on_events_is_about_the_events_of_the_code() {
    use event::Ignored::{Failed, Internal, NoRule, ReadOnly, Tagging};
    let page = fs::read_to_string(page::root().join("docs/EVENTS.md")).unwrap();
    assert!(page.contains(&cli::rules::markdown()), "run `tagmill rules list --markdown` and put its table there");
    let sources: Vec<String> = Page::read("docs/EVENTS.md").table("source").iter().map(|row| row[0].clone()).collect();
    assert_eq!(sources, event::Source::ALL.map(|source| format!("`{source}`")));
    let reasons: Vec<String> = Page::read("docs/EVENTS.md").table("reason").iter().map(|row| row[0].clone()).collect();
    let all = [Failed, Internal, ReadOnly, Tagging, NoRule];
    assert_eq!(reasons, all.map(|reason| format!("`{}`", reason.as_str())));
    assert_eq!(event::EVENT_BYTES, 1_048_576);
    assert!(page.contains("1,048,576 bytes"));
    let limits = Page::read("docs/EVENTS.md").table("limit");
    assert!(limits.len() >= 8);
    for row in limits {
        let (name, path) = row[2].trim_matches('`').split_once("` in `").unwrap();
        let code = fs::read_to_string(page::root().join(path)).unwrap();
        let line = code.lines().find(|line| line.contains(&format!("const {name}: ")));
        let value = line.and_then(|line| line.split_once(" = ")).unwrap_or_else(|| panic!("{path} has no {name}")).1;
        assert_eq!(page::numbers(&row[1]), page::numbers(value), "{name} in {path}");
    }
}

#[test]
fn the_configs_of_the_page_on_events_are_good_ones() {
    let example = fs::read_to_string(page::root().join("examples/events.yaml")).unwrap();
    let schema = jsonschema::draft202012::new(&config::raw::schema()).unwrap();
    let whole: serde_json::Value = serde_saphyr::from_str(&example).unwrap();
    let told: Vec<String> = schema.iter_errors(&whole).map(|error| error.to_string()).collect();
    assert!(told.is_empty(), "{told:?}");
    let (lanes, _) = example.split_once("\nevents:\n").unwrap();
    let blocks = Page::read("docs/EVENTS.md").blocks("yaml");
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let text = format!("{lanes}\n{}", block.text);
        let config = config::parse(&text, Path::new(&block.place), []).unwrap_or_else(|error| panic!("{error}"));
        assert!(config.warnings.is_empty(), "{}: {:?}", block.place, config.warnings);
    }
}

#[test]
fn no_page_holds_two_versions_of_itself() {
    let folders = ["", "docs", "deploy", "examples", "scripts"].map(|folder| page::root().join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for path in files.filter(|path| path.is_file()) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let marker = text.lines().find(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> "));
        assert_eq!(marker, None, "{} was not merged to its end", path.display());
        seen += 1;
    }
    assert!(seen > 25, "only {seen} files were looked at");
}
