//! The folder of a run while it happens.
//!
//! Invariants: one process writes a run, and holds its folder locked while it does, so that others know that it goes on.
//! The manifest comes first and says that nothing has ended; it is sealed after the last of the evidence, and the verdict
//! comes last.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::files;
use sha2::{Digest as _, Sha256};

use super::{
    Began, Cluster, EVENTS, Ended, HISTORY, HistoryFile, How, Judgement, LOGS, LogFiles, MANIFEST, Manifest, RunId,
    SCENARIO, VERDICT,
};
use crate::collect::Evidence;
use crate::machine::Machine;
use crate::suite::manifest::{Seal, hex};
use crate::suite::provenance::{shown, unix_ms};

/// A run that goes on. Dropping it without [`end`](RunWriter::end) leaves a run that was cut off.
#[derive(Debug)]
pub struct RunWriter {
    folder: PathBuf,
    manifest: Manifest,
    /// Says that the run goes on, until it is closed.
    _lock: File,
}

impl RunWriter {
    /// Begins a run in a folder that is not there yet, or empty.
    ///
    /// # Errors
    /// When it is not empty, or cannot be made or written.
    pub fn in_folder(folder: &Path, began: Began) -> anyhow::Result<RunWriter> {
        let cannot = || format!("no run can be kept in {}", folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)?;
        if fs::read_dir(folder).with_context(cannot)?.next().is_some() {
            bail!("{} is not empty; name a folder that is, or is not there yet", folder.display());
        }
        RunWriter::begin(folder, RunId::draw(), began)
    }

    /// Begins a run in an empty folder.
    pub(super) fn begin(folder: &Path, id: RunId, began: Began) -> anyhow::Result<RunWriter> {
        let cannot = || format!("no run can be kept in {}", folder.display());
        let lock = File::open(folder).with_context(cannot)?;
        lock.try_lock().with_context(cannot)?;
        DirBuilder::new().mode(0o700).create(folder.join(LOGS)).with_context(cannot)?;
        let began = Began { command: shown(&began.command), ..began };
        let manifest = Manifest::new(id, began, Machine::this(folder));
        let writer = RunWriter { folder: folder.to_owned(), manifest, _lock: lock };
        writer.write_manifest()?;
        Ok(writer)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its name.
    pub fn id(&self) -> &RunId {
        &self.manifest.id
    }

    /// Says on which cluster it is done.
    ///
    /// # Errors
    /// When the manifest cannot be written.
    pub fn on(&mut self, cluster: Cluster) -> anyhow::Result<()> {
        self.manifest.cluster = Some(cluster);
        self.write_manifest()
    }

    /// Keeps the scenario that is played.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn scenario(&self, text: &str) -> anyhow::Result<()> {
        self.file(SCENARIO, text.as_bytes())
    }

    /// The file of the journal.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn events(&self) -> anyhow::Result<File> {
        self.grown(EVENTS)
    }

    /// The file of the history.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn history(&self) -> anyhow::Result<HistoryFile> {
        Ok(HistoryFile::new(self.grown(HISTORY)?))
    }

    /// The files of the logs.
    pub fn logs(&self) -> LogFiles {
        LogFiles::new(self.folder.join(LOGS), self.manifest.began.records_messages)
    }

    /// Keeps a file that is derived from the others, such as a chart.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn derived(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        self.file(name, bytes).map(|()| self.folder.join(name))
    }

    /// Notes what is known of the logs, now that they are read.
    pub fn read(&mut self, evidence: &Evidence) {
        let setup = &evidence.setup;
        self.manifest.cluster = Some(Cluster {
            app: setup.app,
            app_options: setup.app_options,
            nodes: setup.nodes.clone(),
            removed: evidence.replicas.iter().filter(|log| log.is_partial).map(|log| log.node).collect(),
            silent: evidence.silent.clone(),
            converged: Some(evidence.converged.clone()),
        });
    }

    /// Seals what was written. What is judged is judged after this.
    ///
    /// # Errors
    /// When a file cannot be read again, or the manifest not be written.
    pub fn end(&mut self, how: How) -> anyhow::Result<()> {
        self.manifest.files = seals(&self.folder)?;
        self.manifest.ended = Some(Ended { unix_ms: unix_ms(), ns: monotonic_ns(), how });
        self.write_manifest()
    }

    /// Keeps what the judges say.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn verdict(&self, judgement: &Judgement) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(judgement).context("a verdict cannot be written as JSON")?;
        text.push(b'\n');
        self.file(VERDICT, &text)
    }

    fn write_manifest(&self) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.manifest).context("a manifest cannot be written as JSON")?;
        text.push(b'\n');
        self.file(MANIFEST, &text)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        files::write_private(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))
    }

    fn grown(&self, name: &str) -> anyhow::Result<File> {
        let path = self.folder.join(name);
        files::append(&path).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// What the evidence in a folder is now, file by file.
pub(super) fn seals(folder: &Path) -> anyhow::Result<BTreeMap<String, Seal>> {
    let mut names: Vec<String> = [SCENARIO, EVENTS, HISTORY].map(str::to_owned).into();
    let logs = fs::read_dir(folder.join(LOGS)).into_iter().flatten().flatten();
    names.extend(logs.filter_map(|entry| Some(format!("{LOGS}/{}", entry.file_name().to_str()?))));
    let mut seals = BTreeMap::new();
    for name in names {
        let path = folder.join(&name);
        match seal(&path) {
            Ok(seal) => drop(seals.insert(name, seal)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }
    Ok(seals)
}

fn seal(path: &Path) -> io::Result<Seal> {
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut files::open(path)?, &mut hasher)?;
    Ok(Seal { bytes, sha256: hex(&hasher.finalize()) })
}
