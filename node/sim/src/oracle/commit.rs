//! What is committed, what applying it gives, and what reads may see.
//!
//! Invariants: the replay here is a machine of its own, without planted bugs, fed each committed entry once. What is
//! committed at an index is what the first server that took anything there for committed had there. When another one takes
//! something else for it, [`Invariant::StateMachineSafety`] has spoken, and what rests on that knowledge is not judged any
//! more ([`RESTING`]).

use std::collections::HashMap;
use std::iter;

use raftian_apps::{AppKind, Applied, Command, Digest, Effect, Machine, Response, Snapshot as State};
use raftian_check::{Operation, Outcome};
use raftian_raft::{Entry, Index, Payload, RoleKind, Server, Snapshot, Term};
use raftian_script::Invariant;

use super::{Findings, Oracle, Seen};
use crate::invariant::Check;
use crate::log_model::LogModel;
use crate::members::{Ids, Members};

/// The judges that rest on what is known to be committed, and cannot go on when that is disputed.
pub(crate) const RESTING: [Invariant; 6] = [
    Invariant::StateMachineSafety,
    Invariant::LeaderCompleteness,
    Invariant::SnapshotTruth,
    Invariant::ReadIndexFresh,
    Invariant::ExactlyOnce,
    Invariant::RefusedForGood,
];

/// The committed entries, and what they did.
#[derive(Debug)]
pub(super) struct Committed {
    log: LogModel,
    /// The last entry that any server took for committed.
    furthest: Index,
    /// Whether two servers took different entries for committed, or one those that nobody has seen.
    is_disputed: bool,
    /// In which term each was first known to be committed.
    terms: Vec<Term>,
    app: AppKind,
    machine: Machine,
    /// What each entry did, and the digest of the state after it.
    effects: Vec<(Effect, Digest)>,
    /// Which command each entry carried.
    commands: Vec<Option<Command>>,
    /// The last serial that took effect, of every client, and where.
    executed: HashMap<String, (u64, Index)>,
    /// The last serial that was refused for good, of every client.
    refused: HashMap<String, u64>,
    /// How many sessions there are at most: the one whose last command is furthest back expires.
    max_sessions: usize,
    /// Snapshots that were found to be true, by index.
    snapshots: HashMap<Index, Digest>,
}

impl Committed {
    pub(super) fn new(app: AppKind, machine: Machine, max_sessions: usize) -> Committed {
        Committed {
            log: LogModel::default(),
            furthest: 0,
            is_disputed: false,
            terms: Vec::new(),
            app,
            machine,
            effects: Vec::new(),
            commands: Vec::new(),
            executed: HashMap::new(),
            refused: HashMap::new(),
            max_sessions,
            snapshots: HashMap::new(),
        }
    }

    pub(super) fn log(&self) -> &LogModel {
        &self.log
    }

    pub(super) fn furthest(&self) -> Index {
        self.furthest
    }

    /// What the entry at an index did, and the digest of the state after it; `None` if none is committed there.
    fn effect_at(&self, index: Index) -> Option<&(Effect, Digest)> {
        self.effects.get((index as usize).wrapping_sub(1))
    }

    /// The last entry that was known to be committed in a term before this one.
    pub(super) fn last_before_term(&self, term: Term) -> Index {
        self.terms.iter().rposition(|committed_in| *committed_in < term).map_or(0, |position| position as Index + 1)
    }

    /// Takes in the next entry, first known to be committed in `term`.
    fn push(&mut self, entry: &Entry, term: Term, findings: &mut Findings) -> Check {
        self.log.push(entry);
        self.terms.push(term);
        let Applied { command, effect, .. } = self.machine.apply(entry);
        if let (Effect::Executed(_), Some(command)) = (&effect, &command) {
            let (client, serial) = (command.client(), command.serial());
            let (last, at) = self.executed.get(client).copied().unwrap_or_default();
            // A first command whose session has expired cannot be told from that of a new client.
            let is_lawful = last < serial || (serial == 1 && self.has_expired(at));
            self.executed.insert(client.to_owned(), (serial, entry.index));
            findings.require(is_lawful, Invariant::ExactlyOnce, || {
                format!("{client}#{serial} took effect after {client}#{last}, at index {}", entry.index)
            })?;
            let is_refused = self.refused.get(client) == Some(&serial);
            findings.require(!is_refused, Invariant::RefusedForGood, || {
                format!("{client}#{serial} took effect at index {}, though it was refused for good", entry.index)
            })?;
        }
        self.effects.push((effect, self.machine.digest()));
        self.commands.push(command);
        Ok(())
    }

