//! Kills, power cuts, full disks and failing ones: what was acknowledged is there, what was not is a prefix.

mod common;

use common::*;
use raftian_raft::{Storage, Write};
use raftian_wal::{Disk, DiskFile, MemDisk, Recovered, TornTail, WalError};

/// A disk with a synced batch of three entries, mark included.
fn with_a_synced_batch() -> MemDisk {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &Write { hard_state: Some(hard_state(1, 2)), ..entries(1, 1, 3) });
    wal.close().unwrap();
    disk
}

/// The same with an unsynced batch of four entries after it.
fn with_an_unsynced_batch() -> MemDisk {
    let disk = with_a_synced_batch();
    open(disk.clone()).unwrap().0.append(&entries(1, 4, 7)).unwrap();
    disk
}

#[test]
fn a_kill_loses_nothing_even_if_it_was_not_synced() {
    assert_eq!(recovered(&with_an_unsynced_batch()).entries, entries(1, 1, 7).entries);
}

#[test]
fn a_power_cut_loses_what_was_not_synced() {
    let disk = with_an_unsynced_batch();
    disk.crash();
    let expected =
        Recovered { hard_state: hard_state(1, 2), entries: entries(1, 1, 3).entries, ..Recovered::default() };
    assert_eq!(recovered(&disk), expected);
}

#[test]
fn what_was_recovered_is_durable_from_then_on() {
    let disk = with_an_unsynced_batch();
    let (_wal, found) = open(disk.clone()).unwrap();
    disk.crash();
    assert_eq!(recovered(&disk), found);
}

#[test]
fn every_torn_length_of_the_last_batch_is_cut_to_its_whole_frames() {
    let template = with_an_unsynced_batch();
    let synced = with_a_synced_batch();
    let mark = written(&synced, FIRST);
    let mut wal = open(synced).unwrap().0;
    let mut ends = vec![mark];
    for index in 4..=7 {
        commit(&mut wal, &entries(1, index, index));
        ends.push(mark + wal.bytes() as usize);
    }
    for kept in 0..=template.unsynced_bytes() {
        let disk = template.fork();
        disk.crash_keeping(kept);
        let reach = written(&disk, FIRST);
        let found = recovered(&disk);
        let whole = ends.iter().filter(|&&end| end <= mark + kept).count() as u64 - 1;
        assert_eq!(found.entries, entries(1, 1, 3 + whole).entries, "{kept} bytes kept");
        let end = ends[whole as usize];
        let torn = (reach > end).then(|| TornTail {
            file: FIRST.to_owned(),
            offset: end as u64,
            discarded_bytes: (reach - end) as u64,
        });
        assert_eq!(found.torn_tail, torn, "{kept} bytes kept");
        assert_eq!(written(&disk, FIRST), end, "{kept} bytes kept: the rest is zeros");
        assert_eq!(recovered(&disk).torn_tail, None, "{kept} bytes kept: a tail is cut once");
    }
}

#[test]
fn a_batch_whose_sectors_arrived_out_of_order_is_torn_not_damaged() {
    let template = MemDisk::new();
    let mut wal = open(template.clone()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 3));
    wal.append(&entries(1, 4, 80)).unwrap();
    for seed in 0..500 {
        let disk = template.fork();
        let mut random = fastrand::Rng::with_seed(seed);
        disk.crash_scattered(|| random.bool());
        let found = recovered(&disk);
        let last = found.entries.len() as u64;
        assert!(last >= 3, "seed {seed}");
        assert_eq!(found.entries, entries(1, 1, last).entries, "seed {seed}");
    }
    let disk = template.fork();
    let mut turn = 0;
    disk.crash_scattered(|| {
        turn += 1;
        turn == 6
    });
    assert!(recovered(&disk).torn_tail.is_some(), "a good frame behind a hole, of the same batch");
}

#[test]
fn stale_frames_of_a_torn_batch_do_not_come_back() {
    let disk = with_an_unsynced_batch();
    disk.crash_keeping(disk.unsynced_bytes() - 200);
    let (mut wal, found) = open(disk.clone()).unwrap();
    let last = found.entries.len() as u64;
    commit(&mut wal, &entries(2, last + 1, last + 1));
    let expected = [entries(1, 1, last).entries, entries(2, last + 1, last + 1).entries].concat();
    assert_eq!(recovered(&disk), Recovered { entries: expected, torn_tail: None, ..found });
}

#[test]
fn a_crash_at_any_byte_of_the_first_opening_leaves_an_empty_log() {
    // Opening syncs as it goes, so the states on the way are made by hand, from what it writes in the end.
    let template = MemDisk::new();
    drop(open(template.clone()).unwrap());
    for file in [FIRST, MARK] {
        let whole = template.files()[file].clone();
        for length in 0..=whole.len() {
            let mut disk = template.fork();
            if file == FIRST {
                disk.remove(MARK).unwrap();
            }
            disk.create(file).unwrap().write_at(0, &whole[..length]).unwrap();
            assert_eq!(recovered(&disk), Recovered::default(), "{length} bytes of {file}");
            let mut wal = open(disk.clone()).unwrap().0;
            commit(&mut wal, &entries(1, 1, 1));
            disk.crash();
            assert_eq!(recovered(&disk).entries, entries(1, 1, 1).entries, "{length} bytes of {file}");
        }
    }
}

