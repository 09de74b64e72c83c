//! What the host of a server sees around it: why it stands for election, whom it refuses a vote and why, a slow disk, and a
//! crash that a fault asks for.
//!
//! Deliberately absent: what happens inside a server, which its own events ([`RaftEvent`](crate::RaftEvent)) tell.

use serde::{Deserialize, Serialize};

use crate::faults::CrashPoint;
use crate::lab::FaultId;
use crate::{Index, NodeId, Term};

/// A disk whose syncs take so long is slow, in microseconds: it delays commands more than an idle leader's heartbeats.
pub const SLOW_SYNC_US: u64 = 50_000;

/// Something that the host of a server saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum HostEvent {
    /// The server's leader has sent nothing for so long, and the server stands for election.
    LeaderSilent {
        /// The leader.
        leader: NodeId,
        /// Since its last AppendEntries or InstallSnapshot, in milliseconds.
        silent_ms: u64,
    },
    /// The server refused a vote or a pre-vote, for another reason than the last time that this candidate asked.
    VoteRefused {
        /// Who asked.
        candidate: NodeId,
        /// The term it asked for.
        term: Term,
        /// Why.
        why: Refusal,
    },
    /// The disk has become slow.
    DiskSlow {
        /// How long a write and its sync take, in microseconds.
        sync_us: u64,
    },
    /// The disk is as fast as it should be again.
    DiskRecovered,
    /// A fault ends the process at a point of its work. Nothing comes after this.
    Crashing {
        /// The fault.
        fault: FaultId,
        /// The point.
        at: CrashPoint,
        /// The last index of the log there, or of the snapshot.
        index: Index,
    },
    /// The machine has lost its power, and the process ends. Nothing comes after this but the crash that it comes with.
    PowerLost {
        /// How many bytes were discarded that were written and not synced.
        discarded_bytes: u64,
    },
}

/// Why a vote was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// The candidate's term is over (§5.1).
    TermIsOver {
        /// The server's own term.
        own: Term,
    },
    /// The server hears from a leader (thesis §4.2.3).
    LeaderAlive {
        /// The leader.
        leader: NodeId,
    },
    /// The vote of the term is given (§5.2).
    VotedFor {
        /// To this candidate.
        other: NodeId,
    },
    /// The candidate's log is less up-to-date than the server's (§5.4.1).
    LogBehind {
        /// The last entry of the candidate's log: its term and index.
        theirs: (Term, Index),
        /// That of the server's.
        own: (Term, Index),
    },
}
