//! What only experiments put into a node, to measure what it costs.
//!
//! | file | subject |
//! |---|---|
//! | `global_lock` | one lock for the thread that draws and the thread that serves |
//! | `together` | several nodes in one process |
//! | `xml` | messages between nodes as XML-RPC documents |
//!
//! Invariant: no lab asks for any of it, and without it nothing here is run.

pub(crate) mod global_lock;
pub(crate) mod together;
pub(crate) mod xml;
