//! Histories against a model: what was acknowledged is there after any crash, and what was not is a prefix. Some are
//! random, and one is cut off after each change to the disk.

mod common;

use bytes::Bytes;
use common::*;
use raftian_raft::{
    Configuration, Discard, Entry, HardState, Index, LastEntry, NodeId, Options, Server, Snapshot, Storage, Time, Write,
};
use raftian_wal::{MemDisk, Recovered, Wal};

#[derive(Clone, Debug, Default)]
struct Content {
    hard_state: HardState,
    snapshot: Option<Snapshot>,
    /// The index before the first entry.
    base: Index,
    entries: Vec<Entry>,
    /// Entries up to here may be there or not.
    discarded: Index,
}

impl Content {
    fn last(&self) -> Index {
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
struct Model {
    states: Vec<Content>,
}

impl Model {
    fn new() -> Model {
        Model { states: vec![Content::default()] }
    }

    fn newest(&self) -> &Content {
        &self.states[self.states.len() - 1]
    }

    fn next(&mut self, change: impl FnOnce(&mut Content)) {
        let mut next = self.newest().clone();
        change(&mut next);
        self.states.push(next);
    }

    fn append(&mut self, write: &Write) {
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

    fn acknowledge(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }

    /// Takes what was recovered as acknowledged, if it is one of the possible states.
    fn recover(&mut self, found: Recovered) -> bool {
        let possible = self.states.iter().any(|content| content.is(&found));
        self.states = vec![Content::of(found)];
        possible
    }
}

/// What the core writes first when it starts with this. It panics if that makes no sense.
fn first_write(found: &Recovered) -> Write {
    let id = NodeId::new(1).unwrap();
    let recovered = raftian_raft::Recovered {
        hard_state: found.hard_state,
        snapshot: found.snapshot.clone(),
        entries: found.entries.clone(),
    };
    let options = Options::new(id, Configuration::new(NodeId::first(3)), 1);
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
fn open_at_last(random: &mut fastrand::Rng, disk: &MemDisk) -> Result<(Wal<MemDisk>, Recovered), String> {
    if random.u8(0..4) == 0 {
        disk.set_changes_left(Some(random.u64(0..10)));
        drop(open(disk.clone()));
        disk.set_changes_left(None);
        if random.bool() {
            power_cut(random, disk);
        }
    }
    // A sync that was told to fail may be one of opening; then nothing was acknowledged, and the next try works.
    open(disk.clone()).or_else(|_| open(disk.clone())).map_err(|error| error.to_string())
}

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let disk = MemDisk::new();
    let mut model = Model::new();
    for life in 0..12 {
        let (mut wal, found) =
            open_at_last(&mut random, &disk).unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
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
}

#[test]
fn whatever_happens_what_was_acknowledged_is_there_and_the_rest_is_a_prefix() {
    (0..1500).for_each(run);
}

/// A life with both kinds of snapshots, replaced suffixes and several segments.
fn story() -> Vec<Write> {
    vec![
        Write { hard_state: Some(hard_state(1, 2)), ..entries(1, 1, 40) },
        Write { hard_state: Some(hard_state(2, 1)), ..entries(2, 31, 70) },
        compaction(2, 60, 20),
        entries(2, 71, 75),
        Write { entries: entries(2, 76, 80).entries, ..compaction(2, 75, 75) },
        Write { hard_state: Some(hard_state(3, 0)), entries: entries(3, 201, 240).entries, ..installation(3, 200) },
        Write { hard_state: Some(hard_state(4, 3)), ..entries(4, 210, 211) },
        Write { hard_state: Some(hard_state(5, 3)), ..installation(5, 211) },
        entries(5, 212, 260),
        compaction(5, 260, 260),
    ]
}

/// Lives the story on a disk that takes so many changes, with its snapshots staged or not. Whether it came to its end.
fn live(disk: &MemDisk, changes: u64, staged: bool, model: &mut Model) -> bool {
    disk.set_changes_left(Some(changes));
    let outcome = open(disk.clone()).and_then(|(mut wal, _)| {
        story().iter().try_for_each(|write| {
            model.append(write);
            if let Some(snapshot) = write.snapshot.as_ref().filter(|_| staged) {
                let _ = wal.stager().stage(snapshot);
            }
            wal.append(write).and_then(|()| wal.sync())?;
            model.acknowledge();
            Ok(())
        })
    });
    disk.set_changes_left(None);
    outcome.is_ok()
}

#[test]
fn a_story_may_end_after_any_change_to_the_disk_in_any_way() {
    let ends: [fn(&MemDisk); 4] = [
        |_| {},
        MemDisk::crash,
        |disk| disk.crash_keeping(disk.unsynced_bytes() / 2),
        |disk| {
            let mut sector = 0;
            disk.crash_scattered(|| {
                sector += 1;
                sector % 2 == 0
            });
        },
    ];
    for (end, staged) in ends.into_iter().flat_map(|end| [(end, false), (end, true)]) {
        let ended = (0..1000).find(|&changes| {
            let (disk, mut model) = (MemDisk::new(), Model::new());
            let whole = live(&disk, changes, staged, &mut model);
            end(&disk);
            let (mut wal, found) = open(disk.clone()).unwrap_or_else(|error| panic!("{changes} changes: {error}"));
            let first_write = first_write(&found);
            assert!(model.recover(found.clone()), "{changes} changes: {found:?}");
            commit(&mut wal, &first_write);
            model.append(&first_write);
            let next = Write { entries: vec![entry(9, model.newest().last() + 1)], ..vote(9, 1) };
            commit(&mut wal, &next);
            model.append(&next);
            model.acknowledge();
            disk.crash();
            assert!(model.recover(recovered(&disk)), "{changes} changes, and what came after them");
            whole
        });
        assert!(ended.is_some_and(|changes| changes > 50), "the whole story takes {ended:?} changes");
    }
}
