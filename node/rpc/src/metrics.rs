//! Metrics for Prometheus: the text form (version 0.0.4), and what is said of nodes.
//!
//! Invariant: what a metric is stands once, before its samples, and these stand together. Names follow the conventions of
//! Prometheus: base units, `_total` for what only grows, which begins anew when a node starts again.
//!
//! Deliberately absent: histograms, which nothing here measures; asking anybody.

use std::fmt::Write as _;

use crate::RoleKind;
use crate::control::NodeStatus;

/// The media type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text that grows metric by metric.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until its process starts anew.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Exposition {
    /// Adds a metric with its samples: labels and values.
    pub fn metric<'a, const LABELS: usize>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'a str, String); LABELS], f64)>,
    ) {
        let kind = if kind == Kind::Counter { "counter" } else { "gauge" };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            self.text.push_str(name);
            for (place, (label, text)) in labels.iter().enumerate() {
                let opening = if place == 0 { '{' } else { ',' };
                let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(self.text, "{opening}{label}=\"{escaped}\"");
            }
            let closing = if labels.is_empty() { "" } else { "}" };
            let _ = writeln!(self.text, "{closing} {value}");
        }
    }

    /// Adds what nodes say of themselves.
    pub fn nodes(&mut self, nodes: &[NodeStatus]) {
        for (kind, name, help, value) in OF_NODES {
            self.metric(*kind, name, help, nodes.iter().map(|node| ([("node", node.node.to_string())], value(node))));
        }
        let roles = [
            (RoleKind::Follower, "follower"),
            (RoleKind::PreCandidate, "pre_candidate"),
            (RoleKind::Candidate, "candidate"),
            (RoleKind::Leader, "leader"),
        ];
        let each = nodes.iter().flat_map(|node| roles.map(|(role, name)| (node, role, name)));
        let samples = each.map(|(node, role, name)| {
            ([("node", node.node.to_string()), ("role", name.to_owned())], f64::from(u8::from(node.role == role)))
        });
        self.metric(Kind::Gauge, "raftian_node_role", "Whether the node has this role: 1, or 0.", samples);
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A metric of a node: what it is, its name, its help, and its value.
type OfNode = (Kind, &'static str, &'static str, fn(&NodeStatus) -> f64);

const OF_NODES: &[OfNode] = &[
    (Kind::Gauge, "raftian_node_term", "The node's term.", |node| node.term as f64),
    (Kind::Gauge, "raftian_node_log_last_index", "The last entry of the node's log.", |node| node.last_index as f64),
    (Kind::Gauge, "raftian_node_commit_index", "The last entry that the node knows to be committed.", |node| {
        node.commit_index as f64
    }),
    (Kind::Gauge, "raftian_node_applied_index", "The last entry that the node has applied.", |node| {
        node.last_applied as f64
    }),
    (Kind::Gauge, "raftian_node_snapshot_index", "The last entry that the node's snapshot stands for.", |node| {
        node.snapshot_index as f64
    }),
    (Kind::Gauge, "raftian_node_sync_seconds", "How long a write of the log and its sync took lately.", |node| {
        node.disk.sync_us as f64 / 1e6
    }),
    (
        Kind::Gauge,
        "raftian_node_disk_pending_seconds",
        "How long the disk has not answered; 0 if nothing is pending.",
        |node| node.disk.pending_ms.unwrap_or(0) as f64 / 1e3,
    ),
    (Kind::Gauge, "raftian_node_faults", "Faults in effect inside the node.", |node| node.faults.len() as f64),
    (Kind::Counter, "raftian_node_proposed_total", "Commands proposed to the node's own log.", |node| {
        node.counters.proposed as f64
    }),
    (Kind::Counter, "raftian_node_forwarded_total", "Commands passed on to a leader.", |node| {
        node.counters.forwarded as f64
    }),
    (Kind::Counter, "raftian_node_applied_total", "Entries applied.", |node| node.counters.applied as f64),
    (Kind::Counter, "raftian_node_reads_total", "Reads answered without an entry in the log.", |node| {
        node.counters.reads as f64
    }),
    (Kind::Counter, "raftian_node_calls_total", "Calls made to peers.", |node| node.counters.calls as f64),
    (Kind::Counter, "raftian_node_dropped_total", "Messages that faults of links dropped.", |node| {
        node.counters.dropped as f64
    }),
    (Kind::Counter, "raftian_node_syncs_total", "Syncs of the node's log.", |node| node.counters.syncs as f64),
    (Kind::Counter, "raftian_node_snapshots_total", "Snapshots that the node took.", |node| {
        node.counters.snapshots as f64
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_its_help_and_type_before_its_samples() {
        let mut exposition = Exposition::default();
        let samples = [([("node", "n1".to_owned()), ("why", "a \"b\"\\\n".to_owned())], 1.5)];
        exposition.metric(Kind::Counter, "a_total", "What a is.", samples);
        exposition.metric(Kind::Gauge, "b", "What b is.", [([], 7.0)]);
        let expected = "# HELP a_total What a is.\n# TYPE a_total counter\na_total{node=\"n1\",why=\"a \\\"b\\\"\\\\\\n\"} 1.5\n\
                        # HELP b What b is.\n# TYPE b gauge\nb 7\n";
        assert_eq!(exposition.into_text(), expected);
    }

    #[test]
    fn names_follow_the_conventions() {
        for (kind, name, help, _) in OF_NODES {
            let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(is_name && name.starts_with("raftian_node_"), "{name}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(help.ends_with('.') && !help.contains('\n'), "{name}: {help}");
        }
    }
}
