//! The format of a record in its frame.
//!
//! ```text
//! [crc u32][length u32][batch u32][kind u8][payload: length bytes]        all little-endian
//! ```
//!
//! Invariant: a frame is valid only at the place where it was written. Its checksum covers the number of its segment,
//! its offset, and everything after the checksum. `batch` is the offset at which its batch began: everything before
//! that had been synced before this frame was written.
//!
//! Deliberately absent: padding (every byte is covered), compression, and what a bad frame means (see `recovery`).

use std::collections::BTreeSet;

use bytes::Bytes;
use raftian_raft::{Configuration, Entry, HardState, Index, NodeId, Payload};

use crate::segment::{self, Position};

const FRAME_HEADER: usize = 13;
const HARD_STATE: u8 = 1;
const NOOP: u8 = 2;
const COMMAND: u8 = 3;
const CONFIGURATION: u8 = 4;
const RESTART: u8 = 5;

/// The content of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    HardState(HardState),
    Entry(Entry),
    /// All entries are void, and the log continues after this index.
    Restart(Index),
}

/// A valid frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) batch: u32,
    pub(crate) end: u32,
    kind: u8,
    payload: Bytes,
}

/// Appends the frame of a hard state to `out`; it will be written at `at`.
pub(crate) fn put_hard_state(out: &mut Vec<u8>, at: Position, batch: u32, hard_state: &HardState) {
    let vote = node_bytes(hard_state.voted_for);
    put_frame(out, at, batch, HARD_STATE, [&hard_state.term.to_le_bytes(), &vote, &[]]);
}

/// Appends the frame of an entry to `out`; it will be written at `at`.
pub(crate) fn put_entry(out: &mut Vec<u8>, at: Position, batch: u32, entry: &Entry) {
    let members;
    let (kind, content) = match &entry.payload {
        Payload::Noop => (NOOP, &[][..]),
        Payload::Command(command) => (COMMAND, &command[..]),
        Payload::Configuration(configuration) => {
            members = members_of(configuration);
            (CONFIGURATION, &members[..])
        }
    };
    put_frame(out, at, batch, kind, [&entry.term.to_le_bytes(), &entry.index.to_le_bytes(), content]);
}

/// Appends the frame of a restart after `index` to `out`; it will be written at `at`.
pub(crate) fn put_restart(out: &mut Vec<u8>, at: Position, batch: u32, index: Index) {
    put_frame(out, at, batch, RESTART, [&index.to_le_bytes(), &[], &[]]);
}

/// A node as its number and its incarnation, both u16; zeros for none.
pub(crate) fn node_bytes(node: Option<NodeId>) -> [u8; 4] {
    let [number, incarnation] = node.map_or([0; 2], |node| [node.number(), node.incarnation()]).map(u16::to_le_bytes);
    [number[0], number[1], incarnation[0], incarnation[1]]
}

/// What [`node_bytes`] wrote.
pub(crate) fn node_of(bytes: [u8; 4]) -> Option<NodeId> {
    let [number, incarnation] = [[bytes[0], bytes[1]], [bytes[2], bytes[3]]].map(u16::from_le_bytes);
    NodeId::of(number, incarnation)
}

/// Voters, outgoing voters and learners: for each group the count, a u32, and then the nodes.
fn members_of(configuration: &Configuration) -> Vec<u8> {
    let count = |ids: &BTreeSet<NodeId>| u32::try_from(ids.len()).expect("a configuration is small").to_le_bytes();
    let groups = [configuration.voters(), configuration.outgoing(), configuration.learners()];
    let words = groups
        .into_iter()
        .flat_map(|ids| std::iter::once(count(ids)).chain(ids.iter().map(|id| node_bytes(Some(*id)))));
    words.flatten().collect()
}

/// The configuration that [`members_of`] encoded; `None` if the bytes are not valid.
fn configuration_of(bytes: &[u8]) -> Option<Configuration> {
    let mut words = bytes.chunks(4).map(|word| <[u8; 4]>::try_from(word).ok());
    let mut group = || -> Option<BTreeSet<NodeId>> {
        let count = u32::from_le_bytes(words.next()??);
        (0..count).map(|_| node_of(words.next()??)).collect()
    };
    let (voters, outgoing, learners) = (group()?, group()?, group()?);
    Configuration::of(voters, outgoing, learners).filter(|_| words.next().is_none())
}

/// The frame at `at`; `None` if there is no valid one.
pub(crate) fn read_frame(segment: &Bytes, at: Position) -> Option<Frame> {
    let header = segment.get(at.offset as usize..at.offset as usize + FRAME_HEADER)?;
    let (length, batch, kind) = (u32_at(header, 4), u32_at(header, 8), header[12]);
    let end = at.offset.checked_add(FRAME_HEADER as u32)?.checked_add(length)?;
    // These checks are cheap, and avoid most checksums in a search through garbage.
    if kind == 0 || batch < segment::HEADER || batch > at.offset || end as usize > segment.len() {
        return None;
    }
    let (stored, computed) = checksums(segment, at);
    let payload = at.offset as usize + FRAME_HEADER..end as usize;
    (stored == computed).then(|| Frame { batch, end, kind, payload: segment.slice(payload) })
}

