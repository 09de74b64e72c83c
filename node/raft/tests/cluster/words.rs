//! How what happens in a cluster reads. An entry is written `index@term`.

use std::fmt;

use raftian_raft::{
    AppendEntries, AppendReply, Body, Conflict, Entry, Event, InstallSnapshot, LastEntry, Message, NodeId, Payload,
    ReadOutcome, Reply, Request, RoleKind, SnapshotReply,
};

/// Something that can be seen from outside.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A message left its sender; with `lost`, into a link that is cut.
    Sent { message: Message, lost: bool },
    /// A server reported a turning point.
    Event(NodeId, Event),
    /// A server gave committed entries to its application.
    Applied(NodeId, Vec<Entry>),
    /// A server gave a snapshot to its application.
    Restored(NodeId, LastEntry),
    /// A server said what became of a read.
    Read(NodeId, ReadOutcome),
    /// What a disk had not synced is gone.
    Crashed(NodeId),
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::Sent { message, lost } => write_message(f, message, if *lost { '↛' } else { '→' }),
            Happening::Event(id, event) => write_event(f, *id, event),
            Happening::Applied(id, entries) => {
                write!(f, "{id}  applies")?;
                entries.iter().try_for_each(|entry| write!(f, " {}", at(entry)))
            }
            Happening::Restored(id, last) => write!(f, "{id}  restores the state at {}@{}", last.index, last.term),
            Happening::Read(id, ReadOutcome { ticket, index: Ok(index) }) => {
                write!(f, "{id}  may serve read {} from index {index} on", ticket.number())
            }
            Happening::Read(id, ReadOutcome { ticket, index: Err(_) }) => {
                write!(f, "{id}  fails read {}", ticket.number())
            }
            Happening::Crashed(id) => write!(f, "{id}  crashes"),
        }
    }
}

/// The name of a role.
pub(crate) fn role(role: RoleKind) -> &'static str {
    match role {
        RoleKind::Follower => "follower",
        RoleKind::PreCandidate => "pre-candidate",
        RoleKind::Candidate => "candidate",
        RoleKind::Leader => "leader",
    }
}

/// An entry of a log whose index is clear: its term, and its command if it has one.
pub(crate) fn cell(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => entry.term.to_string(),
        Payload::Command(command) => format!("{}:{}", entry.term, String::from_utf8_lossy(command)),
        Payload::Configuration(configuration) => format!("{}:({configuration})", entry.term),
    }
}

fn at(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => format!("{}@{}", entry.index, entry.term),
        Payload::Command(command) => format!("{}@{}:{}", entry.index, entry.term, String::from_utf8_lossy(command)),
        Payload::Configuration(configuration) => format!("{}@{}:({configuration})", entry.index, entry.term),
    }
}

fn write_message(f: &mut fmt::Formatter<'_>, message: &Message, arrow: char) -> fmt::Result {
    let Message { from, to, term, call, body } = message;
    write!(f, "{from} {arrow} {to}  ")?;
    match body {
        Body::Request(Request::PreVote(last)) => write_vote(f, "PreVote", *term, *call, *last),
        Body::Request(Request::RequestVote { last, transfer }) => {
            write_vote(f, "RequestVote", *term, *call, *last)?;
            write!(f, "{}", if *transfer { " for a transfer" } else { "" })
        }
        Body::Request(Request::TimeoutNow) => write!(f, "TimeoutNow term {term} call {call}"),
        Body::Request(Request::InstallSnapshot(InstallSnapshot { last, size, offset, data, .. })) => {
            let end = offset + data.len() as u64;
            write!(f, "InstallSnapshot term {term} call {call} last {}@{} ", last.index, last.term)?;
            write!(f, "bytes {offset}..{end} of {size}")
        }
        Body::Request(Request::AppendEntries(append)) => {
            let AppendEntries { prev_log_index, prev_log_term, entries, leader_commit } = append;
            write!(f, "AppendEntries term {term} call {call} prev {prev_log_index}@{prev_log_term}")?;
            if !entries.is_empty() {
                write!(f, " entries")?;
            }
            for entry in entries {
                write!(f, " {}@{}", entry.index, entry.term)?;
            }
            write!(f, " commit {leader_commit}")
        }
        Body::Reply(Reply::PreVote { granted }) => write_granted(f, "PreVote", *term, *call, *granted),
        Body::Reply(Reply::RequestVote { granted }) => write_granted(f, "RequestVote", *term, *call, *granted),
        Body::Reply(Reply::AppendEntries(reply)) => {
            write!(f, "AppendEntries reply term {term} call {call} ")?;
            match reply {
                AppendReply::Matched(index) => write!(f, "matched {index}"),
                AppendReply::Conflict(Conflict { term, index }) => {
                    write!(f, "conflict: at most up to {index}@{term}")
                }
                AppendReply::StaleTerm => write!(f, "stale term"),
            }
        }
        Body::Reply(Reply::InstallSnapshot(reply)) => {
            write!(f, "InstallSnapshot reply term {term} call {call} ")?;
            match reply {
                SnapshotReply::Received(bytes) => write!(f, "received {bytes} bytes"),
                SnapshotReply::Installed(index) => write!(f, "installed {index}"),
                SnapshotReply::StaleTerm => write!(f, "stale term"),
            }
        }
        Body::Reply(Reply::TimeoutNow) => write!(f, "TimeoutNow reply term {term} call {call}"),
    }
}

fn write_vote(f: &mut fmt::Formatter<'_>, name: &str, term: u64, call: u64, last: LastEntry) -> fmt::Result {
    write!(f, "{name} term {term} call {call} last {}@{}", last.index, last.term)
}

fn write_granted(f: &mut fmt::Formatter<'_>, name: &str, term: u64, call: u64, granted: bool) -> fmt::Result {
    write!(f, "{name} reply term {term} call {call} {}", if granted { "granted" } else { "refused" })
}

fn write_event(f: &mut fmt::Formatter<'_>, id: NodeId, event: &Event) -> fmt::Result {
    match event {
        Event::Role { role: RoleKind::Follower, term, leader: Some(leader) } => {
            write!(f, "{id}  follows {leader} in term {term}")
        }
        Event::Role { role: kind, term, .. } => write!(f, "{id}  is {} in term {term}", role(*kind)),
        Event::Voted { term, candidate } => write!(f, "{id}  votes for {candidate} in term {term}"),
        Event::Truncated { from } => write!(f, "{id}  discards its log from {from} on"),
        Event::Membership { configuration: Some(configuration) } => write!(f, "{id}  has members {configuration}"),
        Event::Membership { configuration: None } => write!(f, "{id}  knows of no members"),
        Event::SnapshotTaken { index } => write!(f, "{id}  takes a snapshot at {index}"),
        Event::SnapshotInstalled { index } => write!(f, "{id}  installs the snapshot at {index}"),
        Event::TransferStarted { to } => write!(f, "{id}  hands over to {to}"),
        Event::TransferAborted { to } => write!(f, "{id}  gives up handing over to {to}"),
        Event::DiskSilent => write!(f, "{id}  has a disk that does not answer"),
        Event::DiskAnswered { after_ms } => write!(f, "{id}  has a disk that answers after {after_ms} ms"),
        Event::AcknowledgementDenied { peer, index } => write!(f, "{id}  is denied entry {index} by {peer}"),
        Event::QuorumLost { term } => write!(f, "{id}  has not heard from a quorum in term {term}"),
    }
}
