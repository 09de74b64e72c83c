//! Nodes join and leave a running cluster, and the lead is handed over.

use std::fs;

use raftian_tests::{Game, Lab, assert_valid, ended, eventually, runs, signal};
use rustix::process::Signal;
use serde_json::Value;

/// Who takes part, as `member add` and its like report it.
fn voters(report: &Value) -> Vec<&str> {
    report["configuration"]["voters"].as_array().unwrap().iter().map(|node| node.as_str().unwrap()).collect()
}

fn standing(lab: &Lab, node: &str) -> Value {
    lab.node(node)["standing"].clone()
}

#[test]
fn the_membership_changes_ten_times_under_load_and_every_promise_is_kept() {
    let lab = Lab::started(3);
    let load = lab.begin("-o json load --rate 200 --clients 8 --for 10s");
    lab.ok("wait commit>=50");
    // Each round a new one comes and the oldest goes, be it the leader or not.
    for round in 1..=5 {
        let (new, old) = (format!("n{}", round + 3), format!("n{round}"));
        let added = lab.json(&format!("member add {new}"));
        assert_eq!((added["changed"].as_bool(), voters(&added).len()), (Some(true), 4), "{added}");
        let removed = lab.json(&format!("member remove {old}"));
        assert_eq!((removed["changed"].as_bool(), voters(&removed).len()), (Some(true), 3), "{removed}");
    }
    assert_valid(&ended(load));
    lab.ok("wait converged");
    let nodes: Vec<Value> = lab.nodes().iter().map(|node| node["node"].clone()).collect();
    assert_eq!(nodes, ["n6", "n7", "n8"]);
}

#[test]
fn a_leader_killed_while_a_node_joins_does_not_keep_it_out() {
    let lab = Lab::started(3);
    let load = lab.begin("-o json load --rate 100 --clients 4 --for 5s");
    lab.ok("wait commit>=50");
    let killed = lab.leader();
    let add = lab.begin("-o json member add n4");
    lab.ok("kill @leader");
    let add = ended(add);
    assert_eq!(add.code, 0, "{add:#?}");
    assert_eq!(standing(&lab, "n4"), "voter");
    lab.ok(&format!("restart {killed}"));
    assert_valid(&ended(load));
    lab.ok("wait converged");
}

#[test]
fn a_removed_leader_is_followed_by_another_and_its_name_can_be_used_again() {
    let lab = Lab::started(3);
    lab.ok("attack 1");
    let old = lab.leader();
    let pid = i32::try_from(lab.node(&old)["usage"]["pid"].as_i64().unwrap()).unwrap();
    let removed = lab.json("member remove @leader");
    assert_eq!(removed["node"], old.as_str(), "{removed}");
    assert_ne!(removed["leader"]["leader"], old.as_str(), "{removed}");
    assert!(!runs(pid), "its process is gone");
    assert!(!lab.folder().join("nodes").join(&old).exists(), "and so is its folder");
    // Two voters are left, so neither may fail.
    let again = lab.json(&format!("member remove {old}"));
    assert_eq!((again["changed"].as_bool(), voters(&again).len()), (Some(false), 2), "{again}");
    lab.ok("attack 1");
    let added = lab.json(&format!("member add {old}"));
    let new = format!("{old}.2");
    assert_eq!(added["node"], new.as_str(), "another node of that name: {added}");
    assert_eq!(lab.json(&format!("member add {old}"))["changed"], false);
    lab.ok("wait converged");
    assert_eq!(lab.node(&new)["server"]["state"]["players"][0]["hp"], 40);
    let events = lab.ok("events -n 200");
    for line in [&format!("member remove {old}"), &format!("member add {old}")] {
        assert!(events.contains(line.as_str()), "{events}");
    }
}

#[test]
fn a_wiped_disk_keeps_its_node_out_until_it_is_removed_and_added_again() {
    let lab = Lab::started(3);
    lab.ok("attack 1");
    lab.ok("wait converged");
    lab.ok("stop n3");
    fs::remove_dir_all(lab.folder().join("nodes/n3/wal")).unwrap();
    lab.fails("restart n3", 1, &["n3", "is gone", "raftianctl member remove n3 && raftianctl member add n3"]);
    lab.ok("member remove n3");
    lab.ok("member add n3");
    lab.ok("wait converged");
    assert_eq!(lab.node("n3.2")["server"]["state"]["players"][0]["hp"], 70);
    assert_eq!(standing(&lab, "n3.2"), "voter");
}

