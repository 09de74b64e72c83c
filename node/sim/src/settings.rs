//! What holds for all runs, and what a [`Plan`] means to the parts of a node.

use raftian_apps::{AppOptions, Machine};
use raftian_driver::{Compaction, Links};
#[cfg(feature = "mutants")]
use raftian_planted::Mutant;
use raftian_planted::Planted;
use raftian_raft::{NodeId, Options};
use raftian_script::Plan;

/// A log gets no longer than this before a snapshot is taken, whatever the plan says: each restart replays all of it, so
/// that long runs would cost the square of their length.
const LONGEST_LOG: u64 = 1_000;

/// What holds for all seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The bug to be found.
    #[cfg(feature = "mutants")]
    pub mutant: Option<Mutant>,
}

/// Why a bug was not planted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPlanted {
    /// There is none of this name.
    Unknown {
        /// The name.
        name: String,
        /// One that is like it, if there is one.
        nearest: Option<String>,
    },
    /// This program has none.
    NotBuilt,
}

impl std::fmt::Display for NotPlanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotPlanted::Unknown { name, nearest: Some(nearest) } => {
                write!(f, "there is no planted bug `{name}`; did you mean `{nearest}`?")
            }
            NotPlanted::Unknown { name, nearest: None } => write!(f, "there is no planted bug `{name}`"),
            NotPlanted::NotBuilt => write!(
                f,
                "this program has no bugs to plant; one that has is built and run with `cargo run --release -p raftianctl \
                 --features zoo -- sim …`"
            ),
        }
    }
}

impl std::error::Error for NotPlanted {}

impl Settings {
    /// The settings with this bug.
    ///
    /// # Errors
    /// When there is no such bug, or this program has none.
    #[cfg(feature = "mutants")]
    pub fn planted(name: &str) -> Result<Settings, NotPlanted> {
        let mutant = Mutant::named(name);
        let unknown = || {
            let names: Vec<String> = Mutant::all().map(Mutant::name).collect();
            let nearest = raftian_script::nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
            NotPlanted::Unknown { name: name.to_owned(), nearest }
        };
        mutant.ok_or_else(unknown).map(|mutant| Settings { mutant: Some(mutant) })
    }

    /// The settings with this bug.
    ///
    /// # Errors
    /// Always: this program has no bugs to plant.
    #[cfg(not(feature = "mutants"))]
    pub fn planted(_: &str) -> Result<Settings, NotPlanted> {
        Err(NotPlanted::NotBuilt)
    }

    /// The name of the bug that is planted.
    #[cfg(feature = "mutants")]
    pub fn mutant_name(&self) -> Option<String> {
        self.mutant.map(Mutant::name)
    }

    /// The name of the bug that is planted: there is none.
    #[cfg(not(feature = "mutants"))]
    pub fn mutant_name(&self) -> Option<String> {
        None
    }

    /// What a server is told.
    pub(crate) fn options(&self, plan: &Plan, id: NodeId, seed: u64) -> Options {
        let founds = id.number() <= plan.founders;
        let mut options = Options::new(id, founds.then(|| plan.configuration()), seed);
        options.election_timeout = plan.election_timeout.clone();
        options.heartbeat_interval = plan.heartbeat_interval;
        (options.pre_vote, options.check_quorum, options.lease) = (plan.pre_vote, plan.check_quorum, plan.lease);
        plan.server_settings.get(&id).copied().unwrap_or_default().apply(&mut options);
        options.max_append_entries = plan.max_append_entries;
        options.max_append_bytes = plan.max_append_bytes;
        options.max_committed_per_ready = plan.max_committed_per_ready;
        options.max_uncommitted_bytes = plan.max_uncommitted_bytes;
        options.disk_patience = plan.disk_patience;
        options.max_snapshot_chunk_bytes = plan.max_snapshot_chunk_bytes;
        self.bug().in_core(&mut options);
        options
    }

    /// What the driver of a node is told.
    pub(crate) fn driver_options(&self, plan: &Plan) -> raftian_driver::Options {
        let log_entries = Some(plan.snapshot_every.unwrap_or(LONGEST_LOG));
        let compaction = Compaction { log_bytes: None, log_entries, keep_entries: plan.keep };
        let mut options = raftian_driver::Options::new(plan.app);
        (options.limits, options.compaction) = (plan.limits, compaction);
        self.bug().in_driver(&mut options);
        options
    }

    /// How the files of a log are laid out: small, so that segments end, and growing by little at a time.
    pub(crate) fn layout(&self, plan: &Plan) -> raftian_wal::Options {
        let (segment_bytes, chunk_bytes) = (plan.segment_bytes, (plan.segment_bytes / 4).clamp(256, 1 << 20));
        let mut options = raftian_wal::Options::new(segment_bytes, chunk_bytes);
        self.bug().in_log(&mut options);
        options
    }

    /// The links as they are on the nodes.
    pub(crate) fn links(&self, links: Links) -> Links {
        self.bug().in_links(links)
    }

    /// The machine as it runs on the nodes.
    pub(crate) fn machine(&self, machine: Machine) -> Machine {
        self.bug().in_machine(machine)
    }

    #[cfg(feature = "mutants")]
    fn bug(&self) -> Planted {
        Planted { mutant: self.mutant }
    }

    #[cfg(not(feature = "mutants"))]
    fn bug(&self) -> Planted {
        Planted::default()
    }
}

/// The application before any entry.
pub(crate) fn first_machine(plan: &Plan) -> Machine {
    let machine = Machine::new(plan.app, AppOptions::default()).expect("the board holds the default players");
    machine.with_limits(plan.limits)
}
