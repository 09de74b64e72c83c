//! A run as it is read: judged, drawn, handed on.
//!
//! Invariants: reading changes nothing. What was cut short, damaged or changed after the end counts as far as it goes, is
//! said, and keeps the verdict from being valid. A run of another format is refused.

use std::fmt;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use raftian_check::Operation;
use raftian_check::apps::Snapshot;
use raftian_rpc::files;
use raftian_rpc::lab::Event;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::store::State;
use super::writer::seals;
use super::{EVENTS, FIRST, FORMAT, HISTORY, Judgement, LOGS, MANIFEST, Manifest, SCENARIO, VERDICT, logs};
use crate::collect::Evidence;
use crate::load::Sample;
use crate::summary::Summary;

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
    manifest: Manifest,
    state: State,
}

/// There is no run where one was said to be, or it is none that can be read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotARun(pub String);

impl fmt::Display for NotARun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotARun {}

pub(super) fn not_a_run(why: String) -> anyhow::Error {
    NotARun(why).into()
}

/// Lines that were read, and what kept the rest from being read.
#[derive(Debug)]
pub(super) struct Lines<T> {
    /// Those before the first that makes no sense.
    pub(super) read: Vec<T>,
    /// Why there are no more of them, if there are more.
    pub(super) cut: Option<String>,
}

impl Run {
    /// Opens the run in a folder.
    ///
    /// # Errors
    /// [`NotARun`] when there is none, or it is of another format.
    pub fn open(folder: &Path) -> anyhow::Result<Run> {
        let path = folder.join(MANIFEST);
        let shown = folder.display();
        let text = match small(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(not_a_run(format!("{shown} holds no run: it has no {MANIFEST}")));
            }
            text => text.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        #[derive(Deserialize)]
        struct Version {
            format: Option<u32>,
            schema: Option<u32>,
        }
        let not_ours = |error| not_a_run(format!("{} is not the manifest of a run: {error}", path.display()));
        match serde_json::from_slice(&text).map_err(not_ours)? {
            Version { format: Some(FORMAT), .. } => {}
            Version { format: Some(other), .. } => {
                return Err(not_a_run(format!(
                    "{shown} is a run of format {other}, and this raftian ({}) reads format {FORMAT}; read it with the \
                     raftian that made it",
                    raftian_rpc::VERSION
                )));
            }
            Version { schema: Some(_), .. } => {
                return Err(not_a_run(format!(
                    "{shown} holds a run of the benchmarks, which keeps no history; see `raftianctl bench report`"
                )));
            }
            Version { .. } => return Err(not_a_run(format!("{} names no format", path.display()))),
        }
        let manifest: Manifest = plain(&text).map_err(not_ours)?;
        let state = State::of(folder, &manifest);
        Ok(Run { folder: folder.to_owned(), manifest, state })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.state.clone()
    }

    pub(super) fn into_manifest(self) -> Manifest {
        self.manifest
    }

    /// The scenario that was played, if one was.
    pub fn scenario(&self) -> Option<String> {
        files::read_text(&self.folder.join(SCENARIO)).ok()
    }

    /// What was said of it when it ended, if it was judged then.
    pub fn judged(&self) -> Option<Judgement> {
        plain(&small(&self.folder.join(VERDICT)).ok()?).ok()
    }

