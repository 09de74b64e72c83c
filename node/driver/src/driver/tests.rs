//! Tests of the driver. The test is the host: it gives inputs one by one, and so controls their order.

use std::convert::Infallible;
use std::time::Duration;

use raftian_raft::{
    AppendEntries, AppendReply, Body, Configuration, Entry, Index, InstallSnapshot, LastEntry, Payload, Persist,
    Recovered, Reply, Request, RoleKind, Snapshot, SnapshotReply, Storage, Term, Write,
};

use super::*;
use crate::SnapshotTaken;

mod shown;

/// Pending requests are identified by names, and calls by numbers.
#[derive(Debug)]
struct Names;

impl Host for Names {
    type Call = u64;
    type Command = &'static str;
    type Read = &'static str;
    type Snapshot = &'static str;
}

struct NoDisk;

impl Storage for NoDisk {
    type Error = Infallible;

    fn append(&mut self, _: &Write) -> Result<(), Infallible> {
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A driver of n1, and the effects that are still to be carried out.
struct Bench {
    driver: Driver<Names>,
    now: Time,
    /// Calls to peers that are not answered yet.
    calls: Vec<Message>,
    /// Writes that are not durable yet.
    writes: Vec<Persist>,
    /// The snapshot that is being restored.
    restoring: Option<RestoreJob>,
    /// The other effects as text, in order.
    log: Vec<String>,
}

fn id(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

impl Bench {
    /// A driver in a cluster of this many servers, with the state that was recovered from its disk.
    fn new(servers: u16, recovered: Recovered) -> Bench {
        let core = raftian_raft::Options {
            campaigns_first: servers == 1,
            ..raftian_raft::Options::new(id(1), Configuration::new(NodeId::first(servers)), 1)
        };
        let machine = Machine::new(AppKind::Kv, 1).unwrap();
        let now = Time::default();
        let server = Server::new(core, recovered, now);
        let driver = Driver::new(Options::new(AppKind::Kv), server, machine);
        let (calls, writes, log) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Bench { driver, now, calls, writes, restoring: None, log };
        bench.driver.take_part();
        bench.turn();
        bench
    }

    /// The leader of a cluster of one, with its no-op applied.
    fn leading() -> Bench {
        let mut bench = Bench::new(1, Recovered::default());
        (0..2).for_each(|_| bench.sync());
        assert_eq!(bench.driver.machine().last_applied(), 1);
        bench.log.clear();
        bench
    }

    /// Elects n1: its election time-out elapses, and the others grant their votes.
    fn elect(&mut self) {
        self.calls.clear();
        self.now = Time(self.now.0 + Duration::from_secs(1));
        self.turn();
        while self.driver.server().role() != RoleKind::Leader {
            self.sync();
            for Message { to, term, call, body, .. } in std::mem::take(&mut self.calls) {
                let reply = match body {
                    Body::Request(Request::PreVote(_)) => Reply::PreVote { granted: true },
                    _ => Reply::RequestVote { granted: true },
                };
                self.driver.reply(self.now, Message { from: to, to: id(1), term, call, body: Body::Reply(reply) });
            }
            self.turn();
        }
        self.sync();
        self.log.clear();
    }

    /// Takes all effects and carries them out as far as possible.
    fn turn(&mut self) {
        self.driver.tick(self.now);
        self.driver.turn(|_, _| {});
        while let Some(effect) = self.driver.next_effect() {
            let words = match effect {
                Effect::Write(persist) => {
                    self.writes.push(persist);
                    "write".to_owned()
                }
                Effect::Restore(job) => {
                    let words = format!("restore {}", job.snapshot().last_index());
                    self.restoring = Some(job);
                    words
                }
                Effect::Stage(job) => {
                    self.driver.staged(Ok(job.encode()));
                    "stage".to_owned()
                }
                Effect::DiscardStaged(snapshot) => format!("discard {}", snapshot.last_index()),
                Effect::Reply(call, Ok(Message { body: Body::Reply(reply), .. })) => format!("{call}: {reply:?}"),
                Effect::Reply(call, _) => format!("{call}: refused"),
                Effect::Command(client, outcome) => format!("{client}: {outcome:?}"),
                Effect::Read(client, outcome) => format!("{client}: {outcome:?}"),
                Effect::Snapshot(asker, outcome) => format!("{asker}: {outcome:?}"),
                Effect::Forward { leader, question: Question::Command(_, client) } => format!("{client} to {leader}"),
                Effect::Forward { leader, question: Question::Read(_, client) } => format!("{client} to {leader}"),
                Effect::Applied { entry, .. } => format!("apply {}", entry.index),
                Effect::Replaced => "replaced".to_owned(),
                Effect::Call(message) => {
                    self.calls.push(message);
                    continue;
                }
                Effect::Event(_) | Effect::Refused(_) | Effect::SnapshotGivenUp(_) => continue,
            };
            self.log.push(words);
        }
    }

    /// All writes become durable.
    fn sync(&mut self) {
        let Ok(persisted) = Persist::sync_all(std::mem::take(&mut self.writes), &mut NoDisk);
        self.driver.persisted(self.now, persisted);
        self.turn();
    }

    /// The snapshot is restored.
    fn restore(&mut self) {
        let job = self.restoring.take().expect("a snapshot to restore");
        self.driver.restored(job.restore().unwrap());
        self.turn();
    }

    /// A request of n2, which leads term 1.
    fn ask(&mut self, call: u64, request: Request) {
        self.ask_in(1, call, request);
    }

    /// A request of n2, which leads this term.
    fn ask_in(&mut self, term: Term, call: u64, request: Request) {
        let message = Message { from: id(2), to: id(1), term, call, body: Body::Request(request) };
        self.driver.request(self.now, message, call);
        self.turn();
    }

    fn submit(&mut self, route: Route, client: &'static str) {
        let command = format!(r#"{{"client":"{client}","serial":1,"op":{{"set":["k","v"]}}}}"#);
        self.driver.submit(self.now, command.into(), route, client);
        self.turn();
    }

    fn read(&mut self, route: Route, client: &'static str) {
        let get = RawValue::from_string(r#"{"get":"k"}"#.to_owned()).unwrap();
        self.driver.read(self.now, get, Consistency::Linearizable, route, client);
        self.turn();
    }

    /// Asserts the effects since the last call, as text.
    #[track_caller]
    fn wants(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.log), expected);
    }
}

/// A snapshot of the state after this many no-ops.
fn snapshot(last_index: Index) -> Snapshot {
    let mut machine = Machine::new(AppKind::Kv, 1).unwrap();
    (1..=last_index).for_each(|index| drop(machine.apply(&noop(index))));
    Snapshot {
        last: LastEntry { term: 1, index: last_index },
        configuration: Configuration::new(NodeId::first(3)).unwrap(),
        data: Bytes::from(machine.snapshot().encode()),
    }
}

fn install(last_index: Index) -> Request {
    let Snapshot { last, configuration, data } = snapshot(last_index);
    Request::InstallSnapshot(InstallSnapshot { last, configuration, size: data.len() as u64, offset: 0, data })
}

fn noop(index: Index) -> Entry {
    Entry { index, term: 1, payload: Payload::Noop }
}

/// A committed entry of the leader.
fn committed(index: Index) -> Request {
    let (prev_log_index, prev_log_term) = (index - 1, 1.min(index - 1));
    let entries = vec![noop(index)];
    Request::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, leader_commit: index })
}

#[test]
fn what_rests_on_a_leaders_snapshot_waits_until_its_state_is_restored() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.ask(1, install(7));
    bench.wants(&["restore 7"]);
    [8, 9].into_iter().for_each(|index| bench.ask(index, committed(index)));
    bench.wants(&[]);
    assert!(bench.driver.is_restoring());
    assert_eq!((bench.driver.server().commit_index(), bench.driver.machine().last_applied()), (9, 0));