    /// Whether so many other clients had commands after this index that a session of which it is the last is gone.
    fn has_expired(&self, index: Index) -> bool {
        self.executed.values().filter(|(_, last)| *last > index).count() >= self.max_sessions
    }
}

impl Oracle {
    /// State Machine Safety, and a durable quorum for what is committed for the first time. `members` were the latest in the
    /// server's log before this step.
    pub(crate) fn check_commit(
        &mut self,
        at: usize,
        server: &Server,
        before: Option<Seen>,
        now: Seen,
        members: Members,
    ) -> Check {
        let Oracle { views, committed, findings, .. } = self;
        let (id, log) = (views[at].id, &views[at].log);
        findings.require(now.commit_index <= log.last_index(), Invariant::IndexOrder, || {
            format!("{id} committed {}, more than it has", now.commit_index)
        })?;
        let commit = now.commit_index.min(log.last_index());
        let is_first = commit > committed.furthest;
        committed.furthest = committed.furthest.max(commit);
        let known = commit.min(committed.log.last_index());
        let is_agreed = log.at(known) == committed.log.at(known);
        findings.require(is_agreed, Invariant::StateMachineSafety, || {
            format!("{id} committed other entries than is known, from {} on", log.first_difference(&committed.log))
        })?;
        let led = now.role == RoleKind::Leader || before.is_some_and(|before| before.leads(now.term));
        let advanced = before.is_none_or(|before| before.commit_index < commit);
        let of_term = log.at(commit).map_or(0, |mark| mark.term);
        findings.require(!(led && advanced) || of_term == now.term, Invariant::CommitOwnTerm, || {
            format!("{id} leads term {} and committed entry {commit} of term {of_term} by counting", now.term)
        })?;
        if is_first {
            // It may have appended a configuration in this step, before or after it committed.
            let known = before.map_or(0, |before| before.last_index);
            let appended = self.views[at].log.changes().iter().filter(|(since, _)| *since > known);
            let in_force: Vec<Members> = iter::once(members).chain(appended.map(|(_, members)| *members)).collect();
            self.check_durable_quorum(at, commit, &in_force)?;
        }
        let new = if is_agreed { server.entries(known + 1, (commit - known) as usize) } else { &[] };
        new.iter().try_for_each(|entry| self.committed.push(entry, now.term, &mut self.findings))?;
        let Oracle { committed, findings, .. } = self;
        if (!is_agreed || committed.log.last_index() < committed.furthest) && !committed.is_disputed {
            committed.is_disputed = true;
            findings.exclude(&RESTING);
        }
        Ok(())
    }

    /// These entries, from the first on, were committed before anything happened here: a disk begins with a snapshot of them.
    pub(crate) fn was_committed(&mut self, at: usize, entries: &[Entry]) -> Check {
        let Oracle { views, table, later, committed, findings, first, .. } = self;
        let (id, mut log) = (views[at].id, LogModel::default());
        for entry in entries {
            let previous = log.changes().last().map_or(*first, |(_, members)| *members);
            let is_new = table.admit(entry.index, log.push(entry));
            findings.require(is_new.is_some(), Invariant::LogMatching, || {
                format!("the snapshot of {id} stands for another entry {} than is known", entry.index)
            })?;
            if let Payload::Configuration(next) = &entry.payload {
                let next = Members::of(next);
                findings.require(previous.may_precede(next), Invariant::ConfigurationTruth, || {
                    format!("({next}) at index {} cannot follow ({previous})", entry.index)
                })?;
                later.push(next);
            }
        }
        let known = log.last_index().min(committed.log.last_index());
        findings.require(log.at(known) == committed.log.at(known), Invariant::StateMachineSafety, || {
            let from = log.first_difference(&committed.log);
            format!("the snapshot of {id} stands for other entries than are known to be committed, from {from} on")
        })?;
        // At the latest when the last of them was.
        let term = log.last().term;
        entries[known as usize..].iter().try_for_each(|entry| committed.push(entry, term, findings))?;
        committed.furthest = committed.furthest.max(log.last_index());
        Ok(())
    }

