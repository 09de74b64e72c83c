//! Events put together by hand, for the tests of timelines.

use raftian_rpc::NodeId;
use raftian_rpc::lab::{Event, Happening, NodeState};

/// A second, in nanoseconds.
pub(super) const S: u64 = 1_000_000_000;

/// A node by its number.
pub(super) fn node(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

/// It happened at this second.
pub(super) fn event(at_s: u64, what: Happening) -> Event {
    Event { seq: at_s, at_ns: at_s * S, unix_ms: 0, what }
}

/// A node was ready.
pub(super) fn ready(number: u16) -> Happening {
    let address = "127.0.0.1:4000".parse().unwrap();
    Happening::NodeReady { node: node(number), address, last_index: 0, torn_tail: None }
}

/// A node was no more.
pub(super) fn exited(number: u16, state: NodeState) -> Happening {
    Happening::NodeExited { node: node(number), state, reason: "SIGKILL".into() }
}
