//! The main job in one command.

use std::fs;

use raftian_tests::{Lab, eventually, runs};
use serde_json::Value;

#[test]
fn the_demo_ends_with_a_valid_verdict_and_a_chart_and_leaves_nothing_running() {
    let lab = Lab::new();
    let story = lab.ok("demo --out story");
    for word in ["kill n", "pause n", "partition n", "leads term", "verdict valid"] {
        assert!(story.contains(word), "`{word}` is missing: {story}");
    }
    let folder = lab.home().join("story");
    assert!(fs::read_to_string(folder.join("timeline.svg")).unwrap().starts_with("<svg"));
    assert!(fs::read(folder.join("timeline.png")).unwrap().starts_with(b"\x89PNG"));
    let story: Value = serde_json::from_str(&fs::read_to_string(folder.join("story.json")).unwrap()).unwrap();
    assert_eq!(story["verdict"], "valid", "{story}");
    assert_eq!(lab.json("check story")["report"], story["report"], "judged again, from the files");

    let journal = fs::read_to_string(folder.join("events.jsonl")).unwrap();
    let events = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let pids: Vec<i32> = events.filter_map(|event| event["pid"].as_i64()).map(|pid| pid as i32).collect();
    assert!(pids.len() >= 6, "a daemon, five nodes, and one of them twice: {pids:?}");
    eventually("everything has ended", || pids.iter().all(|pid| !runs(*pid)));
}

#[test]
fn a_demo_that_is_killed_takes_its_lab_with_it() {
    let lab = Lab::new();
    let temporary = lab.home().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut demo = lab.command("demo").env("TMPDIR", &temporary).spawn().unwrap();
    let is_empty = || fs::read_dir(&temporary).unwrap().next().is_none();
    let started = || {
        let journals = fs::read_dir(&temporary)
            .unwrap()
            .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("events.jsonl")).ok());
        journals.into_iter().any(|journal| journal.contains("\"leader\""))
    };
    eventually("the demo's lab has started", started);
    demo.kill().unwrap();
    demo.wait().unwrap();
    eventually("the demo's lab is gone", is_empty);
    let run = lab.json("runs")[0].clone();
    assert_eq!((&run["manifest"]["maker"], &run["state"]), (&"demo".into(), &"cut_off".into()), "{run}");
    lab.fails("demo --out .", 1, &["is not empty"]);
}
