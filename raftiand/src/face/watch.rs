//! The one task that looks at the lab for all who watch it.
//!
//! Invariant: the nodes are asked at most every [`INTERVAL`], however many watch, and not at all where nobody does. A view is
//! made and written once, and sent when it is another one than the last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::control::{ControlClient as _, Counters};
use raftian_rpc::lab::LabStatus;
use raftian_rpc::record::{Call, End, RecentCalls, What};
use raftian_view::{Frame, MessageSeen, Rates, View};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::lab::Lab;
use crate::observe::{ask_all, running_clients};

/// How often the lab is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// How many looks go by between two questions for messages.
const MESSAGES_EVERY: u64 = 2;

/// How long a node may take to tell of its messages.
const PATIENCE: Duration = Duration::from_millis(100);

/// The span that rates are measured over.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// The most messages of one frame. More than a person can follow.
const MAX_MESSAGES: usize = 64;

/// Elections that take less than this are not watched while they come: their time-outs begin again many times a second.
const WATCHABLE_ELECTION_MS: u64 = 1_000;

/// What is seen of the lab, for all who watch.
#[derive(Debug)]
pub(crate) struct Watch {
    view: watch::Sender<Option<Arc<RawValue>>>,
    messages: broadcast::Sender<Arc<RawValue>>,
    somebody: Notify,
}

/// What rates are measured with.
#[derive(Default)]
struct Meter {
    since: Option<Instant>,
    counters: BTreeMap<NodeId, Counters>,
    commit_index: u64,
    rates: Rates,
}

impl Watch {
    pub(crate) fn new() -> Watch {
        Watch { view: watch::Sender::new(None), messages: broadcast::Sender::new(16), somebody: Notify::new() }
    }

    /// The frames of the view, the latest first.
    pub(super) fn views(&self) -> watch::Receiver<Option<Arc<RawValue>>> {
        let mut views = self.view.subscribe();
        views.mark_changed();
        self.somebody.notify_one();
        views
    }

    /// The frames of messages from now on.
    pub(super) fn messages(&self) -> broadcast::Receiver<Arc<RawValue>> {
        self.messages.subscribe()
    }

    /// Looks at the lab as long as somebody watches; for ever.
    pub(crate) async fn keep_looking(&self, lab: Arc<Lab>) {
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut meter = Meter::default();
        let mut next_calls = BTreeMap::new();
        for look in 0_u64.. {
            while self.view.receiver_count() == 0 {
                meter = Meter::default();
                // What was seen before is of no use to the next one who watches.
                self.view.send_replace(None);
                self.somebody.notified().await;
            }
            tick.tick().await;
            let status = lab.status().await;
            let mut view = View::of(&status);
            view.rates = meter.rates(&status);
            if view.timing.election_min_ms < WATCHABLE_ELECTION_MS {
                view.nodes.iter_mut().for_each(|node| node.election_in_ms = None);
            }
            let frame: Arc<RawValue> = raw(&Frame::View(Box::new(view)));
            self.view.send_if_modified(|last| {
                let is_new = last.as_ref().is_none_or(|last| last.get() != frame.get());
                if is_new {
                    *last = Some(frame);
                }
                is_new
            });
            if self.messages.receiver_count() > 0 && look.is_multiple_of(MESSAGES_EVERY) {
                self.look_at_messages(&lab, &mut next_calls).await;
            }
        }
    }

    async fn look_at_messages(&self, lab: &Lab, next: &mut BTreeMap<NodeId, u64>) {
        let clients = running_clients(&lab.state());
        let known = next.clone();
        let asked = clients.into_iter().map(|(id, client)| (id, (known.get(&id).copied(), client)));
        let answers = ask_all(asked.collect(), PATIENCE, |(since, client)| async move {
            // What was sent before somebody watched has passed.
            client.recent_calls(since.unwrap_or(u64::MAX)).await
        });
        let mut seen = Vec::new();
        for (from, answer) in answers.await {
            let Ok(RecentCalls { calls, next: number }) = answer else { continue };
            // A node that has started again counts from the beginning.
            next.insert(from, number);
            seen.extend(calls.into_iter().map(|call| MessageSeen { from, call }));
        }
        if !seen.is_empty() {
            let of = seen.len() as u64;
            // Nobody listening is no error.
            let _ = self.messages.send(raw(&Frame::Messages { seen: chosen(seen), of }));
        }
    }
}

/// As many as a person can follow, in order of their times: those that tell most before the others.
fn chosen(mut seen: Vec<MessageSeen>) -> Vec<MessageSeen> {
    let weight = |message: &MessageSeen| {
        let Call { what, end, .. } = message.call;
        match (what, end) {
            (What::Heartbeat, End::Answered | End::Silent) => 2,
            (What::Append, End::Answered | End::Silent) => 1,
            _ => 0,
        }
    };
    if seen.len() > MAX_MESSAGES {
        seen.sort_by_key(weight);
        seen.truncate(MAX_MESSAGES);
    }
    seen.sort_by_key(|message| message.call.sent_ns);
    seen
}

fn raw(frame: &Frame) -> Arc<RawValue> {
    to_raw_value(frame).expect("frames have string keys only").into()
}

impl Meter {
    /// What happens in a second, by what happened since the last time that enough had passed.
    fn rates(&mut self, status: &LabStatus) -> Rates {
        let servers = status.nodes.iter().filter_map(|node| node.server.as_ref());
        let commit_index = servers.clone().map(|server| server.commit_index).max().unwrap_or(self.commit_index);
        let elapsed = self.since.map(|since| since.elapsed());
        if elapsed.is_some_and(|elapsed| elapsed < RATE_SPAN) {
            return self.rates;
        }
        let counters: BTreeMap<NodeId, Counters> = servers.map(|server| (server.node, server.counters)).collect();
        if let Some(elapsed) = elapsed {
            // Of a node that has started again everything is new.
            let grown = |count: fn(&Counters) -> u64| {
                let each = counters.iter().map(|(node, now)| {
                    let before = self.counters.get(node).map_or(count(now), count);
                    count(now).checked_sub(before).unwrap_or(count(now))
                });
                // To a tenth, so that a view does not change for nothing.
                (each.sum::<u64>() as f64 / elapsed.as_secs_f64() * 10.0).round() / 10.0
            };
            self.rates = Rates {
                commits: (commit_index.saturating_sub(self.commit_index) as f64 / elapsed.as_secs_f64() * 10.0).round()
                    / 10.0,
                calls: grown(|counters| counters.calls),
                dropped: grown(|counters| counters.dropped),
                syncs: grown(|counters| counters.syncs),
            };
        }
        (self.since, self.counters, self.commit_index) = (Some(Instant::now()), counters, commit_index);
        self.rates
    }
}
