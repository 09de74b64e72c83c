//! The network side of a node: what it asks of others, and what others ask of it.
//!
//! | file | subject |
//! |---|---|
//! | `peers` | the other nodes: addresses, calls, and the faults of the links on the way |
//! | `service` | the methods that this node answers: `raft.*`, `client.*`, `control.*` |
//!
//! Invariant: nothing here holds a server's state. What comes in goes into the host's inbox.

pub(crate) mod peers;
pub(crate) mod service;
