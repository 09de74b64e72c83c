//! What happened, in a few words.
//!
//! Invariant: `5@3` is entry 5, of term 3, and `t3` is term 3, in all charts alike.

use raftian_raft::{
    AppendEntries, AppendReply, Body, Conflict, Entry, Event, InstallSnapshot, LastEntry, Message, NodeId, ReadOutcome,
    Reply, Request, RoleKind, SnapshotReply,
};
use raftian_script::{Op, Part};

/// What the letters of a chart mean.
pub(super) const LEGEND: &str = "5@3 is entry 5, of term 3; t3 is term 3; an arrow ends where and when its message \
     arrives";

/// What a message says.
pub(super) fn message(message: &Message) -> String {
    let term = message.term;
    match &message.body {
        Body::Request(request) => self::request(request, term),
        Body::Reply(reply) => self::reply(reply, term),
    }
}

fn request(request: &Request, term: u64) -> String {
    match request {
        Request::PreVote(last) => format!("PreVote for t{term}, log ends with {}", at(last)),
        Request::RequestVote { last, transfer } => {
            let why = if *transfer { ", by transfer" } else { "" };
            format!("RequestVote t{term}, log ends with {}{why}", at(last))
        }
        Request::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, leader_commit }) => {
            let prev = at(&LastEntry { index: *prev_log_index, term: *prev_log_term });
            match entries.is_empty() {
                true => format!("heartbeat t{term}, after {prev}, commit {leader_commit}"),
                false => format!("AppendEntries t{term}, after {prev}: {}, commit {leader_commit}", runs(entries)),
            }
        }
        Request::InstallSnapshot(InstallSnapshot { last, size, offset, data, .. }) => {
            let end = offset + data.len() as u64;
            format!("InstallSnapshot t{term}, up to {}, bytes {offset} to {end} of {size}", at(last))
        }
        Request::TimeoutNow => format!("TimeoutNow t{term}"),
    }
}

fn reply(reply: &Reply, term: u64) -> String {
    match reply {
        Reply::PreVote { granted: true } => format!("would vote in t{term}"),
        Reply::PreVote { granted: false } => format!("would not vote, is in t{term}"),
        Reply::RequestVote { granted: true } => format!("vote granted, t{term}"),
        Reply::RequestVote { granted: false } => format!("vote refused, t{term}"),
        Reply::AppendEntries(AppendReply::Matched(index)) => format!("matches up to {index}, t{term}"),
        Reply::AppendEntries(AppendReply::Conflict(Conflict { index: 0, .. })) => {
            format!("conflict, agrees nowhere, t{term}")
        }
        Reply::AppendEntries(AppendReply::Conflict(Conflict { term: held, index })) => {
            format!("conflict, agrees at most up to {index}@{held}, t{term}")
        }
        Reply::InstallSnapshot(SnapshotReply::Received(bytes)) => format!("has {bytes} bytes, t{term}"),
        Reply::InstallSnapshot(SnapshotReply::Installed(index)) => format!("has all up to {index}, t{term}"),
        Reply::AppendEntries(AppendReply::StaleTerm) | Reply::InstallSnapshot(SnapshotReply::StaleTerm) => {
            format!("stale, is in t{term}")
        }
        Reply::TimeoutNow => format!("TimeoutNow heard, t{term}"),
    }
}

fn at(last: &LastEntry) -> String {
    format!("{}@{}", last.index, last.term)
}

/// `5-7@3 8@4`: entries by runs of a term.
fn runs(entries: &[Entry]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for run in entries.chunk_by(|a, b| a.term == b.term) {
        let (first, last, term) = (run[0].index, run[run.len() - 1].index, run[0].term);
        texts.push(if first == last { format!("{first}@{term}") } else { format!("{first}-{last}@{term}") });
    }
    texts.join(" ")
}

