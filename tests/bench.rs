//! Experiments end to end: a small run, runs that are interrupted and taken up again, and what their folders promise.
//!
//! Deliberately absent: anything about the numbers; a test machine is never quiet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use raftian_tests::{Lab, Ran, ended, eventually, pid_of, signal, state};
use rustix::process::Signal;
use serde_json::Value;

/// Idle clusters: the quickest trials there are, and two of them a block.
const QUICKEST: &str = "E10";

#[test]
fn a_run_leaves_its_raw_data_a_manifest_and_a_report() {
    let lab = Lab::new();
    let finished = lab.json(&format!("bench run {QUICKEST} --blocks 1 --seed 5 --out run"));
    assert_eq!((&finished["blocks_done"], &finished["stopped"]), (&Value::from(1), &Value::Null), "{finished}");
    let run = lab.home().join("run");
    let manifest = json(&run.join("manifest.json"));
    assert_eq!((&manifest["state"], &manifest["seed"]), (&Value::from("complete"), &Value::from(5)));
    assert!(manifest["provenance"]["rustc"].as_str().unwrap().starts_with("1."), "{manifest}");
    assert!(run.join("derived/report.html").is_file() && !run.join("work").exists());
    assert!(lab.ok("bench report run").contains("unchanged"), "the same data give the same bytes");

    lab.ok(&format!("bench run {QUICKEST} --blocks 1 --seed 5 --out again"));
    assert_eq!(json(&lab.home().join("again/manifest.json"))["schedule"], manifest["schedule"]);
    lab.fails(&format!("bench run {QUICKEST} --out run"), 1, &["holds a run already", "--resume run"]);
    fs::write(run.join("trials.jsonl"), "{}\n").unwrap();
    lab.fails("bench report run", 1, &["trials.jsonl has 3 bytes"]);
}

#[test]
fn an_interrupted_run_leaves_no_process_and_is_taken_up_again() {
    let run = Interruptible::between_the_trials_of_a_block();
    signal(run.pid(), Signal::INT);
    signal(run.pid(), Signal::CONT);
    let ran = run.leaves_what_was_finished();
    for part in ["interrupted; ", " of 3 blocks are kept", "1 finished trial of another is discarded", "report run`"] {
        assert!(ran.stderr.contains(part), "`{part}` is missing: {ran:#?}");
    }
}

/// Both signals are there before the run can heed the first.
#[test]
fn a_run_that_is_told_twice_at_once_to_end_leaves_nothing_either() {
    let run = Interruptible::between_the_trials_of_a_block();
    signal(run.pid(), Signal::INT);
    signal(run.pid(), Signal::TERM);
    signal(run.pid(), Signal::CONT);
    run.leaves_what_was_finished();
}

#[test]
fn whoever_keeps_pressing_ctrl_c_loses_no_finished_block() {
    let mut run = Interruptible::between_the_trials_of_a_block();
    signal(run.pid(), Signal::CONT);
    eventually("the run has ended", || {
        signal(run.pid(), Signal::INT);
        run.child.try_wait().unwrap().is_some()
    });
    run.leaves_what_was_finished();
}

#[test]
fn a_run_that_is_killed_leaves_no_process_and_is_taken_up_again() {
    let Interruptible { lab, child, kept } = Interruptible::between_the_trials_of_a_block();
    signal(pid_of(&child), Signal::KILL);
    ended(child);
    eventually("its processes are gone", || lab.processes().is_empty());
    goes_on(&lab, &kept);
}

/// A run of three blocks that was stopped in its tracks (SIGSTOP) while processes of a trial ran: one block or more is
/// finished, and of another the first trial.
struct Interruptible {
    lab: Lab,
    child: Child,
    /// The trials of the finished blocks.
    kept: Vec<u8>,
}

impl Interruptible {
    fn between_the_trials_of_a_block() -> Interruptible {
        let lab = Lab::new();
        let child = lab.begin(&format!("bench run {QUICKEST} --blocks 3 --out run"));
        let mut run = Interruptible { lab, child, kept: Vec::new() };
        eventually("a trial of a second block runs", || {
            // What stands still cannot have moved on by the time it is interrupted.
            signal(run.pid(), Signal::STOP);
            eventually("the run stands still", || state(run.pid()) == Some('T'));
            run.kept = run.sealed();
            let has_begun = !run.kept.is_empty() && run.trials().len() > run.kept.len();
            let is_it = has_begun && run.lab.node_pids().len() >= 3;
            if !is_it {
                signal(run.pid(), Signal::CONT);
            }
            is_it
        });
        run
    }

    fn pid(&self) -> i32 {
        pid_of(&self.child)
    }

    fn folder(&self) -> PathBuf {
        self.lab.home().join("run")
    }

    /// All that is in the file of trials.
    fn trials(&self) -> Vec<u8> {
        fs::read(self.folder().join("trials.jsonl")).unwrap_or_default()
    }

    /// That of it which counts.
    fn sealed(&self) -> Vec<u8> {
        let mut trials = self.trials();
        let manifest = fs::read(self.folder().join("manifest.json")).unwrap_or_default();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
        trials.truncate(manifest["files"]["trials.jsonl"]["bytes"].as_u64().unwrap_or(0) as usize);
        trials
    }

    /// Waits for its end, and holds it to what an interrupted run promises: no process is left, no folder of one, and
    /// the run goes on when it is told to.
    fn leaves_what_was_finished(self) -> Ran {
        let Interruptible { lab, child, kept } = self;
        let ran = ended(child);
        assert_eq!(ran.code, 130, "{ran:#?}");
        assert!(ran.stderr.contains("kept") && ran.stderr.contains("bench run --resume run`"), "{ran:#?}");
        assert!(lab.processes().is_empty(), "{ran:#?}");
        assert!(!lab.home().join("run/work").exists());
        goes_on(&lab, &kept);
        ran
    }
}

/// What was finished of the run of a home can be reported, and the rest done.
fn goes_on(lab: &Lab, kept: &[u8]) {
    let run = lab.home().join("run");
    lab.ok("bench report run");
    let resumed = lab.json("bench run --resume run");
    assert_eq!((&resumed["blocks_done"], &resumed["stopped"]), (&Value::from(3), &Value::Null), "{resumed}");
    let after = fs::read(run.join("trials.jsonl")).unwrap();
    assert!(after.len() > kept.len() && after.starts_with(kept), "finished blocks are kept as they were");
    assert!(!run.join("work").exists());
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