    bench.restore();
    bench.wants(&["replaced", "write", "write", "apply 8", "write", "apply 9"]);
    bench.sync();
    let installed = format!("1: {:?}", Reply::InstallSnapshot(SnapshotReply::Installed(7)));
    let matched = [8, 9].map(|index| format!("{index}: {:?}", Reply::AppendEntries(AppendReply::Matched(index))));
    bench.wants(&[&installed, &matched[0], &matched[1]]);
}

#[test]
fn a_second_snapshot_waits_for_the_first() {
    let mut bench = Bench::new(3, Recovered::default());
    [(1, 7), (2, 20)].into_iter().for_each(|(call, index)| bench.ask(call, install(index)));
    bench.ask(3, committed(21));
    bench.wants(&["restore 7"]);
    bench.restore();
    bench.wants(&["replaced", "write", "restore 20"]);
    assert_eq!(bench.driver.machine().last_applied(), 7);
    bench.restore();
    bench.wants(&["replaced", "write", "write", "apply 21"]);
}

#[test]
fn the_snapshot_on_a_disk_is_restored_before_the_log_is_applied() {
    let recovered = Recovered {
        hard_state: raftian_raft::HardState { term: 1, voted_for: None },
        snapshot: Some(snapshot(7)),
        entries: vec![noop(8)],
    };
    let mut bench = Bench::new(3, recovered);
    bench.wants(&["restore 7"]);
    bench.restore();
    bench.ask(
        1,
        Request::AppendEntries(AppendEntries {
            prev_log_index: 8,
            prev_log_term: 1,
            entries: Vec::new(),
            leader_commit: 8,
        }),
    );
    let matched = format!("1: {:?}", Reply::AppendEntries(AppendReply::Matched(8)));
    bench.wants(&["replaced", &matched, "apply 8"]);
}

