//! What the daemon has to say, in the form of the shell: a sentence, and the commands that its hints stand for.
//!
//! Invariant: a command stands between backquotes, so that `output` can name the lab in it.

use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::selector::names;

/// `n1 is killed; `raftianctl restart n1``.
pub(crate) fn said(note: &Note) -> String {
    joined(&note.text, &note.hints)
}

/// The same of a sentence and its hints.
pub(crate) fn joined(text: &str, hints: &[Hint]) -> String {
    if hints.is_empty() { text.to_owned() } else { format!("{text}; {}", commands(hints)) }
}

/// ``raftianctl restart n1` or `raftianctl start``.
pub(crate) fn commands(hints: &[Hint]) -> String {
    hints.iter().map(|hint| format!("`{}`", command(hint))).collect::<Vec<_>>().join(" or ")
}

/// What to type.
fn command(hint: &Hint) -> String {
    let what = match hint {
        Hint::Start => "start".to_owned(),
        Hint::Purge => "stop --purge".to_owned(),
        Hint::Restart { nodes } => format!("restart {}", names(nodes)),
        Hint::Resume { nodes } => format!("resume {}", names(nodes)),
        Hint::Heal => "heal".to_owned(),
        Hint::ClearFault { id } => format!("fault clear {id}"),
        Hint::AddMember { node, learner: false } => format!("member add {node}"),
        Hint::AddMember { node, learner: true } => format!("member add {node} --learner"),
        Hint::PromoteMember { node } => format!("member promote {node}"),
        Hint::RemoveMember { node } => format!("member remove {node}"),
        Hint::ReplaceMember { node } => format!("member remove {node} && raftianctl member add {}", node.name()),
        Hint::AddPlayer { player } => format!("player add {player}"),
        Hint::RemovePlayer { player } => format!("player del {player}"),
        Hint::OpenCanvas => "canvas serve".to_owned(),
        Hint::WaitForLeader => "wait leader".to_owned(),
        Hint::ShowStatus => "status".to_owned(),
        Hint::CompareLogs => "log @all".to_owned(),
    };
    format!("raftianctl {what}")
}

#[cfg(test)]
mod tests {
    use raftian_rpc::NodeId;

    use super::*;

    #[test]
    fn every_hint_is_a_command_that_can_be_typed() {
        let node: NodeId = "n2.2".parse().unwrap();
        for hint in [
            Hint::Start,
            Hint::Purge,
            Hint::Restart { nodes: vec![node] },
            Hint::Resume { nodes: vec![node] },
            Hint::Heal,
            Hint::ClearFault { id: "f3".parse().unwrap() },
            Hint::AddMember { node: node.name(), learner: false },
            Hint::AddMember { node: node.name(), learner: true },
            Hint::PromoteMember { node },
            Hint::RemoveMember { node },
            Hint::ReplaceMember { node },
            Hint::AddPlayer { player: 3 },
            Hint::RemovePlayer { player: 3 },
            Hint::OpenCanvas,
            Hint::WaitForLeader,
            Hint::ShowStatus,
            Hint::CompareLogs,
        ] {
            for line in command(&hint).split(" && ") {
                let parsed = crate::cli::parse(line.split(' ').map(Into::into));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn commands_follow_the_sentence() {
        let dead = Note::new("n1 is killed").hint(Hint::Restart { nodes: vec!["n1".parse().unwrap()] });
        assert_eq!(said(&dead), "n1 is killed; `raftianctl restart n1`");
        assert_eq!(said(&dead.hint(Hint::Purge)), "n1 is killed; `raftianctl restart n1` or `raftianctl stop --purge`");
        assert_eq!(said(&Note::new("all is well")), "all is well");
    }
}
