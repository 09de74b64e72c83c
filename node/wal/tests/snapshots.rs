//! Snapshots, and the segments that make room for them.

mod common;

use bytes::Bytes;
use common::*;
use raftian_raft::{Configuration, Discard, LastEntry, NodeId, Snapshot, Storage, Write};
use raftian_wal::{Disk, DiskFile, MemDisk, Recovered, WalError};

/// A disk with a log of some entries of term 1, each synced, over several segments.
fn with_entries(last: u64) -> MemDisk {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &vote(1, 2));
    for index in 1..=last {
        commit(&mut wal, &entries(1, index, index));
    }
    disk
}

#[test]
fn a_snapshot_comes_back_with_the_entries_after_it() {
    let disk = with_entries(5);
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &compaction(1, 3, 3));
    commit(&mut wal, &entries(1, 6, 6));
    let found = recovered(&disk);
    assert_eq!((found.hard_state, found.snapshot), (hard_state(1, 2), Some(snapshot(1, 3))));
    assert_eq!(found.entries, entries(1, 1, 6).entries, "one segment goes or stays as a whole");
}

#[test]
fn segments_go_when_the_snapshot_stands_for_all_of_them() {
    let template = with_entries(100);
    let all = segments(&template);
    assert!(all.len() > 4);
    let mut fewest = all.len();
    for kept_after in 0..=100 {
        let disk = template.fork();
        let mut wal = open(disk.clone()).unwrap().0;
        commit(&mut wal, &compaction(1, 100, kept_after));
        let left = segments(&disk);
        assert!(left.len() <= fewest && all.ends_with(&left), "{left:?} of {all:?}");
        fewest = left.len();
        let found = recovered(&disk);
        let first = found.entries.first().unwrap().index;
        assert!(first <= kept_after + 1, "the log begins with {first}, and should keep all after {kept_after}");
        assert_eq!(found.entries, entries(1, first, 100).entries);
        assert_eq!(found.hard_state, hard_state(1, 2), "its frame was in the first segment");
    }
    assert_eq!(fewest, 1);
}

#[test]
fn a_segment_of_replaced_entries_goes_with_those_that_replaced_them() {
    for reopened in [false, true] {
        let disk = with_entries(100);
        let mut wal = open(disk.clone()).unwrap().0;
        commit(&mut wal, &Write { hard_state: Some(hard_state(2, 0)), ..entries(2, 11, 12) });
        if reopened {
            wal = open(disk.clone()).unwrap().0;
        }
        commit(&mut wal, &compaction(1, 10, 10));
        assert_eq!(segments(&disk).len(), 1);
        let expected = Recovered {
            hard_state: hard_state(2, 0),
            snapshot: Some(snapshot(1, 10)),
            entries: entries(2, 11, 12).entries,
            torn_tail: None,
        };
        assert_eq!(recovered(&disk), expected);
    }
}

#[test]
fn segments_that_a_crash_left_behind_go_with_the_next_snapshot() {
    for (write, index) in [(installation(1, 50), 50), (compaction(1, 100, 100), 100)] {
        let (disk, changes) = (1..20)
            .map(|changes| (with_entries(100), changes))
            .find(|(disk, changes)| {
                let mut wal = open(disk.clone()).unwrap().0;
                disk.set_changes_left(Some(*changes));
                matches!(wal.append(&write), Err(WalError::Io { action: "remove", .. }))
            })
            .expect("segments are removed in the end");
        disk.set_changes_left(None);
        disk.crash();
        let (mut wal, found) = open(disk.clone()).unwrap();
        assert_eq!(found.snapshot, write.snapshot, "{changes} changes");
        assert!(segments(&disk).len() > 4);
        commit(&mut wal, &Write { discard: Some(Discard::UpTo(index)), ..Write::default() });
        assert_eq!(segments(&disk).len(), 1);
        assert_eq!(recovered(&disk).snapshot, found.snapshot);
    }
}

#[test]
fn a_log_is_compacted_again_and_again() {
    let disk = with_entries(0);
    for round in 1..=30 {
        let mut wal = open(disk.clone()).unwrap().0;
        let last = round * 20;
        for index in last - 19..=last {
            commit(&mut wal, &entries(1, index, index));
        }
        commit(&mut wal, &compaction(1, last, last - 10));
        assert!(segments(&disk).len() <= 3, "{:?}", segments(&disk));
        let found = recovered(&disk);
        assert_eq!(found.snapshot, Some(snapshot(1, last)));
        assert!(found.entries.ends_with(&entries(1, last - 9, last).entries));
    }
}

