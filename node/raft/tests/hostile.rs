//! What no server that follows the rules would send, and what must come of it: no panic, no storm, no harm.

use std::time::Duration;

use bytes::Bytes;
use raftian_raft::{
    AppendEntries, AppendReply, Body, Change, Configuration, Conflict, Contradiction, Entry, Index, InstallSnapshot,
    LastEntry, Message, NodeId, Options, Payload, Persist, Recovered, Reply, Request, RoleKind, Server, SnapshotReply,
    Term, Time,
};

use crate::cluster::{Disk, n};

const MAX_TERM: Term = 1 << 53;
const EXTREMES: [u64; 6] = [0, 1, 2, MAX_TERM, MAX_TERM + 1, u64::MAX];

/// A server alone on a stage, n1 of three. It has a real disk, and its peers are the test.
struct Stage {
    server: Server,
    disk: Disk,
    now: Time,
}

impl Stage {
    fn new() -> Stage {
        let options = Options::new(n(1), Configuration::new(NodeId::first(3)).unwrap(), 7);
        let now = Time::default();
        Stage { server: Server::new(options, Recovered::default(), now), disk: Disk::default(), now }
    }

    fn leading() -> Stage {
        let mut stage = Stage::new();
        stage.now = stage.server.deadline();
        stage.server.tick(stage.now);
        for granted in [Reply::PreVote { granted: true }, Reply::RequestVote { granted: true }] {
            let asked = stage.settle();
            assert_eq!(asked.len(), 2);
            stage.receive(2, 1, asked[0].call, Body::Reply(granted)).unwrap();
        }
        assert_eq!(stage.server.status().role, RoleKind::Leader);
        stage
    }

    fn receive(&mut self, from: u16, term: Term, call: u64, body: Body) -> Result<(), Contradiction> {
        self.server.receive(self.now, Message { from: n(from), to: n(1), term, call, body })
    }

    /// Carries out all effects; gives what is sent.
    fn settle(&mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        loop {
            let ready = self.server.ready();
            sent.extend(ready.messages);
            let Some(persist) = ready.persist else { return sent };
            for persisted in Persist::sync_all(vec![persist], &mut self.disk).unwrap() {
                sent.extend(self.server.persisted(self.now, persisted));
            }
        }
    }
}

fn append(prev: (Index, Term), entries: &[(Index, Term)], leader_commit: Index) -> Body {
    let entry = |&(index, term): &(Index, Term)| Entry { index, term, payload: Payload::Noop };
    Body::Request(Request::AppendEntries(AppendEntries {
        prev_log_index: prev.0,
        prev_log_term: prev.1,
        entries: entries.iter().map(entry).collect(),
        leader_commit,
    }))
}

/// A chunk of a snapshot of ten bytes.
fn chunk(last: (Index, Term), offset: u64, data: &'static str) -> Body {
    let configuration = Configuration::new(NodeId::first(3)).unwrap();
    let last = LastEntry { index: last.0, term: last.1 };
    Body::Request(Request::InstallSnapshot(InstallSnapshot {
        last,
        configuration,
        size: 10,
        offset,
        data: data.into(),
    }))
}

fn answer(reply: AppendReply) -> Body {
    Body::Reply(Reply::AppendEntries(reply))
}

#[test]
fn a_follower_takes_no_entries_from_a_second_leader_of_a_term() {
    let mut stage = Stage::new();
    let append = |entries| {
        let append = AppendEntries { prev_log_index: 0, prev_log_term: 0, entries, leader_commit: 0 };
        Body::Request(Request::AppendEntries(append))
    };
    stage.receive(2, 1, 1, append(vec![])).unwrap();
    stage.settle();
    let noop = Entry { index: 1, term: 1, payload: Payload::Noop };
    let refused = stage.receive(3, 1, 1, append(vec![noop.clone()]));
    assert_eq!(refused, Err(Contradiction::SecondLeader { term: 1 }));
    assert_eq!((stage.server.leader(), stage.server.last().index), (Some(n(2)), 0));
    // In a later term another one leads.
    stage.receive(3, 2, 2, append(vec![noop])).unwrap();
    assert_eq!((stage.server.leader(), stage.server.last().index), (Some(n(3)), 1));
}

