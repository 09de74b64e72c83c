//! Faults inside nodes and of their files, through daemon and shell: each with what must come of it, and what is said.

use raftian_tests::{Lab, eventually, runs, signal};
use rustix::process::Signal;
use serde_json::Value;

fn store(nodes: u16) -> Lab {
    let lab = Lab::new();
    lab.ok(&format!("start -n {nodes} --app kv"));
    lab
}

fn fault(lab: &Lab, id: &str) -> Option<Value> {
    lab.json("fault list").as_array().unwrap().iter().find(|fault| fault["id"] == id).cloned()
}

/// What was seen of a fault, once something was.
fn seen(lab: &Lab, id: &str) -> (String, String) {
    eventually("something is seen of it", || fault(lab, id).is_some_and(|fault| fault["proof"].is_object()));
    let proof = fault(lab, id).unwrap()["proof"].clone();
    (proof["outcome"].as_str().unwrap().to_owned(), proof["seen"][0].as_str().unwrap().to_owned())
}

/// How a fault ended, once it has.
fn end(lab: &Lab, id: &str) -> Value {
    let ended = || {
        let text = lab.ok("-o json events --type fault_ended");
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.map(|event| event["end"].clone()).find(|end| end["id"] == id)
    };
    eventually("it has ended", || ended().is_some());
    ended().unwrap()
}

fn follower(lab: &Lab) -> String {
    let leader = lab.leader();
    ["n1", "n2", "n3"].into_iter().find(|node| *node != leader).unwrap().to_owned()
}

#[test]
fn a_slow_disk_is_measured_and_named_and_is_slow_again_after_the_daemon_was_killed() {
    let lab = store(3);
    let node = follower(&lab);
    lab.ok(&format!("fault add disk {node} slow 80ms"));
    lab.ok("kv set a 1");
    let (outcome, words) = seen(&lab, "f1");
    assert!(outcome == "confirmed" && words.starts_with(&format!("{node}: a sync takes ")), "{words}");
    assert!(words.ends_with(" ms, wanted 80"), "{words}");
    assert!(lab.ok(&format!("why {node}")).contains(&format!("f1: disk {node} slow 80 ms")));
    assert!(lab.ok("why f1").contains("wanted 80 (confirmed)"));
    signal(lab.daemon_pid().unwrap(), Signal::KILL);
    let said = lab.run("start").stderr;
    assert!(said.contains(&format!("f1 is in force again: disk {node} slow 80 ms")), "{said}");
    lab.ok("kv set a 2");
    assert_eq!(seen(&lab, "f1").0, "confirmed");
    assert_eq!(lab.json("heal")["ends"][0]["outcome"], "confirmed");
}

#[test]
fn a_sync_that_fails_ends_its_node_with_one_line_and_the_fault_with_it() {
    let lab = store(3);
    let node = follower(&lab);
    lab.ok(&format!("fault add disk {node} fails"));
    lab.ok("kv set a 1");
    assert_eq!(end(&lab, "f1")["outcome"], "confirmed");
    eventually("the node has failed", || lab.node(&node)["state"] == "failed");
    let reason = lab.node(&node)["reason"]["text"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("could not sync `") && reason.ends_with("check the disk, then restart the node"));
    lab.ok(&format!("restart {node}"));
    lab.ok("wait converged");
    assert_eq!(lab.ok("kv get a").trim(), "1");
}

#[test]
fn a_full_disk_takes_no_snapshot_and_the_cluster_goes_on() {
    let lab = store(3);
    lab.ok("kv set a 1");
    lab.ok("wait converged");
    lab.ok("fault add disk n2 full");
    let ran = lab.run("snapshot n2");
    assert!(ran.code != 0 && ran.stderr.contains("no space left"), "{ran:#?}");
    assert_eq!(seen(&lab, "f1"), ("confirmed".into(), "n2: no room, once".into()));
    lab.ok("kv set a 2");
    lab.ok("heal");
    lab.ok("snapshot n2");
}

#[test]
fn a_leader_whose_sync_never_returns_hands_over_and_why_names_the_fault() {
    let lab = store(3);
    let leader = lab.leader();
    lab.ok("fault add disk @leader hangs");
    lab.ok("kv set a 1");
    let held = format!("{leader}: its disk has not answered for ");
    eventually("why names the fault that holds the disk", || {
        let why = lab.ok("why");
        why.contains(&held) && why.contains("it is held by f1; `raftianctl fault clear f1`")
    });
    eventually("another one leads", || {
        let now = lab.json("status")["leader"].clone();
        now.is_string() && now != leader.as_str()
    });
    assert_eq!(seen(&lab, "f1").0, "confirmed");
    let end = &lab.json("fault clear f1")["ends"][0];
    assert_eq!(end["outcome"], "confirmed", "{end}");
    lab.ok("wait converged");
}

