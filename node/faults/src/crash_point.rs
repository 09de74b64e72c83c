//! The points of a node's work at which a fault may end its process.
//!
//! Each lies at a boundary at which the paper demands something of stable storage (Figure 2, §7): what was promised before
//! it must be there after a restart, and what would have been promised after it must not have been.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point of a node's work. Its name is the same on the wire and in the shell: `before-sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashPoint {
    /// Entries, a term or a vote are written to the log, and not synced.
    BeforeSync,
    /// Entries are synced; no acknowledgement has left for them, and a leader has not counted itself for them.
    AfterAppend,
    /// A vote is synced, for itself or another candidate; no message has left that rests on it.
    AfterVote,
    /// A snapshot of its own state is written and synced beside the log; it is not in force, and nothing is discarded.
    MidSnapshot,
    /// The same of a snapshot that a leader has sent.
    MidInstall,
}

impl CrashPoint {
    /// All of them, with their names.
    pub const ALL: [(CrashPoint, &'static str); 5] = [
        (CrashPoint::BeforeSync, "before-sync"),
        (CrashPoint::AfterAppend, "after-append"),
        (CrashPoint::AfterVote, "after-vote"),
        (CrashPoint::MidSnapshot, "mid-snapshot"),
        (CrashPoint::MidInstall, "mid-install"),
    ];
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = CrashPoint::ALL[*self as usize];
        f.pad(name)
    }
}

impl FromStr for CrashPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<CrashPoint, String> {
        let found = CrashPoint::ALL.into_iter().find(|(_, name)| *name == text);
        found.map(|(point, _)| point).ok_or_else(|| {
            let names = CrashPoint::ALL.map(|(_, name)| name).join(", ");
            format!("`{text}` is no crash point; they are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_one_name_for_people_and_on_the_wire() {
        for (point, name) in CrashPoint::ALL {
            assert_eq!(point.to_string(), name);
            assert_eq!(name.parse(), Ok(point));
            assert_eq!(serde_json::to_string(&point).unwrap(), format!("\"{name}\""));
        }
        let refused = "at-lunch".parse::<CrashPoint>().unwrap_err();
        assert_eq!(
            refused,
            "`at-lunch` is no crash point; they are before-sync, after-append, after-vote, mid-snapshot, mid-install"
        );
    }
}
