//! What breaks the ground that Raft stands on is found out by the lab itself: an event, `status`, and `doctor`.

use std::fs;
use std::path::Path;

use raftian_tests::{Lab, eventually};

/// A folder and all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
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
    let told = "n3's disk went back in time: it had lost what it stored up to index ";
    eventually("the leader has seen it", || lab.ok("status").contains(told));
    let events = lab.ok("events -n 100");
    assert!(events.contains("n1 is denied by n3 what n3 acknowledged"), "{events}");
    let doctor = lab.run("doctor");
    assert_eq!(doctor.code, 1, "{doctor:#?}");
    assert!(doctor.stdout.contains(told), "{doctor:#?}");
    assert!(
        doctor.stdout.contains("`raftianctl --lab default member remove n3 && raftianctl --lab default member add n3`"),
        "{doctor:#?}"
    );
    // It is sent what it lacks all the same. A later leader, and a later daemon, know of it too.
    lab.ok("wait converged");
    assert_eq!(lab.leader(), "n1");
    lab.ok("transfer-leader n2");
    assert!(lab.ok("status").contains(told));
    lab.ok("stop");
    lab.ok("start");
    assert!(lab.ok("status").contains(told));
    lab.ok("member remove n3");
    lab.ok("member add n3");
    assert_eq!(lab.node("n3.2")["standing"], "voter");
    let doctor = lab.ok("doctor");
    assert!(!doctor.contains("went back in time"), "{doctor}");
}

/// Of a log that went back while nobody saw it, the daemon knows: no leader is left that could be denied anything.
#[test]
fn a_log_that_ends_before_what_its_disk_held_is_known_for_an_old_one() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    lab.ok("kv set a 1");
    lab.ok("wait converged");
    lab.ok("stop n3");
    let (wal, saved) = (lab.folder().join("nodes/n3/wal"), lab.home().join("saved"));
    copy(&wal, &saved);
    lab.ok("restart n3");
    lab.ok("kv set a 2");
    lab.ok("wait converged");
    lab.ok("stop");
    put_back(&saved, &wal);
    lab.ok("start");
    let status = lab.ok("status");
    assert!(status.contains("n3's disk went back in time"), "{status}");
    let events = lab.ok("events -n 100");
    assert!(events.contains("ALARM: n3 has lost committed entries, up to index "), "{events}");
}

#[test]
fn a_log_of_another_lab_is_refused() {
    let (lab, other) = (Lab::new(), Lab::new());
    for lab in [&lab, &other] {
        lab.ok("start -n 3 --app kv");
        lab.ok("kv set a 1");
        lab.ok("stop n3");
    }
    let [own, foreign] = [&lab, &other].map(|lab| lab.folder().join("nodes/n3/wal"));
    put_back(&foreign, &own);
    let restart = lab.run("restart n3");
    assert_eq!(restart.code, 1, "{restart:#?}");
    assert!(restart.stderr.contains("belongs to another cluster"), "{restart:#?}");
    assert!(restart.stderr.contains("remove the node from its cluster and add it again"), "{restart:#?}");
}

/// n3 goes on alone, as the only member, and knows by a snapshot what it has committed. Then all are put back to before
/// that, and n1 and n2 go on without it, in later terms. Brought together, n3 has committed other entries than they have.
#[test]
fn nodes_that_have_committed_different_entries_are_told_of_by_the_lab() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    lab.ok("kv set a 1");
    lab.ok("stop");
    let (folder, saved, alone) = (lab.folder(), lab.home().join("saved"), lab.home().join("alone"));
    copy(&folder, &saved);
    lab.ok("start");
    lab.ok("transfer-leader n3");
    lab.ok("member remove n1");
    lab.ok("member remove n2");
    lab.ok("kv set a 3");
    lab.ok("snapshot n3");
    lab.ok("stop");
    let wal = folder.join("nodes/n3/wal");
    copy(&wal, &alone);
    put_back(&saved.join("nodes/n3/wal"), &wal);
    for name in ["n1", "n2"] {
        copy(&saved.join("nodes").join(name), &folder.join("nodes").join(name));
    }
    fs::copy(saved.join("lab.json"), folder.join("lab.json")).unwrap();
    lab.ok("start");
    lab.ok("kill n3");
    for name in ["n1", "n2", "n1", "n2", "n1"] {
        lab.ok(&format!("transfer-leader {name}"));
    }
    (0..10).for_each(|value| _ = lab.ok(&format!("kv set b {value}")));
    assert!(lab.json("status")["divergence"].is_null());
    put_back(&alone, &wal);
    lab.ok("restart n3");
    eventually("the lab has seen it", || !lab.json("status")["divergence"].is_null());
    let divergence = &lab.json("status")["divergence"];
    assert!([&divergence["one"], &divergence["other"]].contains(&&"n3".into()), "{divergence}");
    let status = lab.ok("status");
    let told = status.lines().find(|line| line.contains("what one of them acknowledged is lost on the other"));
    assert!(told.is_some_and(|line| line.contains("n3") && line.contains("`raftianctl log @all`")), "{status}");
    let events = lab.ok("events -n 1000");
    assert_eq!(events.matches("ALARM: ").count(), 1, "once: {events}");
    let doctor = lab.run("doctor");
    assert_eq!(doctor.code, 1, "{doctor:#?}");
    assert!(doctor.stdout.contains("what one of them acknowledged is lost on the other"), "{doctor:#?}");
    assert!(doctor.stdout.contains("`raftianctl --lab default log @all`"), "{doctor:#?}");
}
