//! Bad input is expected input: what, why, what next, and the documented exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use raftian_tests::{Game, Lab, binaries, ended, in_every_hosting, pid_of, signal};
use rustix::process::Signal;

in_every_hosting!(commands_to_nodes_that_cannot_answer_say_so, a_port_that_was_taken_while_no_daemon_ran_is_reported);

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    let lab = Lab::started(3);
    for (line, says) in [
        ("kill n9", "n9"),
        ("kill @boss", "@boss"),
        ("kill n1 n2", "several nodes are one word: n1,n2"),
        ("screenshot n1 --to x.jpg", "name it .png"),
        ("start --seed x", "`x` is not a seed"),
        ("kill n1,!n1", "selects no node"),
        ("partition n1 n1,n2", "n1"),
        ("partition n1", "group"),
        ("partition n1 n7", "n7"),
        ("partition n1 n2 --for=-5s", "-5s"),
        ("partition --shape triangle", "triangle"),
        ("partition n1 n2,n3 --for 0s", "0"),
        ("fault add latency --from n1 --to n2 -- -5ms", "-5ms"),
        ("fault add drop --from n1 --to n2 120%", "120"),
        ("fault clear f99", "f99"),
        ("wait forever", "forever"),
        ("wait commit>=-1", "commit"),
        ("attack", "PLAYER"),
        ("attack 0", "0"),
        ("load --rate 0 --for 1s", "rate"),
        ("load --rate 10 --for=-1s", "-1s"),
        ("log n9", "n9"),
        ("kill n70000", "n1 to n65535"),
        ("load --rate 1 --for 1s --to n9", "n9"),
    ] {
        let ran = lab.run(line);
        assert_eq!(ran.code, 2, "{ran:#?}");
        assert!(ran.stderr.contains(says), "`{says}` is missing: {ran:#?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
    }
    lab.fails("start -n 4", 1, &["3", "stop --purge"]);
    // Nothing of that has changed anything.
    assert_eq!(lab.node_pids().len(), 3);
    assert_eq!(lab.json("fault list").as_array().unwrap().len(), 0);
}

#[test]
fn impossible_sizes_are_refused_before_anything_starts() {
    let lab = Lab::new();
    lab.fails("start -n 0", 2, &["1", "64"]);
    lab.fails("start -n 65", 2, &["64"]);
    lab.fails("start -n 1000", 2, &["64"]);
    lab.fails("start -n many", 2, &["many"]);
    lab.fails("start --election-timeout 300-150", 2, &["300"]);
    lab.fails("start --heartbeat 500", 2, &["heartbeat"]);
    lab.fails("--lab ../etc start", 2, &["../etc"]);
    lab.fails("status", 4, &["no lab is running"]);
}

#[test]
fn without_a_daemon_every_command_says_how_to_start_one() {
    let lab = Lab::new();
    for line in [
        "status",
        "kill n1",
        "heal",
        "events",
        "wait leader",
        "fault list",
        "attack 1",
        "log",
        "load --rate 1 --for 1s",
    ] {
        lab.fails(line, 4, &["no lab is running", "raftianctl start"]);
    }
    // Reading has started and created nothing.
    assert!(!lab.folder().exists());
}

fn commands_to_nodes_that_cannot_answer_say_so(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok("kill n3");
    lab.ok("wait leader");
    lab.fails("attack 1 --as n3", 1, &["n3"]);
    lab.fails("pause n3", 1, &["n3"]);
    lab.ok("restart n3");
    lab.ok("wait leader");
    lab.ok("pause n1");
    let ran = lab.run("attack 1 --as n1 --timeout 1s");
    assert!(matches!(ran.code, 1 | 124) && ran.stderr.contains("n1"), "{ran:#?}");
}

fn a_port_that_was_taken_while_no_daemon_ran_is_reported(game: Game) {
    let lab = Lab::started_beside(1, game);
    let address = lab.nodes()[0]["address"].as_str().unwrap().to_owned();
    lab.ok("stop n1");
    assert!(std::net::TcpListener::bind(&address).is_err(), "it is the node's, whether it runs or not");
    lab.ok("stop");
    let squatter = std::net::TcpListener::bind(&address).unwrap();
    let started = lab.run("start");
    let (_, port) = address.rsplit_once(':').unwrap();
    assert!(format!("{started:?}").contains(&format!("port {port} of n1 was in use; it listens on ")), "{started:#?}");
    assert_ne!(lab.nodes()[0]["address"].as_str().unwrap(), address);
    drop(squatter);
    lab.ok("attack 1");
}

#[test]
fn missing_and_foreign_binaries_are_named() {
    let lab = Lab::new();
    let folder = lab.home().join("bin");
    fs::create_dir(&folder).unwrap();
    fs::copy(binaries().join("raftianctl"), folder.join("raftianctl")).unwrap();
    let start = |says: &[&str]| {
        let output = lab.command("start -n 1 --timeout 5s").env("RAFTIAN_BIN_DIR", &folder).output().unwrap();
        let ran = raftian_tests::ran("start".into(), output);
        assert_ne!(ran.code, 0, "{ran:#?}");
        for word in says {
            assert!(ran.stderr.contains(word), "`{word}` is missing: {ran:#?}");
        }
    };
    start(&["raftiand", "cargo build"]);
    let executable = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    executable("raftiand", "#!/bin/sh\necho I am something else\n");
    start(&["raftiand"]);
    fs::remove_file(folder.join("raftiand")).unwrap();
    fs::copy(binaries().join("raftiand"), folder.join("raftiand")).unwrap();
    start(&["raftian-node"]);
    executable("raftian-node", "#!/bin/sh\necho I am something else\nexec sleep 60\n");
    start(&["raftian-node"]);
}

#[test]
fn a_node_that_is_asked_for_help_says_who_starts_it() {
    let help = Command::new(binaries().join("raftian-node")).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("the daemon `raftiand` starts a process per node"), "{text}");
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let lab = Lab::new();
    let file = lab.home().join("file");
    fs::write(&file, "").unwrap();
    let output = lab.command("start -n 1").env("RAFTIAN_HOME", &file).output().unwrap();
    let ran = raftian_tests::ran("start".into(), output);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains(file.to_str().unwrap()), "{ran:#?}");
}

#[test]
fn secrets_are_for_their_owner_only() {
    let lab = Lab::started(1);
    let mode = |name: &str| fs::metadata(lab.folder().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("secret"), 0o600);
    assert_eq!(mode("daemon.json"), 0o600);
    let folder = fs::metadata(lab.folder()).unwrap().permissions().mode() & 0o777;
    assert_eq!(folder, 0o700);
}

#[test]
fn a_wrong_secret_is_refused_by_name() {
    let lab = Lab::started(1);
    let secret = lab.folder().join("secret");
    let right = fs::read(&secret).unwrap();
    fs::write(&secret, "0123456789abcdef0123456789abcdef\n").unwrap();
    let ran = lab.run("status");
    fs::write(&secret, right).unwrap();
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("secret"), "{ran:#?}");
}

#[test]
fn ctrl_c_during_a_load_ends_it_in_order() {
    let lab = Lab::started(3);
    let load = lab.begin("load --rate 100 --for 60s --no-check");
    lab.ok("wait commit>=10");
    signal(pid_of(&load), Signal::INT);
    let ran = ended(load);
    assert_eq!(ran.code, 130, "{ran:#?}");
    assert!(ran.stdout.contains("p50"), "{ran:#?}");
    lab.ok("attack 1");
}
