//! What a disk in memory keeps and loses.

use super::*;

fn disk_with(synced: &[u8]) -> (MemDisk, MemFile) {
    let mut disk = MemDisk::new();
    let mut file = disk.create("f").unwrap();
    file.write_at(0, synced).unwrap();
    file.sync().unwrap();
    (disk, file)
}

#[test]
fn a_crash_loses_what_was_not_synced_and_nothing_else() {
    let (disk, mut file) = disk_with(b"synced");
    file.write_at(4, b"ATE").unwrap();
    assert_eq!(disk.read("f").unwrap(), b"syncATE");
    assert_eq!(disk.unsynced_bytes(), 3);
    disk.crash();
    assert_eq!(disk.read("f").unwrap(), b"synced");
    assert_eq!(disk.unsynced_bytes(), 0);
}

#[test]
fn a_torn_crash_keeps_a_prefix_in_the_order_of_writing() {
    let (disk, mut file) = disk_with(b"......");
    let mut other = disk.clone().create("a").unwrap();
    file.write_at(2, b"xy").unwrap();
    other.write_at(0, b"other").unwrap();
    file.write_at(0, b"z").unwrap();
    disk.crash_keeping(4);
    assert_eq!(disk.read("f").unwrap(), b"..xy..");
    assert_eq!(disk.read("a").unwrap(), b"ot");
}

#[test]
fn a_scattered_crash_keeps_whole_sectors() {
    let (disk, mut file) = disk_with(&[0; 3 * SECTOR]);
    file.write_at(500, &[1; 2 * SECTOR]).unwrap();
    let mut turn = 0;
    disk.crash_scattered(|| {
        turn += 1;
        turn != 2
    });
    let bytes = disk.read("f").unwrap();
    assert_eq!(turn, 3);
    assert_eq!(bytes[500..SECTOR], [1; 12]);
    assert_eq!(bytes[SECTOR..2 * SECTOR], [0; SECTOR]);
    assert_eq!(bytes[2 * SECTOR..2 * SECTOR + 500], [1; 500]);
    assert_eq!(bytes[2 * SECTOR + 500..], [0; 12]);
}

#[test]
fn a_scattered_crash_asks_about_sectors_with_unsynced_bytes_alone() {
    let (disk, mut file) = disk_with(&[0; 4 * SECTOR]);
    file.write_at(SECTOR as u64, &[1; SECTOR]).unwrap();
    let mut turn = 0;
    disk.crash_scattered(|| {
        turn += 1;
        true
    });
    assert_eq!(turn, 1);
    assert_eq!(disk.read("f").unwrap(), [[0; SECTOR], [1; SECTOR], [0; SECTOR], [0; SECTOR]].concat());
}

#[test]
fn a_flipped_bit_is_read_and_survives_a_power_cut() {
    let (disk, mut file) = disk_with(b"\x00\xff");
    file.write_at(2, b"\xff").unwrap();
    (0..3).for_each(|offset| disk.flip_bit("f", offset, 6));
    assert_eq!(disk.read("f").unwrap(), b"\x40\xbf\xbf");
    disk.crash();
    assert_eq!(disk.read("f").unwrap(), b"\x40\xbf");
}

#[test]
fn a_failed_sync_loses_the_bytes_but_they_can_still_be_read() {
    let (disk, mut file) = disk_with(b"old");
    file.write_at(0, b"new").unwrap();
    disk.fail_next_sync();
    assert!(file.sync().is_err());
    assert!(file.sync().is_ok());
    assert_eq!(disk.read("f").unwrap(), b"new");
    disk.crash();
    assert_eq!(disk.read("f").unwrap(), b"old");
}

#[test]
fn what_was_written_back_survives_a_power_cut_without_a_sync() {
    let (mut disk, mut file) = disk_with(b"old");
    let mut other = disk.create("g").unwrap();
    file.write_at(0, b"new").unwrap();
    other.write_at(0, b"other").unwrap();
    disk.set_changes_left(Some(0));
    disk.write_back();
    assert_eq!(disk.unsynced_bytes(), 0);
    disk.set_changes_left(None);
    file.write_at(0, b"now").unwrap();
    disk.crash();
    assert_eq!((disk.read("f").unwrap(), disk.read("g").unwrap()), (b"new".to_vec(), b"other".to_vec()));
}

#[test]
fn what_a_failed_sync_lost_is_not_written_back() {
    let (disk, mut file) = disk_with(b"old");
    file.write_at(0, b"new").unwrap();
    disk.fail_next_sync();
    assert!(file.sync().is_err());
    disk.write_back();
    assert_eq!(disk.read("f").unwrap(), b"new");
    disk.crash();
    assert_eq!(disk.read("f").unwrap(), b"old");
}

#[test]
fn a_handle_stays_on_its_file_whatever_becomes_of_the_name() {
    let (mut disk, mut file) = disk_with(b"old");
    disk.rename("f", "g").unwrap();
    let mut other = disk.create("f").unwrap();
    file.write_at(0, b"new").unwrap();
    other.write_at(0, b"other").unwrap();
    assert_eq!((disk.read("f").unwrap(), disk.read("g").unwrap()), (b"other".to_vec(), b"new".to_vec()));
    disk.remove("g").unwrap();
    disk.create("h").unwrap();
    file.write_at(0, b"gone").unwrap();
    assert_eq!(disk.files(), BTreeMap::from([("f".to_owned(), b"other".to_vec()), ("h".to_owned(), vec![])]));
}

#[test]
fn a_renamed_file_takes_its_unsynced_bytes_along_and_the_place_of_another() {
    let (mut disk, mut file) = disk_with(b"old");
    file.write_at(0, b"new").unwrap();
    disk.create("g").unwrap();
    disk.rename("f", "g").unwrap();
    assert_eq!(disk.files(), BTreeMap::from([("g".to_owned(), b"new".to_vec())]));
    disk.crash();
    assert_eq!(disk.files(), BTreeMap::from([("g".to_owned(), b"old".to_vec())]));
    assert_eq!(disk.rename("f", "g").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_disk_without_changes_left_can_still_be_read() {
    let (mut disk, mut file) = disk_with(b"old");
    disk.set_changes_left(Some(1));
    file.write_at(0, b"new").unwrap();
    assert!(file.sync().is_err() && file.write_at(0, b"now").is_err());
    assert!(disk.create("g").is_err() && disk.rename("f", "g").is_err() && disk.remove("f").is_err());
    assert_eq!(disk.read("f").unwrap(), b"new");
    disk.crash();
    disk.set_changes_left(None);
    assert_eq!(disk.read("f").unwrap(), b"old");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let (disk, mut file) = disk_with(b"1234");
    disk.set_capacity_bytes(Some(6));
    assert_eq!(file.write_at(3, b"45678").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.read("f").unwrap(), b"123456");
    assert!(file.write_at(0, b"abcdef").is_ok());
}
