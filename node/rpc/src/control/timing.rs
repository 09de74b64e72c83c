//! The time-outs of a cluster, and which make sense.

use serde::{Deserialize, Serialize};

/// The time-outs of a cluster (§5.6: broadcast time ≪ election time-out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The shortest election time-out.
    pub election_min_ms: u64,
    /// The end of the range that election time-outs are drawn from, itself excluded.
    pub election_max_ms: u64,
    /// The interval of a leader's heartbeats.
    pub heartbeat_ms: u64,
}

impl Default for Timing {
    /// The paper's (§9.3): 150–300 ms, with a heartbeat of 50 ms.
    fn default() -> Timing {
        Timing { election_min_ms: 150, election_max_ms: 300, heartbeat_ms: 50 }
    }
}

impl Timing {
    /// Slow enough for a person to watch an election: 2–4 s, with a heartbeat of 500 ms.
    pub const CLASSROOM: Timing = Timing { election_min_ms: 2_000, election_max_ms: 4_000, heartbeat_ms: 500 };

    /// Checks what was typed: 1 ms ≤ heartbeat < shortest election time-out < longest ≤ 60 s.
    ///
    /// # Errors
    /// A sentence that says which bound does not hold.
    pub fn validate(self) -> Result<Timing, String> {
        let Timing { election_min_ms, election_max_ms, heartbeat_ms } = self;
        if heartbeat_ms == 0 {
            return Err("the heartbeat interval must be at least 1 ms".into());
        }
        if election_min_ms <= heartbeat_ms {
            return Err(format!(
                "the shortest election time-out ({election_min_ms} ms) must exceed the heartbeat interval \
                 ({heartbeat_ms} ms), or followers stand for election between heartbeats"
            ));
        }
        if election_max_ms <= election_min_ms {
            return Err(format!(
                "the election time-out range {election_min_ms}–{election_max_ms} ms is empty; its end must be larger"
            ));
        }
        if election_max_ms > 60_000 {
            return Err(format!("election time-outs end at 60000 ms; {election_max_ms} ms is longer"));
        }
        Ok(self)
    }
}
