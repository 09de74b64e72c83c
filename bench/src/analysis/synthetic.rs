//! Runs made of noise, for tests: seeded, with known effects.

use fastrand::Rng;
use hdrhistogram::Histogram;

use crate::experiments::{Measured, Plan, PlannedArm, Profile, Series};
use crate::machine::Machine;
use crate::stats::normal;
use crate::suite::manifest::{Manifest, Provenance};
use crate::suite::run::Run;
use crate::suite::schedule::PlannedExperiment;
use crate::suite::trial::{Arm, ExperimentId, Trial};

/// A run in the making.
pub(crate) struct Synthetic {
    run: Run,
    rng: Rng,
    /// The standard deviation of a trial's logarithm.
    pub(crate) noise: f64,
    /// The same for what all trials of a block share.
    pub(crate) block_noise: f64,
    /// The histograms of every trial from now on: a thousand times around half a millisecond.
    pub(crate) histograms: &'static [&'static str],
    /// The series of every trial from now on: twenty values around a thousand.
    pub(crate) series: &'static [&'static str],
}

impl Synthetic {
    /// A run whose metrics scatter by a hundredth, and blocks by three.
    pub(crate) fn new(seed: u64) -> Synthetic {
        Synthetic {
            run: Run::in_memory(manifest(seed, &[])),
            rng: Rng::with_seed(seed),
            noise: 0.01,
            block_noise: 0.03,
            histograms: &[],
            series: &[],
        }
    }

    /// The run.
    pub(crate) fn run(self) -> Run {
        self.run
    }

    /// Adds trials of all `arms` in each of `blocks`; `measure` gives what a trial has, noise apart.
    pub(crate) fn blocks(
        &mut self,
        experiment: u8,
        blocks: u32,
        arms: &[Arm],
        measure: impl Fn(&Arm) -> Vec<(&'static str, f64)>,
    ) {
        for block in 0..blocks {
            let shared = (self.block_noise * self.normal()).exp();
            for (position, arm) in arms.iter().enumerate() {
                let metrics = measure(arm)
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value * shared * (self.noise * self.normal()).exp()));
                let metrics = metrics.collect();
                let histograms = self.histograms.iter().map(|name| ((*name).to_owned(), self.histogram())).collect();
                let series = self.series.iter().map(|name| ((*name).to_owned(), self.scatter())).collect();
                let measured = Measured { metrics, histograms, series, ..Measured::default() };
                self.add(trial(experiment, arm.clone(), block, position as u32), &measured);
            }
        }
    }

    fn histogram(&self) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        let mut rng = self.rng.clone();
        (0..1_000).for_each(|_| histogram.record((5e5 * (0.5 * normal(&mut rng)).exp()) as u64).unwrap());
        histogram
    }

    fn scatter(&self) -> Series {
        let mut rng = self.rng.clone();
        let rows = (0..20).map(|second| vec![f64::from(second), 1_000.0 + 20.0 * normal(&mut rng)]).collect();
        Series { columns: vec!["second".into(), "value".into()], rows }
    }

    /// Adds one trial.
    pub(crate) fn add(&mut self, trial: Trial, measured: &Measured) {
        self.run.add(trial, measured).unwrap();
    }

    /// A standard normal number.
    pub(crate) fn normal(&mut self) -> f64 {
        normal(&mut self.rng)
    }
}

/// A trial of a second.
pub(crate) fn trial(experiment: u8, arm: Arm, block: u32, position: u32) -> Trial {
    Trial { warmup_ms: 100, measured_ms: 1_000, ..Trial::new(ExperimentId(experiment), arm, block, position) }
}

/// The manifest of a run of these experiments.
pub(crate) fn manifest(seed: u64, experiments: &[(u8, &[Arm])]) -> Manifest {
    let planned = experiments.iter().map(|(id, arms)| {
        let arm = |arm: &Arm| PlannedArm { arm: arm.clone(), warmup_ms: 100, measure_ms: 1_000, overhead_ms: 100 };
        PlannedExperiment {
            id: ExperimentId(*id),
            question: format!("What of E{id}?"),
            plan: Plan { blocks: 6, arms: arms.iter().map(arm).collect() },
        }
    });
    let machine = Machine { optimised: true, ..Machine::default() };
    let provenance = Provenance { machine, ..Provenance::default() };
    Manifest::new(Profile::Quick, seed, planned.collect(), provenance)
}
