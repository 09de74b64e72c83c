//! The rules that came after the paper's core, one by one: membership (§6), snapshots (§7), reads (§8), and the thesis.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use raftian_raft::{
    AppendReply, Body, Change, ChangeRefused, CompactRefused, LastEntry, Lease, Message, NodeId, NotLeader, Reply,
    Request, RoleKind, Standing, Term, TransferRefused,
};

use crate::cluster::{Cluster, n};
use crate::paper::{LIMITS, append, ask, ask_to_append, cluster, elected, n1_with, plain};

const PAUSE: Duration = Duration::from_millis(100);

fn set(numbers: &[u16]) -> BTreeSet<NodeId> {
    numbers.iter().copied().map(n).collect()
}

/// n1 leads n1 … n3, and n4 is a learner that has caught up.
fn with_learner() -> Cluster {
    let mut cluster = elected(cluster(3));
    cluster.join(n(4));
    cluster.change(n(1), Change::AddLearner(n(4))).unwrap();
    cluster.run(PAUSE);
    cluster
}

fn voters(cluster: &Cluster, id: u16) -> BTreeSet<NodeId> {
    cluster.status(n(id)).configuration.expect("it knows the members").voters().clone()
}

// §6

#[test]
fn section_6_a_server_without_a_vote_does_not_stand_for_election() {
    let mut cluster = with_learner();
    cluster.join(n(5));
    for waiting in [4, 5] {
        let before = cluster.status(n(waiting)).term;
        (0..10).for_each(|_| cluster.wake(n(waiting)));
        let status = cluster.status(n(waiting));
        assert_eq!((status.role, status.term), (RoleKind::Follower, before), "n{waiting}");
    }
}

#[test]
fn section_6_a_new_leader_does_not_know_that_no_other_members_can_come_up() {
    let mut cluster = cluster(1);
    cluster.set_slow(n(1), true);
    let settled = |cluster: &Cluster| cluster.server(n(1)).unwrap().configuration_is_settled();
    cluster.wake(n(1));
    cluster.sync(n(1), 1);
    let status = cluster.status(n(1));
    assert_eq!((status.role, status.commit_index, status.configuration_committed), (RoleKind::Leader, 0, true));
    assert!(!settled(&cluster), "before an entry of its own term is committed");
    cluster.sync(n(1), 1);
    assert_eq!(cluster.status(n(1)).commit_index, 1);
    assert!(settled(&cluster));
}

#[test]
fn section_6_votes_and_entries_are_taken_from_strangers() {
    let mut cluster = elected(plain(1));
    cluster.join(n(4));
    let last = LastEntry { term: 7, index: 7 };
    let question = Request::RequestVote { last, transfer: false };
    let message = |to, request| Message { from: n(2), to, term: 8, call: 1, body: Body::Request(request) };
    cluster.receive(message(n(4), question));
    assert_eq!(cluster.status(n(4)).voted_for, Some(n(2)), "it may be needed, by a configuration it does not know");
    cluster.receive(message(n(4), append((0, 0), &[1, 7], 0)));
    assert_eq!(cluster.status(n(4)).last_index, 2);
}

#[test]
fn section_6_a_learner_never_counts() {
    let mut cluster = with_learner();
    for silent in [2, 3] {
        cluster.cut(n(1), n(silent));
    }
    cluster.propose(n(1), &["a"]).unwrap();
    cluster.run(PAUSE);
    let status = cluster.status(n(1));
    assert_eq!((status.last_index, status.commit_index, cluster.status(n(4)).last_index), (3, 2, 3));
    let learner = status.peers.iter().find(|peer| peer.id == n(4)).unwrap();
    assert_eq!((learner.standing, learner.match_index), (Standing::Learner, 3));
}

