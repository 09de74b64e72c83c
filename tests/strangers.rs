//! Other users of the machine, and what a lab takes over from the shell it is started in.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use raftian_tests::{Lab, binaries, ended, eventually, ran, signal};
use rustix::process::{Signal, Uid, geteuid};
use rustix::thread::set_thread_uid;

/// `nobody`, who is another user.
const NOBODY: u32 = 65_534;

/// Does something as another user, where this one may become another; else as this one.
fn as_another_user<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(|| {
        if geteuid().is_root() {
            // To the kernel a user is a thread's.
            set_thread_uid(Uid::from_raw(NOBODY)).unwrap();
        }
        act()
    })
}

/// Listens on a port as another user, as soon as it is free.
fn take(port: u16) -> io::Result<TcpListener> {
    as_another_user(move || TcpListener::bind((Ipv4Addr::LOCALHOST, port))).join().unwrap()
}

/// The ports of a lab's nodes, in their order.
fn ports(lab: &Lab) -> Vec<u16> {
    let port = |node: &serde_json::Value| {
        let address = node["address"].as_str().expect("every node has an address");
        address.rsplit_once(':').unwrap().1.parse().unwrap()
    };
    lab.nodes().iter().map(port).collect()
}

fn kill_the_daemon(lab: &Lab) {
    signal(lab.daemon_pid().unwrap(), Signal::KILL);
    eventually("everything is gone", || lab.processes().is_empty());
}

/// Everything below a folder, and the folder.
fn walk(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if path.is_dir() {
        found.extend(fs::read_dir(path).unwrap().flat_map(|entry| walk(&entry.unwrap().path())));
    }
    found
}

/// `raftianctl` with these arguments in a shell that has done this before.
fn in_shell(lab: &Lab, before: &str, arguments: &str) -> raftian_tests::Ran {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before}; exec {}/raftianctl {arguments}", binaries().display())]);
    ran(arguments.to_owned(), command.env("RAFTIAN_HOME", lab.home()).current_dir(lab.home()).output().unwrap())
}

#[test]
fn every_file_is_the_owners_only_whatever_the_umask() {
    for umask in ["000", "777"] {
        let lab = Lab::new();
        let started = in_shell(&lab, &format!("umask {umask}"), "start -n 3 --hosting process --fps-cap 10");
        assert_eq!(started.code, 0, "{started:#?}");
        lab.ok("attack 3");
        lab.ok("snapshot @leader");
        lab.ok("kill n1");
        lab.ok("restart n1");
        let all = walk(&lab.folder());
        assert!(all.iter().any(|path| path.ends_with("trace.jsonl")) && all.len() > 20, "{all:?}");
        for path in all {
            let metadata = fs::metadata(&path).unwrap();
            let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(metadata.mode() & 0o777, expected, "umask {umask}: {}", path.display());
        }
    }
}

#[test]
fn no_descriptor_and_no_folder_of_the_callers_shell_is_kept() {
    let lab = Lab::new();
    let elsewhere = lab.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let before = format!("cd {}; exec 7>held 8<held", elsewhere.display());
    let started = in_shell(&lab, &before, "start -n 3 --hosting process --fps-cap 10");
    assert_eq!(started.code, 0, "{started:#?}");
    let processes = lab.processes();
    assert_eq!(processes.len(), 7, "a daemon, and three nodes of two halves");
    for pid in processes {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let target = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            assert!(!target.starts_with(&elsewhere), "{pid} has {}", target.display());
        }
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), fs::canonicalize(lab.folder()).unwrap());
    }
    fs::remove_dir_all(&elsewhere).unwrap();
}

