//! Events in sentences: what the journal and the nodes' traces say, for people.

use raftian_rpc::host_event::HostEvent;
use raftian_rpc::lab::{FaultEnd, Happening, MemberVerb, NodeState, Proof};
use raftian_rpc::{RaftEvent, RoleKind};

use crate::words;

/// A time of day in UTC, to the millisecond: `20:53:22.123Z`.
pub fn clock(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1_000, unix_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}Z", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

/// An entry of the journal.
pub fn happening(what: &Happening) -> String {
    match what {
        Happening::DaemonStarted { pid, orphans } if orphans.is_empty() => format!("daemon started (process {pid})"),
        Happening::DaemonStarted { pid, orphans } => {
            let orphans: Vec<String> = orphans.iter().map(u32::to_string).collect();
            format!("daemon started (process {pid}) and ended left-over processes {}", orphans.join(", "))
        }
        Happening::DaemonStopped => "daemon stopped".to_owned(),
        Happening::NodeSpawned { node, pid } => format!("{node} spawned (process {pid})"),
        Happening::NodeReady { node, address, last_index, torn_tail } => {
            let torn = torn_tail.as_ref().map(|torn| format!("; cut a torn tail: {torn}")).unwrap_or_default();
            format!("{node} listens on port {}, its log ends at index {last_index}{torn}", address.port())
        }
        Happening::NodeRolledBack { node, held, last_index } => format!(
            "ALARM: {node} has lost committed entries, up to index {held}, that its disk had held (its log ends at index \
             {last_index}): its disk went back in time"
        ),
        Happening::NodePlaying { node } => format!("{node} plays"),
        Happening::NodeExited { node, state, reason } => {
            let state = match state {
                NodeState::Killed => "killed",
                NodeState::Stopped => "stopped",
                _ => "failed",
            };
            match reason == state {
                true => format!("{node} {state}"),
                false => format!("{node} {state}: {reason}"),
            }
        }
        Happening::NodePaused { node } => format!("{node} paused"),
        Happening::NodeResumed { node } => format!("{node} resumed"),
        Happening::Raft { node, event } => format!("{node} {}", raft(event)),
        Happening::Host { node, event } => format!("{node} {}", host(event)),
        Happening::Acted { action, resolved } => format!("{} {}", words::typed(*action), words::resolved(resolved)),
        Happening::MemberChanging { verb, node } => match verb {
            MemberVerb::Add => format!("member add {node}"),
            MemberVerb::AddLearner => format!("member add {node} --learner"),
            MemberVerb::Promote => format!("member promote {node}"),
            MemberVerb::Remove => format!("member remove {node}"),
        },
        Happening::Transferring { resolved } => format!("transfer-leader {}", words::resolved(resolved)),
        Happening::Diverged { divergence } => format!("ALARM: {divergence}"),
        Happening::Damaged { node, damaged } => format!("{node}: disk {}", words::damage(damaged)),
        Happening::FaultAdded { fault } => format!("{} added: {}", fault.id, fault.title),
        Happening::FaultSeen { id, proof: Proof { outcome, seen, .. } } => {
            format!("{id} {}: {}", words::in_effect(*outcome), seen.join("; "))
        }
        Happening::FaultEnded { end: FaultEnd { id, outcome, gone } } => {
            format!("{id} ends {outcome}; {}: {}", words::gone(gone.outcome), gone.seen.join("; "))
        }
        Happening::FaultCleared { id, expired: true } => format!("{id} ended by itself"),
        Happening::FaultCleared { id, expired: false } => format!("{id} cleared"),
    }
}