#[test]
fn a_stopped_lab_comes_back_with_exactly_its_members() {
    let lab = Lab::started(3);
    lab.ok("member add n4");
    lab.ok("member add n5 --learner");
    lab.ok("member remove n1");
    lab.ok("attack 2");
    lab.ok("stop");
    let report = lab.json("start");
    assert_eq!(report["nodes"], serde_json::json!(["n2", "n3", "n4", "n5"]), "{report}");
    lab.ok("wait converged");
    let standings: Vec<Value> = lab.nodes().iter().map(|node| node["standing"].clone()).collect();
    assert_eq!(standings, ["voter", "voter", "voter", "learner"]);
    assert!(lab.ok("status").contains(" learner "), "{}", lab.ok("status"));
    assert!(lab.nodes().iter().all(|node| node["server"]["state"]["players"][1]["hp"] == 70));
    // Not so many as it began with, but as it has.
    lab.ok("start -n 4");
    for asked in [3, 5] {
        let now = format!("4 nodes now (n2,n3,n4,n5; it began with 3), not {asked}");
        lab.fails(&format!("start -n {asked}"), 1, &[&now, "members are added and removed"]);
    }
}

#[test]
fn a_member_without_a_node_is_shown_and_can_be_removed() {
    let lab = Lab::started(3);
    lab.ok("attack 1");
    lab.ok("wait converged");
    lab.ok("stop");
    // Somebody has put back a file that does not know n3.
    let file = lab.folder().join("lab.json");
    let mut saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    saved["nodes"].as_object_mut().unwrap().remove("n3").unwrap();
    fs::write(&file, saved.to_string()).unwrap();
    lab.ok("start");
    let status = lab.ok("status");
    assert!(status.contains("n3 votes, but this lab has no such node; `raftianctl member remove n3`"), "{status}");
    lab.fails("member add n3", 1, &["n3 is a voter", "`raftianctl member remove n3`"]);
    let removed = lab.json("member remove n3");
    assert_eq!((removed["changed"].as_bool(), voters(&removed)), (Some(true), vec!["n1", "n2"]), "{removed}");
    assert!(!lab.ok("status").contains("n3"));
    lab.ok("member add n3");
    lab.ok("wait converged");
    assert_eq!(lab.node("n3.2")["server"]["state"]["players"][0]["hp"], 70);
}

#[test]
fn the_only_voter_is_told_by_its_name() {
    let lab = Lab::started(2);
    let removed = lab.run("member remove n2");
    assert!(removed.stderr.contains("n1 is the only voter: the cluster stops when it fails"), "{removed:#?}");
    lab.fails("start -n 2", 1, &["1 node now (n1; it began with 2), not 2"]);
    let killed = lab.run("kill @leader");
    let hint = "no leader: n1 is the only voter and was killed just now; `raftianctl restart n1`";
    assert!(killed.code == 0 && killed.stderr.contains(hint), "{killed:#?}");
    lab.fails("wait leader --timeout 1s", 124, &["n1 is the only voter and was killed"]);
}

#[test]
fn learners_have_no_vote_and_count_for_nothing() {
    let lab = Lab::started(3);
    lab.ok("member add n4 --learner");
    lab.ok("member add n5 --learner");
    lab.ok("kill n1");
    let killed = lab.run("kill n2");
    assert_eq!(killed.code, 0, "{killed:#?}");
    assert!(killed.stderr.contains("no leader: 1 of 3 voters run, 2 are needed ("), "{killed:#?}");
    lab.fails("wait leader --timeout 1s", 124, &["1 of 3 voters run, 2 are needed"]);
    lab.fails("member promote n4 --timeout 5s", 1, &["this takes a leader, and there can be none: 1 of 3 voters run"]);
    lab.ok("start");
    lab.fails("transfer-leader n4", 1, &["n4 has no vote", "raftianctl member promote n4"]);
    lab.ok("member promote n4");
    lab.ok("transfer-leader n4");
    assert_eq!(lab.leader(), "n4");
    let majority = lab.json("kill @majority --no-wait");
    assert_eq!(majority["changed"].as_array().unwrap().len(), 3, "{majority}");
    assert!(!majority["changed"].as_array().unwrap().contains(&"n5".into()), "{majority}");
}

