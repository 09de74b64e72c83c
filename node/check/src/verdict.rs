//! What the judges say: a verdict, and the findings it rests on.
//!
//! Invariant: the verdict follows from the findings alone. Any broken invariant makes it violated; failing that, any
//! gap in the evidence makes it unknown; only no finding at all is valid.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether a run kept its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every invariant held, on complete evidence.
    Valid,
    /// An invariant was broken.
    Violated,
    /// Nothing broken was seen, but not everything could be seen.
    Unknown,
}

/// What a finding is about. Written in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// Each index holds the same term and command on every server that has committed it (§5.4.3).
    StateMachineSafety,
    /// Terms never decrease along a log (§5.3).
    TermOrder,
    /// A log has neither gap nor repetition, and nothing is applied before it is committed (§5.3).
    LogShape,
    /// Servers that have applied the same prefix have the same state.
    DigestAgreement,
    /// A server's applied state is what a replay of the committed log gives.
    DigestReplay,
    /// What was acknowledged is in the committed log.
    AcknowledgedDurable,
    /// What was acknowledged took effect where it first stands in the log, and nowhere else.
    AppliedOnce,
    /// A client is told what the application said when the command took effect.
    FirstResponse,
    /// A read that left no entry in the log is told the state at the index it names.
    ReadFromLog,
    /// What was reported as failed was not applied.
    FailedNotApplied,
    /// The log holds only what clients asked for.
    NothingInvented,
    /// What completed before another was invoked stands before it in the log.
    RealTimeOrder,
    /// There is an order of all operations that respects time and explains every response, whatever the log says.
    Linearizability,
    /// Not of the system but of the run: there is enough to judge. Findings about it leave the verdict unknown.
    Evidence,
}

/// One thing a judge found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub invariant: Invariant,
    /// What was seen, and where.
    pub text: String,
}

/// How many findings of one invariant are kept: after some, more of the same only hide the others.
const KEPT_PER_INVARIANT: u64 = 10;

/// Collects findings.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) kept: Vec<Finding>,
    pub(crate) count_by_invariant: BTreeMap<Invariant, u64>,
}

impl Findings {
    pub(crate) fn add(&mut self, invariant: Invariant, text: impl Into<String>) {
        let count = self.count_by_invariant.entry(invariant).or_default();
        *count += 1;
        if *count <= KEPT_PER_INVARIANT {
            self.kept.push(Finding { invariant, text: text.into() });
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        if self.count_by_invariant.is_empty() {
            Verdict::Valid
        } else if self.count_by_invariant.keys().all(|invariant| *invariant == Invariant::Evidence) {
            Verdict::Unknown
        } else {
            Verdict::Violated
        }
    }
}

/// As much of a text as a finding has room for: commands and responses may be a mebibyte long.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN_CHARS: usize = 120;
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

impl Verdict {
    /// The exit code of a process that reports this verdict: 0 valid, 1 violated, 3 unknown (2 is wrong usage).
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::Violated => 1,
            Verdict::Unknown => 3,
        }
    }
}

impl Invariant {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Invariant::StateMachineSafety => "state_machine_safety",
            Invariant::TermOrder => "term_order",
            Invariant::LogShape => "log_shape",
            Invariant::DigestAgreement => "digest_agreement",
            Invariant::DigestReplay => "digest_replay",
            Invariant::AcknowledgedDurable => "acknowledged_durable",
            Invariant::AppliedOnce => "applied_once",
            Invariant::FirstResponse => "first_response",
            Invariant::ReadFromLog => "read_from_log",
            Invariant::FailedNotApplied => "failed_not_applied",
            Invariant::NothingInvented => "nothing_invented",
            Invariant::RealTimeOrder => "real_time_order",
            Invariant::Linearizability => "linearizability",
            Invariant::Evidence => "evidence",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Valid => "valid",
            Verdict::Violated => "violated",
            Verdict::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(invariants: &[Invariant]) -> Verdict {
        let mut findings = Findings::default();
        for &invariant in invariants {
            findings.add(invariant, "");
        }
        findings.verdict()
    }

    #[test]
    fn a_broken_invariant_outweighs_a_gap_in_the_evidence_and_that_outweighs_nothing() {
        assert_eq!(verdict(&[]), Verdict::Valid);
        assert_eq!(verdict(&[Invariant::Evidence]), Verdict::Unknown);
        assert_eq!(verdict(&[Invariant::Evidence, Invariant::RealTimeOrder]), Verdict::Violated);
    }

    #[test]
    fn a_flood_of_one_invariant_is_counted_and_leaves_room_for_the_others() {
        let mut findings = Findings::default();
        for _ in 0..1000 {
            findings.add(Invariant::AppliedOnce, "again");
        }
        findings.add(Invariant::TermOrder, "once");
        assert_eq!(findings.kept.len(), 11);
        assert_eq!(findings.count_by_invariant[&Invariant::AppliedOnce], 1000);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"é".repeat(200)), "é".repeat(120) + "…");
    }

    #[test]
    fn names_are_those_of_the_json() {
        for invariant in [
            Invariant::StateMachineSafety,
            Invariant::TermOrder,
            Invariant::LogShape,
            Invariant::DigestAgreement,
            Invariant::DigestReplay,
            Invariant::AcknowledgedDurable,
            Invariant::AppliedOnce,
            Invariant::FirstResponse,
            Invariant::ReadFromLog,
            Invariant::FailedNotApplied,
            Invariant::NothingInvented,
            Invariant::RealTimeOrder,
            Invariant::Linearizability,
            Invariant::Evidence,
        ] {
            assert_eq!(serde_json::to_string(&invariant).unwrap(), format!("\"{invariant}\""));
        }
        assert_eq!(serde_json::to_string(&Verdict::Valid).unwrap(), format!("\"{}\"", Verdict::Valid));
    }
}