#[test]
fn a_leaders_snapshot_takes_the_place_of_the_log() {
    for index in [10, 50, 1000] {
        let disk = with_entries(50);
        let mut wal = open(disk.clone()).unwrap().0;
        let next = Write { entries: vec![entry(2, index + 1)], ..installation(2, index) };
        commit(&mut wal, &Write { hard_state: Some(hard_state(2, 0)), ..next });
        commit(&mut wal, &entries(2, index + 2, index + 2));
        let expected = Recovered {
            hard_state: hard_state(2, 0),
            snapshot: Some(snapshot(2, index)),
            entries: entries(2, index + 1, index + 2).entries,
            torn_tail: None,
        };
        assert_eq!(segments(&disk).len(), 1);
        assert_eq!(recovered(&disk), expected);
        disk.crash();
        assert_eq!(recovered(&disk), expected);
    }
}

#[test]
fn a_crash_between_a_leaders_snapshot_and_the_end_of_the_log_leaves_both() {
    let disk = with_entries(5);
    let mut wal = open(disk.clone()).unwrap().0;
    wal.append(&Write { discard: None, ..installation(1, 9) }).unwrap();
    disk.crash();
    let (mut wal, found) = open(disk.clone()).unwrap();
    assert_eq!((found.snapshot, found.entries), (Some(snapshot(1, 9)), entries(1, 1, 5).entries));
    commit(&mut wal, &Write { discard: Some(Discard::All), ..entries(1, 10, 10) });
    assert_eq!(recovered(&disk).entries, entries(1, 10, 10).entries);
}

#[test]
fn an_empty_log_goes_on_after_a_snapshot_that_came_just_before_a_crash() {
    let disk = with_entries(0);
    let mut wal = open(disk.clone()).unwrap().0;
    wal.append(&Write { discard: None, ..installation(1, 9) }).unwrap();
    disk.crash();
    let (mut wal, found) = open(disk.clone()).unwrap();
    assert_eq!((found.snapshot, found.entries.len()), (Some(snapshot(1, 9)), 0));
    commit(&mut wal, &entries(1, 10, 11));
    disk.crash();
    assert_eq!(recovered(&disk).entries, entries(1, 10, 11).entries);
}

#[test]
fn a_snapshot_is_durable_only_after_what_was_appended_before_it() {
    let disk = with_entries(5);
    let mut wal = open(disk.clone()).unwrap().0;
    wal.append(&entries(1, 6, 7)).unwrap();
    wal.append(&Write { hard_state: Some(hard_state(3, 1)), ..compaction(1, 7, 0) }).unwrap();
    disk.crash();
    let found = recovered(&disk);
    assert_eq!((found.hard_state, found.snapshot), (hard_state(3, 1), Some(snapshot(1, 7))));
    assert_eq!(found.entries, entries(1, 1, 7).entries);
}

#[test]
fn the_remains_of_an_unfinished_snapshot_are_removed() {
    let mut disk = with_entries(5);
    let expected = recovered(&disk);
    disk.create("snapshot.json.new").unwrap().write_at(0, b"{\"crc32\":\"12").unwrap();
    assert_eq!(recovered(&disk), expected);
    assert_eq!(disk.files().into_keys().collect::<Vec<_>>(), [FIRST, MARK]);
}

#[test]
fn a_disk_that_fills_while_a_snapshot_is_written_loses_nothing() {
    let template = with_entries(60);
    let mut wal = open(template.clone()).unwrap().0;
    commit(&mut wal, &compaction(1, 30, 30));
    let before = recovered(&template);
    let used: usize = template.files().values().map(Vec::len).sum();
    for room in 0..template.files()[SNAPSHOT].len() {
        let disk = template.fork();
        let mut wal = open(disk.clone()).unwrap().0;
        disk.set_capacity_bytes(Some(used + room));
        let error = wal.append(&compaction(1, 60, 60)).unwrap_err();
        assert!(matches!(&error, WalError::NoSpace { file, .. } if file == "snapshot.json.new"), "{room}: {error}");
        assert!(matches!(wal.sync(), Err(WalError::Poisoned)));
        if room % 2 == 0 {
            disk.crash();
        }
        assert_eq!(recovered(&disk), before, "it opens before there is room, with {room} bytes left");
        disk.set_capacity_bytes(None);
        commit(&mut open(disk.clone()).unwrap().0, &compaction(1, 60, 60));
        assert_eq!(recovered(&disk).snapshot, Some(snapshot(1, 60)));
    }
}

