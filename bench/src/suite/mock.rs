//! What the tests of the suite share: experiments that only pretend, folders that go away, and runs of the two.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep};

use crate::cancel::{Cancel, Canceller, cancel_pair};
use crate::experiments::{Bench, Experiment, Measured, Plan, PlannedArm, Profile, Running, Series};
use crate::suite::gate::Meter;
use crate::suite::gate::tests::machine;
use crate::suite::manifest::{Manifest, Provenance};
use crate::suite::provenance::Programs;
use crate::suite::runner::{News, Outcome, Setup, run};
use crate::suite::schedule::PlannedExperiment;
use crate::suite::store::Store;
use crate::suite::trial::{Arm, ExperimentId};

pub(crate) const E1: ExperimentId = ExperimentId(1);
pub(crate) const E2: ExperimentId = ExperimentId(2);

/// A folder that goes away with the test.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("raftian-suite-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a pretended trial does, given how many trials of its experiment came before it.
pub(crate) type Act = Rc<dyn Fn(usize, &Bench) -> Running<'static>>;

pub(crate) struct Mock {
    id: ExperimentId,
    count: Cell<usize>,
    act: Act,
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.id)
    }
}

/// Three blocks of two arms that take five seconds each.
impl Experiment for Mock {
    fn id(&self) -> ExperimentId {
        self.id
    }

    fn question(&self) -> &'static str {
        "does it hold?"
    }

    fn plan(&self, _profile: Profile) -> Plan {
        let arm = |level: &str| PlannedArm {
            arm: Arm::of([("level", level)]),
            warmup_ms: 1_000,
            measure_ms: 3_000,
            overhead_ms: 1_000,
        };
        Plan { blocks: 3, arms: vec![arm("low"), arm("high")] }
    }

    fn run<'a>(&'a self, _arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        (self.act)(self.count.replace(self.count.get() + 1), bench)
    }
}

pub(crate) fn measured(value: f64) -> Measured {
    let mut histogram = Histogram::new(3).unwrap();
    histogram.record(value as u64 + 1).unwrap();
    let series =
        Series { columns: vec!["second".into(), "fps".into()], rows: vec![vec![0.0, value], vec![1.0, value]] };
    Measured {
        metrics: [("fps".to_owned(), value)].into(),
        histograms: [("frame".to_owned(), histogram)].into(),
        series: [("fps".to_owned(), series)].into(),
        ..Measured::default()
    }
}

pub(crate) fn mock(id: ExperimentId, act: impl Fn(usize, &Bench) -> Running<'static> + 'static) -> Box<dyn Experiment> {
    Box::new(Mock { id, count: Cell::new(0), act: Rc::new(act) })
}

/// A trial of five seconds that measures its number.
pub(crate) fn good(count: usize) -> Running<'static> {
    Box::pin(async move {
        sleep(Duration::from_secs(5)).await;
        Ok(measured(count as f64))
    })
}

pub(crate) fn two_good() -> Vec<Box<dyn Experiment>> {
    vec![mock(E1, |count, _| good(count)), mock(E2, |count, _| good(count))]
}

pub(crate) fn create(folder: &Path, experiments: &[Box<dyn Experiment>]) -> Store {
    let planned = experiments.iter().map(|one| PlannedExperiment::of(one.as_ref(), Profile::Quick, None).unwrap());
    let manifest = Manifest::new(Profile::Quick, 7, planned.collect(), Provenance::default());
    Store::create(folder, manifest).unwrap()
}

/// What a test can do to a run.
pub(crate) struct Hands {
    pub(crate) deadline_s: Option<u64>,
    cancel: Cancel,
    /// What a person was told to know.
    pub(crate) notes: RefCell<Vec<String>>,
    /// What share of the run was done, trial by trial.
    pub(crate) shares: RefCell<Vec<f64>>,
}

impl Hands {
    pub(crate) fn new() -> (Hands, Canceller) {
        let (canceller, cancel) = cancel_pair();
        (Hands { deadline_s: None, cancel, notes: RefCell::default(), shares: RefCell::default() }, canceller)
    }

    pub(crate) async fn run_on(&self, store: Store, experiments: &[Box<dyn Experiment>], meter: Meter<'_>) -> Outcome {
        let programs = Programs { node: "node".into(), runner: "runner".into() };
        let news = |news: &News| match news {
            News::Note(text) => self.notes.borrow_mut().push(text.clone()),
            News::Trial { done, .. } => self.shares.borrow_mut().push(*done),
            News::Waiting(_) => {}
        };
        let deadline = self.deadline_s.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let setup = Setup { experiments, programs: &programs, deadline, meter, news: &news, cancel: &self.cancel };
        run(store, setup).await.unwrap()
    }

    pub(crate) async fn run(&self, store: Store, experiments: &[Box<dyn Experiment>]) -> Outcome {
        self.run_on(store, experiments, &machine(|_| 0.0)).await
    }
}

/// Copies a folder and what is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
