//! Reading the log back: which frames are valid, and whether the rest is a torn tail or damage.
//!
//! Invariant: nothing here writes. The result is either an error, with every file unchanged, or a [`Plan`] to carry
//! out. The rules are in [the crate's documentation](crate).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bytes::Bytes;
use raftian_raft::{Entry, HardState, NodeId, Snapshot};

use crate::mutant::Mutant;
use crate::replay::Replay;
use crate::segment::{self, BadHeader, Header, Position, VERSION};
use crate::{Disk, Options, WalError, mark, record, snapshot};

/// What the log held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last hard state; the default one if none was ever written.
    pub hard_state: HardState,
    /// The snapshot, if there is one.
    pub snapshot: Option<Snapshot>,
    /// The log, contiguous. It begins at index 1, or with a snapshot at or before the index after the snapshot's last.
    pub entries: Vec<Entry>,
    /// What was cut off the end, if anything.
    pub torn_tail: Option<TornTail>,
}

/// The rest of a write that a crash cut short. It was never reported as durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file it was cut from.
    pub file: String,
    /// The offset of the cut, in bytes.
    pub offset: u64,
    /// How many bytes were overwritten with zeros.
    pub discarded_bytes: u64,
}

/// What to do to the files before the log can be written.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) replay: Replay,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) torn_tail: Option<TornTail>,
    pub(crate) mark: Option<mark::Found>,
    /// Files whose creation was cut short, to be removed.
    pub(crate) leftovers: Vec<String>,
    /// The segment to append to, if there is one.
    pub(crate) last: Option<Last>,
}

/// The segment to append to.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) end: Position,
    pub(crate) content: Bytes,
    /// From this offset on nothing proves that the bytes are on the disk.
    pub(crate) rewrite_from: u32,
}

impl Last {
    /// Whether this is the very first segment and nothing was ever written after its header: then a crash may have come
    /// before there was a mark.
    fn is_untouched(&self) -> bool {
        self.end == (Position { segment: 1, offset: segment::HEADER })
            && self.content[segment::HEADER as usize..].iter().all(|&byte| byte == 0)
    }
}

/// A segment up to its first frame that is not valid.
#[derive(Debug)]
struct Scan {
    file: String,
    bytes: Bytes,
    end: Position,
    newest_batch: Option<u32>,
}

/// Reads all files and decides what to do. The log must belong to this node.
///
/// # Errors
/// When the files cannot be read, or are not what a crash can leave.
pub(crate) fn plan<D: Disk>(disk: &D, node: NodeId, options: &Options) -> Result<Plan, WalError> {
    let files = disk.list().map_err(|error| WalError::io("list", &disk.locate("."), error))?;
    let mark = mark::read(disk, &files)?;
    let marked = mark.as_ref().map(|found| found.mark);
    let snapshot = snapshot::read(disk, &files)?;
    let mut leftovers: Vec<String> = files.iter().filter(|file| *file == snapshot::NEW_FILE).cloned().collect();
    let mut replay = Replay::default();
    let mut last: Option<Scan> = None;
    let numbers = segments(disk, &files, marked)?;
    for number in numbers.clone() {
        let name = segment::file_name(number);
        let file = disk.locate(&name);
        let bytes = disk.read(&name).map_err(|error| WalError::io("read", &file, error))?;
        let expected = expected_header(node, number, last.as_ref(), &replay);
        let may_be_unfinished = number == *numbers.end()
            && marked.is_none_or(|mark| mark.segment != number)
            && (last.is_some() || snapshot.is_none());
        match Header::decode(&bytes) {
            Ok(found) if found.node != node => return Err(WalError::Foreign { file, owner: found.node, node }),
            Ok(found) => {
                let expected = expected.unwrap_or(Header { segment: number, ..found });
                check_header(&file, &found, &expected, last.as_ref(), &replay)?;
                match last {
                    Some(_) => replay.sealed.push(number - 1, replay.last_index()),
                    None => replay = Replay::before(&found),
                }
            }
            Err(_) if may_be_unfinished && expected.is_some_and(|header| header.is_unfinished(&bytes)) => {
                leftovers.push(name);
                break;
            }
            Err(bad) => return Err(refuse_header(file, bad)),
        }
        last = Some(scan(file, Bytes::from(bytes), number, &mut replay, options)?);
    }
    let (last, torn_tail) = last.map(|scan| judge_tail(scan, marked, &replay, options)).transpose()?.unzip();
    if last.is_none() && snapshot.is_some() {
        return Err(WalError::Missing { file: disk.locate(&segment::file_name(*numbers.start())) });
    }
    if marked.is_none() && last.as_ref().is_some_and(|last| !last.is_untouched()) {
        return Err(WalError::NoMark { file: disk.locate(mark::FILE), last_index: replay.last_index() });
    }
    check_snapshot(disk, snapshot.as_ref(), *numbers.start(), &replay)?;
    Ok(Plan { replay, snapshot, torn_tail: torn_tail.flatten(), mark, leftovers, last })
}

