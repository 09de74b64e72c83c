//! How long the log takes on the disk in memory: `cargo run --release -p raftian-wal --example speed`.
//!
//! That is what a simulation pays for it. Small layouts are the ones to simulate: a large one fills every new segment
//! with a chunk of zeros.

use std::time::Instant;

use raftian_raft::{Entry, Index, NodeId, Payload, Storage, Write};
use raftian_wal::{MemDisk, Options, Wal};

/// So many appends are timed together.
const APPENDS: u64 = 1000;
const ROUNDS: u32 = 400;

fn main() {
    let writes: Vec<Write> = (1..=APPENDS).map(write).collect();
    let small = Options::new(4096, 512);
    let tiny = Options::new(2048, 256);
    for (layout, options) in [("default", Options::default()), ("4 KiB", small), ("2 KiB", tiny)] {
        let disk = filled(options, &writes);
        let fill = time(|| drop(filled(options, &writes)));
        let open = time(|| drop(Wal::open_with(disk.clone(), node(), options).expect("the disk is sound")));
        println!(
            "{layout:>8}: append and sync of 100 bytes {} ns, opening {APPENDS} entries {} us",
            fill / APPENDS,
            open / 1000
        );
    }
}

/// The shortest time of a few rounds, in nanoseconds.
fn time(mut act: impl FnMut()) -> u64 {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        act();
        start.elapsed().as_nanos()
    });
    rounds.min().map_or(0, |least| least as u64)
}

/// A disk with a new log of so many entries, each synced.
fn filled(options: Options, writes: &[Write]) -> MemDisk {
    let disk = MemDisk::new();
    let (mut wal, _) = Wal::open_with(disk.clone(), node(), options).expect("the disk is empty");
    for write in writes {
        wal.append(write).and_then(|()| wal.sync()).expect("the disk is sound");
    }
    disk
}

fn write(index: Index) -> Write {
    let payload = Payload::Command(vec![b'x'; 100].into());
    Write { entries: vec![Entry { index, term: 1, payload }], ..Write::default() }
}

fn node() -> NodeId {
    NodeId::new(1).expect("1 names a node")
}
