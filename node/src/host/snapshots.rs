//! The slow work on snapshots, on threads that may block: encode a state and write it beside the log, restore a
//! leader's snapshot, and remove or drop what is no longer needed.
//!
//! Invariant: only the driver changes the application's state. A thread works on a job of its own, and the result comes
//! back through the inbox.
//!
//! Deliberately absent: when a snapshot is due, and which effects wait for one; the driver decides both.

use std::sync::Arc;

use raftian_apps::Machine;
use raftian_driver::{RestoreJob, SnapshotRefused, SnapshotTaken as Taken, StageJob};
use raftian_faults::CrashPoint;
use raftian_raft::Snapshot;
use raftian_rpc::control::SnapshotTaken;
use raftian_rpc::error::NodeError;

use super::Host;
use crate::host::inbox::Input;
use crate::host::pending::Answer;

impl Host {
    /// Starts to encode a state and to write it beside the log.
    pub(super) fn begin_staging(&self, job: StageJob) {
        let (mut stager, faults) = (self.storage.stager(), Arc::clone(self.storage.faults()));
        self.do_elsewhere(Input::Staged, "encode the state", move || {
            let snapshot = job.encode();
            stager.stage(&snapshot).map_err(|error| error.to_string())?;
            faults.reach(CrashPoint::MidSnapshot, snapshot.last_index());
            Ok(snapshot)
        });
    }

    /// Starts to restore the state of a leader's snapshot, and to write the snapshot beside the log.
    pub(super) fn begin_restoring(&self, job: RestoreJob) {
        let (mut stager, faults) = (self.storage.stager(), Arc::clone(self.storage.faults()));
        self.do_elsewhere(Input::Restored, "restore the state", move || {
            let machine = job.restore()?;
            // If this fails, the storage thread writes it itself, with all free space, and reports its error.
            if stager.stage(job.snapshot()).is_ok() {
                faults.reach(CrashPoint::MidInstall, job.snapshot().last_index());
            }
            Ok(Box::new(machine))
        });
    }

    /// The state of a leader's snapshot is restored.
    pub(super) fn restored(&mut self, machine: Machine) {
        let before = self.driver.restored(machine);
        // Even to drop a large state takes a while.
        tokio::task::spawn_blocking(move || drop(before));
    }

    /// Removes a snapshot that was written beside the log.
    pub(super) fn discard(&self, snapshot: Snapshot) {
        let mut stager = self.storage.stager();
        tokio::task::spawn_blocking(move || stager.discard(&snapshot));
    }

    /// Answers a request for a snapshot.
    pub(super) fn tell_of_snapshot(
        &self,
        asker: Answer<Result<SnapshotTaken, NodeError>>,
        outcome: Result<Taken, SnapshotRefused>,
    ) {
        let outcome = match outcome {
            Ok(Taken { last, bytes, discarded }) => {
                Ok(SnapshotTaken { node: self.own(), last_index: last.index, last_term: last.term, bytes, discarded })
            }
            Err(SnapshotRefused::Refused(why)) => Err(NodeError::Refused { why }),
            Err(SnapshotRefused::Failed(why)) => Err(NodeError::Failed { why }),
            Err(SnapshotRefused::Stopping) => Err(NodeError::ShuttingDown { node: self.own() }),
        };
        // A caller that has gone meanwhile gets no answer.
        let _ = asker.send(outcome);
    }

    /// Runs slow work on a thread that may block, and puts the result into the inbox.
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
            // A host that has ended needs no outcome.
            let _ = inbox.send(outcome(done));
        });
    }
}
