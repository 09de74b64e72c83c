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
    assert!(fs::read_to_string(folder.join("demo.svg")).unwrap().starts_with("<svg"));
    assert!(fs::read(folder.join("demo.png")).unwrap().starts_with(b"\x89PNG"));
    let report: Value = serde_json::from_str(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["verdict"], "valid", "{report}");

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
    let story = lab.home().join("story");
    fs::create_dir_all(story.join("replicas")).unwrap();
    let of_the_demo = ["report.json", "demo.svg", "demo.png", "timeline.json", "events.jsonl", "replicas/n1.json"];
    of_the_demo.iter().chain(&["mine.txt"]).for_each(|name| fs::write(story.join(name), "old").unwrap());
    let mut demo = lab.command("demo --out story").env("TMPDIR", &temporary).spawn().unwrap();
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
    let left: Vec<&&str> = of_the_demo.iter().filter(|name| story.join(name).exists()).collect();
    assert!(left.is_empty(), "of a former demo: {left:?}");
    assert_eq!(fs::read_to_string(story.join("mine.txt")).unwrap(), "old", "not the demo's to remove");
}
