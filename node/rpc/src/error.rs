//! What can go wrong, as types that survive the wire: an error's JSON-RPC `data` is the variant itself.
//!
//! Invariant: an error says whether a command may have been applied. Only [`NodeError::TimedOut`] and a broken
//! connection leave that open; every other [`NodeError`] is a promise that it was not, and so is the answer that is given
//! on the socket of a node that does not run ([`not_taken`]).

use jsonrpsee::core::ClientError;
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee_http_client::transport::Error as HttpError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hint::{Hint, Note};
use crate::{Index, NodeId};

/// Why a node did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeError {
    /// A forwarded command reached a node that does not lead (any more).
    #[error("{node} does not lead{}", hint(.leader))]
    NotLeader {
        /// The node that answers.
        node: NodeId,
        /// The leader it knows of.
        leader: Option<NodeId>,
    },
    /// Nobody leads, as far as the node knows, or the leader cannot be reached.
    #[error("{node} knows no leader it can reach: the others are down, cut off, or still electing one")]
    NoLeader {
        /// The node that answers.
        node: NodeId,
    },
    /// The leader holds as many commands as it may that no quorum has stored. This one was not taken in.
    #[error(
        "{node} holds {} MiB of commands that no quorum has stored, and takes no more: nothing has happened; send it again when a quorum answers",
        .bytes >> 20
    )]
    TooMuchUncommitted {
        /// The leader.
        node: NodeId,
        /// The memory that these commands take, in bytes.
        bytes: usize,
    },
    /// No outcome within the time allowed. A command may still be applied; a read leaves no trace.
    #[error("no outcome after {waited_ms} ms; a command may still be applied")]
    TimedOut {
        /// How long the node waited.
        waited_ms: u64,
    },
    /// The command was overwritten by another leader's entry, so it was never committed (§5.3). Send it again.
    #[error("the command was replaced by another leader's entry before it committed; send it again")]
    Replaced,
    /// The command is not one of the application's.
    #[error("unknown command: {why}")]
    UnknownCommand {
        /// What was expected instead.
        why: String,
    },
    /// The node is on its way out.
    #[error("{node} is shutting down")]
    ShuttingDown {
        /// The node that answers.
        node: NodeId,
    },
    /// A fault on the link ate the message. Only peers see this; to them it is silence.
    #[error("the link from {from} to {to} is cut")]
    LinkCut {
        /// The sending end.
        from: NodeId,
        /// The receiving end.
        to: NodeId,
    },
    /// The message was meant for somebody else: an address book is out of date.
    #[error("this is {node}, not {meant}")]
    WrongNode {
        /// The node that answers.
        node: NodeId,
        /// The one addressed.
        meant: NodeId,
    },
    /// What was asked for is not possible as things stand. Nothing has changed.
    #[error("{why}")]
    Refused {
        /// The reason.
        why: String,
    },
    /// It was tried and did not work; the node goes on as before.
    #[error("{why}")]
    Failed {
        /// What failed.
        why: String,
    },
    /// What was asked for has to wait for something that is under way: ask again in a moment. Nothing has changed.
    #[error("{why}")]
    NotNow {
        /// For what.
        why: String,
    },
    /// What was applied after an index cannot be told any more from there on.
    #[error("{node} remembers what it applied after index {up_to} only: read its state, and follow from there")]
    Forgotten {
        /// The node that answers.
        node: NodeId,
        /// Up to which index it has forgotten.
        up_to: Index,
    },
    /// The parameters do not describe anything a node could do.
    #[error("{why}")]
    BadRequest {
        /// What is wrong with them.
        why: String,
    },
}

/// Why the daemon did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "kind", content = "note", rename_all = "snake_case")]
pub enum LabError {
    /// The request makes no sense, whatever the state of the lab: the caller's mistake.
    #[error("{0}")]
    Usage(Note),
    /// The request makes sense but not in the lab's present state.
    #[error("{0}")]
    Conflict(Note),
    /// It was tried and did not work.
    #[error("{0}")]
    Failed(Note),
    /// What was waited for did not come about in time; the text names what is missing.
    #[error("{0}")]
    TimedOut(Note),
}

impl NodeError {
    /// The JSON-RPC error code, in the range the standard leaves to servers.
    pub fn code(&self) -> i32 {
        match self {
            NodeError::NotLeader { .. } => -32001,
            NodeError::NoLeader { .. } => -32002,
            NodeError::TimedOut { .. } => -32003,
            NodeError::UnknownCommand { .. } => -32004,
            NodeError::ShuttingDown { .. } => -32006,
            NodeError::LinkCut { .. } => -32007,
            NodeError::WrongNode { .. } => -32008,
            NodeError::Replaced => -32009,
            NodeError::Refused { .. } => -32010,
            NodeError::NotNow { .. } => -32011,
            NodeError::Failed { .. } => -32012,
            NodeError::TooMuchUncommitted { .. } => -32013,
            NodeError::Forgotten { .. } => -32015,
            NodeError::BadRequest { .. } => -32602,
        }
    }