#[test]
fn a_disk_that_lied_loses_what_it_acknowledged_with_the_power_and_its_leader_says_so() {
    let lab = store(3);
    let node = follower(&lab);
    lab.ok(&format!("fault add disk {node} lies"));
    lab.ok("kv set a 1");
    lab.ok("wait converged");
    assert_eq!(seen(&lab, "f1").0, "confirmed");
    let ran = lab.run(&format!("kill {node} --power-loss"));
    assert!(ran.code == 0 && ran.stderr.contains(&format!("{node} lost ")), "{ran:#?}");
    assert!(ran.stderr.contains("that were not synced"), "{ran:#?}");
    lab.ok(&format!("restart {node}"));
    eventually("it is known for an old disk", || lab.node(&node)["rolled_back"].is_u64());
    assert!(lab.ok("status").contains("disk went back in time"));
}

#[test]
fn clocks_are_measured_and_time_outs_go_by_them() {
    let lab = store(3);
    let node = follower(&lab);
    for (what, words) in [
        ("rate 1.5", "its clock runs at 1.50, wanted 1.5"),
        ("jump 2s", "its clock has jumped by 2000 ms, wanted 2000"),
    ] {
        let report = lab.json(&format!("fault add clock {node} {what}"));
        let proof = &report["fault"]["proof"];
        assert_eq!((&proof["outcome"], &proof["seen"][0]), (&"confirmed".into(), &format!("{node}: {words}").into()));
        assert_eq!(lab.json("heal")["ends"][0]["outcome"], "confirmed");
    }
    lab.ok(&format!("fault add clock {node} freeze"));
    let report = lab.run(&format!("fault add clock {node} rate 2"));
    assert!(report.stderr.contains("rates multiply"), "{report:#?}");
    lab.ok("kv set a 1");
    lab.ok("heal");
    lab.ok("wait converged");
    lab.fails(&format!("fault add clock {node} rate 99"), 2, &["from 0.1 to 10"]);
}

#[test]
fn a_leader_crashes_at_the_point_that_was_asked_for_and_that_ends_the_fault() {
    let lab = store(3);
    let leader = lab.leader();
    let index = lab.json("kv set a 1")["index"].as_u64().unwrap();
    let mut command = lab.command("fault add crash --on @leader --at before-sync --when");
    assert!(command.arg(format!("index >= {}", index + 1)).output().unwrap().status.success());
    lab.ok("kv set a 2");
    let ended = end(&lab, "f1");
    assert_eq!(ended["outcome"], "confirmed", "{ended}");
    assert_eq!(lab.node(&leader)["state"], "killed");
    let crashed = format!("f1 is in effect: {leader} crashed at before-sync, index {}", index + 1);
    assert!(lab.ok("events").contains(&crashed), "{}", lab.ok("events"));
    lab.ok(&format!("restart {leader}"));
    lab.ok("wait converged");
    assert_eq!(lab.ok("kv get a").trim(), "2");
}

#[test]
fn damaged_files_are_found_when_the_node_starts_and_a_torn_tail_is_cut() {
    let lab = store(3);
    for key in ["a", "b", "c"] {
        lab.ok(&format!("kv set {key} 1"));
    }
    lab.ok("wait converged");
    lab.fails("disk n2 torn", 1, &["n2 is running, and its files can be damaged only while it is down"]);
    lab.fails("disk n2 burns", 2, &["`burns` is nothing that happens to a disk"]);
    lab.ok("kill n2");
    assert!(lab.ok("disk n2 torn").starts_with("n2: disk torn, in 00000001.wal at byte "));
    let ran = lab.run("restart n2");
    assert!(ran.code == 0 && ran.stderr.contains("n2 cut a torn log tail: cut "), "{ran:#?}");
    lab.ok("wait converged");
    lab.ok("stop n2");
    lab.ok("disk n2 flips entry 2");
    let says = ["n2", "00000001.wal", "where entry 2 was expected", "stored checksum", "computed"];
    lab.fails("restart n2", 1, &says);
    // The others do not need it.
    lab.ok("kv set a 2");
    lab.ok("stop n3");
    lab.ok("disk n3 wiped");
    lab.fails("restart n3", 1, &["n3", "the log in", "is gone"]);
}

#[test]
fn an_old_disk_that_is_put_back_is_seen() {
    let lab = store(3);
    let node = follower(&lab);
    lab.ok("kv set a 1");
    lab.ok("wait converged");
    lab.ok(&format!("stop {node}"));
    lab.ok(&format!("disk {node} kept"));
    lab.ok(&format!("restart {node}"));
    lab.ok("kv set a 2");
    lab.ok("wait converged");
    lab.ok(&format!("stop {node}"));
    lab.ok(&format!("disk {node} put_back"));
    lab.ok(&format!("restart {node}"));
    eventually("it is known for an old disk", || lab.node(&node)["rolled_back"].is_u64());
}

#[test]
fn a_rolling_restart_leaves_a_majority_up_all_the_time() {
    let lab = store(3);
    lab.ok("kv set a 1");
    let before = lab.node_pids();
    let load = lab.begin("-o json load --rate 50 --clients 4 --for 4s");
    let report = lab.json("restart @all --rolling --timeout 30s");
    assert_eq!(report["changed"].as_array().unwrap().len(), 3);
    raftian_tests::assert_valid(&raftian_tests::ended(load));
    eventually("all are other processes", || {
        let now = lab.node_pids();
        now.len() == 3 && before.iter().all(|pid| !now.contains(pid) && !runs(*pid))
    });
    lab.ok("wait converged");
}
