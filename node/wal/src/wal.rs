//! The log, open for writing.
//!
//! Invariant: after a write or a sync has failed, nothing more is written. This process cannot find out whether the
//! bytes of a failed sync are on the disk, and a second fsync may succeed for pages that the first one lost.
//!
//! Deliberately absent: reading (the core holds the log in memory), a retry, and a sync on drop: dropping without
//! [`Wal::close`] is the same as a kill.

use raftian_raft::{Discard, Entry, HardState, Index, NodeId, Snapshot, Storage, Write};

use crate::mark::MarkFile;
use crate::mutant::Mutant;
use crate::recovery::{self, Last, Plan, Recovered};
use crate::replay::Replay;
use crate::sealed::Sealed;
use crate::segment::{self, Header, Position, Segment};
use crate::stage::{Staged, Stager};
use crate::{Disk, WalError, record, snapshot};

/// The most bytes of commands that are written at once; a larger command is written alone. Such a write begins in a
/// segment that is not full, so it ends far below the limit of an offset, 4 GiB.
const MAX_PART_BYTES: usize = 64 << 20;

/// How many bytes of the buffer for frames are kept from one append to the next.
const MAX_KEPT_BUFFER: usize = 4 << 20;

/// How many chunks a snapshot leaves free on the disk. A log needs one when it grows. The logs and snapshots of other
/// nodes may use the same disk at the same time; how many there are is not known here, so this is an estimate.
const SPARED_CHUNKS: u64 = 8;

/// The layout of the files. A log may be opened with other values than it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A segment that has reached this length in bytes gets no more appends. At most 1 GiB.
    pub segment_bytes: u32,
    /// Files grow by this many bytes of zeros at a time. From 1 byte to 1 GiB.
    pub chunk_bytes: u32,
    /// The planted bug, if there is one.
    #[cfg(feature = "mutants")]
    pub mutant: Option<Mutant>,
}

impl Options {
    /// Segments of `segment_bytes` that grow by `chunk_bytes`.
    pub const fn new(segment_bytes: u32, chunk_bytes: u32) -> Options {
        Options {
            segment_bytes,
            chunk_bytes,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Whether this bug is planted here.
    #[cfg(feature = "mutants")]
    pub(crate) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// No bug is planted here.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn has(&self, _: Mutant) -> bool {
        false
    }
}

impl Default for Options {
    /// Segments of 16 MiB that grow by 1 MiB.
    fn default() -> Options {
        Options::new(16 << 20, 1 << 20)
    }
}

/// The durable log and hard state of one server.
#[derive(Debug)]
pub struct Wal<D: Disk> {
    disk: D,
    node: NodeId,
    options: Options,
    segment: Segment<D::File>,
    sealed: Sealed,
    marks: MarkFile<D::File>,
    /// The offset at which the frames since the last sync begin.
    batch: u32,
    /// The hard state after the last frame that was written; likewise the last index.
    hard_state: HardState,
    last_index: Index,
    /// The last entry that the stored snapshot covers; 0 without one.
    snapshot_index: Index,
    staged: Staged,
    /// A buffer that every append reuses.
    frames: Vec<u8>,
    poisoned: bool,
    syncs: u64,
    bytes: u64,
}

impl<D: Disk> Wal<D> {
    /// Opens a node's log on a disk, and creates one if there is none. What it returns is durable.
    ///
    /// # Errors
    /// When the files are not what a crash can leave, or belong to another node (then no file has been changed), or the
    /// disk fails.
    pub fn open(disk: D, node: NodeId) -> Result<(Wal<D>, Recovered), WalError> {
        Wal::open_with(disk, node, Options::default())
    }

