//! What a run is made of: the parameters that a seed draws, or that somebody chooses.
//!
//! Invariant: a [`Plan`] that was drawn is legal: leases only where clocks drift less than they allow, and so on.

use std::ops::Range;
use std::time::Duration;

use raftian_apps::{AppKind, Machine};
use raftian_faults::Effect;
use raftian_raft::{Configuration, Lease, NodeId, Options};

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
    Disk(DiskMutant),
    /// A bug of whoever answers clients.
    Service(ServiceMutant),
}

/// A planted bug of the storage.
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskMutant {
    /// A log with a damaged record is cut there, with all that was durable after it, where the node should refuse to
    /// start.
    CutsCorruptLog,
    /// A hard state that is damaged is taken for that of a new server, where the node should refuse to start.
    ForgetsCorruptHardState,
    /// What a snapshot takes the place of is discarded before the snapshot is durable.
    DiscardsFirst,
    /// A sync that failed is tried again, and believed when it succeeds: the second one vouches for pages that the first
    /// one lost.
    RetriesFailedSync,
}

#[cfg(feature = "mutants")]
impl DiskMutant {
    const ALL: [DiskMutant; 4] = [
        DiskMutant::CutsCorruptLog,
        DiskMutant::ForgetsCorruptHardState,
        DiskMutant::DiscardsFirst,
        DiskMutant::RetriesFailedSync,
    ];
}

/// A planted bug of whoever answers clients.
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceMutant {
    /// Whoever waits for an index is told what the entry there did, though it may be of another term, and another's.
    AnswersByIndex,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// Every planted bug.
    pub fn all() -> impl Iterator<Item = Mutant> {
        let raft = raftian_raft::Mutant::ALL.iter().copied().map(Mutant::Raft);
        let apps = raftian_apps::Mutant::ALL.into_iter().map(Mutant::App);
        let service = [ServiceMutant::AnswersByIndex].map(Mutant::Service);
        raft.chain(apps).chain(DiskMutant::ALL.map(Mutant::Disk)).chain(service)
    }
}

/// The constant parameters of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The application.
    pub app: AppKind,
    /// How many nodes found the cluster, from 1 to 7.
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
    /// See [`Options`].
    pub lease: Option<Lease>,
    /// See [`Options`].
    pub max_append_entries: usize,
    /// See [`Options`].
    pub max_snapshot_chunk_bytes: usize,
    /// A node takes a snapshot when it has applied so many entries since the last one; `None` if only on demand.
    pub snapshot_every: Option<u64>,
    /// How many entries that a snapshot covers stay.
    pub keep: u64,
    /// What every link does to messages.
    pub effects: Vec<Effect>,
    /// How long a sync takes, in microseconds; `None` if it takes until it is told to end.
    pub sync_us: Option<Range<u64>>,
    /// How fast the clock of each node is, in thousandths; a node without a rate has a true clock.
    pub clock_permille: Vec<u64>,
    /// How many clients there are.
    pub clients: usize,
    /// How long a client waits for an answer before it tries another node, in microseconds.
    pub client_patience_us: u64,
    /// How often a client tries before it gives an operation up.
    pub client_attempts: u32,
    /// How many in a hundred requests and answers of clients are lost.
    pub client_loss_percent: u64,
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
            max_append_entries: 4096,
            max_snapshot_chunk_bytes: 512 * 1024,
            snapshot_every: None,
            keep: 0,
            effects: Vec::new(),
            sync_us: Some(0..1),
            clock_permille: Vec::new(),
            clients: 0,
            client_patience_us: 400_000,
            client_attempts: 8,
            client_loss_percent: 0,
        }
    }

    /// How many nodes there are, members or not.
    pub fn nodes(&self) -> usize {
        usize::from(self.founders + self.joiners)
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
        options.max_append_entries = self.max_append_entries;
        options.max_snapshot_chunk_bytes = self.max_snapshot_chunk_bytes;
        settings.plant(&mut options);
        options
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

    /// Whether this bug of the storage is planted.
    #[cfg(feature = "mutants")]
    pub(crate) fn disk_mutant(&self, mutant: DiskMutant) -> bool {
        self.mutant == Some(Mutant::Disk(mutant))
    }

    /// Whether this bug of the storage is planted.
    #[cfg(not(feature = "mutants"))]
    pub(crate) fn disk_mutant(&self, _: DiskMutant) -> bool {
        false
    }

    /// Whether this bug of the service is planted.
    #[cfg(feature = "mutants")]
    pub(crate) fn service_mutant(&self, mutant: ServiceMutant) -> bool {
        self.mutant == Some(Mutant::Service(mutant))
    }

    /// Whether this bug of the service is planted.
    #[cfg(not(feature = "mutants"))]
    pub(crate) fn service_mutant(&self, _: ServiceMutant) -> bool {
        false
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