/// Whether a disk has a log. If the log of a node is lost as a whole, [`Wal::open`] cannot notice it, since an empty
/// disk looks like a new one.
///
/// # Errors
/// When the disk cannot be listed.
///
/// [`Wal::open`]: crate::Wal::open
pub fn is_begun<D: Disk>(disk: &D) -> Result<bool, WalError> {
    let files = disk.list().map_err(|error| WalError::io("list", &disk.locate("."), error))?;
    Ok(files.iter().any(|file| segment::number_of(file).is_some()))
}

/// The numbers of the segments. Only segments at the beginning may be missing.
fn segments<D: Disk>(disk: &D, files: &[String], marked: Option<Position>) -> Result<RangeInclusive<u32>, WalError> {
    let numbers: BTreeSet<u32> = files.iter().filter_map(|file| segment::number_of(file)).collect();
    let last = numbers.last().copied().max(marked.map(|mark| mark.segment)).unwrap_or(0);
    let first = numbers.first().copied().unwrap_or(1);
    match (first..=last).find(|number| !numbers.contains(number)) {
        Some(number) => Err(WalError::Missing { file: disk.locate(&segment::file_name(number)) }),
        None => Ok(first..=last),
    }
}

/// The header that a segment must have. `None` for the first remaining segment if others were removed before it.
fn expected_header(node: NodeId, number: u32, previous: Option<&Scan>, replay: &Replay) -> Option<Header> {
    match previous {
        Some(previous) => Some(Header {
            node,
            segment: number,
            previous_end: previous.end.offset,
            hard_state: replay.hard_state,
            last_index: replay.last_index(),
        }),
        None => Some(Header::first(node)).filter(|first| first.segment == number),
    }
}

/// Compares a valid header with its place and with the segment before it.
fn check_header(
    file: &str,
    found: &Header,
    expected: &Header,
    previous: Option<&Scan>,
    replay: &Replay,
) -> Result<(), WalError> {
    let problem = if found == expected {
        return Ok(());
    } else if found.segment != expected.segment {
        format!("its header says that it is segment {}", found.segment)
    } else if let Some(previous) = previous.filter(|previous| previous.end.offset < found.previous_end) {
        return Err(corrupt(previous, replay));
    } else if found.previous_end != expected.previous_end {
        format!("the segment before it should end at byte {}, not {}", found.previous_end, expected.previous_end)
    } else {
        format!("before it there should be {}, not {}", outcome(found), outcome(expected))
    };
    Err(WalError::Inconsistent { file: file.to_owned(), offset: 0, problem })
}

/// The result of the segments before, as a header has it.
fn outcome(header: &Header) -> String {
    let vote = header.hard_state.voted_for.map_or("none".to_owned(), |id| id.to_string());
    format!("{} entries, term {} and vote {vote}", header.last_index, header.hard_state.term)
}