    /// Opens the log with the given layout.
    ///
    /// # Errors
    /// As [`Wal::open`].
    ///
    /// # Panics
    /// When the options are out of range.
    pub fn open_with(mut disk: D, node: NodeId, options: Options) -> Result<(Wal<D>, Recovered), WalError> {
        assert!(options.segment_bytes <= 1 << 30, "a segment is at most 1 GiB: {options:?}");
        assert!((1..=1 << 30).contains(&options.chunk_bytes), "a chunk is 1 byte to 1 GiB: {options:?}");
        let Plan { replay, snapshot, torn_tail, mark, leftovers, last } = recovery::plan(&disk, node, &options)?;
        for file in leftovers {
            disk.remove(&file).map_err(|error| WalError::io("remove", &disk.locate(&file), error))?;
        }
        let segment = match last {
            Some(Last { end, content, rewrite_from }) => {
                Segment::reopen(&mut disk, end, &content, rewrite_from, &options)?
            }
            None => Segment::create(&mut disk, &Header::first(node), &options)?,
        };
        let marks = MarkFile::start(&mut disk, mark.as_ref(), segment.end())?;
        let mut wal = Wal {
            batch: segment.end().offset,
            disk,
            node,
            options,
            segment,
            marks,
            hard_state: replay.hard_state,
            last_index: replay.last_index(),
            snapshot_index: snapshot.as_ref().map_or(0, Snapshot::last_index),
            staged: Staged::default(),
            sealed: replay.sealed,
            frames: Vec::new(),
            poisoned: false,
            syncs: 0,
            bytes: 0,
        };
        if replay.entries.is_empty() && wal.last_index < wal.snapshot_index {
            // A crash came before the restart was written. No sync is needed: after another crash this is done again.
            wal.restart()?;
        }
        let Replay { hard_state, entries, .. } = replay;
        Ok((wal, Recovered { hard_state, snapshot, entries, torn_tail }))
    }

    /// A handle that writes snapshots beside this log.
    pub fn stager(&self) -> Stager<D>
    where
        D: Clone,
    {
        Stager::new(self.disk.clone(), self.staged.clone(), SPARED_CHUNKS * u64::from(self.options.chunk_bytes))
    }

    /// Syncs what was appended, and the durable mark.
    ///
    /// # Errors
    /// When the disk fails, or had failed before.
    pub fn close(mut self) -> Result<(), WalError> {
        self.or_poison(|wal| {
            wal.sync_batch()?;
            wal.marks.sync()
        })
    }

    /// How many times the log was synced since it was opened.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// How many bytes of frames were appended since the log was opened.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Runs an action on the files, unless an earlier one has failed or panicked.
    fn or_poison(&mut self, act: impl FnOnce(&mut Wal<D>) -> Result<(), WalError>) -> Result<(), WalError> {
        if self.poisoned {
            return Err(WalError::Poisoned);
        }
        self.poisoned = true;
        let outcome = act(self);
        self.poisoned = outcome.is_err();
        outcome
    }

    /// Asserts that the write fits this log.
    fn check(&self, write: &Write) {
        let term = write.hard_state.map_or(self.hard_state.term, |hard_state| hard_state.term);
        assert!(term >= self.hard_state.term, "the term goes back from {} to {term}", self.hard_state.term);
        let mut snapshot_index = self.snapshot_index;
        if let Some(Snapshot { last, .. }) = &write.snapshot {
            assert!(last.index >= snapshot_index, "the snapshot goes back from {snapshot_index} to {}", last.index);
            assert!(last.term <= term, "a snapshot of term {} comes in term {term}", last.term);
            snapshot_index = last.index;
        }
        let (discarded, last_index) = match write.discard {
            Some(Discard::UpTo(index)) => (index, self.last_index),
            Some(Discard::All) => (snapshot_index.max(1), snapshot_index),
            None => (0, self.last_index),
        };
        assert!(discarded <= snapshot_index, "the snapshot ends at {snapshot_index}, and {:?} is to go", write.discard);
        let Some(first) = write.entries.first() else { return };
        assert!(
            (snapshot_index + 1..=last_index + 1).contains(&first.index),
            "entry {} cannot follow a log that ends at {last_index}, with a snapshot that ends at {snapshot_index}",
            first.index
        );
        for pair in write.entries.windows(2) {
            assert!(pair[1].index == pair[0].index + 1, "entry {} follows entry {}", pair[1].index, pair[0].index);
        }
    }

