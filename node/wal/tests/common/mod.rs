//! What the tests of the log share: small entries, small segments, and a directory that goes away.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate, and uses its own part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use raftian_raft::{
    Configuration, Discard, Entry, HardState, Index, LastEntry, NodeId, Payload, Snapshot, Storage, Term, Write,
};
use raftian_wal::{Disk, MemDisk, Options, Recovered, Wal, WalError};

/// The name of the first segment.
pub const FIRST: &str = "00000001.wal";
/// The name of the file with the durable mark.
pub const MARK: &str = "durable";
/// The name of the snapshot's file.
pub const SNAPSHOT: &str = "snapshot.json";
/// The length of a segment's header in bytes.
pub const HEADER: usize = 52;

/// Segments that fill quickly.
pub const SMALL: Options = Options::new(1024, 256);

/// A command entry whose content tells its term and index.
pub fn entry(term: Term, index: Index) -> Entry {
    let command = format!("command {index} of term {term}");
    Entry { index, term, payload: Payload::Command(Bytes::from(command)) }
}

/// The entries of one term from `first` to `last`.
pub fn entries(term: Term, first: Index, last: Index) -> Write {
    Write { entries: (first..=last).map(|index| entry(term, index)).collect(), ..Write::default() }
}

/// A hard state alone.
pub fn vote(term: Term, voted_for: u16) -> Write {
    Write { hard_state: Some(hard_state(term, voted_for)), ..Write::default() }
}

/// A snapshot that ends with this entry, of a state that tells so.
pub fn snapshot(term: Term, index: Index) -> Snapshot {
    let configuration = Configuration::new(NodeId::first(3)).unwrap();
    let data = format!("{{\"applied\":{index},\"of term\":{term}}}");
    Snapshot { last: LastEntry { term, index }, configuration, data: Bytes::from(data) }
}

/// A snapshot of the server's own, which keeps the entries after `kept_after`.
pub fn compaction(term: Term, index: Index, kept_after: Index) -> Write {
    let discard = Some(Discard::UpTo(kept_after));
    Write { snapshot: Some(snapshot(term, index)), discard, ..Write::default() }
}

/// A leader's snapshot, which takes the place of the whole log.
pub fn installation(term: Term, index: Index) -> Write {
    Write { snapshot: Some(snapshot(term, index)), discard: Some(Discard::All), ..Write::default() }
}

/// The names of the segments, in order.
pub fn segments(disk: &MemDisk) -> Vec<String> {
    disk.files().into_keys().filter(|file| file.ends_with(".wal")).collect()
}

/// A hard state; 0 is no vote.
pub fn hard_state(term: Term, voted_for: u16) -> HardState {
    HardState { term, voted_for: NodeId::new(voted_for) }
}

/// Whose logs these are.
pub fn node() -> NodeId {
    NodeId::new(1).unwrap()
}

/// Opens with small segments.
pub fn open<D: Disk>(disk: D) -> Result<(Wal<D>, Recovered), WalError> {
    Wal::open_with(disk, node(), SMALL)
}

/// Opens and closes, as a look at what is there.
pub fn recovered(disk: &MemDisk) -> Recovered {
    let (wal, recovered) = open(disk.clone()).unwrap();
    wal.close().unwrap();
    recovered
}

/// Appends and syncs.
pub fn commit<D: Disk>(wal: &mut Wal<D>, write: &Write) {
    wal.append(write).unwrap();
    wal.sync().unwrap();
}

/// A disk with three synced batches, on which the log was then killed.
pub fn three_batches() -> MemDisk {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &vote(1, 2));
    commit(&mut wal, &entries(1, 1, 3));
    commit(&mut wal, &Write { hard_state: Some(hard_state(2, 0)), ..entries(2, 4, 6) });
    disk
}

/// The length of a file up to its last byte that is not zero.
pub fn written(disk: &MemDisk, file: &str) -> usize {
    disk.files()[file].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// A directory of its own that is removed in the end.
pub struct TempDir(PathBuf);

impl TempDir {
    /// The name of a directory that does not exist yet.
    pub fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("raftian-wal-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        TempDir(std::env::temp_dir().join(name))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
