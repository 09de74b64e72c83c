//! The rules of the paper, one by one, in the order of its sections.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_raft::{
    AppendEntries, AppendReply, Body, Configuration, Conflict, Entry, HardState, Index, LastEntry, Message, NodeId,
    NotLeader, Options, Payload, Persist, Recovered, Reply, Request, RoleKind, Server, Term, Time,
};

use crate::cluster::{Cluster, Disk, Happening, n};

pub(crate) const LIMITS: std::ops::Range<Duration> = Duration::from_millis(150)..Duration::from_millis(300);

pub(crate) fn cluster(count: u16) -> Cluster {
    Cluster::new(count, 7, |_| {})
}

pub(crate) fn plain(count: u16) -> Cluster {
    Cluster::new(count, 7, |options| (options.pre_vote, options.check_quorum) = (false, false))
}

/// A cluster of three in which n1 has this term, vote and log.
pub(crate) fn n1_with(term: Term, voted_for: Option<u16>, log: &[Term]) -> Cluster {
    let mut cluster = plain(3);
    cluster.install(n(1), recovered(term, voted_for, log));
    cluster.journal.clear();
    cluster
}

fn recovered(term: Term, voted_for: Option<u16>, log: &[Term]) -> Recovered {
    Recovered { hard_state: HardState { term, voted_for: voted_for.map(n) }, snapshot: None, entries: entries(1, log) }
}

fn entries(first: Index, terms: &[Term]) -> Vec<Entry> {
    terms.iter().zip(first..).map(|(term, index)| Entry { index, term: *term, payload: Payload::Noop }).collect()
}

pub(crate) fn elected(mut cluster: Cluster) -> Cluster {
    cluster.wake(n(1));
    cluster.deliver_all();
    assert_eq!(cluster.status(n(1)).role, RoleKind::Leader);
    cluster.journal.clear();
    cluster
}

/// What n1 answers when n2 asks.
pub(crate) fn ask(cluster: &mut Cluster, term: Term, request: Request) -> (Term, Reply) {
    cluster.receive(Message { from: n(2), to: n(1), term, call: 1, body: Body::Request(request) });
    let answer = cluster.take(n(1), n(2)).pop().expect("every request is answered");
    match answer.body {
        Body::Reply(reply) => (answer.term, reply),
        Body::Request(_) => panic!("{answer:?} is no answer"),
    }
}

