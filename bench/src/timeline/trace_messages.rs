//! The messages of a run as flows of its trace: from the track of what a node sends to that of what the other receives.
//! One that a fault dropped ends at the faults, in "dropped by f3".
//!
//! There are [`MOST_CALLS`] calls at most; of more than that, heartbeats that were answered are left out first, then appends that
//! were.
//!
//! A track of its own shows for how long a node heard of no leader, from [`SILENCE_S`] on: that is its election timer.

use std::collections::BTreeMap;

use raftian_rpc::NodeId;
use raftian_rpc::record::{End, What};
use serde_json::{Value, json};

use super::TimelineData;
use super::trace::{FAULTS, micros, named, slice};
use crate::run::Message;

/// The most calls that are drawn.
pub const MOST_CALLS: usize = 30_000;

/// The shortest silence of a leader that is drawn: two heartbeats of the paper's timing.
const SILENCE_S: f64 = 0.1;

/// The tracks of a node, after those of its role, its term and its events.
const TIMER: usize = 4;
const SENDS: usize = 5;
const RECEIVES: usize = 6;

/// The track of the faults on which messages end.
const DROPPED: usize = 10_000;

/// How long a slice is from which a flow leaves, in seconds.
const INSTANT_S: f64 = 1e-6;

/// What gives each flow its number.
#[derive(Default)]
struct Flows(u64);

impl TimelineData {
    /// Draws the messages, if there are any.
    pub(super) fn messages(&self, messages: &[Message], events: &mut Vec<Value>) {
        let drawn = drawn(messages);
        if drawn.is_empty() {
            return;
        }
        for pid in 1..=self.lanes.len() {
            for (tid, name) in [(TIMER, "election timer"), (SENDS, "sends"), (RECEIVES, "receives")] {
                events.push(named("thread_name", pid, tid, name));
            }
        }
        events.push(named("process_name", FAULTS, 0, "faults"));
        events.push(named("thread_name", FAULTS, DROPPED, "dropped messages"));
        let mut flows = Flows::default();
        drawn.into_iter().for_each(|message| self.message(message, &mut flows, events));
        self.silences(messages, events);
    }

    fn message(&self, message: &Message, flows: &mut Flows, events: &mut Vec<Value>) {
        let Message { from, call, served, dropped_by } = message;
        let (Some(caller), Some(peer)) = (self.pid(*from), self.pid(call.to)) else { return };
        let name = match call.entries {
            0 => call.what.name().to_owned(),
            entries => format!("{} ({entries})", call.what.name()),
        };
        let end = match (call.end, dropped_by) {
            (End::Answered, _) => "answered".to_owned(),
            (End::RequestDropped | End::ReplyDropped, Some(fault)) => format!("dropped by {fault}"),
            (End::RequestDropped | End::ReplyDropped, None) => "dropped by a fault".to_owned(),
            (End::Silent, _) => "no reply".to_owned(),
        };
        let args = json!({ "call": call.call, "term": call.term, "end": end });
        let sent = (caller, SENDS, self.at(call.sent_ns));
        point(&format!("{name} → {}", call.to), sent, args, events);
        let replies = format!("reply to {name}");
        if let Some(by) = served {
            let arrived = (peer, RECEIVES, self.at(by.arrived_ns));
            let took_ms = by.ended_ns.saturating_sub(by.arrived_ns) as f64 / 1e6;
            point(&format!("{name} from {from}"), arrived, json!({ "took_ms": took_ms }), events);
            flows.arrow(sent, arrived, events);
            let replied = (peer, SENDS, self.at(by.ended_ns));
            if by.is_answered {
                point(&format!("{replies} → {from}"), replied, json!({}), events);
            }
            match call.end {
                End::Answered => {
                    let came = (caller, RECEIVES, self.at(call.ended_ns));
                    point(&format!("{replies} from {}", call.to), came, json!({}), events);
                    flows.arrow(replied, came, events);
                }
                End::ReplyDropped => self.dropped(&end, replied, flows, events),
                End::RequestDropped | End::Silent => {}
            }
        } else if call.end == End::RequestDropped {
            self.dropped(&end, sent, flows, events);
        }
    }

    /// A message ends at the faults.
    fn dropped(&self, end: &str, from: (usize, usize, f64), flows: &mut Flows, events: &mut Vec<Value>) {
        let at = (FAULTS, DROPPED, from.2 + INSTANT_S);
        point(end, at, json!({}), events);
        flows.arrow(from, at, events);
    }

