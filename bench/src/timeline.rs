//! The timeline of a run as pure data: who led when, what was broken when, and what the clients felt.
//!
//! Invariant: a function of the journal and the samples alone, on one axis: seconds since the start of the load. It
//! serialises, so that a chart can be drawn again without the run.
//!
//! Deliberately absent: drawing; see [`chart`](crate::chart).

mod elections;
#[cfg(test)]
mod happened;
mod marks;
mod points;
mod trace;
mod trace_messages;
mod windows;

use std::collections::BTreeMap;

use raftian_check::Verdict;
use raftian_rpc::lab::{Event, Happening};
use raftian_rpc::{NodeId, RaftEvent, RoleKind, Term};
use serde::{Deserialize, Serialize};

use crate::load::{OutcomeKind, Sample};
use crate::summary::Summary;

pub use self::elections::{Candidacy, Election};
pub use self::marks::{Mark, MarkKind};
pub(crate) use self::points::points;
pub use self::trace_messages::MOST_CALLS;

/// The shortest bin of the throughput.
const SHORTEST_BIN_S: f64 = 0.1;

/// The most bins.
const MOST_BINS: f64 = 600.0;

/// A run, ready to be drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineData {
    /// From the start of the load to the end of its schedule.
    pub duration_s: f64,
    /// What each node was, in order.
    pub lanes: Vec<Lane>,
    /// What was broken, in order of its beginning.
    pub windows: Vec<FaultWindow>,
    /// The width of a bin of `throughput_per_s`.
    pub bin_s: f64,
    /// Commands acknowledged per second, bin by bin.
    pub throughput_per_s: Vec<f64>,
    /// Every operation.
    pub dots: Vec<Dot>,
    /// Who stood for election, and who voted for whom.
    pub elections: Vec<Election>,
    /// What happened at one moment.
    pub marks: Vec<Mark>,
    /// The statistics of the load.
    pub summary: Summary,
    /// Where the axis begins, on the monotonic clock.
    #[serde(default)]
    pub start_ns: u64,
    /// What the judges said, if they were asked.
    pub verdict: Option<Verdict>,
    /// Machine, seed and version, for the footer.
    pub provenance: String,
}

/// One node over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// The node.
    pub node: NodeId,
    /// What it was: without holes, from 0 to the end.
    pub spans: Vec<Span>,
}

/// A stretch of time in which a node was one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its beginning.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
    /// What the node was.
    pub state: LaneState,
    /// Its term, as far as known; 0 before any.
    pub term: Term,
}

/// What a node can be on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// No process that serves.
    Down,
    /// Stopped by SIGSTOP.
    Paused,
    /// Answering a leader, or waiting for one.
    Follower,
    /// Standing for election, or asking whether it should.
    Candidate,
    /// Leading, as far as it knows.
    Leader,
}

/// A time in which something was broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultWindow {
    /// Its beginning.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
    /// What it was: `kill n2`, `pause n4`, `partition n5 | rest`.
    pub label: String,
    /// What was measured of its effect, or what did not come of it: `n1→n2: 52 ms, wanted 50`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dot {
    /// Its intended send.
    pub at_s: f64,
    /// From there to the outcome.
    pub latency_ms: f64,
    /// The outcome.
    pub kind: OutcomeKind,
}

/// A run as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The journal, as far back as is known.
    pub events: &'a [Event],
    /// The operations.
    pub samples: &'a [Sample],
    /// The start of the load on the monotonic clock.
    pub start_ns: u64,
    /// The end of its schedule.
    pub end_ns: u64,
}

impl TimelineData {
    /// Lays a recorded run out on its axis.
    pub fn of(run: &Recorded<'_>, summary: Summary, verdict: Option<Verdict>, provenance: String) -> TimelineData {
        let axis = Axis { start_ns: run.start_ns, end_ns: run.end_ns.max(run.start_ns) };
        let mut events: Vec<&Event> = run.events.iter().collect();
        // A node's own time stamps reach the journal a little late.
        events.sort_by_key(|event| event.at_ns);
        let duration_s = axis.duration_s();
        let bin_s = ((duration_s / MOST_BINS / SHORTEST_BIN_S).ceil() * SHORTEST_BIN_S).max(SHORTEST_BIN_S);
        TimelineData {
            duration_s,
            lanes: lanes(&events, axis),
            windows: windows::windows(&events, axis),
            bin_s,
            throughput_per_s: throughput(run.samples, axis, bin_s),
            dots: dots(run.samples, axis),
            elections: elections::elections(&events, axis),
            marks: marks::marks(&events, axis),
            summary,
            start_ns: axis.start_ns,
            verdict,
            provenance,
        }
    }
}

