//! Which events and lines are wanted: of which nodes, of what type, since when.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raftian_rpc::connect::Http;
use raftian_rpc::host_event::HostEvent;
use raftian_rpc::lab::{Event, Happening, LabClient as _};
use raftian_rpc::selector::Selector;
use raftian_rpc::{NodeId, RaftEvent};
use raftian_script::nearest;
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
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
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
        Ok(Sieve { nodes, kind: self.kind, since_unix_ms })
    }
}

/// A type of events, as JSON names it; `-` is as good as `_`.
fn kind(text: &str) -> Result<String, String> {
    let wanted = text.replace('-', "_");
    let all = all_kinds();
    if all.contains(&wanted) {
        return Ok(wanted);
    }
    let near = nearest(&wanted, all.iter().map(String::as_str));
    Err(near.map_or_else(
        || format!("there are no events of this type; the types are {}", all.join(", ")),
        |near| format!("there are no events of this type; did you mean `{near}`?"),
    ))
}

/// The types of events. What reads them knows their names, and says them of one that it does not know.
fn all_kinds() -> Vec<String> {
    let none = |tag: &str| Value::from_iter([(tag.to_owned(), Value::from(""))]);
    let refusals = [
        serde_json::from_value::<Happening>(none("type")).err(),
        serde_json::from_value::<RaftEvent>(none("event")).err(),
        serde_json::from_value::<HostEvent>(none("event")).err(),
    ];
    let names = |refusal: serde_json::Error| -> Vec<String> {
        refusal.to_string().split('`').skip(3).step_by(2).map(str::to_owned).collect()
    };
    refusals.into_iter().flatten().flat_map(names).collect()
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
    use super::*;

    #[test]
    fn a_type_that_there_is_not_is_refused_with_the_nearest() {
        assert_eq!((kind("fault-added"), kind("voted")), (Ok("fault_added".into()), Ok("voted".into())));
        assert!(all_kinds().iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        assert!(
            all_kinds().len() > 20 && ["acted", "role"].iter().all(|name| all_kinds().contains(&(*name).to_owned()))
        );
        assert!(kind("fault_aded").unwrap_err().ends_with("did you mean `fault_added`?"));
        assert!(kind("zebra").unwrap_err().contains("the types are daemon_started, "));
    }

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
