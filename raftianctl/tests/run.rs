//! What a shell sees of `raftianctl run` in the simulator: no lab, no daemon, one process.

use std::process::{Command, Stdio};

use serde_json::Value;

#[track_caller]
fn expect(words: &[&str], code: i32) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raftianctl"));
    // What is kept as a run is kept there.
    let home = concat!(env!("CARGO_TARGET_TMPDIR"), "/run");
    let output = command.args(words).env("RAFTIAN_HOME", home).stdin(Stdio::null()).output().expect("the program runs");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    assert_eq!(output.status.code(), Some(code), "{words:?}\n{out}\n{err}");
    (out, err)
}

#[test]
fn each_line_is_told_with_its_time_and_then_what_came_of_all() {
    let (out, _) = expect(&["run", "split_brain"], 0);
    assert!(out.starts_with("Two leaders at a time"), "{out}");
    assert!(out.contains("in the simulator, seed 1") && out.contains("s  partition n1,n2 n3,n4,n5\n"), "{out}");
    assert!(out.contains("of virtual time; verdict valid\nKept as run "), "{out}");
}

#[test]
fn runs_that_are_repeated_have_seeds_that_follow_each_other_and_hashes_of_their_own() {
    let (out, _) = expect(&["run", "fig8_unreliable", "--seed", "7", "--repeat", "3", "-o", "json"], 0);
    let runs: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(runs.iter().map(|run| run["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [7, 8, 9]);
    assert!(runs.iter().all(|run| run["holds"] == true && run["engine"] == "sim"), "{out}");
    assert_ne!(runs[0]["hash"], runs[1]["hash"]);
}

#[test]
fn what_is_not_there_is_wrong_usage_with_what_is_near() {
    let (_, err) = expect(&["run", "split_brian"], 2);
    assert!(err.contains("there is no scenario and no file `split_brian`; did you mean `split_brain`?"), "{err}");
    let (_, err) = expect(&["run", "no/such.scenario"], 2);
    assert!(err.contains("no/such.scenario cannot be read"), "{err}");
    let (_, err) = expect(&["run", "corrupt_record", "--engine", "processes"], 2);
    assert!(err.contains("corrupt_record, line 13: `disk n2 flips entry 2`: "), "{err}");
    assert!(err.contains("and nothing spares a quorum; see `raftianctl disk`; play it with `--engine sim`"), "{err}");
    expect(&["run"], 2);
    expect(&["run", "fig7_a", "--repeat", "0"], 2);
}

#[test]
fn the_list_has_groups_and_says_for_each_scenario_what_can_play_it() {
    let (out, _) = expect(&["run", "--list"], 0);
    for part in ["Figure 7 of the paper", "Elections", "Membership", "ENGINES", "sim, processes"] {
        assert!(out.contains(part), "{part} in\n{out}");
    }
    let (out, _) = expect(&["run", "--list", "-o", "json"], 0);
    let listed: Value = serde_json::from_str(&out).expect("JSON");
    for listed in listed.as_array().expect("a list") {
        let engines = listed["engines"].as_array().expect("engines");
        assert_eq!(engines[0], "sim", "{listed}");
        assert_eq!(engines.len() == 1, listed["why_not_processes"].is_string(), "{listed}");
        let is_by_hand = ["fig7_f", "fig8_d"].iter().any(|name| listed["name"] == *name);
        assert!(!is_by_hand || listed["by_hand"] == true, "{listed}");
    }
}

#[test]
fn what_ended_before_its_run_began_is_listed_as_unfinished_and_can_be_removed() {
    let folder = std::path::Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/run/runs/00c0ffee"));
    // The store is made by its first run.
    expect(&["run", "split_brain"], 0);
    std::fs::create_dir_all(folder).unwrap();
    let (out, _) = expect(&["runs"], 0);
    let line = out.lines().find(|line| line.starts_with("00c0ffee")).expect("its line");
    assert!(line.contains("unfinished"), "{out}");
    expect(&["runs", "rm", "00c0ffee"], 0);
    assert!(!folder.exists());
}

#[test]
fn messages_are_recorded_of_processes_that_move_by_themselves_only() {
    let (_, err) = expect(&["run", "split_brain", "--record", "messages"], 2);
    assert!(err.contains("the simulator records no messages: `raftianctl run --chart svg` draws them"), "{err}");
    let (_, err) = expect(&["run", "fig8_d", "--engine", "processes", "--record", "messages"], 2);
    assert!(err.contains("fig8_d moves nodes by hand, which record no messages"), "{err}");
}

#[test]
fn what_a_nemesis_draws_is_printed_as_json_where_that_is_wanted() {
    let (out, _) = expect(&["nemesis", "--print", "--seed", "3", "-o", "json"], 0);
    let printed: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&printed["profile"], &printed["seed"]), (&"gentle".into(), &3.into()));
    assert!(printed["scenario"].as_str().is_some_and(|text| text.contains("\nfinish\n")), "{out}");
}
