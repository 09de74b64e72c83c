//! Reading the log back: what stands, what is a torn tail, and what is damage.
//!
//! Invariant: nothing here writes. Whoever opens the log gets either a refusal, with every file as it was, or a
//! [`Plan`] to carry out. The rules are on [the crate's page](crate).

use bytes::Bytes;
use raftian_raft::{Entry, HardState, Index};

use crate::mark;
use crate::record::{self, Record};
use crate::segment::{self, Header, Position, VERSION};
use crate::{Disk, WalError};

/// What the log held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last hard state; the default one if none was ever written.
    pub hard_state: HardState,
    /// The log from index 1, contiguous.
    pub entries: Vec<Entry>,
    /// What was cut off the end, if anything.
    pub torn_tail: Option<TornTail>,
}

/// The remains of a write that a crash cut short. Nobody was ever told that it was durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file it was cut from.
    pub file: String,
    /// Where the cut was made, in bytes.
    pub offset: u64,
    /// How many bytes were overwritten with zeros.
    pub discarded_bytes: u64,
}

/// What to do to the files before the log can go on.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) recovered: Recovered,
    pub(crate) mark: Option<mark::Found>,
    /// A segment whose creation was cut short, to be removed.
    pub(crate) unfinished: Option<String>,
    /// The segment to go on with, if there is one.
    pub(crate) last: Option<Last>,
}

/// The segment to go on with.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) end: Position,
    pub(crate) content: Bytes,
    /// From here on nothing proves that the bytes are on the disk.
    pub(crate) rewrite_from: u32,
}

/// A segment as far as its frames verify.
#[derive(Debug)]
struct Scan {
    file: String,
    bytes: Bytes,
    end: Position,
    newest_batch: Option<u32>,
}

/// Reads everything and decides.
///
/// # Errors
/// When the files cannot be read, or are not what a crash can leave.
pub(crate) fn plan<D: Disk>(disk: &D) -> Result<Plan, WalError> {
    let files = disk.list().map_err(|error| WalError::io("list", &disk.locate("."), error))?;
    let mark = mark::read(disk, &files)?;
    let marked = mark.as_ref().map(|found| found.mark);
    let mut log = Recovered::default();
    let mut last: Option<Scan> = None;
    let mut unfinished = None;
    let count = count_segments(disk, &files, marked)?;
    for number in 1..=count {
        let name = segment::file_name(number);
        let file = disk.locate(&name);
        let bytes = disk.read(&name).map_err(|error| WalError::io("read", &file, error))?;
        let header = Header::new(number, last.as_ref().map_or(0, |scan| scan.end.offset));
        let promised = marked.is_some_and(|mark| mark.segment == number);
        match Header::decode(&bytes) {
            Ok(found) => check_header(&file, &found, &header, last.as_ref(), &log)?,
            Err(_) if number == count && !promised && header.is_unfinished(&bytes) => {
                unfinished = Some(name);
                break;
            }
            Err((stored_crc, computed_crc)) => {
                return Err(WalError::Corrupt { file, offset: 0, index: None, stored_crc, computed_crc });
            }
        }
        last = Some(scan(file, Bytes::from(bytes), number, &mut log)?);
    }
    let last = last.map(|scan| judge_tail(scan, marked, &mut log)).transpose()?;
    Ok(Plan { recovered: log, mark, unfinished, last })
}

/// Whether a log was ever begun on a disk. An empty disk where there should be one is a loss that [`Wal::open`] cannot
/// notice.
///
/// # Errors
/// When the disk cannot be listed.
///
/// [`Wal::open`]: crate::Wal::open
pub fn is_begun<D: Disk>(disk: &D) -> Result<bool, WalError> {
    let files = disk.list().map_err(|error| WalError::io("list", &disk.locate("."), error))?;
    Ok(files.iter().any(|file| segment::number_of(file).is_some()))
}

/// How many segments there are, after making sure that none is missing.
fn count_segments<D: Disk>(disk: &D, files: &[String], marked: Option<Position>) -> Result<u32, WalError> {
    let mut numbers: Vec<u32> = files.iter().filter_map(|file| segment::number_of(file)).collect();
    numbers.sort_unstable();
    numbers.extend(marked.map(|mark| mark.segment).filter(|&number| Some(&number) > numbers.last()));
    let present = |number| files.contains(&segment::file_name(number));
    match (1..=numbers.last().copied().unwrap_or(0)).find(|&number| !present(number)) {
        Some(number) => Err(WalError::Missing { file: disk.locate(&segment::file_name(number)) }),
        None => Ok(numbers.len() as u32),
    }
}

/// Holds a header that verified against where it was found and against the segment before it.
fn check_header(
    file: &str,
    found: &Header,
    expected: &Header,
    previous: Option<&Scan>,
    log: &Recovered,
) -> Result<(), WalError> {
    let problem = if found.version != VERSION {
        format!("its format has version {}, and this program reads version {VERSION}", found.version)
    } else if found.segment != expected.segment {
        format!("its header says that it is segment {}", found.segment)
    } else if found.previous_end == expected.previous_end {
        return Ok(());
    } else if let Some(previous) = previous.filter(|previous| previous.end.offset < found.previous_end) {
        return Err(corrupt(previous, log));
    } else {
        format!("the segment before it should end at byte {}, not {}", found.previous_end, expected.previous_end)
    };
    Err(WalError::Inconsistent { file: file.to_owned(), offset: 0, problem })
}

