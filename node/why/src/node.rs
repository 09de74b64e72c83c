//! Why a node is as it is.

use std::collections::BTreeSet;

use raftian_rpc::control::{NodeStatus, PeerProgress, Standing};
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::NodeState;
use raftian_rpc::selector::meant;
use raftian_rpc::{NodeId, RoleKind};

use crate::quorum::impossible;
use crate::{Sight, fault, lead, slow, words};

/// Why a node is as it is.
///
/// # Errors
/// A sentence, for a node that the lab does not have.
pub(crate) fn node(sight: Sight<'_>, id: NodeId) -> Result<Vec<Note>, String> {
    let known: BTreeSet<NodeId> = sight.status.nodes.iter().map(|report| report.node).collect();
    // A bare name means the node that has it now.
    let id = meant(id, &known).unwrap_or(id);
    let Some(report) = sight.report(id) else {
        return Err(format!("there is no node {id}; this lab has {}", words::nodes(&known)));
    };
    if report.state != NodeState::Running {
        return Ok(vec![down(sight, id)]);
    }
    // Who wrongly claims to lead says why it is cut off, too.
    let claim = report.server.as_ref().and_then(|server| lead::claim(sight, server));
    let mut notes: Vec<Note> = claim.or_else(|| trouble(sight, id)).into_iter().collect();
    match (&report.server, sight.status.leader == Some(id)) {
        (None, _) => notes.push(Note::new(format!("{id} runs but does not answer"))),
        (Some(_), true) => notes.extend(lead::leader(sight)),
        (Some(server), false) => {
            notes.extend(progress(sight, id));
            notes.extend(does(sight, server));
            if matches!(server.role, RoleKind::PreCandidate | RoleKind::Candidate) {
                notes.extend(refusals(sight, server));
                notes.extend(impossible(sight));
            }
        }
    }
    notes.extend(fault::inside(sight, id));
    Ok(notes)
}

/// What keeps a node from doing its part, if anything does.
pub(crate) fn trouble(sight: Sight<'_>, id: NodeId) -> Option<Note> {
    let Some(report) = sight.report(id) else {
        let text = format!("{id} is a member, but this lab has no such node");
        return Some(Note::new(text).hint(Hint::RemoveMember { node: id }));
    };
    if report.state != NodeState::Running {
        return Some(down(sight, id));
    }
    let hung = report.server.as_ref().and_then(slow::hung_disk);
    rolled_back(sight, id).or(hung).or_else(|| cut_off(sight, id))
}

/// A node without a running process: since when, why, and what brings it back.
pub(crate) fn down(sight: Sight<'_>, id: NodeId) -> Note {
    let report = sight.report(id);
    let state = report.map_or(NodeState::Stopped, |report| report.state);
    let mut text = format!("{id} {}", sight.how_it_went(id, state));
    if let Some(deed) = sight.went(id).filter(|went| went.state == state).and_then(|went| sight.deed(id, went)) {
        text.push_str(&format!(" ({deed})"));
    }
    let reason = report.and_then(|report| report.reason.as_ref()).filter(|_| state == NodeState::Failed);
    if let Some(reason) = reason {
        text.push_str(&format!(": {reason}"));
    }
    let mut hints: Vec<Hint> = reason.map_or(Vec::new(), |reason| reason.hints.clone());
    if hints.is_empty() {
        hints.extend(match state {
            NodeState::Paused => Some(Hint::Resume { nodes: vec![id] }),
            NodeState::Stopped | NodeState::Killed | NodeState::Failed => Some(Hint::Restart { nodes: vec![id] }),
            NodeState::Starting | NodeState::Running => None,
        });
    }
    Note { text, hints }
}

/// A node whose disk went back in time.
pub(crate) fn rolled_back(sight: Sight<'_>, id: NodeId) -> Option<Note> {
    let index = sight.report(id)?.rolled_back?;
    let mut text = format!(
        "{id}'s disk went back in time: it had lost what it stored up to index {index}, and may have forgotten a vote"
    );
    let leader = sight.leader();
    let denied = leader.filter(|leader| leader.peers.iter().any(|peer| peer.node == id && peer.denies));
    if let Some(leader) = denied {
        text.push_str(&format!("; to {}, which leads, it counts for no quorum", leader.node));
    }
    Some(Note::new(text).hint(Hint::ReplaceMember { node: id }))
}

