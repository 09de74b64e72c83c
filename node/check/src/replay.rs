//! The longest committed log, applied once more by a machine that took no part in the run.
//!
//! Invariant: the replay depends on the log and the set-up alone, never on what a server or a client said came of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use raftian_apps::{Applied, Digest, Effect, Entry, Index, Machine, PlayersOutOfRange};

use crate::judge::Setup;

/// What applying each entry of a log did.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    log: &'a [Entry],
    applied: Vec<Applied>,
    digests: BTreeMap<Index, Digest>,
    first_of: HashMap<String, HashMap<u64, Index>>,
}

impl<'a> Replay<'a> {
    /// Applies a log that begins at index 1, and takes the digest at each of the indexes `at` (0 is before the log).
    pub(crate) fn run(log: &'a [Entry], setup: &Setup, at: &BTreeSet<Index>) -> Result<Replay<'a>, PlayersOutOfRange> {
        let mut machine = Machine::new(setup.app, setup.players)?;
        let mut replay = Replay { log, applied: Vec::new(), digests: BTreeMap::new(), first_of: HashMap::new() };
        if at.contains(&0) {
            replay.digests.insert(0, machine.digest());
        }
        for entry in log {
            let applied = machine.apply(entry);
            if let Some(command) = &applied.command {
                let serials = replay.first_of.entry(command.client().to_owned()).or_default();
                serials.entry(command.serial()).or_insert(entry.index);
            }
            if at.contains(&entry.index) {
                replay.digests.insert(entry.index, machine.digest());
            }
            replay.applied.push(applied);
        }
        Ok(replay)
    }

    /// Every entry of the log, applied.
    pub(crate) fn applied(&self) -> &[Applied] {
        &self.applied
    }

    /// The last index of the log; 0 when it is empty.
    pub(crate) fn end(&self) -> Index {
        self.log.len() as Index
    }

    /// The entry at an index.
    pub(crate) fn entry(&self, index: Index) -> Option<&Entry> {
        self.log.get(usize::try_from(index).ok()?.checked_sub(1)?)
    }

    /// The digest at one of the indexes asked for.
    pub(crate) fn digest_at(&self, index: Index) -> Option<Digest> {
        self.digests.get(&index).copied()
    }

    /// The first entry that carries this command, applied.
    pub(crate) fn first(&self, client: &str, serial: u64) -> Option<&Applied> {
        let index = *self.first_of.get(client)?.get(&serial)?;
        Some(&self.applied[index as usize - 1])
    }

    /// The index at which this command was carried out, if it was.
    pub(crate) fn executed_at(&self, client: &str, serial: u64) -> Option<Index> {
        let first = self.first(client, serial)?;
        matches!(first.effect, Effect::Executed(_)).then_some(first.index)
    }
}
