//! A run as analyses read it: the manifest, the trials, and their histograms and series.
//!
//! Invariants: only what was sealed is read, and only if it has the digest it was sealed with. The last attempt of a
//! block counts, and of it the trials that were done and did not fail; the others are kept apart. A run in memory is the
//! same as one that was written and opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;

use crate::experiments::{Measured, Series};
use crate::suite::manifest::{Manifest, State, digest};
use crate::suite::raw;
use crate::suite::trial::{ExperimentId, Trial};

/// The file of trials, a [`Trial`] per line.
pub(crate) const TRIALS_FILE: &str = "trials.jsonl";

/// The folder of what is computed from the rest.
pub const DERIVED_FOLDER: &str = "derived";

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    manifest: Manifest,
    trials: Vec<Trial>,
    /// Encoded, by trial and name: a histogram takes a hundred times more room than its encoding.
    histograms: BTreeMap<(u32, String), String>,
    series: BTreeMap<(u32, String), Series>,
}

impl Run {
    /// Reads the run in a folder.
    ///
    /// # Errors
    /// When there is none, it is of a newer form, or its files are not what they were when they were sealed: each such
    /// file is named.
    pub fn open(folder: &Path) -> anyhow::Result<Run> {
        let manifest = Manifest::read(folder)?;
        let mut files = sealed(folder, &manifest)?;
        let mut run = Run::in_memory(manifest);
        let trials = files.remove(TRIALS_FILE).unwrap_or_default();
        for (number, line) in trials.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let trial: Trial = serde_json::from_slice(line)
                .with_context(|| format!("line {} of {TRIALS_FILE} is no trial", number + 1))?;
            run.trials.push(trial);
        }
        run.read_histograms(&files)?;
        run.read_series(&files)?;
        Ok(run)
    }

    /// A run without trials, which lives in memory only; see [`Run::add`].
    pub fn in_memory(manifest: Manifest) -> Run {
        Run { manifest, trials: Vec::new(), histograms: BTreeMap::new(), series: BTreeMap::new() }
    }

    /// Adds a trial with what it measured; its number and names are filled in.
    ///
    /// # Errors
    /// When what it measured could not be kept, such as a metric that is no number.
    pub fn add(&mut self, mut trial: Trial, measured: &Measured) -> anyhow::Result<()> {
        raw::check(measured).map_err(anyhow::Error::msg)?;
        trial.number = u32::try_from(self.trials.len()).context("a run has that many trials")?;
        trial.fill(measured);
        for (name, histogram) in &measured.histograms {
            let line = raw::histogram_line(&trial, histogram)?;
            let encoded = raw::read_histograms(&line)?.remove(&trial.number).context("a line of one histogram")?;
            self.histograms.insert((trial.number, name.clone()), encoded);
        }
        for (name, series) in &measured.series {
            self.series.insert((trial.number, name.clone()), series.clone());
        }
        self.trials.push(trial);
        Ok(())
    }

    /// What the run is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Every trial that was kept: failed ones and earlier attempts, too.
    pub fn all(&self) -> &[Trial] {
        &self.trials
    }

    /// The trials of an experiment that count: those of the last attempt of each block that were done and did not fail.
    pub fn trials(&self, experiment: ExperimentId) -> impl Iterator<Item = &Trial> {
        self.last_attempts(experiment).filter(|trial| trial.failed.is_none() && trial.left_out.is_none())
    }

    /// The trials of an experiment's last attempts that were left out.
    pub fn left_out(&self, experiment: ExperimentId) -> impl Iterator<Item = &Trial> {
        self.last_attempts(experiment).filter(|trial| trial.left_out.is_some())
    }

    /// The trials of an experiment's last attempts that failed.
    pub fn failed(&self, experiment: ExperimentId) -> impl Iterator<Item = &Trial> {
        self.last_attempts(experiment).filter(|trial| trial.failed.is_some())
    }

    /// The experiments that have at least one trial that counts.
    pub fn experiments(&self) -> BTreeSet<ExperimentId> {
        self.manifest
            .experiments
            .iter()
            .map(|planned| planned.id)
            .filter(|id| self.trials(*id).next().is_some())
            .collect()
    }

    /// A histogram of a trial, of nanoseconds.
    ///
    /// # Panics
    /// Never: every histogram was decoded once when the run was read.
    pub fn histogram(&self, trial: &Trial, name: &str) -> Option<Histogram<u64>> {
        let encoded = self.histograms.get(&(trial.number, name.to_owned()))?;
        Some(raw::decode(encoded).expect("it was decoded before"))
    }

    /// A series of a trial.
    pub fn series(&self, trial: &Trial, name: &str) -> Option<&Series> {
        self.series.get(&(trial.number, name.to_owned()))
    }

    /// How many blocks of an experiment are done.
    pub fn blocks_done(&self, experiment: ExperimentId) -> u32 {
        let blocks: BTreeSet<u32> =
            self.trials.iter().filter(|trial| trial.experiment == experiment).map(|trial| trial.block).collect();
        u32::try_from(blocks.len()).unwrap_or(u32::MAX)
    }

    /// Whether every planned block is done.
    pub fn is_complete(&self) -> bool {
        self.manifest.experiments.iter().all(|planned| self.blocks_done(planned.id) >= planned.plan.blocks)
    }

    /// What a reader must know of the run as a whole: what is missing and why, what failed, what was repeated.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if !self.is_complete() {
            let short = self.manifest.experiments.iter().filter_map(|planned| {
                let (done, blocks) = (self.blocks_done(planned.id), planned.plan.blocks);
                (done < blocks).then(|| format!("{} has {done} of {blocks} blocks", planned.id))
            });
            let why = match &self.manifest.state {
                State::Stopped(why) => format!("stopped: {why}"),
                State::Running | State::Complete => "going on, or ended without a word".to_owned(),
            };
            remarks.push(format!("the run is partial ({why}): {}", short.collect::<Vec<_>>().join(", ")));
        }
        let count = |wanted: fn(&Trial) -> bool| self.trials.iter().filter(|trial| wanted(trial)).count();
        for (count, what) in [
            (count(|trial| trial.failed.is_some()), "failed"),
            (count(|trial| trial.left_out.is_some()), "were left out: the machine lacks what they need"),
            (count(|trial| !trial.conditions.quiet), "ran while the machine was busy with other things"),
            (count(|trial| trial.attempt > 0), "were repetitions of a bad block; its last attempt counts"),
        ] {
            if count > 0 {
                remarks.push(format!("{count} of {} trials {what}", self.trials.len()));
            }
        }
        remarks
    }

    fn last_attempts(&self, experiment: ExperimentId) -> impl Iterator<Item = &Trial> {
        let of_it = move |trial: &&Trial| trial.experiment == experiment;
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for trial in self.trials.iter().filter(of_it) {
            let attempt = last.entry(trial.block).or_default();
            *attempt = trial.attempt.max(*attempt);
        }
        self.trials.iter().filter(of_it).filter(move |trial| last.get(&trial.block) == Some(&trial.attempt))
    }

    fn read_histograms(&mut self, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
        let mut logs = BTreeMap::new();
        for trial in &self.trials {
            for name in &trial.histograms {
                let file = raw::histogram_file(trial.experiment, name);
                if !logs.contains_key(&file) {
                    let bytes = files.get(&file).with_context(|| format!("{file} is missing"))?;
                    logs.insert(file.clone(), raw::read_histograms(bytes).with_context(|| file.clone())?);
                }
                let encoded = logs.get_mut(&file).and_then(|log| log.remove(&trial.number));
                let encoded = encoded.with_context(|| format!("{file} lacks trial {}", trial.number))?;
                raw::decode(&encoded).with_context(|| format!("{file}, trial {}", trial.number))?;
                self.histograms.insert((trial.number, name.clone()), encoded);
            }
        }
        Ok(())
    }

    fn read_series(&mut self, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
        let mut tables = BTreeMap::new();
        for trial in &self.trials {
            for name in &trial.series {
                let file = raw::series_file(trial.experiment, name);
                if !tables.contains_key(&file) {
                    let bytes = files.get(&file).with_context(|| format!("{file} is missing"))?;
                    let text = std::str::from_utf8(bytes).with_context(|| format!("{file} is not text"))?;
                    tables.insert(file.clone(), raw::read_series(text).with_context(|| file.clone())?);
                }
                let Some((columns, table)) = tables.get_mut(&file) else { continue };
                // A series without rows has no line: it is there all the same.
                let empty = || Series { columns: columns.clone(), rows: Vec::new() };
                let series = table.remove(&trial.number).unwrap_or_else(empty);
                self.series.insert((trial.number, name.clone()), series);
            }
        }
        Ok(())
    }
}

