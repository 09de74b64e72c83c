//! What a leader knows of one other server, and what it sends to it next (§5.3, §7).
//!
//! Invariant: one request with content is in flight at a time. Entries that are appended meanwhile go with the next
//! request, so batches grow with the load.

use std::ops::Range;
use std::time::Duration;

use crate::core::Core;
use crate::in_flight::InFlight;
use crate::mutant::Mutant;
use crate::rule::Rule;
use crate::{
    AppendEntries, AppendReply, Conflict, Entry, Index, LastEntry, NodeId, Peer, Request, Snapshot, SnapshotReply,
    Standing, Time, TransferRefused,
};

#[derive(Debug)]
pub(crate) struct Progress {
    /// The next entry to send.
    next_index: Index,
    /// The last entry known to agree, durably.
    pub(crate) match_index: Index,
    /// The calls from this one on were sent when matchIndex was known.
    matched_call: u64,
    /// It has denied what it acknowledged in this term: its disk went back in time. It is sent the log, and counts for
    /// nothing until it is removed and added again.
    pub(crate) denies: bool,
    /// The commitIndex that was last sent to it.
    told_commit: Index,
    /// The snapshot that is being sent to it. It stays the same when the leader takes a newer one: otherwise a snapshot
    /// that takes longer to send than the time to the next one would never be complete.
    sending: Option<Sending>,
    /// The request with content that it has not replied to yet.
    in_flight: Option<InFlight>,
    /// The round-trip time of such a request: rises at once, and falls slowly. Zero until one was measured.
    round_trip: Duration,
    /// The first call to it. An earlier call was to a server with the same name, which was removed.
    first_call: u64,
    /// The latest call that it has replied to in this term.
    pub(crate) answered: u64,
    /// When it was last heard from in this term; initially the time of the election.
    pub(crate) heard: Time,
    /// A heartbeat to it is due.
    pub(crate) heartbeat_due: bool,
    /// If it was removed: until when it is still sent messages, so that it learns of its removal.
    pub(crate) leaves_at: Option<Time>,
}

#[derive(Debug)]
struct Sending {
    snapshot: Snapshot,
    /// How many bytes the follower has received.
    received: u64,
}

impl Progress {
    pub(crate) fn new(next_index: Index, core: &Core) -> Progress {
        Progress {
            next_index,
            match_index: 0,
            matched_call: core.next_call(),
            denies: false,
            told_commit: 0,
            sending: None,
            in_flight: None,
            round_trip: Duration::ZERO,
            first_call: core.next_call(),
            answered: 0,
            heard: core.now,
            heartbeat_due: true,
            leaves_at: None,
        }
    }

    /// A server whose disk went back in time: the leader begins with it anew, and what it says counts for nothing.
    pub(crate) fn denying(&self, core: &Core) -> Progress {
        Progress { denies: true, leaves_at: self.leaves_at, ..Progress::new(core.log.last_index() + 1, core) }
    }

    /// What this server contributes to a quorum.
    pub(crate) fn counts<T: Default>(&self, value: T) -> T {
        if self.denies { T::default() } else { value }
    }

    /// How many entries it lacks, if these are so many that a cluster which needs its vote would have to wait (thesis
    /// §4.2.1): more than fit in one AppendEntries, or some that only a snapshot can bring.
    pub(crate) fn lag(&self, core: &Core) -> Option<u64> {
        let lacks = core.log.last_index() - self.match_index;
        let wants_snapshot = self.match_index < core.log.base().index;
        let fits = || batch_from(core, self.match_index + 1).len() as u64 == lacks;
        (wants_snapshot || !fits()).then_some(lacks)
    }

    /// Whether it may soon take over: it was heard from, and does not lack much. What it lacks is not known while the
    /// leader looks for the place where the logs agree.
    pub(crate) fn check_successor(&self, core: &Core, id: NodeId) -> Result<(), TransferRefused> {
        if core.now.since(self.heard) >= core.options.election_timeout.start {
            return Err(TransferRefused::Silent { node: id });
        }
        let is_known = self.sending.is_some() || self.next_index == self.match_index + 1;
        let lag = self.lag(core).filter(|_| is_known);
        lag.map_or(Ok(()), |behind| Err(TransferRefused::Lagging { node: id, behind }))
    }

    /// Whether it has replied in this term, and within the shortest election time-out.
    pub(crate) fn is_heard(&self, core: &Core) -> bool {
        self.answered >= self.first_call && core.now.since(self.heard) < core.options.election_timeout.start
    }

