//! Snapshots: from the application's state to the log, and back (§7).
//!
//! Both directions take long when the state is large, so most of the work is a job that the host runs on another
//! thread. A state is encoded and written beside the log before the core takes the snapshot, so that the log only has
//! to rename the file. A leader's snapshot is decoded while the driver still processes the leader's messages; replies
//! that depend on the snapshot wait until that is done, so this node looks slow to the others meanwhile.
//!
//! Invariant: only the driver changes its machine. A job works on a copy, or makes a new machine.
//!
//! Deliberately absent: when a snapshot is due, and which requests wait for it (see `compactor`).

use bytes::Bytes;
use raftian_apps::{AppKind, Limits, Machine, Snapshot as State};
use raftian_raft::{CompactRefused, NodeId, Server, Snapshot};

use super::{Driver, Options};
use crate::compactor::{SnapshotRefused, SnapshotTaken};
use crate::effect::{CommandOutcome, Effect, Host};
use crate::mutant::Mutant;

/// A job: encode a state and write it beside the log.
#[derive(Debug)]
pub struct StageJob {
    machine: Machine,
    /// The snapshot without its data.
    bare: Snapshot,
}

/// A job: restore the state of a snapshot.
#[derive(Debug)]
pub struct RestoreJob {
    node: NodeId,
    app: AppKind,
    limits: Limits,
    /// Where it comes from, for error messages.
    origin: String,
    snapshot: Snapshot,
}

impl StageJob {
    /// The snapshot, to be written beside the log. Takes time in proportion to the size of the state.
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

    /// The machine in the state of the snapshot. Takes time in proportion to the size of the state.
    ///
    /// # Errors
    /// A message for people, when the snapshot has no valid state. The node must stop then.
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
    /// Begins a snapshot of the present state. Copying the state is cheap.
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

    /// A snapshot was written beside the log; or it could not be written, for this reason. The core takes it, and its
    /// next write makes it the snapshot of the log.
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
            // A leader's snapshot came meanwhile.
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

    /// The state of a snapshot is restored, and replaces that of the application; the waiting effects follow. Returns
    /// the former machine, because even to drop a large state takes a while.
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