    /// The last entry of those that are committed is durable on a quorum of the configuration that was in force when its server
    /// took it for committed: the latest in the log, whether that is committed or not (§6). If that is a joint one, on
    /// majorities of both. With the entry are all before it.
    fn check_durable_quorum(&mut self, at: usize, index: Index, in_force: &[Members]) -> Check {
        let mark = self.views[at].log.at(index).expect("a committed entry is in the log");
        let stored: Ids = self.everyone().filter(|view| view.disk.stores(index, mark)).map(|view| view.id).collect();
        let is_stored = in_force.iter().any(|members| members.is_quorum(stored));
        let by_learners = !is_stored && in_force.iter().any(|members| members.is_quorum_with_learners(stored));
        let names = || in_force.iter().map(|members| format!("({members})")).collect::<Vec<_>>().join(" or ");
        self.findings.require(!by_learners, Invariant::LearnersDoNotCount, || {
            format!("{} committed entry {index} because learners have it {}", self.views[at].id, names())
        })?;
        let by_name = !is_stored && in_force.iter().any(|members| members.is_quorum_by_name(stored));
        self.findings.require(!by_name, Invariant::IncarnationsApart, || {
            format!("{} committed entry {index} because other incarnations have it {}", self.views[at].id, names())
        })?;
        self.findings.require(is_stored, Invariant::DurableQuorum, || {
            format!("{} committed entry {index} before a quorum of {} had it durably", self.views[at].id, names())
        })
    }

    /// A snapshot is what the replay gives at its index, the configuration included. Where its bytes say so, they are
    /// read back.
    pub(super) fn check_snapshot(&mut self, at: usize, snapshot: &Snapshot) -> Check {
        let (id, index) = (self.views[at].id, snapshot.last.index);
        let of_term = self.committed.log.at(index).map(|mark| mark.term);
        self.findings.require(of_term == Some(snapshot.last.term), Invariant::SnapshotTruth, || {
            format!(
                "{id} has a snapshot at {index} of term {}, where the committed term is {of_term:?}",
                snapshot.last.term
            )
        })?;
        let expected = self.committed.log.changes_up_to(index).last().map_or(self.first, |(_, members)| *members);
        let members = Members::of(&snapshot.configuration);
        self.findings.require(members == expected, Invariant::SnapshotTruth, || {
            format!("the snapshot of {id} at {index} names ({members}) instead of ({expected})")
        })?;
        let bytes = Digest::of(&snapshot.data);
        if self.committed.snapshots.get(&index) == Some(&bytes) {
            return Ok(());
        }
        let app = self.committed.app;
        let restored = State::decode(&snapshot.data).and_then(|state| Machine::restore(app, state));
        let found = restored.map(|machine| (machine.last_applied(), machine.digest())).ok();
        let expected = self.committed.effect_at(index).map(|(_, digest)| (index, *digest));
        self.findings.require(found.is_some() && found == expected, Invariant::SnapshotTruth, || {
            format!("the snapshot of {id} at {index} is not what the replay gives there")
        })?;
        if found.is_some() && found == expected {
            self.committed.snapshots.insert(index, bytes);
        }
        Ok(())
    }

    /// A server has put a snapshot in the place of its application's state.
    pub(crate) fn restored(&mut self, at: usize, snapshot: &Snapshot) -> Check {
        self.check_snapshot(at, snapshot)?;
        let (id, applied, index) = (self.views[at].id, self.views[at].applied, snapshot.last.index);
        self.findings.require(index > applied, Invariant::IndexOrder, || {
            format!("{id} restored {index} after it had applied {applied}")
        })?;
        self.views[at].applied = index;
        Ok(())
    }

    /// The last entry that a server has applied, or whose state it has restored.
    pub(crate) fn applied_index(&self, at: usize) -> Index {
        self.views[at].applied
    }

