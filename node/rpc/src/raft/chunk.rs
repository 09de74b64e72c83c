//! `raft.install_snapshot` on the wire: one part of a snapshot, and how much of it is there (§7).
//!
//! Invariant: a chunk that is no part of any snapshot does not become a message of the core. The bytes travel as base64
//! text, since a part of a JSON text is none itself.
//!
//! Deliberately absent: whether the receiver has use for the chunk; the core knows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use raftian_raft::{Configuration, InstallSnapshot, SnapshotReply};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Last;
use crate::{Index, Term};

/// The most bytes a snapshot may have: no application of this lab restores more, and a receiver keeps what it has of one
/// in memory.
pub const MAX_SNAPSHOT_BYTES: u64 = 1 << 30;

/// The arguments of InstallSnapshot (Figure 13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The last entry the snapshot stands for.
    pub last: Last,
    /// The configuration in force there.
    pub configuration: Configuration,
    /// The size of the whole snapshot in bytes, at most [`MAX_SNAPSHOT_BYTES`].
    pub size: u64,
    /// Where in it this part begins.
    pub offset: u64,
    /// The part.
    pub data: Data,
}

/// Bytes, as base64 text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data(pub Bytes);

/// The answer to `raft.install_snapshot`. Neither `received` nor `installed`: the caller's term is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotAnswer {
    /// The follower's term.
    pub term: Term,
    /// So many bytes of the snapshot's beginning are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// The follower's state includes everything up to here, durably.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<Index>,
}

/// A request that is no part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedChunk {
    /// A snapshot stands for one entry at least, and that has a term.
    #[error("install_snapshot has a snapshot up to index {index} of term {term}, which stands for no entry")]
    OfNothing {
        /// The last index it claims.
        index: Index,
        /// The last term it claims.
        term: Term,
    },
    /// It ends after the snapshot.
    #[error("install_snapshot has {length} bytes at offset {offset} of a snapshot of {size} bytes")]
    Overhang {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        length: u64,
        /// The size of the snapshot.
        size: u64,
    },
    /// Nobody could keep it.
    #[error("install_snapshot has a snapshot of {size} bytes, and the largest has {MAX_SNAPSHOT_BYTES}")]
    TooLarge {
        /// The size it claims.
        size: u64,
    },
    /// With parts like this the snapshot would never be there.
    #[error("install_snapshot has no bytes of a snapshot of {size} bytes")]
    Empty {
        /// The size of the snapshot.
        size: u64,
    },
}

impl From<InstallSnapshot> for Chunk {
    fn from(part: InstallSnapshot) -> Chunk {
        let InstallSnapshot { last, configuration, size, offset, data } = part;
        Chunk { last: last.into(), configuration, size, offset, data: Data(data) }
    }
}

impl TryFrom<Chunk> for InstallSnapshot {
    type Error = MalformedChunk;

    fn try_from(chunk: Chunk) -> Result<InstallSnapshot, MalformedChunk> {
        let Chunk { last, configuration, size, offset, data: Data(data) } = chunk;
        let length = data.len() as u64;
        if last.index == 0 || last.term == 0 {
            return Err(MalformedChunk::OfNothing { index: last.index, term: last.term });
        }
        if size > MAX_SNAPSHOT_BYTES {
            return Err(MalformedChunk::TooLarge { size });
        }
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(MalformedChunk::Overhang { offset, length, size });
        }
        if length == 0 && size > 0 {
            return Err(MalformedChunk::Empty { size });
        }
        Ok(InstallSnapshot { last: last.into(), configuration, size, offset, data })
    }
}

impl SnapshotAnswer {
    /// The answer of a follower in `term`.
    pub fn new(term: Term, reply: SnapshotReply) -> SnapshotAnswer {
        let (received, installed) = match reply {
            SnapshotReply::Received(bytes) => (Some(bytes), None),
            SnapshotReply::Installed(index) => (None, Some(index)),
            SnapshotReply::StaleTerm => (None, None),
        };
        SnapshotAnswer { term, received, installed }
    }
}

