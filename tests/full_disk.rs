//! A disk that is full: one node stops with a clear line, the others serve, and it comes back when there is room. A lab
//! can be stopped and removed without any.
//!
//! Needs the right to mount a small file system; says so where it is missing, as on a developer's own machine.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use raftian_tests::{Game, Lab, ended, eventually, in_every_hosting, pid_of, signal};
use rustix::process::Signal;

in_every_hosting!(a_node_whose_disk_is_full_stops_and_comes_back_and_nothing_is_lost);

/// A small file system in memory, unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, options: &str) -> Option<SmallDisk> {
        DirBuilder::new().recursive(true).mode(0o700).create(&path).unwrap();
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs"], &path).then_some(SmallDisk(path))
    }

    /// Takes all the room there is left, until the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut ballast = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        while ballast.write_all(&[1; 4096]).is_ok() {}
        path
    }

    fn grow(&self, options: &str) {
        assert!(run("mount", &["-o", &format!("remount,{options}")], &self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the node may still hold its files when a test fails.
        run("umount", &["-l"], &self.0);
    }
}

/// A lab whose home is a small file system; `None` where that cannot be mounted.
fn small_home() -> Option<(Lab, SmallDisk)> {
    let lab = Lab::new();
    let disk = SmallDisk::mount(lab.home().to_owned(), "size=8m").or_else(skipped)?;
    Some((lab, disk))
}

fn skipped<T>() -> Option<T> {
    eprintln!("skipped: mounting a small file system needs root");
    None
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    Command::new(program).args(arguments).arg(path).output().is_ok_and(|output| output.status.success())
}

fn a_node_whose_disk_is_full_stops_and_comes_back_and_nothing_is_lost(game: Game) {
    let lab = Lab::new();
    // Room for the first part of the log, and not for the second.
    let Some(disk) = SmallDisk::mount(lab.home().join("small"), "size=1500k").or_else(skipped) else { return };
    DirBuilder::new().recursive(true).mode(0o700).create(lab.folder().join("nodes")).unwrap();
    symlink(&disk.0, lab.folder().join("nodes/n1")).unwrap();
    lab.ok(&format!("start -n 3 {}", game.flags()));
    let load = lab.begin("load --closed --clients 64 --for 60s --no-check --quiet");
    eventually("n1 has failed", || lab.nodes()[0]["state"] == "failed");
    signal(pid_of(&load), Signal::INT);
    let ran = ended(load);
    assert_eq!(ran.code, 130, "{ran:#?}");

    let n1 = &lab.nodes()[0];
    assert!(n1["reason"]["text"].as_str().is_some_and(|reason| reason.contains("no space left")), "{n1}");
    lab.ok("attack 2");

    disk.grow("size=64m");
    lab.ok("restart n1");
    lab.ok("wait converged --timeout 30s");
    let digests: Vec<String> = lab.nodes().iter().map(|node| node["server"]["digest"].to_string()).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_lab_without_room_stops_comes_back_and_can_be_removed() {
    let Some((lab, disk)) = small_home() else { return };
    lab.ok("start -n 1");
    lab.ok("attack 1");
    let ballast = disk.fill();
    let stopped = lab.run("stop");
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    assert!(stopped.stdout.contains("stopped, 1 node down"), "{stopped:#?}");
    assert!(stopped.stderr.contains("lab.json is not up to date (No space left"), "{stopped:#?}");
    assert!(lab.processes().is_empty());

    fs::remove_file(&ballast).unwrap();
    lab.ok("start");
    lab.ok("wait converged");
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][0]["hp"], 70);

    disk.fill();
    lab.ok("stop");
    // Its daemon has given back what it wrote to say where it listens.
    disk.fill();
    lab.fails("start", 1, &["No space left"]);
    assert!(lab.folder().exists(), "it was there before");
    let purged = lab.ok("stop --purge");
    assert!(purged.contains("stopped; no node was running;") && purged.contains("removed"), "{purged}");
    assert!(!lab.folder().exists());
    assert!(lab.processes().is_empty());
}

#[test]
fn a_lab_that_has_no_room_to_begin_says_so_and_leaves_nothing() {
    let Some((lab, disk)) = small_home() else { return };
    disk.fill();
    lab.fails("start -n 1", 1, &["No space left", "make room"]);
    assert!(!lab.folder().exists());
    assert!(lab.processes().is_empty());
}

#[test]
fn a_snapshot_that_finds_no_room_is_a_failure_in_the_words_of_its_node() {
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(lab.home().join("small"), "size=24m").or_else(skipped) else { return };
    DirBuilder::new().recursive(true).mode(0o700).create(lab.folder().join("nodes")).unwrap();
    symlink(&disk.0, lab.folder().join("nodes/n1")).unwrap();
    lab.ok("start -n 3");
    lab.ok("attack 1");
    lab.ok("wait converged");
    disk.fill();
    let ran = lab.run("snapshot @all");
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stdout.contains("n2 ") && ran.stdout.contains("n3 ") && !ran.stdout.contains("n1 "), "{ran:#?}");
    assert!(ran.stderr.contains("n1 took no snapshot: ") && ran.stderr.contains("no space left"), "{ran:#?}");
    // It lives on without one, and takes it when there is room. The others have applied nothing since.
    fs::remove_file(disk.0.join("ballast")).unwrap();
    assert!(lab.ok("snapshot @all").contains("n1 "));
}
