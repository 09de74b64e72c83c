//! Runs that are kept: listed, judged again from their files, and what becomes of those that are cut off.

use std::fs;
use std::path::PathBuf;

use raftian_tests::{Lab, ended, eventually, pid_of, signal};
use rustix::process::Signal;
use serde_json::Value;

fn folder(run: &Value) -> PathBuf {
    PathBuf::from(run["folder"].as_str().expect("a run has a folder"))
}

/// Replaces the first of these texts in a file of a run by the other.
fn edit(run: &Value, file: &str, from: &str, to: &str) {
    let path = folder(run).join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_load_is_kept_and_judged_again_without_its_lab() {
    let lab = Lab::started(3);
    assert_eq!(lab.json("runs"), serde_json::json!([]));
    let load = lab.json("load --rate 100/s --for 500ms");
    lab.ok("stop --purge");

    let runs = lab.json("runs list");
    let run = &runs[0];
    assert_eq!((&run["id"], &run["folder"]), (&load["run"]["id"], &load["run"]["folder"]), "{runs}");
    assert_eq!((&run["state"], &run["verdict"]), (&"completed".into(), &"valid".into()), "{runs}");
    let shown = lab.json("runs show last");
    assert_eq!((&shown["maker"], &shown["lab"]), (&"load".into(), &"default".into()), "{shown}");
    assert_eq!(shown["judged"]["report"], load["report"], "{shown}");

    let id = run["id"].as_str().unwrap();
    for name in ["last", id, &id[..4], folder(run).to_str().unwrap()] {
        let checked = lab.json(&format!("check {name}"));
        assert_eq!((&checked["verdict"], &checked["run"]), (&"valid".into(), &id.into()), "{checked}");
        assert_eq!(checked["report"], load["report"], "the same evidence, the same report");
    }
    assert!(lab.ok("check last").contains("50 operations: 50 acknowledged"));
    let modes = fs::read_dir(folder(run)).unwrap().chain(fs::read_dir(folder(run).join("logs")).unwrap());
    for entry in modes {
        use std::os::unix::fs::PermissionsExt as _;
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{entry:?} is its owner's only");
    }

    edit(run, "history.jsonl", "\"serial\":1,", "\"serial\":1001,");
    let ran = lab.run("check last");
    assert!(ran.code == 1 && ran.stdout.contains("violated  acknowledged_durable"), "{ran:#?}");
    assert!(ran.stdout.contains("changed after the run ended: history.jsonl"), "{ran:#?}");
    edit(run, "manifest.json", "\"format\": 1", "\"format\": 99");
    lab.fails(&format!("check {id}"), 2, &["is a run of format 99"]);
    lab.fails("check nothing", 2, &["there is no run `nothing`"]);
}

#[test]
fn a_load_that_is_interrupted_or_killed_leaves_a_run_that_can_be_judged_and_never_is_valid() {
    let lab = Lab::started(3);
    let begin = || {
        let load = lab.begin("load --rate 100/s --for 60s --quiet");
        let has_begun = || {
            let newest = lab.json("runs")[0].clone();
            let history = || fs::read_to_string(folder(&newest).join("history.jsonl")).unwrap_or_default();
            newest["state"] == "running" && history().lines().count() > 20
        };
        eventually("operations are kept", has_begun);
        load
    };
    let load = begin();
    lab.fails("runs rm last", 1, &["goes on"]);
    signal(pid_of(&load), Signal::INT);
    let ran = ended(load);
    assert!(ran.code == 130 && ran.stderr.contains("judges it as far as it goes"), "{ran:#?}");
    assert_eq!(lab.json("runs")[0]["state"]["interrupted"], "interrupted");
    let ran = lab.run("check last");
    assert!(ran.code == 3 && ran.stdout.contains("did not come to its end"), "{ran:#?}");

    let load = begin();
    signal(pid_of(&load), Signal::KILL);
    ended(load);
    assert_eq!(lab.json("runs")[0]["state"], "cut_off");
    let ran = lab.run("check last");
    assert!(ran.code == 3 && ran.stdout.contains("was cut off"), "{ran:#?}");

    assert_eq!(lab.json("runs rm last").as_array().unwrap().len(), 1);
    lab.ok("runs rm --all");
    assert_eq!(lab.json("runs"), serde_json::json!([]));
}

#[test]
fn a_load_is_kept_where_it_is_told_or_not_at_all() {
    let lab = Lab::started(3);
    lab.ok("load --rate 100/s --for 200ms --out mine");
    lab.ok("load --rate 100/s --for 200ms --no-keep");
    assert_eq!(lab.json("runs"), serde_json::json!([]));
    assert_eq!(lab.json("check mine")["verdict"], "valid");
    lab.fails("load --for 1s --out mine", 1, &["is not empty"]);
    lab.fails("runs rm mine", 2, &["not in the store of runs"]);
    lab.fails("--lab runs start", 2, &["choose another name"]);
}

#[test]
fn a_run_that_is_exported_is_judged_the_same_in_another_home() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    lab.ok("load --rate 100/s --for 500ms --keys 3");
    let exported = lab.json("runs export last --to found.run");
    let here = lab.json("check last");
    assert_eq!((&here["verdict"], &here["run"]), (&"valid".into(), &exported["run"]), "{here}");

    let elsewhere = Lab::new();
    fs::copy(lab.home().join("found.run"), elsewhere.home().join("found.run")).unwrap();
    assert_eq!(elsewhere.json("check found.run"), here, "without taking it in");
    assert_eq!(elsewhere.json("runs"), serde_json::json!([]));
    let imported = elsewhere.json("runs import found.run");
    assert_eq!(imported["id"], exported["run"]);
    assert_eq!(elsewhere.json("check last"), here);
    elsewhere.fails("runs import found.run", 2, &["is here already"]);
    fs::write(elsewhere.home().join("found.run"), "nonsense").unwrap();
    for command in ["runs import found.run", "check found.run"] {
        elsewhere.fails(command, 2, &["is not a run that was exported"]);
    }

    let edn = lab.ok("runs export last --format jepsen --to -");
    assert_eq!(edn.lines().count(), 100, "fifty operations are invoked, and come to an end");
    assert!(edn.lines().all(|line| line.starts_with("{:index ") && line.ends_with('}')), "{edn}");
    let operations: Value = serde_json::from_str(&lab.ok("runs export last --format porcupine --to -")).unwrap();
    assert_eq!(operations.as_array().unwrap().len(), 50);
}

