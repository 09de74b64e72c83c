//! Invariants that no planted bug breaks can be broken all the same: by tampering with what the oracle is shown.

use std::time::Duration;

use raftian_raft::{
    AppendEntries, Body, Change, Entry, HardState, LastEntry, Lease, Message, NodeId, Payload, Reply, Request,
    RoleKind, Time, Write,
};
use raftian_script::{Invariant, Plan};
use raftian_wal::Recovered;

use super::{Budget, MAX_STEPS_WITHOUT_TIME, World};
use crate::invariant::{Check, id_at};
use crate::members::{Ids, Members};
use crate::oracle::{Oracle, Seen};
use crate::settings::Settings;

/// The interval of heartbeats in these worlds.
const INTERVAL: Duration = Duration::from_millis(50);

/// Three servers, of which the first leads term 1 and has committed its no-op everywhere.
fn led() -> World {
    led_by(Plan::quiet(3))
}

fn led_by(plan: Plan) -> World {
    let mut world = World::manual(plan, 1, Settings::default());
    world.tick(id_at(0)).unwrap();
    world.step_all().unwrap();
    assert_eq!((world.leader(), world.committed()), (Some(id_at(0)), 1));
    world
}

/// The first servers.
fn first(count: usize) -> Ids {
    (0..count).map(id_at).collect()
}

#[track_caller]
fn check(outcome: Check, expected: Invariant) {
    let finding = outcome.expect_err("something is wrong");
    assert_eq!(finding.invariant, expected, "{}", finding.text);
}

fn noop(index: u64, term: u64) -> Entry {
    Entry { index, term, payload: Payload::Noop }
}

#[test]
fn a_leader_that_rewrites_its_log_is_seen() {
    let mut world = led();
    world.isolate(1);
    let command = raftian_apps::Command::new("a", 1, serde_json::from_str("1").unwrap()).unwrap();
    world.propose(id_at(0), &command).unwrap();
    let server = world.nodes[0].server().unwrap();
    let again = Write { entries: server.entries(2, 1).to_vec(), ..Write::default() };
    check(world.oracle.stepped(0, server, Some(&again)).map(|_| ()), Invariant::LeaderAppendOnly);
}

#[test]
fn a_match_index_that_is_not_on_the_followers_disk_is_seen() {
    let mut world = led();
    let hard_state = Some(HardState { term: 1, voted_for: None });
    world.oracle.replaced(1);
    world.oracle.writes(1, &Write { hard_state, ..Write::default() }).unwrap();
    let server = world.nodes[0].server().unwrap();
    check(world.oracle.check_match_index(0, server, id_at(1)), Invariant::MatchIndexTruth);
}

#[test]
fn a_gap_on_a_disk_and_a_skipped_entry_are_seen() {
    let mut world = led();
    let gap = Write { entries: vec![noop(3, 1)], ..Write::default() };
    check(world.oracle.writes(0, &gap), Invariant::IndexOrder);
    check(world.oracle.applies(0, &noop(3, 1)), Invariant::IndexOrder);
}

#[test]
fn another_entry_than_the_committed_one_is_seen_when_it_is_applied() {
    let mut world = led();
    world.oracle.crashed(2);
    let server = world.nodes[2].server().unwrap();
    world.oracle.started(2, server).unwrap();
    check(world.oracle.applies(2, &noop(1, 2)), Invariant::StateMachineSafety);
}

#[test]
fn an_acknowledgement_of_what_is_not_committed_is_seen() {
    let mut world = led();
    let response = raftian_apps::Response::of(&1);
    check(world.oracle.acknowledged("a", 1, 1, &response), Invariant::AcknowledgedDurable);
    check(world.oracle.acknowledged("a", 1, 9, &response), Invariant::AcknowledgedDurable);
    check(world.oracle.acknowledged("a", 1, 0, &response), Invariant::AcknowledgedDurable);
}

#[test]
fn a_message_that_no_server_would_send_is_seen() {
    let mut world = led();
    let body = Body::Request(Request::TimeoutNow);
    let message = Message { from: id_at(1), to: id_at(0), term: u64::MAX, call: 1, body };
    let id = world.queue.send(0, message);
    assert_eq!(world.deliver(id).unwrap_err().invariant, Invariant::Composure);
    assert_eq!(world.step().unwrap_err().invariant, Invariant::Composure, "the world stands still");
}

