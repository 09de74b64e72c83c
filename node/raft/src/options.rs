//! The parameters of a server, and the type for points in time.

use std::ops::{Add, Range};
use std::time::Duration;

#[cfg(feature = "mutants")]
use crate::Mutant;
use crate::{Configuration, NodeId};

/// A point in time, counted from a start of the driver's choice. It must never go backwards. Its rate does not matter
/// for safety (§5.6), except for the reads of a [`Lease`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

/// The parameters of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's name.
    pub id: NodeId,
    /// The configuration that its cluster starts with, the same for all its servers. A server that is to be added
    /// later has none, and waits until a leader sends it one.
    pub configuration: Option<Configuration>,
    /// Election time-outs are drawn from this range (§5.2). Must not be empty.
    pub election_timeout: Range<Duration>,
    /// The interval of a leader's heartbeats; less than the shortest election time-out.
    pub heartbeat_interval: Duration,
    /// Ask for pre-votes before standing for election (thesis §9.6), so that a server that was partitioned does not
    /// disturb the others when it returns. Without `check_quorum`, pre-votes are not refused because a leader is heard
    /// from: that leader may have lost its quorum without stepping down.
    pub pre_vote: bool,
    /// A leader steps down when it has not heard from a quorum for an election time-out (thesis §6.2), and servers
    /// that hear from a leader do not vote for others (thesis §4.2.3).
    pub check_quorum: bool,
    /// Whether a new server's first election time-out elapses at once, so that it stands for election first. One that has
    /// been in a term before waits: a leader's lease may rest on what it said before it stopped (thesis §6.4.1).
    pub campaigns_first: bool,
    /// The most entries in one AppendEntries; at least one is sent.
    pub max_append_entries: usize,
    /// The most bytes of commands in one AppendEntries; a larger command is sent alone.
    pub max_append_bytes: usize,
    /// The most bytes of a snapshot in one InstallSnapshot; at least one is sent.
    pub max_snapshot_chunk_bytes: usize,
    /// The most committed entries in one [`Ready`](crate::Ready), so that a long replay does not delay the heartbeats;
    /// at least one is taken.
    pub max_committed_per_ready: usize,
    /// A leader refuses commands while the entries that are not committed take more memory than this, in bytes. No-ops and
    /// configurations are appended in any case: a leader needs them to commit the rest.
    pub max_uncommitted_bytes: usize,
    /// A disk that was given a write and has not answered for so long counts as silent: the server says so, and a leader
    /// hands over to a voter whose disk has stored more.
    pub disk_patience: Duration,
    /// Leaders serve reads without a round of messages while no quorum can have elected another leader (thesis §6.4.1).
    /// Ignored without `check_quorum`, since servers would not refuse votes then. All servers must have the same value.
    pub lease: Option<Lease>,
    /// The seed of the run. Each server derives its own from it and its id.
    pub seed: u64,
    /// The planted bug, if there is one.
    #[cfg(feature = "mutants")]
    pub mutant: Option<Mutant>,
}

/// Reads that depend on clocks: safe only as long as their rates differ by no more than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How much faster any server's clock may be than another's, in percent.
    pub drift_percent: u8,
}

impl Options {
    /// The paper's time-outs (§9.3: 150–300 ms), a heartbeat of 50 ms, PreVote and CheckQuorum on, no leases.
    pub fn new(id: NodeId, configuration: impl Into<Option<Configuration>>, seed: u64) -> Options {
        Options {
            id,
            configuration: configuration.into(),
            election_timeout: Duration::from_millis(150)..Duration::from_millis(300),
            heartbeat_interval: Duration::from_millis(50),
            pre_vote: true,
            check_quorum: true,
            campaigns_first: false,
            max_append_entries: 4096,
            max_append_bytes: 1024 * 1024,
            max_snapshot_chunk_bytes: 512 * 1024,
            max_committed_per_ready: 4096,
            max_uncommitted_bytes: 16 * 1024 * 1024,
            disk_patience: Duration::from_secs(1),
            lease: None,
            seed,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// How long a lease lasts from the start of a confirmed round, if leases are used: the shortest election time-out,
    /// less what the fastest clock may gain.
    pub(crate) fn lease_span(&self) -> Option<Duration> {
        let lease = self.lease.filter(|_| self.check_quorum)?;
        Some(self.election_timeout.start * 100 / (100 + u32::from(lease.drift_percent)))
    }

    /// The generator of this server, seeded by hash(run seed, id), so that servers of one run get different time-outs.
    pub(crate) fn random(&self) -> fastrand::Rng {
        // SplitMix64's finaliser, over seed and id, so that neighbouring ids are far apart.
        let mut z = self.seed
            ^ (u64::from(self.id.number()) | u64::from(self.id.incarnation() - 1) << 16)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        fastrand::Rng::with_seed(z ^ (z >> 31))
    }
}

impl Time {
    /// The time from `earlier` to this; zero if `earlier` is not earlier.
    pub fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, span: Duration) -> Time {
        Time(self.0 + span)
    }
}
