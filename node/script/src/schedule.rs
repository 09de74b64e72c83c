//! What is done to a cluster from outside, and when: a script that can be cut down and played again.
//!
//! Invariant: all of it is fixed before a run begins, so that one action can be taken out and the others stay.

use raftian_apps::{AppKind, Colour};
use raftian_raft::{Change, Index, NodeId};

use crate::plan::{Plan, ServerSettings};

/// A whole run, before it is played.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The seed, from which all random numbers of messages and servers follow.
    pub seed: u64,
    /// The parameters.
    pub plan: Plan,
    /// What is done, in order of time.
    pub actions: Vec<Timed>,
    /// When the faults end, in microseconds, and the cluster is to come to life.
    pub end_us: u64,
}

/// An action and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When, in microseconds.
    pub at_us: u64,
    /// What.
    pub action: Action,
}

/// Something that is done to a cluster from outside. What cannot be done when its time comes is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client wants something.
    Op {
        /// Which client, from 0 on.
        client: usize,
        /// What.
        op: Op,
    },
    /// A server stops; of what was not synced, the first `keep` records reach the disk all the same.
    Crash {
        /// Which.
        node: Whom,
        /// How many.
        keep: usize,
    },
    /// A server will stop when it has crossed so many boundaries: a write handed over, a sync that is done but not yet
    /// known, a message about to leave.
    CrashAtBoundary {
        /// Which.
        node: Whom,
        /// How many, from 1 on.
        boundaries: u32,
        /// As in [`Action::Crash`].
        keep: usize,
    },
    /// A server will stop when it puts a leader's snapshot in the place of its log.
    CrashAtInstall {
        /// Which.
        node: NodeId,
        /// As in [`Action::Crash`].
        keep: usize,
    },
    /// All servers stop.
    CrashAll {
        /// As in [`Action::Crash`].
        keep: usize,
    },
    /// A server that is down starts.
    Restart(NodeId),
    /// A server that is down starts with other settings, as after an upgrade.
    RestartWith {
        /// Which.
        node: NodeId,
        /// How they change.
        settings: ServerSettings,
    },
    /// All servers that are down start.
    RestartAll,
    /// A server does nothing until it is resumed.
    Pause(Whom),
    /// It goes on, with all that has arrived meanwhile.
    Resume(NodeId),
    /// Every server that is paused goes on.
    ResumeAll,
    /// A link loses everything.
    Cut {
        /// Who is not heard.
        from: NodeId,
        /// By whom.
        to: NodeId,
    },
    /// The leader of the moment is cut off in both directions.
    IsolateLeader,
    /// All links work again.
    Heal,
    /// What is sent over a link is held up, and then arrives at once.
    Clog {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// For how long.
        for_us: u64,
    },
    /// Syncs of a disk take this long from now on.
    SyncTakes {
        /// Whose disk.
        node: NodeId,
        /// How long.
        us: u64,
    },
    /// To apply an entry takes a server's application this long from now on, and the server does nothing else meanwhile.
    ApplyTakes {
        /// Whose application.
        node: NodeId,
        /// How long.
        us: u64,
    },
    /// The next sync of a disk fails.
    SyncFails(Whom),
    /// A disk has no room for writes from now on, or has again.
    DiskFull {
        /// Whose disk.
        node: NodeId,
        /// Whether it is full.
        is_full: bool,
    },
    /// A clock goes another way from now on.
    Clock {
        /// Whose clock.
        node: NodeId,
        /// Which way.
        goes: ClockGoes,
    },
    /// A bit flips on a disk. Its node finds out when it starts, and does not start then. Not done where a configuration
    /// would lose its quorum for good; nor is a change of the members, later, by which one would.
    FlipBit {
        /// Whose disk.
        node: NodeId,
        /// In which record.
        part: Part,
    },
    /// The disk of a node that is down is emptied, and another server of its name begins: the next incarnation. Not done
    /// where a configuration would lose its quorum for good.
    Wipe(NodeId),
    /// A copy of what a node's disk holds is kept aside, in place of an earlier one.
    KeepDisk(NodeId),
    /// The disk of a node that is down is replaced by the copy that was kept, if there is one of this incarnation. Done
    /// where no configuration needs the node any more, and those that came back so are no quorum of members that there ever
    /// were; or where nobody rests on what it promised since.
    PutBackDisk(NodeId),
    /// The leader is asked for other members.
    Change(Change),
    /// The leader is asked to hand over.
    Transfer(NodeId),
    /// A server is given a snapshot, and keeps so many entries that it covers.
    Compact {
        /// Which.
        node: Whom,
        /// How many.
        keep: u64,
    },
}

