//! A host that is moved by hand: what it would do by itself waits until it is told to.
//!
//! Invariants: a step is answered when the inbox is empty, no write is on its way to the disk and no job runs, so that all
//! that the step causes here is done, and nothing of it depends on how long anything took. What a disk was given together
//! is taken in together, however many syncs it took.

use std::collections::VecDeque;
use std::time::Duration;

use raftian_apps::Machine;
use raftian_driver::{Compaction, Consistency};
use raftian_raft::{
    Configuration, Discard, Entry, HardState, LastEntry, Message, Options, Payload, Persist, Persisted, Snapshot,
    Storage as _, Time, Write,
};
use raftian_rpc::control::{
    ByHand, DiskContent, Durable, LogLine, LogPage, Move, NodeConfig, Sent, Settled, Step, Tuning,
};
use raftian_rpc::error::NodeError;
use raftian_rpc::raft::Letter;
use raftian_rpc::{Index, Term};
use raftian_wal::Wal;
use tokio::sync::oneshot;

use super::Host;
use super::report::line;
use crate::host::disk::NodeDisk;
use crate::host::inbox::Input;
use crate::host::pending::Answer;
use crate::planted::planted;

/// The answer to a step.
pub(crate) type Stepped = Answer<Result<Settled, NodeError>>;

/// What waits for steps by hand.
#[derive(Debug)]
pub(crate) struct Hand {
    /// What the clock shows.
    now: Time,
    /// Whether the host looks at it after what it takes in; and whether it has taken something in since it looked.
    looks: bool,
    has_news: bool,
    /// How many requests of peers and questions of clients were taken in.
    taken: u64,
    sent: Vec<Sent>,
    /// The writes that wait for the disk; those that it is busy with; and those of them that are done.
    writes: VecDeque<Persist>,
    syncing: usize,
    synced: Vec<Persisted>,
    /// The snapshots that are being encoded or restored.
    jobs: usize,
    /// The entries that were applied since the last answer.
    applied: Vec<LogLine>,
    /// The entries on the disk: indexes and terms.
    durable: Vec<(Index, Term)>,
    /// Those who wait until all is done, each until so much was taken in.
    askers: Vec<(u64, Stepped)>,
}

