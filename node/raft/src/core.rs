//! The state that a server has in every role: its term, vote and log, and the effects that were not taken yet.
//!
//! Invariant: a message that promises something goes through [`Core::call_durably`] or [`Core::reply`]; it is not
//! released before all that it promises is durable.

use std::time::Duration;

use crate::log::Log;
use crate::mutant::Mutant;
use crate::ready::Ticket;
use crate::rule::{Rule, RuleSet};
use crate::snapshot::Incoming;
use crate::writes::Writes;
use crate::{
    AppendReply, Body, Configuration, Entry, Event, HardState, Index, LastEntry, Message, NodeId, NotLeader, Options,
    Payload, Persist, ReadOutcome, ReadTicket, Ready, Recovered, Reply, Request, Snapshot, SnapshotReply, Term, Time,
};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) now: Time,
    /// When it started. Before that it may have promised something that is not in its durable state.
    pub(crate) started: Time,
    pub(crate) log: Log,
    pub(crate) commit_index: Index,
    /// A snapshot of which some chunks have not arrived yet.
    pub(crate) incoming: Option<Incoming>,
    /// The rules followed so far, for tests.
    pub(crate) rules: RuleSet,
    hard_state: HardState,
    random: fastrand::Rng,
    calls: u64,
    tickets: u64,

    /// The hard state given to storage last, and the last one known to be durable.
    handed_hard_state: HardState,
    durable_hard_state: HardState,
    writes: Writes,

    messages: Vec<Message>,
    promises: Vec<Message>,
    reads: Vec<ReadOutcome>,
    events: Vec<Event>,
    /// The snapshot that the application must restore before it applies any entry.
    restore: Option<Snapshot>,
    /// The last entry given to the application.
    delivered: Index,
}

impl Core {
    pub(crate) fn new(options: Options, recovered: Recovered, now: Time) -> Core {
        let hard_state = recovered.hard_state;
        let log = Log::recovered(options.configuration.clone(), recovered);
        Core {
            random: options.random(),
            options,
            now,
            started: now,
            commit_index: log.snapshot_index(),
            incoming: None,
            rules: RuleSet::default(),
            hard_state,
            calls: 0,
            tickets: 0,
            handed_hard_state: hard_state,
            durable_hard_state: hard_state,
            writes: Writes::default(),
            messages: Vec::new(),
            promises: Vec::new(),
            reads: Vec::new(),
            events: Vec::new(),
            restore: log.snapshot().cloned(),
            delivered: log.snapshot_index(),
            log,
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.options.id
    }

    pub(crate) fn term(&self) -> Term {
        self.hard_state.term
    }

    pub(crate) fn voted_for(&self) -> Option<NodeId> {
        self.hard_state.voted_for
    }

    /// The configuration in force (§6); `None` for a server that waits to be added.
    pub(crate) fn configuration(&self) -> Option<&Configuration> {
        self.log.membership().active()
    }

    /// Whether the configuration in force is committed, as far as this server knows.
    pub(crate) fn configuration_is_committed(&self) -> bool {
        self.log.membership().active_since() <= self.commit_index
    }

    /// Whether this server has a vote of its own.
    pub(crate) fn is_voter(&self) -> bool {
        self.configuration().is_some_and(|configuration| configuration.is_voter(self.id()))
    }

    /// Whether this server may stand for election. A server that C_new removes "might still be needed until the C_new
    /// entry is committed" (thesis §4.2.2): it may be the only one with that entry, and then its log is more up-to-date
    /// than all others and it cannot vote for them.
    pub(crate) fn may_stand(&self) -> bool {
        let membership = self.log.membership();
        let was_voter = membership.previous().is_some_and(|configuration| configuration.is_voter(self.id()));
        let may_be_needed =
            was_voter && !self.configuration_is_committed() && !self.mutant(Mutant::RemovedVoterGivesUp);
        self.is_voter() || may_be_needed || self.mutant(Mutant::LearnerStands)
    }

    /// Whether the voters for whom `agrees` holds are a quorum.
    pub(crate) fn has_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        self.reached(agrees)
    }

