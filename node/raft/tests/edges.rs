//! Moments that random schedules hardly ever reach. Each story is a test, and is told with planted bugs as well (`mutants`).

use std::time::Duration;

use raftian_raft::{
    AppendEntries, AppendReply, Body, Configuration, Conflict, Contradiction, Entry, HardState, Index, InstallSnapshot,
    LastEntry, Lease, Message, NodeId, Options, Payload, Recovered, Reply, Request, Server, Term, Time,
};

use crate::cluster::{Cluster, n};
use crate::paper::{LIMITS, elected};

/// Changes the options of every server in a story.
pub(crate) type Plant<'a> = &'a dyn Fn(&mut Options);

macro_rules! stories {
    ($($name:ident,)*) => {
        /// All of them, by name.
        #[cfg(feature = "mutants")]
        pub(crate) const STORIES: &[(&str, fn(Plant))] = &[$((stringify!($name), $name),)*];

        $(
            mod $name {
                #[test]
                fn holds() {
                    super::$name(&|_| {});
                }
            }
        )*
    };
}

stories! {
    a_truncation_within_a_batch_reaches_the_disk,
    the_loss_of_a_heartbeat_says_nothing_of_the_call_in_flight,
    a_late_answer_counts_once,
    a_request_is_lost_when_a_later_one_is_answered_and_it_is_not_for_long,
    a_heartbeat_is_answered_while_a_write_is_under_way,
    a_lease_begins_with_its_round_and_ends_with_the_shortest_time_out_of_the_fastest_clock,
    a_lease_is_void_once_a_timeout_now_has_left,
    a_lease_is_judged_by_the_time_of_the_read,
    with_leases_a_server_that_has_just_started_gives_no_vote,
    a_pre_vote_is_refused_while_a_leader_lives,
    a_late_refusal_does_not_take_a_follower_from_its_leader,
    a_reply_to_a_call_of_a_former_life_confirms_no_read,
    a_snapshot_under_way_is_sent_to_its_end_though_there_is_a_newer_one,
    a_vote_or_a_request_of_or_to_another_incarnation_does_not_count,
    a_follower_that_denies_what_it_acknowledged_counts_for_no_quorum,
}

/// Three servers with leases, of which the first leads and has none yet.
fn leased(plant: Plant) -> Cluster {
    elected(Cluster::new(3, 7, |options| {
        options.lease = Some(Lease { drift_percent: 10 });
        plant(options);
    }))
}

fn leader(cluster: &Cluster) -> &Server {
    cluster.server(n(1)).expect("the leader is up")
}

/// A request of a server that is played by the story.
fn request(from: u16, to: u16, term: Term, request: Request) -> Message {
    Message { from: n(from), to: n(to), term, call: 1, body: Body::Request(request) }
}

fn entries(first: Index, terms: &[Term]) -> Vec<Entry> {
    terms.iter().zip(first..).map(|(term, index)| Entry { index, term: *term, payload: Payload::Noop }).collect()
}

fn append((prev_log_index, prev_log_term): (Index, Term), terms: &[Term]) -> Request {
    let entries = entries(prev_log_index + 1, terms);
    Request::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, leader_commit: 0 })
}

/// What is on its way from one server to another is delivered, and the answers as well.
fn exchange(cluster: &mut Cluster, one: NodeId, other: NodeId) {
    for (from, to) in [(one, other), (other, one)] {
        cluster.take(from, to).into_iter().for_each(|message| cluster.receive(message));
    }
}

fn a_truncation_within_a_batch_reaches_the_disk(plant: Plant) {
    let mut cluster = Cluster::new(3, 7, plant);
    let hard_state = HardState { term: 1, voted_for: None };
    cluster.install(n(1), Recovered { hard_state, snapshot: None, entries: entries(1, &[1, 1, 1]) });
    cluster.begin_batch();
    cluster.receive(request(2, 1, 2, append((3, 1), &[2, 2])));
    cluster.receive(request(3, 1, 3, append((1, 1), &[3, 3, 3])));
    cluster.end_batch();
    let stored: Vec<Term> = cluster.durable(n(1)).entries.iter().map(|entry| entry.term).collect();
    assert_eq!(stored, [1, 3, 3, 3], "some of what is discarded was in storage, some not");
}

