//! Why a server refused an input of its driver, or a message of a peer.
//!
//! Invariant: a refused input has changed nothing; a refused message neither the log nor commitIndex.

use thiserror::Error;

use crate::{Index, NodeId, Term};

/// The greatest term that is accepted from a peer, and the greatest index: 2^53, up to which every JSON reader keeps
/// integers exact.
pub const MAX_TERM: Term = 1 << 53;
pub(crate) const MAX_INDEX: Index = 1 << 53;

/// Only a leader takes this input (§8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this server does not lead")]
pub struct NotLeader {
    /// The leader, if this server knows it.
    pub leader: Option<NodeId>,
}

/// Why commands were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProposeRefused {
    /// Only a leader takes them.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// A transfer of leadership is in progress (thesis §3.10).
    #[error("the lead is being transferred to {to}; try again in a moment")]
    Transferring {
        /// The server to lead next.
        to: NodeId,
    },
    /// Too much waits for a quorum to store it. This command was not appended.
    #[error(
        "{bytes} bytes of commands wait for a quorum to store them, and the limit is {limit}; try again when it has"
    )]
    Uncommitted {
        /// The memory that the entries which are not committed take.
        bytes: usize,
        /// [`Options::max_uncommitted_bytes`](crate::Options::max_uncommitted_bytes).
        limit: usize,
    },
}

/// Why a transfer of leadership was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TransferRefused {
    /// Only a leader can transfer leadership.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// One transfer at a time.
    #[error("the lead is being transferred to {to} already")]
    Transferring {
        /// The server to lead next.
        to: NodeId,
    },
    /// It leads already.
    #[error("this server leads already")]
    ToItself,
    /// It is not a member.
    #[error("{node} is not a member of the cluster")]
    Unknown {
        /// The server.
        node: NodeId,
    },
    /// It has no vote, or will have none, and cannot lead (thesis §4.2.1).
    #[error("{node} has no vote and cannot lead; promote it first")]
    NotVoter {
        /// The server.
        node: NodeId,
    },
    /// It has not replied for the shortest election time-out, so commands would wait for nothing.
    #[error("{node} does not answer and could not take over; try again when it does")]
    Silent {
        /// The server.
        node: NodeId,
    },
    /// Commands would have to wait until it has what it lacks.
    #[error("{node} lacks the last {behind} entries of the log; try again when it has caught up")]
    Lagging {
        /// The server.
        node: NodeId,
        /// How many entries it is behind.
        behind: u64,
    },
    /// A transfer was aborted less than an election time-out ago. Commands waited for it; now they come first.
    #[error("a transfer has just failed, and commands come first; try again in a moment")]
    JustAborted,
}

/// Why a snapshot was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CompactRefused {
    /// It would cover entries that the application has not been given.
    #[error("index {last_index} is not applied yet, the last applied index is {applied}; try again later")]
    NotApplied {
        /// The last index of the snapshot.
        last_index: Index,
        /// The last entry given to the application.
        applied: Index,
    },
    /// There is a snapshot already that covers as much.
    #[error("there is a snapshot up to index {snapshot_index} already")]
    NotNewer {
        /// The last index of that snapshot.
        snapshot_index: Index,
    },
    /// A snapshot must contain the configuration, and a server that is being added has not received one yet.
    #[error("the configuration at index {last_index} is not known here; try again with a later index")]
    UnknownConfiguration {
        /// The last index of the snapshot.
        last_index: Index,
    },
}

/// Why a candidate does not get a vote, or would not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteRefused {
    /// The candidate's term is over (§5.1).
    StaleTerm,
    /// This server leads or hears from a leader (thesis §4.2.3).
    LeaderHeard,
    /// This server may have heard from a leader before it crashed, and that leader may have a lease (thesis §6.4.1).
    JustStarted,
    /// The vote of this term was given to another candidate (§5.2).
    AlreadyVoted,
    /// The candidate's log is less up-to-date than this server's (§5.4.1).
    LogBehind,
}

/// Why a message was refused: no server that follows the rules would send it, or it is of or to another incarnation of a
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// It would replace a committed entry.
    #[error("the entry at index {index} is committed here with another term")]
    Committed {
        /// The first such index.
        index: Index,
    },
    /// It is meant for another server, or claims to come from this one.
    #[error("a message from {from} to {to} came to a wrong server, or names this one as its sender")]
    Misdirected {
        /// The sender that it names.
        from: NodeId,
        /// The receiver that it names.
        to: NodeId,
    },
    /// It is to another incarnation of this server's name, or of one that a later member has replaced. So it is a vote,
    /// an acknowledgement or a request of or to a server that is no more.
    #[error("a message from {from} to {to} does not count: here the {} there is is {known}", known.name())]
    OtherIncarnation {
        /// The sender that it names.
        from: NodeId,
        /// The receiver that it names.
        to: NodeId,
        /// The incarnation that is known here.
        known: NodeId,
    },
    /// Its entries leave a gap, or their terms decrease: no log has that.
    #[error("the entry at index {index} cannot follow the one before it")]
    Disorder {
        /// The index of the first such entry, as it was sent.
        index: Index,
    },
    /// It has an entry with a later term than the message.
    #[error("the entry at index {index} is of term {term}, which is later than the message's own")]
    FutureTerm {
        /// The entry's index.
        index: Index,
        /// The entry's term.
        term: Term,
    },
    /// Its term is greater than any cluster reaches; if it were accepted, terms could run out.
    #[error("no cluster reaches term {term}; the greatest one accepted is {MAX_TERM}")]
    AbsurdTerm {
        /// The term.
        term: Term,
    },
    /// Its snapshot covers an index that no log reaches.
    #[error("no log reaches index {index}; the greatest one accepted is {MAX_INDEX}")]
    AbsurdIndex {
        /// The index.
        index: Index,
    },
    /// A chunk of a snapshot ends after the snapshot.
    #[error("a chunk of {length} bytes at offset {offset} is not part of a snapshot of {size} bytes")]
    Overhang {
        /// Where the chunk begins, in bytes.
        offset: u64,
        /// Its length in bytes.
        length: u64,
        /// The size of the snapshot in bytes.
        size: u64,
    },
    /// Its sender claims to lead a term that this server leads.
    #[error("this server leads term {term} itself")]
    SecondLeader {
        /// The term.
        term: Term,
    },
}
