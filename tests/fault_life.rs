//! The life of a fault: set up, injected, seen to be in effect, lifted, seen to be gone; and over a restart of the daemon.

use raftian_tests::{Lab, eventually, runs, signal};
use rustix::process::Signal;
use serde_json::Value;

/// The events of a type about a fault, as the journal has them.
fn events(lab: &Lab, kind: &str, id: &str) -> Vec<Value> {
    let text = lab.ok(&format!("-o json events --type {kind}"));
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    all.filter(|event| event["id"] == id || event["end"]["id"] == id || event["fault"]["id"] == id).collect()
}

fn fault(lab: &Lab, id: &str) -> Option<Value> {
    lab.json("fault list").as_array().unwrap().iter().find(|fault| fault["id"] == id).cloned()
}

/// What was seen of a fault, once something was.
fn proof(lab: &Lab, id: &str) -> Value {
    eventually("something is seen of it", || fault(lab, id).is_some_and(|fault| fault["proof"].is_object()));
    fault(lab, id).unwrap()["proof"].clone()
}

#[test]
fn a_partition_is_seen_by_probes_to_be_in_effect_and_then_to_be_gone() {
    let lab = Lab::started(5);
    let report = lab.json("partition n1,n2 n3,n4,n5");
    let proof = &report["fault"]["proof"];
    assert_eq!((&proof["outcome"], &proof["seen"][0]), (&"confirmed".into(), &"12 links: 60 of 60 probes lost".into()));
    assert_eq!(report["fault"]["injected"], true);
    let cleared = lab.json("heal");
    let end = &cleared["ends"][0];
    assert_ne!(end["outcome"], "mismatch", "{cleared}");
    assert!(end["gone"]["seen"][0].as_str().unwrap().starts_with("12 links: 0 of 60 probes lost"), "{cleared}");
    let kinds = ["fault_added", "fault_seen", "fault_cleared", "fault_ended"];
    let times: Vec<u64> = kinds.map(|kind| events(&lab, kind, "f1")[0]["at_ns"].as_u64().unwrap()).into();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_delay_a_loss_and_a_copy_are_measured() {
    let lab = Lab::started(3);
    let report = lab.json("fault add latency --from n1 --to n2 --one-way 50ms");
    let proof = &report["fault"]["proof"];
    // A busy machine makes a look inconclusive, and never a mismatch.
    assert_ne!(proof["outcome"], "mismatch", "{report}");
    let seen = proof["seen"][0].as_str().unwrap();
    assert!(seen.starts_with("n1→n2: ") && seen.ends_with(" ms, wanted 50"), "{seen}");
    let report = lab.json("fault add drop --from n1 --to n3 30%");
    assert_ne!(report["fault"]["proof"]["outcome"], "mismatch", "{report}");
    let report = lab.json("fault add duplicate --from n2 --to n3 40%");
    assert_ne!(report["fault"]["proof"]["outcome"], "mismatch", "{report}");
    let seen = report["fault"]["proof"]["seen"][0].as_str().unwrap();
    assert!(seen.contains("came twice, wanted 40 %"), "{seen}");
    // Nothing can be seen of a delay behind a cut.
    lab.ok("partition n2 n3");
    let report = lab.json("fault add latency --from n2 --to n3 30ms");
    assert_eq!(report["fault"]["proof"]["outcome"], "inconclusive", "{report}");
    let note = report["notes"][0]["text"].as_str().unwrap();
    assert!(note.starts_with("f3 (") && note.contains("a cut hides the others"), "{note}");
}

#[test]
fn a_fault_on_a_node_that_is_down_is_seen_when_it_starts_and_one_on_no_node_is_refused() {
    let lab = Lab::started(3);
    lab.ok("kill n3");
    let ran = lab.run("partition n3 n1,n2");
    assert!(ran.stdout.contains("not seen yet"), "{ran:#?}");
    assert!(ran.stderr.contains("in effect in n3 only later"), "{ran:#?}");
    assert!(fault(&lab, "f1").unwrap()["proof"].is_null());
    lab.ok("restart n3");
    assert_eq!(proof(&lab, "f1")["outcome"], "confirmed");
    lab.fails("fault add latency --from n1 --to n9 5ms", 2, &["there is no node n9; this lab has n1,n2,n3"]);
    lab.fails("fault add disk n9 full", 2, &["there is no node n9; this lab has n1,n2,n3"]);
}

#[test]
fn faults_outlive_a_daemon_that_is_killed_with_their_ids() {
    let lab = Lab::started(3);
    lab.ok("partition n1 n2,n3");
    lab.ok("fault add latency --from n2 --to n3 20ms");
    lab.ok("fault clear f2");
    lab.ok("fault add latency --from n2 --to n3 5ms --for 100ms");
    let (daemon, nodes) = (lab.daemon_pid().unwrap(), lab.node_pids());
    signal(daemon, Signal::KILL);
    eventually("its nodes have ended with it", || !runs(daemon) && nodes.iter().all(|pid| !runs(*pid)));
    let ran = lab.run("start");
    assert_eq!(ran.code, 0, "{ran:#?}");
    let said = "f1 is in force again: partition n1 | n2,n3 (4 links: 20 of 20 probes lost)";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("raftianctl fault clear f1"), "{ran:#?}");
    eventually("the fault with a time has expired", || fault(&lab, "f3").is_none());
    assert_ne!(lab.leader(), "n1");
    assert_eq!(lab.json("fault add drop --from n2 --to n3 5%")["fault"]["id"], "f4");
    lab.ok("heal");
    lab.ok("wait converged");
    // A lab that is stopped in order has no faults when it starts again.
    lab.ok("partition n1 n2,n3");
    lab.ok("stop");
    let ran = lab.run("start");
    assert!(ran.code == 0 && !ran.stderr.contains("in force again"), "{ran:#?}");
    assert_eq!(lab.json("fault list").as_array().unwrap().len(), 0);
    assert_eq!(lab.json("partition n1 n2,n3")["fault"]["id"], "f6");
}

#[test]
fn a_network_by_name_is_one_fault_with_delays_of_its_own_on_each_link() {
    let lab = Lab::new();
    lab.ok("start -n 3 --pace classroom");
    let report = lab.json("fault add profile geo");
    let title = report["fault"]["title"].as_str().unwrap();
    assert_eq!(title, "profile geo (n1 Washington DC, n2 Frankfurt, n3 Tokyo)");
    assert_ne!(report["fault"]["proof"]["outcome"], "mismatch", "{report}");
    assert_eq!(report["fault"]["proof"]["seen"].as_array().unwrap().len(), 3, "{report}");
    lab.ok("attack 1");
    assert_eq!(lab.json("heal")["cleared"].as_array().unwrap().len(), 1);
    lab.fails("fault add profile moon", 2, &["`moon` is no network; they are lan, wifi, wan, geo"]);
}
