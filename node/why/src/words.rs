//! Times, nodes and bytes as people say them.

use std::collections::BTreeSet;

use raftian_rpc::NodeId;
use raftian_rpc::host_event::Refusal;
use raftian_rpc::lab::{Action, NodeState};

/// A time in milliseconds as people say it: `243 ms`, `1.5 s`, `10 s`, `2 min`, `2 min 5 s`, `18 h 35 min`.
pub fn spell_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => {
            let text = format!("{:.1}", ms as f64 / 1e3);
            format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
        }
        7_200_000.. => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
        _ => match (ms / 60_000, ms % 60_000 / 1_000) {
            (minutes, 0) => format!("{minutes} min"),
            (minutes, seconds) => format!("{minutes} min {seconds} s"),
        },
    }
}

/// How long ago something was: `just now` within a second, `1.2 s ago`, `12 s ago` from ten seconds on.
pub fn ago(ms: u64) -> String {
    match ms {
        0..1_000 => "just now".to_owned(),
        1_000..10_000 => format!("{} ago", spell_ms(ms)),
        _ => format!("{} ago", spell_ms(ms / 1_000 * 1_000)),
    }
}

/// Bytes as people read them: `512 B`, `2.0 kB`, `1.5 MB`, `25.3 GB`.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Nodes within a sentence: `n1`, `n1, n2, n4`, and three or more in a row as `n1–n3`.
pub fn nodes<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> String {
    let nodes: Vec<NodeId> = nodes.into_iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let is_next = |one: NodeId, other: NodeId| {
        one == one.name() && other == other.name() && one.number().checked_add(1) == Some(other.number())
    };
    let rows = nodes.chunk_by(|one, other| is_next(*one, *other)).flat_map(|row| match row {
        [first, .., last] if row.len() > 2 => vec![format!("{first}–{last}")],
        few => few.iter().map(NodeId::to_string).collect(),
    });
    rows.collect::<Vec<_>>().join(", ")
}

/// What a node's process does, in a word.
pub fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Starting => "starting",
        NodeState::Running => "running",
        NodeState::Paused => "paused",
        NodeState::Stopped => "stopped",
        NodeState::Killed => "killed",
        NodeState::Failed => "failed",
    }
}

/// The verb of an action, as it is typed.
pub fn typed(action: Action) -> &'static str {
    match action {
        Action::Kill => "kill",
        Action::Pause => "pause",
        Action::Resume => "resume",
        Action::Start => "start",
        Action::Restart => "restart",
        Action::RollingRestart => "restart --rolling",
        Action::PowerLoss => "kill --power-loss",
        Action::Stop => "stop",
    }
}

/// Why a server refused a candidate its vote, in words that follow its name and a colon.
pub fn refusal(why: Refusal, candidate: NodeId) -> String {
    match why {
        Refusal::TermIsOver { own } => format!("its own term is {own}"),
        Refusal::LeaderAlive { leader } => format!("it hears from the leader {leader}"),
        Refusal::VotedFor { other } => format!("it has voted for {other}"),
        Refusal::LogBehind { theirs: (their_term, theirs), own: (own_term, own) } => format!(
            "the log of {candidate} is behind: it ends with term {their_term} at index {theirs}, its own with term {own_term} \
             at index {own}"
        ),
    }
}

/// `was` of one, `were` of several.
pub(crate) fn was(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// The verb as it follows one, or several: `runs`, `run`.
pub(crate) fn verb(count: usize, several: &str) -> String {
    if count == 1 { format!("{several}s") } else { several.to_owned() }
}

/// `1 entry`, `5 entries`.
pub(crate) fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let texts: Vec<String> =
            [0, 243, 1_000, 1_500, 10_000, 90_000, 120_000, 125_400, 66_943_080].map(spell_ms).into();
        assert_eq!(texts, ["0 ms", "243 ms", "1 s", "1.5 s", "10 s", "90 s", "2 min", "2 min 5 s", "18 h 35 min"]);
        assert_eq!([999, 1_240, 9_960, 12_960].map(ago), ["just now", "1.2 s ago", "10 s ago", "12 s ago"]);
    }

    #[test]
    fn nodes_in_a_row_are_a_row() {
        let told = |names: &str| nodes(&names.split(' ').map(|id| id.parse().unwrap()).collect::<Vec<NodeId>>());
        for (names, expected) in [
            ("n1", "n1"),
            ("n1 n2 n4", "n1, n2, n4"),
            ("n3 n2 n1", "n1–n3"),
            ("n1 n2 n3 n5 n6", "n1–n3, n5, n6"),
            ("n1 n2.2 n3", "n1, n2.2, n3"),
        ] {
            assert_eq!(told(names), expected);
        }
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!([0, 999, 2_048, 1_500_000].map(bytes), ["0 B", "999 B", "2.0 kB", "1.5 MB"]);
    }
}
