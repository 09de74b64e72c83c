//! Runs without a cluster: what a small one is judged to be, whole, cut off, damaged, and changed.

use std::fs;
use std::path::{Path, PathBuf};

use raftian_check::apps::{AppKind, AppOptions, Entry, Machine, Payload};
use raftian_check::{LogRecord, Operation, Outcome, Standing, Verdict};
use raftian_rpc::NodeId;
use serde_json::value::RawValue;

use super::{Began, Cluster, Engine, How, Judgement, Listed, Maker, Manifest, Offered, Run, RunId, RunWriter, State};
use crate::machine::Machine as Host;

/// A folder that is gone at the end of a test.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("raftian-run-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn began() -> Began {
    Began {
        maker: Maker::Load,
        command: vec!["/usr/bin/raftianctl".to_owned(), "load".to_owned()],
        engine: Engine::Processes,
        lab: Some("default".to_owned()),
        scenario: None,
        seed: 1,
        records_messages: false,
        load: Some(Offered { rate_per_s: None, clients: 1 }),
    }
}

pub(super) fn listed(bytes: u64, state: State) -> Listed {
    let id = RunId::draw();
    let manifest = Manifest::new(id.clone(), began(), Host::default());
    Listed { id, folder: PathBuf::new(), state, bytes, verdict: None, holds: None, manifest }
}

