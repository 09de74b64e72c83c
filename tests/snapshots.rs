//! Snapshots in place of the log, on demand and by size.

use std::fs;

use raftian_tests::{Lab, assert_valid, ended};
use serde_json::Value;

fn snapshot_index(node: &Value) -> u64 {
    node["server"]["snapshot_index"].as_u64().unwrap()
}

#[test]
fn a_load_with_compaction_by_size_is_judged_to_its_first_entry() {
    let lab = Lab::new();
    lab.ok("start -n 3 --snapshot-bytes 32KiB");
    let load = lab.begin("-o json load --rate 1000 --clients 16 --for 6s");
    lab.ok("wait commit>=3000");
    // One that misses what the others discard.
    lab.ok("kill @leader");
    lab.ok("restart @all");
    let load = ended(load);
    assert_valid(&load);
    lab.ok("wait converged");
    for node in lab.nodes() {
        assert!(snapshot_index(&node) > 1000, "{node}");
    }
}

#[test]
fn snapshots_on_demand_discard_the_log_and_a_new_node_starts_from_one() {
    let lab = Lab::started(3);
    for player in [1, 1, 2] {
        lab.ok(&format!("attack {player}"));
    }
    lab.ok("wait converged");
    let report = lab.json("snapshot");
    let taken = report["taken"].as_array().unwrap();
    assert_eq!((taken.len(), report["refused"].as_object().unwrap().len()), (3, 0), "{report}");
    assert!(taken.iter().all(|one| one["discarded"].as_u64().unwrap() >= 4), "{report}");
    let again = lab.json("snapshot");
    assert_eq!((again["taken"].as_array().unwrap().len(), again["refused"].as_object().unwrap().len()), (0, 3));
    let index = taken[0]["last_index"].as_u64().unwrap();
    let log = lab.ok("log");
    assert!(log.contains(&format!("snapshot  up to {index}")), "{log}");
    assert!(lab.ok("status").contains(" SNAPSHOT "));
    let added = lab.run("member add n4");
    assert_eq!(added.code, 0, "{added:#?}");
    assert!(added.stderr.contains("n4 began from a snapshot"), "{added:#?}");
    lab.ok("attack 2");
    lab.ok("wait converged");
    let log = lab.ok("log n4");
    assert!(log.contains(&format!("snapshot up to {index}")) && log.contains("voters n1,n2,n3 + learner n4"), "{log}");
    assert_eq!(lab.node("n4")["server"]["state"]["players"][0]["hp"], 40);
    assert!(lab.ok("events -n 200").contains("n4 installs the snapshot at index"));
}

#[test]
fn the_whole_lab_restarts_from_its_snapshots_and_what_came_after() {
    let lab = Lab::started(3);
    lab.ok("attack 1");
    lab.ok("wait converged");
    lab.ok("snapshot");
    lab.ok("attack 1");
    lab.ok("wait converged");
    let before = lab.node("n2")["server"].clone();
    lab.ok("kill @all");
    lab.ok("start");
    lab.ok("wait converged");
    for node in lab.nodes() {
        assert_eq!(node["server"]["state"]["players"][0]["hp"], 40, "{node}");
        assert_eq!(node["server"]["snapshot_index"], before["snapshot_index"], "{node}");
    }
    lab.ok("attack 1");
    lab.ok("wait converged");
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][0]["hp"], 10);
}

#[test]
fn snapshots_members_and_the_lead_change_under_one_load() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    let load = lab.begin("-o json load --rate 300 --clients 8 --keys 5 --for 8s");
    lab.ok("wait commit>=200");
    lab.ok("snapshot --keep 1000");
    lab.ok("member add n4");
    lab.ok("transfer-leader n4");
    lab.ok("snapshot --keep 1000");
    lab.ok("member remove n1");
    lab.ok("member add n1");
    assert_valid(&ended(load));
}

#[test]
fn a_load_that_begins_after_a_snapshot_is_judged_from_there() {
    for app in ["attack", "kv"] {
        let lab = Lab::new();
        lab.ok(&format!("start -n 3 --app {app}"));
        assert_valid(&lab.run("-o json load --rate 200 --for 1s"));
        lab.ok("snapshot");
        let load = lab.run("-o json load --rate 200 --for 1s");
        assert_valid(&load);
        // One more, whose beginning is not where the snapshot is.
        assert_valid(&lab.run("-o json load --rate 200 --for 1s"));
    }
}

#[test]
fn a_load_that_begins_after_a_large_snapshot_is_judged_from_there_and_a_new_node_starts_from_it() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    fs::write(lab.home().join("value"), "large ".repeat(100_000)).unwrap();
    for key in 1..=3 {
        lab.ok(&format!("kv set k{key} --file value"));
    }
    let taken = lab.json("snapshot")["taken"].clone();
    assert!(taken[0]["bytes"].as_u64().unwrap() < 100_000, "it is compact: {taken}");
    // What is committed while the new node restores the state has to wait for it there.
    let load = lab.begin("-o json load --rate 500 --clients 16 --for 3s");
    lab.ok("wait commit>=50");
    lab.ok("member add n4");
    assert_valid(&ended(load));
    lab.ok("wait converged");
    assert!(lab.ok("events -n 200").contains("n4 installs the snapshot at index"));
    assert_eq!(lab.node("n4")["server"]["digest"], lab.node("n1")["server"]["digest"]);
}

#[test]
fn a_node_that_cannot_take_a_snapshot_is_named() {
    let lab = Lab::started(3);
    lab.ok("attack 1");
    lab.ok("wait converged");
    lab.ok("kill n3");
    lab.ok("wait leader");
    let report = lab.json("snapshot");
    assert_eq!(report["taken"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["refused"]["n3"], "killed", "{report}");
    lab.fails("snapshot n3", 1, &["n3 is killed", "raftianctl restart n3"]);
    lab.fails("snapshot n9", 2, &["n9"]);
    lab.fails("start --snapshot-bytes 3potatoes", 2, &["is not a size"]);
    lab.fails("start --snapshot-bytes 1MB", 1, &["snapshots after 67108864 bytes of log, not after 1000000"]);
}
