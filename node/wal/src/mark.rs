//! The durable mark: up to where the log is known to be synced.
//!
//! ```text
//! [magic u32][segment u32][offset u32][crc u32] at bytes 0 and 512 of the file `durable`
//! ```
//!
//! Invariant: a mark is written only after the sync that it records, so it may be too low but never too high. Marks are
//! written to the two slots in turn, so a write that is cut short leaves the other one. The file is not synced with
//! each mark: the page cache survives the process, and after a power cut an old mark is still true.
//!
//! A log with any frame has a mark: the first mark is durable before anything is appended.
//!
//! Deliberately absent: what a mark means for the end of the log (see the rules in [the crate's documentation](crate)).

use crate::record::u32_at;
use crate::segment::Position;
use crate::{Disk, DiskFile, WalError};

/// The name of the file.
pub(crate) const FILE: &str = "durable";
/// One sector each, so that no device tears both slots at once.
const SLOT: usize = 512;
const MARK: usize = 16;
const MAGIC: u32 = u32::from_le_bytes(*b"mark");

/// The content of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) mark: Position,
    next_slot: usize,
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct MarkFile<F> {
    file: F,
    location: String,
    next_slot: usize,
}

/// Reads the mark. `None` when there is no file, or its creation was cut short.
///
/// # Errors
/// When neither slot is valid.
pub(crate) fn read<D: Disk>(disk: &D, files: &[String]) -> Result<Option<Found>, WalError> {
    if !files.iter().any(|file| file == FILE) {
        return Ok(None);
    }
    let bytes = disk.read(FILE).map_err(|error| WalError::io("read", &disk.locate(FILE), error))?;
    if bytes.len() < 2 * SLOT || bytes.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let marks = [decode(&bytes), decode(&bytes[SLOT..])];
    let newest = if marks[1] > marks[0] { 1 } else { 0 };
    match marks[newest] {
        Some(mark) => Ok(Some(Found { mark, next_slot: 1 - newest })),
        None => Err(WalError::Corrupt {
            file: disk.locate(FILE),
            offset: 0,
            index: None,
            stored_crc: u32_at(&bytes, 12),
            computed_crc: crc32fast::hash(&bytes[..12]),
        }),
    }
}

impl<F: DiskFile> MarkFile<F> {
    /// Opens the file that was found, or creates one, and sets the mark durably.
    pub(crate) fn start<D: Disk<File = F>>(
        disk: &mut D,
        found: Option<&Found>,
        mark: Position,
    ) -> Result<MarkFile<F>, WalError> {
        let location = disk.locate(FILE);
        let opened = if found.is_some() { disk.open(FILE) } else { disk.create(FILE) };
        let file = opened.map_err(|error| WalError::io("open", &location, error))?;
        let mut marks = MarkFile { file, location, next_slot: found.map_or(0, |found| found.next_slot) };
        if found.is_none() {
            let mut both = vec![0; 2 * SLOT];
            both[..MARK].copy_from_slice(&encode(mark));
            both[SLOT..SLOT + MARK].copy_from_slice(&encode(mark));
            marks.write_at(0, &both)?;
        } else {
            marks.set(mark)?;
        }
        marks.sync()?;
        Ok(marks)
    }

    /// Sets the mark, so that it survives the process.
    pub(crate) fn set(&mut self, mark: Position) -> Result<(), WalError> {
        self.write_at(self.next_slot * SLOT, &encode(mark))?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }

    /// Syncs the mark, so that it survives a power cut as well.
    pub(crate) fn sync(&mut self) -> Result<(), WalError> {
        self.file.sync().map_err(|error| WalError::io("sync", &self.location, error))
    }

    fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), WalError> {
        self.file.write_at(offset as u64, bytes).map_err(|error| WalError::io("write", &self.location, error))
    }
}

fn encode(mark: Position) -> [u8; MARK] {
    let mut bytes = [0; MARK];
    bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[4..8].copy_from_slice(&mark.segment.to_le_bytes());
    bytes[8..12].copy_from_slice(&mark.offset.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(slot: &[u8]) -> Option<Position> {
    let intact = u32_at(slot, 0) == MAGIC && u32_at(slot, 12) == crc32fast::hash(&slot[..12]);
    intact.then(|| Position { segment: u32_at(slot, 4), offset: u32_at(slot, 8) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemDisk;

    fn at(offset: u32) -> Position {
        Position { segment: 2, offset }
    }

    #[test]
    fn marks_go_to_the_two_slots_in_turn_and_the_greatest_counts() {
        let mut disk = MemDisk::new();
        let mut marks = MarkFile::start(&mut disk, None, at(24)).unwrap();
        let files = [FILE.to_owned()];
        for offset in 25..30 {
            marks.set(at(offset)).unwrap();
            let bytes = disk.read(FILE).unwrap();
            let mut slots = [decode(&bytes), decode(&bytes[SLOT..])];
            slots.sort();
            assert_eq!(slots, [Some(at(offset - 1)), Some(at(offset))]);
            assert_eq!(read(&disk, &files).unwrap().unwrap().mark, at(offset));
        }
        let found = read(&disk, &files).unwrap();
        MarkFile::start(&mut disk, found.as_ref(), at(30)).unwrap();
        disk.flip_bit(FILE, (1 - read(&disk, &files).unwrap().unwrap().next_slot) * SLOT + 8, 0);
        assert_eq!(read(&disk, &files).unwrap().unwrap().mark, at(29), "opening spares the newest slot as well");
    }
}
