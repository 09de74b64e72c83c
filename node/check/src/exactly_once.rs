//! Acknowledged means applied exactly once; failed means never; unknown is resolved from the log.
//!
//! Invariant: an operation is judged by the *first* entry that carries its (client, serial), because sessions suppress
//! all others; what they hold back is counted, not blamed.

use std::collections::{HashMap, HashSet};

use raftian_apps::{Applied, Effect, Index, Response};
use serde_json::Value;

use crate::history::{Operation, Outcome};
use crate::judge::Counts;
use crate::log_agreement::describe;
use crate::replay::Replay;
use crate::verdict::{Findings, Invariant, excerpt};

/// Checks each operation of the history against the log. `settled` says that nothing was committed beyond the log;
/// where something may have been, an absence is not held against the servers.
pub(crate) fn check(
    history: &[&Operation],
    replay: &Replay<'_>,
    settled: bool,
    counts: &mut Counts,
    findings: &mut Findings,
) {
    for operation in history {
        let first = replay.first(&operation.client, operation.serial);
        if let Some(first) = first {
            check_content(operation, first, findings);
        }
        let executed_at = replay.executed_at(&operation.client, operation.serial);
        match (&operation.outcome, first) {
            (Outcome::Ok { index, response }, Some(first)) => {
                check_acknowledged(operation, *index, response, first, findings);
            }
            (Outcome::Ok { index, .. }, None) => report_absent(operation, *index, replay, settled, findings),
            (Outcome::Failed { reason }, _) => {
                if let Some(index) = executed_at {
                    let text = format!("{operation} was reported as failed ({reason}) and applied at index {index}");
                    findings.add(Invariant::FailedNotApplied, text);
                }
            }
            (Outcome::Unknown { .. }, _) if executed_at.is_some() => counts.unknown_applied += 1,
            (Outcome::Unknown { .. }, _) => counts.unknown_lost += 1,
        }
    }
}

/// No command took effect a second time, whoever issued it. Sessions see to that in the servers and in the replay alike,
/// so a defect in them would show nowhere else: the digests would agree on the wrong state.
pub(crate) fn check_nothing_doubled(applied: &[Applied], findings: &mut Findings) {
    let mut executed: HashMap<(&str, u64), Index> = HashMap::new();
    for applied in applied {
        let (Effect::Executed(_), Some(command)) = (&applied.effect, &applied.command) else { continue };
        let (client, serial) = (command.client(), command.serial());
        if let Some(first) = executed.insert((client, serial), applied.index) {
            let text = format!("{client}#{serial} took effect at index {first} and again at index {}", applied.index);
            findings.add(Invariant::AppliedOnce, text);
        }
    }
}

/// For a history that holds every operation of its clients: the log has no other commands of theirs.
pub(crate) fn check_nothing_invented(history: &[Operation], replay: &Replay<'_>, findings: &mut Findings) {
    let clients: HashSet<&str> = history.iter().map(|operation| operation.client.as_str()).collect();
    let issued: HashSet<(&str, u64)> = history.iter().map(|o| (o.client.as_str(), o.serial)).collect();
    for applied in replay.applied() {
        let Some(command) = &applied.command else { continue };
        let (client, serial) = (command.client(), command.serial());
        if clients.contains(client) && !issued.contains(&(client, serial)) {
            let text = format!("index {} holds {client}#{serial}, which {client} never asked for", applied.index);
            findings.add(Invariant::NothingInvented, text);
        }
    }
}

fn check_content(operation: &Operation, first: &Applied, findings: &mut Findings) {
    let command = first.command.as_ref().expect("only entries with a command are found by client and serial");
    let (asked, held) = (operation.op.get(), command.op().get());
    if !is_same_json(asked, held) {
        let (asked, held) = (excerpt(asked), excerpt(held));
        let text = format!("{operation} asked for {asked} and index {} holds {held}", first.index);
        findings.add(Invariant::NothingInvented, text);
    }
}

fn check_acknowledged(
    operation: &Operation,
    index: Index,
    response: &Response,
    first: &Applied,
    findings: &mut Findings,
) {
    if index != first.index {
        let text = format!("{operation} was acknowledged at index {index} and first stands at {}", first.index);
        findings.add(Invariant::AppliedOnce, text);
    }
    let (told, replayed) = (response.get(), first.response().expect("every command has a response").get());
    if !is_same_json(told, replayed) {
        let (told, replayed) = (excerpt(told), excerpt(replayed));
        let text = format!("{operation} was told {told}; a replay of index {} says {replayed}", first.index);
        findings.add(Invariant::FirstResponse, text);
    }
}

fn report_absent(operation: &Operation, index: Index, replay: &Replay<'_>, settled: bool, findings: &mut Findings) {
    let end = replay.end();
    let (invariant, instead) = match replay.entry(index) {
        Some(entry) => (Invariant::AcknowledgedDurable, format!("that index holds {}", describe(entry))),
        None if settled => (Invariant::AcknowledgedDurable, format!("the committed log ends at {end}")),
        None => {
            let why = format!("the longest log at hand ends at {end}, and too few nodes show that nothing follows");
            (Invariant::Evidence, why)
        }
    };
    findings.add(invariant, format!("{operation} was acknowledged at index {index} and is not in the log: {instead}"));
}

/// Equal as JSON: on its way a text may have been parsed and written again.
fn is_same_json(one: &str, other: &str) -> bool {
    let parse = |text| serde_json::from_str::<Value>(text).ok();
    one == other || parse(one).is_some_and(|value| Some(value) == parse(other))
}

#[cfg(test)]
mod tests {
    use raftian_apps::Command;

    use super::*;
    use crate::verdict::Verdict;

    fn executed(index: Index, client: &str, serial: u64) -> Applied {
        let text = format!(r#"{{"client":"{client}","serial":{serial},"op":{{"attack":3}}}}"#);
        let command = Command::parse(text.as_bytes()).ok();
        Applied { index, command, effect: Effect::Executed(Response::of(&"hit")) }
    }

    #[test]
    fn a_second_effect_of_a_command_is_found_even_where_all_digests_agree() {
        let mut findings = Findings::default();
        check_nothing_doubled(&[executed(2, "a", 1), executed(3, "b", 1), executed(4, "a", 2)], &mut findings);
        assert_eq!(findings.verdict(), Verdict::Valid);
        check_nothing_doubled(&[executed(2, "a", 1), executed(3, "b", 1), executed(4, "a", 1)], &mut findings);
        assert_eq!(findings.verdict(), Verdict::Violated);
    }
}