fn refuse_header(file: String, bad: BadHeader) -> WalError {
    match bad {
        BadHeader::Damaged { stored_crc, computed_crc } => {
            WalError::Corrupt { file, offset: 0, index: None, stored_crc, computed_crc }
        }
        BadHeader::OtherVersion(version) => WalError::OtherVersion { file, version, known: VERSION },
    }
}

/// Checks that the log begins at most one entry after the snapshot's last, and has reached the snapshot's term.
fn check_snapshot<D: Disk>(
    disk: &D,
    snapshot: Option<&Snapshot>,
    first_segment: u32,
    replay: &Replay,
) -> Result<(), WalError> {
    let file = disk.locate(snapshot::FILE);
    let last = snapshot.map(|snapshot| snapshot.last);
    if replay.base > last.map_or(0, |last| last.index) {
        return Err(WalError::Gap {
            file: disk.locate(&segment::file_name(first_segment)),
            first: replay.base + 1,
            snapshot: file,
            last: last.map(|last| last.index),
        });
    }
    match last.filter(|last| last.term > replay.hard_state.term) {
        Some(last) => {
            let problem = format!("it is of term {}, and the log ends in term {}", last.term, replay.hard_state.term);
            Err(WalError::Inconsistent { file, offset: 0, problem })
        }
        None => Ok(()),
    }
}

/// Replays the frames of a segment, up to the first that is not valid.
fn scan(file: String, bytes: Bytes, number: u32, replay: &mut Replay, options: &Options) -> Result<Scan, WalError> {
    let end = Position { segment: number, offset: segment::HEADER };
    let mut scan = Scan { file, bytes, end, newest_batch: None };
    for (at, frame) in record::frames(&scan.bytes, number, options.has(Mutant::SkipsCorruptRecord)) {
        frame.record().and_then(|record| replay.take(record)).map_err(|problem| WalError::Inconsistent {
            file: scan.file.clone(),
            offset: at.offset.into(),
            problem,
        })?;
        scan.newest_batch = Some(frame.batch);
        scan.end.offset = frame.end;
    }
    Ok(scan)
}

/// Decides whether the end of the last segment is a torn tail or damage.
fn judge_tail(
    scan: Scan,
    marked: Option<Position>,
    replay: &Replay,
    options: &Options,
) -> Result<(Last, Option<TornTail>), WalError> {
    let Position { segment, offset: end } = scan.end;
    let marked = marked.filter(|mark| mark.segment == segment).map(|mark| mark.offset);
    let synced_to = match options.has(Mutant::CutsCorruptLog) {
        true => scan.newest_batch,
        false => marked.max(scan.newest_batch).max(record::latest_batch_after(&scan.bytes, scan.end)),
    };
    if synced_to > Some(end) {
        return Err(corrupt(&scan, replay));
    }
    let torn = scan.bytes[end as usize..].iter().rposition(|&byte| byte != 0);
    let torn = torn.map(|last| TornTail { file: scan.file, offset: end.into(), discarded_bytes: last as u64 + 1 });
    let rewrite_from = if options.has(Mutant::TailNotRewritten) { end } else { synced_to.unwrap_or(0) };
    Ok((Last { end: scan.end, content: scan.bytes, rewrite_from }, torn))
}

/// The error for the bad frame at the end of a scan.
fn corrupt(scan: &Scan, replay: &Replay) -> WalError {
    let (stored_crc, computed_crc) = record::checksums(&scan.bytes, scan.end);
    WalError::Corrupt {
        file: scan.file.clone(),
        offset: scan.end.offset.into(),
        index: Some(replay.last_index() + 1),
        stored_crc,
        computed_crc,
    }
}

#[cfg(test)]
mod tests {
    use raftian_raft::{Configuration, HardState, Index, LastEntry, Payload};

    use super::*;
    use crate::mark::MarkFile;
    use crate::record::Record;
    use crate::stage::Staged;
    use crate::{DiskFile, MemDisk};

    fn node() -> NodeId {
        NodeId::new(2).unwrap()
    }

