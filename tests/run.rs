//! Scenarios on real processes: the same file as in the simulator, with the same outcome.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use raftian_tests::{Lab, Ran, eventually, pid_of, ran, signal};
use rustix::process::Signal;
use serde_json::Value;

/// Scenarios in which more time passes are not played here, in milliseconds.
const SHORT_MS: u64 = 4_000;

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

#[test]
fn every_short_scenario_that_is_listed_for_processes_holds_on_both_engines() {
    let lab = Lab::new();
    let temporary = Temporary::of(&lab);
    let listed = lab.json("run --list");
    let of_processes = |listed: &&Value| listed["engines"].as_array().unwrap().contains(&"processes".into());
    let all: Vec<&Value> = listed.as_array().unwrap().iter().filter(of_processes).collect();
    assert!(all.len() >= 10, "{}", all.len());
    let mut played = 0;
    for name in all.iter().map(|listed| listed["name"].as_str().unwrap()) {
        if passing_ms(&lab.ok(&format!("sim figure {name} --text"))) > SHORT_MS {
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
        ("deliver n2 -> n1", "`deliver n2 -> n1`: real processes deliver their messages themselves"),
        ("timeout n1", "real processes look at the clock by themselves"),
        ("disk n1 flips entry 1", "the disks of real processes are the machine's"),
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
