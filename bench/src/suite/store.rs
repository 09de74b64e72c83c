//! The folder of a run while it grows.
//!
//! Invariants: files only grow, and what is in them counts once it is sealed: then it is on disk,
//! and so is a manifest that says so. What was appended since can be taken back. One process at a time.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::experiments::Measured;
use crate::suite::manifest::{MANIFEST_FILE, Manifest, NEXT_FILE, Seal, State, hex};
use crate::suite::provenance::unix_ms;
use crate::suite::raw;
use crate::suite::run::{Run, TRIALS_FILE};
use crate::suite::trial::{ExperimentId, Trial};

/// The file of what happened to the run, an [`Event`] per line.
const EVENTS_FILE: &str = "events.jsonl";

/// The folder that the processes of a trial work in; it is gone between trials.
const WORK_FOLDER: &str = "work";

/// Something that happened to the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When, in milliseconds of the Unix epoch.
    pub(crate) unix_ms: u64,
    /// What.
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What can happen to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum What {
    /// It was begun.
    Began,
    /// It was taken up again by this command.
    Resumed { argv: Vec<String> },
    /// Trials of a block that was not finished were taken back.
    Discarded { trials: usize },
    /// A block was done.
    Block { experiment: ExperimentId, block: u32, attempt: u32, lasted_ms: u64, failed: usize, busy: usize },
    /// It ended, complete or not.
    Ended { why: Option<String> },
}

/// The folder.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    manifest: Manifest,
    trials: Vec<Trial>,
    files: BTreeMap<String, Appended>,
    /// The trials that are sealed.
    sealed_trials: usize,
    /// Keeps others out, until it is closed.
    _lock: File,
}

/// A file that grows.
#[derive(Debug)]
struct Appended {
    file: File,
    bytes: u64,
    hasher: Sha256,
    sealed_bytes: u64,
    sealed_hasher: Sha256,
}

impl Store {
    /// Makes the folder of a new run, unless it is there and empty.
    ///
    /// # Errors
    /// When the folder has something in it already, or cannot be made or written; then it is left as it was.
    pub fn create(folder: &Path, manifest: Manifest) -> anyhow::Result<Store> {
        let cannot = || format!("the folder {} cannot be made", folder.display());
        if folder.join(MANIFEST_FILE).exists() {
            bail!("{0} holds a run already; continue it with `--resume {0}`, or name another folder", folder.display());
        }
        let is_new = !folder.exists();
        fs::create_dir_all(folder).with_context(cannot)?;
        let mut entries = fs::read_dir(folder).with_context(cannot)?;
        ensure!(
            entries.next().is_none(),
            "{} is not empty; name a folder that is, or is not there yet",
            folder.display()
        );
        let mut store = Store::locked(folder, manifest, Vec::new())?;
        let begun = store.event(What::Began).and_then(|()| store.seal(State::Running));
        if let Err(error) = begun {
            store.abandon(is_new);
            let cannot = format!("no run can begin in {}; make room there, or name another folder", folder.display());
            return Err(error.context(cannot));
        }
        Ok(store)
    }

    /// Removes what was written of a run that could not begin: nobody could go on with it.
    fn abandon(&self, with_folder: bool) {
        for name in [EVENTS_FILE, NEXT_FILE, MANIFEST_FILE] {
            let _ = fs::remove_file(self.folder.join(name));
        }
        if with_folder {
            let _ = fs::remove_dir(&self.folder);
        }
    }

    /// Takes up the run in a folder. What is not sealed is cut off.
    ///
    /// # Errors
    /// When there is none, somebody is at it, or its files are not what they were.
    pub fn resume(folder: &Path, argv: &[String]) -> anyhow::Result<Store> {
        let run = Run::open(folder)?;
        ensure!(!run.is_complete(), "{0} is complete; `raftianctl bench report {0}` draws it", folder.display());
        let mut store = Store::locked(folder, run.manifest().clone(), run.all().to_vec())?;
        let discarded = unfinished_trials(folder);
        for (name, seal) in store.manifest.files.clone() {
            let appended = Appended::reopen(&folder.join(&name), seal.bytes)
                .with_context(|| format!("{name} cannot be continued"))?;
            store.files.insert(name, appended);
        }
        store.remove_work();
        if discarded > 0 {
            store.event(What::Discarded { trials: discarded })?;
        }
        store.event(What::Resumed { argv: argv.to_vec() })?;
        store.seal(State::Running)?;
        Ok(store)
    }

