//! What is wrong with a whole lab, or under way in it, by importance.

use std::collections::BTreeSet;

use raftian_rpc::NodeId;
use raftian_rpc::control::Membership;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{LabStatus, NodeState};

use crate::{Sight, fault, lead, node, slow, words};

/// All that is wrong or under way, the most important first; that all is well, if nothing is.
pub fn reasons(sight: Sight<'_>) -> Vec<Note> {
    let mut notes: Vec<Note> = diverged(sight).into_iter().collect();
    match sight.status.leader {
        None => notes.extend(lead::absent(sight)),
        Some(_) => {
            notes.extend(roll_backs(sight));
            notes.extend(lead::stale(sight));
            notes.extend(down(sight));
            notes.extend(cut_off(sight));
        }
    }
    notes.extend(failed(sight));
    notes.extend(sight.servers().filter_map(slow::hung_disk));
    notes.extend(strangers(sight));
    notes.extend(sight.servers().filter_map(slow::slow_disk));
    notes.extend(under_way(sight));
    notes.extend(sight.status.faults.iter().map(|fault| fault::in_force(sight, fault)));
    if notes.is_empty() {
        notes.push(well(sight));
    }
    notes
}

/// What breaks the ground that Raft rests on: nodes that have committed different entries, disks that went back in time.
pub fn alarms(status: &LabStatus) -> Vec<Note> {
    let sight = Sight { status, events: &[], now_ns: 0 };
    diverged(sight).into_iter().chain(roll_backs(sight)).collect()
}

fn roll_backs(sight: Sight<'_>) -> impl Iterator<Item = Note> {
    sight.status.nodes.iter().filter_map(move |report| node::rolled_back(sight, report.node))
}

fn well(sight: Sight<'_>) -> Note {
    let (running, all) = (sight.running().len(), sight.status.nodes.len());
    match sight.leader() {
        Some(leader) => {
            Note::new(format!("all is well: {} leads term {}, {running} of {all} nodes run", leader.node, leader.term))
        }
        None => Note::new(format!("{running} of {all} nodes run")),
    }
}

/// Two nodes that have committed different entries.
fn diverged(sight: Sight<'_>) -> Option<Note> {
    let divergence = sight.status.divergence?;
    let text = format!("{divergence}: what one of them acknowledged is lost on the other; keep the lab's folder");
    Some(Note::new(text).hint(Hint::CompareLogs))
}

/// The voters that do not run, while a leader does.
fn down(sight: Sight<'_>) -> Option<Note> {
    let leader = sight.status.leader?;
    let (running, voters) = (sight.running(), sight.voters());
    let down: BTreeSet<NodeId> =
        voters.difference(&running).copied().filter(|id| sight.report(*id).is_some()).collect();
    if down.is_empty() {
        return None;
    }
    let (up, all, needed) = (voters.intersection(&running).count(), voters.len(), voters.len() / 2 + 1);
    let what = if all == sight.status.nodes.len() { "nodes" } else { "voters" };
    let margin = if up == needed { ": one failure more stops the cluster" } else { "" };
    let text =
        format!("{leader} leads term {}, {up} of {all} {what} run{margin} ({})", sight.status.term, sight.gone(&down));
    Some(Note { text, hints: sight.bring_back(&down, down.len()).into_iter().collect() })
}

/// The voters that are cut off from the leader.
fn cut_off(sight: Sight<'_>) -> Option<Note> {
    let leader = sight.leader()?;
    let running = sight.running();
    let far: BTreeSet<NodeId> =
        sight.voters().into_iter().filter(|id| running.contains(id) && !sight.are_linked(leader.node, *id)).collect();
    let (_, faults, since_ns) = lead::cut_off(sight, leader.node).filter(|_| !far.is_empty())?;
    let are = if far.len() == 1 { "is" } else { "are" };
    let text = format!(
        "{} leads term {}; {} {are} cut off from it by {faults} since {}",
        leader.node,
        leader.term,
        words::nodes(&far),
        words::spell_ms(sight.ms_since(since_ns))
    );
    Some(Note { text, hints: lead::heal(sight, leader.node) })
}

/// Nodes that ended by themselves, each with its reason.
fn failed(sight: Sight<'_>) -> impl Iterator<Item = Note> {
    sight.in_states(&[NodeState::Failed]).into_iter().map(move |id| node::down(sight, id))
}

/// Members that have no process here: the lab's own file was lost, or somebody else told the leader of them.
fn strangers(sight: Sight<'_>) -> impl Iterator<Item = Note> {
    let members = sight.status.members.iter();
    let stranger = move |id: NodeId| {
        let takes_part = if sight.voters().contains(&id) { "votes" } else { "is a learner" };
        let text = format!("{id} {takes_part}, but this lab has no such node");
        sight.report(id).is_none().then(|| Note::new(text).hint(Hint::RemoveMember { node: id }))
    };
    members.flat_map(|members| members.members()).filter_map(stranger)
}

/// What the leader is about: a change of the membership, a node that catches up, the lead itself.
fn under_way(sight: Sight<'_>) -> Vec<Note> {
    let Some(leader) = sight.leader() else { return Vec::new() };
    let mut notes = Vec::new();
    if let Some(to) = leader.transfer {
        notes.push(Note::new(format!("{} is handing the lead over to {to}", leader.node)));
    }
    if let Some(Membership { configuration, committed }) = &leader.membership
        && (configuration.is_joint() || !committed)
    {
        let voters = words::nodes(configuration.voters());
        let text = match configuration.is_joint() {
            true => {
                let old = words::nodes(configuration.outgoing());
                format!("the members are changing from {old} to {voters}: every decision takes a majority of both")
            }
            false => format!("the members {voters} are not committed yet"),
        };
        notes.push(Note::new(text));
    }
    let is_behind = |id: &NodeId| {
        let peer = leader.peers.iter().find(|peer| peer.node == *id);
        peer.is_some_and(|peer| peer.snapshot_bytes.is_some() || peer.match_index < leader.last_index)
    };
    let behind = leader.peers.iter().map(|peer| peer.node).filter(is_behind);
    notes.extend(behind.filter_map(|id| node::progress(sight, id)));
    notes
}
