//! Leaders: they replicate their log, and find out what is committed (§5.3, §5.4).
//!
//! A leader keeps one AppendEntries in flight per follower. What is proposed meanwhile goes with the next one, so
//! batches grow with the load by themselves. AppendEntries are formed when effects are taken, never per command.
//!
//! Invariant: a leader never discards or overwrites an entry of its own log (Leader Append-Only).

use std::collections::BTreeMap;

use crate::core::Core;
use crate::{AppendEntries, AppendReply, Conflict, Index, NodeId, Payload, Request, Term, Time};

/// The state of a leader (Figure 2: "reinitialized after election").
#[derive(Debug)]
pub(crate) struct Leader {
    followers: BTreeMap<NodeId, Progress>,
    heartbeat_deadline: Time,
}

/// What a leader knows of one follower.
#[derive(Debug)]
struct Progress {
    /// The next entry to send.
    next_index: Index,
    /// The last entry known to agree, durably.
    match_index: Index,
    /// The commitIndex it was told last.
    told_commit: Index,
    /// The AppendEntries it has not answered yet.
    in_flight: Option<InFlight>,
    /// When it was last heard from in this term; the election counts.
    heard: Time,
    /// A heartbeat is owed to it.
    heartbeat_due: bool,
}

#[derive(Debug)]
struct InFlight {
    call: u64,
    sent: Time,
    /// The transport has given it up.
    lost: bool,
}

impl Leader {
    /// Takes the lead: assumes that all followers are up to date until they say otherwise, and appends a no-op, without
    /// which entries of earlier terms could not be known to be committed (§5.4.2, §8).
    pub(crate) fn new(core: &mut Core) -> Leader {
        let next_index = core.log.last_index() + 1;
        let followers =
            core.configuration().peers_of(core.id()).map(|peer| (peer, Progress::new(next_index, core.now)));
        let followers = followers.collect();
        core.append(Payload::Noop);
        Leader { followers, heartbeat_deadline: core.now + core.options.heartbeat_interval }
    }

    /// When a leader has something to do again.
    pub(crate) fn deadline(&self, core: &Core) -> Time {
        match core.options.check_quorum {
            true => self.heartbeat_deadline.min(self.quorum_deadline(core)),
            false => self.heartbeat_deadline,
        }
    }

    /// Owes a heartbeat to everybody when it is time, and counts as lost what was not answered for too long.
    pub(crate) fn tick(&mut self, core: &Core) {
        if core.now < self.heartbeat_deadline {
            return;
        }
        self.heartbeat_deadline = core.now + core.options.heartbeat_interval;
        let patience = core.options.election_timeout.start;
        for progress in self.followers.values_mut() {
            progress.heartbeat_due = true;
            progress.in_flight.take_if(|call| call.lost || core.now.since(call.sent) >= patience);
        }
    }

    /// Since when a quorum, this server included, has been heard from.
    pub(crate) fn quorum_contact(&self, core: &Core) -> Time {
        core.configuration().reached(|id| match self.followers.get(&id) {
            Some(progress) => progress.heard,
            None => core.now,
        })
    }

    /// When the lead is lost unless a quorum is heard from (thesis §6.2).
    pub(crate) fn quorum_deadline(&self, core: &Core) -> Time {
        self.quorum_contact(core) + core.options.election_timeout.end
    }