#[test]
fn a_change_that_cannot_be_is_refused_and_one_that_takes_too_long_says_why() {
    let lab = Lab::started(1);
    lab.fails("member remove n1", 1, &["n1 is the last voter"]);
    lab.fails("member remove n9", 2, &["there is no node n9", "n1"]);
    lab.fails("member promote n9", 2, &["there is no node n9", "raftianctl member add n9"]);
    for name in ["4", "n0", "n6-7", "n70000", "@any"] {
        let why = format!("`{name}` is not a node name; nodes are n1, n2, … n65535");
        lab.fails(&format!("member add {name}"), 2, &[&why]);
    }
    lab.fails("transfer-leader @all,n9", 2, &["n9"]);
    assert_eq!(lab.json("member add n1")["changed"], false);
    assert_eq!(lab.json("transfer-leader n1")["changed"], false);
    lab.ok("member add n2 --learner");
    lab.fails("member add n1 --learner", 1, &["n1 is a voter", "member remove n1"]);
    lab.fails("transfer-leader @all", 2, &["names n1,n2", "one node"]);
    // With a vote for a learner that is cut off, the cluster would stand still.
    lab.ok("partition n1 n2");
    let why = ["the link between n1 and n2 is cut", "n2 is a learner now", "`raftianctl member promote n2`"];
    lab.fails("member promote n2 --timeout 1s", 124, &why);
    lab.ok("attack 1");
    lab.ok("heal");
    lab.ok("member promote n2");
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_change_leaves_one_that_the_next_start_tells_of() {
    let lab = Lab::started(1);
    lab.ok("member add n2 --learner");
    lab.ok("partition n1 n2");
    let promote = lab.begin("member promote n2 --timeout 20s");
    eventually("the change has begun", || lab.ok("events -n 100").contains("member promote n2"));
    eventually("it is written down", || {
        fs::read_to_string(lab.folder().join("lab.json")).unwrap().contains("\"promote\"")
    });
    signal(lab.daemon_pid().unwrap(), Signal::KILL);
    assert_eq!(ended(promote).code, 4);
    let start = lab.run("start");
    assert_eq!(start.code, 0, "{start:#?}");
    assert!(start.stderr.contains("n2 was being promoted"), "{start:#?}");
    assert!(start.stderr.contains("f1 is in force again"), "{start:#?}");
    lab.ok("heal");
    lab.ok("member promote n2");
    assert_eq!(standing(&lab, "n2"), "voter");
}

#[test]
fn a_node_of_whose_joining_no_leader_has_heard_is_gone_after_the_next_start() {
    let lab = Lab::started(1);
    lab.ok("attack 1");
    lab.ok("stop");
    // As the daemon leaves it when it dies between spawning the node and telling the leader.
    let file = lab.folder().join("lab.json");
    let mut saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    saved["nodes"]["n2"] =
        serde_json::json!({ "port": 0, "was_ready": false, "starts": 1, "joined": true, "process": null });
    saved["members"]["open"]["n2"] = "add".into();
    fs::write(&file, saved.to_string()).unwrap();
    let start = lab.run("start");
    assert_eq!(start.code, 0, "{start:#?}");
    assert!(start.stderr.contains("n2 was being added") && start.stderr.contains("it is gone again"), "{start:#?}");
    assert_eq!(lab.nodes().len(), 1);
    assert!(!lab.folder().join("nodes/n2").exists());
    lab.ok("member add n2");
    lab.ok("wait converged");
}

#[test]
fn the_lead_is_handed_over_under_load_and_nothing_is_lost() {
    let lab = Lab::started(3);
    let load = lab.begin("-o json load --rate 200 --clients 8 --for 5s");
    lab.ok("wait commit>=50");
    for _ in 0..2 {
        for to in ["n1", "n2", "n3"] {
            let report = lab.json(&format!("transfer-leader {to}"));
            assert_eq!(report["leader"]["leader"], to, "{report}");
        }
    }
    assert_valid(&ended(load));
    let events = lab.ok("events -n 200");
    assert!(events.contains("transfer-leader n2") && events.contains("transfers leadership to n2"), "{events}");
    lab.ok("kill n1");
    lab.ok("wait leader");
    lab.fails("transfer-leader n1", 1, &["n1 is killed", "raftianctl restart n1"]);
}

#[test]
fn a_player_joins_and_leaves_with_its_node() {
    let lab = Lab::started_beside(3, Game::Thread);
    let load = lab.begin("-o json load --rate 100 --clients 4 --for 4s");
    lab.ok("wait commit>=20");
    let players = || -> Vec<u64> {
        lab.ok("wait converged");
        let state = lab.nodes()[0]["server"]["state"]["players"].clone();
        state.as_array().unwrap().iter().map(|player| player["player"].as_u64().unwrap()).collect()
    };
    let added = lab.run("member add n4");
    assert!(added.code == 0 && added.stderr.contains("player 4 joins with n4"), "{added:#?}");
    assert_valid(&ended(load));
    assert!(players().contains(&4));
    eventually("its game has said how it does", || {
        lab.node("n4")["server"]["game"]["fps"].as_f64().is_some_and(|fps| fps > 0.0)
    });
    let removed = lab.run("member remove n4");
    assert!(removed.code == 0 && removed.stderr.contains("player 4 leaves with n4"), "{removed:#?}");
    assert!(!players().contains(&4));
}

/// The votes of nodes that began anew under the names of others do not elect a leader who knows only those: two leaders
/// would acknowledge, and one of two writes would be lost.
#[test]
fn a_node_whose_configuration_is_old_does_not_win_with_the_votes_of_others_that_have_the_names_it_knows() {
    let lab = Lab::new();
    lab.ok("start -n 7 --app kv");
    lab.ok("transfer-leader n1");
    lab.ok("partition n3 n1,n6,n7");
    for (name, fault) in [("n2", "f2"), ("n4", "f3"), ("n5", "f4")] {
        lab.ok(&format!("partition {name} n1,n6,n7"));
        let removed = lab.run(&format!("member remove {name}"));
        assert!(
            removed.code == 0 && removed.stderr.contains(&format!("{fault} stays in force for the name {name}")),
            "{removed:#?}"
        );
    }
    for name in ["n2", "n4", "n5"] {
        let added = lab.json(&format!("member add {name} --learner"));
        assert_eq!(added["node"], format!("{name}.2"), "{added}");
    }
    lab.ok("partition n2 n6");
    let faults = lab.ok("fault list");
    assert!(faults.contains("f5  partition n2 | n6 ") && !faults.contains("n2.2"), "links are between names: {faults}");
    // They hear n3 and not the leader, and n3 needs four votes of the seven that it knows.
    eventually("n3 asks for votes", || lab.node("n3")["server"]["role"] == "pre_candidate");
    lab.ok("kv set a majority --as n6");
    let refused = lab.run("kv set a minority --as n3");
    assert_ne!(refused.code, 0, "{refused:#?}");
    assert_ne!(lab.node("n3")["server"]["role"], "leader");
    lab.ok("heal");
    lab.ok("wait converged");
    assert_eq!(lab.ok("kv get a").trim(), "majority");
    // A bare name is that of the node that has it now.
    assert_eq!(lab.json("member promote n2")["node"], "n2.2");
    assert_eq!(lab.json("member remove n2")["node"], "n2.2");
    // What the end of a daemon has left of it goes when it is asked for again.
    let left = lab.folder().join("nodes/n2.2");
    fs::create_dir_all(&left).unwrap();
    assert_eq!(lab.json("member remove n2")["changed"], false);
    assert!(!left.exists());
    fs::create_dir_all(&left).unwrap();
    lab.ok("start");
    assert!(!left.exists(), "or when the lab starts");
    assert_eq!(lab.json("member add n2")["node"], "n2.3");
    lab.fails("member add n2.2", 2, &["n2.2 was removed", "`raftianctl member add n2`"]);
}
