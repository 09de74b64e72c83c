//! Why the log cannot be opened, or takes no more writes.
//!
//! Invariant: every message names the file, the cause and the next step.
//!
//! Deliberately absent: an error after which to retry. Each of these stops the node.

use std::io;

use raftian_raft::{Index, NodeId};

/// What an operator can do about damage. The node must not start with an empty log under its old name: it may have
/// voted.
const NEXT_STEP: &str = "nothing was cut or changed, and the node must not start on this: keep the files for a closer \
     look; the node can only come back as a new one, once it is removed from its cluster and added again";

/// Why the log cannot be opened, or takes no more writes.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The disk is full.
    #[error(
        "no space left: could not {action} `{file}`; free some room, then restart the node; \
         nothing acknowledged was lost"
    )]
    NoSpace {
        /// The operation that failed.
        action: &'static str,
        /// The file.
        file: String,
    },
    /// The disk failed in another way.
    #[error("could not {action} `{file}`: {source}; check the disk, then restart the node")]
    Io {
        /// The operation that failed.
        action: &'static str,
        /// The file.
        file: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another process has the log open.
    #[error("`{directory}` is in use by another process; stop that one first")]
    InUse {
        /// The directory of the log.
        directory: String,
    },
    /// Bytes that were durable no longer match their checksum.
    #[error(
        "`{file}` is damaged at byte {offset}{}: stored checksum {stored_crc:#010x}, computed {computed_crc:#010x}; \
         {NEXT_STEP}", expected_entry(*.index)
    )]
    Corrupt {
        /// The damaged file.
        file: String,
        /// The offset of the damage, in bytes.
        offset: u64,
        /// The entry that was expected there; `None` when the damage is not in a frame.
        index: Option<Index>,
        /// The checksum that was read.
        stored_crc: u32,
        /// The checksum of what was read with it.
        computed_crc: u32,
    },
    /// The snapshot does not match its checksum.
    #[error(
        "`{file}` is damaged or cut short: it says that its checksum is {stored_crc}, and that of its {bytes} bytes is \
         {computed_crc}; {NEXT_STEP}"
    )]
    CorruptSnapshot {
        /// The file.
        file: String,
        /// Its length in bytes.
        bytes: u64,
        /// The checksum that was read; it may not be hexadecimal.
        stored_crc: String,
        /// The checksum of the rest of it, in hexadecimal.
        computed_crc: String,
    },
    /// Every checksum matches, but the records contradict each other.
    #[error("`{file}` makes no sense at byte {offset}: {problem}; {NEXT_STEP}")]
    Inconsistent {
        /// The file in question.
        file: String,
        /// The offset of the problem, in bytes.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// Another version of the program wrote the log.
    #[error(
        "the format of `{file}` has version {version}, and this program reads version {known}; nothing was changed: start \
         the node with the program that wrote it, or begin a new lab"
    )]
    OtherVersion {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
        /// The version that this program reads.
        known: u32,
    },
    /// A file that was durable is missing.
    #[error("`{file}` is missing; {NEXT_STEP}")]
    Missing {
        /// The missing file.
        file: String,
    },
    /// The first entries are neither in the log nor in a snapshot.
    #[error(
        "`{file}` begins with entry {first}, and {}: put back what is missing, if you have it; {NEXT_STEP}",
        missing_before(.snapshot, *.last)
    )]
    Gap {
        /// The first file of the log.
        file: String,
        /// The first entry that the log has.
        first: Index,
        /// The file of the snapshot.
        snapshot: String,
        /// The last entry that the snapshot covers; `None` when it is missing.
        last: Option<Index>,
    },
    /// The log belongs to another node.
    #[error(
        "`{file}` belongs to the log of {owner}, and this is {node}: with it, {node} would break promises of its own \
         and keep some of {owner}; nothing was changed: put the log of {node} back, or have {node} removed from its \
         cluster and added again"
    )]
    Foreign {
        /// The first of its files.
        file: String,
        /// The node to which the log belongs.
        owner: NodeId,
        /// The node that tried to open it.
        node: NodeId,
    },
    /// There is a log without a durable mark, so it is unknown how much of it had been synced.
    #[error(
        "`{file}` is missing or empty, and the log beside it is not: it ends with entry {last_index} now, and it is \
         unknown whether acknowledged entries or a vote are missing from its end; put the file back, if you have it; \
         {NEXT_STEP}"
    )]
    NoMark {
        /// The file of the durable mark.
        file: String,
        /// The last entry that can be read.
        last_index: Index,
    },
    /// An earlier write or sync failed, so it is unknown what is on the disk.
    #[error("the log takes nothing more, because an earlier write or sync failed; restart the node")]
    Poisoned,
}

impl WalError {
    /// Converts an error of the operating system. A full disk has its own variant.
    pub(crate) fn io(action: &'static str, file: &str, source: io::Error) -> WalError {
        let file = file.to_owned();
        match is_full(&source) {
            true => WalError::NoSpace { action, file },
            false => WalError::Io { action, file, source },
        }
    }
}

/// Whether the error means that the disk is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn expected_entry(index: Option<Index>) -> String {
    index.map_or_else(String::new, |index| format!(", where entry {index} was expected"))
}

fn missing_before(snapshot: &str, last: Option<Index>) -> String {
    match last {
        Some(last) => format!("`{snapshot}` ends with entry {last}"),
        None => format!("`{snapshot}`, which should stand for those before, is missing"),
    }
}