#[test]
fn entries_out_of_order_are_refused_whole() {
    let mut stage = Stage::new();
    stage.receive(2, 3, 1, append((0, 0), &[(1, 1), (2, 2)], 1)).unwrap();
    let cases: [(&[(Index, Term)], Contradiction); 6] = [
        (&[(4, 3)], Contradiction::Disorder { index: 4 }),
        (&[(3, 2), (3, 2)], Contradiction::Disorder { index: 3 }),
        (&[(3, 2), (0, 2)], Contradiction::Disorder { index: 0 }),
        (&[(3, 1)], Contradiction::Disorder { index: 3 }),
        (&[(3, 3), (4, 2)], Contradiction::Disorder { index: 4 }),
        (&[(3, 3), (4, 4)], Contradiction::FutureTerm { index: 4, term: 4 }),
    ];
    for (entries, contradiction) in cases {
        assert_eq!(stage.receive(2, 3, 2, append((2, 2), entries, 9)), Err(contradiction), "{entries:?}");
        assert_eq!((stage.server.status().last_index, stage.server.status().commit_index), (2, 1));
    }
}

#[test]
fn a_committed_entry_cannot_be_replaced() {
    let mut stage = Stage::new();
    stage.receive(2, 1, 1, append((0, 0), &[(1, 1), (2, 1)], 2)).unwrap();
    let refused = stage.receive(3, 2, 1, append((1, 1), &[(2, 2)], 2));
    assert_eq!(refused, Err(Contradiction::Committed { index: 2 }));
    assert_eq!(stage.server.entries(2, 1)[0].term, 1);
}

#[test]
fn a_second_leader_of_a_term_is_refused() {
    let mut stage = Stage::leading();
    let refused = stage.receive(3, 1, 1, append((0, 0), &[], 0));
    assert_eq!(refused, Err(Contradiction::SecondLeader { term: 1 }));
    assert_eq!(stage.server.status().role, RoleKind::Leader);
}

#[test]
fn a_message_for_somebody_else_or_from_oneself_is_refused() {
    let vote = Body::Request(Request::RequestVote { last: LastEntry { term: 0, index: 0 }, transfer: false });
    for (from, to) in [(n(2), n(3)), (n(1), n(1)), (n(1), n(2))] {
        let mut stage = Stage::new();
        let message = Message { from, to, term: 1, call: 1, body: vote.clone() };
        assert_eq!(stage.server.receive(stage.now, message), Err(Contradiction::Misdirected { from, to }));
        assert_eq!((stage.server.status().term, stage.server.status().voted_for), (0, None));
    }
}

#[test]
fn chunks_of_snapshots_that_cannot_be_are_refused() {
    let mut stage = Stage::new();
    stage.receive(2, 3, 1, append((0, 0), &[(1, 1), (2, 2), (3, 2)], 2)).unwrap();
    let cases = [
        (chunk((2, 1), 0, "0123"), Contradiction::Committed { index: 2 }),
        (chunk((9, 1), 0, "0123"), Contradiction::Disorder { index: 9 }),
        (chunk((9, 4), 0, "0123"), Contradiction::FutureTerm { index: 9, term: 4 }),
        (chunk((u64::MAX, 3), 0, "0123"), Contradiction::AbsurdIndex { index: u64::MAX }),
        (chunk((9, 3), 8, "0123"), Contradiction::Overhang { offset: 8, length: 4, size: 10 }),
        (chunk((9, 3), u64::MAX, "0123"), Contradiction::Overhang { offset: u64::MAX, length: 4, size: 10 }),
    ];
    for (body, contradiction) in cases {
        assert_eq!(stage.receive(2, 3, 2, body), Err(contradiction));
        let status = stage.server.status();
        assert_eq!((status.snapshot_index, status.last_index, status.commit_index), (0, 3, 2));
    }
    let mut leading = Stage::leading();
    assert_eq!(leading.receive(2, 1, 1, chunk((9, 1), 0, "")), Err(Contradiction::SecondLeader { term: 1 }));
}

