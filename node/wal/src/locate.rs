//! Finds the place of a record on the disk, so that a test can damage it, or a message can name it.
//!
//! Invariant: nothing here writes, and a log that cannot be opened gives the same error as opening it.
//!
//! Deliberately absent: the headers of segments, which have a hard state and an index as well, and the durable mark.

use std::collections::BTreeMap;

use bytes::Bytes;
use raftian_raft::{Index, NodeId};

use crate::record::Record;
use crate::segment::Position;
use crate::{Disk, Options, WalError, record, recovery, segment, snapshot};

/// A part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The last term and vote that were written.
    HardState,
    /// The snapshot.
    Snapshot,
    /// The entry at this index. If the log does not have it, the next one; if there is none, the last one.
    Entry(Index),
}

/// The place of a part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The part, with the index of the entry that was found.
    pub part: Part,
    /// The file's name on the disk.
    pub file: String,
    /// The offset in the file of its record, in bytes.
    pub offset: u64,
    /// The length of its record in bytes.
    pub length: u64,
    /// Whether the log can prove that the record was synced. Then damage to it is an error; otherwise it is a torn
    /// tail. If only the durable mark proves it, the proof may be lost in a power cut.
    pub vouched: bool,
}

/// A record in a segment.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: Position,
    end: u32,
}

/// The places of the records that make up the log.
#[derive(Debug, Default)]
struct Places {
    hard_state: Option<Place>,
    entries: BTreeMap<Index, Place>,
}

impl Places {
    /// Applies the next record.
    fn take(&mut self, record: &Record, place: Place) {
        match record {
            Record::HardState(_) => self.hard_state = Some(place),
            Record::Entry(entry) => {
                self.entries.split_off(&entry.index);
                self.entries.insert(entry.index, place);
            }
            Record::Restart(_) => self.entries.clear(),
        }
    }

    fn entry(&self, index: Index) -> Option<(Part, Place)> {
        let nearest = self.entries.range(index..).next().or_else(|| self.entries.last_key_value());
        nearest.map(|(&index, &place)| (Part::Entry(index), place))
    }
}

/// Finds the latest record of a part. `None` when the log has no such record: a hard state may be in the header of a
/// segment only.
///
/// # Errors
/// Those of opening the log, by the node to which it belongs.
pub fn locate<D: Disk>(disk: &D, part: Part) -> Result<Option<Located>, WalError> {
    let numbers = segment_numbers(disk)?;
    // A file that names no node gives the same error for every node.
    let owner = owner(disk)?.or(NodeId::new(1)).expect("1 names a node");
    let plan = recovery::plan(disk, owner, &Options::default())?;
    let mut places = Places::default();
    for number in numbers {
        let bytes = read(disk, &segment::file_name(number))?;
        for (at, frame) in record::frames(&bytes, number, false) {
            let record = frame.record().expect("the log can be read");
            places.take(&record, Place { at, end: frame.end });
        }
    }
    let found = match part {
        Part::Snapshot if plan.snapshot.is_none() => return Ok(None),
        Part::Snapshot => {
            let (file, length) = (snapshot::FILE.to_owned(), read(disk, snapshot::FILE)?.len() as u64);
            return Ok(Some(Located { part, file, offset: 0, length, vouched: true }));
        }
        Part::HardState => places.hard_state.map(|place| (part, place)),
        Part::Entry(index) => places.entry(index),
    };
    let vouched = plan.last.map(|last| Position { offset: last.rewrite_from, ..last.end });
    Ok(found.map(|(part, Place { at, end })| Located {
        part,
        file: segment::file_name(at.segment),
        offset: at.offset.into(),
        length: (end - at.offset).into(),
        vouched: Some(at) < vouched,
    }))
}

/// The node that a log names as its owner, whether it can be opened or not. `None` when there is no log, or it names none.
///
/// # Errors
/// When the disk fails.
pub fn owner<D: Disk>(disk: &D) -> Result<Option<NodeId>, WalError> {
    let Some(&first) = segment_numbers(disk)?.first() else { return Ok(None) };
    Ok(segment::owner(&read(disk, &segment::file_name(first))?))
}

/// The numbers of the segments in order.
fn segment_numbers<D: Disk>(disk: &D) -> Result<Vec<u32>, WalError> {
    let files = disk.list().map_err(|error| WalError::io("list", &disk.locate("."), error))?;
    let mut numbers: Vec<u32> = files.iter().filter_map(|file| segment::number_of(file)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn read<D: Disk>(disk: &D, file: &str) -> Result<Bytes, WalError> {
    disk.read(file).map(Bytes::from).map_err(|error| WalError::io("read", &disk.locate(file), error))
}