/// A copy of a snapshot that shares no memory with it.
fn retold(snapshot: &Snapshot) -> Snapshot {
    Snapshot { data: Bytes::copy_from_slice(&snapshot.data), ..snapshot.clone() }
}

#[test]
fn a_staged_snapshot_is_put_in_force_without_another_write() {
    for retell in [false, true] {
        let disk = with_entries(60);
        let mut wal = open(disk.clone()).unwrap().0;
        let staged = snapshot(1, 40);
        wal.stager().stage(&if retell { retold(&staged) } else { staged.clone() }).unwrap();
        assert_eq!(recovered(&disk.fork()).snapshot, None, "it is not in force");
        disk.set_capacity_bytes(Some(0));
        commit(&mut wal, &compaction(1, 40, 40));
        disk.crash();
        assert_eq!(recovered(&disk).snapshot, Some(staged));
    }
}

#[test]
fn a_leaders_snapshot_may_be_staged_too() {
    let disk = with_entries(60);
    let mut wal = open(disk.clone()).unwrap().0;
    wal.stager().stage(&snapshot(1, 90)).unwrap();
    commit(&mut wal, &installation(1, 90));
    commit(&mut wal, &entries(1, 91, 92));
    disk.crash();
    let found = recovered(&disk);
    assert_eq!((found.snapshot, found.entries), (Some(snapshot(1, 90)), entries(1, 91, 92).entries));
}

#[test]
fn only_exactly_the_staged_snapshot_is_put_in_force() {
    let wanted = snapshot(1, 40);
    let configuration = Configuration::new(NodeId::first(4)).unwrap();
    for other in [
        snapshot(1, 39),
        Snapshot { last: LastEntry { term: 0, index: 40 }, ..wanted.clone() },
        Snapshot { configuration, ..wanted.clone() },
        Snapshot { data: Bytes::from(vec![b'1'; wanted.data.len()]), ..wanted.clone() },
        Snapshot { data: wanted.data.slice(..1), ..wanted.clone() },
    ] {
        let disk = with_entries(60);
        let mut wal = open(disk.clone()).unwrap().0;
        wal.stager().stage(&other).unwrap();
        commit(&mut wal, &compaction(1, 40, 40));
        assert_eq!(recovered(&disk).snapshot, Some(wanted.clone()), "and not {other:?}");
        // Nor is it kept for later.
        commit(&mut wal, &compaction(1, 60, 60));
        assert_eq!(recovered(&disk).snapshot, Some(snapshot(1, 60)));
    }
}

#[test]
fn a_snapshot_that_was_staged_twice_is_the_later_one() {
    let disk = with_entries(60);
    let mut wal = open(disk.clone()).unwrap().0;
    let mut stager = wal.stager();
    stager.stage(&snapshot(1, 30)).unwrap();
    stager.clone().stage(&snapshot(1, 40)).unwrap();
    commit(&mut wal, &compaction(1, 30, 30));
    assert_eq!(recovered(&disk).snapshot, Some(snapshot(1, 30)));
    commit(&mut wal, &compaction(1, 40, 40));
    assert_eq!(recovered(&disk).snapshot, Some(snapshot(1, 40)));
}

#[test]
fn a_staged_snapshot_that_is_not_wanted_any_more_is_removed_unless_another_took_its_place() {
    let is_staged = |disk: &MemDisk| disk.files().contains_key("snapshot.json.new");
    let disk = with_entries(60);
    let mut wal = open(disk.clone()).unwrap().0;
    let mut stager = wal.stager();
    stager.stage(&snapshot(1, 30)).unwrap();
    stager.discard(&snapshot(1, 20));
    assert!(is_staged(&disk), "it is another one");
    stager.discard(&retold(&snapshot(1, 30)));
    assert!(!is_staged(&disk));
    commit(&mut wal, &compaction(1, 30, 30));
    assert_eq!(recovered(&disk).snapshot, Some(snapshot(1, 30)), "the log writes it itself");
}

#[test]
fn a_staged_snapshot_is_forgotten_in_a_crash() {
    let disk = with_entries(60);
    let expected = recovered(&disk);
    open(disk.clone()).unwrap().0.stager().stage(&snapshot(1, 40)).unwrap();
    disk.crash();
    assert_eq!(recovered(&disk), expected);
    assert!(!disk.files().contains_key("snapshot.json.new"));
}