fn ask_for_vote(cluster: &mut Cluster, term: Term, last: (Index, Term)) -> (Term, bool) {
    match ask(cluster, term, Request::RequestVote { last: LastEntry { index: last.0, term: last.1 }, transfer: false })
    {
        (term, Reply::RequestVote { granted }) => (term, granted),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn append(prev: (Index, Term), terms: &[Term], leader_commit: Index) -> Request {
    let (prev_log_index, prev_log_term) = prev;
    Request::AppendEntries(AppendEntries {
        prev_log_index,
        prev_log_term,
        entries: entries(prev_log_index + 1, terms),
        leader_commit,
    })
}

pub(crate) fn ask_to_append(cluster: &mut Cluster, term: Term, request: Request) -> (Term, AppendReply) {
    match ask(cluster, term, request) {
        (term, Reply::AppendEntries(reply)) => (term, reply),
        other => panic!("{other:?}"),
    }
}

fn terms(cluster: &Cluster) -> Vec<Term> {
    cluster.server(n(1)).unwrap().entries(1, usize::MAX).iter().map(|entry| entry.term).collect()
}

fn sent(cluster: &mut Cluster) -> Vec<Message> {
    let sent = |happening| match happening {
        Happening::Sent { message, .. } => Some(message),
        _ => None,
    };
    cluster.journal.drain(..).filter_map(sent).collect()
}

// §5.1

#[test]
fn section_5_1_a_later_term_in_a_request_makes_leader_and_candidate_followers() {
    for leads in [false, true] {
        let mut cluster = plain(3);
        cluster.wake(n(1));
        if leads {
            cluster.deliver_all();
        }
        assert_eq!(cluster.status(n(1)).role, if leads { RoleKind::Leader } else { RoleKind::Candidate });
        ask_to_append(&mut cluster, 9, append((0, 0), &[], 0));
        let status = cluster.status(n(1));
        assert_eq!((status.role, status.term, status.voted_for), (RoleKind::Follower, 9, None));
    }
}

#[test]
fn section_5_1_a_later_term_in_a_reply_makes_a_leader_a_follower() {
    let mut cluster = elected(plain(3));
    let body = Body::Reply(Reply::AppendEntries(AppendReply::StaleTerm));
    cluster.receive(Message { from: n(2), to: n(1), term: 2, call: 3, body });
    assert_eq!((cluster.status(n(1)).role, cluster.status(n(1)).term), (RoleKind::Follower, 2));
}

#[test]
fn section_5_1_requests_of_an_earlier_term_are_refused() {
    let mut cluster = n1_with(3, None, &[1]);
    assert_eq!(ask_for_vote(&mut cluster, 2, (5, 2)), (3, false));
    assert_eq!(ask_to_append(&mut cluster, 2, append((1, 1), &[2], 2)), (3, AppendReply::StaleTerm));
    assert_eq!((terms(&cluster), cluster.status(n(1)).commit_index), (vec![1], 0));
}

// §5.2

#[test]
fn section_5_2_a_server_starts_as_a_follower_whatever_its_disk_says() {
    let cluster = n1_with(3, Some(1), &[1, 3]);
    let status = cluster.status(n(1));
    assert_eq!((status.role, status.term, status.leader), (RoleKind::Follower, 3, None));
}

#[test]
fn section_5_2_a_candidate_votes_for_itself_in_a_new_term_and_asks_everybody() {
    let mut cluster = n1_with(4, None, &[1, 4]);
    cluster.wake(n(1));
    let status = cluster.status(n(1));
    assert_eq!((status.role, status.term, status.voted_for), (RoleKind::Candidate, 5, Some(n(1))));
    assert_eq!(cluster.durable(n(1)).hard_state, HardState { term: 5, voted_for: Some(n(1)) });
    let asked = sent(&mut cluster);
    let last = LastEntry { term: 4, index: 2 };
    let question = Body::Request(Request::RequestVote { last, transfer: false });
    assert!(asked.iter().all(|message| message.body == question && message.term == 5));
    assert_eq!(asked.iter().map(|message| message.to).collect::<Vec<_>>(), [n(2), n(3)]);
}

#[test]
fn section_5_2_a_majority_makes_a_leader_and_less_does_not() {
    for (count, votes, wins) in [(3, 0, false), (3, 1, true), (4, 1, false), (4, 2, true), (5, 1, false), (5, 2, true)]
    {
        let mut cluster = plain(count);
        cluster.wake(n(1));
        for voter in 2..2 + votes {
            cluster.take(n(1), n(voter)).into_iter().for_each(|message| cluster.receive(message));
            // A vote that comes twice counts once.
            let answers = cluster.take(n(voter), n(1));
            [answers.clone(), answers].concat().into_iter().for_each(|message| cluster.receive(message));
        }
        let role = if wins { RoleKind::Leader } else { RoleKind::Candidate };
        assert_eq!(cluster.status(n(1)).role, role, "{votes} of {count}");
    }
}

#[test]
fn section_5_2_one_vote_per_term_first_come_first_served() {
    let mut cluster = n1_with(2, Some(3), &[]);
    assert_eq!(ask_for_vote(&mut cluster, 2, (0, 0)), (2, false));
    assert_eq!(ask_for_vote(&mut cluster, 3, (0, 0)), (3, true));
    assert_eq!(ask_for_vote(&mut cluster, 3, (0, 0)), (3, true), "a repeated question has the same answer");
    assert_eq!(cluster.durable(n(1)).hard_state, HardState { term: 3, voted_for: Some(n(2)) });
}

#[test]
fn section_5_2_a_vote_of_an_earlier_term_does_not_count() {
    let mut cluster = n1_with(4, None, &[]);
    cluster.wake(n(1));
    // After a restart the numbers of calls begin anew, so the number of this one may be any.
    let body = Body::Reply(Reply::RequestVote { granted: true });
    cluster.receive(Message { from: n(2), to: n(1), term: 4, call: 99, body: body.clone() });
    assert_eq!(cluster.status(n(1)).role, RoleKind::Candidate);
    cluster.receive(Message { from: n(2), to: n(1), term: 5, call: 0, body });
    assert_eq!(cluster.status(n(1)).role, RoleKind::Candidate, "nor does one that nobody asked for");
}

#[test]
fn section_5_2_a_candidate_that_hears_from_the_leader_of_its_term_follows_it() {
    let mut cluster = plain(3);
    cluster.wake(n(1));
    assert_eq!(ask_to_append(&mut cluster, 1, append((0, 0), &[], 0)), (1, AppendReply::Matched(0)));
    let status = cluster.status(n(1));
    assert_eq!((status.role, status.leader, status.voted_for), (RoleKind::Follower, Some(n(2)), Some(n(1))));
}

#[test]
fn section_5_2_a_new_leader_announces_itself_at_once_and_then_at_every_heartbeat() {
    let mut cluster = plain(3);
    cluster.wake(n(1));
    cluster.deliver_all();
    let start = cluster.now;
    cluster.journal.clear();
    for beat in 1..=3 {
        cluster.wake(n(1));
        assert_eq!(cluster.now, start + beat * Duration::from_millis(50));
        assert_eq!(sent(&mut cluster).len(), 2);
        cluster.deliver_all();
        cluster.journal.clear();
    }
}

#[test]
fn section_5_2_election_time_outs_lie_within_their_limits() {
    let mut cluster = plain(3);
    let mut spans = BTreeSet::new();
    for _ in 0..1000 {
        let span = cluster.server(n(1)).unwrap().deadline().since(cluster.now);
        assert!(LIMITS.contains(&span), "{span:?}");
        spans.insert(span);
        cluster.wake(n(1));
    }
    assert!(spans.len() > 950, "{} of 1000 differ", spans.len());
    let (least, most) = (spans.first().unwrap(), spans.last().unwrap());
    assert!(*least < Duration::from_millis(152) && *most > Duration::from_millis(298), "{least:?} to {most:?}");
}

#[test]
fn section_5_2_election_time_outs_differ_between_servers_and_repeat_with_the_seed() {
    let spans = |seed| -> Vec<Time> {
        let cluster = Cluster::new(64, seed, |_| {});
        cluster.ids().into_iter().map(|id| cluster.server(id).unwrap().deadline()).collect()
    };
    assert_eq!(spans(1), spans(1));
    assert_ne!(spans(1), spans(2));
    let different: BTreeSet<Time> = spans(1).into_iter().collect();
    assert!(different.len() >= 63, "{} of 64 differ", different.len());
}

#[test]
fn section_5_2_only_a_leader_and_a_granted_vote_put_the_election_off() {
    let mut cluster = n1_with(1, None, &[1]);
    let deadline = |cluster: &Cluster| cluster.server(n(1)).unwrap().deadline();
    let first = deadline(&cluster);
    cluster.now = cluster.now + Duration::from_millis(100);
    assert_eq!(ask_for_vote(&mut cluster, 2, (0, 0)), (2, false));
    assert_eq!(deadline(&cluster), first, "a candidate that cannot win keeps nobody from trying");
    ask_to_append(&mut cluster, 1, append((1, 1), &[], 0));
    assert_eq!(deadline(&cluster), first, "nor does the leader of a term that is over");
    assert_eq!(ask_for_vote(&mut cluster, 2, (1, 1)), (2, true));
    let second = deadline(&cluster);
    assert!(second > first);
    cluster.now = cluster.now + Duration::from_millis(100);
    ask_to_append(&mut cluster, 2, append((1, 1), &[], 0));
    assert!(deadline(&cluster) > second);
}

// Figure 2

#[test]
fn figure_2_request_vote_compares_last_terms_and_then_lengths() {
    let cases = [((0, 0), false), ((9, 1), false), ((1, 2), false), ((2, 2), true), ((3, 2), true), ((1, 3), true)];
    for (last, granted) in cases {
        let mut cluster = n1_with(3, None, &[1, 2]);
        assert_eq!(ask_for_vote(&mut cluster, 4, last), (4, granted), "{last:?}");
    }
}

#[test]
fn figure_2_append_entries_finds_the_entry_before_or_says_where_to_look() {
    let conflict = |term, index| AppendReply::Conflict(Conflict { term, index });
    let cases = [
        ((0, 0), AppendReply::Matched(0)),
        ((1, 1), AppendReply::Matched(1)),
        ((5, 3), AppendReply::Matched(5)),
        ((6, 3), conflict(3, 5)),
        ((9, 4), conflict(3, 5)),
        ((5, 4), conflict(3, 5)),
        ((4, 4), conflict(2, 4)),
        ((1, 2), conflict(1, 1)),
        // An entry of a later term than prevLogTerm cannot be in the leader's log there.
        ((6, 2), conflict(2, 4)),
        ((5, 2), conflict(2, 4)),
        ((4, 1), conflict(1, 1)),
        ((9, 0), conflict(0, 0)),
    ];
    for (prev, expected) in cases {
        let mut cluster = n1_with(4, None, &[1, 2, 2, 2, 3]);
        assert_eq!(ask_to_append(&mut cluster, 4, append(prev, &[], 0)), (4, expected), "{prev:?}");
        assert_eq!(terms(&cluster), [1, 2, 2, 2, 3], "a probe changes nothing");
    }
}

#[test]
fn figure_2_append_entries_discards_only_what_conflicts() {
    type Case = ((Index, Term), &'static [Term], &'static [Term]);
    let cases: [Case; 6] = [
        ((3, 2), &[], &[1, 2, 2, 3]),
        ((0, 0), &[1, 2], &[1, 2, 2, 3]),
        ((4, 3), &[4], &[1, 2, 2, 3, 4]),
        ((3, 2), &[4], &[1, 2, 2, 4]),
        ((1, 1), &[2, 4, 4], &[1, 2, 4, 4]),
        ((0, 0), &[4], &[4]),
    ];
    for (prev, new, after) in cases {
        let mut cluster = n1_with(4, None, &[1, 2, 2, 3]);
        let matched = AppendReply::Matched(prev.0 + new.len() as Index);
        assert_eq!(ask_to_append(&mut cluster, 4, append(prev, new, 0)), (4, matched));
        assert_eq!(terms(&cluster), after, "{prev:?} {new:?}");
        let durable: Vec<Term> = cluster.durable(n(1)).entries.iter().map(|entry| entry.term).collect();
        assert_eq!(durable, after, "what is acknowledged is durable");
    }
}

#[test]
fn section_5_3_entries_of_a_term_commit_when_a_majority_stores_them() {
    for (count, stored_by, commits) in [(3, 1, true), (4, 1, false), (4, 2, true), (5, 1, false), (5, 2, true)] {
        let mut cluster = elected(plain(count));
        cluster.propose(n(1), &["a"]).unwrap();
        for follower in 2..2 + stored_by {
            cluster.take(n(1), n(follower)).into_iter().for_each(|message| cluster.receive(message));
            cluster.take(n(follower), n(1)).into_iter().for_each(|message| cluster.receive(message));
        }
        assert_eq!(cluster.status(n(1)).commit_index == 2, commits, "{stored_by} followers of {count}");
    }
}

#[test]
fn section_5_3_an_acknowledgement_of_an_earlier_term_does_not_count() {
    let mut cluster = elected(n1_with(4, None, &[1, 4]));
    cluster.propose(n(1), &["a"]).unwrap();
    // n2 had an index 4 in term 4, too, and lost it since.
    let body = Body::Reply(Reply::AppendEntries(AppendReply::Matched(4)));
    cluster.receive(Message { from: n(2), to: n(1), term: 4, call: 9, body });
    assert_eq!(cluster.status(n(1)).commit_index, 3);
}

#[test]
fn section_5_3_a_batch_keeps_to_its_limits_and_is_never_empty() {
    for (max_entries, max_bytes, sizes) in
        [(2, 1000, [2, 2, 1]), (9, 8, [2, 2, 1]), (2, 0, [1, 1, 1]), (0, 0, [1, 1, 1])]
    {
        let mut cluster = elected(Cluster::new(2, 7, |options| {
            (options.max_append_entries, options.max_append_bytes) = (max_entries, max_bytes);
        }));
        cluster.propose(n(1), &["1234", "1234", "1234", "1234", "1234"]).unwrap();
        cluster.deliver_all();
        let carried = sent(&mut cluster).into_iter().filter_map(|message| match message.body {
            Body::Request(Request::AppendEntries(append)) if !append.entries.is_empty() => Some(append.entries.len()),
            _ => None,
        });
        assert_eq!(carried.take(3).collect::<Vec<_>>(), sizes, "{max_entries} entries, {max_bytes} bytes");
        assert_eq!(cluster.status(n(2)).last_index, 6);
    }
}

// §5.4.2: `figure_8_…` among the transcripts. §8:

#[test]
fn section_8_a_leader_begins_its_term_with_a_no_op() {
    let cluster = elected(n1_with(4, None, &[1, 4]));
    let log = cluster.server(n(1)).unwrap().entries(1, usize::MAX);
    assert_eq!(log.last(), Some(&Entry { index: 3, term: 5, payload: Payload::Noop }));
    assert_eq!(cluster.status(n(1)).commit_index, 3);
}

#[test]
fn section_8_a_server_that_does_not_lead_says_who_does() {
    let mut cluster = elected(plain(3));
    assert_eq!(cluster.propose(n(2), &["a"]), Err(NotLeader { leader: Some(n(1)) }.into()));
    cluster.wake(n(2));
    assert_eq!(cluster.propose(n(2), &["a"]), Err(NotLeader { leader: None }.into()));
}

// The contract with a driver

#[test]
fn a_long_replay_is_handed_out_in_parts_and_asks_to_be_called() {
    let cases = [(4096, 10_000, vec![4096, 4096, 1809]), (2, 4, vec![2, 2, 1]), (0, 2, vec![1, 1, 1])];
    for (max_committed_per_ready, length, parts) in cases {
        let configuration = Configuration::new([n(1)]);
        let options = Options { max_committed_per_ready, ..Options::new(n(1), configuration, 7) };
        assert_eq!(replay_of(options, length), parts, "at most {max_committed_per_ready} of {length} and a no-op");
    }
}

/// How many entries a server that is alone hands out at once when it starts with so many.
fn replay_of(options: Options, length: usize) -> Vec<usize> {
    let on_disk = recovered(1, None, &vec![1; length]);
    let mut disk = Disk::with(on_disk.clone());
    let mut server = Server::new(options, on_disk, Time::default());
    let mut parts = Vec::new();
    for _ in 0..6 {
        let now = server.deadline();
        server.tick(now);
        let ready = server.ready();
        for persisted in Persist::sync_all(ready.persist.into_iter().collect(), &mut disk).unwrap() {
            assert!(server.persisted(now, persisted).is_empty(), "there is nobody to talk to");
        }
        parts.extend((!ready.committed.is_empty()).then_some(ready.committed.len()));
        let waits = server.status().commit_index as usize > parts.iter().sum();
        assert_eq!(server.deadline() <= now, waits, "at once while entries wait, and else not");
    }
    parts
}

/// What a server shows, which hosts and judges rely on.
#[test]
fn a_server_shows_its_log_its_members_and_what_its_followers_have() {
    let mut cluster = elected(cluster(3));
    for command in ["a", "b", "c"] {
        cluster.propose(n(1), &[command]).unwrap();
        cluster.deliver_all();
    }
    let server = cluster.server(n(1)).unwrap();
    assert_eq!(server.hard_state(), HardState { term: 1, voted_for: Some(n(1)) });
    assert_eq!(server.configuration(), Configuration::new(NodeId::first(3)).as_ref());
    assert_eq!((server.first_index(), server.last().index), (1, 4));
    assert_eq!((server.match_index(n(2)), server.match_index(n(9))), (Some(4), None));
    assert!(server.snapshot().is_none());
    assert_eq!(cluster.server(n(2)).unwrap().match_index(n(1)), None, "it does not lead");

    let index = cluster.compact(n(1), 1).unwrap();
    let server = cluster.server(n(1)).unwrap();
    assert_eq!((index, server.snapshot().map(|snapshot| snapshot.last.index)), (4, Some(4)));
    assert_eq!((server.first_index(), server.entries(4, 9).len(), server.entries(3, 9).len()), (4, 1, 0));
}