    fn append_write(&mut self, write: &Write) -> Result<(), WalError> {
        let mut hard_state = write.hard_state.as_ref();
        if write.snapshot.is_some() || write.discard.is_some() {
            self.append_parts(hard_state.take(), &[])?;
            self.compact(write.snapshot.as_ref(), write.discard)?;
        }
        self.append_parts(hard_state, &write.entries)
    }

    /// Makes the snapshot durable, and only then discards the entries that it replaces.
    fn compact(&mut self, snapshot: Option<&Snapshot>, discard: Option<Discard>) -> Result<(), WalError> {
        self.snapshot_index = snapshot.map_or(self.snapshot_index, Snapshot::last_index);
        if self.options.has(Mutant::DiscardsFirst) {
            self.discard(discard)?;
        }
        self.put_in_force(snapshot)?;
        self.discard(discard)
    }

    /// Makes the snapshot durable, after everything before it.
    fn put_in_force(&mut self, snapshot: Option<&Snapshot>) -> Result<(), WalError> {
        let Some(snapshot) = snapshot else { return Ok(()) };
        let staged = self.staged.clone();
        let _held = staged.ready(&mut self.disk, snapshot)?;
        self.sync_batch()?;
        snapshot::put_in_force(&mut self.disk)
    }

    /// Discards entries, and removes the segments that have no others.
    fn discard(&mut self, discard: Option<Discard>) -> Result<(), WalError> {
        let up_to = match discard {
            Some(Discard::UpTo(_)) if self.options.has(Mutant::SegmentsDiscardedEarly) => Index::MAX,
            Some(Discard::UpTo(index)) => index,
            Some(Discard::All) => {
                self.restart()?;
                self.last_index
            }
            None => return Ok(()),
        };
        self.sync_batch()?;
        while let Some(number) = self.sealed.pop_up_to(up_to) {
            let file = segment::file_name(number);
            self.disk.remove(&file).map_err(|error| WalError::io("remove", &self.disk.locate(&file), error))?;
        }
        Ok(())
    }

    /// Declares all entries void. The log continues after the snapshot.
    fn restart(&mut self) -> Result<(), WalError> {
        let index = self.snapshot_index;
        if !self.options.has(Mutant::RestartNotWritten) {
            self.append_frames(|frames, at, batch| record::put_restart(frames, at, batch, index))?;
        }
        self.sealed.truncate(0);
        self.last_index = index;
        Ok(())
    }

    /// Writes hard state and entries in parts of at most `MAX_PART_BYTES`.
    fn append_parts(&mut self, mut hard_state: Option<&HardState>, mut rest: &[Entry]) -> Result<(), WalError> {
        while hard_state.is_some() || !rest.is_empty() {
            let (part, behind) = rest.split_at(fitting(rest, MAX_PART_BYTES));
            self.append_part(hard_state.take(), part)?;
            rest = behind;
        }
        Ok(())
    }

    fn append_part(&mut self, hard_state: Option<&HardState>, entries: &[Entry]) -> Result<(), WalError> {
        self.append_frames(|frames, start, batch| {
            if let Some(hard_state) = hard_state {
                record::put_hard_state(frames, start, batch, hard_state);
            }
            for entry in entries {
                let at = Position { offset: start.offset + frames.len() as u32, ..start };
                record::put_entry(frames, at, batch, entry);
            }
        })?;
        self.hard_state = hard_state.copied().unwrap_or(self.hard_state);
        if let [first, ..] = entries {
            self.sealed.truncate(first.index - 1);
            self.last_index = first.index + entries.len() as Index - 1;
        }
        Ok(())
    }

