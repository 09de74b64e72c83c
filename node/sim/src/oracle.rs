//! The judge of every step: it knows what every server and disk holds, and protests when an invariant is broken.
//!
//! Invariants: it looks only at what a step changed, so a step costs the same however long the logs are; it believes no
//! rule of the core, only what can be seen. Logs are compared by their marks ([`LogModel`]): one comparison for a whole
//! prefix.
//!
//! Violations are collected in [`Findings`]. A run may go on after one, so whatever follows is seen as it is; only what
//! cannot be seen at all is an error of its own.
//!
//! Here stands what is seen of one server's log; elections are in `election`, commitment and application in `commit`,
//! disks and messages in `durable`, configurations in `membership`, reads in `reads`, leases in `leases`, what servers may do
//! of themselves in `conduct`, a cluster that is left alone in `steady`.

mod commit;
mod conduct;
mod durable;
mod election;
mod findings;
mod leases;
mod membership;
mod reads;
mod steady;

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use raftian_apps::{AppKind, Machine};
use raftian_raft::{Discard, Entry, Index, LastEntry, NodeId, RoleKind, Server, Snapshot, Term, Write};
use raftian_script::Invariant;

use crate::invariant::{Check, Finding, id_at, require};
use crate::log_model::{LogModel, Mark};
use crate::members::{Ids, Members};
use commit::Committed;
#[cfg(feature = "mutants")]
pub(crate) use commit::RESTING;
use conduct::Conduct;
use durable::DiskView;
use election::Matched;
pub(crate) use findings::Findings;
use leases::LeaseView;
use reads::ReadsView;
use steady::Steady;

/// Everything the judge remembers of a run.
#[derive(Debug)]
pub(crate) struct Oracle {
    /// What the cluster started with.
    first: Members,
    /// The configurations that were ever appended, whatever became of them.
    later: Vec<Members>,
    /// The servers that ever got old disks back.
    returned: Ids,
    /// Those that lost their disks while a configuration may have needed them.
    gone: Ids,
    /// Who led each term.
    leaders: BTreeMap<Term, NodeId>,
    table: Table,
    committed: Committed,
    /// For how long a confirmed round vouches for reads after it, if leases are in use.
    lease_span: Option<Duration>,
    /// The shortest election time-out.
    shortest_timeout: Duration,
    /// The server that there is of each name, and those that it has replaced.
    views: Vec<View>,
    former: Vec<View>,
    /// What must stay as it is, if anything must.
    steady: Option<Steady>,
    pub(crate) findings: Findings,
}

/// What was seen last of one server.
#[derive(Debug)]
struct View {
    id: NodeId,
    /// `None` while it is down.
    seen: Option<Seen>,
    log: LogModel,
    applied: Index,
    /// The votes it has given, by term: what a later term on its disk makes final, though they never stood there.
    cast: BTreeMap<Term, NodeId>,
    disk: DiskView,
    /// The latest term of which it has heard since its last step.
    heard: Term,
    matched: Matched,
    /// A copy of its disk that was kept aside; and the term in which its disk went back to one.
    kept: DiskView,
    went_back: Option<Term>,
    reads: ReadsView,
    lease: LeaseView,
    conduct: Conduct,
}

/// What can be seen of a server between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) role: RoleKind,
    pub(crate) term: Term,
    pub(crate) voted_for: Option<NodeId>,
    pub(crate) commit_index: Index,
    pub(crate) last_index: Index,
    pub(crate) snapshot_index: Index,
}

/// What a step did to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) before: Option<Seen>,
    pub(crate) now: Seen,
    pub(crate) appended: bool,
    pub(crate) truncated: bool,
    pub(crate) rolled_back: bool,
    pub(crate) installed: bool,
}

/// Every entry there ever was, by index and term.
#[derive(Debug, Default)]
struct Table {
    first: Vec<Mark>,
    others: BTreeMap<(Index, Term), u64>,
}

impl View {
    /// A server that has an empty disk, and was not started.
    fn new(id: NodeId) -> View {
        View {
            id,
            seen: None,
            log: LogModel::default(),
            applied: 0,
            cast: BTreeMap::new(),
            disk: DiskView::default(),
            heard: 0,
            matched: Matched::default(),
            kept: DiskView::default(),
            went_back: None,
            reads: ReadsView::default(),
            lease: LeaseView::default(),
            conduct: Conduct::default(),
        }
    }
}

