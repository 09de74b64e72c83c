//! Scenarios on real processes: the same file as in the simulator, with the same outcome.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use raftian_tests::{Lab, Ran, eventually, pid_of, ran, signal};
use rustix::process::Signal;
use serde_json::Value;

/// Scenarios in which more time passes are not played here, in milliseconds.
const SHORT_MS: u64 = 4_000;

/// Held while many scenarios are played: those in real time want a quiet machine.
static ALONE: Mutex<()> = Mutex::new(());

/// A folder for temporary files, in which nothing may be left.
struct Temporary(PathBuf);

impl Temporary {
    fn of(lab: &Lab) -> Temporary {
        let folder = lab.home().join("tmp");
        fs::create_dir(&folder).unwrap();
        Temporary(folder)
    }

    fn run(&self, lab: &Lab, arguments: &str) -> Ran {
        let mut command = lab.command(arguments);
        ran(arguments.into(), command.env("TMPDIR", &self.0).output().unwrap())
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

/// How much time a scenario lets pass, at least.
fn passing_ms(text: &str) -> u64 {
    let times = text.lines().filter_map(|line| line.strip_prefix("advance "));
    let ms = |time: &str| match (time.strip_suffix("ms"), time.strip_suffix('s')) {
        (Some(ms), _) => ms.parse::<u64>().unwrap(),
        (None, Some(s)) => 1_000 * s.parse::<u64>().unwrap(),
        (None, None) => 0,
    };
    times.map(|time| ms(time.trim())).sum()
}

fn name(listed: &Value) -> &str {
    listed["name"].as_str().unwrap()
}

#[test]
fn every_short_scenario_that_processes_play_by_themselves_holds_on_both_engines() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    let listed = lab.json("run --list");
    let of_processes = |listed: &&Value| listed["engines"].as_array().unwrap().contains(&"processes".into());
    let is_by_hand = |listed: &&Value| listed["by_hand"] == true;
    let all: Vec<&Value> =
        listed.as_array().unwrap().iter().filter(of_processes).filter(|listed| !is_by_hand(listed)).collect();
    assert!(all.len() >= 9, "{}", all.len());
    let mut played = 0;
    for name in all.into_iter().map(name) {
        if passing_ms(&lab.ok(&format!("run {name} --text"))) > SHORT_MS {
            continue;
        }
        played += 1;
        for engine in ["sim", "processes"] {
            let ran = temporary.run(&lab, &format!("run {name} --engine {engine} -o json"));
            assert_eq!(ran.code, 0, "{ran:#?}");
            let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!((&outcome["engine"], &outcome["holds"]), (&engine.into(), &true.into()), "{outcome}");
            assert!(outcome["verdict"] != "unknown" && outcome["lines"].as_array().unwrap().len() > 5, "{outcome}");
        }
    }
    assert!(played >= 6, "{played}");
    eventually("nothing is left of the labs", || temporary.is_empty());
}

/// What is done, and when; but for a `finish`, which each engine does in its own way.
fn course(outcome: &Value) -> Vec<(Value, Value)> {
    let lines = outcome["lines"].as_array().unwrap().iter().filter(|line| line["text"] != "finish");
    lines.map(|line| (line["text"].clone(), line["at_ms"].clone())).collect()
}

#[test]
fn every_scenario_with_steps_by_hand_takes_the_same_course_on_real_processes_as_in_the_simulator() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    let listed = lab.json("run --list");
    let by_hand: Vec<&str> =
        listed.as_array().unwrap().iter().filter(|listed| listed["by_hand"] == true).map(name).collect();
    assert!(by_hand.len() >= 30, "{by_hand:?}");
    for name in ["fig7_a", "fig7_b", "fig7_c", "fig7_d", "fig7_e", "fig7_f", "fig8_d", "fig8_e"] {
        assert!(by_hand.contains(&name), "{name} is not in {by_hand:?}");
    }
    for name in by_hand {
        let play = |engine| {
            let ran = temporary.run(&lab, &format!("run {name} --engine {engine} -o json"));
            assert_eq!(ran.code, 0, "{ran:#?}");
            serde_json::from_str::<Value>(&ran.stdout).unwrap()
        };
        let (simulated, real) = (play("sim"), play("processes"));
        assert_eq!(course(&real), course(&simulated), "{name}");
        assert_eq!((&real["holds"], &real["verdict"]), (&true.into(), &simulated["verdict"]), "{name}");
    }
    eventually("nothing is left of the labs", || temporary.is_empty());
}

