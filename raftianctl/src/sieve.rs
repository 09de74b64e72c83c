//! Which events and lines are wanted: of which nodes, of what type, since when.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raftian_rpc::NodeId;
use raftian_rpc::connect::Http;
use raftian_rpc::lab::{Event, Happening, LabClient as _};
use raftian_rpc::selector::Selector;
use serde_json::Value;

use crate::connect::Daemon;
use crate::failure::Failure;
use crate::{units, words};

/// What the commands that show events take.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Wanted {
    /// Only of these nodes: n3, n1-3, @leader and the like
    #[arg(long, value_name = "SELECTOR")]
    node: Option<Selector>,
    /// Only of this type, as `-o json` names it: acted, fault_added, node_exited, raft, role, voted, …
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only what happened within this time
    #[arg(long, value_name = "TIME", value_parser = units::duration, allow_hyphen_values = true)]
    since: Option<Duration>,
}

/// The same with the nodes by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sieve {
    nodes: Option<BTreeSet<NodeId>>,
    kind: Option<String>,
    since_unix_ms: u64,
}

impl Wanted {
    /// Has the daemon resolve the nodes.
    ///
    /// # Errors
    /// When the selector names nothing that is there.
    pub(crate) async fn resolve(self, daemon: &Daemon) -> Result<Sieve, Failure> {
        let nodes = match self.node {
            None => None,
            Some(selector) => Some(daemon.ask(async |lab: Http| lab.resolve(selector).await).await?.nodes),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, words::millis);
        let since_unix_ms = self.since.map_or(0, |since| now.saturating_sub(words::millis(since)));
        Ok(Sieve { nodes, kind: self.kind.map(|kind| kind.replace('-', "_")), since_unix_ms })
    }
}

impl Sieve {
    /// Whether an event is wanted.
    pub(crate) fn lets_through(&self, event: &Event) -> bool {
        event.unix_ms >= self.since_unix_ms
            && self.nodes.as_ref().is_none_or(|nodes| !concerned(&event.what).is_disjoint(nodes))
            && self.kind.as_ref().is_none_or(|kind| kinds(event).contains(kind))
    }
}

/// The nodes that an event is about.
fn concerned(what: &Happening) -> BTreeSet<NodeId> {
    match what {
        Happening::NodeSpawned { node, .. }
        | Happening::NodeReady { node, .. }
        | Happening::NodePlaying { node }
        | Happening::NodeRolledBack { node, .. }
        | Happening::NodeExited { node, .. }
        | Happening::NodePaused { node }
        | Happening::NodeResumed { node }
        | Happening::Raft { node, .. }
        | Happening::Host { node, .. }
        | Happening::Damaged { node, .. }
        | Happening::MemberChanging { node, .. } => [*node].into(),
        Happening::Acted { resolved, .. } | Happening::Transferring { resolved } => resolved.nodes.clone(),
        Happening::Diverged { divergence } => [divergence.one, divergence.other].into(),
        Happening::FaultAdded { fault } => fault.nodes(),
        Happening::DaemonStarted { .. }
        | Happening::DaemonStopped
        | Happening::FaultSeen { .. }
        | Happening::FaultCleared { .. }
        | Happening::FaultEnded { .. } => BTreeSet::new(),
    }
}

/// The names of an event's type: its own, and that of what a server or its host tells.
fn kinds(event: &Event) -> Vec<String> {
    let value = serde_json::to_value(event).unwrap_or_default();
    let inner = value.get("event").and_then(|inner| inner.get("event"));
    [value.get("type"), inner].into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use raftian_rpc::RaftEvent;

    use super::*;

    #[test]
    fn events_are_chosen_by_node_type_and_time() {
        let n = |number| NodeId::new(number).unwrap();
        let voted = RaftEvent::Voted { term: 2, candidate: n(1) };
        let event = Event { seq: 1, at_ns: 0, unix_ms: 5_000, what: Happening::Raft { node: n(2), event: voted } };
        let wants = |nodes: Option<&[u16]>, kind: Option<&str>, since_unix_ms| {
            let nodes = nodes.map(|nodes| nodes.iter().map(|number| n(*number)).collect());
            Sieve { nodes, kind: kind.map(str::to_owned), since_unix_ms }.lets_through(&event)
        };
        assert!(wants(None, None, 0) && wants(Some(&[2, 3]), Some("voted"), 5_000) && wants(None, Some("raft"), 0));
        assert!(!wants(Some(&[1]), None, 0) && !wants(None, Some("role"), 0) && !wants(None, None, 5_001));
    }
}