    fn first() -> Header {
        Header::first(node())
    }

    /// A disk with one segment of these records, each with a correct checksum, and a mark at its end.
    fn disk_with(header: &Header, records: &[Record]) -> MemDisk {
        let mut bytes = header.encode().to_vec();
        for record in records {
            let at = Position { segment: header.segment, offset: bytes.len() as u32 };
            match record {
                Record::HardState(hard_state) => record::put_hard_state(&mut bytes, at, segment::HEADER, hard_state),
                Record::Entry(entry) => record::put_entry(&mut bytes, at, segment::HEADER, entry),
                Record::Restart(index) => record::put_restart(&mut bytes, at, segment::HEADER, *index),
            }
        }
        let mut disk = MemDisk::new();
        disk.create(&segment::file_name(header.segment)).unwrap().write_at(0, &bytes).unwrap();
        MarkFile::start(&mut disk, None, Position { segment: header.segment, offset: bytes.len() as u32 }).unwrap();
        disk
    }

    fn with_snapshot(mut disk: MemDisk, term: u64, index: Index) -> MemDisk {
        let configuration = Configuration::new(NodeId::first(1)).unwrap();
        let snapshot = Snapshot { last: LastEntry { term, index }, configuration, data: "1".into() };
        drop(Staged::default().ready(&mut disk, &snapshot).unwrap());
        snapshot::put_in_force(&mut disk).unwrap();
        disk
    }

    fn refusal(disk: &MemDisk) -> String {
        plan(disk, node(), &Options::default()).unwrap_err().to_string()
    }

    fn noop(index: Index) -> Record {
        Record::Entry(Entry { index, term: 1, payload: Payload::Noop })
    }

    fn term(term: u64) -> Record {
        Record::HardState(HardState { term, voted_for: None })
    }

    /// The header of a segment before which all others were removed.
    fn later(last_index: Index) -> Header {
        let hard_state = HardState { term: 1, voted_for: None };
        Header { node: node(), segment: 7, previous_end: 99, hard_state, last_index }
    }

    fn entries_of(disk: &MemDisk) -> Vec<Index> {
        plan(disk, node(), &Options::default()).unwrap().replay.entries.iter().map(|entry| entry.index).collect()
    }

    #[test]
    fn a_gap_between_entries_is_refused() {
        let message = refusal(&disk_with(&first(), &[noop(1), noop(3)]));
        assert!(message.starts_with("`00000001.wal` makes no sense at byte 81: entry 3 follows entry 1;"), "{message}");
        let message = refusal(&disk_with(&first(), &[noop(0)]));
        assert!(message.contains("at byte 52: entry 0 follows entry 0"), "{message}");
        let message = refusal(&disk_with(&first(), &[noop(1), Record::Restart(5), noop(7)]));
        assert!(message.contains("entry 7 follows entry 5"), "{message}");
    }

    #[test]
    fn a_term_that_goes_back_is_refused() {
        let message = refusal(&disk_with(&first(), &[term(5), term(5), term(4)]));
        assert!(message.contains("at byte 102: the term goes back from 5 to 4"), "{message}");
        let message = refusal(&disk_with(&later(0), &[term(0)]));
        assert!(message.contains("at byte 52: the term goes back from 1 to 0"), "{message}");
    }