    /// The part of this for [`Status`](crate::Status).
    pub(crate) fn describe(&self, core: &Core, id: NodeId) -> Peer {
        let has_vote = core.configuration().is_some_and(|configuration| configuration.is_voter(id));
        let standing = match self.leaves_at {
            Some(_) => Standing::Leaving,
            None if has_vote => Standing::Voter,
            None => Standing::Learner,
        };
        Peer {
            id,
            standing,
            match_index: self.match_index,
            denies: self.denies,
            next_index: self.next_index,
            snapshot_bytes: self.sending.as_ref().map(|sending| (sending.received, sending.snapshot.size())),
            contact: core.now.since(self.heard),
        }
    }

    /// Whether this reply denies what the server acknowledged in this term. Within a term a follower keeps what it
    /// acknowledged (§5.3), across restarts too; so the last entry that may match a request which was sent when matchIndex
    /// was known is that at matchIndex or a later one.
    pub(crate) fn is_denied_by(&self, core: &Core, call: u64, reply: AppendReply) -> bool {
        let AppendReply::Conflict(Conflict { term, index }) = reply else { return false };
        let is_later = call >= self.matched_call && !core.mutant(Mutant::DenialIgnored);
        let is_other = || core.log.term_at(index).is_some_and(|held| held != term);
        is_later && (index < self.match_index || index == self.match_index && is_other())
    }

    /// The reply to an AppendEntries of this term.
    pub(crate) fn append_replied(&mut self, core: &mut Core, call: u64, reply: AppendReply) {
        if reply == AppendReply::StaleTerm && is_of_former_life(core) {
            return;
        }
        if call < self.first_call {
            core.exercised(Rule::FormerMemberIgnored);
            if core.mutant(Mutant::FormerServerBelieved) {
                self.matched(core, call, core.log.last_index());
            }
            return;
        }
        self.note_answer(core, call);
        match reply {
            AppendReply::Matched(index) if index <= core.log.last_index() => self.matched(core, call, index),
            // A conflict with an earlier request says nothing about the present nextIndex.
            AppendReply::Conflict(conflict) if self.is_probed_by(core, call) => {
                self.answered(core, call);
                self.step_back(core, conflict);
            }
            // It is beyond this log, of another term, or denies what was acknowledged before: no server that follows
            // the rules replies so.
            AppendReply::Matched(_) | AppendReply::Conflict(_) | AppendReply::StaleTerm => self.try_later(core, call),
        }
        self.doubt(core, call);
    }

    /// The reply to an InstallSnapshot of this term.
    pub(crate) fn snapshot_replied(&mut self, core: &mut Core, call: u64, reply: SnapshotReply) {
        if reply == SnapshotReply::StaleTerm && is_of_former_life(core) {
            return;
        }
        if call < self.first_call {
            core.exercised(Rule::FormerMemberIgnored);
            return;
        }
        self.note_answer(core, call);
        let is_asked = self.is_asked(core, call);
        match (reply, &mut self.sending) {
            (SnapshotReply::Installed(index), _) if index <= core.log.last_index() => self.matched(core, call, index),
            (SnapshotReply::Received(bytes), Some(sending)) if is_asked => {
                let goes_on = bytes > sending.received && bytes < sending.snapshot.size();
                sending.received = if bytes < sending.snapshot.size() { bytes } else { 0 };
                if goes_on {
                    self.answered(core, call);
                } else {
                    self.try_later(core, call);
                }
            }
            _ => self.try_later(core, call),
        }
        self.doubt(core, call);
    }

    /// A reply came: the follower was heard from.
    fn note_answer(&mut self, core: &Core, call: u64) {
        self.heard = core.now;
        if call < core.next_call() {
            self.answered = self.answered.max(call);
        }
    }

    /// Whether this call sent the request in flight, or an earlier copy of it.
    fn is_asked(&self, core: &Core, call: u64) -> bool {
        self.in_flight.as_ref().is_some_and(|request| match () {
            () if core.mutant(Mutant::LateAnswerRefused) => request.is_last(call),
            () if core.mutant(Mutant::AnyAnswerTaken) => true,
            () => request.is_carried_by(call),
        })
    }

    /// Whether this call probes the entry before nextIndex, which is not known to agree yet.
    fn is_probed_by(&self, core: &Core, call: u64) -> bool {
        self.next_index > self.match_index + 1 && self.is_asked(core, call)
    }

    /// The reply to this call answers the request in flight. A late reply counts: over a long link there may be no
    /// other.
    fn answered(&mut self, core: &mut Core, call: u64) {
        self.measure(core, call);
        let request = self.in_flight.take();
        core.exercised(request.filter(|request| !request.is_last(call)).map(|_| Rule::LateAnswerTaken));
    }

