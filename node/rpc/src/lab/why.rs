//! `lab.why`: what the lab can be asked about itself, and its answer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FaultId;
use crate::hint::Note;
use crate::{Index, NodeId};

/// Something to be explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Question {
    /// The most important thing that is wrong now.
    #[default]
    Now,
    /// Why no node leads.
    NoLeader,
    /// Why this leader leads.
    Leader,
    /// Why commands take long.
    Slow,
    /// Why the entry at this index is not committed.
    Uncommitted(Index),
    /// Why a node is as it is.
    Node(NodeId),
    /// What a fault does.
    Fault(FaultId),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyReport {
    /// What was asked.
    pub question: Question,
    /// The reasons, the most important first; at least one.
    pub reasons: Vec<Note>,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Now => f.write_str("now"),
            Question::NoLeader => f.write_str("no-leader"),
            Question::Leader => f.write_str("leader"),
            Question::Slow => f.write_str("slow"),
            Question::Uncommitted(index) => write!(f, "uncommitted {index}"),
            Question::Node(node) => node.fmt(f),
            Question::Fault(fault) => fault.fmt(f),
        }
    }
}

impl FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> Result<Question, String> {
        let node = || text.parse().map(Question::Node).ok();
        let fault = || text.parse().map(Question::Fault).ok();
        let index = || text.strip_prefix("uncommitted ")?.trim().parse().map(Question::Uncommitted).ok();
        match text {
            "now" => Ok(Question::Now),
            "no-leader" => Ok(Question::NoLeader),
            "leader" => Ok(Question::Leader),
            "slow" => Ok(Question::Slow),
            _ => node().or_else(fault).or_else(index).ok_or_else(|| {
                format!("`{text}` is no question; use no-leader, leader, slow, uncommitted INDEX, a node or a fault")
            }),
        }
    }
}

impl TryFrom<String> for Question {
    type Error = String;

    fn try_from(text: String) -> Result<Question, String> {
        text.parse()
    }
}

impl From<Question> for String {
    fn from(question: Question) -> String {
        question.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_read_back_as_written() {
        for text in ["now", "no-leader", "leader", "slow", "uncommitted 17", "n3", "n3.2", "f2"] {
            assert_eq!(text.parse::<Question>().unwrap().to_string(), text);
        }
        for text in ["", "uncommitted", "uncommitted x", "@leader", "why"] {
            assert!(text.parse::<Question>().is_err(), "{text:?}");
        }
    }
}