#[test]
fn a_step_by_hand_that_is_not_possible_stops_a_scenario_with_its_line() {
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    for (steps, why) in [
        ("timeout n1\ndeliver n2 -> n1", "line 3: `deliver n2 -> n1`, but no such message is on its way"),
        ("kill n1\ntimeout n1", "line 3: `timeout n1`, but n1 does not run, and looks at no clock"),
        ("timeout n1\nsync n1", "line 3: `sync n1`, but no write waits for the disk of n1"),
        ("elect n1\npropose n2 x", "line 3: `propose n2 x`, but n2 refuses: "),
        ("timeout n1\nexpect leader n1", "line 3: `expect leader n1`, but there is no leader"),
        ("clients 1\nelect n1\nkill n2\ndisk n2 fails", "line 5: `disk n2 fails`, but n2 is down"),
        ("timeout n1\nat 1ms heal", "line 3: `at 1ms heal`, but it is 240.981ms already, and time does not go back"),
    ] {
        fs::write(lab.home().join("mine.scenario"), format!("servers 3\n{steps}\n")).unwrap();
        for engine in ["sim", "processes"] {
            let ran = temporary.run(&lab, &format!("run mine.scenario --engine {engine}"));
            assert_eq!(ran.code, 1, "{ran:#?}");
            assert!(ran.stdout.contains(&format!("It does not hold: {why}")), "{why}: {ran:#?}");
        }
    }
    assert!(temporary.is_empty());
}

#[test]
fn what_is_not_so_on_processes_stops_a_scenario_with_its_line_and_leaves_nothing() {
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    let text =
        "servers 3\nclients 1\nelect n2\nclient 0 kv set k1 7\nexpect value all k1 7\nkill n1\nexpect leader n3\n";
    fs::write(lab.home().join("mine.scenario"), text).unwrap();
    let ran = temporary.run(&lab, "run mine.scenario --engine processes");
    assert_eq!(ran.code, 1, "{ran:#?}");
    let told =
        ["on 3 nodes of a lab of its own", "kill n1", "It does not hold: line 7: `expect leader n3`, but n2 leads"];
    told.iter().for_each(|told| assert!(ran.stdout.contains(told), "{told}: {ran:#?}"));
    assert!(ran.stderr.contains("`expect leader n3`: n2 leads …"), "{ran:#?}");
    assert!(temporary.is_empty());
}

#[test]
fn a_scenario_is_kept_as_a_run_on_either_engine_and_can_be_judged_again() {
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    let text =
        "servers 3\nclients 1\nelect n2\nclient 0 kv set k1 7\nexpect value all k1 7 within 2s\nkill n1\nfinish\n";
    fs::write(lab.home().join("mine.scenario"), text).unwrap();
    for engine in ["processes", "sim"] {
        let ran = temporary.run(&lab, &format!("run mine.scenario --engine {engine} -o json"));
        let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
        let run = &lab.json("runs")[0];
        assert_eq!((&run["id"], &run["verdict"]), (&outcome["run"]["id"], &"valid".into()), "{run}");
        assert_eq!(run["manifest"]["scenario"], "mine.scenario");
        let checked = lab.json("check last");
        assert_eq!((&checked["verdict"], &checked["played"]["holds"]), (&"valid".into(), &true.into()), "{checked}");
        assert_eq!(checked["played"]["hash"], outcome.get("hash").cloned().unwrap_or_default(), "{checked}");
    }
    let verdict = lab.json("runs show last")["folder"].as_str().unwrap().to_owned() + "/verdict.json";
    let text = fs::read_to_string(&verdict).unwrap();
    let hash = lab.json("check last")["played"]["hash"].as_str().unwrap().to_owned();
    fs::write(&verdict, text.replace(&hash, "0123456789abcdef")).unwrap();
    let ran = lab.run("check last");
    assert!(ran.code == 3 && ran.stdout.contains("plays it in another way"), "{ran:#?}");

    temporary.run(&lab, "run mine.scenario --no-keep");
    temporary.run(&lab, "run mine.scenario --repeat 3");
    assert_eq!(lab.json("runs").as_array().unwrap().len(), 2, "what holds is kept when it is played once");
    fs::write(lab.home().join("mine.scenario"), "servers 3\nelect n1\nexpect leader n2\n").unwrap();
    let ran = temporary.run(&lab, "run mine.scenario --repeat 3 --engine sim");
    assert!(ran.code == 1 && ran.stdout.contains("Kept as run"), "{ran:#?}");
    assert_eq!(lab.json("runs").as_array().unwrap().len(), 5);
    assert!(lab.ok("runs").contains("does not hold"));
    let ran = lab.run("check last");
    assert!(ran.code == 1 && ran.stdout.contains("does not hold"), "{ran:#?}");
}