fn the_loss_of_a_heartbeat_says_nothing_of_the_call_in_flight(plant: Plant) {
    let mut cluster = elected(Cluster::new(3, 7, plant));
    cluster.propose(n(1), &["a"]).unwrap();
    assert_eq!(cluster.take(n(1), n(2)).len(), 1, "in flight");
    for _ in 0..2 {
        cluster.wake(n(1));
        for message in cluster.take(n(1), n(2)) {
            let Body::Request(Request::AppendEntries(append)) = &message.body else { panic!("{message:?}") };
            assert!(append.entries.is_empty(), "what is in flight is sent again, before an election time-out");
            cluster.report_lost(&message);
        }
    }
}

/// What n1 has sent to n2 with entries.
fn with_entries(cluster: &mut Cluster) -> Vec<Message> {
    let mut sent = cluster.take(n(1), n(2));
    sent.retain(
        |message| matches!(&message.body, Body::Request(Request::AppendEntries(append)) if !append.entries.is_empty()),
    );
    sent
}

fn a_request_is_lost_when_a_later_one_is_answered_and_it_is_not_for_long(plant: Plant) {
    let mut cluster = elected(Cluster::new(3, 7, plant));
    cluster.propose(n(1), &["a"]).unwrap();
    cluster.now = cluster.now + Duration::from_micros(300);
    (0..2).for_each(|_| exchange(&mut cluster, n(1), n(2)));
    cluster.propose(n(1), &["b"]).unwrap();
    assert_eq!(with_entries(&mut cluster).len(), 1, "it is lost");
    cluster.now = cluster.now + Duration::from_micros(500);
    cluster.read(n(1)).unwrap();
    exchange(&mut cluster, n(1), n(2));
    assert_eq!(with_entries(&mut cluster).len(), 0, "its answer may come");
    cluster.wake(n(1));
    exchange(&mut cluster, n(1), n(2));
    assert_eq!(with_entries(&mut cluster).len(), 1, "it is sent again");
}

fn a_late_answer_counts_once(plant: Plant) {
    let mut cluster = Cluster::new(3, 7, plant);
    let hard_state = HardState { term: 3, voted_for: None };
    for (id, terms) in [(1, [1, 3, 3]), (2, [1, 2, 2])] {
        cluster.install(n(id), Recovered { hard_state, snapshot: None, entries: entries(1, &terms) });
    }
    cluster.wake(n(1));
    (0..2).for_each(|_| exchange(&mut cluster, n(1), n(3)));
    assert_eq!(cluster.leader(), Some(n(1)));
    let first = with_entries(&mut cluster);
    for _ in 0..4 {
        cluster.wake(n(1));
        exchange(&mut cluster, n(1), n(3));
    }
    assert_eq!((first.len(), with_entries(&mut cluster).len()), (1, 1), "it is sent again");
    first.into_iter().for_each(|message| cluster.receive(message));
    let late = cluster.take(n(2), n(1));
    late.iter().cloned().for_each(|message| cluster.receive(message));
    assert_eq!(with_entries(&mut cluster).len(), 1, "the answer to the first copy is as good as one to the second");
    late.into_iter().for_each(|message| cluster.receive(message));
    assert_eq!(with_entries(&mut cluster).len(), 0, "it says nothing about what is in flight now");
}

fn a_heartbeat_is_answered_while_a_write_is_under_way(plant: Plant) {
    let mut cluster = elected(Cluster::new(3, 7, plant));
    cluster.set_slow(n(2), true);
    cluster.propose(n(1), &["a"]).unwrap();
    exchange(&mut cluster, n(1), n(2));
    cluster.wake(n(1));
    cluster.take(n(1), n(2)).into_iter().for_each(|message| cluster.receive(message));
    assert_eq!(
        cluster.take(n(2), n(1)).len(),
        1,
        "the acknowledgement waits for the disk, and the heartbeat's answer does not"
    );
    cluster.sync(n(2), 1);
    assert_eq!(cluster.take(n(2), n(1)).len(), 1, "the entry is acknowledged");
}

fn a_lease_begins_with_its_round_and_ends_with_the_shortest_time_out_of_the_fastest_clock(plant: Plant) {
    let mut cluster = leased(plant);
    cluster.read(n(1)).unwrap();
    assert_eq!((leader(&cluster).pending_reads(), leader(&cluster).has_lease(cluster.now)), (1, false));
    let began = cluster.now;
    cluster.now = began + Duration::from_millis(20);
    cluster.deliver_all();
    assert_eq!((leader(&cluster).pending_reads(), leader(&cluster).has_lease(cluster.now)), (0, true));
    let end = LIMITS.start * 100 / 110;
    for (after, holds) in [(end - Duration::from_micros(1), true), (end, false)] {
        assert_eq!(leader(&cluster).has_lease(began + after), holds, "{after:?} after the round began");
    }
}

