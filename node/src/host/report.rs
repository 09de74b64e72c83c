//! Answers about a node: its status, its log, and the state of its application.
//!
//! Invariant: these requests change nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use raftian_raft::{Entry, Index, Payload, Peer, Server, Standing as CoreStanding, Term};
use raftian_rpc::MAX_BODY_BYTES;
use raftian_rpc::client::View;
use raftian_rpc::control::{
    Counters, DiskStatus, LogLine, LogPage, Membership, NodeStatus, PeerProgress, RECENT_TERMS, Standing,
};

use super::Host;
use crate::notices;

/// The most bytes of commands in a page of the log: half of the limit of an answer.
const MAX_PAGE_BYTES: usize = MAX_BODY_BYTES as usize / 2;

impl Host {
    pub(super) fn status(&self) -> NodeStatus {
        let (server, machine) = (self.driver.server(), self.driver.machine());
        let status = server.status();
        let committed = server.configuration_is_settled();
        NodeStatus {
            node: server.id(),
            pid: std::process::id(),
            role: status.role,
            term: status.term,
            leader: status.leader,
            election_in_ms: status.election_in.map(|span| span.as_millis() as u64),
            quorum_contact_ms: status.quorum_contact.map(|span: Duration| span.as_millis() as u64),
            membership: status.configuration.map(|configuration| Membership { configuration, committed }),
            transfer: status.transfer,
            peers: status.peers.into_iter().map(progress).collect(),
            snapshot_index: status.snapshot_index,
            first_index: status.first_index,
            last_index: status.last_index,
            recent_terms: recent_terms(server),
            commit_index: status.commit_index,
            last_applied: machine.last_applied(),
            digest: machine.digest().to_string(),
            state: machine.view(),
            network_version: self.peers.version(),
            disk: DiskStatus {
                pending_ms: status.disk_silence.map(|span| span.as_millis() as u64),
                sync_us: self.storage.sync_us(),
            },
            clock: self.clock.reading(),
            faults: [self.storage.faults().status(), self.clock.status()].concat(),
            counters: self.counters(),
            game: self.game,
        }
    }

    fn counters(&self) -> Counters {
        let raftian_driver::Counters { proposed, forwarded, applied, snapshots, reads } = self.driver.counters();
        Counters {
            proposed,
            forwarded,
            applied,
            calls: self.peers.calls.load(Ordering::Relaxed),
            dropped: self.peers.dropped.load(Ordering::Relaxed),
            syncs: self.storage.syncs(),
            snapshots,
            reads,
            notices_dropped: notices::dropped(),
        }
    }

    pub(super) fn log_page(&self, from: Index, limit: usize) -> LogPage {
        let (server, machine) = (self.driver.server(), self.driver.machine());
        let status = server.status();
        let entries = server.entries(from.max(status.first_index), limit);
        LogPage {
            node: server.id(),
            snapshot_index: status.snapshot_index,
            snapshot_term: server.snapshot().map_or(0, |snapshot| snapshot.last.term),
            first_index: status.first_index,
            last_index: status.last_index,
            durable_index: status.durable_index,
            commit_index: status.commit_index,
            last_applied: machine.last_applied(),
            digest: machine.digest().to_string(),
            entries: page(entries).map(line).collect(),
        }
    }

    pub(super) fn view(&self) -> View {
        let machine = self.driver.machine();
        View {
            node: self.own(),
            last_applied: machine.last_applied(),
            digest: machine.digest().to_string(),
            state: machine.view(),
        }
    }
}

/// The terms of the last entries that a server holds.
fn recent_terms(server: &Server) -> Vec<Term> {
    let status = server.status();
    let from = (status.last_index + 1).saturating_sub(RECENT_TERMS as Index).max(status.first_index);
    server.entries(from, RECENT_TERMS).iter().map(|entry| entry.term).collect()
}

fn progress(peer: Peer) -> PeerProgress {
    let standing = match peer.standing {
        CoreStanding::Voter => Standing::Voter,
        CoreStanding::Learner => Standing::Learner,
        CoreStanding::Leaving => Standing::Leaving,
    };
    let Peer { id, match_index, denies, snapshot_bytes, .. } = peer;
    PeerProgress { node: id, standing, match_index, denies, snapshot_bytes }
}

/// The entries that fit in an answer: at least one, if there is one.
fn page(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let mut bytes = 0;
    entries.iter().take_while(move |entry| {
        let is_first = bytes == 0;
        bytes += entry.payload.len() + 64;
        is_first || bytes <= MAX_PAGE_BYTES
    })
}

/// An entry as people and judges read it.
pub(super) fn line(entry: &Entry) -> LogLine {
    let (command, configuration) = match &entry.payload {
        Payload::Noop => (None, None),
        // Commands were checked to be JSON when they were submitted.
        Payload::Command(bytes) => (serde_json::from_slice(bytes).ok(), None),
        Payload::Configuration(configuration) => (None, Some((**configuration).clone())),
    };
    LogLine { index: entry.index, term: entry.term, command, configuration }
}