/// What a server has to tell, which had this role before; `None` if the rest says it already.
pub(super) fn event(id: NodeId, before: RoleKind, event: &Event) -> Option<String> {
    Some(match event {
        Event::Role { role: RoleKind::Leader, term, .. } => format!("{id} leads t{term}"),
        Event::Role { role: RoleKind::Candidate, term, .. } => format!("{id} stands for t{term}"),
        Event::Role { role: RoleKind::PreCandidate, term, .. } => format!("{id}, in t{term}, asks whether to stand"),
        Event::Role { leader: Some(leader), term, .. } => format!("{id} follows {leader} in t{term}"),
        Event::Role { term, .. } if before == RoleKind::Follower => format!("{id} enters t{term}"),
        Event::Role { term, .. } => format!("{id} steps down, t{term}"),
        Event::Voted { candidate, .. } if *candidate == id => return None,
        Event::Voted { candidate, .. } => format!("{id} votes for {candidate}"),
        Event::Truncated { from } => format!("{id} discards its entries from {from} on"),
        Event::Membership { configuration: Some(configuration) } => format!("{id} counts [{configuration}]"),
        Event::Membership { configuration: None } => format!("{id} knows no members"),
        Event::SnapshotTaken { index } => format!("{id} takes a snapshot up to {index}"),
        Event::SnapshotInstalled { index } => format!("{id} installs a snapshot up to {index}"),
        Event::DiskSilent => format!("the disk of {id} does not answer"),
        Event::DiskAnswered { after_ms } => format!("the disk of {id} answers after {after_ms} ms"),
        Event::AcknowledgementDenied { peer, index } => {
            format!("{peer} denies to {id} what it acknowledged, up to {index}; it counts no more")
        }
        Event::QuorumLost { term } => format!("{id} hears no quorum in t{term}"),
        Event::TransferStarted { to } => format!("{id} begins to hand over to {to}"),
        Event::TransferAborted { to } => format!("{id} gives up handing over to {to}"),
    })
}

/// A record of a disk.
pub(super) fn part(part: Part) -> String {
    match part {
        Part::HardState => "the hard state".to_owned(),
        Part::Snapshot => "the snapshot".to_owned(),
        Part::Entry(index) => format!("entry {index}"),
    }
}

/// What became of a read.
pub(super) fn read(id: NodeId, outcome: &ReadOutcome) -> String {
    match outcome.index {
        Ok(index) => format!("{id} may serve read {} from {index} on", outcome.ticket.number()),
        Err(_) => format!("{id} fails read {}", outcome.ticket.number()),
    }
}

/// What a client wants.
pub(super) fn op(op: Op) -> String {
    match op {
        Op::Read(key) => format!("read k{key}"),
        Op::Get(key) => format!("get k{key}"),
        Op::Set(key, value) => format!("set k{key} to {value}"),
        Op::Cas(key, old, new) => {
            let old = old.map_or("nothing".to_owned(), |old| old.to_string());
            format!("set k{key} from {old} to {new}")
        }
        Op::Incr(key, by) => format!("add {by} to k{key}"),
        Op::Del(key) => format!("delete k{key}"),
        Op::Attack(player) => format!("attack {player}"),
        Op::Add(player) => format!("add player {player}"),
        Op::Leave(player) => format!("remove player {player}"),
        Op::Pixel(x, y) => format!("read pixel {x},{y}"),
        Op::Paint(x, y, colour) => format!("paint pixel {x},{y} {colour}"),
    }
}

/// Links that were cut, or heal.
pub(super) fn links(links: &[(NodeId, NodeId)], are_cut: bool) -> Option<String> {
    let verb = if are_cut { "cut" } else { "healed" };
    let names: Vec<String> = links.iter().map(|(from, to)| format!("{from}→{to}")).collect();
    match names.len() {
        0 => None,
        1..=6 => Some(format!("{verb}: {}", names.join(" "))),
        count => Some(format!("{verb}: {count} links")),
    }
}