    fn measure(&mut self, core: &Core, call: u64) {
        if let Some(request) = self.in_flight.as_ref().filter(|request| request.is_carried_by(call)) {
            self.round_trip = request.round_trip(call, core.now).max(self.round_trip * 7 / 8);
        }
    }

    fn matched(&mut self, core: &Core, call: u64, index: Index) {
        if index > self.match_index {
            self.measure(core, call);
            self.matched_call = core.next_call();
        }
        self.match_index = if core.mutant(Mutant::MatchIndexFalls) { index } else { self.match_index.max(index) };
        self.next_index = self.next_index.max(self.match_index + 1);
        self.sending.take_if(|sending| sending.snapshot.last_index() <= self.match_index);
        self.in_flight.take_if(|request| request.is_settled(self.match_index));
    }

    /// Decrements nextIndex by at least one, but never to matchIndex or below: each round makes progress.
    fn step_back(&mut self, core: &mut Core, conflict: Conflict) {
        let next = match () {
            () if core.mutant(Mutant::NextIndexStuck) => self.next_index,
            () if core.mutant(Mutant::StepBackAndOverwrite) => self.next_index - 1,
            () => next_after_conflict(core, conflict).min(self.next_index - 1),
        };
        self.next_index = next.max(self.match_index + 1);
    }

    /// Repeats the request with the next heartbeat, and not at once, which could loop for ever.
    fn try_later(&mut self, core: &mut Core, call: u64) {
        let request = self.in_flight.as_mut().filter(|request| request.is_last(call));
        core.exercised(if request.is_some() { Rule::SenselessAnswerPutOff } else { Rule::LateAnswerIgnored });
        request.into_iter().for_each(InFlight::put_off);
    }

    /// The transport has given up a call. It is sent again with the next heartbeat, and not at once: a dead peer
    /// refuses calls quickly.
    pub(crate) fn lost(&mut self, core: &mut Core, call: u64) {
        let is_it = |request: &&mut InFlight| request.is_last(call) || core.mutant(Mutant::AnyLossBelieved);
        if let Some(request) = self.in_flight.as_mut().filter(is_it) {
            core.exercised(Rule::CallLost);
            match core.mutant(Mutant::LostCallRepeatedAtOnce) {
                true => request.repeat(),
                false => request.put_off(),
            }
        }
    }

    /// A reply came to a call that was sent after the request in flight. If that request is overdue, it or its reply
    /// counts as lost. (An acknowledgement waits for a disk, and the reply to a heartbeat does not: only the former is
    /// measured.)
    fn doubt(&mut self, core: &mut Core, call: u64) {
        let after = self.doubted_after(core);
        let after = if core.mutant(Mutant::LossInferredAtOnce) { Duration::ZERO } else { after };
        let is_lost = |request: &&mut InFlight| request.is_before(call) && request.is_overdue(core.now, after);
        if let Some(request) = self.in_flight.as_mut().filter(is_lost)
            && !core.mutant(Mutant::LossNotInferred)
        {
            request.repeat();
            core.exercised(Rule::LossInferred);
        }
    }

    fn doubted_after(&self, core: &Core) -> Duration {
        let patience = self.patience(core);
        let request = self.in_flight.as_ref().filter(|_| !self.round_trip.is_zero());
        request.map_or(patience, |request| request.doubted_after(self.round_trip).min(patience))
    }

    /// When to send an extra heartbeat that shows whether the request in flight is lost; `None` if the regular
    /// heartbeat is early enough.
    pub(crate) fn question_due(&self, core: &Core) -> Option<Time> {
        let after = self.doubted_after(core);
        let is_due = after < core.options.heartbeat_interval;
        self.in_flight.as_ref().filter(|_| is_due)?.question_due(after)
    }

    /// Time has passed: sends the extra heartbeat if it is due.
    pub(crate) fn ask(&mut self, core: &mut Core) {
        if self.question_due(core).is_some_and(|due| core.now >= due) {
            self.heartbeat_due = true;
            self.in_flight.iter_mut().for_each(InFlight::ask);
        }
    }

    /// The heartbeat interval has elapsed. A request without a reply for too long counts as lost.
    pub(crate) fn beat(&mut self, core: &mut Core) {
        self.heartbeat_due = true;
        let patience = self.patience(core);
        let is_given_up = self.in_flight.as_mut().is_some_and(|request| request.beat(core.now, patience));
        core.exercised_if(is_given_up, Rule::CallGivenUp);
    }

    /// How long to wait for a reply: the shortest election time-out, or two round trips where these take longer; but at
    /// most two of the longest election time-outs, after which transports give up a call.
    fn patience(&self, core: &Core) -> Duration {
        let Range { start: shortest, end: longest } = core.options.election_timeout;
        (2 * self.round_trip).clamp(shortest, 2 * longest.max(shortest))
    }