impl Trial {
    /// Takes over what was measured, as far as it stands in the trial's own line.
    pub(crate) fn fill(&mut self, measured: &Measured) {
        self.metrics.clone_from(&measured.metrics);
        self.histograms = measured.histograms.keys().cloned().collect();
        self.series = measured.series.keys().cloned().collect();
        self.costs.clone_from(&measured.costs);
        self.verdict.clone_from(&measured.verdict);
    }
}

/// The sealed part of every raw file.
fn sealed(folder: &Path, manifest: &Manifest) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let (mut files, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, seal) in &manifest.files {
        let mut bytes = match fs::read(folder.join(name)) {
            Ok(bytes) => bytes,
            Err(error) => {
                wrong.push(format!("{name} cannot be read ({error})"));
                continue;
            }
        };
        let length = usize::try_from(seal.bytes).unwrap_or(usize::MAX);
        // While a run goes on, the end of a file may be a block that is not finished.
        let tail_is_allowed = manifest.state == State::Running;
        if bytes.len() < length || (bytes.len() > length && !tail_is_allowed) {
            wrong.push(format!("{name} has {} bytes instead of {length}", bytes.len()));
            continue;
        }
        bytes.truncate(length);
        if digest(&bytes) != seal.sha256 {
            wrong.push(format!("{name} was changed"));
            continue;
        }
        files.insert(name.clone(), bytes);
    }
    if wrong.is_empty() {
        return Ok(files);
    }
    bail!("{} is not as the run left it: {}; restore it, or repeat the run", folder.display(), wrong.join(", "))
}
