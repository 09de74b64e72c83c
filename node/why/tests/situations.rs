//! What is said of situations that a person meets, word for word.

mod stage;

use raftian_rpc::control::Standing;
use raftian_rpc::faults::Effect;
use raftian_rpc::host_event::{HostEvent, Refusal};
use raftian_rpc::lab::{Action, Difference, Divergence, Happening, NodeReport, NodeState};
use raftian_rpc::{Configuration, RaftEvent, RoleKind};
use stage::{Stage, n, set};

/// Nothing is wrong any more, as far as n1 can tell: it lost its lead, and its status says so.
fn deposed(stage: &mut Stage) {
    stage.status.leader = None;
    let old = stage.server(1);
    (old.role, old.leader) = (RoleKind::Follower, None);
}

#[test]
fn all_is_well() {
    let stage = Stage::healthy(5);
    assert_eq!(stage.why("now"), ["all is well: n1 leads term 1, 5 of 5 nodes run"]);
    assert_eq!(stage.why("no-leader"), ["n1 leads term 1 for 99 s: n2, n3 voted for it"]);
    assert_eq!(
        stage.why("slow"),
        ["nothing delays commands: n1 leads term 1, every disk syncs within 0.9 ms, no fault delays a message"]
    );
}

#[test]
fn a_killed_majority() {
    let mut stage = Stage::healthy(5);
    stage.act(88_000, Action::Kill, "n1,n2,n4", &[1, 2, 4]);
    let restart = r#"[{"do":"restart","nodes":["n1"]}]"#;
    let line = "no leader: 2 of 5 nodes run, 3 are needed (n1, n2, n4 were killed 12 s ago)";
    assert_eq!(stage.why("now"), [format!("{line} → {restart}")]);
    assert_eq!(stage.why("no-leader"), stage.why("now"));
    let mut fresh = Stage::healthy(5);
    fresh.act(99_980, Action::Kill, "n1,n2,n4", &[1, 2, 4]);
    let line = "no leader: 2 of 5 nodes run, 3 are needed (n1, n2, n4 killed just now)";
    assert_eq!(fresh.why("now"), [format!("{line} → {restart}")]);
}

#[test]
fn a_paused_majority_and_a_mixed_one() {
    let mut stage = Stage::healthy(5);
    stage.act(97_000, Action::Pause, "n1-3", &[1, 2, 3]);
    let resume = r#"[{"do":"resume","nodes":["n1"]}]"#;
    let line = "no leader: 2 of 5 nodes run, 3 are needed (n1–n3 were paused 3 s ago)";
    assert_eq!(stage.why("now"), [format!("{line} → {resume}")]);
    stage.act(99_900, Action::Kill, "n5", &[5]);
    let resume = r#"[{"do":"resume","nodes":["n1","n2"]}]"#;
    let line = "no leader: 1 of 5 nodes run, 3 are needed (n1–n3 were paused 3 s ago, n5 killed just now)";
    assert_eq!(stage.why("now"), [format!("{line} → {resume}")]);
}

#[test]
fn a_stale_leader_in_the_minority() {
    let mut stage = Stage::healthy(5);
    (0..2).for_each(|_| stage.fault(0, None, "x".into(), Effect::latency(1.0, 0.0).unwrap(), vec![]));
    stage.cut(87_600, &[4, 5], &[1, 2, 3]);
    stage.status.faults.drain(..2);
    deposed(&mut stage);
    stage.server(5).role = RoleKind::Leader;
    let stale = "n5 calls itself leader of term 1 but hears only n4: cut off from n1–n3 by f3 since 12.4 s; it cannot commit \
                 and steps down within 300 ms";
    let clear = r#"[{"do":"clear_fault","id":"f3"}]"#;
    assert_eq!(stage.why("n5")[0], format!("{stale} → {clear}"));
    assert_eq!(stage.why("no-leader")[0], format!("{stale} → {clear}"));
    assert_eq!(stage.why("now")[0], format!("{stale} → {clear}"));
    // Another one leads already.
    stage.status.leader = Some(n(2));
    (stage.server(2).role, stage.server(2).term, stage.status.term) = (RoleKind::Leader, 2, 2);
    stage.role(88_000, 2, RoleKind::Leader, 2);
    assert_eq!(stage.why("leader"), ["n2 leads term 2 for 12 s".to_owned(), format!("{stale} → {clear}")]);
}

#[test]
fn links_cut_so_that_no_side_has_a_majority() {
    let mut stage = Stage::healthy(5);
    stage.cut(98_500, &[1, 2], &[3, 4, 5]);
    stage.cut(98_700, &[3], &[4, 5]);
    deposed(&mut stage);
    assert_eq!(
        stage.why("no-leader"),
        [
            "no leader: 5 of 5 nodes run, but none of them reaches 3 (f1: partition n1,n2 | n3,n4,n5, for 1.5 s; f2: partition \
          n3 | n4,n5, for 1.3 s) → [{\"do\":\"heal\"}]"
        ]
    );
}