    /// What the clients did and saw, as far as it can be read.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn history(&self) -> anyhow::Result<Lines<Operation>> {
        self.lines(HISTORY, "operation")
    }

    /// The journal, as far as it can be read.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn events(&self) -> anyhow::Result<Lines<Event>> {
        self.lines(EVENTS, "event")
    }

    fn lines<T: DeserializeOwned>(&self, name: &str, what: &str) -> anyhow::Result<Lines<T>> {
        let path = self.folder.join(name);
        let text = match files::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            text => text.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        let mut read = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(item) => read.push(item),
                Err(error) => {
                    let is_cut = line.last() != Some(&b'\n');
                    let is = if is_cut { "is cut short".to_owned() } else { format!("is no {what} ({error})") };
                    let cut = format!("line {} of {name} {is}; what comes before it counts", read.len() + 1);
                    return Ok(Lines { read, cut: Some(cut) });
                }
            }
        }
        Ok(Lines { read, cut: None })
    }

    /// Writes its history as Jepsen has it, as far as it can be read; what is said is what kept the rest from being read.
    ///
    /// # Errors
    /// When the disk or the writer fails.
    pub fn jepsen(&self, out: &mut impl Write) -> anyhow::Result<Option<String>> {
        let history = self.history()?;
        super::jepsen::write(&history.read, out)?;
        Ok(history.cut)
    }

    /// Writes its history as Porcupine has it; in all else like [`jepsen`](Run::jepsen).
    ///
    /// # Errors
    /// When the disk or the writer fails.
    pub fn porcupine(&self, out: &mut impl Write) -> anyhow::Result<Option<String>> {
        let history = self.history()?;
        super::porcupine::write(&history.read, out)?;
        Ok(history.cut)
    }

    /// Judges it from its files.
    ///
    /// # Errors
    /// [`NotARun`] when it was simulated, or ended before there was a cluster; else when the disk fails.
    pub fn check(&self) -> anyhow::Result<Judgement> {
        let mut limits = self.limits()?;
        let history = self.history()?;
        // Where nobody waited for the nodes to agree, clients may have been under way too.
        let was_awaited = self.manifest.cluster.as_ref().is_some_and(|cluster| cluster.converged.is_some());
        let is_whole = limits.is_empty() && history.cut.is_none() && was_awaited;
        limits.extend(history.cut);
        let evidence = self.evidence(is_whole, &mut limits)?;
        let report = evidence.judge(&history.read);
        let then = self.judged().unwrap_or_default();
        let summary = then.summary.or_else(|| self.summary(&history.read));
        Ok(Judgement { summary, played: then.played, ..Judgement::of(&evidence, report, limits) })
    }

    /// Why the run is not the whole of it, or not what it was; a verdict that rests on it cannot be valid then.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn limits(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.state.limit().into_iter().chain(self.changed()?).collect())
    }

    /// The files that are not what they were when the run ended.
    fn changed(&self) -> anyhow::Result<Option<String>> {
        if self.manifest.ended.is_none() {
            return Ok(None);
        }
        let (then, mut now) = (&self.manifest.files, seals(&self.folder)?);
        let mut changed: Vec<String> = then
            .iter()
            .filter(|(name, seal)| now.remove(*name).as_ref() != Some(*seal))
            .map(|(name, _)| name.clone())
            .collect();
        changed.extend(now.into_keys());
        Ok((!changed.is_empty()).then(|| format!("changed after the run ended: {}", changed.join(", "))))
    }

    /// What the nodes left behind.
    fn evidence(&self, history_is_complete: bool, limits: &mut Vec<String>) -> anyhow::Result<Evidence> {
        let Some(cluster) = &self.manifest.cluster else {
            return Err(not_a_run(format!("run {} has no cluster, so there is nothing to judge", self.manifest.id)));
        };
        let folder = self.folder.join(LOGS);
        let unnamed = logs::nodes(&folder).into_iter().filter(|node| !cluster.nodes.contains(node));
        limits.extend(unnamed.map(|node| format!("there is a log of {node}, which the manifest does not name")));
        let mut replicas = Vec::new();
        let mut silent = cluster.silent.clone();
        for &node in cluster.nodes.iter().filter(|node| !cluster.silent.contains_key(node)) {
            let (log, cut) = match logs::read(&folder, node)? {
                Some(read) => read,
                None => {
                    silent.insert(node, "it left no log".to_owned());
                    continue;
                }
            };
            limits.extend(cut.map(|cut| format!("the log of {node}: {cut}")));
            // Where reading came to no end, the node may hold more.
            match log.into_replica(node, !history_is_complete || cluster.removed.contains(&node)) {
                Some(replica) => replicas.push(replica),
                None => drop(silent.insert(node, "its log does not say how far it is committed".to_owned())),
            }
        }
        let snapshot = self.snapshot(&folder)?;
        let converged = match &cluster.converged {
            Some(converged) => converged.clone(),
            None => Err("it was not waited for".to_owned()),
        };
        Ok(Evidence { setup: cluster.setup(history_is_complete), snapshot, replicas, silent, converged })
    }

    fn snapshot(&self, folder: &Path) -> anyhow::Result<Option<Snapshot>> {
        let path = folder.join(FIRST);
        match files::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => {
                let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
                let not_one = || not_a_run(format!("{} is no snapshot", path.display()));
                serde_json::from_slice(&text).map(Some).map_err(|_| not_one())
            }
        }
    }

    fn summary(&self, history: &[Operation]) -> Option<Summary> {
        let offered = self.manifest.began.load?;
        let samples: Vec<Sample> = history.iter().map(Sample::of).collect();
        let begin = samples.iter().map(|sample| sample.intended_ns).min()?;
        let end = samples.iter().map(|sample| sample.intended_ns).max()?;
        Some(Summary::of(&samples, begin, end, offered.rate_per_s))
    }
}

/// The most bytes of a manifest or a verdict; what is longer was not written here.
const MOST_BYTES: u64 = 16 << 20;

/// The content of a file that is small.
fn small(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    files::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut content)?;
    match content.len() as u64 > MOST_BYTES {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than such a file can be")),
        false => Ok(content),
    }
}

/// Reads what may come from elsewhere: of its texts, control characters are spelt out, so that none of them has a say over
/// a terminal or looks like a line of ours.
fn plain<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    fn spell(value: &mut Value) {
        match value {
            Value::String(text) if text.contains(char::is_control) => *text = spelt(text),
            Value::Array(values) => values.iter_mut().for_each(spell),
            Value::Object(members) => members.values_mut().for_each(spell),
            _ => {}
        }
    }
    let mut value = serde_json::from_slice(json)?;
    spell(&mut value);
    serde_json::from_value(value)
}

/// A text whose control characters are spelt out: `\u{1b}`.
pub fn spelt(text: &str) -> String {
    let spell = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(spell).collect()
}

impl State {
    /// Why a run that is like this is not the whole of it.
    fn limit(&self) -> Option<String> {
        match self {
            State::Completed => None,
            State::Running => Some("the run goes on".to_owned()),
            State::Interrupted(why) => Some(format!("the run did not come to its end: {why}")),
            State::CutOff => Some("the run was cut off: what made it ended without a word".to_owned()),
        }
    }
}
