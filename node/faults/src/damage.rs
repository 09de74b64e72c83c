//! What happens to the files of a node that is down, in the words of the scenarios: `flips entry 3`, `torn`, `wiped`.
//!
//! Deliberately absent: where a record stands, which the log knows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Damage to the files of a node. In JSON it is its words: `"flips entry 3"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Damage {
    /// A bit flips in a record.
    Flips(DamagedPart),
    /// The log ends with a write that was not finished, as after a crash in the middle of it.
    Torn,
    /// Everything is removed.
    Wiped,
    /// A copy is made. It replaces a former one.
    Kept,
    /// The copy takes the place of what is there.
    PutBack,
}

/// A part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagedPart {
    /// The entry at this index.
    Entry(u64),
    /// The last term and vote that were written.
    HardState,
    /// The snapshot.
    Snapshot,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Flips(DamagedPart::Entry(index)) => write!(f, "flips entry {index}"),
            Damage::Flips(DamagedPart::HardState) => f.write_str("flips hard_state"),
            Damage::Flips(DamagedPart::Snapshot) => f.write_str("flips snapshot"),
            Damage::Torn => f.write_str("torn"),
            Damage::Wiped => f.write_str("wiped"),
            Damage::Kept => f.write_str("kept"),
            Damage::PutBack => f.write_str("put_back"),
        }
    }
}

impl FromStr for Damage {
    type Err = String;

    fn from_str(text: &str) -> Result<Damage, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["flips", "entry", index] => {
                let index = index.parse().ok().filter(|index| *index > 0);
                let part = index.map(DamagedPart::Entry);
                part.map(Damage::Flips)
                    .ok_or_else(|| format!("`{}` is no index of an entry; they begin with 1", words[2]))
            }
            ["flips", "hard_state"] => Ok(Damage::Flips(DamagedPart::HardState)),
            ["flips", "snapshot"] => Ok(Damage::Flips(DamagedPart::Snapshot)),
            ["torn"] => Ok(Damage::Torn),
            ["wiped"] => Ok(Damage::Wiped),
            ["kept"] => Ok(Damage::Kept),
            ["put_back"] => Ok(Damage::PutBack),
            _ => Err(format!(
                "`{text}` is nothing that happens to a disk; what does is: flips entry INDEX, flips hard_state, flips \
                 snapshot, torn, wiped, kept, put_back"
            )),
        }
    }
}

impl TryFrom<String> for Damage {
    type Error = String;

    fn try_from(text: String) -> Result<Damage, String> {
        text.parse()
    }
}

impl From<Damage> for String {
    fn from(damage: Damage) -> String {
        damage.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_reads_back_as_written() {
        let all = ["flips entry 3", "flips hard_state", "flips snapshot", "torn", "wiped", "kept", "put_back"];
        for words in all {
            let damage: Damage = words.parse().unwrap();
            assert_eq!(damage.to_string(), words);
            let json = serde_json::to_string(&damage).unwrap();
            assert_eq!(json, format!("\"{words}\""));
            assert_eq!(serde_json::from_str::<Damage>(&json).unwrap(), damage);
        }
    }

    #[test]
    fn other_words_are_refused_with_those_there_are() {
        let refused = |text: &str| text.parse::<Damage>().unwrap_err();
        assert_eq!(refused("flips entry 0"), "`0` is no index of an entry; they begin with 1");
        assert_eq!(
            refused("burns"),
            "`burns` is nothing that happens to a disk; what does is: flips entry INDEX, flips hard_state, flips snapshot, \
             torn, wiped, kept, put_back"
        );
    }
}
