//! What a person can do about something, as data: the daemon and the nodes say what is the case, and never what to type.
//!
//! Invariant: a hint names nodes and faults, not commands. Each face has its own words for it: the shell a command line,
//! with the lab's name where it needs one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::NodeId;
use crate::lab::FaultId;

/// Something a person can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Hint {
    /// Start the lab, or what of it is down.
    Start,
    /// End the lab and remove its data.
    Purge,
    /// Start these nodes again.
    Restart {
        /// The nodes.
        nodes: Vec<NodeId>,
    },
    /// Let these paused nodes run on.
    Resume {
        /// The nodes.
        nodes: Vec<NodeId>,
    },
    /// Clear all faults on links.
    Heal,
    /// Clear one fault.
    ClearFault {
        /// The fault.
        id: FaultId,
    },
    /// Add a node to the cluster.
    AddMember {
        /// The node, or the name of the next one.
        node: NodeId,
        /// Whether it is to stay without a vote.
        learner: bool,
    },
    /// Give a learner its vote.
    PromoteMember {
        /// The learner.
        node: NodeId,
    },
    /// Take a node out of the cluster.
    RemoveMember {
        /// The node.
        node: NodeId,
    },
    /// Take a node out of the cluster, and add a new one of its name.
    ReplaceMember {
        /// The node that goes.
        node: NodeId,
    },
    /// Put a player on the board.
    AddPlayer {
        /// Its number.
        player: u16,
    },
    /// Take a player off the board.
    RemovePlayer {
        /// Its number.
        player: u16,
    },
    /// Open the canvas to painters.
    OpenCanvas,
    /// Wait until a node leads.
    WaitForLeader,
    /// Look at what every node does.
    ShowStatus,
    /// Look at the logs of all nodes, side by side.
    CompareLogs,
}

/// A sentence for people, and what they can do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What is the case.
    pub text: String,
    /// What can be done, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<Hint>,
}

impl Note {
    /// A sentence that nothing can be done about.
    pub fn new(text: impl Into<String>) -> Note {
        Note { text: text.into(), hints: Vec::new() }
    }

    /// The same with one hint more.
    pub fn hint(mut self, hint: Hint) -> Note {
        self.hints.push(hint);
        self
    }

    /// The same within another sentence.
    pub fn within(self, sentence: impl FnOnce(&str) -> String) -> Note {
        Note { text: sentence(&self.text), hints: self.hints }
    }
}

impl From<String> for Note {
    fn from(text: String) -> Note {
        Note::new(text)
    }
}

impl From<&str> for Note {
    fn from(text: &str) -> Note {
        Note::new(text)
    }
}

/// The sentence alone: hints are for a face to print.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_a_sentence_and_its_hints_are_data() {
        let note = Note::new("n1 is killed").hint(Hint::Restart { nodes: vec!["n1".parse().unwrap()] });
        let text = serde_json::to_string(&note).unwrap();
        assert_eq!(text, r#"{"text":"n1 is killed","hints":[{"do":"restart","nodes":["n1"]}]}"#);
        assert_eq!(serde_json::from_str::<Note>(&text).unwrap(), note);
        assert_eq!(serde_json::to_string(&Note::new("all is well")).unwrap(), r#"{"text":"all is well"}"#);
        assert_eq!(note.within(|what| format!("not done: {what}")).to_string(), "not done: n1 is killed");
    }
}