#[test]
fn section_6_a_voter_becomes_a_learner_when_the_change_is_done() {
    let mut cluster = elected(cluster(3));
    cluster.change(n(1), Change::Members { voters: set(&[1, 2]), learners: set(&[3]) }).unwrap();
    let joint = cluster.status(n(1)).configuration.unwrap();
    assert_eq!((joint.outgoing(), joint.learners()), (&set(&[1, 2, 3]), &set(&[3])));
    assert!(joint.is_voter(n(3)), "in C_old, until C_new is in force");
    cluster.run(PAUSE);
    let settled = cluster.status(n(1)).configuration.unwrap();
    assert!(!settled.is_joint() && !settled.is_voter(n(3)) && settled.contains(n(3)));
}

#[test]
fn section_6_a_new_server_under_the_name_of_one_just_removed_is_not_thought_to_have_its_log() {
    let mut cluster = with_learner();
    let progress = |cluster: &Cluster| {
        let peers = cluster.status(n(1)).peers;
        peers.into_iter().find(|peer| peer.id == n(4)).map(|peer| (peer.standing, peer.match_index))
    };
    assert_eq!(progress(&cluster), Some((Standing::Learner, 2)));
    cluster.change(n(1), Change::Remove(n(4))).unwrap();
    cluster.run(PAUSE);
    assert_eq!(progress(&cluster), Some((Standing::Leaving, 3)), "not forgotten yet");
    cluster.crash(n(4), 0);
    cluster.change(n(1), Change::AddLearner(n(4))).unwrap();
    assert_eq!(progress(&cluster), Some((Standing::Learner, 0)));
    // An answer that was on its way all the time is the other one's.
    let late = Reply::AppendEntries(AppendReply::Matched(3));
    cluster.receive(Message { from: n(4), to: n(1), term: 1, call: 1, body: Body::Reply(late) });
    assert_eq!(progress(&cluster), Some((Standing::Learner, 0)));
}

#[test]
fn section_6_a_leader_of_two_cannot_leave_while_the_other_lags() {
    let mut cluster = elected(cluster(2));
    cluster.crash(n(2), 0);
    cluster.change(n(1), Change::Remove(n(1))).unwrap();
    cluster.run(PAUSE);
    assert_eq!((cluster.status(n(1)).role, voters(&cluster, 1)), (RoleKind::Leader, set(&[2])));
    assert!(!cluster.status(n(1)).configuration_committed);
    cluster.restart(n(2));
    cluster.run(20 * PAUSE);
    assert_eq!((cluster.leader(), voters(&cluster, 2)), (Some(n(2)), set(&[2])));
}

#[test]
fn section_6_only_a_leader_changes_the_membership() {
    let mut cluster = elected(cluster(3));
    let refused = NotLeader { leader: Some(n(1)) };
    assert_eq!(cluster.change(n(2), Change::Remove(n(3))), Err(ChangeRefused::NotLeader(refused)));
}

// §7

#[test]
fn section_7_only_what_is_applied_and_new_is_compacted() {
    let mut cluster = elected(cluster(3));
    cluster.propose(n(1), &["a", "b"]).unwrap();
    let announced = cluster.server(n(1)).unwrap().snapshot_of(1, Bytes::from_static(b"state")).unwrap();
    assert_eq!((announced.last, &announced.data[..]), (LastEntry { term: 1, index: 1 }, &b"state"[..]));
    assert_eq!(cluster.server(n(1)).unwrap().snapshot(), None, "nothing is changed");
    assert_eq!(cluster.compact(n(1), 0), Ok(1));
    assert_eq!(cluster.compact(n(1), 0), Err(CompactRefused::NotNewer { snapshot_index: 1 }));
    let too_far = cluster.with(n(1), |server, _| server.compact(2, Bytes::new(), 0));
    assert_eq!(too_far, Err(CompactRefused::NotApplied { last_index: 2, applied: 1 }));
    cluster.run(PAUSE);
    assert_eq!(cluster.compact(n(1), 1), Ok(3));
    let status = cluster.status(n(1));
    assert_eq!((status.snapshot_index, status.first_index, status.last_index), (3, 3, 3));
}

#[test]
fn section_7_a_server_that_does_not_know_the_members_cannot_compact() {
    let mut cluster = elected(plain(1));
    cluster.join(n(4));
    let message = |request| Message { from: n(1), to: n(4), term: 1, call: 1, body: Body::Request(request) };
    cluster.receive(message(append((0, 0), &[1], 1)));
    assert_eq!(cluster.compact(n(4), 0), Err(CompactRefused::UnknownConfiguration { last_index: 1 }));
}