    /// For how long nodes heard of no leader.
    fn silences(&self, messages: &[Message], events: &mut Vec<Value>) {
        let mut heard: BTreeMap<NodeId, Vec<u64>> = BTreeMap::new();
        for message in messages {
            let is_leaders = matches!(message.call.what, What::Append | What::Heartbeat | What::InstallSnapshot);
            if let (true, Some(served)) = (is_leaders, message.served) {
                heard.entry(message.call.to).or_default().push(served.arrived_ns);
            }
        }
        for (node, mut times) in heard {
            let Some(pid) = self.pid(node) else { continue };
            times.sort_unstable();
            for pair in times.windows(2) {
                let (from_s, to_s) = (self.at(pair[0]), self.at(pair[1]));
                if to_s - from_s >= SILENCE_S {
                    let name = format!("no leader for {:.0} ms", (to_s - from_s) * 1e3);
                    events.push(slice(&name, pid, TIMER, (from_s, to_s), json!({})));
                }
            }
        }
    }

    /// A moment on the axis, which may lie outside of it.
    fn at(&self, ns: u64) -> f64 {
        (ns as f64 - self.start_ns as f64) / 1e9
    }
}

impl Flows {
    /// An arrow from one moment of a track to that of another.
    fn arrow(&mut self, from: (usize, usize, f64), to: (usize, usize, f64), events: &mut Vec<Value>) {
        self.0 += 1;
        for (phase, (pid, tid, at_s)) in [("s", from), ("f", to)] {
            events.push(json!({ "name": "message", "cat": "message", "ph": phase, "bp": "e", "id": self.0, "pid": pid, "tid": tid, "ts": micros(at_s) }));
        }
    }
}

/// A moment on a track.
fn point(name: &str, (pid, tid, at_s): (usize, usize, f64), args: Value, events: &mut Vec<Value>) {
    events.push(slice(name, pid, tid, (at_s, at_s + INSTANT_S), args));
}

/// Those that are drawn.
fn drawn(messages: &[Message]) -> Vec<&Message> {
    let is_answered = |message: &Message| message.call.end == End::Answered;
    let is_routine = |message: &Message| is_answered(message) && message.call.what == What::Heartbeat;
    let is_append = |message: &Message| is_answered(message) && message.call.what == What::Append;
    let mut all: Vec<&Message> = messages.iter().collect();
    if all.len() > MOST_CALLS {
        all.retain(|message| !is_routine(message));
    }
    if all.len() > MOST_CALLS {
        all.retain(|message| !is_append(message));
    }
    all.truncate(MOST_CALLS);
    all
}

#[cfg(test)]
mod tests {
    use raftian_rpc::lab::FaultId;
    use raftian_rpc::record::{Call, Served};

    use super::*;
    use crate::chart::sample_timeline;

    fn message(data: &TimelineData, at_ms: u64, what: What, end: End) -> Message {
        let [from, to] = [data.lanes[0].node, data.lanes[1].node];
        let sent_ns = data.start_ns + at_ms * 1_000_000;
        let call = Call { call: at_ms, to, what, entries: 0, term: 3, sent_ns, ended_ns: sent_ns + 2_000_000, end };
        let served =
            Served { call: at_ms, from, arrived_ns: sent_ns + 500_000, ended_ns: sent_ns + 900_000, is_answered: true };
        let is_served = !matches!(end, End::RequestDropped);
        let dropped_by = matches!(end, End::RequestDropped | End::ReplyDropped).then_some(FaultId(3));
        Message { from, call, served: is_served.then_some(served), dropped_by }
    }

    #[test]
    fn messages_are_flows_and_a_lost_one_ends_at_the_fault_that_dropped_it() {
        let data = sample_timeline();
        let messages = [
            message(&data, 100, What::Append, End::Answered),
            message(&data, 150, What::RequestVote, End::RequestDropped),
            message(&data, 350, What::Heartbeat, End::ReplyDropped),
        ];
        let trace: Value = serde_json::from_str(&data.trace(&messages)).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let flows =
            |phase: &str| events.iter().filter(|event| event["ph"] == phase && event["cat"] == "message").count();
        assert_eq!((flows("s"), flows("f")), (5, 5), "two of the first, one of the second, two of the third");
        let named = |name: &str| events.iter().filter(|event| event["name"] == name).count();
        assert_eq!(named("dropped by f3"), 2);
        assert_eq!(named("no leader for 250 ms"), 1);
    }

    #[test]
    fn of_too_many_messages_those_that_tell_least_are_left_out_first() {
        let data = sample_timeline();
        let mut messages: Vec<Message> =
            (0..MOST_CALLS as u64).map(|at| message(&data, at, What::Heartbeat, End::Answered)).collect();
        assert_eq!(drawn(&messages).len(), MOST_CALLS);
        messages.push(message(&data, 9, What::RequestVote, End::Silent));
        assert_eq!(drawn(&messages).len(), 1);
    }
}
