//! A snapshot that is written beside the log while the log goes on: its bytes are synced under another name long before
//! the log is asked to put it in force, which then takes no more than a new name.
//!
//! Invariant: what is put in force is exactly the snapshot that the log was asked for. One that was not staged, or is
//! not the one that was, is written there and then. Whoever writes the file holds the lock, so a log that must write a
//! snapshot itself waits for one that is being staged.
//!
//! Staging may fail without harm: the file goes, and log and snapshot are as they were. It keeps away from the last of
//! the room on a disk, which the log needs more.
//!
//! Deliberately absent: threads, and staging two at once.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raftian_raft::Snapshot;

use crate::error::is_full;
use crate::{Disk, DiskFile, WalError, snapshot};

/// So many bytes are written between two syncs, so that a sync of the log which comes between finds the disk free soon:
/// beside 64 MiB in pieces of this size, one in a hundred took 18 ms or more, and beside 64 MiB at once 36 ms.
const PIECE_BYTES: usize = 1 << 20;

/// The other hand on a log's folder, for whoever makes snapshots.
#[derive(Clone, Debug)]
pub struct Stager<D> {
    disk: D,
    staged: Staged,
    /// How many bytes are left free for the log.
    spared_bytes: u64,
}

/// Why a snapshot was not staged. Nothing else has changed, and it may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The disk is full, or nearly so.
    #[error(
        "no space left: could not {action} `{file}`; the snapshot was given up, and the log goes on without it; free \
         some room, then ask for another one"
    )]
    NoSpace {
        /// What was tried.
        action: &'static str,
        /// On which file.
        file: String,
    },
    /// The disk failed otherwise.
    #[error("could not {action} `{file}`: {source}; the snapshot was given up, and the log goes on without it")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Nobody else touches the file for the next snapshot while this is there.
pub(crate) type Held<'a> = MutexGuard<'a, Option<Snapshot>>;

/// The snapshot that stands in the file for the next one, whole and synced, if any does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staged(Arc<Mutex<Option<Snapshot>>>);

impl<D: Disk> Stager<D> {
    pub(crate) fn new(disk: D, staged: Staged, spared_bytes: u64) -> Stager<D> {
        Stager { disk, staged, spared_bytes }
    }

    /// Writes a snapshot durably, so that the log need not when it is asked for this one next. It takes the place of
    /// one that was staged before. Takes as long as the disk does: not to be called where anybody waits.
    ///
    /// # Errors
    /// When the disk has no room for it, or fails.
    pub fn stage(&mut self, snapshot: &Snapshot) -> Result<(), StageError> {
        let bytes = snapshot::encode(snapshot);
        let mut staged = self.staged.lock();
        *staged = None;
        if let Err((action, source)) = write(&mut self.disk, &bytes, Some(self.spared_bytes)) {
            // What is left of it would take up room. If it cannot be removed, the next opening of the log does it.
            let _ = self.disk.remove(snapshot::NEW_FILE);
            let file = self.disk.locate(snapshot::NEW_FILE);
            return Err(match is_full(&source) {
                true => StageError::NoSpace { action, file },
                false => StageError::Io { action, file, source },
            });
        }
        *staged = Some(snapshot.clone());
        Ok(())
    }

    /// Removes a snapshot that was staged and is not wanted any more, unless another one has taken its place. Waits for
    /// whoever stages one.
    pub fn discard(&mut self, snapshot: &Snapshot) {
        let mut staged = self.staged.lock();
        if staged.take_if(|staged| is_same(staged, snapshot)).is_some() {
            // If it cannot be removed, the next snapshot takes its place, or the next opening of the log removes it.
            let _ = self.disk.remove(snapshot::NEW_FILE);
        }
    }
}

impl Staged {
    /// Makes sure that this snapshot is in the file for the next one, durably. The file stays as it is while what is
    /// returned is held.
    pub(crate) fn ready<D: Disk>(&self, disk: &mut D, snapshot: &Snapshot) -> Result<Held<'_>, WalError> {
        let mut staged = self.lock();
        if !staged.take().is_some_and(|staged| is_same(&staged, snapshot)) {
            write(disk, &snapshot::encode(snapshot), None)
                .map_err(|(action, error)| WalError::io(action, &disk.locate(snapshot::NEW_FILE), error))?;
        }
        Ok(staged)
    }

    fn lock(&self) -> Held<'_> {
        // Whoever broke down with the lock had said before that nothing is staged.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the file for the next snapshot, durably, and if asked to leaves so many bytes free on the disk. An error
/// comes with what was tried.
fn write<D: Disk>(disk: &mut D, bytes: &[u8], spares: Option<u64>) -> Result<(), (&'static str, io::Error)> {
    let mut file = disk.create(snapshot::NEW_FILE).map_err(|error| ("create", error))?;
    for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
        if let Some(spared_bytes) = spares
            && disk.room().map_err(|error| ("find room for", error))? < spared_bytes + piece.len() as u64
        {
            return Err(("find room for", io::ErrorKind::StorageFull.into()));
        }
        file.write_at((number * PIECE_BYTES) as u64, piece).map_err(|error| ("write", error))?;
        file.sync().map_err(|error| ("sync", error))?;
    }
    Ok(())
}

/// Whether two snapshots are the same, to the last byte. They mostly share their bytes, which then need no comparing.
fn is_same(one: &Snapshot, other: &Snapshot) -> bool {
    let share = one.data.as_ptr() == other.data.as_ptr() && one.data.len() == other.data.len();
    (one.last, &one.configuration) == (other.last, &other.configuration) && (share || one.data == other.data)
}