impl Seen {
    pub(crate) fn of(server: &Server) -> Seen {
        let hard_state = server.hard_state();
        Seen {
            role: server.role(),
            term: hard_state.term,
            voted_for: hard_state.voted_for,
            commit_index: server.commit_index(),
            last_index: server.last().index,
            snapshot_index: server.snapshot().map_or(0, Snapshot::last_index),
        }
    }

    fn leads(self, term: Term) -> bool {
        self.role == RoleKind::Leader && self.term == term
    }
}

impl Table {
    /// Takes in an entry. Says whether it is new, or `None` if there is another one of its index and term.
    fn admit(&mut self, index: Index, mark: Mark) -> Option<bool> {
        let position = index as usize - 1;
        let known = match self.first.get(position) {
            // Entries come in order, so the first of each index finds its place free.
            None => {
                self.first.resize(position, Mark::default());
                self.first.push(mark);
                return Some(true);
            }
            Some(first) if first.term == mark.term => first.chain,
            Some(_) => match self.others.insert((index, mark.term), mark.chain) {
                None => return Some(true),
                Some(known) => known,
            },
        };
        (known == mark.chain).then_some(false)
    }
}

impl Oracle {
    /// A judge of `nodes` servers, of which the members of `first` found the cluster; `machine` is the application in
    /// its first state.
    pub(crate) fn new(
        nodes: usize,
        first: Members,
        app: AppKind,
        machine: Machine,
        lease_span: Option<Duration>,
        shortest_timeout: Duration,
        max_sessions: usize,
    ) -> Oracle {
        Oracle {
            first,
            later: Vec::new(),
            returned: Ids::default(),
            gone: Ids::default(),
            lease_span,
            shortest_timeout,
            leaders: BTreeMap::new(),
            table: Table::default(),
            committed: Committed::new(app, machine, max_sessions),
            views: (0..nodes).map(id_at).map(View::new).collect(),
            former: Vec::new(),
            steady: None,
            findings: Findings::default(),
        }
    }

    /// The last entry that any server ever knew to be committed.
    pub(crate) fn committed(&self) -> Index {
        self.committed.furthest()
    }

    /// Whether no other server has led a later term than this one.
    pub(crate) fn led_last(&self, id: NodeId) -> bool {
        self.leaders.last_key_value().is_some_and(|(_, last)| *last == id)
    }

    /// How many terms had a leader.
    pub(crate) fn led_terms(&self) -> usize {
        self.leaders.len()
    }

    /// A server has started with what its disk holds.
    pub(crate) fn started(&mut self, at: usize, server: &Server) -> Check {
        let covered = server.first_index() - 1;
        let committed = self.committed();
        self.findings.require(covered <= committed, Invariant::SnapshotTruth, || {
            format!("{} holds a snapshot in place of {covered} entries, which are not all committed", self.views[at].id)
        })?;
        let term = server.snapshot().map_or(0, |snapshot| snapshot.last.term);
        self.views[at].log = self.beginning(LastEntry { term, index: covered })?;
        self.views[at].applied = 0;
        self.append(at, server.entries(covered + 1, usize::MAX), server)?;
        self.check_active(at, server)
    }

    /// The log up to an entry that a snapshot ends with: all before it is what whoever has that entry has.
    fn beginning(&self, last: LastEntry) -> Result<LogModel, Finding> {
        let seen = self.everyone().flat_map(|view| [&view.log, view.disk.log()]);
        let mut logs = iter::once(self.committed.log()).chain(seen);
        let log = logs.find(|log| log.at(last.index).is_some_and(|mark| mark.term == last.term));
        log.map(|log| log.up_to(last.index)).ok_or_else(|| Finding {
            invariant: Invariant::SnapshotTruth,
            text: format!("a snapshot ends with entry {} of term {}, which nobody has", last.index, last.term),
        })
    }

    /// What was seen of all servers, those included that were replaced: what they have promised stays promised.
    fn everyone(&self) -> impl Iterator<Item = &View> {
        self.views.iter().chain(&self.former)
    }