    /// The greatest value that a quorum has reached; the default value where no configuration is known.
    pub(crate) fn reached<T: Ord + Default>(&self, value: impl Fn(NodeId) -> T) -> T {
        let Some(configuration) = self.configuration() else { return T::default() };
        match Mutant::MISCOUNTS.into_iter().find(|mutant| self.mutant(*mutant)) {
            Some(mutant) => mutant.miscount(configuration, value),
            None => configuration.reached(value),
        }
    }

    /// Whether an entry of the current term is committed. Then a leader knows all entries that are committed (§8).
    pub(crate) fn has_committed_in_term(&self) -> bool {
        self.log.term_at(self.commit_index) == Some(self.term())
    }

    /// Whether this bug is planted here.
    #[cfg(feature = "mutants")]
    pub(crate) fn mutant(&self, mutant: Mutant) -> bool {
        self.options.mutant == Some(mutant)
    }

    /// No bug is planted here.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn mutant(&self, _: Mutant) -> bool {
        false
    }

    /// Notes that a rule was followed, for tests. It has no other effect.
    pub(crate) fn exercised(&mut self, rule: impl Into<Option<Rule>>) {
        if let Some(rule) = rule.into() {
            self.rules.insert(rule);
        }
    }

    pub(crate) fn exercised_if(&mut self, is_followed: bool, rule: Rule) {
        self.exercised(is_followed.then_some(rule));
    }

    /// Enters a later term, in which this server has not voted yet (§5.1).
    pub(crate) fn enter_term(&mut self, term: Term) {
        debug_assert!(term > self.term(), "a term never falls, and within it a vote never changes");
        self.exercised_if(self.hard_state_is_unwritten(), Rule::HardStateReplacedUnwritten);
        self.hard_state = HardState { term, voted_for: None };
    }

    /// Grants the vote of this term. It never changes within the term (§5.2).
    pub(crate) fn vote_for(&mut self, candidate: NodeId) {
        debug_assert!(self.voted_for().is_none_or(|given| given == candidate));
        self.hard_state.voted_for = Some(candidate);
        self.record(Event::Voted { term: self.term(), candidate });
    }

    /// [`Mutant::StepDownForgetsVote`].
    pub(crate) fn forget_vote(&mut self) {
        self.hard_state.voted_for = None;
    }

    /// Whether term or vote have changed since effects were last taken.
    pub(crate) fn hard_state_is_unwritten(&self) -> bool {
        self.hard_state != self.handed_hard_state
    }

    /// Whether this server's vote for itself in the current term is on stable storage.
    pub(crate) fn own_vote_is_durable(&self) -> bool {
        self.durable_hard_state == self.hard_state && self.voted_for() == Some(self.id())
    }

    /// A new election time-out (§5.2: chosen randomly from a fixed interval).
    pub(crate) fn election_deadline(&mut self) -> Time {
        let Options { election_timeout, .. } = &self.options;
        let span_us = (election_timeout.end - election_timeout.start).as_micros() as u64;
        self.now + election_timeout.start + Duration::from_micros(self.random.u64(0..span_us.max(1)))
    }

    /// Appends an entry of the current term to a leader's log.
    pub(crate) fn append(&mut self, payload: Payload) -> Index {
        let index = self.log.last_index() + 1;
        self.push(Entry { index, term: self.term(), payload });
        index
    }

    /// Appends the next entry.
    pub(crate) fn push(&mut self, entry: Entry) {
        if self.log.push(entry) {
            self.record_membership();
        }
    }

    /// Discards the entries from `from` on, none of which is committed.
    pub(crate) fn truncate(&mut self, from: Index) {
        debug_assert!(from > self.commit_index);
        self.exercised_if(from <= self.log.handed(), Rule::TruncatedInStorage);
        let rolls_back = !self.mutant(Mutant::ConfigurationNotRolledBack);
        let kept = Some(self.log.handed()).filter(|handed| *handed < self.log.last_index());
        let other_membership = self.log.truncate(from, rolls_back);
        if let Some(handed) = kept.filter(|_| self.mutant(Mutant::HandedKeptInBatch)) {
            self.log.keep_handed(handed);
        }
        self.record(Event::Truncated { from });
        if other_membership {
            self.exercised(Rule::ConfigurationRolledBack);
            self.record_membership();
        }
    }

    fn record_membership(&mut self) {
        let configuration = self.configuration().cloned();
        self.record(Event::Membership { configuration });
    }

    /// A snapshot of which some chunks are here is not needed once all that it covers is committed.
    pub(crate) fn discard_needless_chunks(&mut self) {
        self.incoming.take_if(|incoming| incoming.last_index() <= self.commit_index);
    }

    /// Replaces the log and the application's state by a leader's snapshot (§7).
    pub(crate) fn install(&mut self, snapshot: Snapshot) {
        debug_assert!(snapshot.last.index > self.commit_index);
        let contradicts = snapshot.last.index <= self.log.last_index();
        self.exercised(if contradicts { Rule::SnapshotReplacesConflict } else { Rule::SnapshotReplacesLog });
        self.commit_index = snapshot.last.index;
        self.delivered = snapshot.last.index;
        self.record(Event::SnapshotInstalled { index: snapshot.last.index });
        let before = self.configuration().cloned();
        self.restore = Some(snapshot.clone());
        self.log.replace(snapshot);
        if self.configuration() != before.as_ref() {
            self.record_membership();
        }
    }

    /// The last entry given to the application.
    pub(crate) fn delivered(&self) -> Index {
        self.delivered
    }

    /// The ticket for a new read.
    pub(crate) fn next_ticket(&mut self) -> ReadTicket {
        self.tickets += 1;
        ReadTicket(self.tickets)
    }

    /// Records the outcome of a read.
    pub(crate) fn finish_read(&mut self, ticket: ReadTicket, index: Result<Index, NotLeader>) {
        self.exercised_if(index.is_err(), Rule::ReadFailed);
        self.reads.push(ReadOutcome { ticket, index });
    }

    pub(crate) fn record(&mut self, event: Event) {
        self.exercised(Rule::of_event(&event));
        self.events.push(event);
    }

    /// Sends a request that promises nothing new, such as a leader's AppendEntries: its term is durable already.
    /// Returns its number.
    pub(crate) fn call(&mut self, to: NodeId, request: Request) -> u64 {
        let message = self.request(to, self.term(), request);
        let call = message.call;
        self.messages.push(message);
        call
    }

    /// Sends a request once the current state is durable. Returns its number.
    pub(crate) fn call_durably(&mut self, to: NodeId, term: Term, request: Request) -> u64 {
        let message = self.request(to, term, request);
        let call = message.call;
        self.promises.push(message);
        call
    }

    /// Sends a reply: at once if what it promises is durable, otherwise once the current state is. A follower with a
    /// slow disk must not make its leader believe that it does not answer.
    pub(crate) fn reply(&mut self, to: NodeId, call: u64, term: Term, reply: Reply) {
        self.exercised(Rule::of_reply(&reply));
        let is_kept = self.is_kept(&reply) && !self.mutant(Mutant::RepliesWaitForWrites);
        self.exercised_if(is_kept && !self.writes.all_are_durable(), Rule::ReplyBeforeWrite);
        let message = Message { from: self.id(), to, term, call, body: Body::Reply(reply) };
        if is_kept { self.messages.push(message) } else { self.promises.push(message) }
    }

    /// Whether all that a reply promises is durable: the term, a vote, the log up to an index.
    fn is_kept(&self, reply: &Reply) -> bool {
        let term_is_durable = self.durable_hard_state.term == self.term();
        match reply {
            Reply::RequestVote { granted: true } => self.durable_hard_state == self.hard_state,
            Reply::AppendEntries(AppendReply::Matched(index))
            | Reply::InstallSnapshot(SnapshotReply::Installed(index)) => {
                term_is_durable && *index <= self.log.durable()
            }
            _ => term_is_durable,
        }
    }

    fn request(&mut self, to: NodeId, term: Term, request: Request) -> Message {
        self.exercised(Rule::of_request(&request));
        self.calls += 1;
        Message { from: self.id(), to, term, call: self.calls, body: Body::Request(request) }
    }

    /// The number the next request will have.
    pub(crate) fn next_call(&self) -> u64 {
        self.calls + 1
    }

    /// Takes all effects.
    pub(crate) fn take_ready(&mut self) -> Ready {
        let hard_state = self.hard_state_is_unwritten().then_some(self.hard_state);
        self.handed_hard_state = self.hard_state;
        let write = self.log.hand_over(self.to_persist(hard_state));
        self.exercised(Rule::of_write(&write));

        let mut messages = std::mem::take(&mut self.messages);
        let mut promises = std::mem::take(&mut self.promises);
        let all_is_durable = write.is_empty() && self.writes.all_are_durable();
        if all_is_durable || self.mutant(Mutant::SpeaksBeforeSync) {
            // Nothing to wait for: all that they promise is durable.
            messages.append(&mut promises);
        }
        let persist = (!write.is_empty() || !promises.is_empty()).then(|| {
            let number = self.writes.hand(self.now);
            let ticket = Ticket { number, log: self.log.version(), hard_state: self.hard_state };
            Persist::new(write, promises, ticket)
        });

        let first = self.delivered + 1;
        let due = usize::try_from(self.commit_index - self.delivered).unwrap_or(usize::MAX);
        let committed = self.log.from(first, due.min(self.options.max_committed_per_ready.max(1))).to_vec();
        self.exercised_if(committed.len() < due, Rule::CommittedCapped);
        let taken = if self.mutant(Mutant::CommittedRestSkipped) { due } else { committed.len() };
        self.delivered += taken as Index;
        Ready {
            messages,
            persist,
            restore: self.restore.take(),
            committed,
            reads: std::mem::take(&mut self.reads),
            events: std::mem::take(&mut self.events),
        }
    }

    fn to_persist(&self, hard_state: Option<HardState>) -> Option<HardState> {
        match hard_state {
            Some(_) if self.mutant(Mutant::TermNotPersisted) => None,
            Some(HardState { term, .. }) if self.mutant(Mutant::VoteNotPersisted) => {
                Some(HardState { term, voted_for: None })
            }
            hard_state => hard_state,
        }
    }

    /// Whether there are committed entries to take.
    pub(crate) fn has_undelivered(&self) -> bool {
        self.delivered < self.commit_index
    }

    /// Notes that a write is durable.
    pub(crate) fn note_durable(&mut self, ticket: Ticket) {
        if let Some(silence) = self.writes.note_durable(ticket.number, self.now) {
            self.record(Event::DiskAnswered { after_ms: silence.as_millis() as u64 });
        }
        self.durable_hard_state = ticket.hard_state;
        let is_late = !self.log.synced(ticket.log);
        self.exercised_if(is_late, Rule::LateSyncIgnored);
    }

    /// Time has passed: says so if the disk has not answered for too long.
    pub(crate) fn watch_disk(&mut self) {
        if self.writes.becomes_silent(self.now, self.options.disk_patience) {
            self.record(Event::DiskSilent);
        }
    }

    /// When to call [`Core::watch_disk`], if a write is pending.
    pub(crate) fn disk_deadline(&self) -> Option<Time> {
        self.writes.deadline(self.options.disk_patience)
    }

    /// Whether the disk has not answered for too long.
    pub(crate) fn disk_is_silent(&self) -> bool {
        self.writes.is_silent()
    }

    /// For how long the disk has not answered, if a write is pending.
    pub(crate) fn disk_silence(&self) -> Option<Duration> {
        self.writes.silence(self.now)
    }

    /// Whether a candidate whose log ends in `last` is at least as up to date as this server (§5.4.1).
    pub(crate) fn is_up_to_date(&self, last: LastEntry) -> bool {
        last >= self.log.last()
            || self.mutant(Mutant::NoUpToDateCheck)
            || (self.mutant(Mutant::OnlyLengthCompared) && last.index >= self.log.last_index())
    }
}
