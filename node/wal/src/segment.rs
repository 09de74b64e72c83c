//! A segment: one file of the log, its header, and the writer of the last one.
//!
//! ```text
//! [magic 8 bytes][version u32][segment u32][end of the previous segment u32][crc u32]
//! [node u32][term u64][vote u32][last index u64][crc u32] frames … zeros
//! ```
//!
//! The first line is the same in every version. Invariant: a segment is created only after the one before it was synced
//! to its end, so a complete header proves that the whole previous segment was synced, and has its end. It also has the
//! result of all segments before, so that a snapshot can replace them, and the name of the log's node. The file has up
//! to a chunk of zeros after the last frame: then a sync need not update the file's metadata as well, which is 1.5
//! times faster for small batches.
//!
//! Deliberately absent: recycling of old files. Most appends find zeros before them anyway, and an old file would have
//! to be filled with zeros first, since the bytes after the end of the log must not look like frames.

use raftian_raft::{HardState, Index, NodeId};

use crate::mutant::Mutant;
use crate::record::{node_bytes, node_of, u32_at, u64_at};
use crate::{Disk, DiskFile, Options, WalError};

/// The length of a segment's header in bytes.
pub(crate) const HEADER: u32 = 52;
/// The version of the format of headers, frames and marks.
pub(crate) const VERSION: u32 = 4;
/// The length in bytes of the part of a header that is the same in every version.
const PREFACE: usize = 24;
/// The offset of the node's number in a header.
const NODE: usize = PREFACE;
const MAGIC: &[u8; 8] = b"raft-wal";

/// A place in the log. Later places are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The node to which the log belongs.
    pub(crate) node: NodeId,
    pub(crate) segment: u32,
    pub(crate) previous_end: u32,
    /// The hard state when the segment was begun.
    pub(crate) hard_state: HardState,
    /// The last index of the log at that time.
    pub(crate) last_index: Index,
}

/// Why a file does not begin with a header of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Damaged { stored_crc: u32, computed_crc: u32 },
    OtherVersion(u32),
}

/// The segment at the end of the log.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    file: F,
    location: String,
    number: u32,
    end: u32,
    file_len: u32,
    chunk: u32,
}

/// The name of a segment's file.
pub(crate) fn file_name(number: u32) -> String {
    format!("{number:08}.wal")
}

/// The number of the segment with this file name, if it is one.
pub(crate) fn number_of(file: &str) -> Option<u32> {
    let number = file.strip_suffix(".wal")?.parse().ok()?;
    (number > 0 && file_name(number) == file).then_some(number)
}

/// The node that a file names as its owner. Its header need not be valid or complete.
pub(crate) fn owner(file: &[u8]) -> Option<NodeId> {
    let byte = |offset: usize| file.get(offset).copied().unwrap_or_default();
    let pair = |offset| u16::from_le_bytes([byte(offset), byte(offset + 1)]);
    // Of a header that is cut off, the incarnation may be missing; to compare what is there, the first will do.
    NodeId::of(pair(NODE), pair(NODE + 2).max(1))
}