/// Takes the frames of a segment into the log, up to the first that does not verify.
fn scan(file: String, bytes: Bytes, number: u32, log: &mut Recovered) -> Result<Scan, WalError> {
    let end = Position { segment: number, offset: segment::HEADER };
    let mut scan = Scan { file, bytes, end, newest_batch: None };
    while let Some(frame) = record::read_frame(&scan.bytes, scan.end) {
        frame.record().and_then(|record| take(log, record)).map_err(|problem| WalError::Inconsistent {
            file: scan.file.clone(),
            offset: scan.end.offset.into(),
            problem,
        })?;
        scan.newest_batch = Some(frame.batch);
        scan.end.offset = frame.end;
    }
    Ok(scan)
}

fn take(log: &mut Recovered, record: Record) -> Result<(), String> {
    match record {
        Record::HardState(next) if next.term < log.hard_state.term => {
            Err(format!("the term goes back from {} to {}", log.hard_state.term, next.term))
        }
        Record::HardState(next) => {
            log.hard_state = next;
            Ok(())
        }
        Record::Entry(entry) if entry.index == 0 || entry.index > next_index(log) => {
            Err(format!("entry {} follows entry {}", entry.index, log.entries.len()))
        }
        Record::Entry(entry) => {
            // In range: the guard above has compared it with the length.
            log.entries.truncate(entry.index as usize - 1);
            log.entries.push(entry);
            Ok(())
        }
    }
}

/// Tells a torn tail from damage at the end of the last segment.
fn judge_tail(scan: Scan, marked: Option<Position>, log: &mut Recovered) -> Result<Last, WalError> {
    let Position { segment, offset: end } = scan.end;
    let marked = marked.filter(|mark| mark.segment == segment).map(|mark| mark.offset);
    let synced_to = marked.max(scan.newest_batch).max(record::latest_batch_after(&scan.bytes, scan.end));
    if synced_to > Some(end) {
        return Err(corrupt(&scan, log));
    }
    let torn = scan.bytes[end as usize..].iter().rposition(|&byte| byte != 0);
    log.torn_tail = torn.map(|last| TornTail { file: scan.file, offset: end.into(), discarded_bytes: last as u64 + 1 });
    Ok(Last { end: scan.end, content: scan.bytes, rewrite_from: synced_to.unwrap_or(0) })
}

/// The refusal of what stands at the end of a scan.
fn corrupt(scan: &Scan, log: &Recovered) -> WalError {
    let (stored_crc, computed_crc) = record::checksums(&scan.bytes, scan.end);
    WalError::Corrupt {
        file: scan.file.clone(),
        offset: scan.end.offset.into(),
        index: Some(next_index(log)),
        stored_crc,
        computed_crc,
    }
}

fn next_index(log: &Recovered) -> Index {
    log.entries.len() as Index + 1
}

#[cfg(test)]
mod tests {
    use raftian_raft::Payload;

    use super::*;
    use crate::{DiskFile, MemDisk};

    /// The refusal of a first segment with these records, each under a checksum that holds.
    fn refusal(header: &Header, records: &[Record]) -> String {
        let mut bytes = header.encode().to_vec();
        for record in records {
            let at = Position { segment: 1, offset: bytes.len() as u32 };
            match record {
                Record::HardState(hard_state) => record::put_hard_state(&mut bytes, at, segment::HEADER, hard_state),
                Record::Entry(entry) => record::put_entry(&mut bytes, at, segment::HEADER, entry),
            }
        }
        let mut disk = MemDisk::new();
        disk.create("00000001.wal").unwrap().write_at(0, &bytes).unwrap();
        plan(&disk).unwrap_err().to_string()
    }

    fn noop(index: Index) -> Record {
        Record::Entry(Entry { index, term: 1, payload: Payload::Noop })
    }

    fn term(term: u64) -> Record {
        Record::HardState(HardState { term, voted_for: None })
    }

    #[test]
    fn a_gap_between_entries_is_refused() {
        let message = refusal(&Header::new(1, 0), &[noop(1), noop(3)]);
        assert!(message.starts_with("`00000001.wal` makes no sense at byte 53: entry 3 follows entry 1;"), "{message}");
        let message = refusal(&Header::new(1, 0), &[noop(0)]);
        assert!(message.contains("at byte 24: entry 0 follows entry 0"), "{message}");
    }

    #[test]
    fn a_term_that_goes_back_is_refused() {
        let message = refusal(&Header::new(1, 0), &[term(5), term(5), term(4)]);
        assert!(message.contains("at byte 70: the term goes back from 5 to 4"), "{message}");
    }

    #[test]
    fn another_version_of_the_format_is_refused() {
        let message = refusal(&Header { version: 2, ..Header::new(1, 0) }, &[]);
        assert!(message.contains("its format has version 2, and this program reads version 1"), "{message}");
    }

    #[test]
    fn a_first_segment_with_something_before_it_is_refused() {
        let message = refusal(&Header::new(1, 99), &[]);
        assert!(message.contains("the segment before it should end at byte 99, not 0"), "{message}");
    }
}
