//! The node's trace: one JSON object per line, each with a monotonic time and an event.
//!
//! What a node knows of itself, for a closer look (`raftianctl logs`) and for tools; the turning points of its server
//! stand in the daemon's journal too, which timelines are drawn from. Deliberately absent: anything that happens per
//! command, which would cost more than it tells.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use raftian_raft::{Index, NodeId};
use raftian_rpc::host_event::HostEvent;
use raftian_rpc::{RaftEvent, clock, files};
use serde::Serialize;

use crate::parent;

/// What a node reports of itself, beside its server's events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum NodeEvent<'a> {
    /// The process has read its log and listens.
    Started { version: &'a str, pid: u32, port: u16, last_index: Index, torn_tail: Option<&'a str> },
    /// The peers, the faults of links and those inside the node have been set.
    Configured { version: u64, rules: usize, faults: usize },
    /// A peer sent what no peer should.
    Refused { reason: String },
    /// A snapshot of its own state came to nothing.
    SnapshotGivenUp { reason: &'a str },
    /// The process leaves in order.
    Stopped,
    /// The process cannot go on.
    Failed { reason: &'a str },
}

#[derive(Debug)]
pub(crate) struct Trace {
    node: NodeId,
    file: File,
    /// A full disk must not end a node whose log is elsewhere; it is said once.
    failed: bool,
}

#[derive(Serialize)]
struct Line<E> {
    at_ns: u64,
    node: NodeId,
    #[serde(flatten)]
    event: E,
}

impl Trace {
    /// Opens the trace, to go on at its end.
    pub(crate) fn open(path: &Path, node: NodeId) -> io::Result<Trace> {
        let file = files::append(path)?;
        Ok(Trace { node, file, failed: false })
    }

    pub(crate) fn node(&mut self, event: NodeEvent) {
        self.write(clock::monotonic_ns(), event);
    }

    pub(crate) fn raft(&mut self, at_ns: u64, event: RaftEvent) {
        self.write(at_ns, event);
    }

    pub(crate) fn host(&mut self, at_ns: u64, event: &HostEvent) {
        self.write(at_ns, event);
    }

    fn write(&mut self, at_ns: u64, event: impl Serialize) {
        let line = Line { at_ns, node: self.node, event };
        let mut text = serde_json::to_vec(&line).expect("events have string keys only");
        text.push(b'\n');
        if let Err(error) = self.file.write_all(&text)
            && !std::mem::replace(&mut self.failed, true)
        {
            parent::complain(&format!("the trace has gaps from here on: {error}"));
        }
    }
}
