//! Scenarios: one plain text form for what happens in a simulated cluster, told by hand or cut out of a seed.
//!
//! ```text
//! title   An entry of an earlier term, on a majority, is overwritten      settings first
//! servers 5
//! batch   1
//! n1 log 1 2                                                              what the disks hold
//! elect n1                                                                what happens, one thing after another
//! deliver n1 -> n3 append
//! crash n1
//! expect committed all 0                                                  what must be so then
//! see     One paragraph of what there is to see.
//! ```
//!
//! A statement is a line; lines after it that begin with a blank belong to it, and a `#` begins a comment.
//!
//! | Setting | Meaning (what holds without it) |
//! |---|---|
//! | `title …`, `see …` | one line, and one paragraph, for people |
//! | `servers 5` | so many founders, `n1` … `n5`; comes first |
//! | `joiners 2` | so many nodes more, which may be added (0) |
//! | `seed 7`, `app kv` | the luck of the run (1), its application: `kv` or `attack` |
//! | `mutant old_term_committed` | a planted bug; wants a build with such bugs |
//! | `election 150ms..300ms`, `heartbeat 50ms` | times of Raft (these) |
//! | `pre_vote off`, `check_quorum off`, `lease 10%` | rules of Raft (on, on, no lease) |
//! | `batch 1`, `chunk 100` | the most entries in a message, bytes in a chunk of a snapshot (4096, 524288) |
//! | `snapshot_every 20`, `keep 3` | snapshots by themselves, and what stays (none, 0) |
//! | `links drop 0.1`, `links latency 1ms jitter 0.5ms`, `links duplicate 0.1`, `links reorder 0.1 by 20ms` | every link (perfect) |
//! | `disks 100us..200us`, `disks held` | how long a sync takes (no time), or until a `sync` |
//! | `clocks 1000 953 1047` | their rates in thousandths (true) |
//! | `clients 3`, `patience 400ms`, `attempts 8`, `loss 3%` | clients, and how they ask (0, 400ms, 8, 0%) |
//!
//! | Statement | Meaning |
//! |---|---|
//! | `n3 term 5 vote n2 log 1 1 4` | n3 starts with this on its disk; term and vote may be left out |
//! | `elect n1` | its election time-out elapses, all messages are delivered, and it must lead |
//! | `timeout n1` | its next deadline comes: an election time-out, or a leader's heartbeat |
//! | `deliver all` | everything on its way is delivered, and what comes of it, and no clock is looked at |
//! | `deliver n1 -> n2 [KIND]` | what is on its way there now arrives; `*` is any node |
//! | `drop n1 -> n2 [KIND]` | it is lost |
//! | `hold …`, `copy …`, `release …` | it, or a copy of it, is put aside; what was put aside is on its way again |
//! | `propose n1 x`, `retry n2 x`, `read n1` | n1 is given a command named x, n2 the same one again, n1 a read |
//! | `add n1 n4`, `promote n1 n4`, `remove n1 n3`, `members n1 n1,n2 + n4`, `transfer n1 n2` | n1 is asked for that |
//! | `… refused` | after one of these: it must refuse |
//! | `disk n2 held`, `sync n2 [1]`, `disk n2 released` | it syncs only when told to (the first so many writes) |
//! | `advance 300ms` | time passes, and everything happens that is due |
//! | `expect CONDITION [within 2s]` | it must hold; with a time, everything happens until it does |
//! | `finish` | a core is healed and must come to life, then all is judged |
//!
//! The other statements are the actions of a [`Schedule`]: done if they can be done when their time comes. Before any
//! statement, `at 312.5ms` lets everything happen that is due until then.
//!
//! | Action | |
//! |---|---|
//! | `client 0 set k1 7`, `read k1`, `get k1`, `cas k1 none 7`, `incr k1 -2`, `del k1`, `attack 3`, `add 3`, `leave 3` | a client wants something |
//! | `crash n2 [keeping 1]`, `crash all` | of what was not synced, the first records stay |
//! | `crash n2 at boundary 3`, `crash n2 at install` | when it has crossed so many writes, syncs and messages; when it installs a snapshot |
//! | `restart n2`, `restart all`, `pause n2`, `resume n2`, `resume all` | |
//! | `cut n1 -> n2`, `cut n1 <-> *`, `partition n1,n2 \| n3,n4,n5`, `isolate n1`, `heal` | links |
//! | `clog n1 -> n2 for 250ms` | what is sent meanwhile arrives at its end |
//! | `disk n2 takes 20ms`, `disk n2 fails`, `disk n2 full`, `disk n2 has_room` | |
//! | `disk n2 rots entry 3`, `disk n2 rots hard_state`, `disk n2 rots snapshot` | bits flip there: n2 will not start again (not done where a quorum would be lost for good) |
//! | `compact n1 [keep 2]` | it is given a snapshot of its application |
//! | `try add n4`, `try promote n4`, `try remove n4`, `try members n1,n2 + n4`, `try transfer n2` | asked of whoever leads |
//!
//! Where it makes sense, `@leader or n2` is whoever leads, and n2 if nobody does.
//!
//! | Condition | |
//! |---|---|
//! | `leader n3`, `leader none`, `leader any` | the leader of the latest term that has one |
//! | `role n2 follower`, `vote n2 n3`, `vote n2 none` | a role is follower, pre_candidate, candidate, leader or down |
//! | `term n2 5`, `committed n1,n2 4`, `applied all 4`, `last n2 4`, `snapshot n2 3` | numbers, also `<= 5` and `>= 5` |
//! | `log n2 1 1 2`, `durable n2 1 1` | the terms of the entries it holds, or has on its disk |
//! | `members n2 n1,n2,n3 \| n1,n2 + n4` | voters, outgoing voters while joint, learners |
//! | `value all x 1`, `value n1 x none` | the applied value of a key |
//! | `read 1 served`, `read 1 failed`, `read 1 waiting` | of the reads by hand, in their order |
//! | `sent n2 -> n1 conflict <= 2` | how many messages of a kind were sent so far; `*` is any node |
//! | `acknowledged 2` | how many operations of clients were |
//! | `violation commit_own_term` | this invariant was broken, and ended the run |
//!
//! A kind of message is one of [`Kind`], or `conflict` or `granted` for the answers that say so; none is all.
//!
//! Invariants: a text that is read and written reads back as the same scenario. A [`Schedule`] written as a scenario
//! plays as it does itself, to the same hash. Nobody's text can make a world panic: names and numbers are checked here.

