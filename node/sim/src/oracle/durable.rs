//! Disks, and what may be said before they have it (Figure 2: "updated on stable storage before responding to RPCs").

use std::collections::BTreeMap;

use raftian_raft::{
    AppendReply, Body, Discard, Entry, HardState, Index, LastEntry, Message, NodeId, Reply, Request, Snapshot,
    SnapshotReply, Term, Time, Write,
};
use raftian_script::Invariant;
use raftian_wal::Recovered;

use super::{Findings, Oracle, View};
use crate::invariant::{Check, Finding, place};
use crate::log_model::{LogModel, Mark};
use crate::members::{Ids, bit};

/// A part of a write that is on the disk as a whole or not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    HardState(HardState),
    Snapshot(&'a Snapshot),
    Discard(Discard),
    Entry(&'a Entry),
}

/// The records of a write, in order: a snapshot comes before what it makes superfluous is discarded.
fn records(write: &Write) -> impl Iterator<Item = Record<'_>> {
    let hard_state = write.hard_state.map(Record::HardState);
    let snapshot = write.snapshot.as_ref().map(Record::Snapshot);
    let discard = write.discard.map(Record::Discard);
    hard_state.into_iter().chain(snapshot).chain(discard).chain(write.entries.iter().map(Record::Entry))
}

/// What is known to be on a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskView {
    hard_state: HardState,
    /// The votes that have ever been durable; terms rise.
    votes: Vec<(Term, NodeId)>,
    log: LogModel,
    /// The index and the term of its last entry.
    snapshot: (Index, Term),
    /// The entries up to here were discarded for a snapshot.
    discarded: Index,
}

impl DiskView {
    /// The entries, those that were discarded for a snapshot included.
    pub(super) fn log(&self) -> &LogModel {
        &self.log
    }

    pub(super) fn term(&self) -> Term {
        self.hard_state.term
    }

    /// The vote of a term, if there ever was one on the disk.
    pub(super) fn vote_in(&self, term: Term) -> Option<NodeId> {
        self.votes.iter().rev().find(|(of, _)| *of == term).map(|(_, candidate)| *candidate)
    }

    /// Whether the disk has this entry and all before it, as entries or in its snapshot.
    pub(super) fn stores(&self, index: Index, mark: Mark) -> bool {
        index <= self.snapshot.0 || self.log.at(index) == Some(mark)
    }

    /// Whether this is what the disk gives back now.
    fn is(&self, recovered: &Recovered) -> bool {
        let snapshot = recovered.snapshot.as_ref().map_or((0, 0), |snapshot| (snapshot.last.index, snapshot.last.term));
        self.hard_state == recovered.hard_state && self.snapshot == snapshot && self.has_entries(&recovered.entries)
    }

    /// Whether these are its entries, but for some at the beginning that the snapshot stands for.
    fn has_entries(&self, entries: &[Entry]) -> bool {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return self.log.last_index() <= self.discarded;
        };
        let Some(before) = self.log.at(first.index - 1).filter(|_| first.index <= self.snapshot.0 + 1) else {
            return false;
        };
        last.index == self.log.last_index()
            && entries.iter().fold(before, |mark, entry| mark.then(entry)) == self.log.last()
    }

    fn note(&mut self, id: NodeId, now: HardState, findings: &mut Findings) -> Check {
        let before = self.hard_state;
        findings.require(now.term >= before.term, Invariant::VoteImmutable, || {
            format!("the durable term of {id} fell from {} to {}", before.term, now.term)
        })?;
        let kept = now.term > before.term || before.voted_for.is_none() || now.voted_for == before.voted_for;
        findings.require(kept, Invariant::VoteImmutable, || {
            format!("{id} changed its durable vote in term {}", now.term)
        })?;
        if let Some(candidate) = now.voted_for.filter(|_| now != before) {
            self.votes.push((now.term, candidate));
        }
        self.hard_state = now;
        Ok(())
    }
}

