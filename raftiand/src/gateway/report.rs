//! What has happened at an open canvas, counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use raftian_rpc::lab::CanvasCounts;

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Connections that are open.
    pub(super) connections: AtomicUsize,
    /// Pixels painted.
    pub(super) pixels: AtomicU64,
    /// The commands that painted them.
    pub(super) commands: AtomicU64,
    /// Requests to paint that failed.
    pub(super) failed: AtomicU64,
    /// Requests that were turned away.
    pub(super) refused: AtomicU64,
    /// Clients that were dropped because they did not read.
    pub(super) dropped: AtomicU64,
    /// WebSockets that went on behind another node.
    pub(super) moved: AtomicU64,
}

impl Counts {
    /// What they say now.
    pub(super) fn read(&self) -> CanvasCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CanvasCounts {
            connections: self.connections.load(Ordering::Relaxed),
            pixels: read(&self.pixels),
            commands: read(&self.commands),
            failed: read(&self.failed),
            refused: read(&self.refused),
            dropped: read(&self.dropped),
            moved: read(&self.moved),
        }
    }
}
