//! What is broken when, and how long it took to be survived.
//!
//! Invariant: times count from just before the daemon is asked for a fault, and only commands sent after it was in
//! force count as a sign of recovery; so no figure flatters.

use std::time::Duration;

use anyhow::Context as _;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::condition::Condition;
use raftian_rpc::lab::{Action, Happening, NodeState, Resolution};
use raftian_rpc::selector::Selector;
use raftian_rpc::{NodeId, Term};

use super::{Failover, Story};
use crate::journal::Journal;
use crate::lab::Lab;
use crate::load::LiveLoad;
use crate::summary::{human_us, thousands};

/// How long the cluster may take to recover from a fault before the demo counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The hands of the demo.
pub(crate) struct Script<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) journal: &'a Journal,
    pub(crate) live: &'a LiveLoad,
    pub(crate) story: &'a Story<'a>,
}

/// A fault that took the leader away.
struct Blow {
    at_s: f64,
    before_ns: u64,
    done_ns: u64,
    fault: &'static str,
    leader: (NodeId, Term),
}

impl Script<'_> {
    /// Runs the script, from two seconds of calm to two seconds of calm, and ends the load.
    pub(crate) async fn run(&self) -> anyhow::Result<Vec<Failover>> {
        self.until(2.0).await;
        let first = self.survive(self.kill_leader().await?).await?;
        self.until(6.0).await;
        self.restart(first.old).await?;
        self.until(9.0).await;
        let (follower, paused_ns) = self.pause_a_follower(first.old).await?;
        self.until(13.0).await;
        self.resume(follower, paused_ns).await?;
        self.until(16.0).await;
        let second = self.survive(self.isolate_leader().await?).await?;
        self.until(20.0).await;
        self.heal().await?;
        self.until(24.0).await;
        self.live.stop();
        Ok(vec![first, second])
    }

    async fn kill_leader(&self) -> anyhow::Result<Blow> {
        let (at_s, before_ns) = self.now();
        let report = self.lab.act(Action::Kill, leader(), false).await?;
        let done_ns = monotonic_ns();
        Ok(Blow { at_s, before_ns, done_ns, fault: "kill", leader: named(&report.resolved)? })
    }

    async fn isolate_leader(&self) -> anyhow::Result<Blow> {
        let (at_s, before_ns) = self.now();
        let report = self.lab.isolate(leader()).await?;
        let done_ns = monotonic_ns();
        let resolved = report.resolved.first().context("the daemon does not say whom it cut off")?;
        Ok(Blow { at_s, before_ns, done_ns, fault: "partition", leader: named(resolved)? })
    }

    /// Waits for the next leader and the first commit, and tells how long both took.
    async fn survive(&self, blow: Blow) -> anyhow::Result<Failover> {
        let (old, old_term) = blow.leader;
        let elected = self.journal.leader_after(old_term, PATIENCE).await;
        let (new, term, elected_ns) =
            elected.with_context(|| format!("no new leader {} s after {old} was lost", PATIENCE.as_secs()))?;
        let commit = tokio::time::timeout(PATIENCE, self.live.acknowledged_since(blow.done_ns)).await;
        let commit = commit.with_context(|| format!("{new} leads term {term}, and nothing commits"))?;
        let since_ms = |at_ns: u64| at_ns.saturating_sub(blow.before_ns) as f64 / 1e6;
        let (elected_ms, first_commit_ms) = (since_ms(elected_ns), since_ms(commit.completed_ns));
        let what = match blow.fault {
            "partition" => format!("partition {old} | rest ({old} led term {old_term})"),
            fault => format!("{fault} {old} (led term {old_term})"),
        };
        self.story.tell_at(
            blow.at_s,
            format!(
                "{what}: {new} leads term {term} after {elected_ms:.0} ms; first commit after {first_commit_ms:.0} ms"
            ),
        );
        Ok(Failover { fault: blow.fault.into(), old, new, term, elected_ms, first_commit_ms })
    }

    async fn restart(&self, node: NodeId) -> anyhow::Result<()> {
        let (at_s, before_ns) = self.now();
        self.lab.act(Action::Restart, Selector::node(node), false).await?;
        let ready = self.journal.first(PATIENCE, |event| {
            event.at_ns >= before_ns && matches!(event.what, Happening::NodeReady { node: other, .. } if other == node)
        });
        let ready = ready.await.with_context(|| format!("{node} was restarted and does not listen"))?;
        let Happening::NodeReady { last_index, .. } = ready.what else { return Ok(()) };
        let after_ms = ready.at_ns.saturating_sub(before_ns) as f64 / 1e6;
        let entries = thousands(last_index);
        self.story
            .tell_at(at_s, format!("restart {node}: back after {after_ms:.0} ms with {entries} entries from its disk"));
        Ok(())
    }

    /// Pauses a running follower, if possible another one than was killed; returns it and when.
    async fn pause_a_follower(&self, killed: NodeId) -> anyhow::Result<(NodeId, u64)> {
        let status = self.lab.status().await?;
        let running = status.nodes.iter().filter(|report| report.state == NodeState::Running);
        let mut followers: Vec<NodeId> =
            running.map(|report| report.node).filter(|node| Some(*node) != status.leader).collect();
        followers.sort_by_key(|node| *node == killed);
        let follower = *followers.first().context("there is no follower to pause")?;
        let (at_s, _) = self.now();
        self.lab.act(Action::Pause, Selector::node(follower), false).await?;
        self.story.tell_at(at_s, format!("pause {follower} (a follower): the others are still a majority"));
        Ok((follower, monotonic_ns()))
    }

    async fn resume(&self, node: NodeId, paused_ns: u64) -> anyhow::Result<()> {
        let (at_s, now_ns) = self.now();
        let mut times = self.live.completions_since(paused_ns);
        let count = thousands(times.len() as u64);
        times.extend([paused_ns, now_ns]);
        times.sort_unstable();
        let longest_ns = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        self.lab.act(Action::Resume, Selector::node(node), false).await?;
        let apart = human_us(longest_ns / 1_000);
        self.story.tell_at(
            at_s,
            format!("resume {node}: without it {count} commands were acknowledged, at most {apart} apart"),
        );
        Ok(())
    }

    async fn heal(&self) -> anyhow::Result<()> {
        let (at_s, before_ns) = self.now();
        self.lab.heal().await?;
        let stable = self.lab.wait(Condition::Stable, PATIENCE).await?;
        let after_ms = monotonic_ns().saturating_sub(before_ns) as f64 / 1e6;
        let leader = stable.leader.map_or("nobody".to_owned(), |leader| leader.to_string());
        let term = stable.term;
        self.story
            .tell_at(at_s, format!("heal: all follow {leader} in term {term}, seen stable after {after_ms:.0} ms"));
        Ok(())
    }

    fn now(&self) -> (f64, u64) {
        let now_ns = monotonic_ns();
        (now_ns.saturating_sub(self.story.start_ns) as f64 / 1e9, now_ns)
    }

    /// Sleeps until this many seconds after the start of the load.
    async fn until(&self, at_s: f64) {
        tokio::time::sleep(Duration::from_secs_f64((at_s - self.now().0).max(0.0))).await;
    }
}

fn leader() -> Selector {
    "@leader".parse().expect("a selector")
}

fn named(resolved: &Resolution) -> anyhow::Result<(NodeId, Term)> {
    resolved.leader.context("the daemon does not say who led")
}
