//! The durable log, snapshot and hard state of a server, on a disk that may fail.
//!
//! [`Wal`] implements the core's [`Storage`](raftian_raft::Storage) on a [`Disk`]: [`RealDisk`], or [`MemDisk`] for
//! tests and simulation. Opening it returns what was durable, [`Recovered`]. [`locate()`] finds the place of a record.
//!
//! Invariant: what a successful sync covered is there after any crash, or the log refuses to open. It never cuts, skips
//! or resets anything that may have been acknowledged.
//!
//! Deliberately absent: what a command or an application's state means, mirrors and repair (a Raft server is repaired
//! by its peers), and protection against attackers: the checksums find accidental damage.
//!
//! # On disk
//!
//! | File | Content |
//! |---|---|
//! | `00000001.wal`, `00000002.wal`, … | segments: a header, frames, zeros |
//! | `durable` | the durable mark, in two slots |
//! | `snapshot.json` | the snapshot, if there is one: a line of JSON, then the state if that is not JSON |
//! | `snapshot.json.new` | the next snapshot, while it is being written |
//! | `lock` | nothing; locked while a process has the log open ([`RealDisk`] only) |
//!
//! A frame is `[crc][length][batch][kind][payload]`; the kinds are hard state, the three kinds of entries, and restart.
//! An entry whose index is not beyond the end of the log replaces the suffix from there on. A *batch* is what is
//! appended between two syncs. Each frame has the offset at which its batch began, and the frames of a batch are
//! written only after a sync of all frames before it. So any valid frame proves that everything before its batch had
//! been synced: the log itself proves this for all but the last batch. For the last batch there is the *durable mark*,
//! written to its own file after each sync without being synced itself. It survives the process, so after a kill every
//! acknowledged byte is proved to be durable. After a power cut the mark may be an older one, but is still true.
//!
//! An append that finds the last segment full begins a new one: the old segment is synced, then the new one is created,
//! gets a header that states where the old one ends, and is synced, and then the mark moves there and is synced as
//! well. So only the last segment can be incomplete. The header also has the result of all segments before: the hard
//! state, and the last index of the log. So a segment needs those before it only for their entries. And it names the
//! node to which the log belongs: a log that was copied from another node's folder is refused.
//!
//! The very first segment has only its header until the first mark is durable. So a log with any frame has a mark, or
//! has lost it.
//!
//! # Snapshots
//!
//! A snapshot is written to `snapshot.json.new` and synced, the log is synced, and the file is renamed to
//! `snapshot.json`. So the snapshot is replaced atomically, and only after all that was appended before it is durable.
//! The first step takes long when the state is large, and needs nothing of the log: a [`Stager`] does it in advance,
//! while the log continues. If it fails, for example because the disk is full, the log is not affected. When the log is
//! given a snapshot that was not staged, it does this step itself.
//!
//! Then the log frees space. Entries to discard ([`Discard::UpTo`](raftian_raft::Discard::UpTo)) are removed with their
//! segment once neither it nor a segment before it has an entry that must stay; until then they stay, and are
//! recovered. To discard all entries ([`Discard::All`](raftian_raft::Discard::All)), a frame of the kind restart is
//! written: all entries before it are void, and the log continues after the index in the frame, the last one of the
//! snapshot. The frame is synced before any segment is removed. The oldest segments are removed first, so a crash
//! leaves a log that begins later or earlier, but has no gaps.
//!
//! A crash between a leader's snapshot and the restart leaves a log that ends before the snapshot or conflicts with it.
//! It is recovered as it is, and the core discards it; if it has no entries, opening the log writes the restart.
//!
//! # Recovery
//!
//! Reading stops at the first frame that is not valid. A checksum covers the place of its frame, so a frame that was
//! moved, or was left from before, is never valid, and the rest of the file can be searched for valid frames without
//! false positives. Call *vouched* the greatest of: the mark, and the start of the batch of every valid frame, before
//! or after that place. Everything before *vouched* is proved to have been synced.
//!
//! | What is found | What is done |
//! |---|---|
//! | only zeros from there on, and *vouched* is not beyond | this is the end of the log |
//! | a bad frame at or after *vouched* | a torn tail: filled with zeros, reported in [`Recovered::torn_tail`] |
//! | a bad frame (zeros too) before *vouched*, or in a segment that is not the last | [`WalError::Corrupt`] |
//! | a last segment with a part of its header, then only zeros, no mark in it | its creation was cut short: removed |
//! | any other bad header; two bad marks in a whole file `durable` | [`WalError::Corrupt`] |
//! | a missing segment between others, or one that the mark names; a snapshot without any | [`WalError::Missing`] |
//! | first segments missing, with entries that the snapshot does not cover, or without a snapshot | [`WalError::Gap`] |
//! | a snapshot that does not match its checksum | [`WalError::CorruptSnapshot`] |
//! | a gap between entries, a term that decreases, an unknown kind | [`WalError::Inconsistent`] |
//! | a header of another version | [`WalError::OtherVersion`] |
//! | a snapshot of a term that the hard state has not reached | [`WalError::Inconsistent`] |
//! | no file `durable`, or the start of its creation, and no frame in the log | its creation was cut short: new one |
//! | the same beside a log with any frame | [`WalError::NoMark`] |
//! | a header that names another node | [`WalError::Foreign`] |
//! | a file `snapshot.json.new` | its writing was cut short: removed |
//!
//! A disk may write the sectors of one batch in any order. So after a power cut a bad frame can be followed by valid
//! frames *of the same batch*. That is a torn tail as well, by the rule above: those frames prove only that everything
//! before their batch was synced. A valid frame of a *later* batch proves that the bad one had been synced, and hence
//! was damaged.
//!
//! The frames before a cut stay, although the last of them may never have been acknowledged: Raft allows a server to
//! have stored more than it has acknowledged. They are not durable merely because they could be read: after a failed
//! sync Linux returns the bytes but regards them as written. So everything from *vouched* on, zeros included, is
//! written again and synced before [`Wal::open`] returns.
//!
//! # What this cannot find
//!
//! - After a *power cut* that left an old mark, damage within the last batch looks like a torn tail and is cut. The
//!   same holds if the newer slot of `durable` and the last batch are damaged together.
//! - First segments that are missing although they were not discarded, if the snapshot covers all their entries; this
//!   does no harm. The same holds for a missing or an older snapshot if the log has all entries after it.
//! - A whole directory that was replaced by an older copy of itself: it is intact, and opens.

mod disk;
mod error;
mod locate;
mod mark;
mod mem_disk;
mod mutant;
mod record;
mod recovery;
mod replay;
mod sealed;
mod segment;
mod snapshot;
mod stage;
mod wal;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::WalError;
pub use locate::{Located, Part, locate, owner};
pub use mem_disk::{MemDisk, MemFile};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use recovery::{Recovered, TornTail, is_begun};
pub use stage::{StageError, Stager};
pub use wal::{Options, Wal};
