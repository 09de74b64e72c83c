//! The messages of a run, where they were recorded: a call that a node made, and how the peer served it, side by side.
//!
//! Invariant: a call of which its caller has no line is none: it was under way when its caller was killed. One that no peer
//! served has no other half.
//!
//! Deliberately absent: what clients asked, and what passed before the nodes were asked to record.

use std::collections::HashMap;
use std::io;

use anyhow::Context as _;
use raftian_rpc::faults::Effect;
use raftian_rpc::lab::{Event, Fault, FaultId, FaultKind, Happening};
use raftian_rpc::record::{Call, End, Record, Served};
use raftian_rpc::{NodeId, files};

use super::{LOGS, Run, logs};

/// The messages of a run.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// The calls, in order of their beginning.
    pub calls: Vec<Message>,
    /// What keeps it from being all of them.
    pub cuts: Vec<String>,
}

/// A request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who called.
    pub from: NodeId,
    /// The call, as its caller saw it.
    pub call: Call,
    /// How it was served, if it was.
    pub served: Option<Served>,
    /// The fault that dropped the request or the reply, if one did.
    pub dropped_by: Option<FaultId>,
}

/// The file with the messages of a node.
pub(crate) fn messages_of(node: NodeId) -> String {
    format!("{node}.messages.jsonl")
}

impl Run {
    /// Its messages; none where they were not recorded.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn messages(&self) -> anyhow::Result<Messages> {
        let folder = self.folder().join(LOGS);
        let mut records = Vec::new();
        let mut cuts = Vec::new();
        for node in logs::nodes(&folder) {
            let path = folder.join(messages_of(node));
            let text = match files::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.with_context(|| format!("{} cannot be read", path.display()))?,
            };
            for (place, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
                match serde_json::from_slice(line) {
                    Ok(Record::Full) => cuts.push(format!("{node} recorded no more messages: its file was full")),
                    Ok(record) => records.push((node, record)),
                    Err(_) => {
                        cuts.push(format!(
                            "line {} of {} makes no sense; what comes before it counts",
                            place + 1,
                            messages_of(node)
                        ));
                        break;
                    }
                }
            }
        }
        Ok(Messages { calls: paired(&records, &self.events()?.read), cuts })
    }
}

/// The calls, each with how it was served and what dropped it.
fn paired(records: &[(NodeId, Record)], events: &[Event]) -> Vec<Message> {
    let mut served: HashMap<(NodeId, NodeId, u64), Vec<Served>> = HashMap::new();
    for (node, record) in records {
        if let Record::Served(by) = record {
            served.entry((by.from, *node, by.call)).or_default().push(*by);
        }
    }
    let message = |(from, record): &(NodeId, Record)| {
        let Record::Call(call) = record else { return None };
        let (from, call) = (*from, *call);
        // A caller that starts again numbers its calls anew.
        let candidates = served.get(&(from, call.to, call.call)).into_iter().flatten();
        let served = candidates.filter(|by| (call.sent_ns..=call.ended_ns).contains(&by.arrived_ns)).copied();
        let link = match call.end {
            End::RequestDropped => Some((from, call.to)),
            End::ReplyDropped => Some((call.to, from)),
            End::Answered | End::Silent => None,
        };
        let dropped_by = link.and_then(|link| dropping(events, link, call.sent_ns, call.ended_ns));
        Some(Message { from, call, served: served.min_by_key(|by| by.arrived_ns), dropped_by })
    };
    let mut calls: Vec<Message> = records.iter().filter_map(message).collect();
    calls.sort_by_key(|message| message.call.sent_ns);
    calls
}

/// A fault that was on a link meanwhile, and drops messages: the one that was there first.
fn dropping(events: &[Event], (from, to): (NodeId, NodeId), begin_ns: u64, end_ns: u64) -> Option<FaultId> {
    let link = (from.name(), to.name());
    let drops = |fault: &Fault| matches!(fault.what, FaultKind::Links { effect: Effect::Drop { .. }, .. });
    let is_cleared = |fault: &Fault| {
        let cleared = |event: &&Event| matches!(event.what, Happening::FaultCleared { id, .. } if id == fault.id);
        events.iter().find(cleared).is_some_and(|event| event.at_ns < begin_ns)
    };
    events.iter().filter(|event| event.at_ns <= end_ns).find_map(|event| match &event.what {
        Happening::FaultAdded { fault } if drops(fault) && fault.links().contains(&link) && !is_cleared(fault) => {
            Some(fault.id)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use raftian_rpc::record::What;

    use super::*;

    fn node(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn call(number: u64, to: u16, sent_ns: u64, end: End) -> Record {
        let (call, to, ended_ns) = (number, node(to), sent_ns + 10);
        Record::Call(Call { call, to, what: What::Heartbeat, entries: 0, term: 1, sent_ns, ended_ns, end })
    }

    fn served(number: u64, from: u16, arrived_ns: u64) -> Record {
        Record::Served(Served {
            call: number,
            from: node(from),
            arrived_ns,
            ended_ns: arrived_ns + 1,
            is_answered: true,
        })
    }

    #[test]
    fn a_call_finds_the_peer_that_served_it_also_after_its_caller_began_to_count_anew() {
        let records = [
            (node(2), served(1, 1, 105)),
            (node(2), served(1, 1, 505)),
            (node(3), served(1, 1, 106)),
            (node(1), call(1, 2, 500, End::Answered)),
            (node(1), call(1, 2, 100, End::Answered)),
            (node(1), call(2, 2, 600, End::Silent)),
        ];
        let calls = paired(&records, &[]);
        let arrived: Vec<_> = calls.iter().map(|message| message.served.map(|by| by.arrived_ns)).collect();
        assert_eq!(arrived, [Some(105), Some(505), None]);
    }
}
