//! Probes to peers: what becomes of a message on each link, measured.
//!
//! Both ends read the machine's monotonic clock, so the way there is measured alone.
//!
//! Invariant: a probe is judged by the filter as a request is, and changes nothing at either end but the place of the link
//! in its sequence of draws. Neither core nor driver knows of it.

use std::sync::Arc;
use std::time::Duration;

use raftian_faults::Verdict;
use raftian_faults::proof::LinkMeasured;
use raftian_raft::NodeId;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::control::{MAX_PROBE_PATIENCE_MS, MAX_PROBES, Probed, Probes};
use raftian_rpc::error::NodeError;
use raftian_rpc::raft::RaftClient as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::net::peers::{Peers, late};

/// So many probes to a peer leave together. All at once would wait for each other, and that would be measured.
const TOGETHER: u32 = 4;

/// The time between those and the next.
const APART: Duration = Duration::from_millis(1);

/// What became of one probe, or of its copy.
enum Seen {
    Lost,
    Silent,
    Arrived { after_us: u32 },
}

impl Peers {
    /// Sends probes to peers, all at once, and says what became of them.
    ///
    /// # Errors
    /// When they are too many, or would be waited for too long.
    pub(crate) async fn probe(self: &Arc<Self>, probes: Probes) -> Result<Vec<Probed>, NodeError> {
        let Probes { peers, count, patience_ms } = probes;
        if !(1..=MAX_PROBES).contains(&count) || !(1..=MAX_PROBE_PATIENCE_MS).contains(&patience_ms) {
            let why = format!("1 to {MAX_PROBES} probes are sent, and waited for up to {MAX_PROBE_PATIENCE_MS} ms");
            return Err(NodeError::BadRequest { why });
        }
        let patience = Duration::from_millis(patience_ms);
        let mut links = JoinSet::new();
        for peer in peers {
            let own = Arc::clone(self);
            links.spawn(async move { Probed { peer, measured: own.probe_link(peer, count, patience).await } });
        }
        Ok(links.join_all().await)
    }

    async fn probe_link(self: Arc<Self>, peer: NodeId, count: u32, patience: Duration) -> LinkMeasured {
        let mut probes = JoinSet::new();
        for number in 0..count {
            if number > 0 && number % TOGETHER == 0 {
                tokio::time::sleep(APART).await;
            }
            probes.spawn(Arc::clone(&self).probe_once(peer, patience));
        }
        let mut measured = LinkMeasured::default();
        while let Some(joined) = probes.join_next().await {
            // One that panicked has no answer.
            let (first, copy) = joined.unwrap_or((Seen::Silent, None));
            match first {
                Seen::Lost => measured.lost += 1,
                Seen::Silent => measured.silent += 1,
                Seen::Arrived { after_us } => {
                    measured.delays_us.push(after_us);
                    measured.doubled += u32::from(matches!(copy, Some(Seen::Arrived { .. })));
                }
            }
        }
        measured
    }

    /// Sends one probe, and its copy where the link doubles it.
    async fn probe_once(self: Arc<Self>, peer: NodeId, patience: Duration) -> (Seen, Option<Seen>) {
        let left_ns = monotonic_ns();
        let arrive = async |delay| {
            let exchange = async {
                late(delay).await;
                Some(self.client(peer)?.probe(self.own(), peer).await.map_err(|error| NodeError::from_client(&error)))
            };
            match timeout(delay + patience, exchange).await {
                Ok(Some(Ok(arrived_ns))) => Seen::Arrived {
                    after_us: u32::try_from(u64::saturating_sub(arrived_ns, left_ns) / 1_000).unwrap_or(u32::MAX),
                },
                Ok(Some(Err(Some(NodeError::LinkCut { .. })))) => Seen::Lost,
                _ => Seen::Silent,
            }
        };
        match self.judge_probe(peer) {
            Verdict::Drop => (Seen::Lost, None),
            Verdict::Pass => (arrive(Duration::ZERO).await, None),
            Verdict::Delay(delay) => (arrive(delay).await, None),
            Verdict::Twice(one, other) => {
                let (first, copy) = tokio::join!(arrive(one), arrive(other));
                (first, Some(copy))
            }
        }
    }
}
