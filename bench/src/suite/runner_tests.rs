//! Whole runs of experiments that only pretend, on a clock that does not wait: what is kept, whatever happens.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::time::sleep;

use super::*;
use crate::experiments::{LeftOut, Profile, Series};
use crate::suite::gate::tests::machine;
use crate::suite::manifest::{Manifest, Provenance};
use crate::suite::mock::{E1, E2, Hands, Scratch, create, good, measured, mock, two_good};
use crate::suite::run::Run;
use crate::suite::schedule::PlannedExperiment;

fn places(run: &Run) -> Vec<(ExperimentId, u32, u32, String)> {
    run.all().iter().map(|trial| (trial.experiment, trial.block, trial.attempt, trial.arm.to_string())).collect()
}

/// What the folder of a run says happened to it.
fn happened(folder: &Path) -> Vec<String> {
    let lines = fs::read_to_string(folder.join("events.jsonl")).unwrap();
    let events = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let told = |event: serde_json::Value| match &event["trials"] {
        serde_json::Value::Null => event["event"].as_str().unwrap().to_owned(),
        trials => format!("{} {trials}", event["event"].as_str().unwrap()),
    };
    events.map(told).collect()
}

#[tokio::test(start_paused = true)]
async fn a_run_does_what_was_scheduled_and_reads_back() {
    let scratch = Scratch::new();
    let (hands, _canceller) = Hands::new();
    let experiments = two_good();
    let outcome = hands.run(create(&scratch.run(), &experiments), &experiments).await;
    let expected = Outcome { stopped: None, blocks_done: 6, blocks_planned: 6, failed_trials: 0, busy_trials: 0 };
    assert_eq!(outcome, expected);

    // Twelve trials as long as planned: a twelfth more is done before each.
    let shares = hands.shares.borrow();
    assert_eq!(shares.len(), 12);
    assert!(shares.iter().zip(0..).all(|(share, place)| (share * 12.0 - f64::from(place)).abs() < 0.5), "{shares:?}");

    let run = Run::open(&scratch.run()).unwrap();
    let scheduled: Vec<_> = run
        .manifest()
        .schedule
        .iter()
        .flat_map(|block| {
            run.manifest().arms(block).into_iter().map(|arm| (block.experiment, block.block, 0, arm.arm.to_string()))
        })
        .collect();
    assert_eq!(places(&run), scheduled);
    assert_eq!((run.trials(E1).count(), run.failed(E1).count(), run.remarks()), (6, 0, vec![]));
    for (count, trial) in run.trials(E2).enumerate() {
        assert_eq!(trial.metrics["fps"], count as f64);
        assert_eq!(run.histogram(trial, "frame").unwrap().max(), count as u64 + 1);
        assert_eq!(run.series(trial, "fps").unwrap().rows[1], [1.0, count as f64]);
        assert!(run.histogram(trial, "fps").is_none() && run.series(trial, "frame").is_none());
    }
    let names: Vec<&String> = run.manifest().files.keys().collect();
    let expected = [
        "events.jsonl",
        "hdr/e1-frame.hlog",
        "hdr/e2-frame.hlog",
        "series/e1-fps.csv",
        "series/e2-fps.csv",
        "trials.jsonl",
    ];
    assert_eq!(names, expected);
    assert!(!scratch.run().join("work").exists());
}

