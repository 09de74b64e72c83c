//! Why a node leads, why none does yet, and who wrongly takes itself for the leader.

use std::collections::BTreeSet;

use raftian_rpc::control::NodeStatus;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::{NodeId, RoleKind, Term};

use crate::past::Lead;
use crate::quorum::{impossible, is_between};
use crate::{Sight, slow, words};

/// So many attempts are no accident any more, and are counted.
const MANY_CAMPAIGNS: usize = 4;

/// Why no node leads, or that one does.
pub(crate) fn no_leader(sight: Sight<'_>) -> Vec<Note> {
    match sight.leader() {
        Some(_) => std::iter::once(leads(sight)).chain(stale(sight)).collect(),
        None => absent(sight),
    }
}

/// Why this leader leads; why there is none, if there is none.
pub(crate) fn leader(sight: Sight<'_>) -> Vec<Note> {
    if sight.status.leader.is_none() {
        return absent(sight);
    }
    let mut stale: Vec<Note> = stale(sight).collect();
    if stale.is_empty() {
        // A stale leader's reason names the cut already.
        stale.extend(slow::troubles_of_leader(sight));
    }
    std::iter::once(leads(sight)).chain(stale).collect()
}

/// Why there is no leader, where there is none.
pub(crate) fn absent(sight: Sight<'_>) -> Vec<Note> {
    let certain = impossible(sight);
    let waits = certain.is_none().then(|| not_yet(sight));
    // Who still takes itself for the leader is the first thing that a person sees, and asks about.
    match certain {
        Some(certain) => std::iter::once(certain).chain(stale(sight)).collect(),
        None => stale(sight).chain(waits).collect(),
    }
}

/// That a node leads, since when, and how it came to that.
fn leads(sight: Sight<'_>) -> Note {
    let (Some(leader), term) = (sight.status.leader, sight.status.term) else {
        return Note::new("no node leads");
    };
    let Some(lead) = sight.leads().find(|lead| (lead.leader, lead.term) == (leader, term)) else {
        return Note::new(format!("{leader} leads term {term}"));
    };
    let mut text = format!("{leader} leads term {term} for {}", words::spell_ms(sight.ms_since(lead.since_ns)));
    let before = sight.leads().find(|before| before.since_ns < lead.since_ns);
    match before {
        Some(before) if sight.handed_over(before, lead) => {
            text.push_str(&format!(": {} handed the lead over to it", before.leader));
            return Note::new(text);
        }
        _ => {}
    }
    let votes = sight.votes(lead);
    if !votes.is_empty() {
        text.push_str(&format!(": {} voted for it", words::nodes(&votes)));
    }
    if let Some(before) = before.filter(|before| before.leader != leader)
        && let Some(end) = sight.end(before).filter(|end| end.at_ns <= lead.since_ns)
    {
        let took = words::spell_ms((lead.since_ns - end.at_ns) / 1_000_000);
        text.push_str(&format!(
            ", {took} after {}, which led term {}, {}",
            before.leader,
            before.term,
            end.how.in_words()
        ));
    }
    Note::new(text)
}

/// That no node leads though one could, and who tries.
fn not_yet(sight: Sight<'_>) -> Note {
    let last = sight.leads().next();
    let end = last.and_then(|lead| Some((lead, sight.end(lead)?)));
    let (mut text, since_ns) = match end {
        Some((lead, end)) => {
            let since = words::spell_ms(sight.ms_since(end.at_ns));
            (
                format!("no leader for {since}: {}, which led term {}, {}", lead.leader, lead.term, end.how.in_words()),
                end.at_ns,
            )
        }
        None => match last.and_then(|lead| cut_off_leader(sight, lead)) {
            Some((text, since_ns)) => (text, since_ns),
            None => ("no leader yet".to_owned(), 0),
        },
    };
    let (campaigns, top) = sight.campaigns(since_ns);
    let joined = if since_ns == 0 { ": " } else { "; " };
    text.push_str(joined);
    text.push_str(&match campaigning(sight) {
        Some(who) if campaigns >= MANY_CAMPAIGNS => format!("{who}, the last of {campaigns} attempts up to term {top}"),
        Some(who) => who,
        None => format!("an election begins within {}", sight.election_timeout()),
    });
    Note::new(text)
}