#[derive(Clone, Copy)]
struct Axis {
    start_ns: u64,
    end_ns: u64,
}

impl Axis {
    /// Whether something was while the run was.
    fn has(self, at_ns: u64) -> bool {
        (self.start_ns..=self.end_ns).contains(&at_ns)
    }

    fn duration_s(self) -> f64 {
        (self.end_ns - self.start_ns) as f64 / 1e9
    }

    /// Seconds since the start, kept within the axis.
    fn at(self, at_ns: u64) -> f64 {
        (at_ns.clamp(self.start_ns, self.end_ns) - self.start_ns) as f64 / 1e9
    }
}

/// What is known of a node at one moment.
#[derive(Clone, Copy)]
struct Known {
    up: bool,
    paused: bool,
    role: LaneState,
    term: Term,
}

impl Known {
    fn shown(self) -> (LaneState, Term) {
        match self {
            Known { up: false, term, .. } => (LaneState::Down, term),
            Known { paused: true, term, .. } => (LaneState::Paused, term),
            Known { role, term, .. } => (role, term),
        }
    }

    fn follow(&mut self, what: &Happening) {
        match what {
            Happening::NodeReady { .. } => {
                *self = Known { up: true, paused: false, role: LaneState::Follower, ..*self };
            }
            Happening::NodeExited { .. } => self.up = false,
            Happening::NodePaused { .. } => self.paused = true,
            Happening::NodeResumed { .. } => self.paused = false,
            Happening::Raft { event: RaftEvent::Role { role, term, .. }, .. } => {
                // A server that speaks is up, whether or not its readiness was noted before.
                self.up = true;
                self.term = *term;
                self.role = match role {
                    RoleKind::Follower => LaneState::Follower,
                    RoleKind::PreCandidate | RoleKind::Candidate => LaneState::Candidate,
                    RoleKind::Leader => LaneState::Leader,
                };
            }
            _ => {}
        }
    }
}

fn lanes(events: &[&Event], axis: Axis) -> Vec<Lane> {
    let mut nodes: BTreeMap<NodeId, (Known, Vec<Span>, f64)> = BTreeMap::new();
    for event in events.iter().filter(|event| event.at_ns <= axis.end_ns) {
        let Some(node) = concerned(&event.what) else { continue };
        let fresh = Known { up: false, paused: false, role: LaneState::Follower, term: 0 };
        let (known, spans, since_s) = nodes.entry(node).or_insert((fresh, Vec::new(), 0.0));
        let before = known.shown();
        known.follow(&event.what);
        if known.shown() != before {
            close(spans, *since_s, axis.at(event.at_ns), before);
            *since_s = axis.at(event.at_ns);
        }
    }
    let finish = |(node, (known, mut spans, since_s)): (NodeId, (Known, Vec<Span>, f64))| {
        close(&mut spans, since_s, axis.duration_s(), known.shown());
        Lane { node, spans }
    };
    nodes.into_iter().map(finish).collect()
}

fn close(spans: &mut Vec<Span>, from_s: f64, to_s: f64, (state, term): (LaneState, Term)) {
    if to_s > from_s {
        spans.push(Span { from_s, to_s, state, term });
    }
}

fn concerned(what: &Happening) -> Option<NodeId> {
    match what {
        Happening::NodeSpawned { node, .. }
        | Happening::NodeReady { node, .. }
        | Happening::NodeExited { node, .. }
        | Happening::NodePaused { node }
        | Happening::NodeResumed { node }
        | Happening::Raft { node, .. } => Some(*node),
        _ => None,
    }
}

fn throughput(samples: &[Sample], axis: Axis, bin_s: f64) -> Vec<f64> {
    // A last bin that is cut short would look like a drop.
    let bins = (axis.duration_s() / bin_s + 1e-9).floor() as usize;
    let mut counts = vec![0_u64; bins];
    for sample in samples.iter().filter(|sample| sample.kind == OutcomeKind::Ok) {
        let offset_s = sample.completed_ns.saturating_sub(axis.start_ns) as f64 / 1e9;
        if let Some(count) = counts.get_mut((offset_s / bin_s) as usize) {
            *count += 1;
        }
    }
    counts.into_iter().map(|count| count as f64 / bin_s).collect()
}