impl Hand {
    pub(super) fn new(durable: &[Entry]) -> Hand {
        Hand {
            now: Time::default(),
            looks: false,
            has_news: false,
            taken: 0,
            sent: Vec::new(),
            writes: VecDeque::new(),
            syncing: 0,
            synced: Vec::new(),
            jobs: 0,
            applied: Vec::new(),
            durable: durable.iter().map(|entry| (entry.index, entry.term)).collect(),
            askers: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// A request waits to be sent, or is lost on the link that it was to leave on.
    pub(super) fn hold(&mut self, request: Message, is_lost: bool) {
        self.sent.push(Sent { letter: Letter::from(request), is_lost });
    }

    /// A write waits for the disk.
    pub(super) fn hold_write(&mut self, persist: Persist) {
        self.writes.push_back(persist);
    }

    /// An entry was applied.
    pub(super) fn applied(&mut self, entry: &Entry) {
        self.applied.push(line(entry));
    }

    /// A job begins.
    pub(super) fn job_begins(&mut self) {
        self.jobs += 1;
    }

    /// Takes note of an input.
    pub(super) fn notes(&mut self, input: &Input) {
        match input {
            // A stale read looks at the node, and moves nothing.
            Input::Read(_, Consistency::Stale, ..) => return,
            Input::Request(..) | Input::Submit(..) | Input::Read(..) => self.taken += 1,
            Input::TurnedAway => return self.taken += 1,
            Input::Staged(_) | Input::Restored(_) => self.jobs -= 1,
            Input::Change(..) | Input::Transfer(..) => {}
            _ => return,
        }
        self.has_news = true;
    }

    /// Whether the clock is to be looked at now.
    pub(super) fn looks_now(&mut self) -> bool {
        std::mem::take(&mut self.has_news) && self.looks
    }

    /// Writes are durable. All that the disk was given, once all of it is.
    pub(super) fn persisted(&mut self, all: Vec<Persisted>) -> Option<Vec<Persisted>> {
        self.synced.extend(all);
        if self.synced.len() < self.syncing {
            return None;
        }
        (self.syncing, self.has_news) = (0, true);
        Some(std::mem::take(&mut self.synced))
    }

    /// The disk will have this.
    fn will_have(&mut self, write: &Write) {
        match (&write.discard, &write.snapshot) {
            (Some(Discard::UpTo(end)), _) => self.durable.retain(|(index, _)| index > end),
            (Some(Discard::All), _) => self.durable.clear(),
            (None, _) => {}
        }
        if let Some(first) = write.entries.first() {
            self.durable.retain(|(index, _)| *index < first.index);
        }
        self.durable.extend(write.entries.iter().map(|entry| (entry.index, entry.term)));
    }
}

impl Host {
    /// Does what it is told to.
    pub(super) fn step(&mut self, step: Step, answer: Stepped) {
        let Some(hand) = &mut self.hand else {
            let why = "this node moves by itself; only those of a lab that is moved by hand wait for steps".to_owned();
            return drop(answer.send(Err(NodeError::Refused { why })));
        };
        let Step { at_us, looks, what } = step;
        hand.now = hand.now.max(Time(Duration::from_micros(at_us)));
        hand.looks = looks;
        let now = hand.now;
        let mut until = 0;
        match what {
            Move::Settle => {}
            Move::Take(count) => until = count,
            Move::Tick => {
                hand.has_news = true;
                self.driver.tick(now);
            }
            Move::Hear(letter) => match Message::try_from(letter) {
                Ok(message) => {
                    hand.has_news = true;
                    self.driver.reply(now, message);
                }
                Err(why) => return drop(answer.send(Err(NodeError::BadRequest { why: why.to_string() }))),
            },
            Move::GiveUp { peer, call } => {
                hand.has_news = true;
                self.driver.lost(now, peer, call);
            }
            Move::Sync { writes } => {
                let count = hand.writes.len().min(usize::try_from(writes).unwrap_or(usize::MAX));
                hand.syncing += count;
                hand.has_news |= count == 0;
                let given: Vec<Persist> = hand.writes.drain(..count).collect();
                given.iter().for_each(|persist| hand.will_have(persist.write()));
                given.into_iter().for_each(|persist| self.storage.persist(persist));
            }
            Move::Snapshot { keep_entries } => {
                hand.has_news = true;
                // What comes of it is seen.
                let (asker, _) = oneshot::channel();
                self.driver.snapshot(keep_entries, asker);
            }
        }
        if let Some(hand) = &mut self.hand {
            hand.askers.push((until, answer));
        }
    }

    /// Answers those who wait until all is done, if it is.
    pub(super) fn tell_settled(&mut self) {
        let deadline = self.driver.deadline();
        let unanswered = (self.driver.calls() + self.driver.pending()) as u64;
        // How far it is, without entries.
        let standing = self.log_page(1, 0);
        let Some(hand) = &mut self.hand else { return };
        if hand.syncing > 0 || hand.jobs > 0 {
            return;
        }
        let (done, waiting) = std::mem::take(&mut hand.askers).into_iter().partition(|(until, _)| *until <= hand.taken);
        hand.askers = waiting;
        let done: Vec<(u64, Stepped)> = done;
        for (_, answer) in done {
            let entries = std::mem::take(&mut hand.applied);
            let settled = Settled {
                sent: std::mem::take(&mut hand.sent),
                unanswered,
                writes: hand.writes.iter().map(|persist| records(persist.write())).collect(),
                deadline_us: deadline.map(|at| at.0.as_nanos().div_ceil(1000) as u64),
                applied: (!entries.is_empty()).then(|| LogPage { entries, ..standing.clone() }),
            };
            // One that has gone meanwhile moves the node no more.
            let _ = answer.send(Ok(settled));
        }
    }

    /// What is on the disk.
    pub(super) fn durable(&self) -> Result<Durable, NodeError> {
        let hand = self.hand.as_ref().ok_or_else(|| NodeError::Refused { why: "this node moves by itself".into() })?;
        let vote = self.driver.server().hard_state().voted_for;
        Ok(Durable { vote, log: hand.durable.iter().map(|(_, term)| *term).collect() })
    }
}

/// How many records a write has.
fn records(write: &Write) -> u64 {
    let Write { hard_state, snapshot, discard, entries } = write;
    let first = usize::from(hard_state.is_some()) + usize::from(snapshot.is_some()) + usize::from(discard.is_some());
    (first + entries.len()) as u64
}

/// The options of a server that is moved by hand.
pub(crate) fn tune(tuning: &Tuning, options: Options) -> Options {
    Options {
        pre_vote: tuning.pre_vote,
        check_quorum: tuning.check_quorum,
        max_append_entries: tuning.append_entries,
        max_append_bytes: tuning.append_bytes,
        max_snapshot_chunk_bytes: tuning.snapshot_chunk_bytes,
        max_committed_per_ready: tuning.committed_at_once,
        max_uncommitted_bytes: tuning.uncommitted_bytes,
        disk_patience: Duration::from_micros(tuning.disk_patience_us),
        ..options
    }
}

/// The options of its driver.
pub(super) fn tune_driver(tuning: &Tuning, mut options: raftian_driver::Options) -> raftian_driver::Options {
    options.limits.max_sessions = tuning.sessions;
    options.limits.compact_above_bytes = tuning.compact_above_bytes;
    let log_entries = Some(tuning.snapshot_entries);
    options.compaction = Compaction { log_bytes: None, log_entries, keep_entries: tuning.keep_entries };
    options
}

/// The largest term to begin with: elections still have room above it.
const MOST_TERM: Term = Term::MAX / 2;

/// Puts on an empty disk what is to be there when its node starts for the first time.
///
/// # Errors
/// A message for people, when the disk has a log already, or fails.
pub(crate) fn fill(disk: &NodeDisk, config: &NodeConfig) -> Result<(), String> {
    let Some(ByHand { disk: Some(content), .. }) = &config.by_hand else { return Ok(()) };
    if config.expects_log {
        return Ok(());
    }
    let terms = || content.log.iter().copied().chain([content.term]);
    if !terms().is_sorted() || terms().any(|term| term > MOST_TERM) {
        return Err(format!("a log has terms that never fall, up to that of the node, and at most {MOST_TERM}"));
    }
    if raftian_wal::is_begun(disk).map_err(|error| error.to_string())? {
        return Err(format!("{} has a log already, and cannot be given another one", disk.folder().display()));
    }
    let (mut wal, _) = Wal::open(disk.clone(), config.id).map_err(|error| error.to_string())?;
    let filled = wal.append(&write(content, config)?).and_then(|()| wal.sync()).and_then(|()| wal.close());
    filled.map_err(|error| error.to_string())
}

/// The content of a disk as the one write that leads to it.
fn write(content: &DiskContent, config: &NodeConfig) -> Result<Write, String> {
    let entry = |(index, term): (Index, &Term)| {
        let members = content.members.iter().find(|(at, _)| *at == index).map(|(_, members)| Box::new(members.clone()));
        Entry { index, term: *term, payload: members.map_or(Payload::Noop, Payload::Configuration) }
    };
    let mut covered: Vec<Entry> = (1..).zip(&content.log).map(entry).collect();
    let entries = covered.split_off((content.snapshot as usize).min(covered.len()));
    let hard_state = Some(HardState { term: content.term, voted_for: content.vote });
    let snapshot = snapshot_of(&covered, config)?;
    let discard = snapshot.as_ref().map(|_| Discard::All);
    Ok(Write { hard_state, snapshot, discard, entries })
}

/// The snapshot that stands for a log with these entries; `None` if there are none.
fn snapshot_of(entries: &[Entry], config: &NodeConfig) -> Result<Option<Snapshot>, String> {
    let Some(Entry { index, term, .. }) = entries.last() else { return Ok(None) };
    let changes = entries.iter().filter_map(|entry| match &entry.payload {
        Payload::Configuration(configuration) => Some(configuration.as_ref().clone()),
        _ => None,
    });
    let first = Configuration::new(config.voters.iter().copied());
    let configuration = changes.last().or(first).ok_or("a snapshot stands for members, and there are none")?;
    let mut machine = first_machine(config)?;
    entries.iter().for_each(|entry| drop(machine.apply(entry)));
    let data = machine.snapshot().encode().into();
    Ok(Some(Snapshot { last: LastEntry { term: *term, index: *index }, configuration, data }))
}

/// The application before any entry.
///
/// # Errors
/// A message for people, when it cannot start.
pub(crate) fn first_machine(config: &NodeConfig) -> Result<Machine, String> {
    let machine = Machine::new(config.app, config.app_options).map_err(|error| error.to_string())?;
    let machine = planted().in_machine(machine);
    Ok(match &config.by_hand {
        Some(ByHand { tuning, .. }) => {
            let limits = raftian_apps::Limits {
                max_sessions: tuning.sessions,
                compact_above_bytes: tuning.compact_above_bytes,
                ..raftian_apps::Limits::default()
            };
            machine.with_limits(limits)
        }
        None => machine,
    })
}