#[tokio::test(start_paused = true)]
async fn what_is_added_in_memory_reads_like_what_was_written() {
    let scratch = Scratch::new();
    let (hands, _canceller) = Hands::new();
    let experiments = two_good();
    hands.run(create(&scratch.run(), &experiments), &experiments).await;
    let written = Run::open(&scratch.run()).unwrap();
    let mut added = Run::in_memory(written.manifest().clone());
    for trial in written.all() {
        added.add(trial.clone(), &measured(trial.metrics["fps"])).unwrap();
    }
    assert_eq!(added.all(), written.all());
    for trial in added.all() {
        assert_eq!(added.histogram(trial, "frame"), written.histogram(trial, "frame"));
        assert_eq!(added.series(trial, "fps"), written.series(trial, "fps"));
    }
    let nan = Measured { metrics: [("fps".to_owned(), f64::NAN)].into(), ..Measured::default() };
    assert!(added.add(written.all()[0].clone(), &nan).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_fails_is_kept_and_its_block_repeated_once() {
    let scratch = Scratch::new();
    let (hands, _canceller) = Hands::new();
    // The third trial fails; that of the repetition does not. E2 always fails.
    let flaky = mock(E1, |count, _| match count {
        2 => Box::pin(async { anyhow::bail!("the node did not start") }),
        _ => good(count),
    });
    let broken = mock(E2, |_, _| {
        Box::pin(async { Ok(Measured { metrics: [("fps".to_owned(), f64::INFINITY)].into(), ..Measured::default() }) })
    });
    let experiments = vec![flaky, broken];
    let outcome = hands.run(create(&scratch.run(), &experiments), &experiments).await;
    assert_eq!((outcome.stopped, outcome.blocks_done, outcome.failed_trials), (None, 6, 1 + 12));

    let run = Run::open(&scratch.run()).unwrap();
    assert_eq!((run.trials(E1).count(), run.failed(E1).count(), run.all().len()), (6, 0, 8 + 12));
    assert_eq!((run.trials(E2).count(), run.failed(E2).count()), (0, 6));
    assert_eq!(run.experiments().into_iter().collect::<Vec<_>>(), [E1]);
    let first = run.all().iter().find(|trial| trial.experiment == E1 && trial.failed.is_some()).unwrap();
    assert_eq!(first.failed.as_deref(), Some("the node did not start"));
    assert!(run.failed(E2).all(|trial| trial.failed.as_ref().unwrap().contains("the metric fps is inf")));
    let repeated: Vec<_> =
        run.trials(E1).filter(|trial| trial.attempt == 1).map(|trial| (trial.block, trial.seed)).collect();
    assert_eq!(repeated, [(first.block, first.seed); 2]);
    assert_eq!(run.remarks().len(), 2, "{:?}", run.remarks());
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_left_out_is_kept_with_its_reason_and_its_block_is_not_repeated() {
    let scratch = Scratch::new();
    let (hands, _canceller) = Hands::new();
    let lacking = mock(E1, |count, _| match count % 2 {
        0 => good(count),
        _ => Box::pin(async { Err(LeftOut("no display".into()).into()) }),
    });
    let experiments = vec![lacking];
    let outcome = hands.run(create(&scratch.run(), &experiments), &experiments).await;
    assert_eq!((outcome.stopped, outcome.blocks_done, outcome.failed_trials), (None, 3, 0));
    assert_eq!(hands.notes.borrow().len(), 1, "said once: {:?}", hands.notes);

    let run = Run::open(&scratch.run()).unwrap();
    assert_eq!((run.trials(E1).count(), run.left_out(E1).count(), run.failed(E1).count()), (3, 3, 0));
    assert!(run.left_out(E1).all(|trial| trial.left_out.as_deref() == Some("no display")));
    assert!(run.is_complete() && run.remarks() == ["3 of 6 trials were left out: the machine lacks what they need"]);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_hangs_is_ended_and_named() {
    let scratch = Scratch::new();
    let (hands, _canceller) = Hands::new();
    let experiments =
        vec![mock(E1, |count, _| if count == 0 { Box::pin(std::future::pending()) } else { good(count) })];
    let outcome = hands.run(create(&scratch.run(), &experiments), &experiments).await;
    assert_eq!((outcome.stopped, outcome.failed_trials), (None, 1));
    let notes = hands.notes.borrow();
    assert!(
        notes[0].starts_with("E1 block 1, level=") && notes[0].ends_with("failed: it hung: not done after 15 s"),
        "{notes:?}"
    );
    assert_eq!(Run::open(&scratch.run()).unwrap().trials(E1).count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_block_on_a_busy_machine_is_repeated_once_it_is_quiet() {
    let scratch = Scratch::new();
    let (hands, _canceller) = Hands::new();
    let experiments = two_good();
    let machine = machine(|at| if at < Duration::from_secs(15) { 0.5 } else { 0.0 });
    let outcome = hands.run_on(create(&scratch.run(), &experiments), &experiments, &machine).await;
    assert!(outcome.stopped.is_none() && outcome.busy_trials >= 2, "{outcome:?}");
    let run = Run::open(&scratch.run()).unwrap();
    assert!(run.trials(E1).chain(run.trials(E2)).all(|trial| trial.conditions.quiet));
    assert_eq!(run.trials(E1).count() + run.trials(E2).count(), 12);
    assert!(run.all().len() > 12);
    assert_eq!(*hands.notes.borrow(), [TOO_BUSY]);
}

#[tokio::test(start_paused = true)]
async fn on_a_machine_that_stays_busy_nothing_is_repeated_and_all_is_kept() {
    let scratch = Scratch::new();
    let (hands, _canceller) = Hands::new();
    let experiments = two_good();
    let outcome = hands.run_on(create(&scratch.run(), &experiments), &experiments, &machine(|_| 0.5)).await;
    assert_eq!((outcome.stopped, outcome.busy_trials), (None, 12));
    assert_eq!(*hands.notes.borrow(), [TOO_BUSY, "6 of 6 bad blocks are not repeated: there is no quiet time for it"]);
    let run = Run::open(&scratch.run()).unwrap();
    assert_eq!(run.all().len(), 12);
    assert!(run.remarks()[0].starts_with("12 of 12 trials ran while the machine was busy"), "{:?}", run.remarks());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_never_passed_and_what_is_missing_is_said() {
    // Blocks take ten seconds and a look at the machine: three fit.
    let scratch = Scratch::new();
    let (mut hands, _canceller) = Hands::new();
    hands.deadline_s = Some(35);
    let experiments = two_good();
    let began = Instant::now();
    let outcome = hands.run(create(&scratch.run(), &experiments), &experiments).await;
    assert!(began.elapsed() <= Duration::from_secs(35), "{:?}", began.elapsed());
    assert_eq!((outcome.stopped, outcome.blocks_done), (Some(Stop::Deadline), 3));
    let run = Run::open(&scratch.run()).unwrap();
    assert!(!run.is_complete() && run.all().len() == 6);
    let remark = &run.remarks()[0];
    assert!(remark.contains("out of time") && remark.contains("of 3 blocks"), "{remark}");
}

#[tokio::test(start_paused = true)]
async fn a_block_that_takes_longer_than_planned_is_cut_at_the_deadline() {
    let scratch = Scratch::new();
    let (mut hands, _canceller) = Hands::new();
    hands.deadline_s = Some(33);
    let slow = mock(E1, |count, _| match count {
        4.. => Box::pin(async {
            sleep(Duration::from_secs(12)).await;
            Ok(measured(0.0))
        }),
        _ => good(count),
    });
    let experiments = vec![slow];
    let began = Instant::now();
    let outcome = hands.run(create(&scratch.run(), &experiments), &experiments).await;
    assert_eq!(began.elapsed(), Duration::from_secs(33));
    assert_eq!((outcome.stopped, outcome.blocks_done, outcome.failed_trials), (Some(Stop::Deadline), 2, 0));
    assert_eq!(Run::open(&scratch.run()).unwrap().all().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_keeps_finished_blocks_and_is_taken_up_again() {
    struct Process(Rc<Cell<usize>>);
    impl Drop for Process {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let scratch = Scratch::new();
    let (hands, canceller) = Hands::new();
    let (ended, canceller) = (Rc::new(Cell::new(0)), Rc::new(canceller));
    let counted = Rc::clone(&ended);
    let interrupted = mock(E1, move |count, bench| {
        let (process, folder) = (Process(Rc::clone(&counted)), bench.folder.clone());
        fs::write(folder.join("wal"), "x").unwrap();
        if count == 5 {
            canceller.cancel();
        }
        Box::pin(async move {
            let _process = process;
            good(count).await
        })
    });
    let outcome =
        hands.run(create(&scratch.run(), std::slice::from_ref(&interrupted)), std::slice::from_ref(&interrupted)).await;
    assert_eq!((outcome.stopped, outcome.blocks_done, ended.get()), (Some(Stop::Interrupted), 2, 6));
    let before = Run::open(&scratch.run()).unwrap();
    assert!(before.remarks()[0].contains("stopped: interrupted"), "{:?}", before.remarks());
    assert!(!scratch.run().join("work").exists());
    assert_eq!(happened(&scratch.run()), ["began", "block", "block", "discarded 1", "ended"]);

    let (hands, _canceller) = Hands::new();
    let store = Store::resume(&scratch.run(), &["raftianctl".into()]).unwrap();
    let outcome = hands.run(store, &[mock(E1, |count, _| good(count))]).await;
    assert_eq!((outcome.stopped, outcome.blocks_done), (None, 3));
    let after = Run::open(&scratch.run()).unwrap();
    assert_eq!(after.all()[..4], *before.all());
    let scheduled: Vec<u32> = after.manifest().schedule.iter().flat_map(|block| [block.block; 2]).collect();
    assert_eq!(after.all().iter().map(|trial| trial.block).collect::<Vec<_>>(), scheduled);
    assert!(format!("{:#}", Store::resume(&scratch.run(), &[]).unwrap_err()).contains("is complete"));
}

/// Where there is no room for a manifest, nothing is left that is no run.
fn refuses_to_begin_without_room(disk: &Path) {
    let planned = PlannedExperiment::of(two_good()[0].as_ref(), Profile::Quick, None).unwrap();
    let manifest = Manifest::new(Profile::Quick, 7, vec![planned], Provenance::default());
    let filling = disk.join("filling");
    fs::create_dir(disk.join("empty")).unwrap();
    let mut file = fs::File::create(&filling).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    for (name, stays) in [("new", false), ("empty", true)] {
        let error = Store::create(&disk.join(name), manifest.clone()).unwrap_err();
        assert!(is_full(&error) && format!("{error:#}").contains("no run can begin in"), "{error:#}");
        assert_eq!(disk.join(name).exists(), stays, "{name}");
    }
    assert_eq!(fs::read_dir(disk.join("empty")).unwrap().count(), 0);
    fs::remove_dir(disk.join("empty")).unwrap();
    fs::remove_file(filling).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_ends_the_run_with_its_finished_blocks() {
    struct SmallDisk(PathBuf);
    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
        }
    }
    let scratch = Scratch::new();
    let mount =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=192k", "tmpfs"]).arg(&scratch.0).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    }
    let disk = SmallDisk(scratch.0.clone());
    refuses_to_begin_without_room(&disk.0);
    // Once it is our files that do not fit, and once those of a trial's processes.
    let big_series = mock(E1, |count, _| {
        let rows = if count == 5 { 100_000 } else { 10 };
        let series = Series { columns: vec!["x".into()], rows: vec![vec![0.5]; rows] };
        Box::pin(async { Ok(Measured { series: [("s".to_owned(), series)].into(), ..Measured::default() }) })
    });
    let big_trial = mock(E1, |count, bench| {
        let written = fs::write(bench.folder.join("wal"), vec![0; if count == 5 { 1 << 20 } else { 10 }]);
        let failed = written.map(|()| measured(0.0)).map_err(|error| anyhow::anyhow!("the node stopped: {error}"));
        Box::pin(async { failed })
    });
    for (name, experiment) in [("series", big_series), ("trial", big_trial)] {
        let (hands, _canceller) = Hands::new();
        let folder = disk.0.join(name);
        let outcome =
            hands.run(create(&folder, std::slice::from_ref(&experiment)), std::slice::from_ref(&experiment)).await;
        assert_eq!(
            (outcome.stopped, outcome.blocks_done, outcome.failed_trials),
            (Some(Stop::DiskFull), 2, 0),
            "{name}"
        );
        let run = Run::open(&folder).unwrap();
        assert_eq!(run.all().len(), 4);
        assert!(run.remarks()[0].contains("the disk is full"), "{:?}", run.remarks());
        assert_eq!(happened(&folder)[3..], ["discarded 1", "ended"], "{name}");
    }
}
