//! What a shell sees of `raftianctl bench compare`: two runs, of which one has a slowdown that was put into it.
//!
//! The runs are made and filed by the suite itself; only the games are pretended, so that the truth is known.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use fastrand::Rng;
use raftian_bench::cancel::cancel_pair;
use raftian_bench::experiments::{BASELINE, CONTROL, Experiment, HOSTING, Measured, Plan};
use raftian_bench::experiments::{Bench, PlannedArm, Profile, Running};
use raftian_bench::suite::manifest::{Manifest, Provenance};
use raftian_bench::suite::provenance::Programs;
use raftian_bench::suite::runner::{self, Setup};
use raftian_bench::suite::schedule::PlannedExperiment;
use raftian_bench::suite::store::Store;
use raftian_bench::suite::trial::{Arm, ExperimentId};
use serde_json::Value;

/// E1 with games that draw a thousand frames per second, one in a hundred more or less; those with a server in a
/// process of its own, so many times that.
#[derive(Debug)]
struct Pretended {
    process_factor: f64,
    noise: RefCell<Rng>,
}

impl Experiment for Pretended {
    fn id(&self) -> ExperimentId {
        ExperimentId(1)
    }

    fn question(&self) -> &'static str {
        "Does a server slow the game down?"
    }

    fn plan(&self, _profile: Profile) -> Plan {
        let arm = |hosting| PlannedArm {
            arm: Arm::of([("dots", "1000"), (HOSTING, hosting)]),
            warmup_ms: 0,
            measure_ms: 1,
            overhead_ms: 0,
        };
        Plan { blocks: 8, arms: [BASELINE, CONTROL, "thread", "process"].map(arm).into() }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, _bench: &'a Bench) -> Running<'a> {
        let factor = if arm.arm.level(HOSTING) == Some("process") { self.process_factor } else { 1.0 };
        let fps = 1_000.0 * factor * (0.99 + 0.02 * self.noise.borrow_mut().f64());
        Box::pin(async move { Ok(Measured { metrics: [("fps".to_owned(), fps)].into(), ..Measured::default() }) })
    }
}

/// A folder with runs that goes away with the test.
struct Runs(PathBuf);

impl Runs {
    fn new(test: &str) -> Runs {
        let path = std::env::temp_dir().join(format!("raftianctl-compare-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Runs(path)
    }

    /// Makes a run of this name.
    fn make(&self, name: &str, seed: u64, process_factor: f64, blocks: Option<u32>) {
        let experiment = Pretended { process_factor, noise: RefCell::new(Rng::with_seed(seed)) };
        let planned = PlannedExperiment::of(&experiment, Profile::Quick, blocks).unwrap();
        let manifest = Manifest::new(Profile::Quick, seed, vec![planned], Provenance::default());
        let store = Store::create(&self.0.join(name), manifest).unwrap();
        let (_canceller, cancel) = cancel_pair();
        let setup = Setup {
            experiments: &[Box::new(experiment) as Box<dyn Experiment>],
            programs: &Programs { node: PathBuf::new(), runner: PathBuf::new() },
            deadline: None,
            // Nobody tells whether the machine is busy, which does not matter to what is pretended.
            meter: &|| None,
            news: &|_| {},
            cancel: &cancel,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert!(runtime.block_on(runner::run(store, setup)).unwrap().stopped.is_none());
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftianctl"));
        command.args(line.split_whitespace()).current_dir(&self.0).output().unwrap()
    }

    /// The data of a comparison that ends with this exit code and says this on standard error.
    #[track_caller]
    fn compare(&self, line: &str, code: i32, says: &str) -> String {
        let output = self.run(&format!("bench compare {line}"));
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!((output.status.code(), stderr.as_str()), (Some(code), says), "`{line}`: {stdout}");
        stdout
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_slowdown_is_found_and_fails_only_where_that_is_asked_for() {
    let runs = Runs::new("slowdown");
    runs.make("before", 1, 1.0, None);
    runs.make("after", 2, 0.8, None);

    let told = runs.compare("before after", 0, "");
    for part in [
        "dots=1000 hosting=process   fps/baseline",
        "regression",
        "of 3 comparisons 0 improved, 1 regressed, and 2 show no evidence of a difference",
    ] {
        assert!(told.contains(part), "`{part}` is missing:\n{told}");
    }
    let failed = runs.compare("before after --fail-on-regression", 1, "raftianctl: 1 regression; see the table\n");
    assert_eq!(failed, told, "the answer is the same");

    let error = "{\"error\":{\"kind\":\"failed\",\"message\":\"1 regression; see the table\"}}\n";
    let data: Value =
        serde_json::from_str(&runs.compare("before after --fail-on-regression -o json", 1, error)).unwrap();
    let regressed: Vec<&Value> =
        data["compared"].as_array().unwrap().iter().filter(|one| one["verdict"] == "regression").collect();
    assert_eq!(regressed.len(), 1, "{data}");
    let (arm, ratio) = (&regressed[0]["arm"], regressed[0]["ratio"].as_f64().unwrap());
    assert!(arm["hosting"] == "process" && (0.75..0.85).contains(&ratio), "{data}");

    // The other way round it is an improvement, which is no reason to fail.
    let back = runs.compare("after before --fail-on-regression", 0, "");
    assert!(back.contains("of 3 comparisons 1 improved, 0 regressed, and 2 show no evidence"), "{back}");
}

#[test]
fn a_run_compared_with_itself_shows_no_evidence() {
    let runs = Runs::new("itself");
    runs.make("run", 3, 0.8, None);
    let told = runs.compare("run run --fail-on-regression", 0, "");
    assert!(told.contains("no evidence of a difference in any of 3 comparisons"), "{told}");
    assert!(told.contains("note: both are the same run"), "{told}");
    assert!(!told.contains("regression") && !told.contains("improvement"), "{told}");
}

#[test]
fn what_cannot_be_compared_fails_with_the_reason() {
    let runs = Runs::new("refused");
    runs.make("run", 4, 1.0, None);
    runs.make("short", 5, 1.0, Some(2));
    let output = runs.run("bench compare run short");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("nothing of the two runs can be compared") && said.contains("too few"), "{said}");

    let trials = runs.0.join("short/trials.jsonl");
    fs::write(&trials, fs::read_to_string(&trials).unwrap().replacen("thread", "Thread", 1)).unwrap();
    let output = runs.run("bench compare run short");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("short is not as the run left it: trials.jsonl was changed"), "{said}");
    assert!(!runs.0.join("short/derived").exists(), "looking leaves nothing behind");
}
