//! What is committed, what applying it gives, and what reads may see.
//!
//! Invariant: the replay here is a machine of its own, without planted bugs, fed each committed entry once.

use std::collections::HashMap;

use raftian_apps::{AppKind, Applied, Command, Digest, Effect, Machine, Response, Snapshot as State};
use raftian_raft::{Entry, Index, RoleKind, Server, Snapshot, Term};

use super::{Oracle, Seen, View};
use crate::invariant::{Check, Invariant, id_at, require};
use crate::members::{Members, bit};
use crate::shadow::Shadow;

/// The committed entries, and what they did.
#[derive(Debug)]
pub(super) struct Committed {
    log: Shadow,
    /// In which term each was first known to be committed.
    terms: Vec<Term>,
    app: AppKind,
    machine: Machine,
    /// What each entry did, and the digest of the state after it.
    effects: Vec<(Effect, Digest)>,
    /// Which command each entry carried.
    commands: Vec<Option<Command>>,
    /// The last serial that took effect, of every client.
    executed: HashMap<String, u64>,
    /// Snapshots that were found to be true, by index.
    snapshots: HashMap<Index, Digest>,
}

impl Committed {
    pub(super) fn new(app: AppKind, machine: Machine) -> Committed {
        Committed {
            log: Shadow::default(),
            terms: Vec::new(),
            app,
            machine,
            effects: Vec::new(),
            commands: Vec::new(),
            executed: HashMap::new(),
            snapshots: HashMap::new(),
        }
    }

    pub(super) fn log(&self) -> &Shadow {
        &self.log
    }

    pub(super) fn last_index(&self) -> Index {
        self.log.last_index()
    }

    /// The last entry that was known to be committed in a term before this one.
    pub(super) fn last_before_term(&self, term: Term) -> Index {
        self.terms.iter().rposition(|committed_in| *committed_in < term).map_or(0, |position| position as Index + 1)
    }

    /// Takes in the next entry, first known to be committed in `term`.
    fn push(&mut self, entry: &Entry, term: Term) -> Check {
        self.log.push(entry);
        self.terms.push(term);
        let Applied { command, effect, .. } = self.machine.apply(entry);
        if let (Effect::Executed(_), Some(command)) = (&effect, &command) {
            let (client, serial) = (command.client(), command.serial());
            let last = match self.executed.get_mut(client) {
                Some(last) => std::mem::replace(last, serial),
                None => self.executed.insert(client.to_owned(), serial).unwrap_or(0),
            };
            require(last < serial, Invariant::ExactlyOnce, || {
                format!("{client}#{serial} took effect after {client}#{last}, at index {}", entry.index)
            })?;
        }
        self.effects.push((effect, self.machine.digest()));
        self.commands.push(command);
        Ok(())
    }
}

impl Oracle {
    /// State Machine Safety, and a durable quorum for what is committed for the first time.
    pub(super) fn check_commit(&mut self, at: usize, server: &Server, before: Option<Seen>, now: Seen) -> Check {
        let (id, commit) = (id_at(at), now.commit_index);
        let View { log, .. } = &self.views[at];
        require(commit <= log.last_index(), Invariant::IndexOrder, || {
            format!("{id} committed {commit}, more than it has")
        })?;
        let known = commit.min(self.committed());
        require(log.at(known) == self.committed.log.at(known), Invariant::StateMachineSafety, || {
            format!("{id} committed other entries than is known, from {} on", log.first_difference(&self.committed.log))
        })?;
        let led = now.role == RoleKind::Leader || before.is_some_and(|before| before.leads(now.term));
        let advanced = before.is_none_or(|before| before.commit_index < commit);
        let of_term = log.at(commit).map_or(0, |mark| mark.term);
        require(!(led && advanced) || of_term == now.term, Invariant::CommitOwnTerm, || {
            format!("{id} leads term {} and committed entry {commit} of term {of_term} by counting", now.term)
        })?;
        if commit > known {
            self.check_durable_quorum(at, commit)?;
        }
        for entry in server.entries(known + 1, (commit - known) as usize) {
            self.committed.push(entry, now.term)?;
        }
        Ok(())
    }

    /// The last entry of those that are committed is durable on a quorum of a configuration in force. With it are all
    /// before it.
    fn check_durable_quorum(&self, at: usize, index: Index) -> Check {
        let log = &self.views[at].log;
        let mark = log.at(index).expect("a committed entry is in the log");
        let stored = (0..self.views.len()).filter(|disk| self.views[*disk].disk.stores(index, mark));
        let stored = stored.fold(0, |stored, disk| stored | bit(id_at(disk)));
        let then = log.changes_up_to(index).last().map_or(self.first, |(_, members)| *members);
        let later = log.changes().iter().filter(|(since, _)| *since > index).map(|(_, members)| *members);
        let governing: Vec<Members> = std::iter::once(then).chain(later).collect();
        let is_stored = governing.iter().any(|members| members.is_quorum(stored));
        let by_learners = !is_stored && governing.iter().any(|members| members.is_quorum_with_learners(stored));
        require(!by_learners, Invariant::LearnersDoNotCount, || {
            format!("{} committed entry {index} because learners have it ({then})", id_at(at))
        })?;
        require(is_stored, Invariant::DurableQuorum, || {
            format!("{} committed entry {index} before a quorum of ({then}) had it durably", id_at(at))
        })
    }

