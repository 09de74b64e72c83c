//! The end of a run: a random core is healed, the rest stays broken, and the cluster must come to life.
//!
//! Invariant: the core is a quorum of every configuration that anybody uses, of nodes that run, so nothing but a bug
//! keeps it from working. A node that did not start, because its disk is damaged, stays out.

use raftian_apps::{AppKind, Colour};
use raftian_check::Operation;
use raftian_faults::Effect;
use raftian_raft::{Configuration, RoleKind};
use raftian_script::{Invariant, Op};

use super::World;
use crate::client::Client;
use crate::invariant::{Check, Finding, Violation, place};
use crate::members::{Ids, Members, bit};
use crate::node::Node;
use crate::random::{Stream, random};

/// How many election time-outs a healed core may take.
pub(super) const PATIENCE: u32 = 10;

/// How long each AppendEntries to a server that is behind may take, in microseconds, beside the nodes' turns: a round trip
/// and two syncs.
const CATCH_UP_US: u64 = 5_000;

/// An entry has no more bytes than this, so that so many fit in a message at least.
const LARGEST_ENTRY_BYTES: usize = 200;

impl World {
    /// Heals a core and waits until it works: within ten election time-outs there is a leader, and a fresh write and a read
    /// succeed; all of the core comes to know it, and goes on undisturbed.
    ///
    /// # Errors
    /// The invariant that was broken: [`Invariant::Liveness`] if it does not come to life, [`Invariant::Steady`] if it does
    /// not stay as it is then.
    pub fn come_to_life(&mut self) -> Result<(), Violation> {
        self.coverage.end_faults();
        self.mend_clocks();
        let healed = self.heal_core();
        let core = self.conclude(healed)?;
        let slowest = self.nodes.iter().map(|node| node.clock.rate_permille).min().unwrap_or(1000);
        let timeout_us = self.plan.election_timeout.end.as_micros() as u64 * 1000 / slowest;
        let end_us = self.now_us + u64::from(PATIENCE) * timeout_us;
        let probe = self.start_probe(core);
        let (write, read) = match self.plan.app {
            AppKind::Kv => (Op::Set(0, 1), Op::Read(0)),
            AppKind::Attack => (Op::Attack(1), Op::Attack(2)),
            AppKind::Canvas => (Op::Paint(0, 0, Colour::default()), Op::Pixel(0, 0)),
        };
        let goal = self.history.acknowledged + 2;
        self.clients[probe].wishes.extend([write, read]);
        self.await_life(end_us, timeout_us / 40, probe, "a write and a read", |world| {
            world.history.acknowledged >= goal
        })?;
        let end_us = end_us + self.catch_up_us();
        self.await_life(end_us, timeout_us / 40, probe, "the core's agreement", |world| world.has_converged(core))?;
        self.stay(core, probe, timeout_us)
    }

    /// A server that is far behind needs many messages where they are small.
    pub(super) fn catch_up_us(&self) -> u64 {
        let fitting = (self.plan.max_append_bytes / LARGEST_ENTRY_BYTES).min(self.plan.max_append_entries).max(1);
        (CATCH_UP_US + 4 * self.plan.turn_us) * self.committed() / fitting as u64
    }

    /// Runs until something has come about, and looks every so often.
    pub(super) fn await_life(
        &mut self,
        end_us: u64,
        every_us: u64,
        probe: usize,
        what: &str,
        is_done: impl Fn(&World) -> bool,
    ) -> Result<(), Violation> {
        while !is_done(self) {
            if self.now_us >= end_us {
                return self.is_late(what);
            }
            self.begin_next(probe);
            self.run_until(self.now_us + every_us)?;
        }
        Ok(())
    }

    /// Something did not come about.
    pub(super) fn is_late(&mut self, what: &str) -> Result<(), Violation> {
        let leader = self.leader().map_or("nobody".to_owned(), |leader| leader.to_string());
        let late = self.oracle.findings.report(Invariant::Liveness, || {
            format!("{what} did not come about in time, though a quorum was healed; {leader} leads")
        });
        self.conclude(late)
    }

