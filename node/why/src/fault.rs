//! What a fault does, how long it lasts, and whom it cuts off.

use std::collections::BTreeSet;

use raftian_rpc::NodeId;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{Fault, FaultId, FaultKind, Happening};

use crate::{Sight, lead, words};

/// What a fault does, or what became of it.
///
/// # Errors
/// A sentence, for a fault that there never was.
pub(crate) fn fault(sight: Sight<'_>, id: FaultId) -> Result<Vec<Note>, String> {
    let Some(fault) = sight.status.faults.iter().find(|fault| fault.id == id) else { return gone(sight, id) };
    let first = in_force(sight, fault).hint(Hint::ClearFault { id });
    Ok([first].into_iter().chain(apart(sight, fault)).chain(seen(sight, fault)).collect())
}

/// What was seen of a fault; of one inside nodes, also that nothing was yet.
fn seen(sight: Sight<'_>, fault: &Fault) -> Option<Note> {
    let text = match (&fault.proof, &fault.what) {
        (Some(proof), _) => {
            let ago = words::ago(sight.ms_since(proof.at_ns));
            format!("seen {ago}: {} ({})", proof.seen.join("; "), proof.outcome)
        }
        (None, FaultKind::Nodes { .. }) => "nothing was seen of it yet: it had no occasion to show".to_owned(),
        (None, FaultKind::Links { .. } | FaultKind::Network { .. }) => return None,
    };
    Some(Note::new(text))
}

/// The faults inside a node.
pub(crate) fn inside(sight: Sight<'_>, node: NodeId) -> impl Iterator<Item = Note> {
    let is_inside = move |fault: &&Fault| match &fault.what {
        FaultKind::Nodes { nodes, .. } => nodes.contains(&node.name()),
        FaultKind::Links { .. } | FaultKind::Network { .. } => false,
    };
    let faults = sight.status.faults.iter().filter(is_inside);
    faults.map(move |fault| in_force(sight, fault).hint(Hint::ClearFault { id: fault.id }))
}

/// `f2: latency 50 ms n1 → n2 for 4 s, 12 s left`.
pub(crate) fn in_force(sight: Sight<'_>, fault: &Fault) -> Note {
    let age = words::spell_ms(sight.ms_since(fault.since_ns));
    let left = match fault.until_ns {
        Some(until_ns) => {
            format!("{} left", words::spell_ms(until_ns.saturating_sub(sight.now_ns) / 1_000_000))
        }
        None => "until cleared".to_owned(),
    };
    Note::new(format!("{}: {} for {age}, {left}", fault.id, fault.title))
}

/// Those that a fault keeps from the leader, or from each other.
fn apart(sight: Sight<'_>, fault: &Fault) -> Vec<Note> {
    if !fault.is_cut() {
        return Vec::new();
    }
    let Some(leader) = sight.status.leader else { return lead::absent(sight) };
    let voters = sight.voters();
    let far: BTreeSet<NodeId> = voters.into_iter().filter(|id| !sight.are_linked(leader, *id)).collect();
    match far.is_empty() {
        true => vec![Note::new(format!("{leader} leads and reaches all voters"))],
        false => {
            let (names, count) = (words::nodes(&far), far.len());
            let are = if count == 1 { "is" } else { "are" };
            vec![Note::new(format!("{names} {are} cut off from {leader}, which leads term {}", sight.status.term))]
        }
    }
}

/// A fault that is not in force any more.
fn gone(sight: Sight<'_>, id: FaultId) -> Result<Vec<Note>, String> {
    let cleared = sight.events.iter().rev().find_map(|event| match event.what {
        Happening::FaultCleared { id: cleared, expired } if cleared == id => Some((event.at_ns, expired)),
        _ => None,
    });
    let added = sight.events.iter().rev().find_map(|event| match &event.what {
        Happening::FaultAdded { fault } if fault.id == id => Some(fault),
        _ => None,
    });
    let seen = sight.events.iter().rev().find_map(|event| match &event.what {
        Happening::FaultSeen { id: seen, proof } if *seen == id => {
            Some(format!("; seen of it: {}", proof.seen.join("; ")))
        }
        _ => None,
    });
    let Some((at_ns, expired)) = cleared else {
        return Err(format!("there is no fault {id}, and the journal knows of none"));
    };
    let ago = words::ago(sight.ms_since(at_ns));
    let how = match (expired, added.is_some_and(|fault| fault.until_ns.is_none())) {
        (true, true) => "it did what it does once",
        (true, false) => "it expired",
        (false, _) => "it was cleared",
    };
    let title = added.map(|fault| format!(" ({})", fault.title)).unwrap_or_default();
    Ok(vec![Note::new(format!("{id}{title} is not in force: {how} {ago}{}", seen.unwrap_or_default()))])
}
