//! What a run is made of: the parameters that a seed draws, or that somebody chooses.
//!
//! Invariant: a [`Plan`] that was drawn is legal: leases only where clocks drift less than they allow, and so on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use raftian_apps::{AppKind, DEFAULT_PLAYERS, Limits, Machine};
use raftian_driver::{Compaction, Links};
use raftian_faults::Effect;
use raftian_raft::{Configuration, Lease, NodeId, Options};

use crate::storage::Crashes;

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

/// A planted bug: of the core, of the applications, or of what stands around them.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A bug of the core.
    Raft(raftian_raft::Mutant),
    /// A bug of the replicated state machine.
    App(raftian_apps::Mutant),
    /// A bug of the storage.
    Wal(raftian_wal::Mutant),
    /// A bug of what stands around the core.
    Driver(raftian_driver::Mutant),
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// Every planted bug.
    pub fn all() -> impl Iterator<Item = Mutant> {
        let raft = raftian_raft::Mutant::ALL.iter().copied().map(Mutant::Raft);
        let apps = raftian_apps::Mutant::ALL.into_iter().map(Mutant::App);
        let wal = raftian_wal::Mutant::ALL.iter().copied().map(Mutant::Wal);
        let driver = raftian_driver::Mutant::ALL.iter().copied().map(Mutant::Driver);
        raft.chain(apps).chain(wal).chain(driver)
    }
}

/// The constant parameters of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The application.
    pub app: AppKind,
    /// How many nodes found the cluster, from 1 on; with the joiners at most 64.
    pub founders: u16,
    /// How many more there are, which may be added.
    pub joiners: u16,
    /// Election time-outs are drawn from this range.
    pub election_timeout: Range<Duration>,
    /// The interval of heartbeats.
    pub heartbeat_interval: Duration,
    /// See [`Options`].
    pub pre_vote: bool,
    /// See [`Options`].
    pub check_quorum: bool,
    /// See [`Options`]; not together with servers that depart from `check_quorum`.
    pub lease: Option<Lease>,
    /// The servers that depart from what is common to all.
    pub server_settings: BTreeMap<NodeId, ServerSettings>,
    /// See [`Options`].
    pub max_append_entries: usize,
    /// See [`Options`].
    pub max_append_bytes: usize,
    /// See [`Options`].
    pub max_committed_per_ready: usize,
    /// See [`Options`].
    pub max_uncommitted_bytes: usize,
    /// See [`Options`].
    pub disk_patience: Duration,
    /// See [`Options`].
    pub max_snapshot_chunk_bytes: usize,
    /// The limits of the applied state.
    pub limits: Limits,
    /// A node takes a snapshot when it has applied so many entries since the last one; `None` if only on demand, or when the
    /// log has a thousand entries.
    pub snapshot_every: Option<u64>,
    /// How many entries that a snapshot covers stay.
    pub keep: u64,
    /// What every link does to messages.
    pub effects: Vec<Effect>,
    /// What single links do to messages beyond that.
    pub link_effects: Vec<LinkEffect>,
    /// How long a sync takes, in microseconds; `None` if it takes until it is told to end.
    pub sync_us: Option<Range<u64>>,
    /// A segment of a node's log that has so many bytes gets no more.
    pub segment_bytes: u32,
    /// What a crash leaves of what was being written.
    pub crashes: Crashes,
    /// A node takes up to so long for its inputs, in microseconds; what arrives meanwhile is taken in together. 0 if each
    /// input is taken in by itself, and takes no time.
    pub turn_us: u64,
    /// To encode a state, or to restore one, takes up to so long, in microseconds.
    pub job_us: u64,
    /// A node hears within so long, in microseconds, that links are cut or heal.
    pub news_us: u64,
    /// Whether a call that is not answered for two of the longest election time-outs is given up.
    pub call_timeout: bool,
    /// Whether nodes pass clients' questions on to the leader.
    pub forwarding: bool,
    /// How fast the clock of each node is, in thousandths; a node without a rate has a true clock.
    pub clock_permille: Vec<u64>,
    /// How many clients there are.
    pub clients: usize,
    /// So many of them, from the first on, ask the same node again and again, unless they are pointed to another.
    pub stubborn_clients: usize,
    /// How long a client waits for an answer before it tries another node, in microseconds.
    pub client_patience_us: u64,
    /// How often a client tries before it gives an operation up.
    pub client_attempts: u32,
    /// How many in a hundred requests and answers of clients are lost.
    pub client_loss_percent: u64,
}

