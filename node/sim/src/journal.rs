//! What happened, for those who draw it or tell it.
//!
//! Invariant: nothing is remembered, and nothing is paid, unless somebody asked for it.

use raftian_raft::{Contradiction, Event, Index, Message, NodeId, ReadOutcome};
use raftian_script::{Op, Part};

use crate::invariant::Violation;
use crate::queue::MessageId;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// When, in virtual microseconds.
    pub at_us: u64,
    /// In which step.
    pub step: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A message left; a copy of it that the network makes has a name of its own.
    Sent(MessageId, Box<Message>),
    /// A message left, and will never arrive.
    Lost(Box<Message>),
    /// A message arrived (and is lost, if the server is down).
    Delivered(MessageId, Box<Message>),
    /// Something happened inside a server.
    Event(NodeId, Event),
    /// A server's disk has synced.
    Synced(NodeId),
    /// A server stopped.
    Crashed(NodeId),
    /// A server started.
    Started(NodeId),
    /// A bit flipped in a record of its disk.
    Damaged(NodeId, Part),
    /// Its disk was emptied.
    Wiped(NodeId),
    /// It was replaced by a copy that was made earlier.
    PutBack(NodeId),
    /// A server did not start, because of this.
    Refused(NodeId, Part),
    /// A server refused a message of or to another incarnation of a name.
    OtherIncarnation(NodeId, Contradiction),
    /// A server does nothing for a while.
    Paused(NodeId),
    /// It goes on.
    Resumed(NodeId),
    /// A server applied entries up to this index.
    Applied(NodeId, u64),
    /// What became of a read.
    Read(NodeId, ReadOutcome),
    /// A client's request arrived at a server that is up.
    Asked {
        /// Which client, from 0 on.
        client: usize,
        /// Whom it asked.
        node: NodeId,
        /// For what.
        op: Op,
    },
    /// A client learnt that what it wanted is done.
    Told {
        /// Which client, from 0 on.
        client: usize,
        /// What it wanted.
        op: Op,
        /// The index at which it took effect, or was read.
        index: Index,
    },
    /// A link was cut, or heals.
    Link {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// Whether it is cut now.
        is_cut: bool,
    },
    /// An invariant was broken, and nothing happens any more.
    Broken(Violation),
}

#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Vec<Happening>>);

impl Journal {
    pub(crate) fn begin(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn take(&mut self) -> Vec<Happening> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn note(&mut self, at_us: u64, step: u64, what: impl FnOnce() -> What) {
        if let Some(happenings) = &mut self.0 {
            happenings.push(Happening { at_us, step, what: what() });
        }
    }
}
