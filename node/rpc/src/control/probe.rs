//! Probes: messages that a node sends over its links for no other purpose than to see what becomes of them.
//!
//! Invariant: a probe goes the way of any request to a peer, through the same filter, and takes its draw there; the answer
//! to it is no message, and no fault holds it up. So what is measured is one direction of a link.

use serde::{Deserialize, Serialize};

use crate::NodeId;
use crate::faults::proof::LinkMeasured;

/// The most probes a link at once.
pub const MAX_PROBES: u32 = 1_000;

/// The longest that an answer may be waited for, in milliseconds.
pub const MAX_PROBE_PATIENCE_MS: u64 = 10_000;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probes {
    /// To whom.
    pub peers: Vec<NodeId>,
    /// How many to each, up to [`MAX_PROBES`].
    pub count: u32,
    /// How long an answer is waited for, up to [`MAX_PROBE_PATIENCE_MS`].
    pub patience_ms: u64,
}

/// What came of the probes to one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The peer.
    pub peer: NodeId,
    /// What came of them.
    pub measured: LinkMeasured,
}
