//! Files that no crash leaves: the log refuses to open, says what and where, and touches nothing.

mod common;

use std::ops::Range;

use common::*;
use raftian_raft::Storage;
use raftian_wal::{Disk, DiskFile, MemDisk, WalError};

/// Opens in vain, and makes sure that nothing was changed.
fn refusal(disk: &MemDisk, what: &str) -> WalError {
    let before = disk.files();
    let error = open(disk.clone()).map(|(_, found)| found).expect_err(what);
    assert_eq!(disk.files(), before, "{what}");
    error
}

/// Flips each bit of some bytes, one after the other, and expects each to be noticed where it is.
fn every_flip_is_refused(template: &MemDisk, file: &str, range: Range<usize>) {
    for offset in range {
        for bit in 0..8 {
            let what = format!("bit {bit} of byte {offset} of {file}");
            let disk = template.fork();
            disk.flip_bit(file, offset, bit);
            match refusal(&disk, &what) {
                WalError::Corrupt { file: named, offset: at, stored_crc, computed_crc, .. } => {
                    assert_eq!(named, file, "{what}");
                    assert!(at as usize <= offset, "{what}: said to be at byte {at}");
                    assert_ne!(stored_crc, computed_crc, "{what}");
                }
                other => panic!("{what}: {other}"),
            }
        }
    }
}

#[test]
fn every_flipped_bit_up_to_the_durable_mark_is_refused() {
    let disk = three_batches();
    every_flip_is_refused(&disk, FIRST, 0..written(&disk, FIRST));
}

#[test]
fn after_a_power_cut_every_flipped_bit_before_the_last_batch_is_refused_without_a_newer_mark() {
    let disk = three_batches();
    disk.crash();
    let mut without_mark = disk.fork();
    without_mark.remove(MARK).unwrap();
    let before = MemDisk::new();
    let mut wal = open(before.clone()).unwrap().0;
    commit(&mut wal, &vote(1, 2));
    commit(&mut wal, &entries(1, 1, 3));
    let last_batch = written(&before, FIRST);
    every_flip_is_refused(&disk, FIRST, 0..last_batch);
    every_flip_is_refused(&without_mark, FIRST, 0..last_batch);
}

#[test]
fn without_a_newer_mark_damage_in_the_last_batch_looks_like_a_torn_tail() {
    let disk = three_batches();
    disk.crash();
    disk.flip_bit(FIRST, written(&disk, FIRST) - 1, 0);
    let found = recovered(&disk);
    assert_eq!(found.entries.len(), 5);
    assert!(found.torn_tail.is_some());
}

#[test]
fn a_flip_in_a_batch_that_was_never_synced_is_a_torn_tail() {
    let template = three_batches();
    let mark = written(&template, FIRST);
    let mut wal = open(template.clone()).unwrap().0;
    wal.append(&entries(2, 7, 9)).unwrap();
    for offset in mark..written(&template, FIRST) {
        let disk = template.fork();
        disk.flip_bit(FIRST, offset, 3);
        let found = recovered(&disk);
        assert!((6..9).contains(&found.entries.len()), "byte {offset}");
        assert!(found.torn_tail.is_some_and(|torn| torn.offset as usize <= offset), "byte {offset}");
    }
}