#[test]
fn a_secret_or_folder_that_is_open_to_others_is_refused_with_the_next_step() {
    let lab = Lab::started(1);
    let secret = lab.folder().join("secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    lab.fails("status", 1, &["is open to other users (mode 644)", "chmod 600"]);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    lab.ok("stop");
    fs::set_permissions(lab.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    lab.fails("start", 1, &["is open to other users (mode 755)", "chmod 700"]);
    fs::set_permissions(lab.folder(), fs::Permissions::from_mode(0o700)).unwrap();
    lab.ok("start");
}

/// Between the death of a daemon and the next one its port is anybody's, and a client may show its secret there.
#[test]
fn a_secret_that_was_shown_to_the_port_of_a_dead_daemon_is_worth_nothing() {
    let lab = Lab::started(1);
    let secret = || fs::read(lab.folder().join("secret")).unwrap();
    let shown = secret();
    signal(lab.daemon_pid().unwrap(), Signal::KILL);
    raftian_tests::eventually("the nodes end with their daemon", || lab.processes().is_empty());
    lab.ok("start");
    assert_ne!(secret(), shown);
    lab.ok("status");
}

#[test]
fn a_secret_or_folder_of_another_user_is_refused_with_the_next_step() {
    if !geteuid().is_root() {
        println!("skipped: only root can give files to another user");
        return;
    }
    let lab = Lab::started(1);
    let secret = lab.folder().join("secret");
    chown(&secret, Some(65_534), None).unwrap();
    lab.fails("status", 1, &["belongs to user 65534, and this is user 0", "chown 0", "RAFTIAN_HOME"]);
    chown(&secret, Some(0), None).unwrap();
    lab.ok("stop");
    chown(lab.folder(), Some(65_534), None).unwrap();
    lab.fails("start", 1, &["belongs to user 65534, and this is user 0", "chown 0"]);
    chown(lab.folder(), Some(0), None).unwrap();
}

#[test]
fn a_fifo_or_a_folder_in_the_place_of_a_lab_file_is_refused_and_not_waited_for() {
    let lab = Lab::started(1);
    let daemon = lab.daemon_pid().unwrap();
    let (json, secret) = (lab.folder().join("daemon.json"), lab.folder().join("secret"));
    for file in [&json, &secret] {
        let aside = lab.home().join("aside");
        fs::rename(file, &aside).unwrap();
        assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
        let refused = ended(lab.begin("status"));
        assert!(refused.code == 1 && refused.stderr.contains("no regular file"), "{refused:#?}");
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
        lab.fails("status", 1, &["no regular file"]);
        fs::remove_dir(file).unwrap();
        fs::rename(&aside, file).unwrap();
    }
    signal(daemon, Signal::TERM);
    raftian_tests::eventually("the daemon ends", || lab.processes().is_empty());
    let log = lab.folder().join("daemon.log");
    fs::remove_file(&log).unwrap();
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    let refused = ended(lab.begin("start"));
    assert!(refused.code == 1 && refused.stderr.contains("daemon.log cannot be written"), "{refused:#?}");
    fs::remove_file(&log).unwrap();
}

/// What could be done before: take the port of a dead node, be given the secret by its peers, and acknowledge for it.
#[test]
fn an_impostor_that_tries_all_the_time_gets_no_port_of_a_node_that_is_killed_and_restarted() {
    let lab = Lab::started(3);
    let before = ports(&lab);
    let stop = Arc::new(AtomicBool::new(false));
    let impostor = {
        let (stop, ports) = (Arc::clone(&stop), before.clone());
        as_another_user(move || {
            let take = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
            let mut tries = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                assert!(!ports.iter().any(take), "a port of a node was free");
                tries += 1;
                thread::park_timeout(Duration::from_micros(200));
            }
            tries
        })
    };
    lab.ok("attack 1");
    for _ in 0..3 {
        lab.ok("kill @followers");
        let alone = lab.run("attack 2 --timeout 300ms");
        assert_ne!(alone.code, 0, "nobody acknowledges in the place of the dead: {alone:#?}");
        lab.ok("restart @all");
    }
    lab.ok("kill @all");
    lab.ok("start");
    lab.ok("wait converged");
    stop.store(true, Ordering::Relaxed);
    assert!(impostor.join().unwrap() > 100);
    assert_eq!(ports(&lab), before);
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][0]["hp"], 70);
}

#[test]
fn the_ports_of_a_lab_survive_its_daemon_and_one_that_is_taken_meanwhile_is_left_alone() {
    let lab = Lab::started(3);
    lab.ok("kill n3");
    let before = ports(&lab);
    kill_the_daemon(&lab);
    lab.ok("start");
    assert_eq!(ports(&lab), before);
    kill_the_daemon(&lab);
    let mut taken = None;
    eventually("the port is free", || {
        taken = take(before[0]).ok();
        taken.is_some()
    });
    let taken = taken.unwrap();
    taken.set_nonblocking(true).unwrap();
    let started = lab.run("start");
    assert_eq!(started.code, 0, "{started:#?}");
    let note = format!("port {} of n1 was in use; it listens on ", before[0]);
    assert!(started.stderr.contains(&note) || started.stdout.contains(&note), "{started:#?}");
    let now = ports(&lab);
    assert!(now[0] != before[0] && now[1..] == before[1..], "{before:?} {now:?}");
    lab.ok("attack 1 --as n1");
    lab.ok("wait converged");
    assert_eq!(taken.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody called the wrong one");
}