#[test]
fn a_run_is_drawn_as_a_page_a_chart_and_a_trace_and_so_is_the_lab() {
    let lab = Lab::started(3);
    let load = lab.begin("load --rate 100/s --for 4s --quiet");
    let has_begun = || lab.json("runs")[0]["state"] == "running";
    eventually("the load has begun", has_begun);
    lab.ok("kill @leader");
    lab.ok("start");
    assert_eq!(ended(load).code, 0);

    let page = lab.json("timeline last --to page.html");
    assert_eq!((&page["nodes"], &page["faults"], &page["operations"]), (&3.into(), &1.into(), &400.into()), "{page}");
    assert!(page["elections"].as_u64() >= Some(1), "{page}");
    let text = fs::read_to_string(lab.home().join("page.html")).unwrap();
    assert!(text.starts_with("<!DOCTYPE html>") && text.contains("kill n") && text.contains("leads after"));
    lab.ok("timeline last --to chart.svg");
    assert!(fs::read_to_string(lab.home().join("chart.svg")).unwrap().starts_with("<svg"));
    lab.ok("timeline last --to trace.json");
    let trace: Value = serde_json::from_str(&fs::read_to_string(lab.home().join("trace.json")).unwrap()).unwrap();
    let names: Vec<&str> =
        trace["traceEvents"].as_array().unwrap().iter().filter_map(|event| event["name"].as_str()).collect();
    ["process_name", "leader", "down", "acknowledged"].iter().for_each(|name| assert!(names.contains(name), "{name}"));
    lab.fails("timeline last --to chart.gif", 2, &["name it .html, .svg, .png or .json"]);

    assert!(lab.ok("timeline").contains("the last 60 s of lab `default`; 3 nodes, 1 fault"));
    assert!(lab.home().join("timeline-default.html").exists());
    lab.ok("stop --purge");
    lab.fails("timeline", 4, &[]);
}