fn dots(samples: &[Sample], axis: Axis) -> Vec<Dot> {
    let dot = |sample: &Sample| Dot {
        at_s: axis.at(sample.intended_ns),
        latency_ms: sample.latency_us() as f64 / 1e3,
        kind: sample.kind,
    };
    samples.iter().map(dot).collect()
}

#[cfg(test)]
mod tests {
    use raftian_rpc::lab::NodeState;

    use super::happened::{S, event, exited, node, ready};
    use super::*;

    fn role(number: u16, role: RoleKind, term: Term) -> Happening {
        Happening::Raft { node: node(number), event: RaftEvent::Role { role, term, leader: None } }
    }

    fn killed(number: u16) -> Happening {
        exited(number, NodeState::Killed)
    }

    /// The timeline of events whose load ran from second 10 to second 20.
    fn timeline(events: &[Event]) -> TimelineData {
        let run = Recorded { events, samples: &[], start_ns: 10 * S, end_ns: 20 * S };
        TimelineData::of(&run, Summary::of(&[], 10 * S, 20 * S, None), None, String::new())
    }

    fn spans(data: &TimelineData, lane: usize) -> Vec<(f64, f64, LaneState, Term)> {
        data.lanes[lane].spans.iter().map(|span| (span.from_s, span.to_s, span.state, span.term)).collect()
    }

    #[test]
    fn a_lane_begins_with_what_was_so_before_the_load_and_has_no_holes() {
        let data = timeline(&[
            event(1, ready(1)),
            event(2, role(1, RoleKind::Candidate, 1)),
            event(3, role(1, RoleKind::Leader, 1)),
            event(12, killed(1)),
            event(15, ready(1)),
            event(16, role(1, RoleKind::Follower, 2)),
        ]);
        let expected = [
            (0.0, 2.0, LaneState::Leader, 1),
            (2.0, 5.0, LaneState::Down, 1),
            (5.0, 6.0, LaneState::Follower, 1),
            (6.0, 10.0, LaneState::Follower, 2),
        ];
        assert_eq!(spans(&data, 0), expected);
    }

    #[test]
    fn a_paused_node_is_what_it_was_when_it_goes_on() {
        let data = timeline(&[
            event(1, ready(2)),
            event(2, role(2, RoleKind::Leader, 4)),
            event(13, Happening::NodePaused { node: node(2) }),
            event(14, Happening::NodeResumed { node: node(2) }),
        ]);
        let states: Vec<LaneState> = spans(&data, 0).into_iter().map(|span| span.2).collect();
        assert_eq!(states, [LaneState::Leader, LaneState::Paused, LaneState::Leader]);
    }

    #[test]
    fn events_that_reach_the_journal_late_stand_where_they_happened() {
        let data = timeline(&[event(1, ready(1)), event(15, killed(1)), event(12, role(1, RoleKind::Leader, 1))]);
        let states: Vec<LaneState> = spans(&data, 0).into_iter().map(|span| span.2).collect();
        assert_eq!(states, [LaneState::Follower, LaneState::Leader, LaneState::Down]);
    }

    #[test]
    fn throughput_counts_acknowledgements_by_their_time_and_drops_a_cut_bin() {
        let sample = |completed_ms: u64, kind| Sample {
            intended_ns: 0,
            sent_ns: 0,
            completed_ns: completed_ms * 1_000_000,
            kind,
        };
        let samples = [
            sample(10, OutcomeKind::Ok),
            sample(90, OutcomeKind::Ok),
            sample(95, OutcomeKind::Unknown),
            sample(150, OutcomeKind::Ok),
            sample(220, OutcomeKind::Ok),
        ];
        let run = Recorded { events: &[], samples: &samples, start_ns: 0, end_ns: 250_000_000 };
        let data = TimelineData::of(&run, Summary::of(&samples, 0, 250_000_000, None), None, String::new());
        assert_eq!(data.throughput_per_s, [20.0, 10.0]);
        assert_eq!(data.dots.len(), 5);
    }
}