    /// Sends what it needs now: entries that it lacks or a snapshot of them, the commitIndex, or a heartbeat.
    pub(crate) fn replicate(&mut self, core: &mut Core, peer: NodeId) {
        let behind = self.match_index < core.log.last_index() || self.told_commit < core.commit_index;
        let (earlier, was_sending) = (self.in_flight.take_if(|request| request.is_due()), self.sending.is_some());
        if self.in_flight.is_none() && behind {
            let (request, end) = self.next_request(core);
            let call = core.call(peer, request);
            // If the entries were compacted meanwhile, the chunk of a snapshot that is sent instead is no copy of them.
            let earlier = earlier.filter(|_| self.sending.is_some() == was_sending);
            self.in_flight = Some(InFlight::new(call, core.now, end, earlier));
        } else if self.heartbeat_due {
            core.exercised(self.in_flight.as_ref().map(|_| Rule::HeartbeatBesideCall));
            self.send_heartbeat(core, peer);
        }
        self.heartbeat_due = false;
    }

    /// The next request, and the last entry that it brings.
    fn next_request(&mut self, core: &mut Core) -> (Request, Index) {
        let is_old = |sending: &Sending| sending.snapshot.last_index() < core.log.snapshot_index();
        self.sending.take_if(|sending| is_old(sending) && core.mutant(Mutant::SnapshotRestartsForNewer));
        if self.sending.is_none() && self.next_index <= core.log.base().index {
            // "The leader has already discarded the next log entry that it needs to send" (§7).
            let snapshot = core.log.snapshot().expect("entries are discarded only for a snapshot").clone();
            self.sending = Some(Sending { snapshot, received: 0 });
        }
        if let Some(sending @ Sending { snapshot, received }) = &self.sending {
            core.exercised_if(is_old(sending), Rule::SnapshotFinishedFirst);
            let chunk = snapshot.chunk(*received, core.options.max_snapshot_chunk_bytes);
            return (Request::InstallSnapshot(chunk), snapshot.last_index());
        }
        let entries = batch_from(core, self.next_index);
        let end = self.next_index - 1 + entries.len() as Index;
        core.exercised_if(end < core.log.last_index(), Rule::AppendCapped);
        self.told_commit = core.commit_index;
        (append_request(core, self.next_index - 1, entries), end)
    }

    /// Sends a heartbeat, which may leave while a slow request is in flight, and delays none. Its prev_log_index is
    /// known to agree, so it is always accepted.
    fn send_heartbeat(&mut self, core: &mut Core, peer: NodeId) {
        let known = if self.match_index >= core.log.base().index { self.match_index } else { 0 };
        let request = append_request(core, known, Vec::new());
        core.call(peer, request);
    }
}

/// The entries from `index` on, which is held, that fit in one AppendEntries.
fn batch_from(core: &Core, index: Index) -> Vec<Entry> {
    let (max_entries, max_bytes) = (core.options.max_append_entries, core.options.max_append_bytes);
    let mut batch = core.log.batch(index, max_entries, max_bytes);
    if core.mutant(Mutant::LargeCommandNeverSent) {
        batch.retain(|entry| entry.payload.len() <= max_bytes);
    }
    batch
}

/// `prev_log_index` is 0, the index of an entry that is held, or the index before these.
fn append_request(core: &Core, prev_log_index: Index, entries: Vec<Entry>) -> Request {
    let prev_log_term = match prev_log_index {
        0 => 0,
        index => core.log.term_at(index).expect("nextIndex is at most one past the log's end, and not before it"),
    };
    Request::AppendEntries(AppendEntries { prev_log_index, prev_log_term, entries, leader_commit: core.commit_index })
}

/// nextIndex after a conflict (end of §5.3): the logs agree at most up to the entry that the follower names, and at most
/// up to the leader's last entry there that is not of a later term. So one round skips all terms that either log lacks.
fn next_after_conflict(core: &mut Core, Conflict { term, index }: Conflict) -> Index {
    let is_here = core.log.agrees(index, term);
    core.exercised(if is_here { Rule::StepBackToEntry } else { Rule::StepBackOverTerms });
    core.log.last_not_after(LastEntry { term, index }) + 1
}

/// In this leader's own term, a reply that the term of its request is over can only be to a call that was made before this
/// server restarted: calls are numbered anew then. It confirms nothing.
fn is_of_former_life(core: &mut Core) -> bool {
    core.exercised(Rule::FormerLifeIgnored);
    !core.mutant(Mutant::FormerLifeBelieved)
}
