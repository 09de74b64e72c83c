//! The durable log, snapshot and hard state of a server, on a disk that may fail.
//!
//! [`Wal`] implements the core's [`Storage`](raftian_raft::Storage) on a [`Disk`]: [`RealDisk`], or [`MemDisk`] for
//! tests and simulation. Opening it gives back what was durable, [`Recovered`]. [`locate()`] says where a record stands.
//!
//! Invariant: what a successful sync covered is there after any crash, or the log refuses to open. It never cuts, skips
//! or resets anything that somebody may have been told of.
//!
//! Deliberately absent: what a command or an application's state means, mirrors and repair (a Raft server is repaired
//! by its peers), and protection from someone who means harm: the checksums find accidents.
//!
//! # On disk
//!
//! | File | Content |
//! |---|---|
//! | `00000001.wal`, `00000002.wal`, … | segments: a header, frames, zeros |
//! | `durable` | the durable mark, in two slots |
//! | `snapshot.json` | the snapshot, if there is one: a line of JSON, then the state if that is not JSON |
//! | `snapshot.json.new` | the next snapshot, as far as it is written |
//! | `lock` | nothing; locked while a process has the log open ([`RealDisk`] only) |
//!
//! A frame is `[crc][length][batch][kind][payload]`; the kinds are hard state, the three kinds of entries, and restart.
//! An entry whose index is not beyond the end of the log replaces the suffix from there on. A *batch* is what is
//! appended between two syncs. Each frame names the offset at which its batch began, and the frames of a batch are
//! written only after a sync of all before it. So any frame that verifies proves that everything before its batch had
//! been synced: the log vouches for all of itself but the last batch. For that one there is the *durable mark*, written
//! to its own file after each sync without being synced itself. It survives the process, so after a kill every
//! acknowledged byte is vouched for. After a power cut it may be older, but is still true.
//!
//! A segment is begun by an append that finds the last one full: the old segment is synced, then the new one is
//! created, gets a header that states where the old one ends, and is synced, and then the mark moves there and is
//! synced as well. So only the last segment can be incomplete. The header also states what came of all segments before:
//! the hard state, and the last index of the log. So a segment does not need those before it, but for their entries.
//! And it names the node whose log this is: a log that came from another node's folder is refused.
//!
//! The first segment of all has nothing but its header until the first mark is durable. So a log that has anything in
//! it has a mark, or has lost it.
//!
//! # Snapshots
//!
//! A snapshot is written to `snapshot.json.new` and synced, the log is synced, and the file is renamed to
//! `snapshot.json`. So it is there as a whole or not at all, and not before anything that was appended before it. The
//! first step takes long where the state is large, and needs nothing of the log: a [`Stager`] takes it beforehand,
//! while the log goes on. If it fails, for want of room for instance, the log has not even noticed. A log that is asked
//! for a snapshot which was not staged takes that step itself.
//!
//! Then the log makes room. Entries that are to go ([`Discard::UpTo`](raftian_raft::Discard::UpTo)) go with their
//! segment when no entry in it, nor in those before it, is to stay; the others stay until then, and are recovered. When
//! all are to go ([`Discard::All`](raftian_raft::Discard::All)), a frame of the kind restart says so: what was before
//! is void, and the log goes on after the index that it names, the last one of the snapshot. It is synced before any
//! segment is removed. Segments are removed from the oldest on, so a crash leaves a log that begins later or earlier,
//! but without gaps.
//!
//! A crash between a leader's snapshot and the restart leaves a log that ends before the snapshot or contradicts it. It
//! is recovered as it is, and the core discards it; if it has no entries there is nothing to discard, and opening
//! restarts it.
//!
//! # Recovery
//!
//! Reading stops at the first frame that does not verify. A checksum covers the place of its frame, so a frame that
//! was moved or left over never verifies, and the rest of the file can be searched for others without fear of false
//! ones. Call *vouched* the greatest of: the mark, and the start of the batch of every frame that verifies, before or
//! after that place.
//!
//! | What is found | What comes of it |
//! |---|---|
//! | only zeros from there on, and nothing vouched for there | that is the end |
//! | a bad frame at or after *vouched* | a torn tail: filled with zeros, reported in [`Recovered::torn_tail`] |
//! | a bad frame (zeros too) before *vouched*, or in a segment that is not the last | [`WalError::Corrupt`] |
//! | a last segment with not all of its header, then only zeros, no mark in it | its creation was cut short: removed |
//! | any other bad header; two bad marks in a whole file `durable` | [`WalError::Corrupt`] |
//! | a missing segment between others, or one that the mark names; a snapshot without any | [`WalError::Missing`] |
//! | first segments gone, with entries that are not in the snapshot; no snapshot then | [`WalError::Gap`] |
//! | a snapshot that does not match its checksum | [`WalError::CorruptSnapshot`] |
//! | a gap between entries, a term that goes back, an unknown version or kind | [`WalError::Inconsistent`] |
//! | a snapshot of a term that the hard state has not reached | [`WalError::Inconsistent`] |
//! | no file `durable`, or the start of its creation, and nothing in the log | its creation was cut short: made anew |
//! | the same beside a log with anything in it | [`WalError::NoMark`] |
//! | a header that names another node | [`WalError::Foreign`] |
//! | a file `snapshot.json.new` | its writing was cut short: removed |
//!
//! A disk may write the sectors of one batch in any order. So after a power cut a bad frame can be followed by good
//! frames *of the same batch*. That is a torn tail as well, and the rule says so: those frames vouch only for what came
//! before their batch. A good frame of a *later* batch proves that the bad one had been synced, and hence was damaged.
//!
//! What stands before a cut stays, though the last part of it may never have been acknowledged: Raft allows a server to
//! have stored more than it has told. It is not durable merely because it could be read: after a failed sync Linux
//! shows the bytes but regards them as written. So everything from *vouched* on, zeros included, is written again and
//! synced before [`Wal::open`] returns.
//!
//! # What this cannot find
//!
//! - After a *power cut* that left an old mark, damage within the last batch looks like a torn tail and is cut. The
//!   same holds if the newer slot of `durable` and the last batch are damaged together.
//! - First segments that are missing though they should not be, if the snapshot stands for all their entries; nor does
//!   it matter. The same holds for a missing or an older snapshot if the log has all that comes after it.
//! - A whole directory that was replaced by an older copy of itself is intact, and opens.

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
pub use locate::{Located, Part, locate};
pub use mem_disk::{MemDisk, MemFile};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use recovery::{Recovered, TornTail, is_begun};
pub use stage::{StageError, Stager};
pub use wal::{Options, Wal};
