//! Experiments end to end: a small run, one that is interrupted and taken up again, and what its folder promises.
//!
//! Deliberately absent: anything about the numbers; a test machine is never quiet.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use raftian_tests::{Lab, eventually, is_alive, ran, signal};
use rustix::process::Signal;
use serde_json::Value;

/// Idle clusters: the quickest trials there are.
const QUICKEST: &str = "E10";

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_leaves_its_raw_data_a_manifest_and_a_report() {
    let lab = Lab::new();
    let finished = lab.json(&format!("bench run {QUICKEST} --blocks 1 --seed 5 --out run"));
    assert_eq!((&finished["blocks_done"], &finished["stopped"]), (&Value::from(1), &Value::Null), "{finished}");
    let run = lab.home().join("run");
    let manifest = json(&run.join("manifest.json"));
    assert_eq!((&manifest["state"], &manifest["seed"]), (&Value::from("complete"), &Value::from(5)));
    assert!(manifest["provenance"]["rustc"].as_str().unwrap().starts_with("1."), "{manifest}");
    assert!(run.join("derived/report.html").is_file() && !run.join("work").exists());
    assert!(lab.ok("bench report run").contains("unchanged"), "the same data give the same bytes");

    lab.ok(&format!("bench run {QUICKEST} --blocks 1 --seed 5 --out again"));
    assert_eq!(json(&lab.home().join("again/manifest.json"))["schedule"], manifest["schedule"]);
    lab.fails(&format!("bench run {QUICKEST} --out run"), 1, &["holds a run already", "--resume run"]);
    fs::write(run.join("trials.jsonl"), "{}\n").unwrap();
    lab.fails("bench report run", 1, &["trials.jsonl has 3 bytes"]);
}

#[test]
fn an_interrupted_run_leaves_no_process_and_is_taken_up_again() {
    let lab = Lab::new();
    let run = lab.home().join("run");
    let mut command = lab.command(&format!("bench run {QUICKEST} --blocks 6 --out run"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let children = || -> Vec<i32> {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    eventually("a block is done", || {
        let manifest = fs::read(run.join("manifest.json")).unwrap_or_default();
        serde_json::from_slice(&manifest).is_ok_and(|manifest: Value| manifest["files"]["trials.jsonl"].is_object())
    });
    let mut nodes = Vec::new();
    eventually("a cluster runs", || {
        nodes = children();
        nodes.len() >= 3
    });
    signal(pid, Signal::INT);
    let ran = ran("bench run".into(), child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran:#?}");
    assert!(ran.stderr.contains("of 6 blocks are kept") && ran.stderr.contains("--resume run"), "{ran:#?}");
    eventually("the nodes are gone", || nodes.iter().all(|node| !is_alive(*node)));
    assert!(!run.join("work").exists());

    let before = fs::read(run.join("trials.jsonl")).unwrap();
    let resumed = lab.json("bench run --resume run");
    assert_eq!((&resumed["blocks_done"], &resumed["stopped"]), (&Value::from(6), &Value::Null), "{resumed}");
    let after = fs::read(run.join("trials.jsonl")).unwrap();
    assert!(after.len() > before.len() && after.starts_with(&before), "finished blocks are kept as they were");
}
