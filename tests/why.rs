//! Why a lab is as it is, asked of real processes.

use raftian_tests::{Lab, Ran, ended, eventually};

/// The lines that a command has to say beside its data.
fn notes(ran: &Ran) -> Vec<&str> {
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.stderr.lines().collect()
}

#[test]
fn a_kill_of_a_majority_says_at_once_that_no_leader_can_come_and_what_brings_one_back() {
    let lab = Lab::started(5);
    let line = "no leader: 2 of 5 nodes run, 3 are needed (n1, n2, n4 killed just now); `raftianctl restart n1`";
    assert_eq!(notes(&lab.run("kill n1,n2,n4 --timeout 1h")), [line]);
    let reason = "no leader: 2 of 5 nodes run, 3 are needed (n1, n2, n4 ";
    assert!(lab.ok("why").starts_with(reason));
    assert!(lab.ok("status").lines().nth(1).is_some_and(|line| line.starts_with(reason)));
    let first = &lab.json("status")["reasons"][0];
    assert_eq!(first["hints"], serde_json::json!([{ "do": "restart", "nodes": ["n1"] }]), "{first}");
    lab.fails("wait leader --timeout 300ms", 124, &[reason, "`raftianctl restart n1`"]);
    lab.fails("attack 3 --timeout 300ms", 124, &[reason, "`raftianctl restart n1`"]);
    assert!(lab.ok("why n4").starts_with("n4 was killed "));
    lab.ok("restart n1");
    lab.ok("wait leader");
    assert!(lab.ok("why leader").contains(" leads term "));
}

#[test]
fn a_paused_majority_is_resumed_and_not_restarted() {
    let lab = Lab::started(5);
    let line = "no leader: 2 of 5 nodes run, 3 are needed (n2, n3, n5 paused just now); `raftianctl resume n2`";
    assert_eq!(notes(&lab.run("pause n2,n3,n5 --timeout 1h")), [line]);
    lab.ok("resume n2");
    lab.ok("wait leader");
    assert!(lab.ok("why n5").starts_with("n5 was paused "));
}

/// Time-outs of many seconds, so that the old leader goes on long enough to be looked at.
#[test]
fn a_leader_in_the_minority_is_told_apart_from_one_that_can_commit() {
    let lab = Lab::new();
    lab.ok("start -n 5 --election-timeout 6000-10000 --heartbeat 100 --no-wait");
    lab.ok("wait leader --timeout 30s");
    let old = lab.leader();
    let partition = lab.begin("partition --shape isolate=@leader");
    eventually("the cut is known", || lab.ok("fault list").contains("f1"));
    let others: Vec<String> = (1..=5).map(|number| format!("n{number}")).filter(|name| *name != old).collect();
    let why = lab.ok(&format!("why {old}"));
    let start = format!("{old} calls itself leader of term 1 but hears no other voter: cut off from ");
    assert!(why.starts_with(&start), "{why}");
    assert!(others.iter().filter(|name| why.contains(name.as_str())).count() >= 2, "{why}");
    let end = "; it cannot commit and steps down within 10 s; `raftianctl fault clear f1`";
    assert!(why.contains(" by f1 since ") && why.lines().next().is_some_and(|line| line.ends_with(end)), "{why}");
    assert!(lab.ok("why no-leader").starts_with(&start));
    assert!(lab.ok("why f1").starts_with("f1: partition "));
    let partition = ended(partition);
    assert_eq!(partition.code, 0, "{partition:#?}");
    lab.ok("heal");
    lab.ok("wait leader");
}

#[test]
fn what_cannot_be_asked_is_wrong_usage() {
    let lab = Lab::started(1);
    lab.fails("why nonsense", 2, &["`nonsense` is no question"]);
    lab.fails("why n9", 2, &["there is no node n9; this lab has n1"]);
    lab.fails("why f9", 2, &["there is no fault f9"]);
    assert!(lab.ok("why").starts_with("all is well: n1 leads term 1, 1 of 1 nodes run"));
}

#[test]
fn events_say_why_a_node_stood_for_election_and_fold_what_repeats_itself() {
    let lab = Lab::started(3);
    let old = lab.leader();
    lab.ok("kill @leader");
    let told = format!("stands for election: no heartbeat of {old} for ");
    assert!(lab.ok("events -n 100").contains(&told), "{}", lab.ok("events -n 100"));
    let second = lab.leader();
    lab.ok("kill @leader --no-wait");
    let alone = (1..=3).map(|number| format!("n{number}")).find(|name| *name != old && *name != second).unwrap();
    // It asks again and again, and nobody answers.
    let folded = format!("{alone} asked for votes ");
    eventually("the attempts are one line", || {
        let events = lab.ok(&format!("events -n 100 --node {alone} --since 1m"));
        events.lines().any(|line| line.contains(&folded) && line.contains(", since kill @leader → "))
    });
    let acted = lab.ok(&format!("events --type acted --node {second}"));
    assert_eq!(acted.lines().count(), 1, "{acted}");
}
