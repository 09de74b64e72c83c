//! A node's storage: the log that ships, on a disk in memory.
//!
//! What waits for the disk is handed to the log when the disk gets to it, in one batch that is synced once, as the node's
//! storage thread does it. A crash strikes before, after or amid that; what it leaves depends on [`Crashes`].
//!
//! Invariant: nothing here knows what a record means. What the disk gives back at the next start is what the log's own
//! recovery makes of the bytes.

use raftian_raft::{Discard, NodeId, Persist, Persisted, Snapshot, Write};
use raftian_script::{Crashes, Part};
use raftian_wal::{Located, MemDisk, Recovered, Wal, WalError, locate};

use crate::random::{DiskStream, random};

/// How a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// How long a sync takes; `None` if it takes until somebody says so.
    pub(crate) sync_us: Option<u64>,
    /// The next sync fails.
    pub(crate) fails: bool,
    /// There is no room for a write.
    pub(crate) is_full: bool,
}

/// The storage of one node.
#[derive(Debug)]
pub(crate) struct Storage {
    node: NodeId,
    layout: raftian_wal::Options,
    disk: MemDisk,
    /// A copy that was made earlier, and what was being written to the disk then.
    kept: Option<(MemDisk, Vec<Write>)>,
    /// Nothing was ever written to the disk.
    is_new: bool,
    /// `None` while the node is down.
    wal: Option<Wal<MemDisk>>,
    /// What waits for the disk, and what the disk is busy with.
    pub(crate) waiting: Vec<Persist>,
    pub(crate) syncing: Vec<Persist>,
    pub(crate) syncs: u64,
    pub(crate) health: Health,
    /// What was being written when the node went down: the disk may have a beginning of it.
    unsettled: Vec<Write>,
    /// Where bits flipped.
    damage: Option<Located>,
}

impl Storage {
    pub(crate) fn new(node: NodeId, layout: raftian_wal::Options, sync_us: Option<u64>) -> Storage {
        Storage {
            node,
            layout,
            disk: MemDisk::new(),
            kept: None,
            is_new: true,
            wal: None,
            waiting: Vec::new(),
            syncing: Vec::new(),
            syncs: 0,
            health: Health { sync_us, fails: false, is_full: false },
            unsettled: Vec::new(),
            damage: None,
        }
    }

    /// Opens the log. Gives back what was being written when it was closed.
    ///
    /// # Errors
    /// When the log refuses: its node must not start.
    pub(crate) fn open(&mut self) -> Result<(Recovered, Vec<Write>), WalError> {
        let (wal, recovered) = Wal::open_with(self.disk.clone(), self.node, self.layout)?;
        self.wal = Some(wal);
        (self.is_new, self.damage) = (false, None);
        Ok((recovered, std::mem::take(&mut self.unsettled)))
    }

    /// What would be found if the power were cut now and the log opened.
    ///
    /// # Errors
    /// When the log would refuse.
    pub(crate) fn durable(&self) -> Result<Recovered, WalError> {
        let disk = self.disk.fork();
        disk.crash();
        Wal::open_with(disk, self.node, self.layout).map(|(_, recovered)| recovered)
    }

    /// A disk on which this has always been.
    pub(crate) fn replace(&mut self, write: &Write) {
        self.wipe();
        let opened = Wal::open_with(self.disk.clone(), self.node, self.layout).expect("an empty disk opens");
        let mut wal = opened.0;
        raftian_raft::Storage::append(&mut wal, write).expect("there is room");
        wal.close().expect("the disk works");
    }

    /// The disk is empty.
    fn wipe(&mut self) {
        self.disk = MemDisk::new();
        self.unsettled.clear();
        self.damage = None;
    }

    /// Another server begins here, with an empty disk. A copy that was kept is not its own.
    pub(crate) fn begin_anew(&mut self, node: NodeId) {
        self.wipe();
        (self.node, self.kept, self.is_new) = (node, None, true);
    }

    /// Whether nothing was ever written here.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// A copy of what is durable is kept aside, unless the disk is damaged. Says whether it was made.
    pub(crate) fn keep(&mut self) -> bool {
        let copy = self.disk.fork();
        copy.crash();
        let is_whole = self.damage.is_none();
        if is_whole {
            self.kept = Some((copy, self.unsettled.clone()));
        }
        is_whole
    }

