//! Histories against a model: what was acknowledged is there after any crash, and what was not is a prefix. In the end
//! bits flip, which must be noticed.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate, and uses its own part of this")]

use bytes::Bytes;
use raftian_raft::{
    Configuration, Discard, Entry, HardState, Index, LastEntry, NodeId, Server, Snapshot, Storage, Time, Write,
};
use raftian_wal::{MemDisk, Options, Part, Recovered, Wal, WalError, locate};

use crate::common::{entry, hard_state, node};

#[derive(Clone, Debug, Default)]
pub struct Content {
    hard_state: HardState,
    snapshot: Option<Snapshot>,
    /// The index before the first entry.
    base: Index,
    entries: Vec<Entry>,
    /// Entries up to here may be there or not.
    discarded: Index,
}

impl Content {
    pub fn last(&self) -> Index {
        self.base + self.entries.len() as Index
    }

    fn snapshot_index(&self) -> Index {
        self.snapshot.as_ref().map_or(0, Snapshot::last_index)
    }

    fn is(&self, found: &Recovered) -> bool {
        let needed = self.last() - self.base.max(self.discarded.min(self.last()));
        (self.hard_state, &self.snapshot) == (found.hard_state, &found.snapshot)
            && self.entries.ends_with(&found.entries)
            && found.entries.len() as Index >= needed
    }

    /// What was found, all of which must stay from now on. An empty log goes on after the snapshot.
    fn of(found: Recovered) -> Content {
        let Recovered { hard_state, snapshot, entries, .. } = found;
        let snapshot_index = snapshot.as_ref().map_or(0, Snapshot::last_index);
        let base = entries.first().map_or(snapshot_index, |entry| entry.index - 1);
        Content { hard_state, snapshot, base, entries, discarded: base }
    }
}

/// What the log may hold: what was acknowledged, then what it became with each record since.
pub struct Model {
    states: Vec<Content>,
}

impl Model {
    pub fn new() -> Model {
        Model { states: vec![Content::default()] }
    }

    pub fn newest(&self) -> &Content {
        &self.states[self.states.len() - 1]
    }

    fn next(&mut self, change: impl FnOnce(&mut Content)) {
        let mut next = self.newest().clone();
        change(&mut next);
        self.states.push(next);
    }

    pub fn append(&mut self, write: &Write) {
        if let Some(hard_state) = write.hard_state {
            self.next(|content| content.hard_state = hard_state);
        }
        if let Some(snapshot) = &write.snapshot {
            self.next(|content| content.snapshot = Some(snapshot.clone()));
        }
        match write.discard {
            Some(Discard::UpTo(index)) => self.next(|content| content.discarded = index.max(content.discarded)),
            Some(Discard::All) => self.next(|content| {
                content.entries.clear();
                content.base = content.snapshot_index();
            }),
            None => {}
        }
        for entry in &write.entries {
            self.next(|content| {
                content.entries.truncate((entry.index - 1 - content.base) as usize);
                content.entries.push(entry.clone());
            });
        }
    }

    pub fn acknowledge(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }

    /// Takes what was recovered as acknowledged, if it is one of the possible states.
    pub fn recover(&mut self, found: Recovered) -> bool {
        let possible = self.states.iter().any(|content| content.is(&found));
        self.states = vec![Content::of(found)];
        possible
    }
}

/// What the core writes first when it starts with this. It panics if that makes no sense.
pub fn first_write(found: &Recovered) -> Write {
    let id = NodeId::new(1).unwrap();
    let recovered = raftian_raft::Recovered {
        hard_state: found.hard_state,
        snapshot: found.snapshot.clone(),
        entries: found.entries.clone(),
    };
    let options = raftian_raft::Options::new(id, Configuration::new(NodeId::first(3)), 1);
    let mut server = Server::new(options, recovered, Time::default());
    server.ready().persist.map_or_else(Write::default, |persist| persist.write().clone())
}

fn random_write(random: &mut fastrand::Rng, content: &Content) -> Write {
    let term = content.hard_state.term + random.u64(0..2);
    let mut write = Write { hard_state: random.bool().then(|| hard_state(term, random.u16(0..4))), ..Write::default() };
    let term = write.hard_state.map_or(content.hard_state.term, |hard_state| hard_state.term);
    let (mut snapshot_index, mut last) = (content.snapshot_index(), content.last());
    let compactable = snapshot_index.max(content.base) + 1..=last;
    match random.u8(0..24) {
        0..3 if !compactable.is_empty() => {
            let covered = &content.entries[(random.u64(compactable) - content.base - 1) as usize];
            snapshot_index = covered.index;
            write.snapshot = Some(random_snapshot(random, LastEntry { term: covered.term, index: covered.index }));
            write.discard = Some(Discard::UpTo(snapshot_index.saturating_sub(random.u64(0..10))));
        }
        3 => {
            snapshot_index = random.u64(snapshot_index + 1..=last.max(snapshot_index) + 20);
            last = snapshot_index;
            write.snapshot = Some(random_snapshot(random, LastEntry { term, index: snapshot_index }));
            write.discard = Some(Discard::All);
        }
        _ => {}
    }
    let first = if random.u8(0..5) == 0 { random.u64(snapshot_index + 1..=last + 1) } else { last + 1 };
    write.entries = (first..first + random.u64(0..8)).map(|index| entry(term, index)).collect();
    write
}

