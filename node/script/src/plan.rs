//! What a cluster is before anything happens: the parameters that a scenario sets, or that a seed draws.
//!
//! Invariant: a [`Plan`] that was read or drawn is legal: leases only where clocks drift less than they allow, and so on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use raftian_apps::{AppKind, Limits};
use raftian_faults::Effect;
use raftian_raft::{Configuration, Lease, NodeId, Options};

use crate::load::Load;

/// The most nodes of a cluster.
pub const MAX_NODES: usize = 64;

/// The most incarnations of a node.
pub const MAX_INCARNATIONS: usize = 4;

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
    /// What they ask for besides what the scenario says, until its end.
    pub load: Option<Load>,
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
    /// Puts them in the place of what a server has.
    pub fn apply(self, options: &mut Options) {
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
            load: None,
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
    pub fn lease_span(&self) -> Option<Duration> {
        let lease = self.lease.filter(|_| self.check_quorum)?;
        Some(self.election_timeout.start * 100 / (100 + u32::from(lease.drift_percent)))
    }

    /// The founders.
    ///
    /// # Panics
    /// Where there are none, which no plan that was read has.
    pub fn configuration(&self) -> Configuration {
        Configuration::new(NodeId::first(self.founders)).expect("a cluster has founders")
    }

    /// Whether a client's session may expire while copies of its commands are still on their way.
    pub fn has_short_sessions(&self) -> bool {
        self.app == AppKind::Kv && self.limits.max_sessions < Limits::default().max_sessions
    }
}

/// What a crash leaves of what was being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crashes {
    /// The power is cut at the end of a record.
    #[default]
    Whole,
    /// The power is cut anywhere: within a record, or between two changes of the folder.
    Torn,
    /// The power is cut while the disk writes sectors in an order of its own.
    Scattered,
    /// The process is killed: what it had written is in the page cache, and stays.
    Killed,
}

impl Crashes {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Crashes); 4] = [
        ("whole", Crashes::Whole),
        ("torn", Crashes::Torn),
        ("scattered", Crashes::Scattered),
        ("killed", Crashes::Killed),
    ];
}
