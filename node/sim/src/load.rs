//! The background load of a scenario in virtual time: what is asked for, when, and by whom.

use raftian_script::{LoadOps, Op, Plan};

/// The operations of a load, each with the time at which it is due, in microseconds, and its client: each in its turn.
#[derive(Debug)]
pub(crate) struct Offered {
    every_us: u64,
    pub(crate) next_us: u64,
    ops: LoadOps,
    client: usize,
    clients: usize,
}

impl Offered {
    /// The load of a plan, if it has one.
    pub(crate) fn by(plan: &Plan, seed: u64) -> Option<Offered> {
        let every_us = plan.load?.every_us();
        let ops = LoadOps::new(seed, plan.app);
        Some(Offered { every_us, next_us: every_us, ops, client: 0, clients: plan.clients })
    }
}

impl Iterator for Offered {
    type Item = (u64, Op, usize);

    fn next(&mut self) -> Option<(u64, Op, usize)> {
        let due = (self.next_us, self.ops.next()?, self.client);
        self.next_us += self.every_us;
        self.client = (self.client + 1) % self.clients;
        Some(due)
    }
}
