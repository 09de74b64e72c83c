//! Staging: a snapshot is written beside the log while the log continues. Its bytes are synced under another name in
//! advance, so that the log only has to rename the file.
//!
//! Invariant: the snapshot that comes into force is exactly the one that the log was given. If that one is not staged,
//! the log writes it itself. The lock is held while the file is written, so a log that must write a snapshot itself
//! waits for one that is being staged.
//!
//! Staging may fail without harm: the file is removed, and log and snapshot stay as they were. It leaves the last free
//! space of a disk to the log.
//!
//! Deliberately absent: threads, and staging two at once.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raftian_raft::Snapshot;

use crate::error::is_full;
use crate::{Disk, DiskFile, WalError, snapshot};

/// How many bytes are written between two syncs, so that a sync of the log need not wait long: while 64 MiB are staged
/// in pieces of this size, one sync of the log in a hundred took 18 ms or more; with 64 MiB in one piece, 36 ms.
const PIECE_BYTES: usize = 1 << 20;

/// A second handle on a log's folder, which writes snapshots.
#[derive(Clone, Debug)]
pub struct Stager<D> {
    disk: D,
    staged: Staged,
    /// How many bytes must stay free for the log.
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
        /// The operation that failed.
        action: &'static str,
        /// The file.
        file: String,
    },
    /// The disk failed in another way.
    #[error("could not {action} `{file}`: {source}; the snapshot was given up, and the log goes on without it")]
    Io {
        /// The operation that failed.
        action: &'static str,
        /// The file.
        file: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Exclusive access to the file for the next snapshot.
pub(crate) type Held<'a> = MutexGuard<'a, Option<Snapshot>>;

/// The snapshot in the file for the next one; `None` unless the file is complete and synced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staged(Arc<Mutex<Option<Snapshot>>>);

impl<D: Disk> Stager<D> {
    pub(crate) fn new(disk: D, staged: Staged, spared_bytes: u64) -> Stager<D> {
        Stager { disk, staged, spared_bytes }
    }

    /// Writes a snapshot durably, so that the log need not write it when it is given this one next. It replaces one
    /// that was staged before. This blocks until the disk is done: call it on a thread that may block.
    ///
    /// # Errors
    /// When the disk has no room for it, or fails.
    pub fn stage(&mut self, snapshot: &Snapshot) -> Result<(), StageError> {
        let bytes = snapshot::encode(snapshot);
        let mut staged = self.staged.lock();
        *staged = None;
        if let Err((action, source)) = write(&mut self.disk, &bytes, Some(self.spared_bytes)) {
            // The incomplete file would use space. If it cannot be removed, the next opening of the log removes it.
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

    /// Removes a staged snapshot that is no longer needed, unless another one has replaced it. Blocks while a snapshot
    /// is being staged.
    pub fn discard(&mut self, snapshot: &Snapshot) {
        let mut staged = self.staged.lock();
        if staged.take_if(|staged| is_same(staged, snapshot)).is_some() {
            // If it cannot be removed, the next snapshot replaces it, or the next opening of the log removes it.
            let _ = self.disk.remove(snapshot::NEW_FILE);
        }
    }
}

impl Staged {
    /// Makes sure that the file for the next snapshot has this one, durably. The file does not change while the
    /// returned guard is held.
    pub(crate) fn ready<D: Disk>(&self, disk: &mut D, snapshot: &Snapshot) -> Result<Held<'_>, WalError> {
        let mut staged = self.lock();
        if !staged.take().is_some_and(|staged| is_same(&staged, snapshot)) {
            write(disk, &snapshot::encode(snapshot), None)
                .map_err(|(action, error)| WalError::io(action, &disk.locate(snapshot::NEW_FILE), error))?;
        }
        Ok(staged)
    }

    fn lock(&self) -> Held<'_> {
        // A thread that panicked with the lock had set `None` before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the file for the next snapshot, durably. With `spares`, this many bytes must stay free on the disk. An error
/// has the operation that failed.
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

/// Whether two snapshots are equal. Mostly they share their bytes, which need no comparison then.
fn is_same(one: &Snapshot, other: &Snapshot) -> bool {
    let share = one.data.as_ptr() == other.data.as_ptr() && one.data.len() == other.data.len();
    (one.last, &one.configuration) == (other.last, &other.configuration) && (share || one.data == other.data)
}