#[test]
fn section_7_entries_go_on_after_a_snapshot_and_conflicts_are_found_there() {
    let mut cluster = elected(plain(3));
    cluster.propose(n(1), &["a", "b"]).unwrap();
    cluster.run(PAUSE);
    cluster.compact(n(1), 0).unwrap();
    let matched = |index| (1, AppendReply::Matched(index));
    cluster.crash(n(1), 0);
    cluster.restart(n(1));
    assert_eq!(ask_to_append(&mut cluster, 1, append((0, 0), &[1, 1], 0)), matched(2), "compacted, so committed");
    assert_eq!(ask_to_append(&mut cluster, 1, append((3, 1), &[], 3)), matched(3));
    assert_eq!(cluster.status(n(1)).last_index, 3);
}

// Thesis

#[test]
fn thesis_3_10_only_the_leader_it_follows_makes_a_voter_stand_and_only_a_voter_stands() {
    let mut cluster = with_learner();
    let term: Term = 1;
    let told = |from, to, term| Message { from, to, term, call: 99, body: Body::Request(Request::TimeoutNow) };
    for message in [told(n(3), n(2), term), told(n(1), n(2), term - 1), told(n(1), n(4), term)] {
        let to = message.to;
        cluster.receive(message);
        assert_eq!((cluster.status(to).role, cluster.status(to).term), (RoleKind::Follower, term));
    }
    cluster.receive(told(n(1), n(2), term));
    assert_eq!((cluster.status(n(2)).role, cluster.status(n(2)).term), (RoleKind::Candidate, term + 1));
}

#[test]
fn thesis_3_10_a_transfer_overrides_the_protection_of_the_leader() {
    for (transfer, granted) in [(false, false), (true, true)] {
        let mut cluster = elected(cluster(3));
        let last = LastEntry { term: 1, index: 1 };
        let body = Body::Request(Request::RequestVote { last, transfer });
        cluster.receive(Message { from: n(3), to: n(2), term: 2, call: 9, body });
        assert_eq!(cluster.status(n(2)).voted_for == Some(n(3)), granted);
    }
}

#[test]
fn thesis_3_10_transfers_that_cannot_be_are_refused() {
    let mut cluster = with_learner();
    let cases = [
        (1, 1, TransferRefused::ToItself),
        (1, 9, TransferRefused::Unknown { node: n(9) }),
        (1, 4, TransferRefused::NotVoter { node: n(4) }),
        (2, 3, TransferRefused::NotLeader(NotLeader { leader: Some(n(1)) })),
    ];
    for (at, to, refused) in cases {
        assert_eq!(cluster.transfer(n(at), n(to)), Err(refused));
    }
    cluster.crash(n(3), 0);
    cluster.transfer(n(1), n(3)).unwrap();
    assert_eq!(cluster.transfer(n(1), n(2)), Err(TransferRefused::Transferring { to: n(3) }));
    assert_eq!(cluster.status(n(1)).transfer, Some(n(3)));
    cluster.run(LIMITS.end);
    assert_eq!((cluster.status(n(1)).transfer, cluster.status(n(1)).role), (None, RoleKind::Leader));
    assert_eq!(cluster.transfer(n(1), n(2)), Err(TransferRefused::JustAborted), "commands come first");
    cluster.propose(n(1), &["a"]).unwrap();
    cluster.run(LIMITS.end);
    assert_eq!(cluster.transfer(n(1), n(3)), Err(TransferRefused::Silent { node: n(3) }));
    cluster.propose(n(1), &["b"]).unwrap();
    assert_eq!(cluster.transfer(n(1), n(2)), Ok(()));
}

