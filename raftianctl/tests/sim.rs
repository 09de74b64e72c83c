//! What a shell sees of `raftianctl sim`: no lab, no daemon, one process.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn run(words: &[&str]) -> Output {
    raftianctl().args(words).stdin(Stdio::null()).output().expect("the program runs")
}

/// What it keeps as a run is kept there.
fn raftianctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raftianctl"));
    command.env("RAFTIAN_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/sim"));
    command
}

#[track_caller]
fn expect(words: &[&str], code: i32) -> (String, String) {
    let output = run(words);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    assert_eq!(output.status.code(), Some(code), "{words:?}\n{out}\n{err}");
    (out, err)
}

/// A file that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("raftianctl-sim-{name}-{}", std::process::id()));
        fs::write(&path, text).expect("a file");
        Scratch(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn seeds_are_run_and_summed_up_the_same_on_any_number_of_threads() {
    let told = |jobs: &str| -> Value {
        let (out, _) = expect(&["sim", "run", "--seeds", "1..6", "--jobs", jobs, "-o", "json"], 0);
        let mut told: Value = serde_json::from_str(&out).expect("JSON");
        let times = ["seconds", "events_per_s"].map(|name| told.as_object_mut().expect("an object").remove(name));
        assert!(times.iter().all(Option::is_some), "{told}");
        told
    };
    let (one, two) = (told("1"), told("2"));
    assert_eq!(one, two);
    assert_eq!(one["seeds"]["done"], 6);
    assert_eq!(one["violations"], Value::Array(Vec::new()));
    assert!(one["events"].as_u64().is_some_and(|events| events > 1_000), "{one}");
    assert!(one["coverage"]["transitions"].as_array().is_some_and(|reached| reached.len() > 20), "{one}");

    let (out, err) = expect(&["sim", "run", "--seeds", "7"], 0);
    assert!(out.starts_with("valid: 1 seed, 0 violations; ") && out.lines().count() == 1, "{out}");
    assert_eq!(err, "", "it was over before there was anything to say");
    let (out, _) = expect(&["sim", "run", "--seeds", "7", "--coverage"], 0);
    for part in ["transitions", "ROLE", "branches"] {
        assert!(out.contains(part), "{part} in\n{out}");
    }
    let verdict = out.lines().last().expect("a verdict");
    assert!(verdict.starts_with("valid: 1 seed, 0 violations; "), "{out}");
}

#[test]
fn a_seed_is_replayed_and_its_script_plays_to_the_same_hash() {
    let (out, _) = expect(&["sim", "replay", "3", "-o", "json"], 0);
    let replayed: Value = serde_json::from_str(&out).expect("JSON");
    assert!(replayed["turning_points"].as_array().is_some_and(|points| points.len() > 10), "{replayed}");

    let (chart, note) = expect(&["sim", "replay", "3", "--chart", "text"], 0);
    assert!(note.starts_with(&format!("seed 3 of draws {}: ", raftian_sim::DRAWS)), "{note}");
    let (out, _) = expect(&["sim", "replay", "3", "--chart", "text", "-o", "json"], 0);
    let drawn: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&drawn["chart"], &drawn["hash"]), (&Value::String(chart), &replayed["hash"]));

    let (script, _) = expect(&["sim", "replay", "3", "--script"], 0);
    let file = Scratch::new("script", &script);
    let (out, _) = expect(&["run", file.path(), "-o", "json"], 0);
    let played: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&played["hash"], &played["holds"]), (&replayed["hash"], &Value::Bool(true)));
}

#[test]
fn figures_are_printed_played_and_drawn() {
    let (out, _) = expect(&["run", "fig8_d"], 0);
    assert!(out.starts_with("Figure 8 (d)") && out.contains("It holds"), "{out}");

    let (text, _) = expect(&["run", "fig8_d", "--text"], 0);
    let file = Scratch::new("figure", &text);
    let (chart, note) = expect(&["run", file.path(), "--chart", "text"], 0);
    assert!(chart.contains("n5") && note.contains("It holds"), "{chart}\n{note}");
    let (out, _) = expect(&["run", "fig8_d", "--chart", "text", "-o", "json"], 0);
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&told["chart"], &told["holds"]), (&Value::String(chart), &Value::Bool(true)));
    let svg = Scratch::new("svg", "");
    let (out, note) = expect(&["run", "fig8_d", "--chart", "svg", "--to", svg.path()], 0);
    assert!(out.contains("It holds") && note.contains("the chart is in"), "{out}\n{note}");
    assert!(fs::read_to_string(svg.path()).is_ok_and(|text| text.starts_with("<svg") || text.starts_with("<?xml")));
}

