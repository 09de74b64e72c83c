//! How much a machine keeps, and in which form.
//!
//! Invariant: limits are a constant of the cluster, like the application itself. Which session expires follows from the
//! log *and* from these numbers, so two servers with other limits would answer one retry differently. A snapshot does not
//! carry them: a machine that is restored is given them again.
//!
//! Deliberately absent: a way to change them while a cluster lives.

/// The limits of a [`Machine`](crate::Machine), the same on all servers of a cluster and for all of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most client sessions kept; at least one is.
    pub max_sessions: usize,
    /// The most bytes of responses kept in sessions, the newest response aside.
    pub max_remembered_bytes: usize,
    /// A snapshot whose JSON is longer than this, in bytes, is written in the compact form. Both forms are read whatever
    /// this is; but servers that differ in it encode one state differently, and then a transfer that one leader began
    /// cannot be completed by another.
    pub compact_above_bytes: usize,
}

impl Default for Limits {
    /// 16,384 sessions, 256 MiB of responses, and JSON as it is up to 1 MiB: up to there it costs a disk and a link of one
    /// machine next to nothing, and people can read it.
    fn default() -> Limits {
        Limits { max_sessions: 16_384, max_remembered_bytes: 256 << 20, compact_above_bytes: 1 << 20 }
    }
}