#[test]
fn a_snapshot_is_acknowledged_when_it_is_durable() {
    let mut stage = Stage::new();
    stage.receive(2, 3, 1, append((0, 0), &[(1, 1), (2, 2), (3, 2)], 2)).unwrap();
    stage.settle();
    stage.receive(2, 3, 2, chunk((9, 3), 0, "01234")).unwrap();
    let reply = |reply| Body::Reply(Reply::InstallSnapshot(reply));
    assert_eq!(stage.settle()[0].body, reply(SnapshotReply::Received(5)));
    stage.receive(2, 3, 3, chunk((9, 3), 5, "56789")).unwrap();
    let ready = stage.server.ready();
    assert_eq!((ready.messages.len(), ready.restore.unwrap().data), (0, Bytes::from("0123456789")));
    let persist = ready.persist.expect("a snapshot to write");
    assert_eq!(persist.write().snapshot.as_ref().map(|snapshot| snapshot.last.index), Some(9));
    for persisted in Persist::sync_all(vec![persist], &mut stage.disk).unwrap() {
        let sent = stage.server.persisted(stage.now, persisted);
        assert_eq!(sent[0].body, reply(SnapshotReply::Installed(9)));
    }
    // What has come in is of no more use, and a late chunk of it finds that it is installed.
    stage.receive(2, 3, 2, chunk((9, 3), 0, "01234")).unwrap();
    assert_eq!(stage.settle()[0].body, reply(SnapshotReply::Installed(9)));
}

/// A follower that never says that it has more than nothing of a snapshot is not sent it at the speed of the network.
#[test]
fn a_follower_that_receives_nothing_is_sent_a_chunk_per_heartbeat() {
    let nonsense = [SnapshotReply::Received(0), SnapshotReply::Received(u64::MAX), SnapshotReply::Installed(u64::MAX)];
    for reply in nonsense {
        let mut stage = Stage::leading();
        let sent = stage.settle();
        let call_of = |id| sent.iter().find(|message| message.to == id).unwrap().call;
        stage.receive(3, 1, call_of(n(3)), answer(AppendReply::Matched(1))).unwrap();
        stage.receive(2, 1, call_of(n(2)), answer(AppendReply::Conflict(Conflict { term: 0, index: 0 }))).unwrap();
        stage.server.compact(0, Bytes::new(), 0).unwrap_err();
        let mut pending = stage.settle();
        stage.server.compact(1, "0123456789".into(), 0).unwrap();
        let end = stage.now + Duration::from_secs(1);
        let mut chunks = 0;
        while stage.now < end {
            if pending.is_empty() {
                stage.now = stage.server.deadline();
                stage.server.tick(stage.now);
            }
            for message in std::mem::take(&mut pending) {
                let body = match &message.body {
                    Body::Request(Request::InstallSnapshot(_)) => {
                        chunks += 1;
                        Body::Reply(Reply::InstallSnapshot(reply))
                    }
                    _ if message.to == n(2) => answer(AppendReply::Conflict(Conflict { term: 0, index: 0 })),
                    _ => answer(AppendReply::Matched(1)),
                };
                stage.receive(message.to.number(), 1, message.call, body).unwrap();
            }
            pending.extend(stage.settle());
            assert!(chunks <= 45, "{chunks} chunks in less than a second, after {reply:?}");
        }
        assert!(chunks > 0);
    }
}

/// A follower that loses its disk denies what it acknowledged. The leader must not call it again and again at the speed
/// of the network.
#[test]
fn an_answer_that_makes_no_sense_is_not_answered_at_once() {
    let nonsense = [
        AppendReply::Conflict(Conflict { term: 0, index: 0 }),
        AppendReply::Conflict(Conflict { term: 7, index: u64::MAX }),
        AppendReply::Matched(u64::MAX),
        AppendReply::StaleTerm,
    ];
    for reply in nonsense {
        let mut stage = Stage::leading();
        let first = stage.settle().into_iter().find(|message| message.to == n(2)).unwrap();
        stage.receive(2, 1, first.call, answer(AppendReply::Matched(1))).unwrap();
        stage.settle();
        stage.server.propose(stage.now, [bytes::Bytes::from("a")]).unwrap();
        let mut calls = 0;
        let end = stage.now + Duration::from_secs(1);
        while stage.now < end {
            let sent = stage.settle();
            if sent.is_empty() {
                stage.now = stage.server.deadline();
                stage.server.tick(stage.now);
            }
            for message in sent {
                let Body::Request(Request::AppendEntries(append)) = &message.body else { panic!("{message:?}") };
                let honest = AppendReply::Matched(append.prev_log_index + append.entries.len() as Index);
                calls += usize::from(message.to == n(2));
                assert!(calls <= 45, "{calls} calls in less than a second, after {reply:?}");
                let reply = if message.to == n(3) { honest } else { reply };
                stage.receive(message.to.number(), 1, message.call, answer(reply)).unwrap();
            }
        }
        assert_eq!(stage.server.status().role, RoleKind::Leader);
    }
}

