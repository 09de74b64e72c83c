//! Histories against a model. Some are random, and one is cut off after each change to the disk.

mod common;
#[path = "common/history.rs"]
mod history;

use common::*;
use history::{Model, first_write, play};
use raftian_raft::{Storage, Write};
use raftian_wal::MemDisk;

#[test]
fn whatever_happens_what_was_acknowledged_is_there_and_the_rest_is_a_prefix() {
    (0..1500).for_each(|seed| play(seed, |_| {}));
}

/// A life with both kinds of snapshots, replaced suffixes and several segments.
fn story() -> Vec<Write> {
    vec![
        Write { hard_state: Some(hard_state(1, 2)), ..entries(1, 1, 40) },
        Write { hard_state: Some(hard_state(2, 1)), ..entries(2, 31, 70) },
        compaction(2, 60, 20),
        entries(2, 71, 75),
        Write { entries: entries(2, 76, 80).entries, ..compaction(2, 75, 75) },
        Write { hard_state: Some(hard_state(3, 0)), entries: entries(3, 201, 240).entries, ..installation(3, 200) },
        Write { hard_state: Some(hard_state(4, 3)), ..entries(4, 210, 211) },
        Write { hard_state: Some(hard_state(5, 3)), ..installation(5, 211) },
        entries(5, 212, 260),
        compaction(5, 260, 260),
    ]
}

/// Lives the story on a disk that takes so many changes, with its snapshots staged or not. Whether it came to its end.
fn live(disk: &MemDisk, changes: u64, staged: bool, model: &mut Model) -> bool {
    disk.set_changes_left(Some(changes));
    let outcome = open(disk.clone()).and_then(|(mut wal, _)| {
        story().iter().try_for_each(|write| {
            model.append(write);
            if let Some(snapshot) = write.snapshot.as_ref().filter(|_| staged) {
                let _ = wal.stager().stage(snapshot);
            }
            wal.append(write).and_then(|()| wal.sync())?;
            model.acknowledge();
            Ok(())
        })
    });
    disk.set_changes_left(None);
    outcome.is_ok()
}

#[test]
fn a_story_may_end_after_any_change_to_the_disk_in_any_way() {
    let ends: [fn(&MemDisk); 4] = [
        |_| {},
        MemDisk::crash,
        |disk| disk.crash_keeping(disk.unsynced_bytes() / 2),
        |disk| {
            let mut sector = 0;
            disk.crash_scattered(|| {
                sector += 1;
                sector % 2 == 0
            });
        },
    ];
    for (end, staged) in ends.into_iter().flat_map(|end| [(end, false), (end, true)]) {
        let ended = (0..1000).find(|&changes| {
            let (disk, mut model) = (MemDisk::new(), Model::new());
            let whole = live(&disk, changes, staged, &mut model);
            end(&disk);
            let (mut wal, found) = open(disk.clone()).unwrap_or_else(|error| panic!("{changes} changes: {error}"));
            let first_write = first_write(&found);
            assert!(model.recover(found.clone()), "{changes} changes: {found:?}");
            commit(&mut wal, &first_write);
            model.append(&first_write);
            let next = Write { entries: vec![entry(9, model.newest().last() + 1)], ..vote(9, 1) };
            commit(&mut wal, &next);
            model.append(&next);
            model.acknowledge();
            disk.crash();
            assert!(model.recover(recovered(&disk)), "{changes} changes, and what came after them");
            whole
        });
        assert!(ended.is_some_and(|changes| changes > 50), "the whole story takes {ended:?} changes");
    }
}
