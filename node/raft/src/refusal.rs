//! Why a server did not do what it was asked: by its driver, or by a peer.
//!
//! Invariant: whatever is refused has changed nothing.

use thiserror::Error;

use crate::{Index, NodeId, Term};

/// The last term a peer is believed to be in, and the last index: the largest number that JSON keeps exact everywhere.
pub const MAX_TERM: Term = 1 << 53;
pub(crate) const MAX_INDEX: Index = 1 << 53;

/// A server that does not lead takes no commands (§8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this server does not lead")]
pub struct NotLeader {
    /// Who leads, as far as this server knows.
    pub leader: Option<NodeId>,
}

/// Why commands were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProposeRefused {
    /// Only a leader takes them.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// The leader lets another server catch up that is to lead next (thesis §3.10).
    #[error("the lead is being transferred to {to}; try again in a moment")]
    Transferring {
        /// The server to lead next.
        to: NodeId,
    },
}

/// Why the lead is not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TransferRefused {
    /// There is nothing to hand over.
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
}

/// Why a snapshot was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CompactRefused {
    /// It would stand for entries that the application has not been given.
    #[error("index {last_index} is not applied yet; the last one that is is {applied}")]
    NotApplied {
        /// The last index of the snapshot.
        last_index: Index,
        /// The last entry given to the application.
        applied: Index,
    },
    /// There is one that reaches as far.
    #[error("there is a snapshot up to index {snapshot_index} already")]
    NotNewer {
        /// The last index of that one.
        snapshot_index: Index,
    },
    /// A server that is being added has not been told yet who is in the cluster, which a snapshot must say.
    #[error("the configuration at index {last_index} is not known here; try again with a later index")]
    UnknownConfiguration {
        /// The last index of the snapshot.
        last_index: Index,
    },
}

/// Why a candidate does not get a vote, or would not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteRefused {
    /// Its term is over (§5.1).
    StaleTerm,
    /// This server leads or hears from a leader, and does not help to disrupt it (thesis §4.2.3).
    LeaderHeard,
    /// This server may have heard from a leader before it crashed, and a lease may rest on that (thesis §6.4.1).
    JustStarted,
    /// The vote of this term is given to another one (§5.2).
    AlreadyVoted,
    /// Its log is less up to date than this server's (§5.4.1).
    LogBehind,
}

/// A message that no server that follows the rules would send. It was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// It would replace a committed entry.
    #[error("the entry at index {index} is committed here with another term")]
    Committed {
        /// The first such index.
        index: Index,
    },
    /// It is meant for another server, or claims to come from this one.
    #[error("a message from {from} to {to} has no business here")]
    Misdirected {
        /// Who is said to have sent it.
        from: NodeId,
        /// Who should have received it.
        to: NodeId,
    },
    /// Its entries leave a gap, or their terms fall: no log looks like that.
    #[error("the entry at index {index} cannot follow the one before it")]
    Disorder {
        /// The index of the first entry out of place, as it was sent.
        index: Index,
    },
    /// It has an entry of a later term than its own.
    #[error("the entry at index {index} is of term {term}, which is later than the message's own")]
    FutureTerm {
        /// The entry's index.
        index: Index,
        /// The entry's term.
        term: Term,
    },
    /// Its term is one that no cluster reaches, and past which terms would run out.
    #[error("no cluster reaches term {term}; the last one believed is {MAX_TERM}")]
    AbsurdTerm {
        /// The term.
        term: Term,
    },
    /// Its snapshot reaches where no log does.
    #[error("no log reaches index {index}; the last one believed is {MAX_INDEX}")]
    AbsurdIndex {
        /// The index.
        index: Index,
    },
    /// A chunk of a snapshot ends after the snapshot.
    #[error("a chunk of {length} bytes at offset {offset} is not part of a snapshot of {size} bytes")]
    Overhang {
        /// Where the chunk begins.
        offset: u64,
        /// How long it is.
        length: u64,
        /// The size of the snapshot.
        size: u64,
    },
    /// It claims to lead a term that this server leads.
    #[error("this server leads term {term} itself")]
    SecondLeader {
        /// The term.
        term: Term,
    },
}