/// The frames of a segment with their places, up to the first that is not valid; or, if it `skips`, all valid ones.
pub(crate) fn frames(bytes: &Bytes, segment: u32, skips: bool) -> impl Iterator<Item = (Position, Frame)> {
    let mut next = Position { segment, offset: segment::HEADER };
    std::iter::from_fn(move || {
        let end = if skips { written(bytes) } else { next.offset + 1 };
        let (at, frame) = find_frame(bytes, next, end)?;
        next.offset = frame.end;
        Some((at, frame))
    })
}

/// The first valid frame that begins at `at` or later, but before `end`. A frame is valid only at its own place, so it
/// is safe to look for one at every byte.
fn find_frame(segment: &Bytes, at: Position, end: u32) -> Option<(Position, Frame)> {
    let mut places = (at.offset..end).map(|offset| Position { offset, ..at });
    places.find_map(|at| Some((at, read_frame(segment, at)?)))
}

/// The length of a file up to its last byte that is not zero.
fn written(file: &[u8]) -> u32 {
    file.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1) as u32
}

/// The checksum stored at `at`, and the one computed from the bytes that a frame there would cover, up to the end of
/// the file.
pub(crate) fn checksums(segment: &[u8], at: Position) -> (u32, u32) {
    let bytes = segment.get(at.offset as usize..).unwrap_or_default();
    let (stored, covered) = bytes.split_at(bytes.len().min(4));
    let mut stored_crc = [0; 4];
    stored_crc[..stored.len()].copy_from_slice(stored);
    let length = if covered.len() < 4 { 0 } else { u32_at(covered, 0) as usize };
    let covered = &covered[..covered.len().min(length.saturating_add(FRAME_HEADER - 4))];
    (u32::from_le_bytes(stored_crc), checksum(at, covered))
}

/// The latest batch of all valid frames after `at`, where there is no valid frame itself.
pub(crate) fn latest_batch_after(segment: &Bytes, mut at: Position) -> Option<u32> {
    let (mut latest, end) = (None, written(segment));
    while let Some((_, frame)) = find_frame(segment, at, end) {
        latest = latest.max(Some(frame.batch));
        at.offset = frame.end;
    }
    latest
}

impl Frame {
    /// The content of the frame. Commands share the memory of the segment.
    ///
    /// # Errors
    /// When the frame has a kind or a payload that this version does not know.
    pub(crate) fn record(&self) -> Result<Record, String> {
        let payload = &self.payload;
        match (self.kind, payload.len()) {
            (HARD_STATE, 12) => {
                let voted_for = node_of([payload[8], payload[9], payload[10], payload[11]]);
                Ok(Record::HardState(HardState { term: u64_at(payload, 0), voted_for }))
            }
            (NOOP, 16) => Ok(self.entry(Payload::Noop)),
            (COMMAND, 16..) => Ok(self.entry(Payload::Command(payload.slice(16..)))),
            (CONFIGURATION, 16..) => configuration_of(&payload[16..])
                .map(|configuration| self.entry(Payload::Configuration(Box::new(configuration))))
                .ok_or_else(|| "a configuration without voters, or with a voter that is a learner".to_owned()),
            (RESTART, 8) => Ok(Record::Restart(u64_at(payload, 0))),
            (kind, length) => Err(format!("a record of kind {kind} with {length} bytes is unknown to this version")),
        }
    }

    fn entry(&self, payload: Payload) -> Record {
        Record::Entry(Entry { term: u64_at(&self.payload, 0), index: u64_at(&self.payload, 8), payload })
    }
}

