//! The same log on a directory of the operating system.

mod common;

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use common::*;
use raftian_raft::Write;
use raftian_wal::{Disk, DiskFile, RealDisk, Wal, WalError};

#[test]
fn a_killed_log_comes_back_whole() {
    let directory = TempDir::new();
    for round in 0..4 {
        let (mut wal, found) = Wal::open(RealDisk::open(directory.path()).unwrap(), node()).unwrap();
        assert_eq!(found.entries, entries(1, 1, round * 100).entries);
        assert_eq!(found.torn_tail, None);
        for turn in 0..10 {
            let first = round * 100 + turn * 10 + 1;
            commit(&mut wal, &entries(1, first, first + 9));
        }
    }
}

#[test]
fn rotation_and_closing_work_on_files() {
    let directory = TempDir::new();
    for round in 0..3 {
        let (mut wal, found) = open(RealDisk::open(directory.path()).unwrap()).unwrap();
        assert_eq!(found.entries, entries(1, 1, round * 40).entries);
        for index in round * 40 + 1..=round * 40 + 40 {
            commit(&mut wal, &entries(1, index, index));
        }
        wal.close().unwrap();
    }
    assert!(directory.path().join("00000005.wal").exists());
}

#[test]
fn a_file_is_longer_than_what_is_written_so_that_a_sync_is_cheap() {
    let directory = TempDir::new();
    let (mut wal, _) = Wal::open(RealDisk::open(directory.path()).unwrap(), node()).unwrap();
    let length = || fs::metadata(directory.path().join(FIRST)).unwrap().len();
    assert_eq!(length(), 1 << 20);
    commit(&mut wal, &entries(1, 1, 1000));
    assert_eq!(length(), 1 << 20);
    commit(&mut wal, &entries(1, 1001, 40_000));
    assert_eq!(length() % (1 << 20), 0);
    assert!(length() > 1 << 20);
}

#[test]
fn damage_is_refused_by_its_full_path_and_nothing_is_touched() {
    let directory = TempDir::new();
    let mut wal = Wal::open(RealDisk::open(directory.path()).unwrap(), node()).unwrap().0;
    commit(&mut wal, &entries(1, 1, 3));
    drop(wal);
    let path = directory.path().join(FIRST);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = Wal::open(RealDisk::open(directory.path()).unwrap(), node()).map(|(_, found)| found).unwrap_err();
    assert!(error.to_string().contains(&format!("`{}` is damaged at byte", path.display())), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_sync_that_the_system_refuses_is_an_error() {
    // A pipe has no disk behind it.
    let (_reader, writer) = io::pipe().unwrap();
    let mut file = File::from(OwnedFd::from(writer));
    assert_eq!(file.sync().unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_snapshot_is_staged_where_the_system_tells_no_limit() {
    let directory = TempDir::new();
    let mut wal = open(RealDisk::open(directory.path()).unwrap()).unwrap().0;
    commit(&mut wal, &Write { hard_state: Some(hard_state(1, 1)), ..entries(1, 1, 3) });
    wal.stager().stage(&snapshot(1, 2)).unwrap();
    assert!(directory.path().join("snapshot.json.new").exists());
}

#[test]
fn a_directory_has_one_user_at_a_time() {
    let directory = TempDir::new();
    let first = RealDisk::open(directory.path()).unwrap();
    let error = RealDisk::open(directory.path()).unwrap_err();
    assert!(matches!(error, WalError::InUse { .. }), "{error}");
    drop(first);
    RealDisk::open(directory.path()).unwrap();
}

#[test]
fn a_directory_is_made_with_its_parents_for_the_owner_alone() {
    let directory = TempDir::new();
    let path = directory.path().join("nodes/n1/wal");
    let mut disk = RealDisk::open(&path).unwrap();
    disk.create("f").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(path.join("f")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let directory = TempDir::new();
    fs::create_dir(directory.path()).unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    let error = RealDisk::open(path.join("wal")).unwrap_err();
    assert!(error.to_string().starts_with(&format!("could not open `{}/wal`", path.display())), "{error}");
}

#[test]
fn a_snapshot_is_a_file_for_people_too_and_makes_room() {
    let directory = TempDir::new();
    let mut wal = open(RealDisk::open(directory.path()).unwrap()).unwrap().0;
    for index in 1..=100 {
        commit(&mut wal, &entries(1, index, index));
    }
    commit(&mut wal, &Write { hard_state: Some(hard_state(2, 1)), ..compaction(1, 100, 100) });
    drop(wal);
    let mut files: Vec<String> = RealDisk::open(directory.path()).unwrap().list().unwrap();
    files.sort();
    assert_eq!(files, ["00000005.wal", "durable", "lock", SNAPSHOT]);
    let path = directory.path().join(SNAPSHOT);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((&json["last_index"], &json["state"]["json"]["applied"]), (&100.into(), &100.into()));
    let found = open(RealDisk::open(directory.path()).unwrap()).unwrap().1;
    assert_eq!((found.hard_state, found.snapshot), (hard_state(2, 1), Some(snapshot(1, 100))));
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let directory = TempDir::new();
    let mut disk = RealDisk::open(directory.path()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(directory.path().join("fifo")).status().unwrap().success());
    let refused = [disk.read("fifo").err(), disk.open("fifo").err(), disk.create("fifo").err()];
    for error in refused {
        assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::InvalidInput));
    }
}
