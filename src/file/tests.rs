//! What a job file promises: every row comes out once, with its line, as a job or with the reason why not.

use super::*;
use crate::job::{LaneName, Resource};
use crate::provider::{Entry, huawei::ENTRY};
use insta::assert_snapshot;
use proptest::prelude::*;
use std::fmt::Write as _;

static REGIONAL: Entry =
    Entry { name: "fake", build: |_| Err("not built".into()), default_rate: 1.0, regional: true, ..ENTRY };
static GLOBAL: Entry =
    Entry { name: "wide", build: |_| Err("not built".into()), default_rate: 1.0, regional: false, ..ENTRY };

fn lanes() -> Vec<LaneInfo> {
    let lane =
        |name, region: &str, provider| LaneInfo { name: LaneName::new(name).unwrap(), region: region.into(), provider };
    vec![lane("prod", "eu-1", &REGIONAL), lane("everywhere", "eu-1", &GLOBAL)]
}

fn options() -> Options {
    Options { lane: Some(lanes()[0].name.clone()), lanes: lanes(), prefix: "f".into(), ..Options::default() }
}

fn with_set(set: &[&str], unset: &[&str]) -> Options {
    Options {
        set: set.iter().map(|text| set_argument(text).unwrap()).collect(),
        unset: unset.iter().map(|key| (*key).into()).collect(),
        ..options()
    }
}

fn rows_of(name: &str, bytes: &[u8], options: Options) -> Result<Vec<Row>, FileError> {
    // A buffer of a few bytes: whatever a row is made of comes in pieces.
    read(BufReader::with_capacity(7, bytes), Path::new(name), options, None)?.collect()
}

/// One line per row: what a person would want to see of it.
fn show(name: &str, text: impl AsRef<[u8]>, options: Options) -> String {
    let rows = match rows_of(name, text.as_ref(), options) {
        Ok(rows) => rows,
        Err(error) => return error.to_string(),
    };
    let mut out = String::new();
    for row in rows {
        let _ = match row {
            Row::Job { line, job } => {
                let ids: Vec<_> = job.resources.iter().map(|r| (&r.id, &r.kind, &r.project)).collect();
                let ids = format!("{ids:?}").replace("None", "-").replace("Some", "");
                writeln!(out, "{line} {} {} {ids} {:?} {:?}", job.id, job.lane, job.set, job.unset)
            }
            Row::Bad { line, code, message, bytes } => {
                writeln!(out, "{line} {code}: {message} | {}", String::from_utf8_lossy(&bytes).escape_debug())
            }
        };
    }
    out.trim_end().to_owned()
}