#[test]
fn a_snapshot_asked_for_while_a_leaders_is_restored_waits_for_it() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.ask(1, install(7));
    bench.driver.snapshot(0, "asker");
    bench.turn();
    bench.wants(&["restore 7"]);
    bench.restore();
    let refused = SnapshotRefused::Refused("there is a snapshot up to index 7 already".into());
    assert!(bench.log.contains(&format!("asker: {:?}", Err::<SnapshotTaken, _>(refused))), "{:?}", bench.log);
}

#[test]
fn a_leaders_snapshot_that_comes_while_another_is_staged_wins() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.ask(1, committed(1));
    bench.sync();
    let staged = snapshot(1);
    bench.ask(2, install(7));
    bench.restore();
    bench.log.clear();
    bench.driver.staged(Ok(staged));
    bench.turn();
    bench.wants(&["discard 1"]);
}

#[test]
fn an_asker_hears_of_a_snapshot_when_it_is_durable() {
    let mut bench = Bench::leading();
    bench.driver.snapshot(0, "asker");
    bench.turn();
    bench.wants(&["stage"]);
    bench.turn();
    bench.wants(&["write"]);
    bench.sync();
    let [answer] = &bench.log[..] else { panic!("{:?}", bench.log) };
    assert!(answer.starts_with("asker: Ok(SnapshotTaken { last: LastEntry { term: 1, index: 1 }"), "{answer}");
    assert_eq!((bench.driver.counters().snapshots, bench.driver.server().first_index()), (1, 2));
}

#[test]
fn a_command_is_written_before_it_is_applied_and_then_answered() {
    let mut bench = Bench::leading();
    bench.submit(Route::Direct, "a");
    bench.wants(&["write"]);
    assert_eq!(bench.driver.pending(), 1);
    bench.sync();
    let [applied, answer] = &bench.log[..] else { panic!("{:?}", bench.log) };
    assert_eq!(applied, "apply 2");
    assert!(answer.starts_with("a: Applied { index: 2, term: 1, duplicate: false"), "{answer}");
    assert_eq!(bench.driver.pending(), 0);
}

#[test]
fn a_read_is_served_when_its_index_is_applied() {
    let mut bench = Bench::leading();
    bench.read(Route::Direct, "r");
    let [answer] = &bench.log[..] else { panic!("{:?}", bench.log) };
    assert!(answer.starts_with("r: Served { index: 1"), "{answer}");
    assert_eq!(bench.driver.counters().reads, 1);
}

#[test]
fn a_follower_passes_on_what_comes_from_a_client_and_nothing_else() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.submit(Route::Direct, "a");
    bench.read(Route::Direct, "r");
    bench.wants(&["a: NoLeader", "r: NoLeader"]);
    bench.ask(1, committed(1));
    bench.log.clear();
    bench.submit(Route::Direct, "a");
    bench.read(Route::Direct, "r");
    bench.submit(Route::Forwarded, "b");
    bench.read(Route::Forwarded, "s");
    let refused = [
        format!("b: {:?}", CommandOutcome::NotLeader { leader: NodeId::new(2) }),
        format!("s: {:?}", ReadOutcome::NotLeader { leader: NodeId::new(2) }),
    ];
    bench.wants(&["a to n2", "r to n2", &refused[0], &refused[1]]);
    assert_eq!(bench.driver.counters().forwarded, 1);
}

/// Entries of n2, which leads this term, from the beginning of the log on; all are committed.
fn entries_of(term: Term, count: Index) -> Request {
    let command = r#"{"client":"x","serial":1,"op":{"set":["k","x"]}}"#;
    let entry = |index| Entry { index, term, payload: Payload::Command(command.into()) };
    let entries = (1..=count).map(entry).collect();
    Request::AppendEntries(AppendEntries { prev_log_index: 0, prev_log_term: 0, entries, leader_commit: count })
}