    /// The disk is the copy that was kept. Says whether there is one.
    pub(crate) fn put_back(&mut self) -> bool {
        let Some((disk, unsettled)) = self.kept.as_ref().map(|(kept, unsettled)| (kept.fork(), unsettled.clone()))
        else {
            return false;
        };
        self.wipe();
        (self.disk, self.unsettled) = (disk, unsettled);
        // A sync that was to fail when the copy was made fails no more.
        self.settle_health();
        true
    }

    // Writing.

    /// The disk takes on all that waits, unless it is busy or held. Says how long it takes at least, and whether anything
    /// is to be written.
    pub(crate) fn begin_sync(&mut self) -> Option<(u64, bool)> {
        if !self.syncing.is_empty() || self.waiting.is_empty() {
            return None;
        }
        let least_us = self.health.sync_us?;
        std::mem::swap(&mut self.syncing, &mut self.waiting);
        self.syncs += 1;
        // What promises nothing new needs no disk.
        Some((least_us, self.is_writing()))
    }

    /// Whether nothing waits for the disk.
    pub(crate) fn is_idle(&self) -> bool {
        self.syncing.is_empty() && self.waiting.is_empty()
    }

    /// Whether the disk is busy with anything but promises.
    pub(crate) fn is_writing(&self) -> bool {
        self.syncing.iter().any(|persist| !persist.write().is_empty())
    }

    /// The batch that the disk is busy with.
    pub(crate) fn batch(&self) -> impl Iterator<Item = &Write> {
        self.syncing.iter().map(Persist::write)
    }

    /// Writes the batch and syncs it once, as the node's storage thread does.
    ///
    /// # Errors
    /// When the disk fails or is full: the node must stop.
    pub(crate) fn sync(&mut self) -> Result<Vec<Persisted>, WalError> {
        if self.health.fails && self.is_writing() {
            self.disk.fail_next_sync();
        }
        let wal = self.wal.as_mut().expect("a node that is up has its log open");
        self.disk.set_capacity_bytes(self.health.is_full.then_some(0));
        Persist::sync_all(std::mem::take(&mut self.syncing), wal)
    }

    /// Whether the sync that was to fail did so, whatever the log made of it.
    pub(crate) fn has_failed(&self) -> bool {
        self.health.fails && !self.disk.next_sync_fails()
    }

    /// Writes a snapshot beside the log.
    ///
    /// # Errors
    /// Why it could not be written; the log goes on without it.
    pub(crate) fn stage(&mut self, snapshot: &Snapshot) -> Result<(), String> {
        self.disk.set_capacity_bytes(self.health.is_full.then_some(0));
        let wal = self.wal.as_ref().expect("a node that is up has its log open");
        wal.stager().stage(snapshot).map_err(|error| error.to_string())
    }

    /// A snapshot beside the log is not wanted any more.
    pub(crate) fn discard_staged(&mut self, snapshot: &Snapshot) {
        let wal = self.wal.as_ref().expect("a node that is up has its log open");
        wal.stager().discard(snapshot);
    }

    // Ends.

    /// The node stops by itself, because its disk has failed amid these writes: nothing more is written.
    pub(crate) fn stop(&mut self, doubtful: Vec<Write>) {
        self.wal = None;
        self.waiting.clear();
        self.unsettled = doubtful;
        self.settle_health();
    }

    /// The node crashes. The first `keep` records of what waited have been written; the disk has them, and what else
    /// `crashes` leaves. `name` is the name of this crash among those of the run. Says how many records were lost.
    pub(crate) fn crash(&mut self, crashes: Crashes, keep: usize, name: u64) -> usize {
        let batch = self.syncing.drain(..).chain(self.waiting.drain(..));
        let writes: Vec<Write> = batch.map(|persist| persist.write().clone()).collect();
        let records: Vec<Write> = writes.iter().flat_map(records).collect();
        let mut wal = self.wal.take().expect("a node that is up has its log open");
        self.settle_health();
        let keep = keep.min(records.len());
        for record in &records[..keep] {
            raftian_raft::Storage::append(&mut wal, record).expect("there is room, and the disk works");
        }
        let whole = self.disk.unsynced_bytes();
        match crashes {
            Crashes::Whole => self.disk.crash_keeping(usize::MAX),
            Crashes::Killed => {}
            Crashes::Torn => {
                self.tear(&mut wal, records.get(keep), name);
                // Before the first record only marks wait for the disk, and a power cut may take those.
                let floor = if keep == 0 { 0 } else { whole };
                let torn = self.disk.unsynced_bytes().saturating_sub(floor) as u64;
                self.disk.crash_keeping(
                    floor + random([name, DiskStream::Bytes as u64]).checked_rem(torn).unwrap_or(0) as usize,
                );
            }
            Crashes::Scattered => {
                for record in &records[keep..] {
                    raftian_raft::Storage::append(&mut wal, record).expect("there is room, and the disk works");
                }
                let mut sector = 0;
                self.disk.crash_scattered(|| {
                    sector += 1;
                    random([name, DiskStream::Sectors as u64, sector]) % 2 == 0
                });
            }
        }
        self.unsettled = writes;
        self.settle_health();
        records.len() - keep
    }

