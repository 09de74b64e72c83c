//! A disk in memory, for tests and simulation, with crashes and faults on request.
//!
//! Each file has two images: what a process reads (the page cache) and what a power cut leaves (the platter), with the
//! writes between the two. A kill leaves the first, so dropping a log and opening it again on the same disk is a kill.
//!
//! Invariant: nothing that was synced is ever lost in a crash. As [`Disk`] requires, creating, renaming and removing
//! files is durable at once. As on Unix, a handle stays on its file when that is renamed or removed.
//!
//! Deliberately absent: time, and randomness (the caller has the generator).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, DiskFile};

/// The bytes that a power cut keeps or loses as a whole.
const SECTOR: usize = 512;

/// A disk in memory. Clones are handles on the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

/// A file on a [`MemDisk`] that is open for writing.
#[derive(Debug)]
pub struct MemFile {
    disk: MemDisk,
    /// Its index in the contents.
    place: usize,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// The index in the contents of each file.
    names: BTreeMap<String, usize>,
    /// Removed files keep an empty one, so that an old handle never refers to another file.
    contents: Vec<Content>,
    writes: u64,
    capacity_bytes: Option<usize>,
    next_sync_fails: bool,
    changes_left: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// The bytes of the unsynced writes, one after the other.
    written: Vec<u8>,
}

/// A write that a power cut may lose.
#[derive(Clone, Copy, Debug)]
struct Unsynced {
    /// Counts the writes to the disk.
    number: u64,
    offset: usize,
    /// Where its bytes begin in `written`.
    start: usize,
    length: usize,
}

impl MemDisk {
    /// An empty disk without a limit.
    pub fn new() -> MemDisk {
        MemDisk::default()
    }

    /// Another disk with the same content.
    pub fn fork(&self) -> MemDisk {
        MemDisk { state: Arc::new(Mutex::new(self.state().clone())) }
    }

    /// Everything written so far becomes durable, as when the operating system writes its cache back.
    pub fn write_back(&self) {
        self.state().contents.iter_mut().for_each(Content::write_back);
    }

    /// Cuts the power: everything unsynced is lost.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Cuts the power when exactly the first so many of the unsynced bytes, in the order of writing, are durable.
    pub fn crash_keeping(&self, bytes: usize) {
        let mut state = self.state();
        let contents = state.contents.iter().enumerate();
        let mut order: Vec<(usize, Unsynced)> =
            contents.flat_map(|(place, content)| content.unsynced.iter().map(move |&write| (place, write))).collect();
        order.sort_unstable_by_key(|(_, write)| write.number);
        let mut room = bytes;
        for (place, write) in order {
            let kept = room.min(write.length);
            state.contents[place].reach(Unsynced { length: kept, ..write });
            room -= kept;
        }
        state.contents.iter_mut().for_each(Content::read_again);
    }

    /// Cuts the power while the disk writes sectors in any order: of the 512-byte sectors with unsynced bytes, those
    /// become durable for which `keep` returns true.
    pub fn crash_scattered(&self, mut keep: impl FnMut() -> bool) {
        let mut state = self.state();
        let State { names, contents, .. } = &mut *state;
        for &place in names.values() {
            contents[place].scatter(&mut keep);
        }
        contents.iter_mut().for_each(Content::read_again);
    }

    /// How many bytes a power cut may lose.
    pub fn unsynced_bytes(&self) -> usize {
        self.state().contents.iter().map(|content| content.written.len()).sum()
    }

    /// Makes the next sync fail as on Linux: the file reads as before, but the unsynced bytes never become durable,
    /// although later syncs of the file succeed.
    pub fn fail_next_sync(&self) {
        self.state().next_sync_fails = true;
    }

    /// Whether the next sync will fail.
    pub fn next_sync_fails(&self) -> bool {
        self.state().next_sync_fails
    }

    /// Cancels [`MemDisk::fail_next_sync`].
    pub fn spare_next_sync(&self) {
        self.state().next_sync_fails = false;
    }

    /// Limits the bytes of all files together; `None` is no limit. A write beyond the limit writes what fits, and
    /// fails.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<usize>) {
        self.state().capacity_bytes = capacity_bytes;
    }

    /// Limits the number of further changes (creations, writes, syncs, renames and removals); each one after that fails
    /// and does nothing. `None` is no limit. Followed by a crash, this is a crash between any two changes.
    pub fn set_changes_left(&self, changes: Option<u64>) {
        self.state().changes_left = changes;
    }

    /// Flips a bit, durably and without an error.
    ///
    /// # Panics
    /// When there is no such file or it is too short.
    pub fn flip_bit(&self, file: &str, offset: usize, bit: u8) {
        let mut state = self.state();
        let place = state.place(file).unwrap_or_else(|_| panic!("no file `{file}`"));
        let content = &mut state.contents[place];
        content.cached[offset] ^= 1 << bit;
        if let Some(byte) = content.durable.get_mut(offset) {
            *byte ^= 1 << bit;
        }
    }

    /// The content of all files, as a process reads it.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        state.names.iter().map(|(name, &place)| (name.clone(), state.contents[place].cached.clone())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves the bytes as they are.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, place: usize) -> MemFile {
        MemFile { disk: self.clone(), place }
    }
}