/// Of up to a few sectors, JSON or not.
fn random_snapshot(random: &mut fastrand::Rng, last: LastEntry) -> Snapshot {
    let data = format!("\"{}\"", random.alphanumeric().to_string().repeat(random.usize(0..1500)));
    let data = Bytes::from(data).slice(random.usize(0..2)..);
    Snapshot { data, last, configuration: Configuration::new(NodeId::first(random.u16(1..6))).unwrap() }
}

/// Appends and syncs at random until the disk fails or nobody wants more. Whether the log is still usable.
fn work(random: &mut fastrand::Rng, disk: &MemDisk, wal: &mut Wal<MemDisk>, model: &mut Model) -> bool {
    for _ in 0..random.u8(0..30) {
        match random.u8(0..60) {
            0 => disk.fail_next_sync(),
            1 => disk.set_changes_left(Some(random.u64(0..12))),
            2..6 => disk.write_back(),
            _ => {}
        }
        let write = random_write(random, model.newest());
        // Staged before, or another one, or not at all: it must make no difference.
        if let Some(snapshot) = write.snapshot.as_ref().filter(|_| random.bool()) {
            let other = Snapshot { data: "1".into(), ..snapshot.clone() };
            let _ = wal.stager().stage(if random.u8(0..4) == 0 { &other } else { snapshot });
        }
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

/// Opens the log, now and then on a disk that fails on the way, with a power cut or a kill after that.
fn open_at_last(
    random: &mut fastrand::Rng,
    disk: &MemDisk,
    options: Options,
) -> Result<(Wal<MemDisk>, Recovered), WalError> {
    let open = || Wal::open_with(disk.clone(), node(), options);
    if random.u8(0..4) == 0 {
        disk.set_changes_left(Some(random.u64(0..10)));
        drop(open());
        disk.set_changes_left(None);
        if random.bool() {
            power_cut(random, disk);
        }
    }
    // A sync that was told to fail may be one of opening; then nothing was acknowledged, and the next try works.
    open().or_else(|_| open())
}

/// A few bytes to a few segments.
fn random_layout(random: &mut fastrand::Rng) -> Options {
    match random.u8(0..4) {
        0 => Options::new(random.u32(0..4096), random.u32(1..700)),
        _ => Options::new(1024, 256),
    }
}

/// Flips a bit in each kind of record of a log that was closed. Each must be refused.
fn damage(random: &mut fastrand::Rng, template: &MemDisk, options: Options) {
    for part in [Part::HardState, Part::Snapshot, Part::Entry(random.u64(0..300)), Part::Entry(Index::MAX)] {
        let Some(located) = locate(template, part).expect("the log was closed") else { continue };
        assert!(located.vouched, "{located:?}");
        let disk = template.fork();
        let offset = (located.offset + random.u64(0..located.length)) as usize;
        disk.flip_bit(&located.file, offset, random.u8(0..8));
        let opened = Wal::open_with(disk, node(), options);
        assert!(opened.is_err(), "byte {offset} of {located:?} was changed, and the log opened");
    }
}

/// Lives through a dozen crashes, with a layout of the seed's that may be changed before.
pub fn play(seed: u64, change: impl Fn(&mut Options)) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut options = random_layout(&mut random);
    change(&mut options);
    let disk = MemDisk::new();
    let mut model = Model::new();
    for life in 0..12 {
        let (mut wal, found) = open_at_last(&mut random, &disk, options)
            .unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        let first_write = first_write(&found);
        assert!(model.recover(found.clone()), "seed {seed}, life {life}: {found:?}");
        // Now and then nothing is done: what was recovered must be as durable as if it had been acknowledged here.
        let usable = random.u8(0..4) == 0 || {
            model.append(&first_write);
            wal.append(&first_write).is_ok() && work(&mut random, &disk, &mut wal, &mut model)
        };
        if usable && random.u8(0..6) == 0 && wal.close().is_ok() {
            model.acknowledge();
        }
        disk.set_changes_left(None);
        // Without a power cut, this is a kill.
        if random.u8(0..5) > 0 {
            power_cut(&mut random, &disk);
        }
    }
    let wal = open_at_last(&mut random, &disk, options).unwrap_or_else(|error| panic!("seed {seed}: {error}")).0;
    if wal.close().is_ok() {
        damage(&mut random, &disk, options);
    }
}
