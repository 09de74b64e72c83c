//! A disk that is full: one node stops with a clear line, the others serve, and it comes back when there is room.
//!
//! Needs the right to mount a small file system; says so where it is missing, as on a developer's own machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use raftian_tests::{Game, Lab, ended, eventually, in_every_hosting, pid_of, signal};
use rustix::process::Signal;

in_every_hosting!(a_node_whose_disk_is_full_stops_and_comes_back_and_nothing_is_lost);

/// A small file system in memory, unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, options: &str) -> Option<SmallDisk> {
        fs::create_dir_all(&path).unwrap();
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs"], &path).then_some(SmallDisk(path))
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

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    Command::new(program).args(arguments).arg(path).output().is_ok_and(|output| output.status.success())
}

fn a_node_whose_disk_is_full_stops_and_comes_back_and_nothing_is_lost(game: Game) {
    let lab = Lab::new();
    // Room for the first part of the log, and not for the second.
    let Some(disk) = SmallDisk::mount(lab.home().join("small"), "size=1500k") else {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    };
    fs::create_dir_all(lab.folder().join("nodes")).unwrap();
    symlink(&disk.0, lab.folder().join("nodes/n1")).unwrap();
    lab.ok(&format!("start -n 3 {}", game.flags()));
    let load = lab.begin("load --closed --clients 64 --for 60s --no-check --quiet");
    eventually("n1 has failed", || lab.nodes()[0]["state"] == "failed");
    signal(pid_of(&load), Signal::INT);
    let ran = ended(load);
    assert_eq!(ran.code, 130, "{ran:#?}");

    let n1 = &lab.nodes()[0];
    assert!(n1["reason"].as_str().is_some_and(|reason| reason.contains("no space left")), "{n1}");
    lab.ok("attack 2");

    disk.grow("size=64m");
    lab.ok("restart n1");
    lab.ok("wait converged --timeout 30s");
    let digests: Vec<String> = lab.nodes().iter().map(|node| node["server"]["digest"].to_string()).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}
