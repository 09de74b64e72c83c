//! `manifest.json`: what a run is, where it ran, and how much of its folder counts.
//!
//! Invariant: the manifest is the commit record. Of every raw file only the first [`Seal::bytes`] count, and they have
//! the digest it says; it is replaced in one step, after the files were synced. What a crash leaves behind in the files
//! is beyond the seals, so no reader ever meets a torn line.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::experiments::{PlannedArm, Profile};
use crate::machine::Machine;
use crate::suite::schedule::{PlannedExperiment, ScheduledBlock, schedule};
use crate::suite::trial::ExperimentId;

/// The version of the folder's form that this program writes, and the newest it reads.
pub const SCHEMA: u32 = 1;

/// The manifest's place in a run's folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The place of one that is about to replace it.
pub(crate) const NEXT_FILE: &str = "manifest.next";

/// What a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the folder's form.
    pub schema: u32,
    /// The digest of this file with this field empty.
    pub digest: String,
    /// How much time the trials were given.
    pub profile: Profile,
    /// The seed of the schedule and of all trials.
    pub seed: u64,
    /// Whether the run is at an end.
    pub state: State,
    /// Where everything came from.
    pub provenance: Provenance,
    /// What each experiment planned.
    pub experiments: Vec<PlannedExperiment>,
    /// What was to be run, in this order.
    pub schedule: Vec<ScheduledBlock>,
    /// The raw files by their path in the folder.
    pub files: BTreeMap<String, Seal>,
}

/// Whether a run is at an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is going on, or was ended without a chance to say so.
    Running,
    /// It ended before all blocks were done, for this reason.
    Stopped(String),
    /// All blocks were done.
    Complete,
}

/// How much of a raw file counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The length in bytes.
    pub bytes: u64,
    /// The SHA-256 of that much.
    pub sha256: String,
}

/// Where a run's numbers came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The command that began the run.
    pub argv: Vec<String>,
    /// When it began, in milliseconds of the Unix epoch.
    pub started_unix_ms: u64,
    /// The revision of the source tree; `None` where there is no tree.
    pub revision: Option<String>,
    /// Whether the tree had changes that the revision has not; its results do not count as such.
    pub dirty: Option<bool>,
    /// The compiler that made the node program, as the program itself says.
    pub rustc: Option<String>,
    /// The SHA-256 of the programs and of the lock file, by name.
    pub sha256: BTreeMap<String, String>,
    /// The machine.
    pub machine: Machine,
}

/// There is no run where one was said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRun(pub String);

impl fmt::Display for NoRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoRun {}

impl Manifest {
    /// The manifest of a run that has not begun.
    pub fn new(profile: Profile, seed: u64, experiments: Vec<PlannedExperiment>, provenance: Provenance) -> Manifest {
        Manifest {
            schema: SCHEMA,
            digest: String::new(),
            profile,
            seed,
            state: State::Running,
            provenance,
            schedule: schedule(&experiments, seed),
            experiments,
            files: BTreeMap::new(),
        }
    }

    /// The manifest of the run in a folder.
    ///
    /// # Errors
    /// [`NoRun`] when there is none; else when it was written by a newer raftian, or edited.
    pub fn read(folder: &Path) -> anyhow::Result<Manifest> {
        let path = folder.join(MANIFEST_FILE);
        if !folder.is_dir() {
            return Err(
                NoRun(format!("there is no folder {}; `raftianctl bench run` makes one", folder.display())).into()
            );
        }
        if !path.exists() {
            return Err(NoRun(format!("{} holds no run: it has no {MANIFEST_FILE}", folder.display())).into());
        }
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let not_ours = || format!("{} is not the manifest of a run", path.display());
        let Version { schema } = serde_json::from_str(&text).with_context(not_ours)?;
        anyhow::ensure!(
            schema <= SCHEMA,
            "{} was written by a newer raftian (schema {schema}, and this one reads up to {SCHEMA}); read it with that one",
            folder.display()
        );
        let manifest: Manifest = serde_json::from_str(&text).with_context(not_ours)?;
        anyhow::ensure!(
            digest(text.replacen(&manifest.digest, "", 1).as_bytes()) == manifest.digest,
            "{} was edited: it does not have the digest that it names; restore it, or repeat the run",
            path.display()
        );
        Ok(manifest)
    }

    /// Replaces the manifest in a folder by this one, in one step.
    ///
    /// # Errors
    /// When it cannot be written; then the old one is still there.
    pub(crate) fn write(&mut self, folder: &Path) -> anyhow::Result<()> {
        self.digest.clear();
        self.digest = digest(&self.text()?);
        let (path, next) = (folder.join(MANIFEST_FILE), folder.join(NEXT_FILE));
        replace(&next, &path, &self.text()?).with_context(|| format!("cannot write {}", path.display()))
    }

    fn text(&self) -> anyhow::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self).context("the manifest cannot be written as JSON")?;
        text.push(b'\n');
        Ok(text)
    }

    /// An experiment of the run.
    pub fn experiment(&self, id: ExperimentId) -> Option<&PlannedExperiment> {
        self.experiments.iter().find(|experiment| experiment.id == id)
    }

    /// The arms of a block in the order they are run.
    pub fn arms(&self, block: &ScheduledBlock) -> Vec<&PlannedArm> {
        let arms = self.experiment(block.experiment).map_or(&[][..], |experiment| &experiment.plan.arms);
        block.order.iter().filter_map(|place| arms.get(*place)).collect()
    }

    /// About how long a block takes, in milliseconds, as it was planned.
    pub fn block_ms(&self, block: &ScheduledBlock) -> u64 {
        self.experiment(block.experiment).map_or(0, PlannedExperiment::block_ms)
    }
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file beside its final place and moves it there, durably.
fn replace(next: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(next, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