    /// A snapshot is what the replay gives at its index, the configuration included. Where its bytes say so, they are
    /// read back.
    pub(super) fn check_snapshot(&mut self, at: usize, snapshot: &Snapshot) -> Check {
        let (id, index) = (id_at(at), snapshot.last.index);
        let of_term = self.committed.log.at(index).map(|mark| mark.term);
        require(of_term == Some(snapshot.last.term), Invariant::SnapshotTruth, || {
            format!(
                "{id} has a snapshot at {index} of term {}, where the committed term is {of_term:?}",
                snapshot.last.term
            )
        })?;
        let expected = self.committed.log.changes_up_to(index).last().map_or(self.first, |(_, members)| *members);
        let members = Members::of(&snapshot.configuration);
        require(members == expected, Invariant::SnapshotTruth, || {
            format!("the snapshot of {id} at {index} names ({members}) instead of ({expected})")
        })?;
        let bytes = Digest::of(&snapshot.data);
        if self.committed.snapshots.get(&index) == Some(&bytes) {
            return Ok(());
        }
        let app = self.committed.app;
        let restored = State::decode(&snapshot.data).and_then(|state| Machine::restore(app, state));
        let found = restored.map(|machine| (machine.last_applied(), machine.digest())).ok();
        let expected = (index, self.committed.effects[index as usize - 1].1);
        require(found == Some(expected), Invariant::SnapshotTruth, || {
            format!("the snapshot of {id} at {index} is not what the replay gives there")
        })?;
        self.committed.snapshots.insert(index, bytes);
        Ok(())
    }

    /// A server has put a snapshot in the place of its application's state.
    pub(crate) fn restored(&mut self, at: usize, snapshot: &Snapshot) -> Check {
        self.check_snapshot(at, snapshot)?;
        let (id, applied, index) = (id_at(at), self.views[at].applied, snapshot.last.index);
        require(index > applied, Invariant::IndexOrder, || {
            format!("{id} restored {index} after it had applied {applied}")
        })?;
        self.views[at].applied = index;
        Ok(())
    }

    /// A server is about to apply this entry: the next one, and the one that is committed there.
    pub(crate) fn applies(&mut self, at: usize, entry: &Entry) -> Check {
        let (id, next) = (id_at(at), self.views[at].applied + 1);
        require(entry.index == next, Invariant::IndexOrder, || {
            format!("{id} applies {} instead of {next}", entry.index)
        })?;
        let before = self.committed.log.at(next - 1).unwrap_or_default();
        require(self.committed.log.at(next) == Some(before.then(entry)), Invariant::StateMachineSafety, || {
            format!("{id} applies an entry {next} that is not the one committed there")
        })?;
        self.views[at].applied = next;
        Ok(())
    }

    /// Applying an entry did what the replay did.
    pub(crate) fn applied(&self, at: usize, applied: &Applied, digest: Digest) -> Check {
        let (id, index) = (id_at(at), applied.index);
        let (effect, expected) = &self.committed.effects[index as usize - 1];
        let twice = matches!(applied.effect, Effect::Executed(_)) && !matches!(effect, Effect::Executed(_));
        require(!twice, Invariant::ExactlyOnce, || format!("entry {index} took effect at {id}, though it is a retry"))?;
        require((&applied.effect, digest) == (effect, *expected), Invariant::StateMachineSafety, || {
            format!("entry {index} gave {:?} at {id}, and {effect:?} in the replay; the states differ", applied.effect)
        })
    }

    /// A client is told that its command took effect at an index, with this response.
    pub(crate) fn acknowledged(&self, client: &str, serial: u64, index: Index, response: &Response) -> Check {
        let position = (index as usize).wrapping_sub(1);
        let command = self.committed.commands.get(position).and_then(Option::as_ref);
        let is_own = command.is_some_and(|command| (command.client(), command.serial()) == (client, serial));
        require(is_own, Invariant::AcknowledgedDurable, || {
            format!("{client}#{serial} was acknowledged at index {index}, where it is not committed")
        })?;
        let told = matches!(&self.committed.effects[position].0, Effect::Executed(first) if first == response);
        require(told, Invariant::ExactlyOnce, || {
            format!("{client}#{serial} was not told the first response, that of index {index}")
        })
    }
}
