//! The timeline in the Trace Event format, which Perfetto and speedscope open: a process per node with its role, its term
//! and what happened to it, a process of the faults, and one of the clients with counters. Messages, where they were
//! recorded, are flows (`trace_messages`).
//!
//! Votes are flows from the voter to the candidate. Deliberately absent: operations that were acknowledged, of which the
//! counters tell; and what disks and applications do all the time, which nothing records.

use raftian_rpc::NodeId;
use serde_json::{Value, json};

use super::{Election, LaneState, MarkKind, TimelineData};
use crate::load::OutcomeKind;
use crate::run::Message;

/// Processes that are no nodes. Those of nodes are numbered from 1 on.
pub(super) const FAULTS: usize = 10_000;
const CLIENTS: usize = 10_001;

/// The tracks of a node.
const ROLE: usize = 1;
const TERM: usize = 2;
const EVENTS: usize = 3;

/// The most operations without an answer that are shown one by one.
const MOST_UNANSWERED: usize = 5_000;

impl TimelineData {
    /// The timeline as a trace, with the messages that were recorded.
    pub fn trace(&self, messages: &[Message]) -> String {
        let mut events = Vec::new();
        self.nodes(&mut events);
        self.flows(&mut events);
        self.faults(&mut events);
        self.clients(&mut events);
        self.messages(messages, &mut events);
        json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": { "provenance": self.provenance } })
            .to_string()
    }

    pub(super) fn pid(&self, node: NodeId) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.node == node).map(|place| place + 1)
    }

    fn nodes(&self, events: &mut Vec<Value>) {
        for (place, lane) in self.lanes.iter().enumerate() {
            let pid = place + 1;
            events.push(named("process_name", pid, 0, &lane.node.to_string()));
            events.push(json!({ "name": "process_sort_index", "ph": "M", "pid": pid, "args": { "sort_index": pid } }));
            for (tid, name) in [(ROLE, "role"), (TERM, "term"), (EVENTS, "events")] {
                events.push(named("thread_name", pid, tid, name));
            }
            events.extend(lane.spans.iter().map(|span| {
                let name = match span.state {
                    LaneState::Down => "down",
                    LaneState::Paused => "paused",
                    LaneState::Follower => "follower",
                    LaneState::Candidate => "candidate",
                    LaneState::Leader => "leader",
                };
                slice(name, pid, ROLE, (span.from_s, span.to_s), json!({ "term": span.term }))
            }));
            for span in lane.spans.chunk_by(|one, next| one.term == next.term).filter(|spans| spans[0].term > 0) {
                let times = (span[0].from_s, span[span.len() - 1].to_s);
                events.push(slice(&format!("term {}", span[0].term), pid, TERM, times, json!({})));
            }
        }
        for mark in self.marks.iter().filter(|mark| mark.kind != MarkKind::Vote) {
            let Some(pid) = self.pid(mark.node) else { continue };
            let ts = micros(mark.at_s);
            events.push(json!({ "name": mark.text, "ph": "i", "s": "t", "pid": pid, "tid": EVENTS, "ts": ts }));
        }
    }

    /// Each vote as an arrow, from a short slice at the voter to one at the candidate.
    fn flows(&self, events: &mut Vec<Value>) {
        let mut id = 0;
        for mark in self.marks.iter().filter(|mark| mark.kind == MarkKind::Vote) {
            let Some(pid) = self.pid(mark.node) else { continue };
            events.push(slice(&mark.text, pid, EVENTS, (mark.at_s, mark.at_s + 1e-4), json!({})));
            let won = |election: &&Election| {
                let candidates = || election.candidates.iter();
                election.at_s <= mark.at_s
                    && candidates().any(|candidacy| {
                        mark.text == super::marks::vote(candidacy.node, election.term)
                            && candidacy.voters.contains(&mark.node)
                    })
            };
            let Some(election) = self.elections.iter().find(won) else { continue };
            let voted = election.candidates.iter().find(|candidacy| candidacy.voters.contains(&mark.node));
            let Some((candidacy, to)) = voted.and_then(|one| Some((one, self.pid(one.node)?))) else { continue };
            if to == pid {
                continue;
            }
            id += 1;
            let at = candidacy.won_after_ms.map_or(mark.at_s, |ms| candidacy.at_s + ms / 1e3).max(mark.at_s);
            let flow = |phase, pid, tid, at_s| json!({ "name": "vote", "cat": "vote", "ph": phase, "bp": "e", "id": id, "pid": pid, "tid": tid, "ts": micros(at_s) });
            events.push(flow("s", pid, EVENTS, mark.at_s));
            events.push(flow("f", to, ROLE, at));
        }
    }

    fn faults(&self, events: &mut Vec<Value>) {
        if self.windows.is_empty() {
            return;
        }
        events.push(named("process_name", FAULTS, 0, "faults"));
        // Slices of one track must not overlap.
        let mut ends: Vec<f64> = Vec::new();
        for window in &self.windows {
            let tid = ends.iter().position(|end| *end <= window.from_s).unwrap_or(ends.len());
            match ends.get_mut(tid) {
                Some(end) => *end = window.to_s,
                None => ends.push(window.to_s),
            }
            events.push(slice(
                &window.label,
                FAULTS,
                tid + 1,
                (window.from_s, window.to_s),
                json!({ "seen": window.seen }),
            ));
        }
    }

    fn clients(&self, events: &mut Vec<Value>) {
        if self.dots.is_empty() {
            return;
        }
        events.push(named("process_name", CLIENTS, 0, "clients"));
        for (bin, rate) in self.throughput_per_s.iter().enumerate() {
            let ts = micros(bin as f64 * self.bin_s);
            let args = json!({ "per second": rate });
            events.push(json!({ "name": "acknowledged", "ph": "C", "pid": CLIENTS, "ts": ts, "args": args }));
        }
        let unanswered = self.dots.iter().filter(|dot| dot.kind != OutcomeKind::Ok).take(MOST_UNANSWERED);
        for (id, dot) in unanswered.enumerate() {
            let name = if dot.kind == OutcomeKind::Failed { "failed" } else { "unknown" };
            for (phase, at_s) in [("b", dot.at_s), ("e", dot.at_s + dot.latency_ms / 1e3)] {
                let ts = micros(at_s);
                events.push(
                    json!({ "name": name, "cat": "operation", "ph": phase, "id": id, "pid": CLIENTS, "tid": 1, "ts": ts }),
                );
            }
        }
    }
}

