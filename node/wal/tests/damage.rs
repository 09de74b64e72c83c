//! Files that no crash leaves: the log refuses to open, says what and where, and touches nothing.

mod common;

use std::ops::Range;

use bytes::Bytes;
use common::*;
use raftian_raft::{NodeId, Snapshot, Storage, Write};
use raftian_wal::{Disk, DiskFile, MemDisk, Wal, WalError};

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
fn after_a_power_cut_every_flipped_bit_before_the_last_batch_is_refused() {
    let disk = three_batches();
    disk.crash();
    let before = MemDisk::new();
    let mut wal = open(before.clone()).unwrap().0;
    commit(&mut wal, &vote(1, 2));
    commit(&mut wal, &entries(1, 1, 3));
    let last_batch = written(&before, FIRST);
    every_flip_is_refused(&disk, FIRST, 0..last_batch);
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
         files for a closer look; the node can only come back as a new one, once it is removed from its cluster and \
         added again"
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
    let segments = segments(&template);
    for file in &segments {
        let mut disk = template.fork();
        disk.remove(file).unwrap();
        match refusal(&disk, file) {
            WalError::Missing { file: named } => assert_eq!(named, *file),
            // Those at the beginning may have made room for a snapshot; but then that must be there.
            WalError::Gap { first, last: None, .. } => assert!(file == FIRST && first > 1, "{file}: {first}"),
            error => panic!("{file}: {error}"),
        }
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
fn a_log_without_a_mark_is_refused_however_much_of_it_is_left() {
    for template in [three_batches(), many_segments(), compacted()] {
        let last = segments(&template).pop().unwrap();
        let whole = template.files()[&last].clone();
        let index = recovered(&template.fork()).entries.last().unwrap().index;
        for mark in [None, Some(vec![]), Some(vec![0; 1024]), Some(template.files()[MARK][..600].to_vec())] {
            let mut disk = template.fork();
            disk.remove(MARK).unwrap();
            if let Some(bytes) = &mark {
                disk.create(MARK).unwrap().write_at(0, bytes).unwrap();
            }
            let error = refusal(&disk, "no mark");
            let WalError::NoMark { file, last_index } = &error else { panic!("{error}") };
            assert_eq!((file.as_str(), *last_index), (MARK, index));
            let expected =
                format!("`durable` is missing or empty, and the log beside it is not: it ends with entry {index}");
            assert!(error.to_string().starts_with(&expected), "{error}");
            // Nor is anything made of a beginning of it: a log that was only just begun has nothing in it.
            for length in HEADER + 1..written(&template, &last) {
                disk.create(&last).unwrap().write_at(0, &whole[..length]).unwrap();
                assert!(matches!(refusal(&disk, "cut short"), WalError::NoMark { .. }), "{length} bytes");
            }
        }
    }
}

#[test]
fn a_log_of_another_node_is_refused_by_name() {
    for disk in [MemDisk::new(), three_batches(), many_segments(), compacted()] {
        drop(open(disk.clone()).unwrap());
        let files = disk.files();
        let other = NodeId::new(7).unwrap();
        let error = Wal::open_with(disk.clone(), other, SMALL).map(|(_, found)| found).unwrap_err();
        let WalError::Foreign { file, owner, node: opener } = &error else { panic!("{error}") };
        assert_eq!((file, *owner, *opener), (&segments(&disk)[0], node(), other));
        assert!(error.to_string().contains("belongs to the log of n1, and this is n7"), "{error}");
        assert_eq!(disk.files(), files);
    }
}

#[test]
fn a_segment_from_the_log_of_another_node_is_refused() {
    let mut disk = many_segments();
    let foreign = MemDisk::new();
    let mut wal = Wal::open_with(foreign.clone(), NodeId::new(7).unwrap(), SMALL).unwrap().0;
    (1..=70).for_each(|index| commit(&mut wal, &entries(1, index, index)));
    let last = segments(&disk).pop().unwrap();
    disk.create(&last).unwrap().write_at(0, &foreign.files()[&last]).unwrap();
    assert!(matches!(refusal(&disk, "foreign"), WalError::Foreign { file, .. } if file == last));
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

/// A disk whose log begins after index 1, with a snapshot before that.
fn compacted() -> MemDisk {
    compacted_to(snapshot(1, 65))
}

fn compacted_to(snapshot: Snapshot) -> MemDisk {
    let disk = many_segments();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &vote(1, 3));
    commit(&mut wal, &Write { snapshot: Some(snapshot), ..compaction(1, 65, 50) });
    assert!(!disk.files().contains_key(FIRST));
    disk
}

#[test]
fn every_flipped_bit_and_every_missing_byte_of_a_snapshot_is_refused() {
    every_change_of_the_snapshot_is_refused(&compacted());
    let binary = Snapshot { data: Bytes::from_static(b"{\"lz4\":\n\x04\x22\x4d\x18\xff\x00"), ..snapshot(1, 65) };
    every_change_of_the_snapshot_is_refused(&compacted_to(binary));
}

fn every_change_of_the_snapshot_is_refused(template: &MemDisk) {
    let whole = template.files()[SNAPSHOT].clone();
    let refused = |disk: &MemDisk, what: &str, length: usize| match refusal(disk, what) {
        WalError::CorruptSnapshot { file, bytes, stored_crc, computed_crc } => {
            assert_eq!((file.as_str(), bytes), (SNAPSHOT, length as u64), "{what}");
            assert_ne!(stored_crc, computed_crc, "{what}");
        }
        other => panic!("{what}: {other}"),
    };
    for offset in 0..whole.len() {
        for bit in 0..8 {
            let disk = template.fork();
            disk.flip_bit(SNAPSHOT, offset, bit);
            refused(&disk, &format!("bit {bit} of byte {offset}"), whole.len());
        }
        let mut disk = template.fork();
        disk.create(SNAPSHOT).unwrap().write_at(0, &whole[..offset]).unwrap();
        refused(&disk, &format!("only {offset} bytes"), offset);
    }
}

#[test]
fn a_message_about_a_damaged_snapshot_names_file_length_and_checksums() {
    let disk = compacted();
    let whole = disk.files()[SNAPSHOT].clone();
    disk.flip_bit(SNAPSHOT, whole.len() - 5, 0);
    let error = refusal(&disk, "a flip");
    let WalError::CorruptSnapshot { computed_crc, .. } = &error else { panic!("{error}") };
    let expected = format!(
        "`snapshot.json` is damaged or cut short: it says that its checksum is {}, and that of its {} bytes is \
         {computed_crc}; nothing was cut or changed, and",
        String::from_utf8_lossy(&whole[10..18]),
        whole.len()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn a_missing_snapshot_is_refused_if_the_log_needs_it() {
    let mut disk = compacted();
    disk.remove(SNAPSHOT).unwrap();
    let error = refusal(&disk, "no snapshot");
    assert!(matches!(&error, WalError::Gap { snapshot, last: None, .. } if snapshot == SNAPSHOT), "{error}");

    let mut disk = three_batches();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &compaction(2, 5, 4));
    disk.remove(SNAPSHOT).unwrap();
    assert_eq!(recovered(&disk).entries.len(), 6, "the log has it all");

    commit(&mut wal, &installation(2, 9));
    disk.remove(SNAPSHOT).unwrap();
    assert!(matches!(refusal(&disk, "no snapshot"), WalError::Gap { first: 10, last: None, .. }));
}

#[test]
fn an_older_snapshot_in_the_place_of_the_one_that_the_log_needs_is_refused() {
    let mut disk = compacted();
    let older = disk.files()[SNAPSHOT].clone();
    let mut wal = open(disk.clone()).unwrap().0;
    for index in 71..=150 {
        commit(&mut wal, &entries(1, index, index));
    }
    commit(&mut wal, &compaction(1, 150, 150));
    disk.create(SNAPSHOT).unwrap().write_at(0, &older).unwrap();
    let error = refusal(&disk, "an older one");
    assert!(matches!(&error, WalError::Gap { last: Some(65), first, .. } if *first > 66), "{error}");
}

#[test]
fn a_missing_segment_after_a_snapshot_is_refused_unless_the_snapshot_stands_for_all_of_it() {
    let template = compacted();
    for (position, file) in segments(&template).iter().enumerate() {
        let mut disk = template.fork();
        disk.remove(file).unwrap();
        match position {
            0 => {
                let found = recovered(&disk);
                assert_eq!((found.hard_state, found.snapshot), (hard_state(1, 3), Some(snapshot(1, 65))));
                assert_eq!(found.entries.last(), Some(&entry(1, 70)));
            }
            _ => assert!(matches!(refusal(&disk, file), WalError::Missing { file: named } if named == *file)),
        }
    }
}

#[test]
fn a_lost_log_is_not_begun_anew_under_a_snapshot() {
    let mut disk = compacted();
    for file in disk.files().into_keys().filter(|file| file != SNAPSHOT) {
        disk.remove(&file).unwrap();
    }
    assert!(matches!(refusal(&disk, "no log"), WalError::Missing { file } if file == FIRST));
}