#[test]
fn absurd_terms_are_not_believed() {
    for term in [MAX_TERM + 1, u64::MAX] {
        let mut stage = Stage::leading();
        let vote = Body::Request(Request::RequestVote { last: LastEntry { term, index: 1 }, transfer: false });
        assert_eq!(stage.receive(2, term, 1, vote), Err(Contradiction::AbsurdTerm { term }));
        let stale = answer(AppendReply::StaleTerm);
        assert_eq!(stage.receive(2, term, 1, stale), Err(Contradiction::AbsurdTerm { term }));
        assert_eq!(stage.server.status().term, 1);
    }
}

#[test]
fn a_server_in_the_last_term_campaigns_without_end_and_without_harm() {
    let mut stage = Stage::new();
    stage.receive(2, MAX_TERM, 1, append((0, 0), &[], 0)).unwrap();
    for _ in 0..100 {
        let deadline = stage.server.deadline();
        assert!(deadline > stage.now);
        stage.now = deadline;
        stage.server.tick(stage.now);
        stage.settle();
    }
    // Nobody believes in a later term, so nobody grants it.
    assert_eq!((stage.server.status().role, stage.server.status().term), (RoleKind::PreCandidate, MAX_TERM));
}

/// Every message with every extreme number in every place, to a server in every role, in a seeded order.
#[test]
fn no_message_makes_a_server_panic() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut stage = if random.bool() { Stage::leading() } else { Stage::new() };
        for _ in 0..200 {
            if random.u8(0..10) == 0 {
                stage.now = stage.server.deadline();
                stage.server.tick(stage.now);
            }
            if random.u8(0..10) == 0 {
                wish(&mut stage, &mut random);
            }
            let body = nonsense(&mut random);
            let (from, term, call) = (random.u16(1..=4), number(&mut random), number(&mut random));
            // Whether it is refused does not matter here.
            let _ = stage.receive(from, term, call, body);
            stage.settle();
            let status = stage.server.status();
            assert!(status.commit_index <= status.last_index);
        }
    }
}

/// What a driver may ask for at any time. Mostly it is refused.
fn wish(stage: &mut Stage, random: &mut fastrand::Rng) {
    let (server, now, node) = (&mut stage.server, stage.now, n(random.u16(1..=5)));
    match random.u8(0..7) {
        0 | 1 => drop(server.propose(now, [Bytes::from("a")])),
        2 => drop(server.propose_configuration(now, Change::AddLearner(node))),
        3 => drop(server.propose_configuration(now, Change::Remove(node))),
        4 => drop(server.transfer(now, node)),
        5 => drop(server.read(now)),
        _ => drop(server.compact(number(random), Bytes::from("state"), number(random))),
    }
}

fn number(random: &mut fastrand::Rng) -> u64 {
    match random.u8(0..3) {
        0 => EXTREMES[random.usize(0..EXTREMES.len())],
        _ => random.u64(0..8),
    }
}

fn nonsense(random: &mut fastrand::Rng) -> Body {
    let last = LastEntry { term: number(random), index: number(random) };
    match random.u8(0..13) {
        9 => Body::Request(Request::TimeoutNow),
        10 => chunk((last.index, last.term), number(random), "01234"),
        11 => Body::Reply(Reply::InstallSnapshot(SnapshotReply::Received(number(random)))),
        12 => Body::Reply(Reply::InstallSnapshot(SnapshotReply::Installed(number(random)))),
        0 => Body::Request(Request::PreVote(last)),
        1 => Body::Request(Request::RequestVote { last, transfer: random.bool() }),
        2..=4 => {
            let entries: Vec<_> = (0..random.usize(0..3)).map(|_| (number(random), number(random))).collect();
            let mut body = append((number(random), number(random)), &entries, number(random));
            if let Body::Request(Request::AppendEntries(append)) = &mut body
                && let Some(entry) = append.entries.last_mut().filter(|_| random.bool())
            {
                let configuration = Configuration::new(NodeId::first(random.u16(1..5))).unwrap();
                entry.payload = Payload::Configuration(Box::new(configuration));
            }
            body
        }
        5 => Body::Reply(Reply::PreVote { granted: random.bool() }),
        6 => Body::Reply(Reply::RequestVote { granted: random.bool() }),
        7 => answer(AppendReply::Matched(number(random))),
        _ => answer(AppendReply::Conflict(Conflict { term: number(random), index: number(random) })),
    }
}
