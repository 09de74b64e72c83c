//! The rows of a chart: one for a step that shows, and one for a message that is lost.
//!
//! Invariants: the states of the servers are followed from the beginning, wherever the view begins; rows are in order of
//! their steps; what is not shown is counted.

use std::collections::{BTreeMap, BTreeSet};

use raftian_raft::{Body, Event, Message, NodeId, Reply, RoleKind};
use raftian_script::Kind;

use super::{View, words};
use crate::invariant::place;
use crate::journal::{Happening, What};
use crate::queue::MessageId;

/// All that is drawn.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) servers: usize,
    pub(super) rows: Vec<Row>,
    /// How many rows stand before and after the view.
    pub(super) before: usize,
    pub(super) after: usize,
    /// How many heartbeats and replies within the view are not shown, because they changed nothing.
    pub(super) idle: usize,
}

/// A line of the chart.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) step: u64,
    pub(super) at_us: u64,
    pub(super) arrow: Option<Arrow>,
    /// What happened to servers here, by their places.
    pub(super) marks: BTreeMap<usize, Mark>,
    /// What all servers are after it, by their places.
    pub(super) lanes: Vec<Lane>,
    pub(super) text: String,
    /// Whether an invariant was broken here.
    pub(super) is_broken: bool,
}

/// A message, between places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The step in which it was sent.
    pub(super) sent: u64,
    pub(super) is_lost: bool,
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Down,
    Paused,
    Up(RoleKind),
}

/// What happened to a server; of several things in one step, the last of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Read,
    Applied,
    Snapshot,
    Voted,
    Truncated,
    Resumed,
    Paused,
    Follows,
    Campaigns,
    Leads,
    Damaged,
    Refuses,
    Started,
    Crashed,
}

impl Mark {
    /// Its letter.
    pub(super) fn letter(self) -> char {
        match self {
            Mark::Read => 'r',
            Mark::Applied => '✓',
            Mark::Snapshot => 's',
            Mark::Voted => 'v',
            Mark::Truncated => '<',
            Mark::Resumed => '▸',
            Mark::Paused => '‖',
            Mark::Follows => 'F',
            Mark::Campaigns => 'C',
            Mark::Leads => 'L',
            Mark::Damaged => '%',
            Mark::Refuses => '!',
            Mark::Started => '○',
            Mark::Crashed => '✗',
        }
    }
}

impl Picture {
    pub(super) fn of(happenings: &[Happening], view: &View) -> Picture {
        let mut drawing = Drawing::new(happenings);
        let mut picture = Picture { servers: drawing.lanes.len(), ..Picture::default() };
        for step in happenings.chunk_by(|a, b| a.step == b.step) {
            let rows = drawing.step(step, view.idle);
            match step[0].step {
                number if number < view.from => picture.before += rows.shown.len(),
                number if number > view.to => picture.after += rows.shown.len(),
                _ => {
                    picture.idle += rows.idle;
                    picture.rows.extend(rows.shown);
                }
            }
        }
        picture
    }

    /// What is shown, and what is not.
    pub(super) fn heading(&self) -> String {
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else {
            return "nothing happened in these steps".to_owned();
        };
        let mut text = format!("steps {} to {}", first.step, last.step);
        let left_out = [(self.before, "rows before this"), (self.after, "rows after this")];
        let idle = (self.idle, "heartbeats and replies that changed nothing");
        for (count, what) in left_out.into_iter().chain([idle]).filter(|(count, _)| *count > 0) {
            text.push_str(&format!("; {count} {what} are left out"));
        }
        text
    }
}

/// What a step comes to.
#[derive(Default)]
struct Step {
    shown: Vec<Row>,
    idle: usize,
}

/// What is followed from step to step.
struct Drawing {
    lanes: Vec<Lane>,
    roles: Vec<RoleKind>,
    sent: BTreeMap<MessageId, u64>,
    /// The calls that are heartbeats, by caller, called and number.
    heartbeats: BTreeSet<(NodeId, NodeId, u64)>,
}

/// What is found in one step.
#[derive(Default)]
struct Found {
    arrow: Option<(Arrow, String, bool)>,
    lost: Vec<(Arrow, String, bool)>,
    marks: BTreeMap<usize, Mark>,
    texts: Vec<String>,
    cut: Vec<(NodeId, NodeId)>,
    healed: Vec<(NodeId, NodeId)>,
    broken: Option<String>,
}