#[test]
fn a_link_of_the_leader_is_cut_and_it_leads_on() {
    let mut stage = Stage::healthy(5);
    stage.cut(98_000, &[1], &[3]);
    let cut = "f1: partition n1 | n3 for 2 s, until cleared: it is on links of the leader → \
               [{\"do\":\"clear_fault\",\"id\":\"f1\"}]";
    assert_eq!(stage.why("slow"), [cut]);
    assert_eq!(stage.why("leader").last().map(String::as_str), Some(cut));
}

#[test]
fn an_election_under_way() {
    let mut stage = Stage::healthy(5);
    stage.act(98_800, Action::Kill, "@leader", &[1]);
    assert_eq!(
        stage.why("no-leader"),
        ["no leader for 1.2 s: n1, which led term 1, was killed; an election begins within 300 ms"]
    );
    stage.server(3).role = RoleKind::Candidate;
    stage.server(3).term = 2;
    stage.role(99_000, 3, RoleKind::Candidate, 2);
    assert_eq!(
        stage.why("no-leader"),
        ["no leader for 1.2 s: n1, which led term 1, was killed; n3 asks for votes in term 2"]
    );
    (3..9).for_each(|term| stage.role(99_100, 3, RoleKind::Candidate, term));
    stage.server(3).term = 8;
    assert_eq!(
        stage.why("no-leader"),
        [
            "no leader for 1.2 s: n1, which led term 1, was killed; n3 asks for votes in term 8, the last of 7 attempts up to \
          term 8"
        ]
    );
}

#[test]
fn why_this_one_leads() {
    let mut stage = Stage::healthy(5);
    stage.act(88_000, Action::Kill, "@leader", &[1]);
    stage.raft(88_200, 3, RaftEvent::Voted { term: 2, candidate: n(4) });
    stage.raft(88_201, 5, RaftEvent::Voted { term: 2, candidate: n(4) });
    stage.raft(88_199, 4, RaftEvent::Voted { term: 2, candidate: n(4) });
    stage.role(88_212, 4, RoleKind::Leader, 2);
    (stage.status.leader, stage.status.term) = (Some(n(4)), 2);
    (stage.server(4).role, stage.server(4).term) = (RoleKind::Leader, 2);
    assert_eq!(
        stage.why("leader"),
        ["n4 leads term 2 for 11.8 s: n3, n5 voted for it, 212 ms after n1, which led term 1, was killed"]
    );
    stage.raft(95_000, 4, RaftEvent::TransferStarted { to: n(2) });
    stage.role(95_010, 2, RoleKind::Leader, 3);
    (stage.status.leader, stage.status.term) = (Some(n(2)), 3);
    (stage.server(2).role, stage.server(2).term, stage.server(4).role) = (RoleKind::Leader, 3, RoleKind::Follower);
    assert_eq!(stage.why("leader"), ["n2 leads term 3 for 5 s: n4 handed the lead over to it"]);
}

#[test]
fn a_minority_that_is_down() {
    let mut stage = Stage::healthy(5);
    stage.act(88_000, Action::Kill, "n3", &[3]);
    let restart = r#"[{"do":"restart","nodes":["n3"]}]"#;
    assert_eq!(stage.why("now"), [format!("n1 leads term 1, 4 of 5 nodes run (n3 was killed 12 s ago) → {restart}")]);
    assert_eq!(stage.why("n3"), [format!("n3 was killed 12 s ago → {restart}")]);
    stage.act(99_500, Action::Pause, "@any", &[5]);
    let resume = r#"[{"do":"resume","nodes":["n5"]}]"#;
    assert_eq!(
        stage.why("now"),
        [format!(
            "n1 leads term 1, 3 of 5 nodes run: one failure more stops the cluster (n3 was killed 12 s ago, n5 paused just now) \
             → {resume}"
        )]
    );
    assert_eq!(stage.why("n5"), [format!("n5 was paused just now (pause @any) → {resume}")]);
}

#[test]
fn disks_that_hang_or_are_slow() {
    let mut stage = Stage::healthy(3);
    stage.server(2).disk.pending_ms = Some(2_040);
    stage.server(3).disk.sync_us = 320_000;
    let both = ["n2: its disk has not answered for 2.0 s", "n3: its disk is slow, a sync takes 320 ms"];
    assert_eq!(stage.why("now"), both);
    assert_eq!(stage.why("slow"), both);
    assert_eq!(stage.why("n2")[0], both[0]);
}

