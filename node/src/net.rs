//! The network side of a node: its calls to other nodes, and the methods that it serves.
//!
//! | file | subject |
//! |---|---|
//! | `peers` | the other nodes: addresses, calls, and the faults of the links |
//! | `probe` | messages that only show what becomes of messages on a link |
//! | `recorder` | the messages in a file, when asked for |
//! | `service` | the methods that this node serves: `raft.*`, `client.*`, `control.*` |
//!
//! Invariant: nothing here holds a server's state. Requests and replies go into the host's inbox.

pub(crate) mod peers;
mod probe;
mod recent;
mod recorder;
pub(crate) mod service;