mod action;
mod condition;
mod figures;
mod play;
mod read;
mod setup;
mod words;
mod write;

use raftian_raft::{AppendReply, Body, Change, Message, NodeId, Reply, Term};

use crate::coverage::Kind;
use crate::schedule::{Action, Schedule};
use crate::settings::{Plan, Settings};

pub use condition::{Condition, Count, Measure, Nodes, ReadFate};
pub use figures::{FIGURES, Figure};
pub use play::{Played, Stopped};
pub use words::{Unreadable, nearest};

/// A scenario. It is read with [`str::parse`] and written with [`ToString`].
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is, in a line; may be empty.
    pub title: String,
    /// What there is to see, in a paragraph; may be empty.
    pub see: String,
    /// The seed of all luck.
    pub seed: u64,
    /// The planted bug, if there is one.
    pub settings: Settings,
    /// The parameters of the cluster.
    pub plan: Plan,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A statement, and where it stands.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line it was read from, from 1 on; 0 if it was not.
    pub line: usize,
    /// Everything happens first that is due before this time, in microseconds; `None` if it comes right after the
    /// statement before it.
    pub at_us: Option<u64>,
    /// What happens.
    pub statement: Statement,
}

/// Something that happens, or must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// An action of a schedule.
    Do(Action),
    /// A server starts with this on its disk.
    Disk {
        /// Which.
        node: NodeId,
        /// Its term; that of its last entry if it is not said.
        term: Option<Term>,
        /// Its vote in that term.
        vote: Option<NodeId>,
        /// The terms of its entries.
        log: Vec<Term>,
    },
    /// A server is elected at once.
    Elect(NodeId),
    /// A server's next deadline comes.
    Timeout(NodeId),
    /// All messages are delivered, and what comes of them.
    DeliverAll,
    /// Something happens to messages on their way.
    Messages {
        /// What.
        fate: Fate,
        /// Which.
        which: Which,
    },
    /// A disk syncs only when it is told to, or by itself again.
    HoldDisk {
        /// Whose.
        node: NodeId,
        /// Whether it waits.
        is_held: bool,
    },
    /// A disk syncs what waits for it.
    Sync {
        /// Whose.
        node: NodeId,
        /// Only the first so many writes.
        writes: Option<usize>,
    },
    /// A server is asked for something.
    Ask {
        /// Which.
        at: NodeId,
        /// What.
        wish: Wish,
        /// Whether it must refuse; else it must not.
        is_refused: bool,
    },
    /// Time passes, in microseconds.
    Advance(u64),
    /// Something must be so.
    Expect {
        /// What.
        condition: Condition,
        /// By when at the latest, from now on, in microseconds; 0 if now.
        within_us: u64,
    },
    /// A core is healed and must come to life, then all is judged.
    Finish,
}

