//! A lab from start to purge, through the command line, over real processes.

use std::time::Duration;

use raftian_tests::{Game, Lab, eventually, in_every_hosting, is_alive, runs, signal, state};
use rustix::process::Signal;

in_every_hosting!(
    start_kill_wait_status_as_in_the_readme,
    an_attack_survives_every_node_and_the_daemon,
    a_killed_daemon_leaves_no_orphan_and_the_next_start_recovers_the_lab,
    purge_leaves_no_process_and_no_folder,
);

fn start_kill_wait_status_as_in_the_readme(game: Game) {
    let lab = Lab::new();
    let started = lab.ok(&format!("start -n 5 {}", game.flags()));
    assert!(started.starts_with("lab `default`: 5 nodes up, n"), "{started}");
    let killed = lab.ok("kill @leader");
    assert!(killed.starts_with("@leader → n") && killed.contains(": killed; n"), "{killed}");
    lab.ok("wait stable");
    let status = lab.json("status");
    let states: Vec<&str> =
        status["nodes"].as_array().unwrap().iter().map(|node| node["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "running").count(), 4, "{states:?}");
    assert_eq!(states.iter().filter(|state| **state == "killed").count(), 1, "{states:?}");
    assert!(status["term"].as_u64().unwrap() >= 2, "{status}");
}

#[test]
fn doing_again_what_is_done_changes_nothing_and_succeeds() {
    let lab = Lab::started(3);
    assert_eq!(lab.json("start -n 3")["changed"], false);
    lab.ok("pause n1");
    assert_eq!(lab.json("pause n1")["changed"].as_array().unwrap().len(), 0);
    lab.ok("resume n1");
    assert_eq!(lab.json("resume n1")["changed"].as_array().unwrap().len(), 0);
    lab.ok("heal");
    lab.ok("heal");
    lab.ok("stop");
    lab.ok("stop");
}

fn an_attack_survives_every_node_and_the_daemon(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok("attack 3");
    lab.ok("attack 3 --as n2");
    lab.ok("wait converged");
    lab.ok("kill @all");
    lab.ok("start");
    lab.ok("wait converged");
    for node in lab.nodes() {
        assert_eq!(node["server"]["state"]["players"][2]["hp"], 40, "{node}");
    }
    lab.ok("stop");
    lab.ok("start");
    lab.ok("wait converged");
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][2]["hp"], 40);
}

fn a_killed_daemon_leaves_no_orphan_and_the_next_start_recovers_the_lab(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok("attack 1");
    let pids = lab.node_pids();
    assert_eq!(pids.len(), 3 * game.processes());
    lab.ok("pause n2");
    signal(lab.daemon_pid().unwrap(), Signal::KILL);
    eventually("all nodes are gone", || pids.iter().all(|pid| !runs(*pid)));

    lab.fails("status", 4, &["no lab is running", "raftianctl start"]);
    let report = lab.json("start");
    assert_eq!(report["nodes"].as_array().unwrap().len(), 3, "{report}");
    lab.ok("wait converged");
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][0]["hp"], 70);
}

#[test]
fn a_lab_shows_how_its_games_do_and_keeps_its_hosting() {
    let lab = Lab::started_beside(3, Game::Process);
    eventually("all games have said how they do", || {
        lab.nodes().iter().all(|node| node["server"]["game"]["fps"].as_f64().is_some_and(|fps| fps > 0.0))
    });
    assert!(lab.ok("status").contains(" FPS "));
    let journal = lab.ok("events");
    assert!(journal.contains("n3 plays"), "{journal}");
    lab.fails("start --hosting async", 1, &["attack in hosting process, 20 fps at most", "hosting async, 60 fps"]);
    lab.ok("stop");
    lab.ok("start");
    assert_eq!(lab.node_pids().len(), 6);
}

#[test]
fn a_node_of_two_processes_is_killed_paused_and_resumed_as_one() {
    let lab = Lab::started_beside(3, Game::Process);
    let halves = |node: usize| {
        let node = &lab.nodes()[node];
        [&node["usage"]["pid"], &node["server"]["pid"]].map(|pid| pid.as_i64().expect("a running node has both") as i32)
    };
    let paused = halves(0);
    lab.ok("pause n1");
    assert!(paused.iter().all(|pid| state(*pid) == Some('T')), "both halves stand still");
    lab.ok("resume n1");
    assert!(paused.iter().all(|pid| state(*pid) != Some('T')), "both halves run on");
    let killed = halves(1);
    lab.ok("kill n2");
    assert!(killed.iter().all(|pid| !runs(*pid)), "neither half is left");
    // Either half alone takes the other with it.
    for half in [0, 1] {
        lab.ok("restart n3");
        let pids = halves(2);
        signal(pids[half], Signal::KILL);
        eventually("n3 has failed", || lab.nodes()[2]["state"] == "failed");
        assert!(pids.iter().all(|pid| !runs(*pid)), "neither half is left");
    }
    let reason = lab.nodes()[2]["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!(reason, "its server's process was ended by signal 9");
    lab.ok("restart n2,n3");
    lab.ok("wait converged");
}

#[test]
fn two_starts_at_once_make_one_lab() {
    let lab = Lab::new();
    let children: Vec<_> = (0..3).map(|_| lab.command("start -n 3").spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(lab.node_pids().len(), 3);
}

#[test]
fn two_labs_do_not_hear_of_each_other() {
    let lab = Lab::started(3);
    lab.ok("--lab other start -n 1");
    lab.ok("--lab other attack 2");
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][1]["hp"], 100);
    lab.ok("--lab other stop --purge");
    assert_eq!(lab.node_pids().len(), 3);
}

fn purge_leaves_no_process_and_no_folder(game: Game) {
    let lab = Lab::started_beside(3, game);
    let pids = lab.node_pids();
    let daemon = lab.daemon_pid().unwrap();
    lab.ok("stop --purge");
    assert!(!lab.folder().exists());
    assert!(pids.iter().all(|pid| !runs(*pid)));
    eventually("the daemon is gone", || !is_alive(daemon));
}

#[test]
fn a_daemon_killed_under_load_ends_the_load_with_a_clear_word() {
    let lab = Lab::started(3);
    let mut load = lab.command("load --rate 200 --for 60s --no-check");
    load.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = load.spawn().unwrap();
    let before = lab.json("status")["nodes"][0]["server"]["commit_index"].as_u64().unwrap();
    lab.ok(&format!("wait commit>={}", before + 20));
    signal(lab.daemon_pid().unwrap(), Signal::KILL);
    let ran = raftian_tests::ran("load".into(), wait_with_limit(child, Duration::from_secs(45)));
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(ran.stderr.contains("the load ended early"), "{ran:#?}");
}

/// Waits for a process that must end by itself.
fn wait_with_limit(mut child: std::process::Child, limit: Duration) -> std::process::Output {
    let started = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > limit {
            child.kill().unwrap();
            panic!("still running after {limit:?}");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}