#[test]
fn a_promise_without_a_disk_behind_it_is_seen() {
    let mut world = led();
    let reply = |term, reply| Message { from: id_at(1), to: id_at(0), term, call: 1, body: Body::Reply(reply) };
    let cases = [
        reply(2, Reply::TimeoutNow),
        reply(1, Reply::AppendEntries(raftian_raft::AppendReply::Matched(2))),
        Message { to: NodeId::new(3).unwrap(), ..reply(1, Reply::RequestVote { granted: true }) },
    ];
    for message in cases {
        check(world.oracle.sent(&message, Time::default()), Invariant::DurableBeforeSend);
    }
    let honest = reply(1, Reply::AppendEntries(raftian_raft::AppendReply::Matched(1)));
    assert!(world.oracle.sent(&honest, Time::default()).is_ok());
}

#[test]
fn a_read_without_a_round_of_its_own_is_seen() {
    let mut world = led();
    let (oracle, now) = (&mut world.oracle, Time::default());
    let server = world.nodes[0].server().unwrap();
    oracle.read_asked(0, 1, server, now);
    check(oracle.read_answered(0, 1, Some(1)), Invariant::ReadRound);
    // An answer to a call that left before the read counts for nothing, and neither does one of another term.
    oracle.read_asked(0, 2, server, now);
    oracle.answered(0, id_at(1), 1, 1, server, now);
    oracle.answered(0, id_at(2), 0, 1_000, server, now);
    check(oracle.read_answered(0, 2, Some(1)), Invariant::ReadRound);
    oracle.read_asked(0, 3, server, now);
    oracle.answered(0, id_at(1), 1, 1_000, server, now);
    assert!(oracle.read_answered(0, 3, Some(1)).is_ok());
}

/// A call that left at 1,200 ms is answered: that vouches for reads of 136 ms after it, until another is told to campaign.
#[test]
fn a_read_by_a_lease_that_is_over_or_void_is_seen() {
    let plan = Plan { lease: Some(Lease { drift_percent: 10 }), ..Plan::quiet(3) };
    let mut world = led_by(plan);
    let (oracle, server) = (&mut world.oracle, world.nodes[0].server().unwrap());
    let at = |ms| Time(Duration::from_millis(ms));
    let call = |call, body| Message { from: id_at(0), to: id_at(1), term: 1, call, body: Body::Request(body) };
    let read = |oracle: &mut Oracle, ticket, ms| {
        oracle.read_asked(0, ticket, server, at(ms));
        oracle.read_answered(0, ticket, Some(1))
    };
    check(read(oracle, 1, 1_200), Invariant::ReadRound);
    let last = LastEntry { term: 1, index: 1 };
    oracle.sent(&call(1_000, Request::RequestVote { last, transfer: false }), at(1_200)).unwrap();
    oracle.answered(0, id_at(1), 1, 1_000, server, at(1_210));
    assert!(read(oracle, 2, 1_336).is_ok());
    check(read(oracle, 3, 1_337), Invariant::ReadRound);
    oracle.sent(&call(1_001, Request::TimeoutNow), at(1_220)).unwrap();
    check(read(oracle, 4, 1_230), Invariant::ReadRound);
}

#[test]
fn a_lease_of_a_leader_that_does_not_know_what_is_committed_is_seen() {
    let mut world = led();
    assert!(world.oracle.check_lease(0, 1).is_ok());
    check(world.oracle.check_lease(0, 0), Invariant::LeaseTruth);
}

/// The first two of three servers have the entry, and the second is to be removed.
#[test]
fn what_is_committed_without_a_majority_of_the_incoming_members_is_seen() {
    let mut world = led();
    world.isolate(0b011);
    let command = raftian_apps::Command::new("a", 1, serde_json::from_str("1").unwrap()).unwrap();
    world.propose(id_at(0), &command).unwrap();
    assert!(matches!(world.change(id_at(0), Change::Remove(id_at(1))), Ok(Some(Ok(_)))));
    world.step_all().unwrap();
    let server = world.nodes[0].server().unwrap();
    let (before, members) = (Seen::of(server), Members::of(server.configuration().unwrap()));
    assert_eq!((server.match_index(id_at(1)), before.commit_index), (Some(3), 1));
    let now = Seen { commit_index: 2, ..before };
    check(world.oracle.check_commit(0, server, Some(before), now, members), Invariant::DurableQuorum);
}