    /// A server has crashed: what it held in memory is forgotten.
    pub(crate) fn crashed(&mut self, at: usize) {
        let view = &mut self.views[at];
        view.seen = None;
        (view.heard, view.matched) = (0, Matched::default());
        (view.reads, view.lease) = (ReadsView::default(), LeaseView::default());
        view.conduct = Conduct::default();
        let durable = view.disk.term();
        view.cast.retain(|term, _| *term < durable);
    }

    /// A server gives its vote: once in a term, whatever becomes of it on the disk.
    pub(crate) fn voted(&mut self, at: usize, term: Term, candidate: NodeId) -> Check {
        let first = *self.views[at].cast.entry(term).or_insert(candidate);
        self.findings.require(first == candidate, Invariant::VoteImmutable, || {
            format!("{} voted for {first} and for {candidate} in term {term}", self.views[at].id)
        })
    }

    /// A server has taken a step, and wants this written.
    pub(crate) fn stepped(&mut self, at: usize, server: &Server, write: Option<&Write>) -> Result<Moved, Finding> {
        let (before, now) = (self.views[at].seen, Seen::of(server));
        let mut moved = Moved { before, now, appended: false, truncated: false, rolled_back: false, installed: false };
        let members = self.members(at);
        if let Some(write) = write.filter(|write| !write.is_empty()) {
            self.take_in(at, server, write, &mut moved)?;
        }
        self.check_end(at, server, &mut moved)?;
        if let Some(before) = before {
            self.check_progress(at, before, &moved)?;
        }
        if now.role == RoleKind::Leader && before.is_none_or(|before| !before.leads(now.term)) {
            self.check_election(at, now)?;
        }
        let known = before.map_or(0, |before| before.commit_index);
        if now.commit_index != known {
            self.check_commit(at, server, before, now, members)?;
        }
        if moved.appended || moved.truncated || moved.installed || before.is_none() {
            self.check_active(at, server)?;
            let now = self.members(at);
            self.views[at].conduct.meets_members(members, now);
        }
        if now.role == RoleKind::Leader {
            self.check_match_rises(at, server)?;
        }
        self.check_standing(at, now)?;
        self.check_stays(at, now)?;
        let view = &mut self.views[at];
        (view.seen, view.heard) = (Some(now), 0);
        Ok(moved)
    }

    /// The latest members in a server's log.
    fn members(&self, at: usize) -> Members {
        self.views[at].log.changes().last().map_or(self.first, |(_, members)| *members)
    }

    /// What a server hands to its disk is what is new in its log.
    fn take_in(&mut self, at: usize, server: &Server, write: &Write, moved: &mut Moved) -> Check {
        if let Some(snapshot) = &write.snapshot {
            self.check_snapshot(at, snapshot)?;
            if write.discard == Some(Discard::All) {
                self.views[at].log = self.beginning(snapshot.last)?;
                moved.installed = true;
            }
        }
        if let Some(first) = write.entries.first() {
            self.cut(at, first.index - 1, moved)?;
            moved.appended = true;
            self.append(at, &write.entries, server)?;
        }
        Ok(())
    }

    /// The log of a server ends as what it handed over says.
    fn check_end(&mut self, at: usize, server: &Server, moved: &mut Moved) -> Check {
        let end = server.last();
        if end.index < self.views[at].log.last_index() {
            self.cut(at, end.index, moved)?;
        }
        let log = &self.views[at].log;
        let is_written = (log.last_index(), log.last().term) == (end.index, end.term);
        self.findings.require(is_written, Invariant::IndexOrder, || {
            let LastEntry { index, term } = end;
            format!("the log of {} ends with entry {index} of term {term}, which it wrote nowhere", self.views[at].id)
        })?;
        if is_written { Ok(()) } else { self.reread(at, server) }
    }

    /// Looks at the whole log of a server, where what it wrote does not tell what it holds.
    fn reread(&mut self, at: usize, server: &Server) -> Check {
        let View { id, log, .. } = &mut self.views[at];
        let first = server.first_index();
        log.truncate(first - 1);
        require(log.last_index() + 1 == first, Invariant::IndexOrder, || {
            format!("the log of {id} begins with entry {first}, and nobody knows what was before")
        })?;
        server.entries(first, usize::MAX).iter().for_each(|entry| _ = log.push(entry));
        Ok(())
    }