#[test]
fn an_action_that_cannot_be_done_when_its_time_comes_is_not_done_and_said_to_be_so() {
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    fs::write(lab.home().join("mine.scenario"), "servers 3\nelect n1\nkill n2\npause n2\nexpect leader n1\n").unwrap();
    let ran = temporary.run(&lab, "run mine.scenario --engine processes");
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.contains("not done: "), "{ran:#?}");
    assert!(!ran.stdout.contains("raftianctl restart"), "the lab is gone when this is read: {ran:#?}");
    assert!(temporary.is_empty());
}

#[test]
fn a_file_that_processes_cannot_play_is_refused_before_anything_starts() {
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    for (line, says) in [
        ("n2 log 1 1", "`n2 log 1 1`: a real process has a log to start with only when the lab begins"),
        ("app n1 takes 20ms", "real processes take the time that they take"),
        ("kill n2 at boundary 2", "real processes do not count the boundaries that they cross"),
    ] {
        fs::write(lab.home().join("mine.scenario"), format!("servers 3\nkill n1\n{line}\n")).unwrap();
        let ran = temporary.run(&lab, "run mine.scenario --engine processes");
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
        assert!(
            ran.stderr.contains(&format!("mine.scenario, line 3: {}", if says.starts_with('`') { says } else { "`" }))
        );
        assert!(ran.stderr.contains(says) && ran.stderr.contains("play it with `--engine sim`"), "{ran:#?}");
        assert!(temporary.is_empty());
    }
}

#[test]
fn a_scenario_that_is_interrupted_takes_its_lab_down() {
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    fs::write(lab.home().join("mine.scenario"), "servers 3\nelect n1\nadvance 3600s\n").unwrap();
    let mut command = lab.command("run mine.scenario --engine processes");
    command.env("TMPDIR", &temporary.0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("elect n1")), "its lab has started");
    signal(pid_of(&child), Signal::INT);
    let ran = ran("run mine.scenario".into(), child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran:#?}");
    assert!(ran.stderr.contains("its lab is stopped and removed"), "{ran:#?}");
    assert!(temporary.is_empty());
    assert_eq!(lab.json("runs")[0]["state"]["interrupted"], "interrupted");
}

#[test]
fn with_steps_a_line_is_done_when_it_is_asked_for_and_the_logs_are_shown() {
    let lab = Lab::new();
    for engine in ["sim", "processes"] {
        let mut command = lab.command(&format!("run split_brain --step --engine {engine}"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut keys = child.stdin.take().unwrap();
        let mut heard = String::new();
        let mut until = |part: &str| {
            while !heard.contains(part) {
                assert_ne!(said.read_line(&mut heard).unwrap(), 0, "{engine}: no {part:?} in {heard}");
            }
            heard.clone()
        };
        // The five logs before the first line.
        until("\nn5 ");
        keys.write_all(b"\n").unwrap();
        let heard = until(" s  elect n1");
        assert!(!heard.contains("propose"), "{engine}: {heard}");
        until("n1  leader ");
        keys.write_all(b"c\n").unwrap();
        until("It holds");
        assert!(child.wait().unwrap().success());
    }
    let ran = lab.run("run split_brain --step -o json");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
}

#[test]
fn a_family_is_played_by_the_beginning_of_its_names() {
    let lab = Lab::new();
    let ran = lab.ok("run fig8");
    assert!(ran.ends_with("3 of 3 runs hold\n"), "{ran}");
    // The logs of figures are shown: n5 overwrites the entry of term 2.
    assert!(ran.contains("\nn1  down               4    1   2   4\n"), "{ran}");
}

#[test]
fn a_nemesis_strikes_as_its_seed_says_and_the_cluster_is_judged() {
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    let drawn = "nemesis --profile hard --seed 2 --for 20s --print";
    assert_eq!(lab.ok(drawn), lab.ok(drawn));
    assert_ne!(lab.ok(drawn), lab.ok(&drawn.replace("--seed 2", "--seed 3")));
    let ran = temporary.run(&lab, "nemesis --profile gentle --seed 2 --for 3s -n 3 --rate 50/s -o json");
    assert_eq!(ran.code, 0, "{ran:#?}");
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(outcome["verdict"], "valid", "{outcome}");
    let lines = outcome["lines"].as_array().unwrap();
    assert!(lines.len() >= 3, "{outcome}");
    eventually("nothing is left of the lab", || temporary.is_empty());
    // What it drew can be played as any scenario.
    fs::write(lab.home().join("mine.scenario"), lab.ok("nemesis --profile gentle --for 3s --rate 20/s --print"))
        .unwrap();
    assert!(lab.ok("run mine.scenario").contains("verdict valid"));
    assert_eq!(lab.run("nemesis -n 2").code, 2);
    assert_eq!(lab.run("nemesis --profile harder").code, 2);
}
