//! The log, open for writing.
//!
//! Invariant: after a write or a sync has failed, nothing more is written. Whether the bytes of a failed sync are on
//! the disk cannot be found out from this process, and a second fsync may say yes for pages that the first one lost.
//!
//! Deliberately absent: reading (the core holds the log in memory), a retry, and a sync on drop, since dropping
//! without [`Wal::close`] is what a kill looks like.

use raftian_raft::{Entry, HardState, Index, Storage, Term, Write};

use crate::mark::MarkFile;
use crate::recovery::{self, Last, Recovered};
use crate::segment::{Header, Segment};
use crate::{Disk, WalError, record};

/// The most bytes of commands that are written at once; one larger command still is. With a full segment before it,
/// what is written then ends far below the 4 GiB that an offset can tell.
const MAX_PART_BYTES: usize = 64 << 20;

/// How the files are laid out. A log may be opened with other values than it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A segment that has reached this length in bytes gets no more appends. At most 1 GiB.
    pub segment_bytes: u32,
    /// Files grow by this many bytes of zeros at a time. From 1 byte to 1 GiB.
    pub chunk_bytes: u32,
}

impl Default for Options {
    /// Segments of 16 MiB that grow by 1 MiB.
    fn default() -> Options {
        Options { segment_bytes: 16 << 20, chunk_bytes: 1 << 20 }
    }
}

/// The durable log and hard state of one server.
#[derive(Debug)]
pub struct Wal<D: Disk> {
    disk: D,
    options: Options,
    segment: Segment<D::File>,
    marks: MarkFile<D::File>,
    /// Where the frames since the last sync begin.
    batch: u32,
    term: Term,
    last_index: Index,
    /// Reused from append to append.
    frames: Vec<u8>,
    poisoned: bool,
    syncs: u64,
    bytes: u64,
}

impl<D: Disk> Wal<D> {
    /// Opens the log on a disk, and begins one if there is none. What it returns is durable.
    ///
    /// # Errors
    /// When the files are not what a crash can leave ([`WalError::Corrupt`], [`WalError::Inconsistent`],
    /// [`WalError::Missing`]; then no file has been changed), or the disk fails.
    pub fn open(disk: D) -> Result<(Wal<D>, Recovered), WalError> {
        Wal::open_with(disk, Options::default())
    }

    /// Opens the log with a layout of one's own.
    ///
    /// # Errors
    /// As [`Wal::open`].
    ///
    /// # Panics
    /// When the options are out of range.
    pub fn open_with(mut disk: D, options: Options) -> Result<(Wal<D>, Recovered), WalError> {
        assert!(options.segment_bytes <= 1 << 30, "a segment is at most 1 GiB: {options:?}");
        assert!((1..=1 << 30).contains(&options.chunk_bytes), "a chunk is 1 byte to 1 GiB: {options:?}");
        let recovery::Plan { recovered, mark, unfinished, last } = recovery::plan(&disk)?;
        if let Some(file) = unfinished {
            disk.remove(&file).map_err(|error| WalError::io("remove", &disk.locate(&file), error))?;
        }
        let segment = match last {
            Some(Last { end, content, rewrite_from }) => {
                Segment::reopen(&mut disk, end, &content, rewrite_from, options.chunk_bytes)?
            }
            None => Segment::create(&mut disk, &Header::new(1, 0), options.chunk_bytes)?,
        };
        let marks = MarkFile::start(&mut disk, mark.as_ref(), segment.end())?;
        let wal = Wal {
            batch: segment.end().offset,
            disk,
            options,
            segment,
            marks,
            term: recovered.hard_state.term,
            last_index: recovered.entries.len() as Index,
            frames: Vec::new(),
            poisoned: false,
            syncs: 0,
            bytes: 0,
        };
        Ok((wal, recovered))
    }

    /// Syncs what was appended, and lets the durable mark outlive a power cut.
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

    /// Does something to the files, unless that has failed before; and if it fails or panics, that was the last time.
    fn or_poison(&mut self, act: impl FnOnce(&mut Wal<D>) -> Result<(), WalError>) -> Result<(), WalError> {
        if self.poisoned {
            return Err(WalError::Poisoned);
        }
        self.poisoned = true;
        let outcome = act(self);
        self.poisoned = outcome.is_err();
        outcome
    }

    /// Writes it in parts that fit in a segment, however much there is of it.
    fn append_parts(&mut self, write: &Write) -> Result<(), WalError> {
        let mut hard_state = write.hard_state.as_ref();
        let mut rest = write.entries.as_slice();
        while hard_state.is_some() || !rest.is_empty() {
            let mut bytes = 0;
            let fits = |entry: &&Entry| {
                let is_first = bytes == 0;
                bytes += entry.payload.len().max(1);
                is_first || bytes <= MAX_PART_BYTES
            };
            let (part, behind) = rest.split_at(rest.iter().take_while(fits).count());
            self.append_frames(hard_state.take(), part)?;
            rest = behind;
        }
        Ok(())
    }

    fn append_frames(&mut self, hard_state: Option<&HardState>, entries: &[Entry]) -> Result<(), WalError> {
        if self.segment.end().offset >= self.options.segment_bytes {
            self.rotate()?;
        }
        let start = self.segment.end();
        let mut at = start;
        self.frames.clear();
        if let Some(hard_state) = hard_state {
            record::put_hard_state(&mut self.frames, at, self.batch, hard_state);
        }
        for entry in entries {
            at.offset = start.offset + self.frames.len() as u32;
            record::put_entry(&mut self.frames, at, self.batch, entry);
        }
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
        self.segment.sync()?;
        self.syncs += 1;
        self.batch = end.offset;
        self.marks.set(end)
    }

    /// Goes on in a new segment. The old one is synced first: a batch never spans two segments.
    fn rotate(&mut self) -> Result<(), WalError> {
        self.sync_batch()?;
        let end = self.segment.end();
        let header = Header::new(end.segment + 1, end.offset);
        self.segment = Segment::create(&mut self.disk, &header, self.options.chunk_bytes)?;
        self.batch = self.segment.end().offset;
        self.marks.set(self.segment.end())?;
        self.marks.sync()
    }
}

impl<D: Disk> Storage for Wal<D> {
    type Error = WalError;

    /// Appends the hard state, then the entries.
    ///
    /// # Panics
    /// When the term goes back, or the entries are not contiguous with each other and with the log: the core never
    /// asks for that.
    fn append(&mut self, write: &Write) -> Result<(), WalError> {
        let term = write.hard_state.map_or(self.term, |hard_state| hard_state.term);
        assert!(term >= self.term, "the term goes back from {} to {term}", self.term);
        let last_index = index_after(self.last_index, &write.entries);
        self.or_poison(|wal| wal.append_parts(write))?;
        (self.term, self.last_index) = (term, last_index);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), WalError> {
        self.or_poison(Wal::sync_batch)
    }
}

/// The last index once the entries are in a log that ends at `last_index`.
fn index_after(last_index: Index, entries: &[Entry]) -> Index {
    let Some(first) = entries.first() else { return last_index };
    assert!(
        (1..=last_index + 1).contains(&first.index),
        "entry {} cannot follow a log that ends at {last_index}",
        first.index
    );
    for pair in entries.windows(2) {
        assert!(pair[1].index == pair[0].index + 1, "entry {} follows entry {}", pair[1].index, pair[0].index);
    }
    first.index + entries.len() as Index - 1
}
