//! `manifest.json`: what a run is, where it ran, and, once it ended, how, and what its files were then.
//!
//! Invariant: a manifest without an end is that of a run that goes on, or was cut off; one of another format is refused,
//! never guessed at.

use std::collections::BTreeMap;
use std::fmt;

use raftian_check::Setup;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::{AppKind, AppOptions, NodeId};
use serde::{Deserialize, Serialize};

use super::RunId;
use crate::machine::Machine;
use crate::suite::manifest::Seal;
use crate::suite::provenance::unix_ms;

/// The version of the folder's form that this program writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// What a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the folder's form.
    pub format: u32,
    /// Its name.
    pub id: RunId,
    /// What made it.
    #[serde(flatten)]
    pub began: Began,
    /// The machine, and the version of raftian.
    pub machine: Machine,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// When it began, on the clock of its files.
    pub began_ns: u64,
    /// The cluster; `None` where there was none yet, or the run was simulated.
    pub cluster: Option<Cluster>,
    /// How it ended; `None` while it goes on, and for ever if it was cut off.
    pub ended: Option<Ended>,
    /// What its files were when it ended, but for this one and the verdict.
    pub files: BTreeMap<String, Seal>,
}

/// What makes a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// Which command.
    pub maker: Maker,
    /// The command, word for word.
    pub command: Vec<String>,
    /// On what.
    pub engine: Engine,
    /// The lab, if it had a name that somebody gave it.
    pub lab: Option<String>,
    /// The scenario that was played.
    pub scenario: Option<String>,
    /// The seed.
    pub seed: u64,
    /// The load that was offered.
    pub load: Option<Offered>,
    /// Whether the messages of the nodes were recorded, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub records_messages: bool,
}

/// A command that makes runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// `load`.
    Load,
    /// `demo`.
    Demo,
    /// `run`.
    Run,
    /// `nemesis`.
    Nemesis,
}

/// What a run is done on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Real processes.
    Processes,
    /// The simulator: scenario, seed and program say it all, so it leaves neither history nor logs.
    Sim,
}

/// The load of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// Commands per second; `None` in a closed loop.
    pub rate_per_s: Option<f64>,
    /// Concurrent clients.
    pub clients: usize,
}

/// The cluster of a run, and what is known of its logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The application.
    pub app: AppKind,
    /// What it began with.
    #[serde(flatten)]
    pub app_options: AppOptions,
    /// The nodes that took part.
    pub nodes: Vec<NodeId>,
    /// Of these, those that had been removed when it ended, so that their logs may have gone on unread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<NodeId>,
    /// Why the logs of some could not be read.
    pub silent: BTreeMap<NodeId, String>,
    /// How long the nodes took to agree in the end, in milliseconds; or what was missing. `None` if nobody waited for it.
    pub converged: Option<Result<u64, String>>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// When, on the clock of its files.
    pub ns: u64,
    /// How.
    pub how: How,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// All of it was done.
    Completed,
    /// It was not, for this reason.
    Interrupted(String),
}

impl Manifest {
    /// The manifest of a run that begins now.
    pub(crate) fn new(id: RunId, began: Began, machine: Machine) -> Manifest {
        Manifest {
            format: FORMAT,
            id,
            began,
            machine,
            began_unix_ms: unix_ms(),
            began_ns: monotonic_ns(),
            cluster: None,
            ended: None,
            files: BTreeMap::new(),
        }
    }

    /// How long it took, in seconds; `None` if it did not end.
    pub fn lasted_s(&self) -> Option<f64> {
        self.ended.as_ref().map(|ended| ended.ns.saturating_sub(self.began_ns) as f64 / 1e9)
    }
}

impl Cluster {
    /// What the judges must know of it.
    pub(crate) fn setup(&self, history_is_complete: bool) -> Setup {
        let Cluster { app, app_options, nodes, .. } = self;
        Setup { app: *app, app_options: *app_options, nodes: nodes.clone(), history_is_complete }
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Maker::Load => "load",
            Maker::Demo => "demo",
            Maker::Run => "run",
            Maker::Nemesis => "nemesis",
        })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Engine::Processes => "processes",
            Engine::Sim => "sim",
        })
    }
}