    fn cut(&mut self, at: usize, index: Index, moved: &mut Moved) -> Check {
        let View { id, log, seen, .. } = &mut self.views[at];
        if index < log.last_index() {
            let committed = seen.map_or(0, |seen| seen.commit_index);
            self.findings.require(index >= committed, Invariant::StateMachineSafety, || {
                format!("{id} discards entries from {} on, but knows {committed} to be committed", index + 1)
            })?;
            moved.truncated = true;
            moved.rolled_back = log.truncate(index);
        }
        Ok(())
    }

    /// Log Matching: an index and a term name one entry and all before it.
    fn append(&mut self, at: usize, entries: &[Entry], server: &Server) -> Check {
        for entry in entries {
            let Entry { index, term, .. } = *entry;
            let View { id, log, .. } = &mut self.views[at];
            let (id, last_index, last_term) = (*id, log.last_index(), log.last().term);
            let follows = index == last_index + 1 && term >= last_term;
            self.findings.require(follows, Invariant::LogMatching, || {
                format!("{id} puts entry {index} of term {term} after {last_index} of term {last_term}")
            })?;
            if index != last_index + 1 {
                return self.reread(at, server);
            }
            let mark = log.push(entry);
            let is_new = self.table.admit(index, mark);
            self.findings.require(is_new.is_some(), Invariant::LogMatching, || {
                format!("{id} has another entry {index} of term {term}, or others before it, than is known")
            })?;
            if is_new == Some(true) {
                self.check_change(at, entry, server)?;
            }
        }
        Ok(())
    }

    /// Nothing falls, and a vote stays, within an incarnation.
    fn check_progress(&mut self, at: usize, before: Seen, moved: &Moved) -> Check {
        let (now, id) = (moved.now, self.views[at].id);
        self.findings.require(now.term >= before.term, Invariant::VoteImmutable, || {
            format!("the term of {id} fell from {} to {}", before.term, now.term)
        })?;
        let kept = now.term > before.term || before.voted_for.is_none() || now.voted_for == before.voted_for;
        self.findings
            .require(kept, Invariant::VoteImmutable, || format!("{id} changed its vote in term {}", now.term))?;
        self.check_cause(at, before, now)?;
        let led_on = before.leads(now.term);
        self.findings.require(!led_on || !(moved.truncated || moved.installed), Invariant::LeaderAppendOnly, || {
            format!("{id} discarded entries of its own log while it led term {}", now.term)
        })?;
        let rises = now.commit_index >= before.commit_index && now.snapshot_index >= before.snapshot_index;
        self.findings.require(rises, Invariant::IndexOrder, || {
            format!("commitIndex or the snapshot of {id} fell: {before:?}, {now:?}")
        })
    }

    /// A server has carried out a step to its end: snapshot ≤ lastApplied ≤ commitIndex ≤ last index, unless the snapshot is
    /// still being restored.
    pub(crate) fn settled(&mut self, at: usize, server: &Server, is_restoring: bool) -> Check {
        let View { applied, .. } = self.views[at];
        let snapshot = server.snapshot().map_or(0, Snapshot::last_index);
        let (commit, last) = (server.commit_index(), server.last().index);
        let is_ordered = (snapshot <= applied || is_restoring) && applied <= commit && commit <= last;
        self.findings.require(is_ordered && server.first_index() <= snapshot + 1, Invariant::IndexOrder, || {
            format!("{}: snapshot {snapshot}, applied {applied}, commitIndex {commit}, last {last}", self.views[at].id)
        })
    }

    /// The whole log of a server against its model, entry by entry. It costs time in the length of the log.
    pub(crate) fn check_whole_log(&mut self, at: usize, server: &Server) -> Check {
        let log = &self.views[at].log;
        let mut mark = log.at(server.first_index() - 1).unwrap_or_default();
        for entry in server.entries(server.first_index(), usize::MAX) {
            mark = mark.then(entry);
            self.findings.require(log.at(entry.index) == Some(mark), Invariant::LogMatching, || {
                format!("entry {} of {} changed behind everybody's back", entry.index, self.views[at].id)
            })?;
        }
        Ok(())
    }
}