#[test]
fn a_match_index_that_falls_is_seen() {
    let mut world = led();
    let command = raftian_apps::Command::new("a", 1, serde_json::from_str("1").unwrap()).unwrap();
    world.propose(id_at(0), &command).unwrap();
    world.step_all().unwrap();
    let server = world.nodes[0].server().unwrap();
    assert_eq!(server.match_index(id_at(1)), Some(2));
    world.oracle.tell_matched(0, id_at(1), 3);
    check(world.oracle.check_match_rises(0, server), Invariant::MatchIndexRises);
}

#[test]
fn a_term_without_a_cause_and_an_election_put_off_for_a_stale_leader_are_seen() {
    let mut world = led();
    let before = Seen::of(world.nodes[1].server().unwrap());
    let now = Seen { role: RoleKind::PreCandidate, term: 2, ..before };
    check(world.oracle.check_cause(1, before, now), Invariant::Undisturbed);
    check(world.oracle.check_cause(1, before, Seen { role: RoleKind::Follower, ..now }), Invariant::Undisturbed);
    assert!(world.oracle.check_cause(1, before, Seen { role: RoleKind::Candidate, ..now }).is_ok());
    let last = LastEntry { term: 1, index: 1 };
    let asks = |body| Message { from: id_at(2), to: id_at(1), term: 2, call: 9, body: Body::Request(body) };
    world.oracle.hears(1, &asks(Request::PreVote(last)), Time::default(), true);
    check(world.oracle.check_cause(1, before, now), Invariant::Undisturbed);
    world.oracle.hears(1, &asks(Request::RequestVote { last, transfer: false }), Time::default(), true);
    assert!(world.oracle.check_cause(1, before, now).is_ok(), "a message of that term has come");
    check(world.oracle.check_deadline_kept(1, false), Invariant::Undisturbed);
}

#[test]
fn a_cluster_that_does_not_stay_as_it_is_is_seen() {
    let mut world = led();
    world.oracle.settles(id_at(0), 1, first(2), first(3), INTERVAL);
    let seen = Seen::of(world.nodes[1].server().unwrap());
    assert!(world.oracle.check_stays(1, seen).is_ok());
    check(world.oracle.check_stays(1, Seen { role: RoleKind::PreCandidate, ..seen }), Invariant::Steady);
    check(world.oracle.check_stays(1, Seen { term: 2, ..seen }), Invariant::Steady);
    check(world.oracle.check_stays(0, seen), Invariant::Steady);
    assert!(world.oracle.check_stays(2, Seen { term: 2, ..seen }).is_ok(), "not one of those that follow");

    let message = |to, term, body| Message { from: id_at(1), to: id_at(to), term, call: 9, body };
    let last = LastEntry { term: 1, index: 1 };
    let disturbing = [
        message(0, 2, Body::Request(Request::PreVote(last))),
        message(0, 1, Body::Request(Request::RequestVote { last, transfer: false })),
        message(2, 2, Body::Reply(Reply::PreVote { granted: true })),
        message(2, 1, Body::Reply(Reply::RequestVote { granted: true })),
        message(0, 2, Body::Reply(Reply::TimeoutNow)),
    ];
    for message in disturbing {
        check(world.oracle.check_calm(&message, Time::default()), Invariant::Steady);
    }
}

/// A message of the leader to a follower, at a time of its quiet.
fn leaves(world: &mut World, body: Request, ms: u64) {
    let message = Message { from: id_at(0), to: id_at(1), term: 1, call: 1_000 + ms, body: Body::Request(body) };
    world.oracle.sent(&message, Time(Duration::from_millis(1_000 + ms))).unwrap();
}

fn append(entries: Vec<Entry>) -> Request {
    Request::AppendEntries(AppendEntries { prev_log_index: 1, prev_log_term: 1, entries, leader_commit: 1 })
}