impl Oracle {
    /// A record has reached a disk.
    pub(crate) fn kept(&mut self, at: usize, record: Record<'_>) -> Check {
        let id = self.views[at].id;
        match record {
            Record::HardState(hard_state) => self.views[at].disk.note(id, hard_state, &mut self.findings)?,
            Record::Snapshot(snapshot) => {
                let (before, now) = (self.views[at].disk.snapshot.0, snapshot.last.index);
                self.findings.require(now > before, Invariant::IndexOrder, || {
                    format!("{id} replaced its snapshot at {before} by one at {now}")
                })?;
                self.check_snapshot(at, snapshot)?;
                self.views[at].disk.snapshot = (now, snapshot.last.term);
            }
            Record::Discard(Discard::UpTo(index)) => self.views[at].disk.discarded = index,
            Record::Discard(Discard::All) => self.begin_after_snapshot(at)?,
            Record::Entry(entry) => {
                let DiskView { log, snapshot: (snapshot, _), discarded, .. } = &self.views[at].disk;
                // A crash may have come right after the snapshot: with no entry there was none to discard.
                if *discarded >= log.last_index() && log.last_index() < *snapshot && entry.index == snapshot + 1 {
                    self.begin_after_snapshot(at)?;
                }
                let log = &mut self.views[at].disk.log;
                self.findings.require(entry.index <= log.last_index() + 1, Invariant::IndexOrder, || {
                    format!("{id} leaves a gap on its disk before index {}", entry.index)
                })?;
                log.end_at(entry.index - 1);
                log.push(entry);
            }
        }
        Ok(())
    }

    fn begin_after_snapshot(&mut self, at: usize) -> Check {
        let (index, term) = self.views[at].disk.snapshot;
        let log = self.beginning(LastEntry { term, index })?;
        let disk = &mut self.views[at].disk;
        (disk.log, disk.discarded) = (log, index);
        Ok(())
    }

    /// A node is given an empty disk.
    pub(crate) fn replaced(&mut self, at: usize) {
        self.views[at].disk = DiskView::default();
    }

    /// A node's disk is emptied: another server of its name begins, and waits to be added. What the former one has promised
    /// it never takes back.
    pub(crate) fn begins_anew(&mut self, at: usize, id: NodeId) {
        if !self.is_forgotten(at) {
            self.gone = self.gone | bit(self.views[at].id);
        }
        let former = std::mem::replace(&mut self.views[at], View::new(id));
        self.former.push(former);
    }

    /// A copy is made of what a disk has durably.
    pub(crate) fn disk_kept(&mut self, at: usize) {
        let View { disk, kept, .. } = &mut self.views[at];
        kept.clone_from(disk);
    }

    /// A node has the disk again that it had when the copy was made.
    pub(crate) fn put_back(&mut self, at: usize) {
        if self.is_forgotten(at) {
            self.returned = self.returned | bit(self.views[at].id);
        }
        let view = &mut self.views[at];
        view.went_back = Some(view.disk.term());
        view.disk.clone_from(&view.kept);
        view.cast.clear();
    }

    /// Whether nobody rests on what a server promised since the copy of its disk was made: it entered no term and gave no
    /// vote, and what it stored is stored by a quorum without it, of all members there ever were. Where that is not so,
    /// nothing can save what is lost.
    pub(crate) fn is_superfluous(&self, at: usize) -> bool {
        let View { id, disk, kept, .. } = &self.views[at];
        let (index, mark) = (disk.log.last_index(), disk.log.last());
        let others = self.everyone().filter(|view| view.id != *id && view.disk.stores(index, mark));
        let stored: Ids = others.map(|view| view.id).collect();
        disk.hard_state == kept.hard_state && self.configurations().all(|members| members.is_quorum(stored))
    }

    /// A write is durable.
    pub(crate) fn writes(&mut self, at: usize, write: &Write) -> Check {
        records(write).try_for_each(|record| self.kept(at, record))
    }

    /// A disk was read back, on which these writes had been begun: it must hold what was durable, and beyond that a
    /// beginning of their records.
    pub(crate) fn recovered(&mut self, at: usize, recovered: &Recovered, begun: &[Write]) -> Check {
        let mut rest = begun.iter().flat_map(records);
        while !self.views[at].disk.is(recovered) {
            let Some(record) = rest.next() else {
                let DiskView { hard_state, log, snapshot: (snapshot, _), .. } = &self.views[at].disk;
                let (id, last) = (self.views[at].id, recovered.entries.last().map(|entry| (entry.index, entry.term)));
                let text = format!(
                    "the disk of {id} gives back {:?}, snapshot {:?}, last entry {last:?}; it held {hard_state:?}, \
                     snapshot {snapshot}, last entry {}",
                    recovered.hard_state,
                    recovered.snapshot.as_ref().map(Snapshot::last_index),
                    log.last_index()
                );
                // What it gives back is what there is, whatever it should be.
                self.findings.report(Invariant::RecoveryTruth, || text)?;
                return self.reread_disk(at, recovered);
            };
            self.kept(at, record)?;
        }
        Ok(())
    }