#[test]
fn what_the_peers_test_is_played_listed_and_explained() {
    let (out, _) = expect(&["sim", "peers"], 0);
    assert!(out.starts_with("SITUATION ") && out.contains(", 0 failed.\n"), "{out}");
    assert!(out.lines().count() > 140 && out.contains("\ntoydb__append_pipeline differs: "), "{out}");
    let (out, _) = expect(&["sim", "peers", "toydb__append_pipeline_latency", "-o", "json"], 0);
    let told: Value = serde_json::from_str(&out).expect("JSON");
    let [only] = told.as_array().expect("an array").as_slice() else { panic!("{out}") };
    assert_eq!((&only["holds"], &only["passed"]), (&Value::Bool(false), &Value::Bool(true)));
    assert!(only["reason"].is_string() && only["source"].is_string() && only.get("why").is_none(), "{out}");
    let (out, _) = expect(&["sim", "peers", "mit__3A"], 0);
    assert!(out.ends_with("\n3 situations: 3 hold, 0 differ; 3 passed, 0 failed.\n"), "{out}");
    let (page, _) = expect(&["sim", "peers", "--markdown"], 0);
    assert!(page.starts_with("# What the peers test\n") && page.contains("| **differs**: "), "{page}");
    let (out, _) = expect(&["run", "toydb__append_pipeline_latency"], 0);
    assert!(out.contains("\nDiffers: ") && out.contains("It holds"), "{out}");
}

#[test]
fn a_scenario_that_does_not_hold_fails_with_its_line() {
    let file = Scratch::new("wrong", "servers 3\nelect n1\nexpect leader n2\n");
    let (out, _) = expect(&["run", file.path()], 1);
    assert!(out.contains("It does not hold: line 3: `expect leader n2`, but n1 leads"), "{out}");
    let (out, _) = expect(&["run", file.path(), "-o", "json"], 1);
    let played: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&played["holds"], &played["line"]), (&Value::Bool(false), &Value::from(3)));
}

#[test]
fn a_scenario_can_come_from_standard_input() {
    let file = Scratch::new("input", "servers 3\nelect n1\n");
    let mut command = raftianctl();
    command.args(["run", "-"]).stdin(fs::File::open(file.path()).expect("a file"));
    let output = command.output().expect("the program runs");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("It holds"), "{output:?}");
}