    /// The reply to an AppendEntries of this term.
    pub(crate) fn append_replied(&mut self, core: &Core, from: NodeId, call: u64, reply: AppendReply) {
        let last_index = core.log.last_index();
        let Some(progress) = self.followers.get_mut(&from) else { return };
        progress.heard = core.now;
        let answered = progress.in_flight.take_if(|in_flight| in_flight.call == call);
        match reply {
            AppendReply::Matched(index) if index <= last_index => {
                progress.match_index = progress.match_index.max(index);
                progress.next_index = progress.next_index.max(progress.match_index + 1);
            }
            // A conflict found by an earlier call says nothing about where to go on from here.
            AppendReply::Conflict(conflict) if answered.is_some() && progress.next_index > progress.match_index + 1 => {
                // At least one entry back, and never into what is known to agree: each round makes progress.
                let next = next_after_conflict(core, conflict).min(progress.next_index - 1);
                progress.next_index = next.max(progress.match_index + 1);
            }
            // Beyond this log, of another term, or a denial of what was acknowledged: not the answer of a server that
            // follows the rules. Such a follower is tried again with the next heartbeat, not at once and forever.
            AppendReply::Matched(_) | AppendReply::Conflict(_) | AppendReply::StaleTerm => {
                if let Some(in_flight) = answered {
                    progress.in_flight = Some(InFlight { lost: true, ..in_flight });
                }
            }
        }
    }

    /// The transport has given up a call.
    pub(crate) fn lost(&mut self, to: NodeId, call: u64) {
        let in_flight = self.followers.get_mut(&to).and_then(|progress| progress.in_flight.as_mut());
        if let Some(in_flight) = in_flight.filter(|in_flight| in_flight.call == call) {
            // Sent anew with the next heartbeat, not at once: a dead peer refuses calls quickly.
            in_flight.lost = true;
        }
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N, and log[N].term ==
    /// currentTerm: set commitIndex = N" (Figure 2, §5.4.2). The leader's own matchIndex is what its disk has.
    pub(crate) fn advance_commit_index(&self, core: &mut Core) {
        let stored = core.configuration().reached(|id| match self.followers.get(&id) {
            Some(progress) => progress.match_index,
            None => core.log.durable(),
        });
        if stored > core.commit_index && core.log.term_at(stored) == Some(core.term()) {
            core.commit_index = stored;
        }
    }

    /// Sends what every follower needs and may have now: entries it lacks, the commitIndex, a heartbeat.
    pub(crate) fn replicate(&mut self, core: &mut Core) {
        for (peer, progress) in &mut self.followers {
            let behind = progress.next_index <= core.log.last_index() || progress.told_commit < core.commit_index;
            if progress.in_flight.is_none() && (behind || progress.heartbeat_due) {
                progress.send_entries(core, *peer);
            } else if progress.heartbeat_due {
                progress.send_heartbeat(core, *peer);
            }
            progress.heartbeat_due = false;
        }
    }
}

impl Progress {
    fn new(next_index: Index, now: Time) -> Progress {
        Progress { next_index, match_index: 0, told_commit: 0, in_flight: None, heard: now, heartbeat_due: true }
    }

    fn send_entries(&mut self, core: &mut Core, peer: NodeId) {
        let entries = core.log.batch(self.next_index, core.options.max_append_entries, core.options.max_append_bytes);
        self.told_commit = core.commit_index;
        let request = append_request(core, self.next_index - 1, entries);
        let call = core.call(peer, request);
        self.in_flight = Some(InFlight { call, sent: core.now, lost: false });
    }

    /// A heartbeat beside a slow AppendEntries. It starts from what is known to agree, so it is always accepted.
    fn send_heartbeat(&mut self, core: &mut Core, peer: NodeId) {
        let request = append_request(core, self.match_index, Vec::new());
        core.call(peer, request);
    }
}

fn append_request(core: &Core, prev_log_index: Index, entries: Vec<crate::Entry>) -> Request {
    let prev_log_term: Term = core.log.term_at(prev_log_index).expect("next_index is at most one past the log's end");
    Request::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, leader_commit: core.commit_index })
}

/// Where to go on after a conflict (end of §5.3). If the leader has the follower's conflicting term, the logs may agree
/// up to the leader's last entry of it; if not, everything the follower holds of that term is wrong. Either way one
/// round settles a term.
fn next_after_conflict(core: &Core, conflict: Conflict) -> Index {
    match conflict.term {
        None => conflict.index,
        Some(term) => {
            let last = core.log.last_up_to_term(term);
            match core.log.term_at(last) == Some(term) {
                true => last + 1,
                false => conflict.index,
            }
        }
    }
}