impl Header {
    /// The header of the very first segment.
    pub(crate) const fn first(node: NodeId) -> Header {
        Header { node, segment: 1, previous_end: 0, hard_state: HardState { term: 0, voted_for: None }, last_index: 0 }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER as usize] {
        let mut bytes = [0; HEADER as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.previous_end.to_le_bytes());
        seal(&mut bytes[..PREFACE]);
        bytes[NODE..NODE + 4].copy_from_slice(&node_bytes(Some(self.node)));
        bytes[28..36].copy_from_slice(&self.hard_state.term.to_le_bytes());
        bytes[36..40].copy_from_slice(&node_bytes(self.hard_state.voted_for));
        bytes[40..48].copy_from_slice(&self.last_index.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// The header that a file begins with.
    pub(crate) fn decode(file: &[u8]) -> Result<Header, BadHeader> {
        let mut bytes = [0; HEADER as usize];
        let length = file.len().min(bytes.len());
        bytes[..length].copy_from_slice(&file[..length]);
        check(&bytes[..PREFACE], length >= PREFACE && &bytes[..8] == MAGIC)?;
        match u32_at(&bytes, 8) {
            VERSION => check(&bytes, length == bytes.len())?,
            other => return Err(BadHeader::OtherVersion(other)),
        }
        let voted_for = node_of([bytes[36], bytes[37], bytes[38], bytes[39]]);
        let (stored_crc, computed_crc) = checksums(&bytes);
        Ok(Header {
            node: owner(&bytes).ok_or(BadHeader::Damaged { stored_crc, computed_crc })?,
            segment: u32_at(&bytes, 12),
            previous_end: u32_at(&bytes, 16),
            hard_state: HardState { term: u64_at(&bytes, 28), voted_for },
            last_index: u64_at(&bytes, 40),
        })
    }

    /// Whether a file is what a crash can leave while this header is written to a new file: a prefix of it, then
    /// nothing or zeros.
    pub(crate) fn is_unfinished(&self, file: &[u8]) -> bool {
        let written = file.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        written < HEADER as usize && file[..written] == self.encode()[..written]
    }
}

impl<F: DiskFile> Segment<F> {
    /// Creates a segment with its first chunk of zeros, durably.
    pub(crate) fn create<D: Disk<File = F>>(
        disk: &mut D,
        header: &Header,
        options: &Options,
    ) -> Result<Segment<F>, WalError> {
        let chunk = options.chunk_bytes;
        let name = file_name(header.segment);
        let location = disk.locate(&name);
        let file = disk.create(&name).map_err(|error| WalError::io("create", &location, error))?;
        let mut segment = Segment { file, location, number: header.segment, end: 0, file_len: 0, chunk };
        segment.append(&mut header.encode().to_vec())?;
        segment.sync()?;
        Ok(segment)
    }

    /// Opens the last segment, to append at `at`. Everything from `rewrite_from` on is written again, with zeros after
    /// the end, and made durable. It has to be *written* again: after a failed sync the bytes that were read may come
    /// from the page cache, which regards them as clean and would never write them.
    pub(crate) fn reopen<D: Disk<File = F>>(
        disk: &mut D,
        at: Position,
        content: &[u8],
        rewrite_from: u32,
        options: &Options,
    ) -> Result<Segment<F>, WalError> {
        let chunk = options.chunk_bytes;
        let name = file_name(at.segment);
        let location = disk.locate(&name);
        let file = disk.open(&name).map_err(|error| WalError::io("open", &location, error))?;
        let file_len = offset(content.len());
        let mut segment = Segment { file, location, number: at.segment, end: rewrite_from, file_len, chunk };
        let mut tail = content[rewrite_from as usize..at.offset as usize].to_vec();
        if !options.has(Mutant::TornTailKept) {
            tail.resize(content.len() - rewrite_from as usize, 0);
        }
        segment.append(&mut tail)?;
        segment.end = at.offset;
        segment.sync()?;
        Ok(segment)
    }

    /// The place of the next frame.
    pub(crate) fn end(&self) -> Position {
        Position { segment: self.number, offset: self.end }
    }

    /// Writes at the end. When the bytes go beyond the file they are padded with zeros to a full chunk, so that one
    /// write is enough.
    pub(crate) fn append(&mut self, bytes: &mut Vec<u8>) -> Result<(), WalError> {
        let end = offset(self.end as usize + bytes.len());
        if end > self.file_len {
            self.file_len = end.next_multiple_of(self.chunk);
            bytes.resize((self.file_len - self.end) as usize, 0);
        }
        self.file.write_at(u64::from(self.end), bytes).map_err(|error| WalError::io("write", &self.location, error))?;
        self.end = end;
        Ok(())
    }

    /// Makes the segment durable.
    pub(crate) fn sync(&mut self) -> Result<(), WalError> {
        self.file.sync().map_err(|error| WalError::io("sync", &self.location, error))
    }
}

/// Sets the last four bytes to the checksum of those before.
fn seal(bytes: &mut [u8]) {
    let (covered, crc) = bytes.split_at_mut(bytes.len() - 4);
    crc.copy_from_slice(&crc32fast::hash(covered).to_le_bytes());
}

/// Checks the checksum that [`seal`] has set.
fn check(bytes: &[u8], is_sound_otherwise: bool) -> Result<(), BadHeader> {
    let (stored_crc, computed_crc) = checksums(bytes);
    let is_sound = is_sound_otherwise && stored_crc == computed_crc;
    if is_sound { Ok(()) } else { Err(BadHeader::Damaged { stored_crc, computed_crc }) }
}

/// The checksum at the end of the bytes, and the one of those before it.
fn checksums(bytes: &[u8]) -> (u32, u32) {
    let covered = bytes.len() - 4;
    (u32_at(bytes, covered), crc32fast::hash(&bytes[..covered]))
}

/// An offset as it is stored. A new segment begins long before this can panic.
fn offset(value: usize) -> u32 {
    u32::try_from(value).expect("a segment is smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_numbers_and_nothing_else() {
        assert_eq!(file_name(7), "00000007.wal");
        for number in [1, 99_999_999, u32::MAX] {
            assert_eq!(number_of(&file_name(number)), Some(number));
        }
        for other in ["00000000.wal", "7.wal", "00000007.wa", "+0000007.wal", "durable", "lock", ".wal"] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }

    fn header(previous_end: u32) -> Header {
        let hard_state = HardState { term: 5, voted_for: NodeId::new(2) };
        Header { node: NodeId::new(700).unwrap(), segment: 3, previous_end, hard_state, last_index: 9 }
    }

    #[test]
    fn a_header_is_complete_unfinished_or_damaged() {
        // Some of so many headers have a checksum that ends with zeros, and look complete when they are cut.
        for previous_end in 0..2000 {
            let header = header(previous_end);
            let whole = header.encode();
            assert_eq!(Header::decode(&whole), Ok(header));
            assert!(!header.is_unfinished(&whole) && !header.is_unfinished(&[&whole[..], b"x"].concat()));
            for length in 0..whole.len() {
                assert!(Header::decode(&whole[..length]).is_err(), "{length} bytes of {header:?}");
                assert!(header.is_unfinished(&whole[..length]), "{length} bytes of {header:?}");
                let mut damaged = whole[..length + 1].to_vec();
                damaged[length] ^= 0x55;
                assert!(damaged[length] == 0 || !header.is_unfinished(&damaged), "byte {length} of {header:?}");
            }
        }
        let other = Header { segment: 4, ..header(24) };
        assert!(!header(24).is_unfinished(&other.encode()[..20]), "part of another header");
    }

    #[test]
    fn a_file_of_another_kind_has_no_header_even_under_a_good_checksum() {
        let mut bytes = header(0).encode();
        bytes[..8].copy_from_slice(b"not mine");
        seal(&mut bytes[..PREFACE]);
        let crc = u32_at(&bytes, 20);
        assert_eq!(Header::decode(&bytes), Err(BadHeader::Damaged { stored_crc: crc, computed_crc: crc }));
    }

    #[test]
    fn a_log_of_nobody_has_no_header_even_under_a_good_checksum() {
        let mut bytes = header(0).encode();
        bytes[24..26].fill(0);
        seal(&mut bytes);
        assert!(matches!(Header::decode(&bytes), Err(BadHeader::Damaged { .. })));
    }

    #[test]
    fn a_header_of_another_version_needs_only_the_part_that_all_have() {
        let mut bytes = header(0).encode();
        bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
        seal(&mut bytes[..PREFACE]);
        assert_eq!(Header::decode(&bytes[..PREFACE]), Err(BadHeader::OtherVersion(1)));
    }
}
