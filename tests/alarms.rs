//! What breaks the ground that Raft stands on is found out by the lab itself: an event, `status`, and `doctor`.

use std::fs;
use std::path::Path;

use raftian_tests::{Lab, eventually};

/// A folder and all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The log of a node is what was saved of it.
fn put_back(saved: &Path, wal: &Path) {
    fs::remove_dir_all(wal).unwrap();
    copy(saved, wal);
}

#[test]
fn a_disk_that_went_back_in_time_is_told_of_and_its_node_counts_for_nothing_until_it_is_added_anew() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    lab.ok("transfer-leader n1");
    lab.ok("kv set a 1");
    lab.ok("wait converged");
    lab.ok("stop n3");
    let (wal, saved) = (lab.folder().join("nodes/n3/wal"), lab.home().join("saved"));
    copy(&wal, &saved);
    lab.ok("restart n3");
    lab.ok("kv set a 2");
    lab.ok("wait converged");
    assert_eq!(lab.ok("doctor").matches("went back in time").count(), 0);
    lab.ok("kill n3");
    put_back(&saved, &wal);
    lab.ok("restart n3");
    let told = "n3 denies what it acknowledged: its disk went back in time, and it counts for no quorum";
    eventually("the leader has seen it", || lab.ok("status").contains(told));
    let events = lab.ok("events -n 100");
    assert!(events.contains("n1 is denied by n3 what n3 acknowledged"), "{events}");
    let doctor = lab.run("doctor");
    assert_eq!(doctor.code, 1, "{doctor:#?}");
    assert!(doctor.stdout.contains(told), "{doctor:#?}");
    assert!(doctor.stdout.contains("`raftianctl --lab default member remove n3`"), "{doctor:#?}");
    // It is sent what it lacks all the same.
    lab.ok("wait converged");
    assert_eq!(lab.leader(), "n1");
    lab.ok("member remove n3");
    lab.ok("member add n3");
    assert_eq!(lab.node("n3.2")["standing"], "voter");
    let doctor = lab.ok("doctor");
    assert!(!doctor.contains("went back in time"), "{doctor}");
}
