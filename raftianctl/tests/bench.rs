//! What a shell sees of `raftianctl bench` where nothing is measured: lists, refusals, and what they advise.
//!
//! Runs themselves are tested with pretended experiments in the bench library, and end to end in the workspace's `tests`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An empty folder that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("raftianctl-bench-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftianctl"));
        command.args(line.split_whitespace()).current_dir(&self.0).env("RAFTIAN_HOME", &self.0);
        // A node program that can be read, and is never run here.
        command.env("RAFTIAN_BIN_DIR", Path::new(env!("CARGO_BIN_EXE_raftianctl")).parent().unwrap());
        command.output().unwrap()
    }

    #[track_caller]
    fn refuses(&self, line: &str, code: i32, says: &str) {
        let output = self.run(line);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "`{line}`: {stderr}");
        assert!(stderr.contains(says), "`{line}` does not say `{says}`: {stderr}");
        assert!(output.stdout.is_empty(), "`{line}`");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_list_has_every_experiment_with_its_times() {
    let scratch = Scratch::new("list");
    let output = scratch.run("bench list -o json");
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<&str> = all.as_array().unwrap().iter().map(|listed| listed["id"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..=12).map(|number| format!("E{number}")).collect();
    assert_eq!(ids, expected);
    let time = |profile: &str| -> u64 {
        all.as_array().unwrap().iter().map(|listed| listed[profile]["total_ms"].as_u64().unwrap()).sum()
    };
    assert!(time("quick") < 175_000 && time("paper") > 3_600_000, "{} {}", time("quick"), time("paper"));
    let text = String::from_utf8(scratch.run("bench list").stdout).unwrap();
    assert!(text.lines().count() == 16 && text.starts_with("ID"), "{text}");
}

#[test]
fn what_cannot_be_run_is_refused_with_advice() {
    let scratch = Scratch::new("refused");
    scratch.refuses("bench run E99", 2, "there are E0, E1");
    scratch.refuses("bench run one", 2, "written E0, E1");
    scratch.refuses("bench run --profile slow", 2, "quick");
    scratch.refuses("bench run --blocks 0", 2, "1..=1000");
    scratch.refuses("bench run --resume x --seed 2", 2, "cannot be used with");
    scratch.refuses("bench run --resume nowhere", 2, "there is no folder nowhere; `raftianctl bench run` makes one");
    fs::create_dir_all(scratch.0.join("full/of")).unwrap();
    scratch.refuses("bench run --resume full", 2, "full holds no run");
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "a refusal leaves nothing behind");
}