    /// A record is written, or a part of it: frames are cut off later, changes of the folder end here.
    fn tear(&self, wal: &mut Wal<MemDisk>, record: Option<&Write>, name: u64) {
        let Some(record) = record else { return };
        if record.snapshot.is_some() || record.discard.is_some() {
            self.disk.set_changes_left(Some(random([name, DiskStream::Changes as u64]) % 8));
        }
        // That it does not come to its end is what is wanted.
        let _ = raftian_raft::Storage::append(wal, record);
        self.disk.set_changes_left(None);
    }

    /// Nothing is wrong with the disk any more.
    pub(crate) fn mend(&mut self) {
        self.health = Health { sync_us: Some(0), fails: false, is_full: false };
        self.settle_health();
    }

    fn settle_health(&mut self) {
        self.health.fails = false;
        self.disk.spare_next_sync();
        self.disk.set_capacity_bytes(None);
    }

    // Damage.

    /// A bit flips in a record. Says in which; in none if there is no such record, or one that is damaged already.
    pub(crate) fn flip(&mut self, part: Part, name: u64) -> Option<Part> {
        if self.is_damaged() {
            return None;
        }
        // What the kernel does by itself after a while: or a power cut could take back the proof that this was durable.
        self.disk.write_back();
        let found = locate(&self.disk, in_log(part)).ok().flatten().filter(|found| found.vouched)?;
        let offset = found.offset + random([name, DiskStream::Offset as u64]) % found.length.max(1);
        self.disk.flip_bit(&found.file, offset as usize, (random([name, DiskStream::Bit as u64]) % 8) as u8);
        self.damage = Some(found);
        self.damage()
    }

    /// Why no bit can flip in this record; nothing if one can.
    pub(crate) fn why_not_flip(&self, part: Part) -> Option<&'static str> {
        let disk = self.disk.fork();
        disk.write_back();
        match locate(&disk, in_log(part)).ok().flatten() {
            _ if self.is_damaged() => Some("is damaged already"),
            Some(found) if found.part != in_log(part) => Some("has no such record"),
            None => Some("has no such record"),
            Some(found) if !found.vouched => Some("has nothing after that record, so that it would be taken for torn"),
            Some(_) => None,
        }
    }

    /// Whether a copy of the disk was kept.
    pub(crate) fn has_copy(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether the log would refuse to open, because of a bit that flipped.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damage.is_some() && locate(&self.disk, in_log(Part::HardState)).is_err()
    }

    /// Where bits flipped since the log was opened.
    pub(crate) fn damage(&self) -> Option<Part> {
        self.damage.as_ref().map(|found| of_log(found.part))
    }
}

/// What a scenario calls so, as the log knows it.
fn in_log(part: Part) -> raftian_wal::Part {
    match part {
        Part::HardState => raftian_wal::Part::HardState,
        Part::Snapshot => raftian_wal::Part::Snapshot,
        Part::Entry(index) => raftian_wal::Part::Entry(index),
    }
}

/// What the log knows so, as a scenario calls it.
fn of_log(part: raftian_wal::Part) -> Part {
    match part {
        raftian_wal::Part::HardState => Part::HardState,
        raftian_wal::Part::Snapshot => Part::Snapshot,
        raftian_wal::Part::Entry(index) => Part::Entry(index),
    }
}

/// The parts of a write that can be appended one after another, in its order.
fn records(write: &Write) -> Vec<Write> {
    let hard_state = write.hard_state.map(|hard_state| Write { hard_state: Some(hard_state), ..Write::default() });
    let snapshot = write.snapshot.clone().map(|snapshot| Write { snapshot: Some(snapshot), ..Write::default() });
    let discard = write.discard.map(|discard| Write { discard: Some(discard), ..Write::default() });
    let entries = write.entries.iter().map(|entry| Write { entries: vec![entry.clone()], ..Write::default() });
    hard_state.into_iter().chain(snapshot).chain(discard).chain(entries).collect()
}

/// Whether this write puts a leader's snapshot in the place of the log.
pub(crate) fn is_install(write: &Write) -> bool {
    write.discard == Some(Discard::All)
}
