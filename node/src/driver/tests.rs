//! A driver without a loop: the test hands it its inputs one by one, and so knows what happened before what.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use raftian_raft::{
    AppendEntries, AppendReply, Configuration, HardState, Index, InstallSnapshot, LastEntry, Options, Payload,
    Recovered, Reply, Request, SnapshotReply,
};
use raftian_rpc::VERSION;
use raftian_rpc::assignment::{Durability, Trim};
use raftian_rpc::control::{Compaction, ReadMode, Timing};
use raftian_rpc::secret::Secret;
use tokio::sync::oneshot;

use super::*;
use crate::disk::NodeDisk;
use crate::global_lock::GlobalLock;
use crate::inbox::Mailbox;
use crate::storage::{self, Opened};

/// Where a reply comes.
type Pending = oneshot::Receiver<Result<Message, NodeError>>;

/// A driver of n1, one of three, and its inbox.
struct Bench {
    driver: Driver,
    inputs: mpsc::UnboundedReceiver<Input>,
    folder: PathBuf,
}

fn id(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

fn config(folder: PathBuf) -> NodeConfig {
    NodeConfig {
        version: VERSION.into(),
        id: id(1),
        voters: NodeId::first(3).collect(),
        port: 0,
        expects_log: false,
        folder,
        secret: Secret::generate().unwrap(),
        seed: 1,
        app: AppKind::Kv,
        players: 1,
        timing: Timing::default(),
        compaction: Compaction::default(),
        reads: ReadMode::default(),
        game: None,
        trim: Trim::default(),
    }
}

impl Bench {
    fn new() -> Bench {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("raftian-driver-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let config = config(std::env::temp_dir().join(name));
        let Mailbox { inbox, inputs } = Mailbox::new();
        let disk = NodeDisk::open(&config.folder.join("wal"), Durability::Synced).unwrap();
        let Opened { wal, syncs, .. } = storage::open(disk, config.id, false).unwrap();
        let options = Options::new(config.id, Configuration::new(NodeId::first(3)), config.seed);
        let server = Server::new(options, Recovered::default(), Time::default());
        let storage = Storage::start(wal, syncs, inbox.clone()).unwrap();
        let peers = Arc::new(Peers::new(&config, GlobalLock::default()));
        let trace = Trace::open(&config.folder.join("trace.jsonl"), config.id).unwrap();
        let driver = Driver::new(&config, server, storage, peers, trace, inbox).unwrap();
        Bench { driver, inputs, folder: config.folder }
    }

    /// As the driver's loop does it.
    fn take(&mut self, input: Input) {
        assert!(self.driver.handle(input).is_none(), "it goes on");
        let ready = self.driver.server.ready();
        self.driver.carry_out(ready);
    }

    /// n2, who leads term 1, asks.
    fn ask(&mut self, call: u64, request: Request) -> Pending {
        let (answer, reply) = oneshot::channel();
        let message = Message { from: id(2), to: id(1), term: 1, call, body: Body::Request(request) };
        self.take(Input::Request(message, answer));
        reply
    }

    /// The reply, once what comes in until then is taken in.
    async fn reply(&mut self, mut reply: Pending) -> Reply {
        loop {
            if let Ok(answered) = reply.try_recv() {
                let Body::Reply(reply) = answered.unwrap().body else { panic!("no reply") };
                return reply;
            }
            let input = self.inputs.recv().await.unwrap();
            self.take(input);
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A leader's snapshot, whole, of a state that came of so many no-ops.
fn snapshot_up_to(last_index: Index) -> Request {
    let mut machine = Machine::new(AppKind::Kv, 1).unwrap();
    (1..=last_index).for_each(|index| drop(machine.apply(&noop(index))));
    let data = Bytes::from(machine.snapshot().encode());
    Request::InstallSnapshot(InstallSnapshot {
        last: LastEntry { term: 1, index: last_index },
        configuration: Configuration::new(NodeId::first(3)).unwrap(),
        size: data.len() as u64,
        offset: 0,
        data,
    })
}

fn noop(index: Index) -> Entry {
    Entry { index, term: 1, payload: Payload::Noop }
}

/// An entry of the leader's that is committed.
fn committed(index: Index) -> Request {
    let (prev_log_index, prev_log_term) = (index - 1, 1);
    let entries = vec![noop(index)];
    Request::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, leader_commit: index })
}

#[tokio::test]
async fn what_rests_on_a_leaders_snapshot_waits_until_its_state_is_restored() {
    let mut bench = Bench::new();
    let installed = bench.ask(1, snapshot_up_to(7));
    let appended = [8, 9].map(|index| bench.ask(index, committed(index)));
    assert_eq!(bench.driver.server.commit_index(), 9, "the core is ahead of the application");
    assert_eq!(bench.driver.machine.last_applied(), 0);

    // Had anything been written already, that would be heard of first.
    let first = bench.inputs.recv().await.unwrap();
    assert!(matches!(first, Input::Restored(Ok(_))), "{first:?}");
    bench.take(first);
    assert_eq!(bench.driver.machine.last_applied(), 9);
    assert_eq!(bench.reply(installed).await, Reply::InstallSnapshot(SnapshotReply::Installed(7)));
    for (reply, index) in appended.into_iter().zip([8, 9]) {
        assert_eq!(bench.reply(reply).await, Reply::AppendEntries(AppendReply::Matched(index)));
    }
    assert_eq!(bench.driver.server.hard_state(), HardState { term: 1, voted_for: None });
}

#[tokio::test]
async fn a_second_snapshot_waits_for_the_first() {
    let mut bench = Bench::new();
    let replies = [(1, 7), (2, 20)].map(|(call, index)| (bench.ask(call, snapshot_up_to(index)), index));
    let appended = bench.ask(3, committed(21));
    let first = bench.inputs.recv().await.unwrap();
    bench.take(first);
    assert_eq!(bench.driver.machine.last_applied(), 7);
    for (reply, index) in replies {
        assert_eq!(bench.reply(reply).await, Reply::InstallSnapshot(SnapshotReply::Installed(index)));
    }
    assert_eq!(bench.reply(appended).await, Reply::AppendEntries(AppendReply::Matched(21)));
    assert_eq!(bench.driver.machine.last_applied(), 21);
}

#[tokio::test]
async fn a_snapshot_begun_while_a_leaders_is_restored_comes_to_nothing() {
    let mut bench = Bench::new();
    let installed = bench.ask(1, snapshot_up_to(7));
    let (answer, mut taken) = oneshot::channel();
    bench.take(Input::Snapshot(0, answer));
    bench.driver.begin_snapshot();
    let refused = taken.try_recv().unwrap().unwrap_err();
    assert_eq!(refused, NodeError::Refused { why: "there is a snapshot up to index 7 already".into() });
    assert_eq!(bench.reply(installed).await, Reply::InstallSnapshot(SnapshotReply::Installed(7)));
}
