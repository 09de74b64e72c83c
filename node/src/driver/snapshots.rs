//! Snapshots: from the application's state to the log's, and back (§7).
//!
//! Both ways take long where the state is large, and most of each is done beside the driver, on a thread that may
//! block: a state is encoded and written beside the log before the core hears of it, so that all the log has to do is
//! to give the file its name; and a leader's snapshot is decoded, and written as well, while the driver goes on
//! listening to the leader. Its answers wait until that is done: to the others this node is a slow one meanwhile.
//!
//! Invariant: nothing but the driver touches the machine. What is done elsewhere works on a copy, or makes a new one.
//!
//! Deliberately absent: when a snapshot is due, and who waits for it (see `compactor`).

use bytes::Bytes;
use raftian_apps::{AppKind, Machine, Snapshot as State};
use raftian_raft::{CompactRefused, Snapshot};
use raftian_rpc::control::SnapshotTaken;
use raftian_rpc::error::NodeError;

use super::Driver;
use crate::inbox::Input;
use crate::trace::NodeEvent;

impl Driver {
    /// Begins a snapshot of the state as it is. A copy of that is cheap.
    pub(super) fn begin_snapshot(&mut self) {
        let last_index = self.machine.last_applied();
        self.compactor.begin();
        // All that the core knows of it; the state is still to come.
        let bare = match self.server.snapshot_of(last_index, Bytes::new()) {
            Ok(bare) => bare,
            Err(CompactRefused::NotNewer { snapshot_index: 0 }) => {
                let why = "nothing is applied yet, so there is nothing to take a snapshot of".to_owned();
                return self.compactor.failed(NodeError::Refused { why });
            }
            Err(refused) => return self.compactor.failed(NodeError::Refused { why: refused.to_string() }),
        };
        let (machine, mut stager) = (self.machine.clone(), self.storage.stager());
        self.do_elsewhere(Input::Staged, "encode the state", move || {
            let data = Bytes::from(machine.snapshot().encode());
            drop(machine);
            let snapshot = Snapshot { data, ..bare };
            stager.stage(&snapshot).map(|()| snapshot).map_err(|error| error.to_string())
        });
    }

    /// Hands a snapshot that stands beside the log to the core, whose next write puts it in force.
    pub(super) fn compact(&mut self, staged: Result<Snapshot, String>) {
        let first_index = self.server.first_index();
        let snapshot = match staged {
            Ok(snapshot) => snapshot,
            Err(why) => {
                self.trace.node(NodeEvent::SnapshotGivenUp { reason: &why });
                return self.compactor.failed(NodeError::Failed { why });
            }
        };
        match self.server.compact(snapshot.last.index, snapshot.data.clone(), self.compactor.keeps()) {
            // A leader's snapshot came first.
            Err(refused) => {
                self.compactor.failed(NodeError::Refused { why: refused.to_string() });
                let mut stager = self.storage.stager();
                tokio::task::spawn_blocking(move || stager.discard(&snapshot));
            }
            Ok(()) => self.compactor.taken(SnapshotTaken {
                node: self.server.id(),
                last_index: snapshot.last.index,
                last_term: snapshot.last.term,
                bytes: snapshot.size(),
                discarded: self.server.first_index() - first_index,
            }),
        }
    }

    /// Begins to restore the state of a leader's snapshot.
    pub(super) fn begin_restoring(&mut self, snapshot: Snapshot) {
        let origin = self.server.leader().map_or("of a leader".to_owned(), |leader| format!("that {leader} sent"));
        let (node, app, mut stager) = (self.server.id(), self.app, self.storage.stager());
        self.do_elsewhere(Input::Restored, "restore the state", move || {
            let machine = restore(app, &snapshot).map_err(|problem| {
                let index = snapshot.last_index();
                format!("{node} cannot go on from the snapshot up to index {index} {origin}: {problem}; {UNCHANGED}")
            })?;
            // If that fails, storage tries it again, with all the room there is, and says why it cannot.
            let _ = stager.stage(&snapshot);
            Ok(Box::new(machine))
        });
    }

    /// Puts the state of a leader's snapshot in the place of the application's, and then does what had to wait for it.
    pub(super) fn restored(&mut self, machine: Machine) {
        let before = self.take_over(machine);
        // Even to let go of a large state takes a while.
        tokio::task::spawn_blocking(move || drop(before));
        for ready in self.restoring.take().into_iter().flatten() {
            self.carry_out_in_turn(ready);
        }
    }

    /// Puts the state of the snapshot on the disk in the place of the first one.
    ///
    /// # Errors
    /// A sentence for people.
    pub(super) fn restore_from_disk(&mut self, snapshot: &Snapshot) -> Result<(), String> {
        let machine = restore(self.app, snapshot).map_err(|problem| {
            let (node, index) = (self.server.id(), snapshot.last_index());
            format!("{node} cannot go on from the snapshot up to index {index} on its disk: {problem}; {UNCHANGED}")
        })?;
        self.take_over(machine);
        Ok(())
    }

    /// Puts a machine in the place of the one that was, which it gives back.
    fn take_over(&mut self, machine: Machine) -> Machine {
        let before = std::mem::replace(&mut self.machine, machine);
        self.compactor.restored();
        self.waiters.skipped(self.machine.last_applied());
        if let Some(orders) = &self.orders {
            orders.skipped(&self.machine);
        }
        before
    }

    /// Does what takes long on a thread that may, and has the outcome put into the inbox.
    fn do_elsewhere<T: Send + 'static>(
        &self,
        outcome: fn(Result<T, String>) -> Input,
        what: &'static str,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) {
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let done = tokio::task::spawn_blocking(work).await;
            let done = done.unwrap_or_else(|error| Err(format!("cannot {what}: {error}")));
            // Without a driver there is nobody to tell.
            let _ = inbox.send(outcome(done));
        });
    }
}

/// What a node that stops because of a snapshot has done to its disk.
const UNCHANGED: &str = "nothing on its disk was changed";

/// The machine that a snapshot stands for.
fn restore(app: AppKind, snapshot: &Snapshot) -> Result<Machine, String> {
    let state = State::decode(&snapshot.data).map_err(|error| error.to_string())?;
    let machine = Machine::restore(app, state).map_err(|error| error.to_string())?;
    match machine.last_applied() {
        index if index == snapshot.last_index() => Ok(machine),
        index => Err(format!("it has a state up to index {index}")),
    }
}
