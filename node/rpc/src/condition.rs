//! What `wait` can wait for: `leader`, `stable`, `converged`, `commit>=N`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Index;

/// A condition on a whole lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Condition {
    /// Some node leads with a quorum.
    Leader,
    /// Every running node follows one leader in one term, and has done so for an election time-out.
    Stable,
    /// Stable, and every running node has applied the same entries with the same digest.
    Converged,
    /// The leader's commitIndex is at least this.
    Commit(Index),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Leader => f.write_str("leader"),
            Condition::Stable => f.write_str("stable"),
            Condition::Converged => f.write_str("converged"),
            Condition::Commit(index) => write!(f, "commit>={index}"),
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Condition, String> {
        match text {
            "leader" => Ok(Condition::Leader),
            "stable" => Ok(Condition::Stable),
            "converged" => Ok(Condition::Converged),
            _ => text
                .strip_prefix("commit>=")
                .and_then(|index| index.parse().ok())
                .map(Condition::Commit)
                .ok_or_else(|| format!("`{text}` is not a condition; use leader, stable, converged, or commit>=N")),
        }
    }
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Condition, String> {
        text.parse()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> String {
        condition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_back_as_written() {
        for text in ["leader", "stable", "converged", "commit>=120"] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
        }
        for text in ["", "commit>=", "commit>=-1", "commit>5", "Leader"] {
            assert!(text.parse::<Condition>().is_err(), "{text:?}");
        }
    }
}