    /// Writes the frames that `put` makes for the end of the log, in the present batch.
    fn append_frames(&mut self, put: impl FnOnce(&mut Vec<u8>, Position, u32)) -> Result<(), WalError> {
        if self.segment.end().offset >= self.options.segment_bytes {
            self.rotate()?;
        }
        self.frames.clear();
        // One large write must not keep its memory for ever.
        self.frames.shrink_to(MAX_KEPT_BUFFER);
        put(&mut self.frames, self.segment.end(), self.batch);
        let length = self.frames.len() as u64;
        self.segment.append(&mut self.frames)?;
        self.bytes += length;
        Ok(())
    }

    fn sync_batch(&mut self) -> Result<(), WalError> {
        let end = self.segment.end();
        if end.offset == self.batch {
            return Ok(());
        }
        if self.options.has(Mutant::MarkBeforeSync) {
            self.marks.set(end)?;
        }
        match self.segment.sync() {
            Err(_) if self.options.has(Mutant::RetriesFailedSync) => self.segment.sync()?,
            outcome => outcome?,
        }
        self.syncs += 1;
        self.batch = end.offset;
        self.marks.set(end)
    }

    /// Begins a new segment. The old one is synced first: a batch never spans two segments.
    fn rotate(&mut self) -> Result<(), WalError> {
        if !self.options.has(Mutant::RotatesBeforeSync) {
            self.sync_batch()?;
        }
        let end = self.segment.end();
        let forgets = self.options.has(Mutant::HeaderForgetsHardState);
        let header = Header {
            node: self.node,
            segment: end.segment + 1,
            previous_end: end.offset,
            hard_state: if forgets { HardState::default() } else { self.hard_state },
            last_index: self.last_index,
        };
        self.segment = Segment::create(&mut self.disk, &header, &self.options)?;
        self.sealed.push(end.segment, self.last_index);
        self.batch = self.segment.end().offset;
        self.marks.set(self.segment.end())?;
        self.marks.sync()
    }
}

impl<D: Disk> Storage for Wal<D> {
    type Error = WalError;

    /// Appends the hard state and the entries. Between them, a snapshot is made durable (quickly if it was
    /// [staged](Stager)), after everything before it; then the segments that have only discarded entries are removed.
    ///
    /// # Panics
    /// When the term or the snapshot goes back, the snapshot is of a later term, more is discarded than the snapshot
    /// covers, or the entries are not contiguous with each other and with the log, or replace some that the snapshot
    /// covers: the core never writes that.
    fn append(&mut self, write: &Write) -> Result<(), WalError> {
        self.check(write);
        self.or_poison(|wal| wal.append_write(write))
    }

    fn sync(&mut self) -> Result<(), WalError> {
        self.or_poison(Wal::sync_batch)
    }
}

/// How many of the first entries have at most this many bytes of commands; at least one, if there is one.
fn fitting(entries: &[Entry], max_bytes: usize) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        let is_first = bytes == 0;
        bytes += entry.payload.len().max(1);
        is_first || bytes <= max_bytes
    };
    entries.iter().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use raftian_raft::Payload;

    #[test]
    fn a_part_is_as_long_as_fits_and_has_one_entry_at_least() {
        let entries = |lengths: &[usize]| -> Vec<Entry> {
            let payload = |length: usize| Payload::Command(vec![b'x'; length].into());
            lengths.iter().map(|&length| Entry { index: 1, term: 1, payload: payload(length) }).collect()
        };
        for (lengths, fit) in [
            (&[][..], 0),
            (&[10], 1),
            (&[11], 1),
            (&[11, 1], 1),
            (&[5, 5, 1], 2),
            (&[5, 6], 1),
            (&[2, 3, 4, 1, 1], 4),
            (&[0, 0, 8, 1], 3),
        ] {
            assert_eq!(fitting(&entries(lengths), 10), fit, "{lengths:?}");
        }
    }
}
