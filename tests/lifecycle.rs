//! A lab from start to purge, through the command line, over real processes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use raftian_tests::{FPS_CAP, Game, Lab, ended, eventually, in_every_hosting, pid_of, runs, signal, state};
use rustix::process::Signal;

in_every_hosting!(
    start_kill_wait_status_as_in_the_readme,
    doing_again_what_is_done_changes_nothing_and_succeeds,
    an_attack_survives_every_node_and_the_daemon,
    a_killed_daemon_leaves_no_orphan_and_the_next_start_recovers_the_lab,
    a_lab_keeps_its_hosting_and_shows_how_its_games_do,
    the_processes_of_a_node_share_its_fate,
    two_starts_at_once_make_one_lab,
    two_labs_do_not_hear_of_each_other,
    stop_and_purge_leave_no_process_and_no_folder,
    a_daemon_killed_under_load_ends_the_load_with_a_clear_word,
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
fn status_tells_where_the_dead_and_the_paused_stood() {
    let lab = Lab::started(3);
    lab.ok("attack 1");
    lab.ok("wait converged");
    lab.ok("transfer-leader n3");
    lab.ok("attack 1");
    lab.ok("wait converged");
    lab.ok("pause n1");
    lab.ok("kill n2");
    lab.fails("log n2", 1, &["n2 shows nothing", "raftianctl status"]);
    let nodes = lab.nodes();
    for (node, hp) in [(&nodes[0], 40), (&nodes[1], 40)] {
        assert!(node["server"].is_null(), "{node}");
        assert_eq!(node["last"]["state"]["players"][0]["hp"], hp, "{node}");
        assert_eq!(node["last"]["commit_index"], nodes[2]["server"]["commit_index"], "{node}");
    }
    assert!(nodes[2]["last"].is_null(), "what it says now is enough");
    let status = lab.ok("status");
    assert_eq!(status.matches("was follower").count(), 2, "{status}");
    lab.ok("restart n2");
    assert!(lab.node("n2")["last"].is_null());
}

/// In a quiet lab nothing more would come that could tell.
#[test]
fn whoever_follows_events_or_logs_ends_with_its_reader() {
    let lab = Lab::started(1);
    for line in ["events -f -n 1", "-o json events -f -n 1", "logs n1 -f -n 1"] {
        let mut following = lab.begin(line);
        let mut first = String::new();
        let mut reader = BufReader::new(following.stdout.take().unwrap());
        reader.read_line(&mut first).unwrap();
        assert!(first.ends_with('\n'), "{line}: {first:?}");
        drop(reader);
        let ran = ended(following);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{line}: {ran:#?}");
    }
}

#[test]
fn a_program_that_was_only_looking_ends_without_a_word_when_told_to() {
    let lab = Lab::started(1);
    let mut following = lab.begin("-o json events -f -n 1");
    let mut reader = BufReader::new(following.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    signal(pid_of(&following), Signal::TERM);
    let ran = ended(following);
    assert_eq!((ran.code, ran.stderr.as_str()), (130, ""), "{ran:#?}");
}

fn doing_again_what_is_done_changes_nothing_and_succeeds(game: Game) {
    let lab = Lab::started_beside(3, game);
    assert_eq!(lab.json(&format!("start -n 3 {}", game.flags()))["changed"], false);
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
    assert_eq!(lab.node_pids().len(), 3 * game.processes());
    lab.ok("pause n2");
    signal(lab.daemon_pid().unwrap(), Signal::KILL);
    eventually("everything is gone", || lab.processes().is_empty());

    lab.fails("status", 4, &["no lab is running", "raftianctl start"]);
    let report = lab.json("start");
    assert_eq!(report["nodes"].as_array().unwrap().len(), 3, "{report}");
    lab.ok("wait converged");
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][0]["hp"], 70);
}

fn a_lab_keeps_its_hosting_and_shows_how_its_games_do(game: Game) {
    let lab = Lab::started_beside(3, game);
    let other = if game == Game::Async { Game::Thread } else { Game::Async };
    if game == Game::None {
        assert!(!lab.ok("status").contains(" FPS ") && !lab.ok("events").contains(" plays"));
        lab.fails(&format!("start {}", other.flags()), 1, &["this lab has no game", "attack in hosting async"]);
    } else {
        assert!(lab.ok("status").contains(" FPS "), "from the start, before any frame was counted");
        eventually("all games have said how they do", || {
            lab.nodes().iter().all(|node| node["server"]["game"]["fps"].as_f64().is_some_and(|fps| fps > 0.0))
        });
        let journal = lab.ok("events");
        assert!(journal.contains("n3 plays"), "{journal}");
        let [own, others] = [game, other].map(|game| format!("hosting {}, {FPS_CAP} fps at most", game.name()));
        lab.fails(&format!("start {}", other.flags()), 1, &[&own, &others]);
        lab.fails(&format!("start --hosting {}", game.name()), 1, &[&own, "60 fps at most"]);
    }
    lab.ok("stop");
    lab.ok("start");
    assert_eq!(lab.node_pids().len(), 3 * game.processes());
}

fn the_processes_of_a_node_share_its_fate(game: Game) {
    let lab = Lab::started_beside(3, game);
    assert_eq!(lab.node_pids().len(), 3 * game.processes());
    let paused = lab.pids_of(1);
    lab.ok("pause n1");
    assert!(paused.iter().all(|pid| state(*pid) == Some('T')), "all of it stands still");
    lab.ok("resume n1");
    assert!(paused.iter().all(|pid| state(*pid).is_some_and(|state| state != 'T')), "all of it runs on");

    let killed = lab.pids_of(2);
    lab.ok("kill n2");
    assert!(killed.iter().all(|pid| !runs(*pid)), "nothing of it is left");

    // A crash of either half alone takes the other with it, and is told as what it is.
    let told = ["ended by signal 9, which the daemon did not send", "its server's process was ended by signal 9"];
    for (half, reason) in told.into_iter().enumerate().take(game.processes()) {
        lab.ok("restart n3");
        let pids = lab.pids_of(3);
        assert_eq!(pids.len(), game.processes());
        signal(pids[half], Signal::KILL);
        eventually("n3 has failed", || lab.nodes()[2]["state"] == "failed");
        assert!(pids.iter().all(|pid| !runs(*pid)), "nothing of it is left");
        assert_eq!(lab.nodes()[2]["reason"]["text"], reason);
    }
    lab.ok("restart n2,n3");
    lab.ok("wait converged");
}

fn two_starts_at_once_make_one_lab(game: Game) {
    let lab = Lab::new();
    let starts: Vec<_> = (0..3).map(|_| lab.begin(&format!("start -n 3 {}", game.flags()))).collect();
    for start in starts {
        let ran = ended(start);
        assert_eq!(ran.code, 0, "{ran:#?}");
    }
    assert_eq!(lab.node_pids().len(), 3 * game.processes());
}

fn two_labs_do_not_hear_of_each_other(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok(&format!("--lab other start -n 1 {}", game.flags()));
    assert_eq!(lab.node_pids().len(), 4 * game.processes());
    lab.ok("--lab other attack 2");
    let hit_points = || lab.nodes()[0]["server"]["state"]["players"][1]["hp"].as_u64();
    eventually("n1 answers, and nothing was hit", || hit_points().is_some_and(|left| left == 100));
    lab.ok("--lab other stop --purge");
    assert_eq!(lab.node_pids().len(), 3 * game.processes());
}

fn stop_and_purge_leave_no_process_and_no_folder(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok("pause n2");
    lab.ok("kill n3");
    lab.ok("stop");
    assert!(lab.processes().is_empty(), "all of it is stopped, what was paused, too");
    lab.ok("start");
    assert_eq!(lab.node_pids().len(), 3 * game.processes());
    lab.ok("stop --purge");
    assert!(!lab.folder().exists());
    assert!(lab.processes().is_empty());
}

fn a_daemon_killed_under_load_ends_the_load_with_a_clear_word(game: Game) {
    let lab = Lab::started_beside(3, game);
    let loads = ["load --rate 200 --for 60s", "load --rate 200 --for 60s --no-check"].map(|load| lab.begin(load));
    lab.ok("wait commit>=20");
    signal(lab.daemon_pid().unwrap(), Signal::KILL);
    let [judged, unjudged] = loads.map(ended);
    assert_eq!(judged.code, 3, "{judged:#?}");
    assert!(judged.stdout.contains("\nverdict      unknown: "), "{judged:#?}");
    assert_eq!(unjudged.code, 4, "{unjudged:#?}");
    assert!(unjudged.stderr.contains("the load ended early"), "{unjudged:#?}");
}

#[test]
fn a_command_ends_on_sigterm_wherever_it_waits() {
    let lab = Lab::new();
    lab.ok("start -n 1 --app kv");
    // For a value on standard input, for a reader of standard output, and for a daemon that is stopped.
    let mut setting = lab.command("kv set k -").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let value = "x".repeat(200_000);
    fs::write(lab.home().join("value"), value).unwrap();
    lab.ok("kv set large --file value");
    let printing = lab.begin("kv get large");
    eventually("it waits for a reader", || is_writing(pid_of(&printing)));
    let daemon = lab.daemon_pid().unwrap();
    signal(daemon, Signal::STOP);
    let loading = lab.begin("load --closed --for 1s");
    eventually("it waits for the daemon", || state(pid_of(&loading)) == Some('S'));
    for child in [&setting, &printing, &loading] {
        eventually("it listens for signals", || catches_sigterm(pid_of(child)));
        signal(pid_of(child), Signal::TERM);
    }
    eventually("it ends", || setting.try_wait().unwrap().is_some());
    assert_eq!(setting.wait().unwrap().code(), Some(130));
    for child in [loading, printing] {
        let pid = pid_of(&child);
        eventually("it ends", || !runs(pid));
        assert_eq!(ended(child).code, 130);
    }
    signal(daemon, Signal::CONT);
}

/// Whether a thread of a process waits in a write to a pipe.
fn is_writing(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|place| place.contains("pipe_write"))
        || fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|call| call.starts_with("1 "))
}

/// Whether a process has a handler for SIGTERM.
fn catches_sigterm(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).unwrap_or(0) & (1 << 14) != 0
}

#[test]
fn a_load_on_a_lab_with_silent_nodes_warns_first() {
    let lab = Lab::started(3);
    lab.ok("pause n2");
    lab.ok("kill n3");
    let load = lab.run("load --rate 0.01/s --for 100ms --no-check --to n1");
    assert!(load.stderr.contains("n2 paused (`raftianctl resume n2`), n3 down (`raftianctl start`)"), "{load:#?}");
    assert!(load.stdout.contains("(0.01/s offered)"), "{load:#?}");
    lab.ok("resume n2");
}