    /// The error a node answered with, if it was one of these and not the transport's.
    pub fn from_client(error: &ClientError) -> Option<NodeError> {
        typed(error)
    }
}

/// The JSON-RPC code of a call without the lab's secret. It comes with HTTP status 401.
pub const UNAUTHORISED: i32 = -32005;

/// The JSON-RPC code of the answer that is given in the place of a node that does not run. It comes with the HTTP status
/// [`NOT_RUNNING_STATUS`].
pub const NOT_RUNNING: i32 = -32014;

/// The HTTP status of the same answer. No server of ours gives it for another reason.
pub const NOT_RUNNING_STATUS: u16 = 503;

impl LabError {
    /// The caller's mistake.
    pub fn usage(note: impl Into<Note>) -> LabError {
        LabError::Usage(note.into())
    }

    /// The lab's present state is in the way.
    pub fn conflict(note: impl Into<Note>) -> LabError {
        LabError::Conflict(note.into())
    }

    /// It did not work.
    pub fn failed(note: impl Into<Note>) -> LabError {
        LabError::Failed(note.into())
    }

    /// It did not come about in time.
    pub fn timed_out(note: impl Into<Note>) -> LabError {
        LabError::TimedOut(note.into())
    }

    /// The same, with one thing more that a person can do.
    pub fn hint(self, hint: Hint) -> LabError {
        match self {
            LabError::Usage(note) => LabError::Usage(note.hint(hint)),
            LabError::Conflict(note) => LabError::Conflict(note.hint(hint)),
            LabError::Failed(note) => LabError::Failed(note.hint(hint)),
            LabError::TimedOut(note) => LabError::TimedOut(note.hint(hint)),
        }
    }

    /// What it says, and what can be done.
    pub fn into_note(self) -> Note {
        match self {
            LabError::Usage(note) | LabError::Conflict(note) | LabError::Failed(note) | LabError::TimedOut(note) => {
                note
            }
        }
    }

    /// The JSON-RPC error code, in the range the standard leaves to servers.
    pub fn code(&self) -> i32 {
        match self {
            LabError::Usage(_) => -32602,
            LabError::Conflict(_) => -32021,
            LabError::Failed(_) => -32022,
            LabError::TimedOut(_) => -32023,
        }
    }

    /// The exit code of a command that ends with this error (design: 1 failed, 2 wrong usage, 124 timed out).
    pub fn exit_code(&self) -> u8 {
        match self {
            LabError::Usage(_) => 2,
            LabError::Conflict(_) | LabError::Failed(_) => 1,
            LabError::TimedOut(_) => 124,
        }
    }

    /// The error a daemon answered with, if it was one of these and not the transport's.
    pub fn from_client(error: &ClientError) -> Option<LabError> {
        typed(error)
    }
}

impl From<NodeError> for ErrorObjectOwned {
    fn from(error: NodeError) -> ErrorObjectOwned {
        ErrorObjectOwned::owned(error.code(), error.to_string(), Some(error))
    }
}

impl From<LabError> for ErrorObjectOwned {
    fn from(error: LabError) -> ErrorObjectOwned {
        ErrorObjectOwned::owned(error.code(), error.to_string(), Some(error))
    }
}

/// Why a call certainly was not taken in by a node, in words that follow its name: it does not run, or nobody listens at
/// its address any more. Any other failure of the transport leaves open what was done, and is `None`.
pub fn not_taken(error: &ClientError) -> Option<&'static str> {
    let ClientError::Transport(transport) = error else { return None };
    let mut cause: &(dyn std::error::Error + 'static) = transport.as_ref();
    loop {
        if let Some(HttpError::Rejected { status_code: NOT_RUNNING_STATUS }) = cause.downcast_ref() {
            return Some("does not run");
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            let is_refused = io.kind() == std::io::ErrorKind::ConnectionRefused;
            return is_refused.then_some("is gone: nobody listens at its address");
        }
        cause = cause.source()?;
    }
}

fn typed<E: serde::de::DeserializeOwned>(error: &ClientError) -> Option<E> {
    match error {
        ClientError::Call(object) => serde_json::from_str(object.data()?.get()).ok(),
        _ => None,
    }
}

fn hint(leader: &Option<NodeId>) -> String {
    leader.map_or(String::new(), |leader| format!("; {leader} does"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_a_refused_connection_and_the_answer_for_a_node_that_does_not_run_are_certain() {
        let rejected = |status_code| ClientError::Transport(Box::new(HttpError::Rejected { status_code }));
        let broken = |kind: io::ErrorKind| ClientError::Transport(Box::new(io::Error::from(kind)));
        assert_eq!(not_taken(&rejected(NOT_RUNNING_STATUS)), Some("does not run"));
        assert!(not_taken(&broken(io::ErrorKind::ConnectionRefused)).is_some());
        for unknown in [rejected(500), broken(io::ErrorKind::ConnectionReset), ClientError::RequestTimeout] {
            assert_eq!(not_taken(&unknown), None);
        }
    }
}