    /// Takes what a disk gives back for what it holds.
    fn reread_disk(&mut self, at: usize, recovered: &Recovered) -> Check {
        let Recovered { hard_state, snapshot, entries, .. } = recovered;
        let first = entries.first().map_or(1, |entry| entry.index);
        let last = snapshot.as_ref().map_or(LastEntry { term: 0, index: 0 }, |snapshot| snapshot.last);
        let mut log = match self.views[at].disk.log.at(first - 1) {
            Some(_) => self.views[at].disk.log.up_to(first - 1),
            None => self.beginning(last)?,
        };
        for entry in entries {
            if entry.index != log.last_index() + 1 {
                let text = format!("the disk of {} gives back a log that cannot be", self.views[at].id);
                return Err(Finding { invariant: Invariant::RecoveryTruth, text });
            }
            log.push(entry);
        }
        let disk = &mut self.views[at].disk;
        (disk.hard_state, disk.log, disk.snapshot) = (*hard_state, log, (last.index, last.term));
        Ok(())
    }

    /// A message leaves its sender, at this time on its clock.
    pub(crate) fn sent(&mut self, message: &Message, now: Time) -> Check {
        let Message { from, to, term, .. } = *message;
        self.check_calm(message, now)?;
        self.check_conduct(message, now)?;
        self.views[place(from)].reads.note_sent(message);
        if let Some(span) = self.lease_span {
            self.views[place(from)].lease.note_sent(message, now, span);
        }
        let View { disk, cast, .. } = &self.views[place(from)];
        let of_its_own_term = is_of_own_term(message);
        self.findings.require(
            !of_its_own_term || disk.hard_state.term >= term,
            Invariant::DurableBeforeSend,
            || format!("{from} spoke of term {term} before it was durable"),
        )?;
        match message.body {
            Body::Request(Request::RequestVote { .. }) => {
                let is_final = disk.vote_in(term) == Some(from) || is_outlived(disk, cast, term, from);
                self.findings.require(is_final, Invariant::DurableBeforeSend, || {
                    format!("{from} asked for votes in term {term} before its own was durable")
                })
            }
            Body::Reply(Reply::RequestVote { granted: true }) => {
                let is_final = disk.vote_in(term) == Some(to) || is_outlived(disk, cast, term, to);
                self.findings.require(is_final, Invariant::DurableBeforeSend, || {
                    format!("{from} granted {to} a vote in term {term} that is not durable")
                })
            }
            Body::Reply(Reply::AppendEntries(AppendReply::Matched(index)))
            | Body::Reply(Reply::InstallSnapshot(SnapshotReply::Installed(index)))
                if disk.hard_state.term == term =>
            {
                self.check_acknowledged(message, index)
            }
            _ => Ok(()),
        }
    }

    /// What a follower says it has is durable, and as long as the leader still leads it is the leader's.
    fn check_acknowledged(&mut self, message: &Message, index: Index) -> Check {
        let Message { from, to, term, .. } = *message;
        let (disk, leader) = (&self.views[place(from)].disk, &self.views[place(to)]);
        let is_there = index <= disk.snapshot.0 || index <= disk.log.last_index();
        let leads = leader.id == to && leader.seen.is_some_and(|seen| seen.leads(term));
        let others = leader.log.at(index).filter(|_| leads).is_some_and(|mark| !disk.stores(index, mark));
        self.findings.require(is_there && !others, Invariant::DurableBeforeSend, || {
            let what = if is_there { "where it has other entries durably" } else { "which is not durable" };
            format!("{from} acknowledged index {index} to {to}, {what}")
        })
    }
}

/// Whether a message is of the term of its sender, and not of one that it asks about or would vote in.
pub(super) fn is_of_own_term(message: &Message) -> bool {
    !matches!(message.body, Body::Request(Request::PreVote(_)) | Body::Reply(Reply::PreVote { granted: true }))
}

/// Whether a vote that never stood on a disk can be given to no other any more: the disk is in a later term.
pub(super) fn is_outlived(disk: &DiskView, cast: &BTreeMap<Term, NodeId>, term: Term, candidate: NodeId) -> bool {
    disk.term() > term && cast.get(&term) == Some(&candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::id_at;

    #[test]
    fn a_vote_that_changes_or_a_term_that_falls_on_a_disk_is_seen() {
        let state = |term, vote: u16| HardState { term, voted_for: NodeId::new(vote) };
        let (mut disk, mut findings) = (DiskView::default(), Findings::default());
        for good in [state(1, 0), state(1, 2), state(1, 2), state(3, 1)] {
            assert!(disk.note(id_at(0), good, &mut findings).is_ok());
        }
        for bad in [state(3, 2), state(3, 0), state(2, 0)] {
            assert_eq!(disk.note(id_at(0), bad, &mut findings).unwrap_err().invariant, Invariant::VoteImmutable);
        }
        assert_eq!((disk.vote_in(1), disk.vote_in(2)), (NodeId::new(2), None));
    }
}