#[test]
fn messages_that_no_heartbeat_needs_are_seen() {
    let quiet_us = 20 * INTERVAL.as_micros() as u64;
    for wasted in [0, 1] {
        let mut world = led();
        world.oracle.settles(id_at(0), 1, first(3), first(3), INTERVAL);
        (0..3).for_each(|ms| leaves(&mut world, append(Vec::new()), ms));
        world.oracle.count_anew();
        let most = world.most_beats(0, quiet_us);
        (0..most + wasted).for_each(|beat| leaves(&mut world, append(Vec::new()), beat * 50));
        match wasted {
            0 => assert!(world.oracle.check_quiet(most).is_ok()),
            _ => check(world.oracle.check_quiet(most), Invariant::Steady),
        }
        assert!(most <= 22 && world.oracle.check_quiet(0).is_ok(), "the quiet is over");
    }
}

#[test]
fn a_heartbeat_that_asks_whether_a_request_is_lost_is_no_waste_and_another_one_is() {
    for (questions, is_waste) in [(vec![5], false), (vec![5, 6], true), (vec![0], true), (vec![55], true)] {
        let mut world = led();
        world.oracle.settles(id_at(0), 1, first(3), first(3), INTERVAL);
        leaves(&mut world, append(vec![noop(2, 1)]), 0);
        world.oracle.count_anew();
        questions.into_iter().for_each(|ms| leaves(&mut world, append(Vec::new()), ms));
        assert_eq!(world.oracle.check_quiet(0).is_err(), is_waste);
    }
}

#[test]
fn entries_that_are_sent_twice_are_seen_though_other_members_have_just_changed() {
    let mut world = led_by(Plan { joiners: 1, ..Plan::quiet(3) });
    let send = |world: &mut World, to, call| {
        let body = Body::Request(append(vec![noop(3, 1)]));
        let message = Message { from: id_at(0), to: id_at(to), term: 1, call, body };
        world.oracle.sent(&message, Time(Duration::from_millis(2_000)))
    };
    send(&mut world, 3, 1_000).unwrap();
    let added = world.change(id_at(0), Change::AddLearner(id_at(3)));
    assert!(matches!(added, Ok(Some(Ok(_)))), "a server that is added is sent everything anew");
    world.step_all().unwrap();
    send(&mut world, 1, 1_001).unwrap();
    check(send(&mut world, 1, 1_002), Invariant::MessageBudget);
}

#[test]
fn steps_that_take_no_time_come_to_an_end() {
    let mut world = led();
    world.bound_steps(true).unwrap();
    (0..3 * MAX_STEPS_WITHOUT_TIME).for_each(|_| world.bound_steps(false).unwrap());
    check(world.bound_steps(false), Invariant::TimePasses);
}

#[test]
fn a_storm_is_seen() {
    let mut budget = Budget::default();
    let calm = (0..Budget::SLACK).try_for_each(|_| budget.spend());
    assert!(calm.is_ok());
    check(budget.spend(), Invariant::MessageBudget);
}

#[test]
fn a_disk_that_gives_back_too_little_or_what_was_never_written_is_seen() {
    let mut world = led();
    let hard_state = HardState { term: 1, voted_for: NodeId::new(1) };
    let held = Recovered { hard_state, entries: vec![noop(1, 1)], ..Recovered::default() };
    assert!(world.oracle.recovered(1, &held, &[]).is_ok());
    let cases = [
        Recovered { entries: Vec::new(), ..held.clone() },
        Recovered { entries: vec![noop(1, 1), noop(2, 1)], ..held.clone() },
        Recovered { hard_state: HardState::default(), ..held.clone() },
    ];
    for gives_back in cases {
        check(world.oracle.recovered(1, &gives_back, &[]), Invariant::RecoveryTruth);
    }
    let begun = Write { entries: vec![noop(2, 1), noop(3, 1)], ..Write::default() };
    let more = Recovered { entries: vec![noop(1, 1), noop(2, 1)], ..held };
    assert!(world.oracle.recovered(1, &more, &[begun]).is_ok(), "a beginning of what was being written");
}