impl Disk for MemDisk {
    type File = MemFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        let state = self.state();
        let place = state.place(file)?;
        Ok(state.contents[place].cached.clone())
    }

    fn create(&mut self, file: &str) -> io::Result<MemFile> {
        let mut state = self.state();
        state.change()?;
        let place = match state.place(file) {
            Ok(place) => {
                state.contents[place] = Content::default();
                place
            }
            Err(_) => {
                let place = state.contents.len();
                state.contents.push(Content::default());
                state.names.insert(file.to_owned(), place);
                place
            }
        };
        Ok(self.handle(place))
    }

    fn open(&mut self, file: &str) -> io::Result<MemFile> {
        let place = self.state().place(file)?;
        Ok(self.handle(place))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let place = state.names.remove(from).ok_or_else(not_found)?;
        if let Some(replaced) = state.names.insert(to.to_owned(), place) {
            state.contents[replaced] = Content::default();
        }
        Ok(())
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let place = state.names.remove(file).ok_or_else(not_found)?;
        state.contents[place] = Content::default();
        Ok(())
    }

    fn room(&self) -> io::Result<u64> {
        Ok(self.state().room_bytes() as u64)
    }
}

impl DiskFile for MemFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.disk.state();
        state.change()?;
        let room = state.room_bytes();
        state.writes += 1;
        let number = state.writes;
        let content = &mut state.contents[self.place];
        let fitting = bytes.len().min((content.cached.len().saturating_add(room)).saturating_sub(offset));
        content.write(number, offset, &bytes[..fitting]);
        if fitting == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change()?;
        let fails = std::mem::take(&mut state.next_sync_fails);
        let content = &mut state.contents[self.place];
        if fails {
            content.forget_unsynced();
            return Err(io::Error::other("the disk failed"));
        }
        content.write_back();
        Ok(())
    }
}

impl State {
    /// Counts a change.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.changes_left {
            Some(0) => Err(io::Error::other("the disk takes no more changes")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn room_bytes(&self) -> usize {
        let Some(capacity) = self.capacity_bytes else { return usize::MAX };
        let used: usize = self.contents.iter().map(|content| content.cached.len()).sum();
        capacity.saturating_sub(used)
    }

    fn place(&self, file: &str) -> io::Result<usize> {
        self.names.get(file).copied().ok_or_else(not_found)
    }
}

impl Content {
    fn write(&mut self, number: u64, offset: usize, bytes: &[u8]) {
        put(&mut self.cached, offset, bytes);
        self.unsynced.push(Unsynced { number, offset, start: self.written.len(), length: bytes.len() });
        self.written.extend_from_slice(bytes);
    }

    /// An unsynced write, or a prefix of one, becomes durable.
    fn reach(&mut self, write: Unsynced) {
        put(&mut self.durable, write.offset, &self.written[write.start..write.start + write.length]);
    }

    /// All unsynced writes become durable.
    fn write_back(&mut self) {
        for write in 0..self.unsynced.len() {
            self.reach(self.unsynced[write]);
        }
        self.forget_unsynced();
    }

    /// Some of the sectors with unsynced bytes become durable.
    fn scatter(&mut self, mut keep: impl FnMut() -> bool) {
        for start in (0..self.cached.len()).step_by(SECTOR) {
            let end = self.cached.len().min(start + SECTOR);
            let is_dirty = |write: &Unsynced| write.offset < end && write.offset + write.length > start;
            if self.unsynced.iter().any(is_dirty) && keep() {
                put(&mut self.durable, start, &self.cached[start..end]);
            }
        }
    }

    fn forget_unsynced(&mut self) {
        self.unsynced.clear();
        self.written.clear();
    }

    /// After a power cut a process reads what was durable.
    fn read_again(&mut self) {
        self.forget_unsynced();
        self.cached.clone_from(&self.durable);
    }
}

fn put(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if image.len() == offset {
        image.extend_from_slice(bytes);
        return;
    }
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(bytes);
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

#[cfg(test)]
mod tests;
