//! Folders of runs that were torn, edited, or taken by another: what is read, and what is said.

use super::*;
use crate::suite::mock::{E1, Hands, Scratch, copy, create, good, mock, two_good};

/// A run as it lies on the disk in the middle of its third block, with a trial of that in its files.
async fn crashed(scratch: &Scratch) -> PathBuf {
    let (from, to) = (scratch.run(), scratch.0.join("crashed"));
    let (hands, _canceller) = Hands::new();
    let (source, target) = (from.clone(), to.clone());
    let copied = mock(E1, move |count, _| {
        if count == 5 {
            copy(&source, &target);
        }
        good(count)
    });
    let experiments = vec![copied];
    hands.run(create(&from, &experiments), &experiments).await;
    to
}

#[tokio::test(start_paused = true)]
async fn wherever_a_crash_tears_the_files_finished_blocks_are_read_and_the_rest_is_repeated() {
    let scratch = Scratch::new();
    let crashed = crashed(&scratch).await;
    let sealed = Manifest::read(&crashed).unwrap().files["trials.jsonl"].bytes as usize;
    let trials = fs::read(crashed.join("trials.jsonl")).unwrap();
    assert!(trials.len() > sealed, "the crash is to be in a block");
    for cut in sealed..=trials.len() {
        fs::write(crashed.join("trials.jsonl"), &trials[..cut]).unwrap();
        let run = Run::open(&crashed).unwrap();
        assert_eq!(run.all().len(), 4, "cut at {cut}");
        assert!(run.remarks()[0].contains("E1 has 2 of 3 blocks"), "{:?}", run.remarks());
        // Taking it up takes a few syncs: not at every byte.
        if (cut - sealed).is_multiple_of(29) || cut == trials.len() {
            let copied = scratch.0.join(format!("cut-{cut}"));
            copy(&crashed, &copied);
            let (hands, _canceller) = Hands::new();
            let store = Store::resume(&copied, &[]).unwrap();
            let outcome = hands.run(store, &[mock(E1, |count, _| good(count))]).await;
            let resumed = Run::open(&copied).unwrap();
            assert_eq!((outcome.stopped, resumed.all().len(), &resumed.all()[..4]), (None, 6, run.all()));
            // A trial counts as one once its line is whole.
            let events = fs::read_to_string(copied.join("events.jsonl")).unwrap();
            assert_eq!(events.contains(r#""event":"discarded","trials":1"#), cut == trials.len(), "cut at {cut}");
        }
    }
    fs::write(crashed.join("trials.jsonl"), &trials[..sealed - 1]).unwrap();
    let error = format!("{:#}", Run::open(&crashed).unwrap_err());
    assert!(error.contains(&format!("trials.jsonl has {} bytes instead of {sealed}", sealed - 1)), "{error}");
}

/// What becomes of a file's text; `None` removes the file.
type Edit<'a> = &'a dyn Fn(String) -> Option<String>;

#[tokio::test(start_paused = true)]
async fn every_file_that_was_edited_is_named() {
    let scratch = Scratch::new();
    let (hands, _canceller) = Hands::new();
    let experiments = two_good();
    hands.run(create(&scratch.run(), &experiments), &experiments).await;
    let edited = |edits: &[(&str, Edit<'_>)]| {
        let copied = scratch.0.join("edited");
        copy(&scratch.run(), &copied);
        for (file, edit) in edits {
            let path = copied.join(file);
            match edit(fs::read_to_string(&path).unwrap()) {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
        }
        let error = format!("{:#}", Run::open(&copied).unwrap_err());
        fs::remove_dir_all(&copied).unwrap();
        error
    };
    let better = |text: String| Some(text.replace(",0\n", ",9\n"));
    let error = edited(&[
        ("trials.jsonl", &|text| Some(text + "\n")),
        ("series/e1-fps.csv", &better),
        ("hdr/e2-frame.hlog", &|_| None),
    ]);
    for part in ["trials.jsonl has ", "series/e1-fps.csv was changed", "hdr/e2-frame.hlog cannot be read", "restore it"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = edited(&[("manifest.json", &|text| Some(text.replace("\"seed\": 7,", "\"seed\": 8,")))]);
    assert!(error.contains("manifest.json was edited"), "{error}");
    let error = edited(&[("manifest.json", &|text| Some(text.replace("\"schema\": 1,", "\"schema\": 2,")))]);
    assert!(error.contains("written by a newer raftian (schema 2"), "{error}");
    let error = edited(&[("manifest.json", &|_| Some("{}".into()))]);
    assert!(error.contains("is not the manifest of a run"), "{error}");
    let error = edited(&[("manifest.json", &|_| None)]);
    assert!(error.contains("holds no run"), "{error}");
    assert!(format!("{:#}", Run::open(&scratch.0.join("nowhere")).unwrap_err()).contains("there is no folder"));
}

#[tokio::test(start_paused = true)]
async fn a_folder_has_one_run_and_one_writer() {
    let scratch = Scratch::new();
    let experiments = two_good();
    let store = create(&scratch.run(), &experiments);
    let manifest = store.manifest().clone();
    let create = || format!("{:#}", Store::create(&scratch.run(), manifest.clone()).unwrap_err());
    let resume = || format!("{:#}", Store::resume(&scratch.run(), &[]).unwrap_err());
    assert!(resume().contains("is being written by another run"), "{}", resume());
    drop(store);
    assert!(create().contains("holds a run already; continue it with `--resume"), "{}", create());
    assert!(Store::resume(&scratch.run(), &[]).is_ok());
    let error = format!("{:#}", Store::create(&scratch.0, manifest.clone()).unwrap_err());
    assert!(error.contains("is not empty"), "{error}");
}