/// How a server departs from what is common to all, as one does that is yet to be upgraded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerSettings {
    /// Whether it asks before it campaigns; `None` if that is as it was.
    pub pre_vote: Option<bool>,
    /// Whether it checks, as a leader, that a quorum hears it; `None` if that is as it was.
    pub check_quorum: Option<bool>,
}

impl ServerSettings {
    pub(crate) fn apply(self, options: &mut Options) {
        options.pre_vote = self.pre_vote.unwrap_or(options.pre_vote);
        options.check_quorum = self.check_quorum.unwrap_or(options.check_quorum);
    }
}

/// What one link does to messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkEffect {
    /// The node that sends.
    pub from: NodeId,
    /// The node that receives.
    pub to: NodeId,
    /// What it does.
    pub effect: Effect,
}

impl Plan {
    /// A cluster of `founders` nodes on a perfect network with perfect disks, and the paper's time-outs.
    pub fn quiet(founders: u16) -> Plan {
        Plan {
            app: AppKind::Kv,
            founders,
            joiners: 0,
            election_timeout: Duration::from_millis(150)..Duration::from_millis(300),
            heartbeat_interval: Duration::from_millis(50),
            pre_vote: true,
            check_quorum: true,
            lease: None,
            server_settings: BTreeMap::new(),
            max_append_entries: 4096,
            max_append_bytes: 1024 * 1024,
            max_committed_per_ready: 4096,
            max_uncommitted_bytes: 16 * 1024 * 1024,
            disk_patience: Duration::from_secs(1),
            max_snapshot_chunk_bytes: 512 * 1024,
            limits: Limits::default(),
            snapshot_every: None,
            keep: 0,
            effects: Vec::new(),
            link_effects: Vec::new(),
            sync_us: Some(0..1),
            segment_bytes: 16 << 10,
            crashes: Crashes::Whole,
            turn_us: 0,
            job_us: 0,
            news_us: 0,
            call_timeout: false,
            forwarding: false,
            clock_permille: Vec::new(),
            clients: 0,
            stubborn_clients: 0,
            client_patience_us: 400_000,
            client_attempts: 8,
            client_loss_percent: 0,
        }
    }

    /// How many nodes there are, members or not.
    pub fn nodes(&self) -> usize {
        usize::from(self.founders + self.joiners)
    }

    /// For how long a confirmed round vouches for a leader, on its clock, if leases are in use.
    pub(crate) fn lease_span(&self) -> Option<Duration> {
        let lease = self.lease.filter(|_| self.check_quorum)?;
        Some(self.election_timeout.start * 100 / (100 + u32::from(lease.drift_percent)))
    }

    pub(crate) fn configuration(&self) -> Configuration {
        Configuration::new(NodeId::first(self.founders)).expect("a cluster has founders")
    }

    pub(crate) fn options(&self, id: NodeId, seed: u64, settings: &Settings) -> Options {
        let founds = id.number() <= self.founders;
        let mut options = Options::new(id, founds.then(|| self.configuration()), seed);
        options.election_timeout = self.election_timeout.clone();
        options.heartbeat_interval = self.heartbeat_interval;
        (options.pre_vote, options.check_quorum, options.lease) = (self.pre_vote, self.check_quorum, self.lease);
        self.server_settings.get(&id).copied().unwrap_or_default().apply(&mut options);
        options.max_append_entries = self.max_append_entries;
        options.max_append_bytes = self.max_append_bytes;
        options.max_committed_per_ready = self.max_committed_per_ready;
        options.max_uncommitted_bytes = self.max_uncommitted_bytes;
        options.disk_patience = self.disk_patience;
        options.max_snapshot_chunk_bytes = self.max_snapshot_chunk_bytes;
        settings.plant(&mut options);
        options
    }

