//! How fast the core is by itself: three servers in memory, one thread, and a disk that takes everything and costs
//! nothing. `cargo run --release -p raftian-raft --example speed`.
//!
//! A command that comes alone and a read that comes alone are counted with all that follows from them, until nobody has
//! anything to do. Batches are proposed one after another, each when the one before it is committed everywhere; all
//! servers compact their logs as they go. What is counted is the time on the processor, so busy neighbours matter less.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::hint::black_box;

use bytes::Bytes;
use raftian_raft::{
    Configuration, Message, NodeId, Options, Persist, Recovered, RoleKind, Server, Storage, Time, Write,
};

const RUNS: usize = 5;
/// How often something comes alone in a run.
pub(crate) const LONE: u64 = 200_000;
pub(crate) const COMMAND_BYTES: usize = 64;
/// Logs are compacted when they are this long.
pub(crate) const MAX_LOG: u64 = 100_000;

pub(crate) fn main() {
    report("lone command, µs", |time| {
        let mut cluster = Cluster::new();
        for _ in 0..LONE {
            cluster.propose(1);
            cluster.run();
            cluster.compact();
        }
        time() * 1e6 / LONE as f64
    });
    report("lone read, µs", |time| {
        let mut cluster = Cluster::new();
        for _ in 0..LONE {
            cluster.servers[0].read(cluster.now).expect("the first server leads");
            cluster.run();
        }
        time() * 1e6 / LONE as f64
    });
    for batch in [10, 100, 1_000, 4_000] {
        report(&format!("batches of {batch}, million entries/s"), |time| {
            let mut cluster = Cluster::new();
            let batches = 4_000_000 / batch;
            for _ in 0..batches {
                cluster.propose(batch);
                cluster.run();
                cluster.compact();
            }
            (batches * batch) as f64 / 1e6 / time()
        });
    }
}

/// Prints the median of a few runs, and their extremes. A run is given a watch that tells the seconds since its start.
pub(crate) fn report(what: &str, run: impl Fn(&dyn Fn() -> f64) -> f64) {
    let mut runs: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = processor_ns();
            run(&|| (processor_ns() - start) as f64 / 1e9)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("{what:<38} {:>6.2}  ({:.2} to {:.2})", runs[RUNS / 2], runs[0], runs[RUNS - 1]);
}

/// How long this thread has been on a processor.
fn processor_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("the first number of schedstat")
}

/// Three servers, of which the first leads, and the messages on their way.
struct Cluster {
    servers: Vec<Server>,
    messages: VecDeque<Message>,
    now: Time,
    /// How many entries the first server has applied.
    applied: u64,
    compacted: u64,
}

impl Cluster {
    fn new() -> Cluster {
        let configuration = Configuration::new(NodeId::first(3)).expect("three voters");
        let server =
            |id| Server::new(Options::new(id, configuration.clone(), 1), Recovered::default(), Time::default());
        let servers: Vec<Server> = NodeId::first(3).map(server).collect();
        let now = servers[0].deadline();
        let mut cluster = Cluster { servers, messages: VecDeque::new(), now, applied: 0, compacted: 0 };
        cluster.servers[0].tick(now);
        cluster.run();
        assert_eq!(cluster.servers[0].status().role, RoleKind::Leader);
        cluster
    }

    /// Proposes commands that share a buffer, as those do that came in one request.
    fn propose(&mut self, count: u64) {
        let buffer = Bytes::from(vec![b'x'; COMMAND_BYTES * count as usize]);
        let commands = (0..count as usize).map(|nth| buffer.slice(nth * COMMAND_BYTES..(nth + 1) * COMMAND_BYTES));
        self.servers[0].propose(self.now, commands).expect("the first server leads");
    }

    /// Delivers messages until there are none.
    fn run(&mut self) {
        self.settle(0);
        while let Some(message) = self.messages.pop_front() {
            let to = usize::from(message.to.number()) - 1;
            self.servers[to].receive(self.now, message).expect("honest servers do not contradict each other");
            self.settle(to);
        }
    }

    /// Carries out the effects of a server until there are none.
    fn settle(&mut self, at: usize) {
        loop {
            let ready = self.servers[at].ready();
            if ready.is_empty() {
                return;
            }
            self.messages.extend(ready.messages);
            if at == 0 {
                self.applied += ready.committed.len() as u64;
            }
            black_box(ready.committed);
            if let Some(persist) = ready.persist {
                let Ok(persisted) = Persist::sync_all(vec![persist], &mut NoDisk);
                let messages = persisted.into_iter().flat_map(|one| self.servers[at].persisted(self.now, one));
                self.messages.extend(messages);
            }
        }
    }

    /// Compacts the logs when they have become long. Everybody has applied everything.
    fn compact(&mut self) {
        if self.applied - self.compacted > MAX_LOG {
            self.compacted = self.applied;
            for server in &mut self.servers {
                server.compact(self.applied, Bytes::new(), 0).expect("it is applied");
            }
        }
    }
}

/// A disk that costs nothing.
struct NoDisk;

impl Storage for NoDisk {
    type Error = Infallible;

    fn append(&mut self, write: &Write) -> Result<(), Infallible> {
        black_box(write);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
