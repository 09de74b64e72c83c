//! Where records stand: what is found is the record that counts, and damage to it is noticed.

mod common;

use common::*;
use raftian_raft::{Discard, NodeId, Storage, Write};
use raftian_wal::{Disk, DiskFile, Located, MemDisk, Part, Wal, locate, owner};

fn found(disk: &MemDisk, part: Part) -> Located {
    locate(disk, part).unwrap().unwrap_or_else(|| panic!("there is no {part:?}"))
}

/// The bytes of a record.
fn bytes(disk: &MemDisk, located: &Located) -> Vec<u8> {
    let (offset, length) = (located.offset as usize, located.length as usize);
    disk.read(&located.file).unwrap()[offset..offset + length].to_vec()
}

/// A vouched log of several segments with a snapshot, in which entries were replaced.
fn rich() -> MemDisk {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &vote(1, 2));
    for index in 1..=60 {
        commit(&mut wal, &entries(1, index, index));
    }
    commit(&mut wal, &compaction(1, 40, 30));
    commit(&mut wal, &Write { hard_state: Some(hard_state(2, 3)), ..entries(2, 51, 56) });
    wal.close().unwrap();
    disk
}

#[test]
fn a_bit_flipped_anywhere_in_a_vouched_record_is_refused() {
    let template = rich();
    let parts = [Part::HardState, Part::Snapshot, Part::Entry(31), Part::Entry(45), Part::Entry(50), Part::Entry(56)];
    for part in parts {
        let located = found(&template, part);
        assert_eq!((located.part, located.vouched), (part, true));
        for offset in located.offset..located.offset + located.length {
            for bit in 0..8 {
                let disk = template.fork();
                disk.flip_bit(&located.file, offset as usize, bit);
                let error = open(disk.clone()).map(|(_, found)| found).unwrap_err().to_string();
                assert!(error.contains("damaged"), "{part:?}, bit {bit} of byte {offset}: {error}");
                assert_eq!(locate(&disk, part).unwrap_err().to_string(), error);
            }
        }
    }
}

#[test]
fn every_entry_is_found_where_it_is_and_the_nearest_one_for_any_other() {
    let disk = rich();
    let log = recovered(&disk).entries;
    let (first, last) = (log[0].index, log[log.len() - 1].index);
    assert!(first > 1 && last == 56);
    for entry in &log {
        let located = found(&disk, Part::Entry(entry.index));
        assert_eq!(located.part, Part::Entry(entry.index));
        let text = format!("command {} of term {}", entry.index, entry.term);
        assert!(bytes(&disk, &located).ends_with(text.as_bytes()), "{located:?}");
    }
    for (index, nearest) in [(0, first), (first - 1, first), (last + 1, last), (u64::MAX, last)] {
        assert_eq!(found(&disk, Part::Entry(index)), found(&disk, Part::Entry(nearest)));
    }
}

#[test]
fn the_last_hard_state_is_found_until_its_segment_goes() {
    let disk = three_batches();
    let located = found(&disk, Part::HardState);
    assert!(located.offset > HEADER as u64, "the first one does not count any more");
    let disk = rich();
    let mut wal = open(disk.clone()).unwrap().0;
    for index in 57..=100 {
        commit(&mut wal, &entries(2, index, index));
    }
    assert_ne!(found(&disk, Part::HardState).file, segments(&disk).pop().unwrap());
    commit(&mut wal, &compaction(2, 100, 100));
    assert_eq!(locate(&disk, Part::HardState).unwrap(), None, "it is in a header");
    assert_eq!(recovered(&disk).hard_state, hard_state(2, 3));
}

#[test]
fn the_snapshot_is_its_whole_file() {
    let disk = rich();
    let length = disk.read(SNAPSHOT).unwrap().len() as u64;
    let expected = Located { part: Part::Snapshot, file: SNAPSHOT.to_owned(), offset: 0, length, vouched: true };
    assert_eq!(found(&disk, Part::Snapshot), expected);
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let disk = MemDisk::new();
    let nothing = |disk: &MemDisk| {
        [Part::HardState, Part::Snapshot, Part::Entry(1)].iter().all(|&part| locate(disk, part).unwrap().is_none())
    };
    assert!(nothing(&disk));
    drop(Wal::open_with(disk.clone(), NodeId::new(0x0203).unwrap(), SMALL).unwrap());
    assert!(nothing(&disk));
    let header = disk.read(FIRST).unwrap();
    for length in 0..header.len() {
        let mut disk = MemDisk::new();
        disk.create(FIRST).unwrap().write_at(0, &header[..length]).unwrap();
        assert!(nothing(&disk), "{length} bytes of the first file");
    }
}

#[test]
fn entries_that_a_leaders_snapshot_made_void_are_not_found() {
    let disk = rich();
    let mut wal = open(disk.clone()).unwrap().0;
    wal.append(&Write { snapshot: Some(snapshot(2, 70)), ..Write::default() }).unwrap();
    // Nothing is removed yet.
    let before = disk.fork();
    wal.append(&Write { discard: Some(Discard::All), ..Write::default() }).unwrap();
    wal.sync().unwrap();
    assert_eq!(found(&before, Part::Entry(70)).part, Part::Entry(56));
    assert_eq!(locate(&disk, Part::Entry(70)).unwrap(), None);
}

#[test]
fn a_record_is_vouched_for_once_it_was_synced() {
    let disk = three_batches();
    let mut wal = open(disk.clone()).unwrap().0;
    wal.append(&entries(2, 7, 8)).unwrap();
    let vouched = |index| found(&disk, Part::Entry(index)).vouched;
    assert_eq!((vouched(6), vouched(7), vouched(8)), (true, false, false));
    wal.sync().unwrap();
    assert!(vouched(7) && vouched(8));
    // The mark that says so may be lost.
    disk.crash();
    assert_eq!((vouched(6), vouched(7), vouched(8)), (true, false, false));
}

#[test]
fn locating_a_record_changes_nothing() {
    let disk = rich();
    open(disk.clone()).unwrap().0.append(&entries(2, 57, 58)).unwrap();
    disk.crash_keeping(disk.unsynced_bytes() - 5);
    let files = disk.files();
    disk.set_changes_left(Some(0));
    assert_eq!(found(&disk, Part::Entry(99)).part, Part::Entry(57));
    assert_eq!(disk.files(), files);
}

#[test]
fn a_log_names_its_owner_also_where_it_is_damaged() {
    let disk = MemDisk::new();
    assert_eq!(owner(&disk).unwrap(), None);
    let node = NodeId::of(3, 2).unwrap();
    Wal::open(disk.clone(), node).unwrap().0.close().unwrap();
    assert_eq!(owner(&disk).unwrap(), Some(node));
    disk.flip_bit("00000001.wal", 40, 0);
    assert!(Wal::open(disk.clone(), node).is_err());
    assert_eq!(owner(&disk).unwrap(), Some(node));
}