#[test]
fn a_crash_at_any_byte_of_a_rotation_loses_nothing() {
    let template = MemDisk::new();
    let mut wal = open(template.clone()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 30));
    let before = template.fork();
    commit(&mut wal, &entries(1, 31, 31));
    let second = "00000002.wal";
    let whole = template.files()[second][..SMALL.chunk_bytes as usize].to_vec();
    let header_alone: Vec<u8> = (0..whole.len()).map(|at| if at < HEADER { whole[at] } else { 0 }).collect();
    for length in 0..=header_alone.len() {
        for prefilled in [false, true] {
            let mut disk = before.fork();
            let mut file = disk.create(second).unwrap();
            file.write_at(0, &header_alone[..length]).unwrap();
            if prefilled {
                // The length of the file was durable before its first sector.
                file.write_at(length as u64, &vec![0; header_alone.len() - length]).unwrap();
            }
            let (mut wal, found) = open(disk.clone()).unwrap();
            assert_eq!(found.entries, entries(1, 1, 30).entries, "{length} bytes");
            assert_eq!(disk.files().contains_key(second), length >= HEADER, "{length} bytes");
            commit(&mut wal, &entries(1, 31, 40));
            disk.crash();
            assert_eq!(recovered(&disk).entries, entries(1, 1, 40).entries, "{length} bytes");
        }
    }
}

#[test]
fn a_failed_sync_is_the_end_of_the_log_until_it_is_opened_again() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 3));
    wal.append(&entries(1, 4, 4)).unwrap();
    disk.fail_next_sync();
    let error = wal.sync().unwrap_err();
    assert!(matches!(error, WalError::Io { action: "sync", .. }), "{error}");
    assert!(error.to_string().starts_with("could not sync `00000001.wal`: the disk failed"), "{error}");
    let files = disk.files();
    assert!(matches!(wal.sync(), Err(WalError::Poisoned)));
    assert!(matches!(wal.append(&entries(1, 5, 5)), Err(WalError::Poisoned)));
    assert!(matches!(wal.append(&Write::default()), Err(WalError::Poisoned)));
    assert!(matches!(wal.close(), Err(WalError::Poisoned)));
    assert_eq!(disk.files(), files, "and nothing was written any more");
}

#[test]
fn bytes_that_a_failed_sync_left_in_the_page_cache_are_written_again_before_they_count() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 3));
    wal.append(&entries(1, 4, 4)).unwrap();
    disk.fail_next_sync();
    wal.sync().unwrap_err();
    let (mut wal, found) = open(disk.clone()).unwrap();
    assert_eq!(found.entries, entries(1, 1, 4).entries);
    commit(&mut wal, &entries(1, 5, 5));
    disk.crash();
    assert_eq!(recovered(&disk).entries, entries(1, 1, 5).entries);
}

#[test]
fn a_full_disk_stops_the_log_before_anything_is_acknowledged() {
    // Every capacity, so that the disk fills at each byte of entries, prefilled zeros, headers and marks in turn.
    for capacity in 0..6000 {
        let disk = MemDisk::new();
        disk.set_capacity_bytes(Some(capacity));
        let mut acknowledged = 0;
        let mut error = None;
        match open(disk.clone()) {
            Ok((mut wal, _)) => {
                while error.is_none() {
                    let next = entries(1, acknowledged + 1, acknowledged + 2);
                    match wal.append(&next).and_then(|()| wal.sync()) {
                        Ok(()) => acknowledged += 2,
                        Err(failure) => error = Some(failure),
                    }
                }
                assert!(matches!(wal.append(&entries(1, 1, 1)), Err(WalError::Poisoned)));
            }
            Err(failure) => error = Some(failure),
        }
        let error = error.unwrap();
        assert!(matches!(error, WalError::NoSpace { .. }), "{capacity}: {error}");
        disk.set_capacity_bytes(None);
        if capacity % 2 == 0 {
            disk.crash();
        }
        let (mut wal, found) = open(disk.clone()).unwrap();
        let last = found.entries.len() as u64;
        assert!((acknowledged..=acknowledged + 2).contains(&last), "{capacity}: {last} of {acknowledged}");
        assert_eq!(found.entries, entries(1, 1, last).entries, "{capacity}");
        commit(&mut wal, &entries(1, last + 1, last + 50));
        assert_eq!(recovered(&disk).entries, entries(1, 1, last + 50).entries, "{capacity}");
    }
}

#[test]
fn the_message_about_a_full_disk_says_what_to_do() {
    let disk = MemDisk::new();
    let mut wal = open(disk.clone()).unwrap().0;
    disk.set_capacity_bytes(Some(0));
    let error = wal.append(&entries(1, 1, 20)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no space left: could not write `00000001.wal`; free some room, then restart the node; nothing acknowledged \
         was lost"
    );
}
