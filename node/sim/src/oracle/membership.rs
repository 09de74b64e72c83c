//! Configurations: which is in force, and which may follow which (§6; thesis §4).

use raftian_raft::{Entry, NodeId, Payload, RoleKind, Server};
use raftian_script::Invariant;

use super::{Oracle, View};
use crate::invariant::Check;
use crate::log_model::LogModel;
use crate::members::{Ids, Members, bit};

impl Oracle {
    /// A server uses the latest configuration in its log.
    pub(super) fn check_active(&mut self, at: usize, server: &Server) -> Check {
        let id = self.views[at].id;
        let knows_first = self.is_founder(at) || server.snapshot().is_some();
        let latest = self.views[at].log.changes().last().map(|(_, members)| *members);
        let expected = latest.or(Some(self.first).filter(|_| knows_first));
        let active = server.configuration().map(Members::of);
        self.findings.require(active == expected, Invariant::ConfigurationTruth, || {
            let told = |members: Option<Members>| members.map_or("none".to_owned(), |members| format!("({members})"));
            format!("{id} uses {}, but the latest in its log is {}", told(active), told(expected))
        })
    }

    /// Whether every configuration there ever was has a quorum without these servers.
    pub(crate) fn can_spare(&self, lost: Ids) -> bool {
        let left = !(lost | self.gone);
        self.configurations().all(|members| members.is_quorum(left))
    }

    /// The servers that lost their disks while a configuration may have needed them.
    pub(crate) fn gone(&self) -> Ids {
        self.gone
    }

    /// All that there ever were, whatever became of them.
    pub(super) fn configurations(&self) -> impl Iterator<Item = &Members> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// Whether no configuration has this server: not the one that is committed, nor one that another server uses or may come
    /// to use again.
    pub(crate) fn is_forgotten(&self, at: usize) -> bool {
        let id = self.views[at].id;
        let committed = self.committed.log();
        let in_force = committed.changes().last().map_or(self.first, |(_, members)| *members);
        // What a node has in memory alone may be lost: what is on its disk is in force again then.
        let others = self.views.iter().enumerate().filter(|(other, _)| *other != at);
        let mut logs = others.flat_map(|(at, view)| {
            let in_memory = view.seen.map(|_| (at, &view.log));
            in_memory.into_iter().chain([(at, view.disk.log())])
        });
        !in_force.contains(id) && logs.all(|(at, log)| !self.may_use(at, log, id))
    }

    /// Whether servers that came back with less of their past, this one included, are no quorum of any members there ever
    /// were: they may be sent the log from an early index on, and use what members it tells of there.
    pub(crate) fn are_few_with(&self, at: usize) -> bool {
        let returned = self.returned | bit(self.views[at].id);
        !self.configurations().any(|members| members.is_quorum(returned))
    }

    /// Whether a node with this log uses a configuration with `id`, or may come to use one again.
    fn may_use(&self, at: usize, log: &LogModel, id: NodeId) -> bool {
        let committed = self.committed.log();
        let agreed = log.last_index().min(committed.last_index());
        // Where a log departs from what is committed, an earlier configuration may come back.
        let is_true = log.at(agreed) == committed.at(agreed);
        // With the beginning of the log may have come a snapshot that tells of the first members.
        let first = Some(self.first).filter(|_| self.is_founder(at) || log.last_index() > 0);
        let settled = log.changes_up_to(agreed).last().map(|(_, members)| *members).or(first);
        let later = log.changes().iter().filter(|(since, _)| *since > agreed).map(|(_, members)| *members);
        !is_true || settled.into_iter().chain(later).any(|members| members.contains(id))
    }

    /// Whether a node knew the first configuration when its disk was empty.
    fn is_founder(&self, at: usize) -> bool {
        self.first.contains(self.views[at].id)
    }

    /// An entry that nobody had before: if it brings a configuration, that may follow the one before it; a leader that
    /// appends it has committed that one, and an entry of its own term.
    pub(super) fn check_change(&mut self, at: usize, entry: &Entry, server: &Server) -> Check {
        let Payload::Configuration(next) = &entry.payload else { return Ok(()) };
        let (id, index, next) = (self.views[at].id, entry.index, Members::of(next));
        let View { log, .. } = &self.views[at];
        let (since, previous) = log.changes_up_to(index - 1).last().copied().unwrap_or((0, self.first));
        self.findings.require(previous.may_precede(next), Invariant::ConfigurationTruth, || {
            format!("({next}) at index {index} cannot follow ({previous})")
        })?;
        self.later.push(next);
        if server.role() != RoleKind::Leader || server.hard_state().term != entry.term {
            return Ok(());
        }
        let commit = server.commit_index();
        self.findings.require(since <= commit, Invariant::ConfigurationTruth, || {
            format!("{id} appended ({next}) at {index} before ({previous}) at {since} was committed")
        })?;
        // A voter that is alone may have committed this very entry in the same step.
        let committed_term = log.at(commit.min(index)).map_or(0, |mark| mark.term);
        self.findings.require(committed_term == entry.term, Invariant::ConfigurationTruth, || {
            format!("{id} appended ({next}) at {index} before it had committed an entry of term {}", entry.term)
        })
    }
}