    /// A server is about to apply this entry: the next one, and the one that is committed there.
    pub(crate) fn applies(&mut self, at: usize, entry: &Entry) -> Check {
        let Oracle { views, committed: Committed { log, .. }, findings, .. } = self;
        let (id, index, next) = (views[at].id, entry.index, views[at].applied + 1);
        views[at].applied = index;
        findings.require(index == next, Invariant::IndexOrder, || format!("{id} applies {index} instead of {next}"))?;
        let before = log.at(index - 1).unwrap_or_default();
        findings.require(log.at(index) == Some(before.then(entry)), Invariant::StateMachineSafety, || {
            format!("{id} applies an entry {index} that is not the one committed there")
        })
    }

    /// Applying an entry did what the replay did.
    pub(crate) fn applied(&mut self, at: usize, applied: &Applied, digest: Digest) -> Check {
        let (id, index) = (self.views[at].id, applied.index);
        let Oracle { committed, findings, .. } = self;
        let Some((effect, expected)) = committed.effect_at(index) else { return Ok(()) };
        let twice = matches!(applied.effect, Effect::Executed(_)) && !matches!(effect, Effect::Executed(_));
        findings.require(!twice, Invariant::ExactlyOnce, || {
            format!("entry {index} took effect at {id}, though it is a retry")
        })?;
        findings.require((&applied.effect, digest) == (effect, *expected), Invariant::StateMachineSafety, || {
            format!("entry {index} gave {:?} at {id}, and {effect:?} in the replay; the states differ", applied.effect)
        })
    }

    /// A server has what a client was told at the index at which it was told, whatever is known to be committed.
    pub(crate) fn check_still_held(&mut self, at: usize, told: &Operation) -> Check {
        let Outcome::Ok { index, .. } = told.outcome else { return Ok(()) };
        let Operation { client, serial, op, .. } = told;
        let command = Command::new(client.as_str(), *serial, op.clone()).expect("a small command of a named client");
        let log = &self.views[at].log;
        let marks = log.at(index).zip(index.checked_sub(1).and_then(|before| log.at(before)));
        let is_held = marks.is_some_and(|(mark, before)| {
            let payload = Payload::Command(command.encode().into());
            before.then(&Entry { index, term: mark.term, payload }) == mark
        });
        self.findings.require(is_held, Invariant::AcknowledgedDurable, || {
            format!(
                "{client}#{serial} was acknowledged at index {index}, where {} has something else",
                self.views[at].id
            )
        })
    }

    /// A client is told that its command took effect at an index, with this response.
    pub(crate) fn acknowledged(&mut self, client: &str, serial: u64, index: Index, response: &Response) -> Check {
        let Oracle { committed, findings, .. } = self;
        if committed.is_disputed {
            return Ok(());
        }
        let position = (index as usize).wrapping_sub(1);
        let command = committed.commands.get(position).and_then(Option::as_ref);
        let is_own = command.is_some_and(|command| (command.client(), command.serial()) == (client, serial));
        findings.require(is_own, Invariant::AcknowledgedDurable, || {
            format!("{client}#{serial} was acknowledged at index {index}, where it is not committed")
        })?;
        let effect = committed.effect_at(index).filter(|_| is_own).map(|(effect, _)| effect);
        let told = effect.is_none_or(|effect| matches!(effect, Effect::Executed(first) if first == response));
        findings.require(told, Invariant::ExactlyOnce, || {
            format!("{client}#{serial} was not told the first response, that of index {index}")
        })
    }

    /// A client has given up a command: every server that it asked said that nothing has happened and nothing will.
    pub(crate) fn refused(&mut self, client: &str, serial: u64) -> Check {
        let Oracle { committed, findings, .. } = self;
        committed.refused.insert(client.to_owned(), serial);
        let executed = committed.executed.get(client).filter(|(last, _)| *last == serial);
        findings.require(executed.is_none(), Invariant::RefusedForGood, || {
            let index = executed.map_or(0, |(_, index)| *index);
            format!("{client}#{serial} was refused for good, and took effect at index {index}")
        })
    }
}