/// A turning point of a server, to be read after the server's name.
pub fn raft(event: &RaftEvent) -> String {
    match event {
        RaftEvent::Role { role: RoleKind::Leader, term, .. } => format!("leads term {term}"),
        RaftEvent::Role { role: RoleKind::Candidate, term, .. } => format!("stands for election in term {term}"),
        RaftEvent::Role { role: RoleKind::PreCandidate, term, .. } => {
            format!("asks for pre-votes (term {term})")
        }
        RaftEvent::Role { role: RoleKind::Follower, term, leader: Some(leader) } => {
            format!("follows {leader} in term {term}")
        }
        RaftEvent::Role { role: RoleKind::Follower, term, leader: None } => {
            format!("knows no leader in term {term} yet")
        }
        RaftEvent::Voted { term, candidate } => format!("votes for {candidate} in term {term}"),
        RaftEvent::Truncated { from } => format!("discards its entries from index {from} on"),
        RaftEvent::Membership { configuration: Some(configuration) } => {
            format!("has the {}", words::configuration(configuration))
        }
        RaftEvent::Membership { configuration: None } => "knows of no members".to_owned(),
        RaftEvent::SnapshotTaken { index } => format!("takes a snapshot at index {index}"),
        RaftEvent::SnapshotInstalled { index } => format!("installs the snapshot at index {index}"),
        RaftEvent::TransferStarted { to } => format!("transfers leadership to {to}"),
        RaftEvent::TransferAborted { to } => format!("gives up handing the lead over to {to}"),
        RaftEvent::DiskSilent => "has a disk that does not answer".to_owned(),
        RaftEvent::DiskAnswered { after_ms } => format!("has a disk that answers again, after {after_ms} ms"),
        RaftEvent::AcknowledgementDenied { peer, index } => format!(
            "is denied by {peer} what {peer} acknowledged, up to index {index}: its disk went back in time, and {peer} \
             counts for no quorum"
        ),
        RaftEvent::QuorumLost { term } => format!("has lost its quorum and gives up term {term}"),
    }
}

/// What the host of a server saw, to be read after the server's name.
pub fn host(event: &HostEvent) -> String {
    match event {
        HostEvent::LeaderSilent { leader, silent_ms } => {
            format!("stands for election: no heartbeat of {leader} for {}", words::spell_ms(*silent_ms))
        }
        HostEvent::VoteRefused { candidate, term, why } => {
            let why = raftian_why::words::refusal(*why, *candidate);
            format!("refuses {candidate} its vote for term {term}: {why}")
        }
        HostEvent::DiskSlow { sync_us } => {
            format!("has a slow disk: a sync takes {}", words::spell_ms(sync_us / 1_000))
        }
        HostEvent::DiskRecovered => "has a disk that is fast again".to_owned(),
        HostEvent::Crashing { fault, at, index } => format!("crashes at {at} ({fault}), index {index}"),
        HostEvent::PowerLost { discarded_bytes } => {
            format!("loses its power, and {discarded_bytes} bytes that were not synced")
        }
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::host_event::Refusal;

    use super::*;

    #[test]
    fn causes_are_sentences_about_a_node() {
        let n = |name: &str| name.parse().unwrap();
        let silent = HostEvent::LeaderSilent { leader: n("n1"), silent_ms: 187 };
        assert_eq!(host(&silent), "stands for election: no heartbeat of n1 for 187 ms");
        let refused = |why| host(&HostEvent::VoteRefused { candidate: n("n3"), term: 4, why });
        let behind = Refusal::LogBehind { theirs: (1, 7), own: (2, 9) };
        assert_eq!(
            refused(behind),
            "refuses n3 its vote for term 4: the log of n3 is behind: it ends with term 1 at index 7, its own with term 2 at \
             index 9"
        );
        assert_eq!(
            refused(Refusal::VotedFor { other: n("n5") }),
            "refuses n3 its vote for term 4: it has voted for n5"
        );
    }

    #[test]
    fn times_are_of_the_day() {
        assert_eq!(clock(1_795_294_402_123), "20:53:22.123Z");
        assert_eq!(clock(86_400_000), "00:00:00.000Z");
    }

    #[test]
    fn events_are_sentences_about_a_node() {
        let role =
            |role, leader: Option<&str>| RaftEvent::Role { role, term: 2, leader: leader.map(|n| n.parse().unwrap()) };
        assert_eq!(raft(&role(RoleKind::Leader, Some("n1"))), "leads term 2");
        assert_eq!(raft(&role(RoleKind::Follower, Some("n1"))), "follows n1 in term 2");
        assert_eq!(raft(&role(RoleKind::Follower, None)), "knows no leader in term 2 yet");
        let event = Happening::Raft { node: "n2".parse().unwrap(), event: RaftEvent::Truncated { from: 7 } };
        assert_eq!(happening(&event), "n2 discards its entries from index 7 on");
        let change = Happening::MemberChanging { verb: MemberVerb::AddLearner, node: "n6".parse().unwrap() };
        assert_eq!(happening(&change), "member add n6 --learner");
        let members = raftian_rpc::Configuration::new(["n1", "n2"].map(|id| id.parse().unwrap()));
        assert_eq!(raft(&RaftEvent::Membership { configuration: members }), "has the voters n1,n2");
    }
}