    fn locked(folder: &Path, manifest: Manifest, trials: Vec<Trial>) -> anyhow::Result<Store> {
        let lock = File::open(folder).with_context(|| format!("{} cannot be opened", folder.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{} is being written by another run", folder.display()),
            Err(TryLockError::Error(error)) => return Err(error).context("the folder of results cannot be locked"),
        }
        let sealed_trials = trials.len();
        Ok(Store { folder: folder.to_owned(), manifest, trials, files: BTreeMap::new(), sealed_trials, _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the run is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Every trial so far, sealed or not.
    pub(crate) fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The bytes that are free where the folder is; `None` when the system does not tell.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.folder).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// An empty folder for the processes of the next trial.
    pub(crate) fn work_folder(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(WORK_FOLDER).join(self.trials.len().to_string());
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        // Programs work in folders of their own, so a relative path would lead them elsewhere.
        path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
    }

    /// Removes what trials left in their folders. A process that is just dying may still write there: what cannot be
    /// removed now is removed the next time.
    pub(crate) fn remove_work(&self) {
        let _ = fs::remove_dir_all(self.folder.join(WORK_FOLDER));
    }

    /// Appends a trial and what it measured. What cannot be kept as it is makes it a failed one.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(crate) fn append(&mut self, mut trial: Trial, measured: &Measured) -> anyhow::Result<()> {
        trial.number = u32::try_from(self.trials.len()).context("a run has that many trials")?;
        let sound = raw::check(measured).and_then(|()| self.check_columns(trial.experiment, measured));
        match sound {
            Ok(()) => {
                trial.fill(measured);
                self.append_files(&trial, measured)?;
            }
            Err(why) => trial.failed = trial.failed.or(Some(why)),
        }
        let mut line = serde_json::to_vec(&trial).context("a trial cannot be written as JSON")?;
        line.push(b'\n');
        self.write(TRIALS_FILE, &line)?;
        self.trials.push(trial);
        Ok(())
    }

    fn append_files(&mut self, trial: &Trial, measured: &Measured) -> anyhow::Result<()> {
        for (name, histogram) in &measured.histograms {
            self.write(&raw::histogram_file(trial.experiment, name), &raw::histogram_line(trial, histogram)?)?;
        }
        for (name, series) in &measured.series {
            let (file, header) = (raw::series_file(trial.experiment, name), raw::series_header(series));
            if !self.files.contains_key(&file) {
                self.write(&file, header.as_bytes())?;
            }
            self.write(&file, raw::series_lines(trial.number, series).as_bytes())?;
        }
        Ok(())
    }

    /// Whether all series have the columns of their tables.
    fn check_columns(&self, experiment: ExperimentId, measured: &Measured) -> Result<(), String> {
        for (name, series) in &measured.series {
            let file = raw::series_file(experiment, name);
            if !self.files.contains_key(&file) {
                continue;
            }
            let mut header = String::new();
            let read = File::open(self.folder.join(&file)).and_then(|file| BufReader::new(file).read_line(&mut header));
            read.map_err(|error| format!("{file} cannot be read: {error}"))?;
            if header != raw::series_header(series) {
                return Err(format!("the series {name} has other columns than in an earlier trial"));
            }
        }
        Ok(())
    }

    /// Notes what happened.
    pub(crate) fn event(&mut self, what: What) -> anyhow::Result<()> {
        let mut line =
            serde_json::to_vec(&Event { unix_ms: unix_ms(), what }).context("an event cannot be written as JSON")?;
        line.push(b'\n');
        self.write(EVENTS_FILE, &line)
    }

    /// Makes everything count that was appended.
    pub(crate) fn seal(&mut self, state: State) -> anyhow::Result<()> {
        for (name, appended) in &mut self.files {
            let cannot = || format!("cannot write {name}");
            if appended.bytes != appended.sealed_bytes {
                appended.file.sync_data().with_context(cannot)?;
            }
            let seal = Seal { bytes: appended.bytes, sha256: hex(&appended.hasher.clone().finalize()) };
            self.manifest.files.insert(name.clone(), seal);
        }
        self.manifest.state = state;
        self.manifest.write(&self.folder)?;
        self.sealed_trials = self.trials.len();
        for appended in self.files.values_mut() {
            appended.sealed_bytes = appended.bytes;
            appended.sealed_hasher = appended.hasher.clone();
        }
        Ok(())
    }

    /// Takes back everything that was appended since the last seal, and says how many trials that was.
    pub(crate) fn roll_back(&mut self) -> anyhow::Result<usize> {
        let discarded = self.trials.len() - self.sealed_trials;
        self.trials.truncate(self.sealed_trials);
        for (name, appended) in &mut self.files {
            appended.file.set_len(appended.sealed_bytes).with_context(|| format!("cannot cut {name}"))?;
            appended.bytes = appended.sealed_bytes;
            appended.hasher = appended.sealed_hasher.clone();
        }
        // A file of which nothing counts is as good as none.
        for (name, _) in self.files.extract_if(.., |_, appended| appended.bytes == 0) {
            fs::remove_file(self.folder.join(&name)).with_context(|| format!("cannot remove {name}"))?;
        }
        Ok(discarded)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let cannot = || format!("cannot write {}", path.display());
        if !self.files.contains_key(name) {
            let appended = Appended::create(&path).with_context(cannot)?;
            self.files.insert(name.to_owned(), appended);
        }
        let appended = self.files.get_mut(name).expect("it was just made");
        if let Err(error) = appended.file.write_all(bytes) {
            // What comes next must not come after a part of this.
            let _ = appended.file.set_len(appended.bytes);
            return Err(error).with_context(cannot);
        }
        appended.hasher.update(bytes);
        appended.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// However a run ends, nothing of its trials' processes stays.
impl Drop for Store {
    fn drop(&mut self) {
        self.remove_work();
    }
}

/// How many trials the folder of a run has beyond those that count: they are of a block that is not finished.
pub fn unfinished_trials(folder: &Path) -> usize {
    let Ok(manifest) = Manifest::read(folder) else { return 0 };
    let sealed = manifest.files.get(TRIALS_FILE).map_or(0, |seal| usize::try_from(seal.bytes).unwrap_or(usize::MAX));
    let trials = fs::read(folder.join(TRIALS_FILE)).unwrap_or_default();
    trials.iter().skip(sealed).filter(|byte| **byte == b'\n').count()
}

impl Appended {
    /// A file of which nothing counts yet.
    fn create(path: &Path) -> std::io::Result<Appended> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)?;
        // A file that is there is the leaving of a block that was never finished.
        let file = File::options().append(true).create(true).open(path)?;
        file.set_len(0)?;
        // The manifest will name the file, so its entry must be as durable as its bytes; and so must its folder's.
        for folder in folder.canonicalize()?.ancestors().take(2) {
            File::open(folder)?.sync_all()?;
        }
        Ok(Appended { file, bytes: 0, hasher: Sha256::new(), sealed_bytes: 0, sealed_hasher: Sha256::new() })
    }

    /// A file of which this much counts.
    fn reopen(path: &Path, bytes: u64) -> std::io::Result<Appended> {
        let file = File::options().append(true).open(path)?;
        file.set_len(bytes)?;
        let mut hasher = Sha256::new();
        std::io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(Appended { file, bytes, sealed_hasher: hasher.clone(), hasher, sealed_bytes: bytes })
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