    #[test]
    fn a_first_segment_with_something_before_it_is_refused() {
        let message = refusal(&disk_with(&Header { previous_end: 99, ..first() }, &[]));
        assert!(message.contains("the segment before it should end at byte 99, not 0"), "{message}");
        let message = refusal(&disk_with(&Header { last_index: 3, ..first() }, &[]));
        let expected = "before it there should be 3 entries, term 0 and vote none, not 0 entries, term 0 and vote none";
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn a_segment_that_contradicts_those_before_it_is_refused() {
        let template = disk_with(&first(), &[term(1), noop(1)]);
        let end = template.read(&segment::file_name(1)).unwrap().len() as u32;
        let hard_state = HardState { term: 1, voted_for: None };
        let fits = Header { segment: 2, previous_end: end, hard_state, last_index: 1, ..first() };
        let refusal_of = |header: Header| {
            let mut disk = template.fork();
            disk.create(&segment::file_name(2)).unwrap().write_at(0, &header.encode()).unwrap();
            plan(&disk, node(), &Options::default()).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(refusal_of(fits), Ok(()));
        let is = "not 1 entries, term 1 and vote none";
        for (header, expected) in [
            (
                Header { last_index: 2, ..fits },
                format!("before it there should be 2 entries, term 1 and vote none, {is}"),
            ),
            (
                Header { hard_state: HardState { term: 1, voted_for: Some(node()) }, ..fits },
                format!("before it there should be 1 entries, term 1 and vote n2, {is}"),
            ),
            (
                Header { previous_end: end - 1, ..fits },
                format!("the segment before it should end at byte {}, not {end}", end - 1),
            ),
            (
                Header { previous_end: end + 1, ..fits },
                format!("`00000001.wal` is damaged at byte {end}, where entry 2"),
            ),
        ] {
            let message = refusal_of(header).unwrap_err();
            assert!(message.contains(&expected), "{message}");
        }
    }

    #[test]
    fn the_first_segment_that_is_left_must_have_its_own_number() {
        let mut disk = with_snapshot(disk_with(&later(8), &[]), 1, 8);
        disk.rename(&segment::file_name(7), &segment::file_name(8)).unwrap();
        let message = refusal(&disk);
        assert!(message.contains("`00000008.wal` makes no sense at byte 0: its header says that it is segment 7"));
    }

    #[test]
    fn the_log_goes_on_where_the_snapshot_ends_or_before() {
        for (records, expected) in [
            (&[noop(9), noop(10)][..], &[9, 10][..]),
            (&[], &[]),
            (&[noop(9), noop(5), noop(6)], &[5, 6]),
            (&[noop(9), Record::Restart(8)], &[]),
            (&[Record::Restart(6), noop(7)], &[7]),
        ] {
            assert_eq!(entries_of(&with_snapshot(disk_with(&later(8), records), 1, 8)), expected, "{records:?}");
        }
        assert_eq!(entries_of(&disk_with(&later(8), &[noop(1)])), [1], "all of it was replaced");
    }

    #[test]
    fn what_neither_the_log_nor_a_snapshot_has_is_missed() {
        let no_snapshot = "`00000007.wal` begins with entry 9, and `snapshot.json`, which should stand for those \
             before, is missing: put back what is missing";
        let old_snapshot = "`00000007.wal` begins with entry 9, and `snapshot.json` ends with entry 7: put back";
        for records in [&[][..], &[noop(9)], &[Record::Restart(8)]] {
            let disk = disk_with(&later(8), records);
            let message = refusal(&disk);
            assert!(message.starts_with(no_snapshot), "{message}");
            let message = refusal(&with_snapshot(disk, 1, 7));
            assert!(message.starts_with(old_snapshot), "{message}");
        }
    }

    #[test]
    fn a_snapshot_of_a_later_term_than_the_log_is_refused() {
        let disk = disk_with(&first(), &[term(4)]);
        assert!(plan(&with_snapshot(disk.fork(), 4, 7), node(), &Options::default()).is_ok());
        let message = refusal(&with_snapshot(disk, 5, 7));
        let expected = "`snapshot.json` makes no sense at byte 0: it is of term 5, and the log ends in term 4;";
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn a_snapshot_without_a_log_is_refused() {
        let message = refusal(&with_snapshot(MemDisk::new(), 1, 7));
        assert!(message.starts_with("`00000001.wal` is missing;"), "{message}");
        let mut disk = with_snapshot(MemDisk::new(), 1, 7);
        disk.create("00000001.wal").unwrap();
        let message = refusal(&disk);
        assert!(message.starts_with("`00000001.wal` is damaged at byte 0:"), "{message}");
    }
}
