//! Acknowledged means applied exactly once; failed means never; unknown is resolved from the log.
//!
//! Invariant: an operation is judged by the entry that carried it out, or else by the *first* that carries its (client,
//! serial), because sessions suppress all others; what they hold back is counted, not blamed. A read that is not in the
//! log need not be there: it is judged by the state at its index.

use raftian_apps::{Index, Response};

use crate::committed::CommittedLog;
use crate::history::{Operation, Outcome};
use crate::judge::Counts;
use crate::log_agreement::describe;
use crate::operations::Operations;
use crate::replay::{Place, Replay, is_same_json};
use crate::verdict::{Findings, Invariant, excerpt};

/// Checks each operation of the history against the log. `settled` says that nothing was committed beyond the log;
/// where something may have been, an absence is not held against the servers.
pub(crate) fn check(
    operations: &Operations<'_>,
    replay: &Replay,
    log: &CommittedLog<'_>,
    settled: bool,
    counts: &mut Counts,
    findings: &mut Findings,
) {
    for (number, operation) in operations.usable.iter().enumerate() {
        let place = replay.place(number);
        if let Some(place) = place {
            check_content(operation, place, findings);
        }
        let executed_at = replay.executed_at(number);
        match (&operation.outcome, place) {
            (Outcome::Ok { index, response }, Some(place)) => {
                check_acknowledged(operation, *index, response, place, findings);
            }
            (Outcome::Ok { index, response }, None) => match replay.read(number) {
                Some(replayed) => {
                    counts.reads += 1;
                    check_read(operation, *index, response, replayed, findings);
                }
                None => report_absent(operation, *index, log, settled, findings),
            },
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
pub(crate) fn check_nothing_doubled(replay: &Replay, findings: &mut Findings) {
    for (name, first, again) in &replay.doubled {
        let text = format!("{name} took effect at index {first} and again at index {again}");
        findings.add(Invariant::AppliedOnce, text);
    }
}

/// For a history that holds every operation of its clients: the log has no other commands of theirs.
pub(crate) fn check_nothing_invented(operations: &Operations<'_>, replay: &Replay, findings: &mut Findings) {
    for other in &replay.others {
        let (index, client, serial) = (other.index, other.command.client(), other.command.serial());
        if operations.is_missing(client, serial) {
            let text = format!("index {index} holds {client}#{serial}, which {client} never asked for");
            findings.add(Invariant::NothingInvented, text);
        }
    }
}

fn check_content(operation: &Operation, place: &Place, findings: &mut Findings) {
    if let Some(held) = place.odd.as_ref().and_then(|odd| odd.op.as_ref()) {
        let (asked, held) = (excerpt(operation.op.get()), excerpt(held.get()));
        let text = format!("{operation} asked for {asked} and index {} holds {held}", place.index);
        findings.add(Invariant::NothingInvented, text);
    }
}

fn check_acknowledged(
    operation: &Operation,
    index: Index,
    response: &Response,
    place: &Place,
    findings: &mut Findings,
) {
    if index != place.index {
        let text = format!("{operation} was acknowledged at index {index} and took effect at {}", place.index);
        findings.add(Invariant::AppliedOnce, text);
    }
    if let Some(replayed) = place.odd.as_ref().and_then(|odd| odd.response.as_ref()) {
        let (told, replayed) = (excerpt(response.get()), excerpt(replayed.get()));
        let text = format!("{operation} was told {told}; a replay of index {} says {replayed}", place.index);
        findings.add(Invariant::FirstResponse, text);
    }
}

fn check_read(operation: &Operation, index: Index, response: &Response, replayed: &Response, findings: &mut Findings) {
    if !is_same_json(response.get(), replayed.get()) {
        let (told, replayed) = (excerpt(response.get()), excerpt(replayed.get()));
        let text = format!("{operation} read {told} at index {index}; a replay of the log says {replayed}");
        findings.add(Invariant::ReadFromLog, text);
    }
}

fn report_absent(operation: &Operation, index: Index, log: &CommittedLog<'_>, settled: bool, findings: &mut Findings) {
    let end = log.end();
    let (invariant, instead) = match log.entry(index) {
        Some(entry) => (Invariant::AcknowledgedDurable, format!("that index holds {}", describe(entry))),
        None if settled => (Invariant::AcknowledgedDurable, format!("the committed log ends at {end}")),
        None => {
            let why = format!("the longest log at hand ends at {end}, and too few nodes show that nothing follows");
            (Invariant::Evidence, why)
        }
    };
    findings.add(invariant, format!("{operation} was acknowledged at index {index} and is not in the log: {instead}"));
}