#[test]
fn a_message_about_damage_names_file_place_entry_and_checksums() {
    let disk = three_batches();
    disk.flip_bit(FIRST, written(&disk, FIRST) - 1, 0);
    let error = refusal(&disk, "a flip in the last entry");
    let WalError::Corrupt { offset, index, stored_crc, computed_crc, .. } = error else { panic!("{error}") };
    assert_eq!(index, Some(6));
    let expected = format!(
        "`00000001.wal` is damaged at byte {offset}, where entry 6 was expected: stored checksum {stored_crc:#010x}, \
         computed {computed_crc:#010x}; nothing was cut or changed, and the node must not start on this: keep the \
         files for a closer look; the node can only come back as a new one"
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn durable_bytes_that_turned_to_zeros_are_refused() {
    let template = three_batches();
    let end = written(&template, FIRST);
    for from in (0..end).rev() {
        let mut disk = template.fork();
        disk.open(FIRST).unwrap().write_at(from as u64, &vec![0; end - from]).unwrap();
        let error = refusal(&disk, "zeros");
        assert!(matches!(error, WalError::Corrupt { .. }), "zeros from byte {from}: {error}");
    }
}

#[test]
fn a_file_cut_short_is_refused() {
    let template = three_batches();
    let whole = template.files()[FIRST].clone();
    for length in 0..written(&template, FIRST) {
        let mut disk = template.fork();
        disk.create(FIRST).unwrap().write_at(0, &whole[..length]).unwrap();
        let error = refusal(&disk, "cut short");
        assert!(matches!(error, WalError::Corrupt { .. }), "{length} bytes: {error}");
    }
}

/// A disk with at least four segments.
fn many_segments() -> MemDisk {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    for index in 1..=70 {
        commit(&mut wal, &entries(1, index, index));
    }
    assert!(disk.files().len() > 4);
    disk
}

#[test]
fn a_flip_in_any_earlier_segment_is_refused_whatever_the_mark_says() {
    let mut disk = many_segments();
    every_flip_is_refused(&disk, "00000002.wal", HEADER..written(&disk, "00000002.wal"));
    disk.remove(MARK).unwrap();
    every_flip_is_refused(&disk, "00000002.wal", HEADER..written(&disk, "00000002.wal"));
    every_flip_is_refused(&disk, "00000003.wal", 0..HEADER);
}

#[test]
fn zeros_at_the_end_of_an_earlier_segment_are_refused() {
    let mut disk = many_segments();
    let end = written(&disk, "00000002.wal");
    disk.open("00000002.wal").unwrap().write_at(end as u64 - 60, &[0; 60]).unwrap();
    let error = refusal(&disk, "zeros");
    assert!(matches!(&error, WalError::Corrupt { file, index: Some(_), .. } if file == "00000002.wal"), "{error}");
}

#[test]
fn a_missing_segment_is_refused_wherever_it_was() {
    let template = many_segments();
    let segments: Vec<String> = template.files().into_keys().filter(|file| file.ends_with(".wal")).collect();
    for file in &segments {
        let mut disk = template.fork();
        disk.remove(file).unwrap();
        let error = refusal(&disk, file);
        assert!(matches!(&error, WalError::Missing { file: named } if named == file), "{file}: {error}");
    }
    let mut disk = template.fork();
    for file in &segments {
        disk.remove(file).unwrap();
    }
    assert!(matches!(refusal(&disk, "all"), WalError::Missing { .. }));
}

#[test]
fn a_segment_under_the_name_of_another_is_refused() {
    let mut disk = many_segments();
    let second = disk.files()["00000002.wal"].clone();
    disk.create("00000003.wal").unwrap().write_at(0, &second).unwrap();
    let error = refusal(&disk, "swapped").to_string();
    assert!(error.contains("`00000003.wal` makes no sense at byte 0: its header says that it is segment 2"), "{error}");
}

#[test]
fn a_foreign_file_under_the_name_of_a_segment_is_refused() {
    let mut disk = MemDisk::new();
    disk.create(FIRST).unwrap().write_at(0, b"my precious notes").unwrap();
    assert!(matches!(refusal(&disk, "notes"), WalError::Corrupt { offset: 0, index: None, .. }));
}

#[test]
fn one_bad_slot_of_the_mark_is_survived_and_two_are_refused() {
    let disk = three_batches();
    for (slot, other) in [(0, 512), (512, 0)] {
        let disk = disk.fork();
        disk.flip_bit(MARK, slot + 9, 1);
        assert_eq!(recovered(&disk.fork()).entries.len(), 6);
        disk.flip_bit(MARK, other + 9, 1);
        let error = refusal(&disk, "two bad slots");
        assert!(matches!(&error, WalError::Corrupt { file, index: None, .. } if file == MARK), "{error}");
    }
}

#[test]
fn a_lost_mark_file_is_made_again() {
    let mut disk = three_batches();
    disk.remove(MARK).unwrap();
    assert_eq!(recovered(&disk).entries.len(), 6);
    every_flip_is_refused(&disk, FIRST, 0..written(&disk, FIRST));
}

#[test]
fn a_segment_that_turned_to_zeros_after_a_power_cut_is_refused() {
    let mut disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 30));
    commit(&mut wal, &entries(1, 31, 31));
    disk.crash();
    let second = "00000002.wal";
    let length = written(&disk, second);
    disk.open(second).unwrap().write_at(0, &vec![0; length]).unwrap();
    let error = refusal(&disk, "no header");
    assert!(matches!(&error, WalError::Corrupt { file, offset: 0, .. } if file == second), "{error}");
}
