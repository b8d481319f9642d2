//! What a user and a script see: data on stdout, words on stderr, secrets nowhere.

use crate::support::{Clouds, Home, disks, holds, lane};
use tagmill::sim::{Faults, well_known};

#[test]
fn the_final_table_and_the_words_below_it() {
    let clouds = Clouds::start();
    clouds.faults("alibaba-rds", Faults { unknown: vec!["gone".into()], ..Faults::default() });
    let home = Home::new(&["tms", "rds"].map(|name| lane(name, &clouds.url(), "")));
    let mut csv = "id,type,lane,env\n".to_owned();
    for n in 0..1200 {
        csv += &format!("d-{n},disk,tms,prod\n");
    }
    home.write("all.csv", &(csv + "rm-1,,rds,prod\ngone,,rds,prod\nrm-3,,rds,prod\n,,rds,prod\n"));
    let done = home.run(&["apply", "all.csv"]);
    assert_eq!(done.code, 1, "{done:?}");
    // Only the seconds differ from run to run.
    let seconds = done.out.split("total in ").nth(1).unwrap().split('s').next().unwrap();
    insta::assert_snapshot!(done.out.replace(&format!("{seconds}s"), "N.Ns"), @r"
    lane           accepted  tagged  unchanged  dead  pending  calls  throttled  retries
    (no lane)             1       0          0     1        0      0          0        0
    rds                   3       2          0     1        0      5          0        4
    tms               1,200   1,200          0     0        0     24          0        0
    -------------  --------  ------  ---------  ----  -------  -----  ---------  -------
    total in N.Ns     1,204   1,202          0     2        0     29          0        4
    ");
    insta::assert_snapshot!(done.err, @r"
    all.csv:1205: invalid: id: the cell is blank
    2 dead: `tagmill dlq list` shows why, `tagmill dlq replay` sends them again
    ");
}

#[test]
fn pipes_get_no_colours_and_no_progress_bar() {
    let clouds = Clouds::start();
    clouds.faults("huawei-tms", Faults { unknown: vec!["d-7".into()], ..Faults::default() });
    for (name, value) in [("TERM", "xterm-256color"), ("NO_COLOR", "1"), ("CLICOLOR", "1")] {
        let mut home = Home::new(&[lane("tms", &clouds.url(), "")]);
        home.env(name, value);
        home.write("disks.csv", &disks((0..60).map(|n| format!("d-{n}"))));
        for command in [
            &["apply", "disks.csv", "-vvv"][..],
            &["plan", "disks.csv"],
            &["dlq", "list"],
            &["dlq", "show", "x"],
            &["apply", "none.csv"],
            &["apply", "--help"],
            &["apply"],
        ] {
            let done = home.run(command);
            for text in [&done.out, &done.err] {
                assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{command:?}: {text:?}");
            }
        }
    }
}

#[test]
fn secrets_and_tag_values_are_in_no_output_and_secrets_in_no_file() {
    let value = "value-that-nobody-may-see";
    let clouds = Clouds::start();
    let bad =
        Faults { unknown: vec!["gone-*".into()], error_500: 0.2, error_502: 0.1, truncated: 0.1, ..Faults::default() };
    for cloud in ["huawei-tms", "alibaba-rds", "alibaba-ecs", "alibaba-tag"] {
        clouds.faults(cloud, bad.clone());
    }
    let names = ["tms", "login", "rds", "ecs", "tag"];
    let v1 = |name: &str| if name == "rds" { "signature: v1" } else { "" };
    let mut home = Home::new(&names.map(|name| lane(name, &clouds.url(), v1(name))));
    let mut csv = "id,type,lane,env,owner\n".to_owned();
    for n in 0..40 {
        let id = if n == 7 { "gone-7".to_owned() } else { format!("x-{n}") };
        csv += &format!("{id},disk,tms,{value},{value}{}\n{id},disk,login,{value},\n", n % 3);
        csv += &format!("{id},,rds,{value},\n{id},disk,ecs,{value},{value}{}\n", n % 4);
        csv += &format!("arn:acs:ecs:*:*:instance/{id},,tag,{value},\n");
    }
    // Rows that are refused, by us and by a cloud's own rules.
    csv += &format!(",disk,tms,{value},\nx-1,disk,tms,{value} with spaces,\nx-2,disk,ecs,https://{value},\n");
    home.write("all.csv", &csv);
    let secrets = [well_known::HUAWEI_SECRET_KEY, well_known::HUAWEI_PASSWORD, well_known::ALIBABA_SECRET_KEY];
    let nowhere = |done: &crate::support::Done, words: &[&str]| {
        for word in words {
            for (name, text) in [("stdout", &done.out), ("stderr", &done.err)] {
                let at = text.find(word);
                let around = at.map(|at| &text[at.saturating_sub(200)..(at + word.len() + 20).min(text.len())]);
                assert!(at.is_none(), "{word} in {name}: {around:?}");
            }
        }
    };
    let words = [&secrets[..], &[value]].concat();
    for (log, flags) in [(None, "-vvv"), (Some("trace"), "-vvv"), (Some("trace"), "-v")] {
        if let Some(log) = log {
            home.env("RUST_LOG", log);
        }
        let done = home.run(&["apply", "all.csv", flags]);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.err.len() > 1000, "it logs nothing");
        nowhere(&done, &words);
        nowhere(&home.run(&["dlq", "list", flags]), &words);
    }
    // A wrong key is no less secret.
    home.env("HUAWEI_SECRET", "mistyped-secret");
    home.env("ALIBABA_SECRET", "mistyped-secret");
    home.env("HUAWEI_PASSWORD", "mistyped-secret");
    let done = home.run(&["apply", "all.csv", "-vvv"]);
    assert_eq!(done.code, 69, "{done:?}");
    nowhere(&done, &[&words[..], &["mistyped-secret"]].concat());
    for secret in secrets {
        assert!(!holds(&home.path("tagmill-state"), secret), "{secret} is in the state");
    }
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_build_that_exports_no_spans_says_so_in_one_line_where_an_endpoint_is_set() {
    let clouds = Clouds::start();
    let mut home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:planted@127.0.0.1:1");
    home.write("all.csv", &disks(["d-1".to_owned()]));
    let done = home.run(&["apply", "all.csv"]);
    assert_eq!((done.code, done.err.lines().count()), (0, 1), "{done:?}");
    assert!(done.err.contains("--features otlp") && !done.err.contains("planted"), "{done:?}");
    let other = home.run(&["providers"]);
    assert_eq!((other.code, other.err.as_str()), (0, ""), "a command that calls nobody has nothing to say");
}

#[test]
fn the_trace_of_a_command_is_that_of_its_dead_letters() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let clouds = Clouds::start();
    clouds.faults("huawei-tms", Faults { unknown: vec!["gone".into()], ..Faults::default() });
    let mut home = Home::new(&[lane("tms", &clouds.url(), "")]);
    home.env("TRACEPARENT", PARENT);
    home.write("all.csv", &disks(["gone".to_owned()]));
    let done = home.run(&["apply", "all.csv", "-v"]);
    assert_eq!(done.code, 1, "{done:?}");
    let dead: Vec<&str> = done.err.lines().filter(|line| line.contains("trace_id=")).collect();
    assert_eq!(dead.len(), 1, "{done:?}");
    assert!(dead[0].contains("4bf92f3577b34da6a3ce929d0e0e4736") && dead[0].contains("job="), "{done:?}");
    home.without("TRACEPARENT");
    let again = home.run(&["dlq", "replay", "--yes", "-v"]);
    assert!(again.err.contains("trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\""), "{again:?}");
}