    pub(crate) fn driver_options(&self, settings: &Settings) -> raftian_driver::Options {
        let log_entries = Some(self.snapshot_every.unwrap_or(LONGEST_LOG));
        let compaction = Compaction { log_bytes: None, log_entries, keep_entries: self.keep };
        let mut options = raftian_driver::Options::new(self.app);
        (options.limits, options.compaction) = (self.limits, compaction);
        settings.plant_driver(&mut options);
        options
    }

    /// How the files of a log are laid out: small, so that segments end, and growing by little at a time.
    pub(crate) fn layout(&self, settings: &Settings) -> raftian_wal::Options {
        let (segment_bytes, chunk_bytes) = (self.segment_bytes, (self.segment_bytes / 4).clamp(256, 1 << 20));
        let mut options = raftian_wal::Options::new(segment_bytes, chunk_bytes);
        settings.plant_wal(&mut options);
        options
    }

    /// The application before any entry.
    pub(crate) fn first_machine(&self) -> Machine {
        let machine = Machine::new(self.app, DEFAULT_PLAYERS).expect("the board holds the default players");
        machine.with_limits(self.limits)
    }

    /// Whether a client's session may expire while copies of its commands are still on their way.
    pub(crate) fn has_short_sessions(&self) -> bool {
        self.app == AppKind::Kv && self.limits.max_sessions < Limits::default().max_sessions
    }

    /// A read that the application can answer without an entry, as JSON.
    pub(crate) fn any_read(&self) -> String {
        match self.app {
            AppKind::Kv => r#"{"get":"k0"}"#.to_owned(),
            AppKind::Attack => r#"{"player":1}"#.to_owned(),
        }
    }
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
        let mutant = Mutant::all().find(|mutant| mutant.name() == name);
        let unknown = || {
            let names: Vec<String> = Mutant::all().map(Mutant::name).collect();
            let nearest = crate::nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
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

    #[cfg(feature = "mutants")]
    fn plant(&self, options: &mut Options) {
        if let Some(Mutant::Raft(mutant)) = self.mutant {
            options.mutant = Some(mutant);
        }
    }

    #[cfg(not(feature = "mutants"))]
    fn plant(&self, _: &mut Options) {}

    #[cfg(feature = "mutants")]
    fn plant_driver(&self, options: &mut raftian_driver::Options) {
        if let Some(Mutant::Driver(mutant)) = self.mutant {
            options.mutant = Some(mutant);
        }
    }

    #[cfg(not(feature = "mutants"))]
    fn plant_driver(&self, _: &mut raftian_driver::Options) {}

    #[cfg(feature = "mutants")]
    fn plant_wal(&self, options: &mut raftian_wal::Options) {
        if let Some(Mutant::Wal(mutant)) = self.mutant {
            options.mutant = Some(mutant);
        }
    }

    #[cfg(not(feature = "mutants"))]
    fn plant_wal(&self, _: &mut raftian_wal::Options) {}

    /// The links as they are on the nodes.
    #[cfg(feature = "mutants")]
    pub(crate) fn links(&self, links: Links) -> Links {
        match self.mutant {
            Some(Mutant::Driver(mutant)) => links.plant(mutant),
            _ => links,
        }
    }

    /// The links as they are on the nodes.
    #[cfg(not(feature = "mutants"))]
    pub(crate) fn links(&self, links: Links) -> Links {
        links
    }

    /// The machine as it runs on the nodes.
    #[cfg(feature = "mutants")]
    pub(crate) fn machine(&self, machine: Machine) -> Machine {
        match self.mutant {
            Some(Mutant::App(mutant)) => machine.plant(mutant),
            _ => machine,
        }
    }

    /// The machine as it runs on the nodes.
    #[cfg(not(feature = "mutants"))]
    pub(crate) fn machine(&self, machine: Machine) -> Machine {
        machine
    }
}