impl From<SnapshotAnswer> for SnapshotReply {
    fn from(answer: SnapshotAnswer) -> SnapshotReply {
        match (answer.installed, answer.received) {
            (Some(index), _) => SnapshotReply::Installed(index),
            (None, Some(bytes)) => SnapshotReply::Received(bytes),
            (None, None) => SnapshotReply::StaleTerm,
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
        deserializer.deserialize_str(DataVisitor)
    }
}

struct DataVisitor;

impl Visitor<'_> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("base64 text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Data, E> {
        STANDARD.decode(text).map(|bytes| Data(bytes.into())).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use raftian_raft::{LastEntry, NodeId};

    use super::*;

    fn part(offset: u64, data: &'static [u8]) -> InstallSnapshot {
        let configuration = Configuration::new(NodeId::first(2)).unwrap();
        let last = LastEntry { term: 3, index: 70 };
        InstallSnapshot { last, configuration, size: 9, offset, data: Bytes::from_static(data) }
    }

    #[test]
    fn a_chunk_reads_back_as_it_was_written() {
        // A part of a JSON text may begin and end in the middle of a character.
        let part = part(4, b"\x85\"}\n");
        let text = serde_json::to_string(&Chunk::from(part.clone())).unwrap();
        let expected = r#"{"last":{"index":70,"term":3},"configuration":{"voters":["n1","n2"]},"size":9,"offset":4,"data":"hSJ9Cg=="}"#;
        assert_eq!(text, expected);
        let back: Chunk = serde_json::from_str(&text).unwrap();
        assert_eq!(InstallSnapshot::try_from(back), Ok(part));
    }

    #[test]
    fn what_is_no_part_of_a_snapshot_is_refused() {
        let refused = |part: InstallSnapshot| InstallSnapshot::try_from(Chunk::from(part)).unwrap_err();
        assert!(InstallSnapshot::try_from(Chunk::from(part(5, b"abcd"))).is_ok());
        assert_eq!(refused(part(6, b"abcd")), MalformedChunk::Overhang { offset: 6, length: 4, size: 9 });
        assert!(matches!(refused(part(u64::MAX, b"a")), MalformedChunk::Overhang { .. }));
        assert_eq!(refused(part(9, b"")), MalformedChunk::Empty { size: 9 });
        for last in [LastEntry { term: 0, index: 70 }, LastEntry { term: 3, index: 0 }] {
            assert!(matches!(refused(InstallSnapshot { last, ..part(0, b"a") }), MalformedChunk::OfNothing { .. }));
        }
        let endless = InstallSnapshot { size: MAX_SNAPSHOT_BYTES + 1, ..part(0, b"a") };
        assert_eq!(refused(endless), MalformedChunk::TooLarge { size: MAX_SNAPSHOT_BYTES + 1 });
        let nothing = InstallSnapshot { size: 0, ..part(0, b"") };
        assert_eq!(InstallSnapshot::try_from(Chunk::from(nothing.clone())), Ok(nothing));
    }

    #[test]
    fn what_is_not_base64_is_not_read() {
        for text in [r#""a""#, r#""?===""#, "7", "null"] {
            assert!(serde_json::from_str::<Data>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_answer_reads_back_as_it_was_written() {
        for (reply, expected) in [
            (SnapshotReply::Received(0), r#"{"term":4,"received":0}"#),
            (SnapshotReply::Installed(70), r#"{"term":4,"installed":70}"#),
            (SnapshotReply::StaleTerm, r#"{"term":4}"#),
        ] {
            let text = serde_json::to_string(&SnapshotAnswer::new(4, reply)).unwrap();
            assert_eq!(text, expected);
            let back: SnapshotAnswer = serde_json::from_str(&text).unwrap();
            assert_eq!((back.term, SnapshotReply::from(back)), (4, reply));
        }
    }
}