/// A voter that cannot talk to the leader, or, where there is none, to a quorum.
fn cut_off(sight: Sight<'_>, id: NodeId) -> Option<Note> {
    let is_apart = match sight.status.leader {
        Some(leader) => !sight.are_linked(id, leader),
        None => true,
    };
    let (names, faults, since_ns) = lead::cut_off(sight, id).filter(|_| is_apart)?;
    let since = words::spell_ms(sight.ms_since(since_ns));
    let leads = match sight.status.leader {
        Some(leader) => format!(", and {leader} leads"),
        None => String::new(),
    };
    let text = format!("{id} is cut off from {names} by {faults} since {since}{leads}");
    Some(Note { text, hints: lead::heal(sight, id) })
}

/// A node that is on its way to have what its leader has: a learner, or one that is sent a snapshot.
pub(crate) fn progress(sight: Sight<'_>, id: NodeId) -> Option<Note> {
    let leader = sight.leader()?;
    let peer = leader.peers.iter().find(|peer| peer.node == id)?;
    let text = match *peer {
        PeerProgress { snapshot_bytes: Some((has, all)), .. } => {
            format!("{id} is being sent a snapshot by {}: {} of {}", leader.node, words::bytes(has), words::bytes(all))
        }
        PeerProgress { standing: Standing::Learner, match_index, .. } if match_index < leader.last_index => {
            format!("{id} is a learner and catches up: it has {match_index} of {} entries", leader.last_index)
        }
        PeerProgress { standing: Standing::Learner, .. } => {
            let all = words::entries(leader.last_index);
            return Some(
                Note::new(format!("{id} is a learner and has caught up: all {all}, and no vote"))
                    .hint(Hint::PromoteMember { node: id }),
            );
        }
        PeerProgress { standing: Standing::Leaving, .. } if sight.report(id).is_some() => {
            format!("{id} is leaving the cluster")
        }
        // It has left, and its leader will hear so.
        PeerProgress { standing: Standing::Leaving, .. } => return None,
        PeerProgress { standing: Standing::Voter, .. } => return None,
    };
    Some(Note::new(text))
}

/// What a node that does not lead does, in its own words.
fn does(sight: Sight<'_>, server: &NodeStatus) -> Option<Note> {
    let (node, term) = (server.node, server.term);
    let applied = match sight.leader().map_or(server.commit_index, |leader| leader.commit_index) {
        committed if server.last_applied >= committed => {
            format!("has applied all {} committed entries", server.last_applied)
        }
        committed => format!("has applied {} of {committed} committed entries", server.last_applied),
    };
    Some(Note::new(match (server.role, server.leader) {
        (RoleKind::Leader, _) => return None,
        (RoleKind::Follower, Some(leader)) => format!("{node} follows {leader} in term {term} and {applied}"),
        (RoleKind::Follower, None) => format!("{node} knows no leader in term {term} and {applied}"),
        (RoleKind::Candidate, _) => format!("{node} asks for votes in term {term} and {applied}"),
        (RoleKind::PreCandidate, _) => format!("{node} asks for pre-votes, in term {term}, and {applied}"),
    }))
}

/// Why a node that asks for votes does not get them: what each voter that runs refuses it for.
fn refusals(sight: Sight<'_>, server: &NodeStatus) -> impl Iterator<Item = Note> {
    let candidate = server.node;
    // A pre-candidate asks for the term after its own.
    let asked = server.term + u64::from(server.role == RoleKind::PreCandidate);
    let refused = move |voter: NodeId| {
        let (term, why) = sight.refusal(voter, candidate).filter(|(term, _)| *term >= asked)?;
        let why = words::refusal(why, candidate);
        Some(Note::new(format!("{voter} refuses {candidate} its vote for term {term}: {why}")))
    };
    let running = sight.running();
    let is_heard = move |voter: &NodeId| running.contains(voter) && sight.are_linked(candidate, *voter);
    sight.voters().into_iter().filter(is_heard).filter_map(refused)
}