#[test]
fn a_snapshot_that_cannot_be_staged_is_given_up_and_the_log_goes_on() {
    let template = with_entries(60);
    let used: usize = template.files().values().map(Vec::len).sum();
    let wanted = 8 * SMALL.chunk_bytes as usize + snapshot_bytes();
    for room in 0..=wanted {
        let disk = template.fork();
        let mut wal = open(disk.clone()).unwrap().0;
        disk.set_capacity_bytes(Some(used + room));
        match wal.stager().stage(&snapshot(1, 40)) {
            Ok(()) => assert!(room >= wanted, "{room} bytes are too few for it and eight chunks of logs"),
            Err(error) => {
                assert!(room < wanted, "{room}: {error}");
                let expected = "no space left: could not find room for `snapshot.json.new`; the snapshot was given up, \
                     and the log goes on without it";
                assert!(error.to_string().starts_with(expected), "{error}");
                assert!(!disk.files().contains_key("snapshot.json.new"), "it would take up room");
            }
        }
        disk.set_capacity_bytes(Some(used + SMALL.chunk_bytes as usize + snapshot_bytes()));
        commit(&mut wal, &entries(1, 61, 62));
        assert_eq!(recovered(&disk).entries, entries(1, 1, 62).entries);
    }
}

/// The size of the file of a small snapshot.
fn snapshot_bytes() -> usize {
    let disk = with_entries(60);
    commit(&mut open(disk.clone()).unwrap().0, &compaction(1, 40, 40));
    disk.files()[SNAPSHOT].len()
}

#[test]
fn a_disk_that_fails_at_any_step_of_staging_leaves_the_log_as_it_was() {
    for changes in 0..3 {
        let disk = with_entries(60);
        let mut wal = open(disk.clone()).unwrap().0;
        wal.stager().stage(&snapshot(1, 40)).unwrap();
        disk.set_changes_left(Some(changes));
        wal.stager().stage(&snapshot(1, 50)).unwrap_err();
        disk.set_changes_left(None);
        // What had been staged before was in its place.
        commit(&mut wal, &compaction(1, 40, 40));
        assert_eq!(recovered(&disk).snapshot, Some(snapshot(1, 40)), "after {changes} changes");
    }
}

#[test]
fn a_snapshot_of_many_pieces_comes_back_whole_staged_or_not() {
    let data = Bytes::from("x".repeat(3 << 20) + "end");
    let large = Snapshot { data, ..snapshot(1, 40) };
    for staged in [true, false] {
        let disk = with_entries(60);
        let mut wal = open(disk.clone()).unwrap().0;
        if staged {
            wal.stager().stage(&large).unwrap();
        }
        commit(&mut wal, &Write { snapshot: Some(large.clone()), ..compaction(1, 40, 40) });
        disk.crash();
        assert_eq!(recovered(&disk).snapshot, Some(large.clone()));
    }
}

#[test]
#[should_panic(expected = "the snapshot goes back from 4 to 3")]
fn a_snapshot_that_goes_back_is_a_fault_of_the_caller() {
    let mut wal = open(with_entries(5)).unwrap().0;
    commit(&mut wal, &compaction(1, 4, 4));
    let _ = wal.append(&compaction(1, 3, 3));
}

#[test]
#[should_panic(expected = "a snapshot of term 2 comes in term 1")]
fn a_snapshot_of_a_term_to_come_is_a_fault_of_the_caller() {
    let _ = open(with_entries(5)).unwrap().0.append(&compaction(2, 4, 4));
}

#[test]
#[should_panic(expected = "the snapshot ends at 4, and Some(UpTo(5)) is to go")]
fn discarding_more_than_the_snapshot_stands_for_is_a_fault_of_the_caller() {
    let _ = open(with_entries(5)).unwrap().0.append(&compaction(1, 4, 5));
}

#[test]
#[should_panic(expected = "the snapshot ends at 0, and Some(All) is to go")]
fn discarding_all_without_a_snapshot_is_a_fault_of_the_caller() {
    let _ = open(with_entries(5)).unwrap().0.append(&Write { discard: Some(Discard::All), ..Write::default() });
}

#[test]
#[should_panic(expected = "entry 4 cannot follow a log that ends at 5, with a snapshot that ends at 4")]
fn replacing_what_a_snapshot_stands_for_is_a_fault_of_the_caller() {
    let mut wal = open(with_entries(5)).unwrap().0;
    commit(&mut wal, &compaction(1, 4, 0));
    let _ = wal.append(&entries(1, 4, 4));
}