#[test]
fn a_command_whose_index_went_to_an_entry_of_another_leader_was_replaced() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.elect();
    bench.submit(Route::Direct, "a");
    bench.log.clear();
    bench.ask_in(9, 1, entries_of(9, 2));
    bench.wants(&["write", "apply 1", "apply 2", "a: Replaced"]);
}

#[test]
fn a_command_whose_index_another_command_takes_here_has_an_unknown_outcome() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.elect();
    // At 2 and 3, after the no-op.
    ["a", "b"].into_iter().for_each(|client| bench.submit(Route::Direct, client));
    // n2 leads with another first entry, and then crashes.
    let Request::AppendEntries(append) = entries_of(9, 1) else { unreachable!() };
    bench.ask_in(9, 1, Request::AppendEntries(AppendEntries { leader_commit: 0, ..append }));
    bench.elect();
    bench.submit(Route::Direct, "c");
    assert_eq!(bench.driver.server().last().index, 3);
    bench.wants(&["b: Unknown", "write"]);
    assert_eq!(bench.driver.pending(), 2, "a may be replaced yet, and c applied");
}

#[test]
fn a_read_at_a_deposed_leader_goes_the_way_it_would_have_gone_at_a_follower() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.elect();
    bench.read(Route::Direct, "r");
    bench.read(Route::Forwarded, "s");
    bench.wants(&[]);
    bench.ask_in(9, 1, entries_of(9, 0));
    bench.wants(&["write", "r: NoLeader", "s: NotLeader { leader: None }"]);
}

#[test]
fn what_is_no_read_is_refused_by_any_server() {
    let mut bench = Bench::new(3, Recovered::default());
    let set = RawValue::from_string(r#"{"set":["k","v"]}"#.to_owned()).unwrap();
    bench.driver.read(bench.now, set, Consistency::Linearizable, Route::Direct, "r");
    bench.turn();
    let [refused] = &bench.log[..] else { panic!("{:?}", bench.log) };
    assert!(refused.starts_with("r: NotARead("), "{refused}");
}

#[test]
fn a_snapshot_that_stands_for_no_state_is_refused_with_where_it_comes_from() {
    let reason = |bench: &Bench| bench.restoring.as_ref().expect("a snapshot").restore().unwrap_err();
    let bad = Snapshot { last: LastEntry { term: 1, index: 9 }, ..snapshot(7) };
    let recovered = Recovered { snapshot: Some(bad.clone()), ..Recovered::default() };
    let expected = "n1 cannot go on from the snapshot up to index 9 on its disk: it has a state up to index 7; \
                    nothing on its disk was changed";
    assert_eq!(reason(&Bench::new(3, recovered)), expected);

    let mut bench = Bench::new(3, Recovered::default());
    let Snapshot { last, configuration, data } = bad;
    let size = data.len() as u64;
    bench.ask(1, Request::InstallSnapshot(InstallSnapshot { last, configuration, size, offset: 0, data }));
    assert_eq!(reason(&bench), expected.replace("on its disk: ", "that n2 sent: "));
}

#[test]
fn a_request_that_comes_twice_is_answered_twice() {
    let mut bench = Bench::new(3, Recovered::default());
    for _ in 0..2 {
        let message = Message { from: id(2), to: id(1), term: 1, call: 7, body: Body::Request(committed(1)) };
        bench.driver.request(bench.now, message, 7);
    }
    bench.turn();
    bench.sync();
    let matched = format!("7: {:?}", Reply::AppendEntries(AppendReply::Matched(1)));
    bench.wants(&["write", "apply 1", &matched, &matched]);
}

#[test]
fn what_no_server_would_send_is_refused_and_changes_nothing() {
    let mut bench = Bench::new(3, Recovered::default());
    let message = Message { from: id(2), to: id(3), term: 1, call: 7, body: Body::Request(committed(1)) };
    bench.driver.request(bench.now, message, 7);
    bench.turn();
    bench.wants(&["7: refused"]);
    assert_eq!(bench.driver.server().last().index, 0);
}

#[test]
fn a_node_that_stops_answers_all_who_wait() {
    let mut bench = Bench::leading();
    bench.submit(Route::Direct, "a");
    bench.driver.snapshot(0, "asker");
    bench.log.clear();
    bench.driver.stop();
    bench.turn();
    assert_eq!(bench.log[0], "a: Unknown");
    assert!(bench.log[1].starts_with("asker: Err(Failed("), "{:?}", bench.log);
    assert_eq!(bench.driver.pending(), 0);
}