#[test]
fn thesis_3_10_leadership_is_not_transferred_to_a_server_that_lacks_more_than_a_batch() {
    let mut cluster = elected(Cluster::new(3, 7, |options| options.max_append_entries = 2));
    cluster.run(PAUSE);
    cluster.cut(n(1), n(2));
    cluster.propose(n(1), &["a", "b", "c"]).unwrap();
    cluster.run(PAUSE);
    assert_eq!(cluster.transfer(n(1), n(2)), Err(TransferRefused::Lagging { node: n(2), behind: 3 }));
    cluster.heal();
    cluster.run(LIMITS.end);
    assert_eq!(cluster.transfer(n(1), n(2)), Ok(()));
}

#[test]
fn thesis_6_4_1_with_leases_a_server_that_has_just_started_votes_for_nobody() {
    let lease = Lease { drift_percent: 10 };
    for (lease, after, granted) in [(Some(lease), 149, false), (Some(lease), 150, true), (None, 0, true)] {
        let mut cluster = Cluster::new(3, 7, |options| options.lease = lease);
        cluster.now = cluster.now + Duration::from_millis(after);
        let last = LastEntry { term: 1, index: 1 };
        let question = Request::RequestVote { last, transfer: false };
        let (_, reply) = ask(&mut cluster, 2, question);
        assert_eq!(reply, Reply::RequestVote { granted }, "after {after} ms");
    }
}

#[test]
fn a_joiner_is_told_the_members_by_the_log_alone() {
    let mut cluster = elected(cluster(3));
    cluster.join(n(4));
    cluster.run(5 * PAUSE);
    assert_eq!(cluster.status(n(4)).configuration, None);
    cluster.change(n(1), Change::AddLearner(n(4))).unwrap();
    cluster.run(PAUSE);
    cluster.crash(n(4), 0);
    cluster.restart(n(4));
    assert_eq!(cluster.status(n(4)).configuration, cluster.status(n(1)).configuration);
}

#[test]
fn thesis_4_2_3_who_hears_from_a_leader_takes_no_notice_of_a_candidate() {
    let mut cluster = elected(cluster(3));
    // n2 and n3 follow n1; n3 stands up for a vote of its own accord.
    let question = Request::RequestVote { last: LastEntry { term: 9, index: 9 }, transfer: false };
    let message = |to| Message { from: n(3), to, term: 9, call: 1, body: Body::Request(question.clone()) };
    for server in [n(1), n(2)] {
        cluster.receive(message(server));
        let status = cluster.status(server);
        assert_eq!((status.term, status.leader), (1, Some(n(1))), "{server}");
    }
    cluster.now = cluster.now + Duration::from_millis(150);
    cluster.receive(message(n(2)));
    let status = cluster.status(n(2));
    assert_eq!(
        (status.term, status.voted_for),
        (9, Some(n(3))),
        "after the shortest time-out the leader counts as gone"
    );
}

#[test]
fn thesis_6_2_a_leader_steps_down_after_the_longest_election_time_out() {
    let mut cluster = elected(cluster(3));
    let end = cluster.now + LIMITS.end;
    while cluster.now < end {
        assert_eq!(cluster.status(n(1)).role, RoleKind::Leader);
        cluster.wake(n(1));
    }
    assert_eq!((cluster.status(n(1)).role, cluster.now), (RoleKind::Follower, end));
    assert_eq!((cluster.status(n(1)).term, cluster.status(n(1)).voted_for), (1, Some(n(1))));
}

#[test]
fn thesis_9_6_a_pre_vote_changes_nothing_at_the_voter() {
    let cases = [(4, (2, 2), true), (3, (2, 2), true), (4, (1, 2), false), (2, (2, 2), false)];
    for (term, (index, last_term), expected) in cases {
        let mut cluster = n1_with(3, None, &[1, 2]);
        let (before, deadline) = (cluster.status(n(1)), cluster.server(n(1)).unwrap().deadline());
        let (answer_term, reply) = ask(&mut cluster, term, Request::PreVote(LastEntry { index, term: last_term }));
        assert_eq!(reply, Reply::PreVote { granted: expected }, "term {term}, {index}@{last_term}");
        assert_eq!(answer_term, if expected { term } else { 3 });
        assert_eq!((cluster.status(n(1)), cluster.server(n(1)).unwrap().deadline()), (before, deadline));
    }
}