/// How a clock goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockGoes {
    /// At this rate, in thousandths of the true one; from 100 to 10,000.
    AtRate(u32),
    /// It stands still.
    Frozen,
    /// At the true rate, from what it shows.
    True,
    /// It jumps ahead by so many microseconds, once, and goes on as before.
    Ahead(u64),
}

/// A part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The last term and vote that were written.
    HardState,
    /// The snapshot.
    Snapshot,
    /// The entry at this index. If the log does not have it, the next one; if there is none, the last one.
    Entry(Index),
}

/// A server, by its name or by what it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// This one.
    Node(NodeId),
    /// The leader of the latest term that has one; this one if there is none.
    Leader {
        /// Who stands in.
        or: NodeId,
    },
}

/// What a client wants. Keys and values are numbers; on the attack game the key is a player, on a canvas two say a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read a key without an entry in the log.
    Read(u8),
    /// Read a key through the log.
    Get(u8),
    /// Set a key.
    Set(u8, u32),
    /// Set a key if it has the first value, or none.
    Cas(u8, Option<u32>, u32),
    /// Add to a key.
    Incr(u8, i8),
    /// Remove a key.
    Del(u8),
    /// Attack a player.
    Attack(u8),
    /// Put a player on the board.
    Add(u8),
    /// Take a player off the board.
    Leave(u8),
    /// Read a pixel without an entry in the log.
    Pixel(u16, u16),
    /// Paint a pixel.
    Paint(u16, u16, Colour),
}

impl Op {
    /// The op as its application reads it.
    pub fn json(self) -> String {
        match self {
            Op::Read(key) | Op::Get(key) => format!(r#"{{"get":"k{key}"}}"#),
            Op::Set(key, value) => format!(r#"{{"set":["k{key}","{value}"]}}"#),
            Op::Cas(key, Some(old), new) => format!(r#"{{"cas":["k{key}","{old}","{new}"]}}"#),
            Op::Cas(key, None, new) => format!(r#"{{"cas":["k{key}",null,"{new}"]}}"#),
            Op::Incr(key, by) => format!(r#"{{"incr":["k{key}",{by}]}}"#),
            Op::Del(key) => format!(r#"{{"del":"k{key}"}}"#),
            Op::Attack(player) => format!(r#"{{"attack":{player}}}"#),
            Op::Add(player) => format!(r#"{{"add":{player}}}"#),
            Op::Leave(player) => format!(r#"{{"del":{player}}}"#),
            Op::Pixel(x, y) => format!(r#"{{"pixel":[{x},{y}]}}"#),
            Op::Paint(x, y, colour) => format!(r#"{{"paint":[[{x},{y},{}]]}}"#, colour.number()),
        }
    }

    /// The application that knows it.
    pub fn app(self) -> AppKind {
        match self {
            Op::Attack(_) | Op::Add(_) | Op::Leave(_) => AppKind::Attack,
            Op::Read(_) | Op::Get(_) | Op::Set(..) | Op::Cas(..) | Op::Incr(..) | Op::Del(_) => AppKind::Kv,
            Op::Pixel(..) | Op::Paint(..) => AppKind::Canvas,
        }
    }

    /// Whether it goes by a confirmed index instead of the log.
    pub fn is_read(self) -> bool {
        matches!(self, Op::Read(_) | Op::Pixel(..))
    }
}