#[test]
fn commands_that_wait_for_a_quorum() {
    let mut stage = Stage::healthy(3);
    stage.server(1).last_index = 5_012;
    let line = "5000 entries of n1 wait for a quorum: its log ends at 5012, and the commit index is 12";
    assert_eq!(stage.why("slow"), [line]);
}

#[test]
fn an_entry_that_is_not_committed() {
    let mut stage = Stage::healthy(5);
    stage.server(1).last_index = 14;
    stage.act(97_000, Action::Kill, "n4,n5", &[4, 5]);
    stage.cut(98_000, &[3], &[1, 2]);
    stage.peer(2).match_index = 14;
    assert_eq!(stage.why("uncommitted 12"), ["index 12 is committed: the commit index is 12; n1 leads term 1"]);
    assert_eq!(
        stage.why("uncommitted 14"),
        [
            "index 14 is not committed: 2 of 5 voters have it (n1, n2), 3 are needed",
            r#"n3 is cut off from n1, n2 by f1 since 2 s, and n1 leads → [{"do":"clear_fault","id":"f1"}]"#,
            r#"n4 was killed 3 s ago (kill n4,n5) → [{"do":"restart","nodes":["n4"]}]"#,
            r#"n5 was killed 3 s ago (kill n4,n5) → [{"do":"restart","nodes":["n5"]}]"#,
        ]
    );
    assert_eq!(stage.why("uncommitted 15"), ["there is no index 15: the log of n1, which leads, ends at 14"]);
    stage.peer(3).match_index = 14;
    assert_eq!(
        stage.why("uncommitted 14"),
        [
            "index 14 is not committed yet: 3 of 5 voters have it (n1–n3), which is enough: it is committed in a moment, or, if \
          it is of an earlier term, with the first entry of term 1"
        ]
    );
}

#[test]
fn a_disk_that_went_back_in_time() {
    let mut stage = Stage::healthy(3);
    stage.report(3).rolled_back = Some(12);
    stage.peer(3).denies = true;
    let line = "n3's disk went back in time: it had lost what it stored up to index 12, and may have forgotten a vote; \
                to n1, which leads, it counts for no quorum";
    let replace = r#"[{"do":"replace_member","node":"n3"}]"#;
    assert_eq!(stage.why("now"), [format!("{line} → {replace}")]);
    assert_eq!(stage.why("n3")[0], format!("{line} → {replace}"));
}

#[test]
fn nodes_that_have_committed_different_entries() {
    let mut stage = Stage::healthy(3);
    let difference = Difference::Entry;
    stage.status.divergence = Some(Divergence { one: n(1), other: n(3), index: 7, difference });
    stage.act(99_000, Action::Kill, "n2", &[2]);
    assert_eq!(
        stage.why("now")[0],
        "n1 and n3 have committed different entries at index 7: what one of them acknowledged is lost on the other; keep the \
         lab's folder → [{\"do\":\"compare_logs\"}]"
    );
}

#[test]
fn a_fault_with_its_expiry_and_one_that_is_gone() {
    let mut stage = Stage::healthy(3);
    let delay = Effect::latency(50.0, 0.0).unwrap();
    stage.fault(96_000, Some(112_000), "latency 50 ms n1 → n2".into(), delay, vec![(n(1), n(2))]);
    let line = "f1: latency 50 ms n1 → n2 for 4 s, 12 s left";
    assert_eq!(stage.why("f1"), [format!("{line} → [{{\"do\":\"clear_fault\",\"id\":\"f1\"}}]")]);
    assert_eq!(stage.why("now"), [line]);
    assert!(stage.why("slow")[0].starts_with(&format!("{line}: it is on links of the leader")));
    let id = stage.status.faults.pop().unwrap().id;
    stage.event(97_000, Happening::FaultCleared { id, expired: true });
    assert_eq!(stage.why("f1"), ["f1 (latency 50 ms n1 → n2) is not in force: it expired 3 s ago"]);
}

#[test]
fn a_node_that_is_cut_off_from_the_leader() {
    let mut stage = Stage::healthy(5);
    stage.cut(87_600, &[5], &[1, 2, 3, 4]);
    let clear = r#"[{"do":"clear_fault","id":"f1"}]"#;
    (stage.server(5).role, stage.server(5).leader) = (RoleKind::PreCandidate, None);
    assert_eq!(
        stage.why("n5"),
        [
            format!("n5 is cut off from n1–n4 by f1 since 12.4 s, and n1 leads → {clear}"),
            "n5 asks for pre-votes, in term 1, and has applied all 12 committed entries".to_owned(),
        ]
    );
    assert_eq!(stage.why("now")[0], format!("n1 leads term 1; n5 is cut off from it by f1 since 12.4 s → {clear}"));
    assert_eq!(stage.why("f1")[1], "n5 is cut off from n1, which leads term 1");
}