fn a_lease_is_void_once_a_timeout_now_has_left(plant: Plant) {
    let mut cluster = leased(plant);
    cluster.read(n(1)).unwrap();
    cluster.deliver_all();
    assert!(leader(&cluster).has_lease(cluster.now));
    cluster.transfer(n(1), n(2)).unwrap();
    assert!(!leader(&cluster).has_lease(cluster.now), "n2 may be elected at any time");
}

fn a_late_refusal_does_not_take_a_follower_from_its_leader(plant: Plant) {
    let mut cluster = leased(plant);
    cluster.deliver_all();
    // n2 asked n3 for its pre-vote while it heard no leader.
    let refusal = Body::Reply(Reply::PreVote { granted: false });
    cluster.receive(Message { from: n(3), to: n(2), term: 2, call: 1, body: refusal });
    assert_eq!(cluster.durable(n(2)).hard_state.term, 1, "a lease may rest on that n2 follows n1");
}

fn a_reply_to_a_call_of_a_former_life_confirms_no_read(plant: Plant) {
    let mut cluster = elected(Cluster::new(3, 7, plant));
    cluster.deliver_all();
    cluster.read(n(1)).unwrap();
    let heartbeats = cluster.take(n(1), n(2));
    let [heartbeat] = heartbeats.as_slice() else { panic!("{heartbeats:?}") };
    // n1 led an earlier term, and numbered its calls in the same way.
    let over = Body::Reply(Reply::AppendEntries(AppendReply::StaleTerm));
    cluster.receive(Message { from: n(2), to: n(1), term: heartbeat.term, call: heartbeat.call, body: over });
    assert_eq!(leader(&cluster).pending_reads(), 1, "no other server has answered what was asked after the read");
}

fn a_lease_is_judged_by_the_time_of_the_read(plant: Plant) {
    let mut cluster = leased(plant);
    cluster.read(n(1)).unwrap();
    cluster.deliver_all();
    cluster.now = cluster.now + LIMITS.start;
    cluster.read(n(1)).unwrap();
    assert_eq!(leader(&cluster).pending_reads(), 1, "the lease is over, though the leader was not called meanwhile");
}

fn with_leases_a_server_that_has_just_started_gives_no_vote(plant: Plant) {
    let lease = Some(Lease { drift_percent: 10 });
    let mut cluster = Cluster::new(3, 7, |options| {
        options.lease = lease;
        plant(options);
    });
    cluster.now = cluster.now + (LIMITS.start - Duration::from_millis(1));
    let last = LastEntry { term: 1, index: 1 };
    cluster.receive(request(2, 1, 2, Request::RequestVote { last, transfer: false }));
    assert_eq!(cluster.status(n(1)).voted_for, None, "it may have promised a leader not to, before it crashed");
}

fn a_pre_vote_is_refused_while_a_leader_lives(plant: Plant) {
    let mut cluster = elected(Cluster::new(3, 7, plant));
    for to in [1, 2] {
        cluster.receive(request(3, to, 2, Request::PreVote(LastEntry { term: 1, index: 9 })));
        let answers: Vec<Body> = cluster.take(n(to), n(3)).into_iter().map(|message| message.body).collect();
        assert_eq!(answers, [Body::Reply(Reply::PreVote { granted: false })], "n{to}");
    }
}

fn a_snapshot_under_way_is_sent_to_its_end_though_there_is_a_newer_one(plant: Plant) {
    let mut cluster = elected(Cluster::new(3, 7, |options| {
        options.max_snapshot_chunk_bytes = 5;
        plant(options);
    }));
    cluster.crash(n(3), 0);
    let compact = |cluster: &mut Cluster| {
        cluster.propose(n(1), &["a"]).unwrap();
        (0..2).for_each(|_| exchange(cluster, n(1), n(2)));
        cluster.compact(n(1), 0).unwrap()
    };
    let first = compact(&mut cluster);
    assert_eq!(cluster.take(n(1), n(3)).len(), 1, "nothing reaches a server that is down");
    cluster.restart(n(3));
    let mut chunks: Vec<(Index, u64)> = Vec::new();
    for _ in 0..8 {
        cluster.wake(n(1));
        let mut sent = cluster.take(n(1), n(3));
        while !sent.is_empty() {
            for message in sent {
                if let Body::Request(Request::InstallSnapshot(InstallSnapshot { last, offset, .. })) = message.body {
                    chunks.push((last.index, offset));
                }
                cluster.receive(message);
            }
            if chunks.len() == 2 {
                compact(&mut cluster);
            }
            cluster.take(n(3), n(1)).into_iter().for_each(|message| cluster.receive(message));
            sent = cluster.take(n(1), n(3));
        }
    }
    chunks.truncate(4);
    assert_eq!(chunks, [0, 5, 10, 15].map(|offset| (first, offset)));
}