#[test]
fn a_wide_csv_gives_one_job_a_row() {
    let text = "\u{feff}id,type,region,project,lane,env,tag:id,owner\r\n\
        a,disk,eu-1,p-1,,prod,x,alice\r\n\
        \r\n\
        b,disk,,,everywhere,,<empty>,<remove>\r\n\
        c,,us-9,,everywhere,\"say \"\"hi\"\", you\",,\r\n\
        ,,,,,,,\r\n\
        d,,,,,dev,,";
    assert_snapshot!(show("servers.csv", text, options()), @r#"
    2 f-1 prod [("a", ("disk"), ("p-1"))] {"env": "prod", "id": "x", "owner": "alice"} {}
    4 f-2 everywhere [("b", ("disk"), -)] {"id": ""} {"owner"}
    5 f-3 everywhere [("c", -, -)] {"env": "say \"hi\", you"} {}
    7 f-4 prod [("d", -, -)] {"env": "dev"} {}
    "#);
    let Row::Job { job, .. } = &rows_of("a/servers.csv", text.as_bytes(), options()).unwrap()[0] else { panic!() };
    assert_eq!(job.extras.source.as_deref(), Some("csv:servers.csv"));
}

#[test]
fn a_bad_row_is_told_with_its_line_and_the_rest_goes_on() {
    let mut text = b"id,type,region,lane,env\n\
        a,disk,,,prod\n\
        b,disk,,\n\
        c,disk,,,\xff\n\
        d d,,,,x\n\
        ,,,,x\n\
        e,,us-9,,x\n\
        f,,,prdo,x\n\
        g,,,,\n\
        h,,,,\"two\nlines\"\n\
        i,,,,\"open\n\
        j,,,,\"good\"\n\
        k,,,,\"junk\"x\n"
        .to_vec();
    text.extend_from_slice(format!("l,,,,{}\nm,,,,{}\nn,,,,ok\n", "v".repeat(257), "w".repeat(300_000)).as_bytes());
    let shown = show("a.csv", &text, options());
    let short = shown.lines().map(|line| line.chars().take(160).collect::<String>()).collect::<Vec<_>>().join("\n");
    assert_snapshot!(short, @r#"
    2 f-1 prod [("a", ("disk"), -)] {"env": "prod"} {}
    3 invalid: the row has 4 cells, the header has 5 | b,disk,,
    4 invalid: tag:env: the cell is not UTF-8 | c,disk,,,�
    5 invalid: id: the id holds a space | d d,,,,x
    6 invalid: id: the cell is blank | ,,,,x
    7 invalid: region: the row's region is not that of lane prod, which is eu-1; use a lane there | e,,us-9,,x
    8 unknown_lane: lane: there is no lane prdo; did you mean prod? (lanes: prod, everywhere) | f,,,prdo,x
    9 invalid: nothing to do: every tag cell is blank | g,,,,
    10 invalid: tag:env: the value holds a control character | h,,,,\"two\nlines\"
    12 invalid: text stands behind a closing quote | i,,,,\"open
    13 f-11 prod [("j", -, -)] {"env": "good"} {}
    14 invalid: text stands behind a closing quote | k,,,,\"junk\"x
    15 invalid: tag:env: the value has 257 characters, at most 256 are allowed | l,,,,vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv
    16 invalid: the row is longer than 256 KB | m,,,,wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww
    17 f-15 prod [("n", -, -)] {"env": "ok"} {}
    "#);
}

#[test]
fn no_message_and_no_debug_output_shows_a_tag_value() {
    let text = b"id,env\na,SECRET\nb b,SECRET\nc,SECRET,\nd,\"SECRET\ne,\"SECRET\"SECRET\nf,SEC\x07SECRET\nSECRET\xff,SECRET\n";
    let rows = rows_of("a.csv", text, options()).unwrap();
    assert_eq!(rows.len(), 7);
    assert!(!format!("{rows:?}").contains("SECRET"), "{rows:?}");
    let jobs = br#"
{"id":"j","resources":["a"],"set":{"env":"SECRET","x":"SECRET\u0007"}}
{"id":"j","resources":["a"],"set":{"env":"SECRET" "SECRET"}}
{"id":"j","resources":["a"],"set":["SECRET"]}"#;
    let rows = rows_of("a.ndjson", jobs, options()).unwrap();
    assert_eq!(rows.len(), 3);
    assert!(!format!("{rows:?}").contains("SECRET"), "{rows:?}");
}

#[test]
fn a_cell_wins_over_set_and_unset() {
    let text = "id,env,owner\na,prod,\nb,<remove>,bob\nc,,\n";
    assert_snapshot!(show("a.csv", text, with_set(&["env=dev", "cc=1"], &["owner"])), @r#"
    2 f-1 prod [("a", -, -)] {"cc": "1", "env": "prod"} {"owner"}
    3 f-2 prod [("b", -, -)] {"cc": "1", "owner": "bob"} {"env"}
    4 f-3 prod [("c", -, -)] {"cc": "1", "env": "dev"} {"owner"}
    "#);
}

#[test]
fn a_header_that_cannot_work_is_an_error_of_the_file() {
    let cases = [
        "name,env\na,b\n",
        "Id,env\na,b\n",
        "id;env\na;b\n",
        "id,env,tag:env\n",
        "id,id,env\n",
        "id,,env\n",
        "id,tag:\n",
        "id,type\na,b\n",
        "id,\"env\n",
        "",
        "\n\n",
    ];
    let shown: Vec<String> = cases.iter().map(|text| show("a.csv", text, options())).collect();
    assert_snapshot!(shown.join("\n"), @r"
    a.csv: header: there is no id column; one column must be called id
    a.csv: header: there is no id column; Id is taken for a tag, the column must be called id in lower case
    a.csv: header: there is no id column; its cells must be separated by commas, not by semicolons or tabs
    a.csv: header: column tag:env is there twice
    a.csv: header: column id is there twice
    a.csv: header: column 2: the key is empty
    a.csv: header: column 2: the key is empty
    a.csv: nothing to do: the header has no tag column; add one (env, or tag:env) or give --set key=value
    a.csv: header: a quoted cell is never closed
    a.csv: the file is empty
    a.csv: the file is empty
    ");
}

#[test]
fn without_a_lane_there_must_be_only_one() {
    let none = Options { lane: None, ..options() };
    let one = Options { lanes: lanes()[..1].to_vec(), ..none.clone() };
    let unknown = Options { lanes: Vec::new(), ..none.clone() };
    let text = "id,env\na,b\n";
    assert_snapshot!([none, one, unknown].map(|options| show("a.csv", text, options)).join("\n"), @r#"
    2 invalid: lane: is missing; name it or give --lane (lanes: prod, everywhere) | a,b
    2 f-1 prod [("a", -, -)] {"env": "b"} {}
    2 invalid: lane: is missing; name it or give --lane | a,b
    "#);
}

#[test]
fn ndjson_keeps_a_jobs_own_id_and_makes_one_where_there_is_none() {
    let text = r#"
{"id":"own","lane":"everywhere","resources":["a"],"set":{"env":"prod"}}
{"resources":[{"id":"b","type":"disk"}],"unset":["env"]}

{"id":"x","lane":"nowhere","resources":["a"],"set":{"env":"prod"}}
{"id":"x","lane":"prod","resources":["a"],"set":{"env":"prod"},"prio":1}
not json
{"id":"last","resources":["c"],"set":{"a":"b"}}"#;
    assert_snapshot!(show("jobs.ndjson", text, options()), @r#"
    2 own everywhere [("a", -, -)] {"env": "prod"} {}
    3 f-2 prod [("b", ("disk"), -)] {} {"env"}
    5 unknown_lane: lane: there is no lane nowhere (lanes: prod, everywhere) | {\"id\":\"x\",\"lane\":\"nowhere\",\"resources\":[\"a\"],\"set\":{\"env\":\"prod\"}}
    6 invalid: prio: unknown field | {\"id\":\"x\",\"lane\":\"prod\",\"resources\":[\"a\"],\"set\":{\"env\":\"prod\"},\"prio\":1}
    7 invalid: not JSON: expected ident at column 2 | not json
    8 last prod [("c", -, -)] {"a": "b"} {}
    "#);
    assert_snapshot!(show("jobs.ndjson", r#"{"id":"j","resources":["c"],"set":{"a":"b"}}"#, with_set(&["a=x", "c=d"], &[])), @r#"1 j prod [("c", -, -)] {"a": "b", "c": "d"} {}"#);
}

#[test]
fn a_line_that_is_too_long_is_bad_and_takes_no_memory() {
    let line = br#"{"id":"good","resources":["c"],"set":{"a":"b"}}"#;
    // 17 MB that are never in memory at once.
    let input =
        (&line[..]).chain(&b"\n"[..]).chain(std::io::repeat(b'x').take(17 << 20)).chain(&b"\n"[..]).chain(&line[..]);
    let rows: Vec<Row> =
        read(BufReader::new(input), Path::new("a.ndjson"), options(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    let Row::Bad { line, message, bytes, .. } = &rows[1] else { panic!("{rows:?}") };
    assert_eq!((*line, &**message, bytes.len()), (2, "longer than 16 MB", 4096));
    assert!(matches!(rows[2], Row::Job { line: 3, .. }));
}

#[test]
fn one_json_object_may_span_the_whole_file() {
    let text =
        "{\n  \"id\": \"j\",\n  \"resources\": [\n    {\n\"id\": \"a\"}\n  ],\n  \"set\": {\"env\": \"prod\"}\n}\n";
    assert_snapshot!(show("job.json", text, options()), @r#"1 j prod [("a", -, -)] {"env": "prod"} {}"#);
    let broken_first = "{\"id\":\"cut\n{\"id\":\"j\",\"resources\":[\"a\"],\"set\":{\"k\":\"v\"}}\n";
    assert_snapshot!(show("jobs.ndjson", broken_first, options()), @r#"
    1 invalid: not JSON: EOF while parsing a string at column 10 | {\"id\":\"cut
    2 j prod [("a", -, -)] {"k": "v"} {}
    "#);
}

const LISTING: &str = r#"{
    "PaginationToken": "a\"b",
    "Other": {"ResourceTagMappingList": [1]},
    "ResourceTagMappingList": [
        {
            "ResourceARN": "arn:aws:s3:::one",
            "Tags": [{"Key": "a]}", "Value": "\"SECRET\\"}]
        },
        {"ResourceARN": "arn:aws:s3:::two", "Tags": []}, 7,
        {"ResourceARN": 5}
    ]
}
{"ResourceTagMappingList": []}
{"ResourceTagMappingList": [{"ResourceARN": "arn:aws:s3:::three"}]}
"#;

#[test]
fn a_listing_of_the_aws_cli_gives_one_job_a_resource() {
    assert_snapshot!(show("r.json", LISTING, with_set(&["env=prod"], &["temp"])), @r#"
    5 f-1 prod [("arn:aws:s3:::one", -, -)] {"env": "prod"} {"temp"}
    9 f-2 prod [("arn:aws:s3:::two", -, -)] {"env": "prod"} {"temp"}
    9 invalid: not an object with a ResourceARN | 7
    10 invalid: not an object with a ResourceARN | {\"ResourceARN\": 5}
    14 f-5 prod [("arn:aws:s3:::three", -, -)] {"env": "prod"} {"temp"}
    "#);
    assert_snapshot!(show("r.json", LISTING, options()), @"r.json: nothing to do: a list of resources says which, not what; give --set key=value or --unset key");
    let forced = read(&b"{}"[..], Path::new("-"), with_set(&["a=b"], &[]), Some(Format::AwsResources)).unwrap().next();
    assert_snapshot!(forced.unwrap().unwrap_err(), @"-: there is no ResourceTagMappingList in it");
}

#[test]
fn a_listing_that_was_cut_off_says_so_wherever_it_was_cut() {
    let list =
        r#"{"ResourceTagMappingList": [{"ResourceARN": "arn:aws:s3:::one"}, {"ResourceARN": "arn:aws:s3:::two"}]}"#;
    let start = list.find('[').unwrap() + 1;
    for cut in start..list.len() {
        let rows = rows_of("r.json", &list.as_bytes()[..cut], with_set(&["a=b"], &[])).unwrap();
        let Some(Row::Bad { message, .. }) = rows.last() else { panic!("cut at {cut}: {rows:?}") };
        assert!(message.contains("cut off"), "cut at {cut}: {message}");
    }
}

#[test]
fn what_is_no_job_file_is_told_with_what_would_be() {
    let cases = [("a.json", "[{}]"), ("a.txt", "hello"), ("a.txt", ""), ("a.parquet", "PAR1")];
    let shown: Vec<String> = cases.iter().map(|(name, text)| show(name, text, options())).collect();
    assert_snapshot!(shown.join("\n"), @r"
    a.json: a JSON list; write one job a line (jq -c '.[]' does it)
    a.txt: not a format we know: jobs as NDJSON, a CSV with a header that has an id column, or the JSON of aws resourcegroupstaggingapi get-resources; --format overrules what we see
    a.txt: the file is empty
    a.parquet: not a format we know: jobs as NDJSON, a CSV with a header that has an id column, or the JSON of aws resourcegroupstaggingapi get-resources; --format overrules what we see
    ");
    let missing = open(Path::new("no/such.csv"), options(), None).err().unwrap();
    assert!(missing.to_string().starts_with("no/such.csv: cannot be opened"));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(folder.path(), options(), None), Err(FileError::Open { .. })));
}

#[test]
fn a_reader_that_fails_on_the_way_is_an_error_and_not_an_end() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("pulled out"))
        }
    }
    let start = format!("id,env\n{}", "a,b\n".repeat(20_000));
    let mut rows = read(BufReader::new(start.as_bytes().chain(Broken)), Path::new("a.csv"), options(), None).unwrap();
    let failed = rows.by_ref().position(|row| row.is_err());
    assert_eq!(failed, Some(20_000));
    assert!(rows.next().is_none());
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) || cell.starts_with('"') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

proptest! {
    #[test]
    fn every_row_of_a_csv_comes_out_once_and_in_order(cells in proptest::collection::vec(("[a-z\",\n ]{0,6}", "[a-z][a-z\",\n]{0,6}"), 0..20)) {
        let mut text = String::from("id,env,note\n");
        let mut starts = Vec::new();
        for (n, (env, note)) in cells.iter().enumerate() {
            starts.push(text.matches('\n').count() as u64 + 1);
            let _ = write!(text, "r-{n},{},{}\r\n", quoted(env), quoted(note));
        }
        let rows = rows_of("a.csv", text.as_bytes(), options()).unwrap();
        prop_assert_eq!(rows.len(), cells.len());
        for (n, row) in rows.iter().enumerate() {
            let (env, note) = &cells[n];
            match row {
                Row::Job { line, job } => {
                    prop_assert_eq!(*line, starts[n]);
                    prop_assert_eq!(&job.resources, &vec![Resource::plain(&format!("r-{n}"))]);
                    prop_assert_eq!(job.set.get("note").map(|v| &**v), Some(&**note));
                    prop_assert_eq!(job.set.get("env").map(|v| &**v), Some(&**env).filter(|env| !env.trim().is_empty()));
                }
                Row::Bad { line, .. } => {
                    prop_assert_eq!(*line, starts[n]);
                    prop_assert!(env.contains('\n') || note.contains('\n'), "{:?}", row);
                }
            }
        }
    }

    #[test]
    fn random_bytes_end_and_never_panic(bytes: Vec<u8>, start in 0..4_usize) {
        let starts: [&[u8]; 4] = [b"", b"id,env\n", b"{\"ResourceTagMappingList\":[", b"{\"id\":1"];
        let text = [starts[start], &bytes].concat();
        for name in ["a", "a.csv", "a.ndjson"] {
            let _ = rows_of(name, &text, with_set(&["a=b"], &[]));
        }
    }

    #[test]
    fn no_line_of_a_broken_csv_is_lost(lines in proptest::collection::vec("[ab\",]{1,8}", 1..12)) {
        let text = format!("id,env\n{}\n", lines.join("\n"));
        let rows = rows_of("a.csv", text.as_bytes(), options()).unwrap();
        // Each line is blank, or it is in the bytes of a bad row, or in the one job that starts at or above it.
        for (index, line) in lines.iter().enumerate() {
            let number = index as u64 + 2;
            let covered = rows.iter().any(|row| match row {
                Row::Job { line: at, .. } => *at <= number,
                Row::Bad { line: at, bytes, .. } => *at <= number && String::from_utf8_lossy(bytes).contains(&**line),
            });
            let blank = line.chars().all(|c| matches!(c, ',' | '"'));
            prop_assert!(covered || blank, "line {} of {:?}: {:?}", number, text, rows);
        }
    }
}