fn put_frame(out: &mut Vec<u8>, at: Position, batch: u32, kind: u8, parts: [&[u8]; 3]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).expect("a record is smaller than 4 GiB");
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&batch.to_le_bytes());
    out.push(kind);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    let crc = checksum(at, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(at: Position, covered: &[u8]) -> u32 {
    let mut place = [0; 8];
    place[..4].copy_from_slice(&at.segment.to_le_bytes());
    place[4..].copy_from_slice(&at.offset.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place);
    hasher.update(covered);
    hasher.finalize()
}

/// The number at this offset. Panics if it is beyond the bytes.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

/// As [`u32_at`].
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position { segment: 3, offset: segment::HEADER };

    fn command(bytes: &'static [u8]) -> Entry {
        Entry { index: 9, term: 4, payload: Payload::Command(Bytes::from_static(bytes)) }
    }

    fn segment_with(entry: &Entry) -> Vec<u8> {
        let mut bytes = vec![0; AT.offset as usize];
        put_entry(&mut bytes, AT, AT.offset, entry);
        bytes
    }

    #[test]
    fn every_kind_of_record_reads_back_as_written() {
        let mut bytes = vec![0; AT.offset as usize];
        let hard_states = [
            HardState::default(),
            HardState { term: u64::MAX, voted_for: NodeId::new(65535) },
            HardState { term: 7, voted_for: None },
        ];
        let ids = |numbers: &[u16]| numbers.iter().filter_map(|number| NodeId::new(*number)).collect();
        let members = Configuration::of(ids(&[1, 2, 65535]), ids(&[1]), ids(&[7])).unwrap();
        let entries = [
            command(b""),
            command(b"attack"),
            Entry { index: 1, term: 1, payload: Payload::Noop },
            Entry { index: 2, term: 1, payload: Payload::Configuration(Box::new(members)) },
        ];
        let next = |bytes: &Vec<u8>| Position { offset: bytes.len() as u32, ..AT };
        for hard_state in &hard_states {
            let at = next(&bytes);
            put_hard_state(&mut bytes, at, AT.offset, hard_state);
        }
        for entry in &entries {
            let at = next(&bytes);
            put_entry(&mut bytes, at, AT.offset, entry);
        }
        let at = next(&bytes);
        put_restart(&mut bytes, at, AT.offset, 40);
        let bytes = Bytes::from(bytes);
        let mut at = AT;
        let mut records = Vec::new();
        while let Some(frame) = read_frame(&bytes, at) {
            records.push(frame.record().unwrap());
            at.offset = frame.end;
        }
        assert_eq!(at.offset as usize, bytes.len());
        let expected = hard_states.map(Record::HardState).into_iter().chain(entries.map(Record::Entry));
        assert_eq!(records, expected.chain([Record::Restart(40)]).collect::<Vec<_>>());
    }

    #[test]
    fn a_frame_verifies_only_in_its_own_segment_and_at_its_own_offset() {
        let bytes = segment_with(&command(b"attack"));
        assert!(read_frame(&Bytes::from(bytes.clone()), AT).is_some());
        assert!(read_frame(&Bytes::from(bytes.clone()), Position { segment: 4, ..AT }).is_none());
        let moved = Bytes::from([&[0], &bytes[..]].concat());
        assert!(read_frame(&moved, Position { offset: AT.offset + 1, ..AT }).is_none());
    }

    #[test]
    fn any_flipped_bit_and_any_missing_byte_breaks_a_frame() {
        let bytes = segment_with(&command(b"attack"));
        for offset in AT.offset as usize..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[offset] ^= 1 << bit;
                let flipped = Bytes::from(flipped);
                assert!(read_frame(&flipped, AT).is_none(), "bit {bit} of byte {offset}");
                let (stored, computed) = checksums(&flipped, AT);
                assert_ne!(stored, computed, "bit {bit} of byte {offset}");
            }
            assert!(read_frame(&Bytes::copy_from_slice(&bytes[..offset]), AT).is_none(), "only {offset} bytes");
        }
    }

    #[test]
    fn zeros_are_not_a_frame() {
        assert!(read_frame(&Bytes::from(vec![0; 4096]), AT).is_none());
    }

    #[test]
    fn a_frame_of_no_kind_or_of_a_batch_that_cannot_be_does_not_verify() {
        for (batch, kind) in [(AT.offset, 0), (AT.offset - 1, NOOP), (AT.offset + 1, NOOP)] {
            let mut bytes = vec![0; AT.offset as usize];
            put_frame(&mut bytes, AT, batch, kind, [&[1; 16], b"", b""]);
            assert!(read_frame(&Bytes::from(bytes), AT).is_none(), "batch {batch}, kind {kind}");
        }
    }

    #[test]
    fn a_kind_of_a_later_version_verifies_but_is_not_understood() {
        let mut bytes = vec![0; AT.offset as usize];
        put_frame(&mut bytes, AT, AT.offset, 200, [b"snapshot", b"", b""]);
        let problem = read_frame(&Bytes::from(bytes), AT).unwrap().record().unwrap_err();
        assert_eq!(problem, "a record of kind 200 with 8 bytes is unknown to this version");
    }

    #[test]
    fn a_frame_is_found_behind_garbage() {
        let mut bytes = vec![0; AT.offset as usize];
        bytes.extend_from_slice(b"garbage");
        let at = Position { offset: bytes.len() as u32, ..AT };
        put_entry(&mut bytes, at, at.offset, &command(b"attack"));
        bytes.extend_from_slice(&[0; 100]);
        assert_eq!(latest_batch_after(&Bytes::from(bytes.clone()), AT), Some(at.offset));
        bytes[at.offset as usize] ^= 1;
        assert_eq!(latest_batch_after(&Bytes::from(bytes), AT), None);
    }
}