#[test]
fn recorded_messages_are_flows_of_the_trace_and_a_dropped_one_ends_at_its_fault() {
    let lab = Lab::started(3);
    let load = lab.begin("load --rate 100/s --for 5s --record messages --quiet");
    let recorded = |node: u32| {
        let folder = PathBuf::from(lab.json("runs")[0]["folder"].as_str().unwrap_or_default());
        fs::read_to_string(folder.join(format!("logs/n{node}.messages.jsonl"))).unwrap_or_default()
    };
    eventually("n3 records its messages", || !recorded(3).is_empty());
    lab.ok("partition n3 n1,n2");
    eventually("a message is dropped", || (1..=3).any(|node| recorded(node).contains("_dropped")));
    lab.ok("heal");
    assert_eq!(ended(load).code, 0);
    assert_eq!(lab.json("check last")["verdict"], "valid");

    assert!(lab.json("timeline last --to trace.json")["messages"].as_u64() > Some(10));
    let trace: Value = serde_json::from_str(&fs::read_to_string(lab.home().join("trace.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let flows = |phase: &str| events.iter().filter(|event| event["cat"] == "message" && event["ph"] == phase).count();
    assert!(flows("s") > 10 && flows("s") == flows("f"));
    assert!(events.iter().any(|event| event["name"] == "dropped by f1"));
    // Nothing is recorded any more.
    let of_node = |number| lab.home().join(format!("default/nodes/n{number}"));
    assert!((1..=3).all(|number| of_node(number).is_dir() && !of_node(number).join("messages.jsonl").exists()));
}

#[test]
fn what_was_changed_in_a_run_is_never_valid_and_never_speaks_to_the_terminal() {
    let lab = Lab::new();
    lab.ok("run split_brain");
    let runs = lab.json("runs");
    let run = &runs[0];
    assert!(lab.ok("check last").starts_with("verdict   valid\n"));
    edit(run, "scenario.resolved", "expect value all lost none\n", "");
    let checked = lab.run("check last");
    assert_eq!(checked.code, 3, "{checked:#?}");
    assert!(checked.stdout.contains("changed after the run ended: scenario.resolved"), "{checked:#?}");

    edit(run, "manifest.json", "split_brain", r"\u001b[31mred\nverdict   forged");
    for line in ["runs", "runs show last", "check last"] {
        let ran = lab.run(line);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains('\u{1b}') && !said.contains("\nverdict   forged"), "{line}: {said:?}");
    }

    let load = {
        lab.ok("start -n 3");
        let load = lab.json("load --rate 100/s --for 300ms");
        lab.ok("stop --purge");
        load
    };
    edit(&load["run"], "manifest.json", "\"n3\"", "\"n2\"");
    let checked = lab.run("check last");
    assert_eq!(checked.code, 3, "{checked:#?}");
    assert!(checked.stdout.contains("there is a log of n3, which the manifest does not name"), "{checked:#?}");
    fs::write(lab.home().join("red.scenario"), "servers 3\ntitle \u{1b}[31mred\n").unwrap();
    let red = lab.run("run red.scenario");
    assert_eq!(red.code, 2, "{red:#?}");
    assert!(red.stderr.contains("it has a control character") && !red.stderr.contains('\u{1b}'), "{red:#?}");
    // A file beside the one that is written stays.
    fs::write(lab.home().join("report.new"), "precious").unwrap();
    lab.ok("timeline last --to report.html");
    assert_eq!(fs::read_to_string(lab.home().join("report.new")).unwrap(), "precious");
    assert_eq!(lab.run("run split_brain --seeds 0..18446744073709551615").code, 2);
}