#[test]
fn the_grammar_is_a_page_that_help_names() {
    let (page, _) = expect(&["run", "--grammar"], 0);
    assert!(page.starts_with("# Scenarios\n") && page.contains("\nexpect leader n3 within 2s "), "{page}");
    for help in [&["sim", "--help"][..], &["run", "--help"]] {
        let (help, _) = expect(help, 0);
        assert!(help.contains("--grammar") && help.contains("docs/scenarios.md"), "{help}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_nearest_that_does() {
    let typo = Scratch::new("typo", "servers 3\nelct n1\n");
    let torn = Scratch::new("torn", "");
    fs::write(&torn.0, b"servers 3\n\xff").expect("a file");
    let (empty, large) = (Scratch::new("empty", ""), Scratch::new("large", &"# ten bytes\n".repeat(1 << 20)));
    for (words, hint) in [
        (&["sim", "run", "--seeds", "10..1"][..], "did you mean 1..10?"),
        (&["sim", "run", "--seeds", "1.."], "write its first and its last number"),
        (&["sim", "run", "--seeds", "0..-5"], "write its first and its last number"),
        (&["sim", "run", "--jobs", "0"], "1..=256"),
        (&["run", "fig8d"], "did you mean `fig8_d`?"),
        (&["run", "zebra"], "see `raftianctl run --list`"),
        (&["run", "fig8", "--chart", "text"], "--chart draws one run"),
        (&["run", "fig8_d", "--chart", "text", "--engine", "processes"], "draws the messages of a simulated run"),
        (&["sim", "peers", "etcd__laging_commit"], "did you mean `etcd__lagging_commit`?"),
        (&["sim", "peers", "zebra"], "plays all of them"),
        (&["sim", "peers", "etcd", "--markdown"], "cannot be used with"),
        (&["run", "fig8_d", "--to", "x"], "--chart"),
        (&["sim", "replay", "seven"], "`seven` is not a seed; write a whole number"),
        (&["run"], "<FILE|NAME>"),
        (&["run", "--grammar", "x"], "cannot be used with"),
        (&["run", torn.path()], "cannot be read: line 2 is not UTF-8 text"),
        (&["run", empty.path()], "line 1, column 1: expected `servers` and how many there are"),
        (&["run", large.path()], "cannot be read: a scenario has at most 4 MiB"),
        (&["run", "/dev/zero"], "cannot be read: a scenario has at most 4 MiB"),
        (&["run", "/"], "/ cannot be read: Is a directory"),
        (&["run", typo.path()], "line 2, column 1: expected a statement, found `elct`; did you mean `elect`?"),
    ] {
        let (out, err) = expect(words, 2);
        assert!(err.contains(hint) && out.is_empty(), "{words:?}: {err}");
    }
    let (_, err) = expect(&["run", "/nonexistent/x"], 2);
    assert!(err.contains("/nonexistent/x cannot be read"), "{err}");
}

#[test]
fn the_words_of_help_are_wrapped_once() {
    for words in [&["sim", "run"][..], &["sim", "replay"], &["sim", "peers"], &["run"]] {
        let output = raftianctl().args(words).arg("--help").env("COLUMNS", "80").output().expect("the program runs");
        let help = String::from_utf8(output.stdout).expect("text");
        let (_, epilogue) = help.split_once("\nExamples:\n").expect("examples");
        for example in epilogue.lines().filter(|line| line.starts_with(' ')) {
            assert!(example.starts_with("  raftianctl ") || example.starts_with("  cargo "), "{example:?}\n{help}");
        }
        for paragraph in epilogue.split("\n\n").skip(1) {
            let lines: Vec<&str> = paragraph.trim_end().lines().filter(|line| !line.starts_with(' ')).collect();
            let is_full = |pair: &[&str]| pair[0].len() + 1 + pair[1].split(' ').next().unwrap_or_default().len() > 80;
            assert!(lines.windows(2).all(is_full), "{words:?}: lines end early\n{help}");
        }
    }
}

/// Whether the core is built with planted bugs by `cargo build` with these words.
fn has_planted_bugs(words: &[&str]) -> bool {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "features", "--invert", "raftian-raft"])
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(output.stdout).expect("text");
    assert!(tree.contains("raftian-apps feature"), "{tree}\n{}", String::from_utf8_lossy(&output.stderr));
    tree.contains(r#"feature "mutants""#)
}

#[test]
fn ordinary_builds_have_no_planted_bugs() {
    for words in [&["--workspace"][..], &["--package", "raftian-node"], &["--package", "raftianctl"]] {
        assert!(!has_planted_bugs(words), "cargo build {words:?}");
    }
    assert!(has_planted_bugs(&["--package", "raftianctl", "--features", "zoo"]));
}

/// Planted bugs are in no program but one that was built to have them.
#[cfg(not(feature = "zoo"))]
#[test]
fn a_program_without_planted_bugs_says_how_to_build_one() {
    for words in [
        &["sim", "run", "--mutant", "quorum_half"][..],
        &["sim", "replay", "1", "--mutant", "quorum_half"],
        &["run", "fig8_d", "--mutant", "old_term_committed"],
        &["sim", "zoo"],
    ] {
        let (_, err) = expect(words, 2);
        assert!(err.contains("--features zoo"), "{words:?}: {err}");
    }
}

#[cfg(feature = "zoo")]
#[test]
fn a_planted_bug_is_found_and_its_script_breaks_the_same() {
    let (out, _) = expect(&["sim", "run", "--seeds", "1..40", "--mutant", "no_up_to_date_check", "-o", "json"], 1);
    let told: Value = serde_json::from_str(&out).expect("JSON");
    let first = &told["violations"][0];
    let script = told["script"]["text"].as_str().expect("a script");
    let file = Scratch::new("found", script);
    let (out, _) = expect(&["run", file.path(), "-o", "json"], 1);
    let played: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(played["invariant"], first["invariant"]);
    let (_, err) = expect(&["sim", "run", "--mutant", "quorum_hlf"], 2);
    assert!(err.contains("did you mean `quorum_half`?"), "{err}");
    let (out, _) = expect(&["run", "fig8_d", "--mutant", "old_term_committed"], 1);
    assert!(out.contains("commit_own_term"), "{out}");
}