/// A run of three nodes and four attacks, all acknowledged and all in all logs, as it is before it ends.
pub(super) fn small(folder: &Path) -> RunWriter {
    let mut run = RunWriter::in_folder(folder, began()).unwrap();
    let nodes: Vec<NodeId> = NodeId::first(3).collect();
    let converged = Some(Ok(5));
    let cluster = Cluster {
        app: AppKind::Attack,
        app_options: AppOptions::default(),
        nodes: nodes.clone(),
        converged,
        ..Cluster::default()
    };
    run.on(cluster).unwrap();
    fs::write(folder.join("events.jsonl"), "").unwrap();
    let history = run.history().unwrap();
    let mut machine = Machine::new(AppKind::Attack, 5).unwrap();
    let mut records = Vec::new();
    for index in 1..=5 {
        let op = r#"{"attack":3}"#;
        let payload = match index {
            1 => Payload::Noop,
            _ => Payload::Command(format!(r#"{{"client":"a","serial":{},"op":{op}}}"#, index - 1).into()),
        };
        let entry = Entry { index, term: 1, payload };
        let applied = machine.apply(&entry);
        records.push(LogRecord::Entry(entry));
        if let raftian_check::apps::Effect::Executed(response) = applied.effect {
            history.record(&Operation {
                client: "a".to_owned(),
                serial: index - 1,
                op: RawValue::from_string(op.to_owned()).unwrap(),
                due_ns: None,
                invoked_ns: index * 1_000,
                completed_ns: Some(index * 1_000 + 500),
                outcome: Outcome::Ok { index, response },
            });
        }
    }
    history.flush().unwrap();
    records.push(LogRecord::Standing(Standing { commit_index: 5, applied_index: 5, digest: machine.digest() }));
    for node in nodes {
        let mut text = Vec::new();
        records.iter().for_each(|record| record.write(&mut text).unwrap());
        fs::write(folder.join(format!("logs/{node}.jsonl")), text).unwrap();
    }
    run
}

fn edit(folder: &Path, name: &str, change: impl Fn(String) -> String) {
    let path = folder.join(name);
    fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
}

/// What is said of a small run that was ended if it `ends`, and changed then.
fn judged(name: &str, ends: bool, change: impl Fn(&Path)) -> Judgement {
    let scratch = Scratch::new(name);
    let mut run = small(scratch.path());
    if ends {
        run.end(How::Completed).unwrap();
    }
    drop(run);
    change(scratch.path());
    Run::open(scratch.path()).unwrap().check().unwrap()
}

fn unknown(judgement: &Judgement, says: &str) {
    assert_eq!(judgement.verdict, Some(Verdict::Unknown), "{judgement:#?}");
    assert!(judgement.limits.iter().any(|limit| limit.contains(says)), "`{says}` is missing: {:#?}", judgement.limits);
}

#[test]
fn a_whole_run_is_valid() {
    let judgement = judged("whole", true, |_| ());
    assert_eq!((judgement.verdict, judgement.limits.len()), (Some(Verdict::Valid), 0), "{judgement:#?}");
    assert_eq!(judgement.report.unwrap().counts.acknowledged, 4);
    assert_eq!(judgement.summary.unwrap().n, 4);
}

#[test]
fn a_run_that_was_cut_off_is_judged_as_far_as_it_goes() {
    let judgement = judged("cut", false, |_| ());
    unknown(&judgement, "cut off");
    assert_eq!(judgement.report.unwrap().findings, []);
    let judgement = judged("cut-history", false, |folder| {
        edit(folder, "history.jsonl", |text| text[..text.len() - 20].to_owned());
    });
    unknown(&judgement, "line 4 of history.jsonl is cut short");
    assert_eq!(judgement.report.unwrap().counts.acknowledged, 3);
}

#[test]
fn logs_that_were_cut_off_do_not_make_an_acknowledged_write_a_lost_one() {
    let judgement = judged("cut-logs", false, |folder| {
        for node in ["n1", "n2", "n3"] {
            // Two entries, and where the node stood then.
            edit(folder, &format!("logs/{node}.jsonl"), |text| {
                let entries: Vec<&str> = text.lines().take(2).collect();
                let digest = serde_json::to_string(&Machine::new(AppKind::Attack, 5).unwrap().digest()).unwrap();
                format!("{}\n{{\"commit_index\":2,\"applied_index\":0,\"digest\":{digest}}}\n", entries.join("\n"))
            });
        }
    });
    assert_eq!(judgement.verdict, Some(Verdict::Unknown), "{judgement:#?}");
}

#[test]
fn a_damaged_history_is_judged_up_to_the_damage() {
    let judgement = judged("damaged", true, |folder| {
        edit(folder, "history.jsonl", |text| text.replacen("\"serial\":3", "\"serial\":x", 1));
    });
    unknown(&judgement, "line 3 of history.jsonl is no operation");
    unknown(&judgement, "changed after the run ended: history.jsonl");
    assert_eq!(judgement.report.unwrap().counts.acknowledged, 2);
}

#[test]
fn an_acknowledged_write_that_no_log_holds_is_a_violation_even_in_a_run_that_was_changed() {
    let judgement = judged("lost", true, |folder| {
        edit(folder, "history.jsonl", |text| text.replacen("\"serial\":3", "\"serial\":33", 1));
    });
    assert_eq!(judgement.verdict, Some(Verdict::Violated), "{judgement:#?}");
}

#[test]
fn what_was_changed_or_removed_after_the_end_is_named() {
    unknown(&judged("log", true, |folder| edit(folder, "logs/n2.jsonl", |text| text + "\n")), "logs/n2.jsonl");
    let judgement = judged("no-log", true, |folder| fs::remove_file(folder.join("logs/n3.jsonl")).unwrap());
    unknown(&judgement, "logs/n3.jsonl");
    assert_eq!(judgement.silent.len(), 1);
}

#[test]
fn a_run_of_another_format_is_refused_and_so_is_what_is_none() {
    let scratch = Scratch::new("format");
    let refused = || Run::open(scratch.path()).unwrap_err().to_string();
    assert!(refused().contains("holds no run"), "{}", refused());
    drop(small(&scratch.path().join("run")));
    let format = |format: &str| {
        edit(&scratch.path().join("run"), "manifest.json", |text| text.replacen("\"format\": 1", format, 1));
        Run::open(&scratch.path().join("run")).unwrap_err().to_string()
    };
    let newer = format("\"format\": 2");
    assert!(newer.contains("is a run of format 2") && newer.contains("the raftian that made it"), "{newer}");
    for (text, says) in
        [("{\"schema\":1}", "of the benchmarks"), ("{}", "names no format"), ("x", "is not the manifest")]
    {
        fs::write(scratch.path().join("manifest.json"), text).unwrap();
        assert!(refused().contains(says), "{}", refused());
    }
}

#[test]
fn a_folder_with_something_in_it_is_no_place_for_a_run() {
    let scratch = Scratch::new("taken");
    fs::write(scratch.path().join("mine.txt"), "mine").unwrap();
    assert!(RunWriter::in_folder(scratch.path(), began()).unwrap_err().to_string().contains("is not empty"));
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
}