    /// Ends all faults, and then breaks all that is not in the core. Says who is in it, as bits.
    fn heal_core(&mut self) -> Result<u64, Finding> {
        self.done = self.actions.len();
        self.plan.sync_us = Some(0..200);
        self.plan.client_loss_percent = 0;
        (self.plan.turn_us, self.plan.job_us) = (self.plan.turn_us.min(1_000), self.plan.job_us.min(10_000));
        self.network.set_effects(Effect::latency(0.6, 0.4).ok().into_iter().collect());
        self.heal_links();
        // What was sent on a slow link does not come long after it was made a fast one.
        let timeout_us = self.plan.election_timeout.start.as_micros() as u64;
        self.queue.lose_late(self.now_us + timeout_us / 2);
        for at in 0..self.nodes.len() {
            self.resume_at(at);
            // Where a disk or an application is stuck for long, its process is restarted.
            let stuck_until_us = self.nodes[at].busy_until_us.max(self.nodes[at].synced_at_us);
            if stuck_until_us > self.now_us + u64::from(PATIENCE) * timeout_us / 2 {
                self.crash_at(at, 0)?;
            }
            let node = &mut self.nodes[at];
            node.storage.mend();
            (node.armed, node.apply_us) = (None, 0);
            self.begin_sync(at);
            self.restart_at(at)?;
        }
        self.clients.iter_mut().for_each(Client::give_up);
        let core = self.draw_core();
        let outside: Vec<usize> = (0..self.nodes.len()).filter(|at| core >> at & 1 == 0).collect();
        match random([self.seed, Stream::Outside as u64]) % 2 {
            0 => self.isolate(core),
            _ => outside.into_iter().try_for_each(|at| self.crash_at(at, 0))?,
        }
        Ok(core)
    }

    /// Nodes that are a quorum of every configuration in use, in an order that is drawn; as many as it takes, or more.
    fn draw_core(&self) -> u64 {
        let servers = self.nodes.iter().filter_map(Node::server);
        let in_use: Vec<Members> = servers.filter_map(|server| server.configuration()).map(Members::of).collect();
        let mut order: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].is_up()).collect();
        order.sort_unstable_by_key(|at| random([self.seed, Stream::CoreOrder as u64, *at as u64]));
        let least = random([self.seed, Stream::CoreSize as u64]) as usize % self.nodes.len();
        let (mut core, mut servers) = (0, Ids::default());
        for (count, at) in order.into_iter().enumerate() {
            if count > least && in_use.iter().all(|members| members.is_quorum(servers)) {
                break;
            }
            core |= 1 << at;
            servers = servers | bit(self.nodes[at].id());
        }
        core
    }

    /// A client that knows the core alone.
    fn start_probe(&mut self, core: u64) -> usize {
        let number = self.clients.len();
        let opens_by_reading = self.plan.has_short_sessions();
        self.clients.push(Client::new(number, core.trailing_zeros() as usize, core, opens_by_reading));
        self.plan.client_attempts = u32::MAX;
        self.plan.client_patience_us = 2 * self.plan.heartbeat_interval.as_micros() as u64 + 10_000;
        number
    }

    /// Whether everybody in the core whom the leader counts among the members has applied all it knows.
    fn has_converged(&self, core: u64) -> bool {
        let leader = self.nodes.iter().enumerate().filter(|(at, _)| core >> at & 1 == 1);
        let leader = leader.filter_map(|(_, node)| node.server()).filter(|server| server.role() == RoleKind::Leader);
        let Some(leader) = leader.max_by_key(|server| server.hard_state().term) else { return false };
        let is_member = |at: usize| {
            leader.configuration().is_some_and(|members: &Configuration| members.contains(self.nodes[at].id()))
        };
        let mut members = (0..self.nodes.len()).filter(|at| core >> at & 1 == 1 && is_member(*at));
        let applied = |at: usize| self.nodes[at].driver.as_ref().map(|driver| driver.machine().last_applied());
        members.all(|at| applied(at).is_some_and(|applied| applied >= leader.commit_index()))
    }

    /// What is checked once, when all is over: whole logs.
    ///
    /// # Errors
    /// The log that is not what was seen of it.
    pub fn check_logs(&mut self) -> Result<(), Violation> {
        let servers = self.nodes.iter().enumerate();
        let checked: Check = servers
            .filter_map(|(at, node)| Some((at, node.server()?)))
            .try_for_each(|(at, server)| self.oracle.check_whole_log(at, server));
        self.conclude(checked)
    }

    /// What is checked once, when the cluster has come to life: its leader has every command that a client was told is
    /// done, where it was told.
    ///
    /// # Errors
    /// The first command that is gone.
    pub(crate) fn check_acknowledged(&mut self, history: &[Operation]) -> Result<(), Violation> {
        let lives = self.oracle.findings.is_checked(Invariant::Liveness);
        // One that does not know yet that it was deposed may lack what others have committed since.
        let leader = self.leader().filter(|leader| lives && self.oracle.led_last(*leader));
        let Some(leader) = leader else { return Ok(()) };
        let app = self.plan.app;
        let mut told = history.iter().filter(|operation| !app.is_read(&operation.op));
        let checked: Check = told.try_for_each(|told| self.oracle.check_still_held(place(leader), told));
        self.conclude(checked)
    }
}