/// What happens to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They arrive now.
    Deliver,
    /// They are lost.
    Drop,
    /// They are put aside.
    Hold,
    /// Copies of them are put aside.
    Copy,
    /// What was put aside is on its way again.
    Release,
}

/// Messages: those of all of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    /// Who sends them; `None` for anybody.
    pub from: Option<NodeId>,
    /// Who receives them; `None` for anybody.
    pub to: Option<NodeId>,
    /// What they say.
    pub class: Class,
}

/// What messages say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Anything.
    Any,
    /// Something of this kind.
    Of(Kind),
    /// That an entry is missing or of another term (§5.3).
    Conflict,
    /// That a vote, or a pre-vote, is granted.
    Granted,
}

/// What a server is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To take a command of this name.
    Propose(String),
    /// To take the last command of this name once more, as its client would.
    Retry(String),
    /// To say from where on a state is fresh enough to be read.
    Read,
    /// To change the membership.
    Change(Change),
    /// To hand over.
    Transfer(NodeId),
}

impl Fate {
    /// The word for it.
    fn verb(self) -> &'static str {
        match self {
            Fate::Deliver => "deliver",
            Fate::Drop => "drop",
            Fate::Hold => "hold",
            Fate::Copy => "copy",
            Fate::Release => "release",
        }
    }
}

impl Which {
    /// Whether this message is one of them.
    fn matches(self, message: &Message) -> bool {
        let has_class = match self.class {
            Class::Any => true,
            Class::Of(kind) => Kind::of(message) == kind,
            Class::Conflict => matches!(message.body, Body::Reply(Reply::AppendEntries(AppendReply::Conflict(_)))),
            Class::Granted => {
                matches!(
                    message.body,
                    Body::Reply(Reply::PreVote { granted: true } | Reply::RequestVote { granted: true })
                )
            }
        };
        has_class && self.from.is_none_or(|from| from == message.from) && self.to.is_none_or(|to| to == message.to)
    }
}

/// Lines are no part of what a scenario says.
impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        (self.at_us, &self.statement) == (other.at_us, &other.statement)
    }
}

impl Scenario {
    /// A schedule as a scenario.
    pub fn of(schedule: &Schedule, settings: Settings) -> Scenario {
        let Schedule { seed, plan, actions, end_us } = schedule;
        let step = |at_us, statement| Step { line: 0, at_us: Some(at_us), statement };
        let actions = actions.iter().map(|timed| step(timed.at_us, Statement::Do(timed.action.clone())));
        let steps = actions.chain([step(*end_us, Statement::Finish)]).collect();
        Scenario { title: String::new(), see: String::new(), seed: *seed, settings, plan: plan.clone(), steps }
    }
}
