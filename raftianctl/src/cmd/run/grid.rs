//! The log grid: the nodes of a cluster in rows, the indexes of their logs in columns, the term of each entry where they
//! meet. As in the paper's figures 7 and 8.
//!
//! Invariant: 80 columns at most, but for names of five digits; what does not fit is the beginning of the logs.

use raftian_rpc::{Index, RoleKind, Term};
use raftian_script::{Life, NodeView};

use crate::output::Paint;

/// How many indexes are shown.
const COLUMNS: u64 = 13;

/// The characters of an entry; a bar or a blank follows.
const WIDTH: usize = 3;

/// What is said once of how to read one.
pub(super) const LEGEND: &str = "A row is a node's log: the term of each entry. A node knows the entries before its bar | to be committed; dots stand for \
entries in a snapshot; ≠ marks entries that differ.";

/// The grid, with its lines ended.
pub(super) fn grid(nodes: &[NodeView], colour: bool) -> String {
    let last = nodes.iter().map(NodeView::last_index).max().unwrap_or(0);
    let from = (last + 1).saturating_sub(COLUMNS).max(1);
    let name_width = nodes.iter().map(|node| node.node.to_string().len()).max().unwrap_or(0).max(2);
    let more = if from > 1 { "…" } else { " " };
    let mut text = format!("{:name_width$}  {:13}  {:>5} {more}", "", "", "term");
    let dim = |text: &str| Paint::Dim.apply(text, colour);
    text.push_str(&dim((from..=last).map(|index| in_column(&index.to_string())).collect::<String>().trim_end()));
    text = format!("{}\n", text.trim_end());
    for node in nodes {
        let (word, paint) = role(node.state);
        let (name, word) = (format!("{:name_width$}", node.node.to_string()), format!("{word:13}"));
        text.push_str(&format!("{name}  {}  {:>5}  ", paint.apply(&word, colour), node.term));
        let cells: String = (from..=last).map(|index| cell(nodes, node, index, colour)).collect();
        text.push_str(cells.trim_end());
        text = format!("{}\n", text.trim_end());
    }
    if (from..=last).any(|index| differ(nodes, index)) {
        let mark = |index| in_column(if differ(nodes, index) { "≠" } else { "" });
        let marks: String = (from..=last).map(mark).collect();
        let blank = name_width + 2 + 13 + 2 + 5 + 2;
        text.push_str(&format!("{:blank$}{}\n", "", Paint::Bad.apply(marks.trim_end(), colour)));
    }
    text
}

fn cell(nodes: &[NodeView], node: &NodeView, index: Index, colour: bool) -> String {
    let is_committed = index <= node.commit_index;
    let is_last_committed = index == node.commit_index;
    let bar = if is_last_committed { "|" } else { " " };
    let (entry, paint) = match node.term_at(index) {
        Some(term) if differ(nodes, index) => (term.to_string(), Paint::Bad),
        Some(term) if is_committed => (term.to_string(), Paint::Good),
        Some(term) => (term.to_string(), Paint::Plain),
        None if index <= node.snapshot_index => ("·".to_owned(), Paint::Dim),
        None => (String::new(), Paint::Plain),
    };
    format!("{}{bar}", paint.apply(&format!("{entry:>WIDTH$}"), colour))
}

/// A text in a column, with the room for a bar.
fn in_column(text: &str) -> String {
    format!("{text:>WIDTH$} ")
}

/// Whether nodes hold entries of different terms at an index.
fn differ(nodes: &[NodeView], index: Index) -> bool {
    let terms: Vec<Term> = nodes.iter().filter_map(|node| node.term_at(index)).collect();
    terms.windows(2).any(|pair| pair[0] != pair[1])
}

fn role(state: Life) -> (&'static str, Paint) {
    match state {
        Life::Up(RoleKind::Leader) => ("leader", Paint::Good),
        Life::Up(RoleKind::Follower) => ("follower", Paint::Plain),
        Life::Up(RoleKind::Candidate) => ("candidate", Paint::Warn),
        Life::Up(RoleKind::PreCandidate) => ("pre-candidate", Paint::Warn),
        Life::Paused(RoleKind::Leader) => ("paused leader", Paint::Warn),
        Life::Paused(_) => ("paused", Paint::Warn),
        Life::Down => ("down", Paint::Bad),
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::NodeId;

    use super::*;

    fn node(number: u16, state: Life, term: Term, terms: &[Term], commit_index: Index) -> NodeView {
        NodeView {
            node: NodeId::new(number).unwrap(),
            state,
            term,
            snapshot_index: 0,
            first_index: 1,
            terms: terms.to_vec(),
            commit_index,
        }
    }

    #[test]
    fn logs_stand_in_rows_with_what_is_committed_and_what_differs() {
        let nodes = [
            node(1, Life::Down, 4, &[1, 2, 4], 1),
            node(2, Life::Up(RoleKind::Leader), 5, &[1, 3], 0),
            node(10, Life::Paused(RoleKind::Follower), 3, &[], 0),
        ];
        let expected = concat!(
            "                     term    1   2   3\n",
            "n1   down               4    1|  2   4\n",
            "n2   leader             5    1   3\n",
            "n10  paused             3\n",
            "                                 ≠\n",
        );
        assert_eq!(grid(&nodes, false), expected);
        let coloured = grid(&nodes, true);
        assert!(coloured.contains("\x1b[31m  3\x1b[0m") && coloured.contains("\x1b[32m  1\x1b[0m|"), "{coloured:?}");
    }

    #[test]
    fn the_end_of_long_logs_is_shown_and_dots_for_what_is_in_a_snapshot() {
        let mut nodes = [node(1, Life::Up(RoleKind::Leader), 2, &[2; 20], 20), node(2, Life::Down, 2, &[], 0)];
        nodes[1] = NodeView { snapshot_index: 19, first_index: 20, ..nodes[1].clone() };
        let text = grid(&nodes, false);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("…") && lines[0].ends_with("  20") && !lines[0].contains("  7 "), "{text}");
        assert_eq!(lines[2].matches('·').count(), 12, "{text}");
    }
}
