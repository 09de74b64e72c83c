//! What must never be: two nodes that have committed different entries (§5.4.3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Index, NodeId};

/// Two nodes that have committed different entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// One of the two.
    pub one: NodeId,
    /// The other one.
    pub other: NodeId,
    /// Where it was seen. The first difference may be before that.
    pub index: Index,
    /// What differs there.
    pub difference: Difference,
}

/// What two nodes can differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The entry that both have applied at the index.
    Entry,
    /// The state after it.
    State,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { one, other, index, difference } = self;
        match difference {
            Difference::Entry => write!(f, "{one} and {other} have committed different entries at index {index}"),
            Difference::State => {
                write!(f, "{one} and {other} have both applied all up to index {index}, and their states differ")
            }
        }
    }
}