impl Found {
    fn mark(&mut self, id: NodeId, mark: Mark) {
        let held = self.marks.entry(place(id)).or_insert(mark);
        *held = mark.max(*held);
    }
}

impl Drawing {
    /// Everybody is up and follows when a record begins, unless it says otherwise.
    fn new(happenings: &[Happening]) -> Drawing {
        let count = happenings.iter().flat_map(|happening| servers(&happening.what)).max().unwrap_or(0);
        let (lanes, roles) = (vec![Lane::Up(RoleKind::Follower); count], vec![RoleKind::Follower; count]);
        Drawing { lanes, roles, sent: BTreeMap::new(), heartbeats: BTreeSet::new() }
    }

    /// The rows of a step; idle messages are left out unless they are wanted.
    fn step(&mut self, step: &[Happening], wants_idle: bool) -> Step {
        let mut found = Found::default();
        for happening in step {
            self.note(happening, &mut found);
        }
        found.texts.extend(words::links(&found.cut, true));
        found.texts.extend(words::links(&found.healed, false));
        let (number, at_us) = (step[0].step, step[0].at_us);
        let lanes = &self.lanes;
        let row = |arrow, text| Row {
            step: number,
            at_us,
            arrow,
            marks: BTreeMap::new(),
            lanes: lanes.clone(),
            text,
            is_broken: false,
        };
        let mut rows = Step::default();
        let is_eventful = !found.texts.is_empty() || !found.marks.is_empty();
        match found.arrow {
            Some((_, _, true)) if !is_eventful && found.broken.is_none() && !wants_idle => rows.idle += 1,
            Some((arrow, text, _)) => {
                found.texts.insert(0, text);
                rows.shown.push(row(Some(arrow), found.texts.join("; ")));
            }
            None if is_eventful => rows.shown.push(row(None, found.texts.join("; "))),
            None => {}
        }
        if let Some(shown) = rows.shown.first_mut() {
            shown.marks = found.marks;
        }
        for (arrow, text, is_idle) in found.lost {
            match is_idle && !wants_idle {
                true => rows.idle += 1,
                false => rows.shown.push(row(Some(arrow), format!("lost: {text}"))),
            }
        }
        rows.shown.extend(found.broken.map(|text| Row { is_broken: true, ..row(None, text) }));
        rows
    }

    fn note(&mut self, happening: &Happening, found: &mut Found) {
        match &happening.what {
            What::Sent(id, message) => {
                self.sent.insert(*id, happening.step);
                self.note_heartbeat(message);
            }
            What::Lost(message) => {
                self.note_heartbeat(message);
                let arrow = arrow(message, happening.step, true);
                found.lost.push((arrow, words::message(message), self.is_heartbeat(message)));
            }
            What::Delivered(id, message) => {
                let sent = self.sent.remove(id).unwrap_or(happening.step);
                let is_down = self.lanes[place(message.to)] == Lane::Down;
                let nobody = if is_down { ", receiver is down" } else { "" };
                let text = format!("{}{nobody}", words::message(message));
                found.arrow = Some((arrow(message, sent, false), text, self.is_heartbeat(message)));
            }
            What::Event(id, event) => self.note_event(*id, event, found),
            What::Synced(_) => {}
            What::Crashed(id) => self.turn(*id, Lane::Down, Mark::Crashed, format!("{id} crashes"), found),
            What::Started(id) => {
                self.roles[place(*id)] = RoleKind::Follower;
                self.turn(*id, Lane::Up(RoleKind::Follower), Mark::Started, format!("{id} starts"), found);
            }
            What::Wiped(id) => {
                found.mark(*id, Mark::Damaged);
                found.texts.push(format!("the disk of {id} is emptied"));
            }
            What::PutBack(id) => {
                found.mark(*id, Mark::Damaged);
                found.texts.push(format!("an earlier copy of its disk is put back on {id}"));
            }
            What::Damaged(id, part) => {
                found.mark(*id, Mark::Damaged);
                found.texts.push(format!("a bit flips in {} of {id}", words::part(*part)));
            }
            What::Refused(id, part) => {
                found.mark(*id, Mark::Refuses);
                found.texts.push(format!("{id} does not start: {} is damaged", words::part(*part)));
            }
            What::OtherIncarnation(id, refused) => found.texts.push(format!("{id} refuses it: {refused}")),
            What::Paused(id) => self.turn(*id, Lane::Paused, Mark::Paused, format!("{id} pauses"), found),
            What::Resumed(id) => {
                let lane = Lane::Up(self.roles[place(*id)]);
                self.turn(*id, lane, Mark::Resumed, format!("{id} goes on"), found);
            }
            What::Applied(id, index) => {
                found.mark(*id, Mark::Applied);
                found.texts.push(format!("{id} commits and applies up to {index}"));
            }
            What::Read(id, outcome) => {
                found.mark(*id, Mark::Read);
                found.texts.push(words::read(*id, outcome));
            }
            What::Asked { client, node, op } => {
                found.texts.push(format!("client {client} asks {node} to {}", words::op(*op)));
            }
            What::Told { client, op, index } => {
                found.texts.push(format!("client {client} is told that it is done: {}, at {index}", words::op(*op)));
            }
            What::Link { from, to, is_cut: true } => found.cut.push((*from, *to)),
            What::Link { from, to, is_cut: false } => found.healed.push((*from, *to)),
            What::Broken(violation) => {
                found.broken = Some(format!("BROKEN {}: {}", violation.invariant, violation.text));
            }
        }
    }

