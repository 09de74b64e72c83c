//! Random histories against a model: what was acknowledged is there after any crash, and what was not is a prefix.

mod common;

use common::*;
use raftian_raft::{Entry, HardState, Storage, Write};
use raftian_wal::{MemDisk, Recovered, Wal};

#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    hard_state: HardState,
    entries: Vec<Entry>,
}

/// What the log may hold: what was acknowledged, then what it became with each record since.
struct Model {
    states: Vec<Content>,
}

impl Model {
    fn newest(&self) -> &Content {
        &self.states[self.states.len() - 1]
    }

    fn append(&mut self, write: &Write) {
        if let Some(hard_state) = write.hard_state {
            self.states.push(Content { hard_state, ..self.newest().clone() });
        }
        for entry in &write.entries {
            let mut next = self.newest().clone();
            next.entries.truncate(entry.index as usize - 1);
            next.entries.push(entry.clone());
            self.states.push(next);
        }
    }

    fn acknowledge(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }

    /// Takes what was recovered as acknowledged, if it is one of the possible states.
    fn recover(&mut self, found: Recovered) -> bool {
        let found = Content { hard_state: found.hard_state, entries: found.entries };
        let possible = self.states.contains(&found);
        self.states = vec![found];
        possible
    }
}

fn random_write(random: &mut fastrand::Rng, content: &Content) -> Write {
    let term = content.hard_state.term + random.u64(0..2);
    let hard_state = random.bool().then(|| hard_state(term, random.u16(0..4)));
    let last = content.entries.len() as u64;
    let first = if random.u8(0..5) == 0 { random.u64(1..=last + 1) } else { last + 1 };
    let count = random.u64(0..8);
    Write { hard_state, entries: (first..first + count).map(|index| entry(term, index)).collect() }
}

/// Appends and syncs at random until the disk fails or nobody wants more. Whether the log is still usable.
fn work(random: &mut fastrand::Rng, disk: &MemDisk, wal: &mut Wal<MemDisk>, model: &mut Model) -> bool {
    for _ in 0..random.u8(0..30) {
        if random.u8(0..40) == 0 {
            disk.fail_next_sync();
        }
        let write = random_write(random, model.newest());
        model.append(&write);
        if wal.append(&write).is_err() {
            return false;
        }
        if random.u8(0..3) > 0 {
            if wal.sync().is_err() {
                return false;
            }
            model.acknowledge();
        }
    }
    true
}

fn power_cut(random: &mut fastrand::Rng, disk: &MemDisk) {
    match random.u8(0..3) {
        0 => disk.crash(),
        1 => disk.crash_keeping(random.usize(0..=disk.unsynced_bytes())),
        _ => disk.crash_scattered(|| random.bool()),
    }
}

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let disk = MemDisk::new();
    let mut model = Model { states: vec![Content::default()] };
    for life in 0..12 {
        // A sync that was told to fail may be one of opening; then nothing was acknowledged, and the next try works.
        let (mut wal, found) = open(disk.clone())
            .or_else(|_| open(disk.clone()))
            .unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        assert!(model.recover(found.clone()), "seed {seed}, life {life}: {found:?}");
        // Now and then nothing is done: what was recovered must be as durable as if it had been acknowledged here.
        let usable = random.u8(0..4) == 0 || work(&mut random, &disk, &mut wal, &mut model);
        if usable && random.u8(0..6) == 0 && wal.close().is_ok() {
            model.acknowledge();
        }
        // Without a power cut, this is a kill.
        if random.u8(0..5) > 0 {
            power_cut(&mut random, &disk);
        }
    }
}

#[test]
fn whatever_happens_what_was_acknowledged_is_there_and_the_rest_is_a_prefix() {
    (0..1500).for_each(run);
}
