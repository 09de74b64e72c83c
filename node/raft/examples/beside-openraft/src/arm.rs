//! Three openraft replicas on one thread.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use openraft::{Config, Raft, SnapshotPolicy};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::ours::{COMMAND_BYTES, LONE, MAX_LOG, report};
use crate::store::{Log, Machine};

openraft::declare_raft_types!(
    /// 64 bytes in, nothing out.
    pub(crate) Types:
        D = Command,
        R = (),
        Node = (),
);

/// A command: openraft wants it to have a `Display`.
#[derive(Clone, Debug)]
pub(crate) struct Command(pub(crate) Bytes);

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

type Replica = Raft<Types, Machine>;

/// Who can be called.
type Book = Rc<std::cell::RefCell<BTreeMap<u64, Replica>>>;

pub(crate) fn main() {
    report("lone command, µs", |time| {
        let mut cluster = Cluster::new();
        for _ in 0..LONE {
            cluster.propose(1);
        }
        time() * 1e6 / LONE as f64
    });
    for batch in [10, 100, 1_000, 4_000] {
        report(&format!("batches of {batch}, million entries/s"), |time| {
            let mut cluster = Cluster::new();
            let batches = 1_000_000 / batch;
            for _ in 0..batches {
                cluster.propose(batch);
            }
            (batches * batch) as f64 / 1e6 / time()
        });
    }
}

/// Three replicas, of which the first leads.
struct Cluster {
    leader: Replica,
    runtime: Runtime,
    local: LocalSet,
}

impl Cluster {
    fn new() -> Cluster {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let local = LocalSet::new();
        let leader = local.block_on(&runtime, start());
        Cluster { leader, runtime, local }
    }

    /// Proposes commands that share a buffer, and waits until all of them are applied.
    fn propose(&mut self, count: u64) {
        let buffer = Bytes::from(vec![b'x'; COMMAND_BYTES * count as usize]);
        let command = |nth: usize| Command(buffer.slice(nth * COMMAND_BYTES..(nth + 1) * COMMAND_BYTES));
        self.local.block_on(&self.runtime, async {
            let written = self.leader.client_write_many((0..count as usize).map(command)).await.expect("it leads");
            let done = written.map(|one| one.expect("it runs").expect("it leads")).count().await;
            assert_eq!(done as u64, count);
        });
    }
}

async fn start() -> Replica {
    let config = Config {
        election_timeout_min: 1500,
        election_timeout_max: 3000,
        heartbeat_interval: 500,
        max_payload_entries: 4096,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(MAX_LOG),
        max_in_snapshot_log_to_keep: 0,
        ..Config::default()
    };
    let config = Arc::new(config.validate().expect("a valid configuration"));
    let book = Book::default();
    for id in 1..=3 {
        let network = Network(Rc::clone(&book));
        let replica = Raft::new(id, Arc::clone(&config), network, Log::default(), Machine::default()).await;
        book.borrow_mut().insert(id, replica.expect("it starts"));
    }
    let leader = book.borrow()[&1].clone();
    leader.initialize(BTreeMap::from([(1, ()), (2, ()), (3, ())])).await.expect("a fresh cluster");
    leader.wait(Some(Duration::from_secs(10))).current_leader(1, "the first one leads").await.expect("a leader");
    leader
}

/// Whom a replica calls.
struct Network(Book);

impl RaftNetworkFactory<Types> for Network {
    type Network = Line;

    async fn new_client(&mut self, target: u64, (): &()) -> Line {
        Line { book: Rc::clone(&self.0), target }
    }
}

/// The way from one replica to another.
pub(crate) struct Line {
    book: Book,
    target: u64,
}

impl Line {
    fn target(&self) -> Replica {
        self.book.borrow()[&self.target].clone()
    }
}

fn unreachable<E: std::error::Error + 'static>(error: &E) -> Unreachable<Types> {
    Unreachable::new(error)
}

impl RaftNetworkV2<Types> for Line {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let answer = self.target().append_entries(rpc).await;
        answer.map_err(|error| RPCError::Unreachable(unreachable(&error)))
    }

    async fn vote(&mut self, rpc: VoteRequest<Types>, _: RPCOption) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let answer = self.target().vote(rpc).await;
        answer.map_err(|error| RPCError::Unreachable(unreachable(&error)))
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, ()>,
        _: impl Future<Output = ReplicationClosed> + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let answer = self.target().install_full_snapshot(vote, snapshot).await;
        answer.map_err(|error| StreamingError::Unreachable(unreachable(&error)))
    }
}