    fn note_event(&mut self, id: NodeId, event: &Event, found: &mut Found) {
        found.texts.extend(words::event(id, self.roles[place(id)], event));
        let mark = match event {
            Event::Role { role, .. } => {
                self.roles[place(id)] = *role;
                self.lanes[place(id)] = Lane::Up(*role);
                Some(match role {
                    RoleKind::Leader => Mark::Leads,
                    RoleKind::Follower => Mark::Follows,
                    RoleKind::PreCandidate | RoleKind::Candidate => Mark::Campaigns,
                })
            }
            Event::Voted { .. } => Some(Mark::Voted),
            Event::Truncated { .. } => Some(Mark::Truncated),
            Event::SnapshotTaken { .. } | Event::SnapshotInstalled { .. } => Some(Mark::Snapshot),
            _ => None,
        };
        if let Some(mark) = mark {
            found.mark(id, mark);
        }
    }

    fn turn(&mut self, id: NodeId, lane: Lane, mark: Mark, text: String, found: &mut Found) {
        self.lanes[place(id)] = lane;
        found.mark(id, mark);
        found.texts.push(text);
    }

    fn note_heartbeat(&mut self, message: &Message) {
        if Kind::of(message) == Kind::Heartbeat {
            self.heartbeats.insert((message.from, message.to, message.call));
        }
    }

    /// Whether it is a heartbeat, or agrees to one.
    fn is_heartbeat(&self, message: &Message) -> bool {
        let Message { from, to, call, .. } = *message;
        match &message.body {
            Body::Request(_) => Kind::of(message) == Kind::Heartbeat,
            Body::Reply(Reply::AppendEntries(_)) => self.heartbeats.contains(&(to, from, call)),
            Body::Reply(_) => false,
        }
    }
}

fn arrow(message: &Message, sent: u64, is_lost: bool) -> Arrow {
    Arrow { from: place(message.from), to: place(message.to), sent, is_lost }
}

/// How many servers there must be for this to happen.
fn servers(what: &What) -> impl Iterator<Item = usize> {
    let ids = match what {
        What::Sent(_, message) | What::Lost(message) | What::Delivered(_, message) => {
            [Some(message.from), Some(message.to)]
        }
        What::Link { from, to, .. } => [Some(*from), Some(*to)],
        What::Event(id, _) | What::Synced(id) | What::Crashed(id) | What::Started(id) | What::Paused(id) => {
            [Some(*id), None]
        }
        What::Resumed(id) | What::Damaged(id, _) | What::Wiped(id) | What::Refused(id, _) => [Some(*id), None],
        What::PutBack(id) | What::Applied(id, _) | What::Read(id, _) | What::OtherIncarnation(id, _) => {
            [Some(*id), None]
        }
        What::Asked { node, .. } => [Some(*node), None],
        What::Told { .. } | What::Broken(_) => [None, None],
    };
    ids.into_iter().flatten().map(|id| place(id) + 1)
}
