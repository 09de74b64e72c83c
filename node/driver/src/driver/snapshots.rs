//! Snapshots: from the application's state to the log's, and back (§7).
//!
//! Both ways take long where the state is large, so most of each is a job that the host does elsewhere: a state is encoded
//! and written beside the log before the core hears of it, so that all the log has to do is to give the file its name; and
//! a leader's snapshot is decoded while the driver goes on listening to the leader. Its answers wait until that is done: to
//! the others this node is a slow one meanwhile.
//!
//! Invariant: only the driver changes its machine. A job works on a copy, or makes a new one.
//!
//! Deliberately absent: when a snapshot is due, and who waits for it (see `compactor`).

use bytes::Bytes;
use raftian_apps::{AppKind, Limits, Machine, Snapshot as State};
use raftian_raft::{CompactRefused, NodeId, Server, Snapshot};

use super::{Driver, Options};
use crate::compactor::{SnapshotRefused, SnapshotTaken};
use crate::effect::{CommandOutcome, Effect, Host};
use crate::mutant::Mutant;

/// A state that is to be encoded and written beside the log.
#[derive(Debug)]
pub struct StageJob {
    machine: Machine,
    /// All that the core knows of it; the state is still to come.
    bare: Snapshot,
}

/// A snapshot whose state is to be restored.
#[derive(Debug)]
pub struct RestoreJob {
    node: NodeId,
    app: AppKind,
    limits: Limits,
    /// Where it comes from, for people.
    origin: String,
    snapshot: Snapshot,
}

impl StageJob {
    /// The snapshot, to be written beside the log. Takes as long as the state is large.
    pub fn encode(self) -> Snapshot {
        Snapshot { data: Bytes::from(self.machine.snapshot().encode()), ..self.bare }
    }
}

impl RestoreJob {
    pub(super) fn new(options: &Options, server: &Server, is_from_disk: bool, snapshot: Snapshot) -> RestoreJob {
        let origin = match server.leader() {
            _ if is_from_disk => "on its disk".to_owned(),
            Some(leader) => format!("that {leader} sent"),
            // Its term is over already.
            None => "of a leader".to_owned(),
        };
        RestoreJob { node: server.id(), app: options.app, limits: options.limits, origin, snapshot }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The machine that the snapshot stands for. Takes as long as the state is large.
    ///
    /// # Errors
    /// A sentence for people, when the snapshot stands for none. The node must stop then.
    pub fn restore(&self) -> Result<Machine, String> {
        let index = self.snapshot.last_index();
        let state = State::decode(&self.snapshot.data).and_then(|state| Machine::restore(self.app, state));
        let problem = match state {
            Ok(machine) if machine.last_applied() == index => return Ok(machine.with_limits(self.limits)),
            Ok(machine) => format!("it has a state up to index {}", machine.last_applied()),
            Err(error) => error.to_string(),
        };
        let RestoreJob { node, origin, .. } = self;
        let what = format!("{node} cannot go on from the snapshot up to index {index} {origin}");
        Err(format!("{what}: {problem}; nothing on its disk was changed"))
    }
}

impl<H: Host> Driver<H> {
    /// Begins a snapshot of the state as it is. A copy of that is cheap.
    pub(super) fn begin_snapshot(&mut self) {
        self.compactor.begin();
        match self.server.snapshot_of(self.machine.last_applied(), Bytes::new()) {
            Ok(bare) => self.due.push_back(Effect::Stage(StageJob { machine: self.machine.clone(), bare })),
            Err(CompactRefused::NotNewer { snapshot_index: 0 }) => {
                let why = "nothing is applied yet, so there is nothing to take a snapshot of".to_owned();
                self.no_snapshot(SnapshotRefused::Refused(why));
            }
            Err(refused) => self.no_snapshot(SnapshotRefused::Refused(refused.to_string())),
        }
    }

    /// A snapshot stands beside the log, or could not be written, for this reason. The core takes it in, and its next write
    /// puts it in force.
    pub fn staged(&mut self, staged: Result<Snapshot, String>) {
        let snapshot = match staged {
            Ok(snapshot) => snapshot,
            Err(why) => {
                self.due.push_back(Effect::SnapshotGivenUp(why.clone()));
                return self.no_snapshot(SnapshotRefused::Failed(why));
            }
        };
        let first_index = self.server.first_index();
        let index = match self.planted.has(Mutant::SnapshotOfPresentIndex) {
            true => self.machine.last_applied(),
            false => snapshot.last_index(),
        };
        match self.server.compact(index, snapshot.data.clone(), self.compactor.keeps()) {
            // A leader's snapshot came first.
            Err(refused) => {
                self.no_snapshot(SnapshotRefused::Refused(refused.to_string()));
                self.due.push_back(Effect::DiscardStaged(snapshot));
            }
            Ok(()) => self.compactor.taken(SnapshotTaken {
                last: snapshot.last,
                bytes: snapshot.size(),
                discarded: self.server.first_index() - first_index,
            }),
        }
    }

    /// The state of a snapshot is restored, and takes the place of the application's; then what waited for it is done. Gives
    /// back the machine that was: even to let go of a large state takes a while.
    pub fn restored(&mut self, machine: Machine) -> Machine {
        let before = std::mem::replace(&mut self.machine, machine);
        self.restoring = false;
        self.compactor.restored();
        let skipped = self.proposals.skipped(self.machine.last_applied());
        self.due.extend(skipped.map(|client| Effect::Command(client, CommandOutcome::Unknown)));
        self.due.push_back(Effect::Replaced);
        before
    }

    fn no_snapshot(&mut self, refused: SnapshotRefused) {
        let askers = self.compactor.failed();
        self.due.extend(askers.map(|asker| Effect::Snapshot(asker, Err(refused.clone()))));
    }
}