#[test]
fn a_candidate_whose_log_is_behind() {
    let mut stage = Stage::healthy(3);
    stage.act(97_000, Action::Kill, "@leader", &[1]);
    (stage.server(3).role, stage.server(3).leader, stage.server(3).last_applied) = (RoleKind::PreCandidate, None, 9);
    let behind = Refusal::LogBehind { theirs: (1, 9), own: (1, 12) };
    for (number, term, why) in [(2, 2, behind), (1, 2, behind)] {
        let event = HostEvent::VoteRefused { candidate: n(3), term, why };
        stage.event(97_200, Happening::Host { node: n(number), event });
    }
    assert_eq!(
        stage.why("n3"),
        [
            "n3 asks for pre-votes, in term 1, and has applied 9 of 12 committed entries",
            "n2 refuses n3 its vote for term 2: the log of n3 is behind: it ends with term 1 at index 9, its own with term 1 at \
             index 12",
        ],
        "what a dead node refused counts for nothing"
    );
    stage.act(99_000, Action::Kill, "n2", &[2]);
    assert_eq!(
        stage.why("n3")[1],
        "no leader: 1 of 3 nodes run, 2 are needed (n1 was killed 3 s ago, n2 was killed 1 s ago) → \
         [{\"do\":\"restart\",\"nodes\":[\"n1\"]}]"
    );
}

#[test]
fn members_on_their_way() {
    let mut stage = Stage::healthy(5);
    stage.status.members = Configuration::of(set(&[1, 2, 3, 4]), set(&[]), set(&[5]));
    (stage.peer(5).standing, stage.peer(5).match_index) = (Standing::Learner, 4);
    assert_eq!(stage.why("now"), ["n5 is a learner and catches up: it has 4 of 12 entries"]);
    stage.peer(5).snapshot_bytes = Some((2_048, 1_500_000));
    assert_eq!(stage.why("n5")[0], "n5 is being sent a snapshot by n1: 2.0 kB of 1.5 MB");
    (stage.peer(5).snapshot_bytes, stage.peer(5).match_index) = (None, 12);
    stage.server(1).transfer = Some(n(2));
    stage.change_members(&[1, 2, 3, 4, 5], &[1, 2, 3, 4]);
    assert_eq!(
        stage.why("now"),
        [
            "n1 is handing the lead over to n2",
            "the members are changing from n1, n2, n3, n4 to n1–n5: every decision takes a majority of both"
        ]
        .map(|line| line.replace("n1, n2, n3, n4", "n1–n4"))
    );
}

#[test]
fn both_halves_of_the_members_are_needed_while_they_change() {
    let mut stage = Stage::healthy(5);
    stage.change_members(&[3, 4, 5], &[1, 2, 3]);
    stage.act(99_900, Action::Kill, "n1,n2", &[1, 2]);
    assert_eq!(
        stage.why("no-leader"),
        [
            "no leader: 1 of 3 old voters run, 2 are needed (n1, n2 killed just now); while the members change, it takes a majority \
          of the old voters and of the new ones → [{\"do\":\"restart\",\"nodes\":[\"n1\"]}]"
        ]
    );
}

#[test]
fn the_only_voter_and_a_lab_without_nodes() {
    let mut stage = Stage::healthy(1);
    stage.act(88_000, Action::Kill, "@leader", &[1]);
    let restart = r#"[{"do":"restart","nodes":["n1"]}]"#;
    assert_eq!(stage.why("now"), [format!("no leader: n1 is the only voter and was killed 12 s ago → {restart}")]);
    stage.status.nodes = Vec::new();
    stage.status.members = None;
    assert_eq!(stage.why("now"), [r#"no leader: this lab has no nodes yet → [{"do":"start"}]"#]);
}

#[test]
fn a_node_that_failed_and_a_member_without_a_process() {
    let mut stage = Stage::healthy(3);
    let reason = "cannot write the log: no space left on device";
    let failed = Happening::NodeExited { node: n(2), state: NodeState::Failed, reason: reason.into() };
    stage.event(95_000, failed);
    let report: &mut NodeReport = stage.report(2);
    (report.state, report.reason, report.server) = (NodeState::Failed, Some(reason.into()), None);
    let restart = r#"[{"do":"restart","nodes":["n2"]}]"#;
    assert_eq!(
        stage.why("now"),
        [
            format!(
                "n1 leads term 1, 2 of 3 nodes run: one failure more stops the cluster (n2 failed 5 s ago) → {restart}"
            ),
            format!("n2 failed 5 s ago: {reason} → {restart}"),
        ]
    );
    stage.status.members = Configuration::new(set(&[1, 2, 3, 9]));
    let stranger = r#"n9 votes, but this lab has no such node → [{"do":"remove_member","node":"n9"}]"#;
    assert!(stage.why("now").contains(&stranger.to_owned()), "{:?}", stage.why("now"));
}