fn a_vote_or_a_request_of_or_to_another_incarnation_does_not_count(plant: Plant) {
    let [first, second, third] = [1, 2, 3].map(|incarnation| NodeId::of(2, incarnation).unwrap());
    let vote = Body::Request(Request::RequestVote { last: LastEntry { term: 0, index: 0 }, transfer: false });
    // n2.2 is a member. What is to n2 or n2.3 does not reach it.
    let mut options = Options::new(second, Configuration::new([n(1), second, n(3)]).unwrap(), 7);
    plant(&mut options);
    let mut server = Server::new(options, Recovered::default(), Time::default());
    for to in [first, third] {
        let message = Message { from: n(1), to, term: 1, call: 1, body: vote.clone() };
        let refused = Contradiction::OtherIncarnation { from: n(1), to, known: second };
        assert_eq!(server.receive(Time::default(), message), Err(refused));
        assert_eq!(server.hard_state(), HardState::default());
    }
    let said = Contradiction::OtherIncarnation { from: n(1), to: first, known: second }.to_string();
    assert_eq!(said, "a message from n1 to n2 does not count: here the n2 there is is n2.2");
    // n3 knows n2.2. What n2 asks or answers comes from a server that is no more; n2.3 may have been added since.
    let mut options = Options::new(n(3), Configuration::new([n(1), second, n(3)]).unwrap(), 7);
    plant(&mut options);
    let mut server = Server::new(options, Recovered::default(), Time::default());
    for body in [vote.clone(), Body::Reply(Reply::RequestVote { granted: true })] {
        let message = Message { from: first, to: n(3), term: 5, call: 1, body };
        let refused = Contradiction::OtherIncarnation { from: first, to: n(3), known: second };
        assert_eq!(server.receive(Time::default(), message), Err(refused));
        assert_eq!(server.hard_state(), HardState::default());
    }
    let message = Message { from: third, to: n(3), term: 5, call: 1, body: vote };
    assert_eq!(server.receive(Time::default(), message), Ok(()));
    assert_eq!(server.hard_state().term, 5);
}

fn a_follower_that_denies_what_it_acknowledged_counts_for_no_quorum(plant: Plant) {
    let mut cluster = elected(Cluster::new(3, 7, plant));
    cluster.propose(n(1), &["a"]).unwrap();
    cluster.deliver_all();
    assert_eq!((leader(&cluster).match_index(n(2)), leader(&cluster).commit_index()), (Some(2), 2));
    // n3 is gone, and n2 has an old disk. It answers the next heartbeat that its log ends before entry 2.
    for id in [n(1), n(2)] {
        [(id, n(3)), (n(3), id)].into_iter().for_each(|(from, to)| cluster.cut(from, to));
    }
    let conflict = |heartbeat: &Message| {
        let reply = Reply::AppendEntries(AppendReply::Conflict(Conflict { term: 1, index: 1 }));
        Message { from: n(2), to: n(1), term: heartbeat.term, call: heartbeat.call, body: Body::Reply(reply) }
    };
    // A late reply to a call that was made before n2 had acknowledged it denies nothing.
    let late = conflict(&Message { call: 1, ..request(1, 2, 1, append((2, 1), &[])) });
    cluster.receive(late);
    assert_eq!(leader(&cluster).match_index(n(2)), Some(2));
    cluster.wake(n(1));
    let heartbeats = cluster.take(n(1), n(2));
    let [heartbeat] = heartbeats.as_slice() else { panic!("{heartbeats:?}") };
    cluster.receive(conflict(heartbeat));
    assert_eq!(leader(&cluster).match_index(n(2)), None);
    assert!(cluster.status(n(1)).peers.iter().any(|peer| peer.id == n(2) && peer.denies));
    // It is sent the log again, and stores what comes; that is no quorum.
    cluster.propose(n(1), &["b"]).unwrap();
    cluster.deliver_all();
    assert_eq!(cluster.durable(n(2)).entries.len(), 3);
    assert_eq!(leader(&cluster).commit_index(), 2, "n1 alone is no quorum");
}
