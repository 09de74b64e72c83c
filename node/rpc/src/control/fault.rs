//! Faults inside a node: which are in effect, and what the node measured of each.
//!
//! Invariant: what is measured is what the node met at its real disk and read from its clock, never what the effect asks
//! for. So it can contradict the effect.
//!
//! Deliberately absent: whether an effect is proved by it, which the daemon decides.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::faults::{Damage, NodeEffect};
use crate::lab::FaultId;

/// A fault inside a node. The same id is the same fault: what happens once for a fault (a jump, a failing sync) happens
/// once for its id in each process. A process starts without faults, reads its log, and has them from the first
/// `control.configure` on: one that has struck and is still in force strikes again in the next process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeFault {
    /// Its number in the daemon's registry.
    pub id: FaultId,
    /// What goes wrong.
    pub effect: NodeEffect,
}

/// A fault that is in effect in a node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeFaultStatus {
    /// The fault.
    pub fault: NodeFault,
    /// When it came into effect, on the machine's monotonic clock.
    pub since_ns: u64,
    /// What the node measured of it since then.
    pub measured: Measured,
}

/// What a node measured of a fault since it came into effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Measured {
    /// Of a slow disk: how long syncs took.
    Syncs {
        /// How many have returned.
        count: u64,
        /// The shortest, in microseconds; `None` if none has returned.
        shortest_us: Option<u64>,
        /// The median of the last of them, in microseconds.
        median_us: Option<u64>,
    },
    /// Of a sync that is to fail: how many have failed, none or one. The node stops after it.
    Failed {
        /// How many.
        syncs: u64,
    },
    /// Of a full disk: what was refused for want of space.
    Refused {
        /// How many writes, and files to be created.
        operations: u64,
    },
    /// Of syncs that do not return.
    Hanging {
        /// How many have not returned.
        syncs: u64,
        /// Since when the first of them has not, in milliseconds; `None` if there is none.
        longest_ms: Option<u64>,
    },
    /// Of syncs that lie.
    Lied {
        /// How many have.
        syncs: u64,
        /// How many bytes a power loss would discard now.
        unsynced_bytes: u64,
    },
    /// Of a clock that is frozen or has another rate: what has passed since the fault came into effect.
    Passed {
        /// On the node's clock, in microseconds.
        shown_us: u64,
        /// On the machine's monotonic clock, in microseconds.
        true_us: u64,
    },
    /// Of a clock that has jumped.
    Jumped {
        /// How far it was ahead of true time right after the jump, compared with right before, in microseconds; negative
        /// if behind.
        by_us: i64,
    },
    /// Of a crash point: the process has not ended there.
    Armed {
        /// How many times it passed the point, before the index that the fault waits for.
        passed: u64,
    },
}

/// What was done to the files of a node that is down: what `raftian-node damage` says on its standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damaged {
    /// What.
    pub damage: Damage,
    /// In which file, where it is a part of one.
    pub file: Option<PathBuf>,
    /// Where the record begins that was damaged, in bytes.
    pub offset: Option<u64>,
    /// Its length in bytes.
    pub length: Option<u64>,
}

/// The node's clock, which its time-outs and leases rest on, beside the machine's monotonic clock. Two readings of one
/// process give its rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// What it shows, in nanoseconds since the node started.
    pub shown_ns: u64,
    /// When, on the machine's monotonic clock.
    pub at_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_its_id_beside_its_effect() {
        let fault = NodeFault { id: FaultId(4), effect: NodeEffect::SlowSync { takes_ms: 20.0 } };
        let json = r#"{"id":"f4","effect":{"kind":"slow_sync","takes_ms":20.0}}"#;
        assert_eq!(serde_json::to_string(&fault).unwrap(), json);
        assert_eq!(serde_json::from_str::<NodeFault>(json).unwrap(), fault);
    }

    #[test]
    fn what_is_measured_names_its_kind() {
        let measured = Measured::Syncs { count: 3, shortest_us: Some(20_400), median_us: Some(21_000) };
        let json = r#"{"kind":"syncs","count":3,"shortest_us":20400,"median_us":21000}"#;
        assert_eq!(serde_json::to_string(&measured).unwrap(), json);
        assert_eq!(serde_json::from_str::<Measured>(json).unwrap(), measured);
    }
}