/// A former leader that lives and cannot be heard by enough voters.
fn cut_off_leader(sight: Sight<'_>, lead: Lead) -> Option<(String, u64)> {
    let (names, faults, since_ns) = cut_off(sight, lead.leader)?;
    let since = words::spell_ms(sight.ms_since(since_ns));
    let Lead { leader, term, .. } = lead;
    Some((
        format!("no leader for {since}: {leader}, which led term {term}, is cut off from {names} by {faults}"),
        since_ns,
    ))
}

/// `n3 asks for votes in term 4`.
fn campaigning(sight: Sight<'_>) -> Option<String> {
    let are = |role: RoleKind| -> Vec<&NodeStatus> { sight.servers().filter(|server| server.role == role).collect() };
    let ask = |servers: Vec<&NodeStatus>, what: &str| {
        let term: Option<Term> = servers.iter().map(|server| server.term).max();
        let who: Vec<NodeId> = servers.iter().map(|server| server.node).collect();
        term.map(|term| format!("{} {} for {what} {term}", words::nodes(&who), words::verb(who.len(), "ask")))
    };
    ask(are(RoleKind::Candidate), "votes in term").or_else(|| ask(are(RoleKind::PreCandidate), "pre-votes, in term"))
}

/// Those that take themselves for the leader and are not, since no quorum answers them.
pub(crate) fn stale(sight: Sight<'_>) -> impl Iterator<Item = Note> {
    sight.servers().filter_map(move |server| claim(sight, server))
}

/// That a node takes itself for the leader and is not, if that is so.
pub(crate) fn claim(sight: Sight<'_>, server: &NodeStatus) -> Option<Note> {
    let (node, term) = (server.node, server.term);
    if server.role != RoleKind::Leader || sight.status.leader == Some(node) {
        return None;
    }
    let hears: BTreeSet<NodeId> = {
        let others = sight.voters().into_iter().filter(|peer| *peer != node);
        let running = sight.running();
        others.filter(|peer| running.contains(peer) && sight.are_linked(node, *peer)).collect()
    };
    let hears = if hears.is_empty() { "no other voter".to_owned() } else { format!("only {}", words::nodes(&hears)) };
    let claims = format!("{node} calls itself leader of term {term} but hears {hears}");
    let ends = format!("it cannot commit and steps down within {}", sight.election_timeout());
    Some(match cut_off(sight, node) {
        Some((names, faults, since_ns)) => {
            let since = words::spell_ms(sight.ms_since(since_ns));
            let text = format!("{claims}: cut off from {names} by {faults} since {since}; {ends}");
            Note { text, hints: heal(sight, node) }
        }
        None => {
            let down: BTreeSet<NodeId> = sight.voters().difference(&sight.running()).copied().collect();
            let gone = if down.is_empty() { String::new() } else { format!(": {}", sight.gone(&down)) };
            Note::new(format!("{claims}{gone}; {ends}"))
        }
    })
}

/// The voters that a node is cut off from, the faults that do it, and since when; `None` if there are none.
pub(crate) fn cut_off(sight: Sight<'_>, node: NodeId) -> Option<(String, String, u64)> {
    let peers: BTreeSet<NodeId> = sight.voters().into_iter().filter(|peer| !sight.are_linked(node, *peer)).collect();
    if peers.is_empty() {
        return None;
    }
    let cuts = sight.cuts().filter(|fault| peers.iter().any(|peer| is_between(fault, node, *peer)));
    let cuts: Vec<_> = cuts.collect();
    let since_ns = cuts.iter().map(|fault| fault.since_ns).max()?;
    let faults: Vec<String> = cuts.iter().map(|fault| fault.id.to_string()).collect();
    Some((words::nodes(&peers), faults.join(" and "), since_ns))
}

/// What ends the cuts around a node.
pub(crate) fn heal(sight: Sight<'_>, node: NodeId) -> Vec<Hint> {
    let peers = sight.voters();
    let cuts = sight.cuts().filter(|fault| peers.iter().any(|peer| is_between(fault, node, *peer)));
    match cuts.collect::<Vec<_>>()[..] {
        [] => Vec::new(),
        [fault] => vec![Hint::ClearFault { id: fault.id }],
        _ => vec![Hint::Heal],
    }
}
