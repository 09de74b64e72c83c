//! The log when nothing goes wrong, and what it thinks of callers that go wrong.

mod common;

use bytes::Bytes;
use common::*;
use raftian_raft::{Entry, Payload, Storage, Write};
use raftian_wal::{Disk, MemDisk, Options, Recovered, Wal, is_begun};

#[test]
fn a_new_log_is_empty() {
    let (wal, found) = open(MemDisk::new()).unwrap();
    assert_eq!(found, Recovered::default());
    assert_eq!((wal.syncs(), wal.bytes()), (0, 0));
}

#[test]
fn a_log_is_begun_once_it_was_opened() {
    let mut disk = MemDisk::new();
    assert!(!is_begun(&disk).unwrap());
    disk.create("notes.wal").unwrap();
    assert!(!is_begun(&disk).unwrap());
    drop(open(disk.clone()).unwrap());
    assert!(is_begun(&disk).unwrap());
}

#[test]
fn everything_that_was_written_comes_back() {
    let disk = MemDisk::new();
    let log = vec![
        Entry { index: 1, term: 1, payload: Payload::Noop },
        Entry { index: 2, term: 1, payload: Payload::Command(Bytes::new()) },
        Entry { index: 3, term: 7, payload: Payload::Command(Bytes::from(vec![0; 5000])) },
        Entry { index: 4, term: 7, payload: Payload::Command(Bytes::from_static(b"{\"op\":\"attack\"}")) },
    ];
    let mut wal = open(disk.clone()).unwrap().0;
    wal.append(&Write { hard_state: Some(hard_state(7, 65535)), entries: log[..2].to_vec(), ..Write::default() })
        .unwrap();
    wal.append(&Write { entries: log[2..].to_vec(), ..Write::default() }).unwrap();
    wal.sync().unwrap();
    wal.close().unwrap();
    let expected = Recovered { hard_state: hard_state(7, 65535), entries: log, ..Recovered::default() };
    assert_eq!(recovered(&disk), expected);
    assert_eq!(recovered(&disk), expected, "opening changes nothing");
}

#[test]
fn the_last_hard_state_counts() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    for write in [vote(3, 0), vote(3, 2), vote(4, 0)] {
        commit(&mut wal, &write);
    }
    assert_eq!(recovered(&disk).hard_state, hard_state(4, 0));
}

#[test]
fn entries_replace_the_suffix_from_their_first_index_on() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 10));
    commit(&mut wal, &entries(2, 4, 5));
    let expected = [entries(1, 1, 3).entries, entries(2, 4, 5).entries].concat();
    assert_eq!(recovered(&disk).entries, expected);

    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &entries(3, 6, 6));
    commit(&mut wal, &entries(4, 1, 1));
    assert_eq!(recovered(&disk).entries, entries(4, 1, 1).entries);
}

#[test]
fn a_log_goes_on_over_many_segments_and_openings() {
    let disk = MemDisk::new();
    for round in 0..20 {
        let (mut wal, found) = open(disk.clone()).unwrap();
        assert_eq!(found.entries, entries(1, 1, round * 25).entries);
        for turn in 0..5 {
            let first = round * 25 + turn * 5 + 1;
            commit(&mut wal, &entries(1, first, first + 4));
        }
        if round % 2 == 0 {
            wal.close().unwrap();
        }
    }
    assert!(disk.files().len() > 10, "{:?}", disk.files().keys());
    assert_eq!(recovered(&disk).entries, entries(1, 1, 500).entries);
}

#[test]
fn a_suffix_may_be_replaced_in_a_later_segment() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    for index in 1..=60 {
        commit(&mut wal, &entries(1, index, index));
    }
    commit(&mut wal, &entries(2, 3, 4));
    assert!(disk.files().len() > 3);
    assert_eq!(recovered(&disk).entries, [entries(1, 1, 2).entries, entries(2, 3, 4).entries].concat());
}

#[test]
fn an_append_larger_than_a_segment_fits() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 200));
    commit(&mut wal, &entries(1, 201, 201));
    assert_eq!(disk.files().len(), 3);
    assert_eq!(recovered(&disk).entries, entries(1, 1, 201).entries);
}

#[test]
fn a_log_may_be_opened_with_another_layout() {
    let disk = three_batches();
    let (mut wal, _) = Wal::open_with(disk.clone(), node(), Options::new(0, 7)).unwrap();
    commit(&mut wal, &entries(2, 7, 7));
    commit(&mut wal, &entries(2, 8, 8));
    assert_eq!(Wal::open(disk, node()).unwrap().1.entries.last(), Some(&entry(2, 8)));
}

#[test]
fn a_sync_covers_all_appends_before_it_and_none_is_made_for_nothing() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    wal.sync().unwrap();
    wal.append(&Write::default()).unwrap();
    wal.sync().unwrap();
    assert_eq!((wal.syncs(), wal.bytes()), (0, 0));
    wal.append(&vote(1, 1)).unwrap();
    wal.append(&entries(1, 1, 1)).unwrap();
    wal.sync().unwrap();
    assert_eq!(wal.syncs(), 1);
    assert_eq!(wal.bytes() as usize, written(&disk, FIRST) - HEADER);
    disk.crash();
    assert_eq!(recovered(&disk).entries, entries(1, 1, 1).entries);
}

#[test]
fn closing_syncs_what_was_appended() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    wal.append(&entries(1, 1, 3)).unwrap();
    wal.close().unwrap();
    assert_eq!(disk.unsynced_bytes(), 0);
    disk.crash();
    assert_eq!(recovered(&disk).entries, entries(1, 1, 3).entries);
}

#[test]
#[should_panic(expected = "entry 3 cannot follow a log that ends at 1, with a snapshot that ends at 0")]
fn a_gap_to_the_log_is_a_fault_of_the_caller() {
    let mut wal = open(MemDisk::new()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 1));
    let _ = wal.append(&entries(1, 3, 3));
}

#[test]
#[should_panic(expected = "entry 3 follows entry 1")]
fn a_gap_between_entries_is_a_fault_of_the_caller() {
    let write = Write { entries: vec![entry(1, 1), entry(1, 3)], ..Write::default() };
    let _ = open(MemDisk::new()).unwrap().0.append(&write);
}

#[test]
#[should_panic(expected = "the term goes back from 2 to 1")]
fn a_term_that_goes_back_is_a_fault_of_the_caller() {
    let mut wal = open(three_batches()).unwrap().0;
    let _ = wal.append(&vote(1, 1));
}