pub(super) fn named(what: &str, pid: usize, tid: usize, name: &str) -> Value {
    json!({ "name": what, "ph": "M", "pid": pid, "tid": tid, "args": { "name": name } })
}

pub(super) fn slice(name: &str, pid: usize, tid: usize, (from_s, to_s): (f64, f64), args: Value) -> Value {
    let (ts, dur) = (micros(from_s), micros(to_s) - micros(from_s));
    json!({ "name": name, "ph": "X", "pid": pid, "tid": tid, "ts": ts, "dur": dur, "args": args })
}

pub(super) fn micros(at_s: f64) -> f64 {
    (at_s * 1e7).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::sample_timeline;
    use crate::timeline::{Candidacy, Mark};

    #[test]
    fn a_trace_has_a_process_for_each_node_and_its_votes_are_arrows() {
        let mut data = sample_timeline();
        let (voter, candidate) = (data.lanes[1].node, data.lanes[0].node);
        let text = crate::timeline::marks::vote(candidate, 3);
        data.marks.push(Mark { at_s: 14.25, node: voter, kind: MarkKind::Vote, text });
        let candidacy =
            Candidacy { node: candidate, at_s: 14.2, voters: vec![candidate, voter], won_after_ms: Some(100.0) };
        data.elections.push(Election { term: 3, at_s: 14.2, candidates: vec![candidacy], without_vote: Vec::new() });
        let trace: Value = serde_json::from_str(&data.trace(&[])).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let count = |key: &str, value: &str| events.iter().filter(|event| event[key] == value).count();
        assert_eq!(count("name", "process_name"), data.lanes.len() + 2, "the nodes, the faults, the clients");
        assert_eq!((count("ph", "s"), count("ph", "f")), (1, 1));
        let flow = |phase| events.iter().find(|event| event["ph"] == phase).unwrap();
        assert_eq!((&flow("s")["pid"], &flow("f")["pid"]), (&json!(2), &json!(1)));
        assert_eq!(flow("f")["ts"], json!(14_300_000.0));
        assert!(count("name", "leader") >= 2 && count("ph", "C") > 100 && count("ph", "b") == count("ph", "e"));
        for slice in events.iter().filter(|event| event["ph"] == "X") {
            assert!(slice["dur"].as_f64().is_some_and(|dur| dur >= 0.0) && slice["ts"].is_number(), "{slice}");
        }
    }
}
