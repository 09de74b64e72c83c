//! Why commands take long: disks, delays on links, too few to choose from, too many elections.

use raftian_rpc::control::{DiskStatus, NodeStatus};
use raftian_rpc::faults::NodeEffect;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::host_event::SLOW_SYNC_US;
use raftian_rpc::lab::FaultId;

use crate::{Sight, fault, lead, node, words};

/// A disk that has not answered for so long is named, in milliseconds; its node says so then, too.
const HUNG_DISK_MS: u64 = 1_000;

/// So many entries that are not committed are more than what is on its way.
const MANY_ENTRIES: u64 = 1_000;

/// Elections within this time are said to be many, in nanoseconds.
const RECENTLY_NS: u64 = 10_000_000_000;

/// So many leaders within that time are many.
const MANY_LEADERS: usize = 3;

/// Why commands take long, or that nothing is seen that would delay them.
pub(crate) fn slow(sight: Sight<'_>) -> Vec<Note> {
    let Some(leader) = sight.leader() else { return lead::absent(sight) };
    let mut notes: Vec<Note> =
        sight.servers().filter_map(hung_disk).chain(sight.servers().filter_map(slow_disk)).collect();
    notes.extend(backlog(leader));
    notes.extend(troubles_of_leader(sight));
    notes.extend(unrest(sight));
    notes.extend(sight.voters().into_iter().filter_map(|id| node::rolled_back(sight, id)));
    notes.extend(few(sight));
    notes.extend(leader.peers.iter().filter_map(|peer| node::progress(sight, peer.node)));
    if notes.is_empty() {
        let worst = sight.servers().map(|server| server.disk.sync_us).max().unwrap_or(0);
        notes.push(Note::new(format!(
            "nothing delays commands: {} leads term {}, every disk syncs within {:.1} ms, no fault delays a message",
            leader.node,
            leader.term,
            (worst as f64 / 1e3).max(0.1)
        )));
    }
    notes
}

/// What is wrong with the disk of a node that works, if anything is.
pub fn disk_trouble(server: &NodeStatus) -> Option<Note> {
    hung_disk(server).or_else(|| slow_disk(server))
}

/// A disk that does not answer.
pub(crate) fn hung_disk(server: &NodeStatus) -> Option<Note> {
    let ms = server.disk.pending_ms.filter(|ms| *ms >= HUNG_DISK_MS)?;
    let text = format!("{}: its disk has not answered for {:.1} s", server.node, ms as f64 / 1e3);
    Some(by_fault(server, text, |effect| matches!(effect, NodeEffect::HangSync | NodeEffect::SlowSync { .. })))
}

/// A disk that answers late.
pub(crate) fn slow_disk(server: &NodeStatus) -> Option<Note> {
    let DiskStatus { sync_us, .. } = server.disk;
    let is_slow = hung_disk(server).is_none() && sync_us >= SLOW_SYNC_US;
    is_slow.then(|| {
        let text = format!("{}: its disk is slow, a sync takes {}", server.node, words::spell_ms(sync_us / 1_000));
        by_fault(server, text, |effect| matches!(effect, NodeEffect::SlowSync { .. }))
    })
}

/// A sentence on the disk of a node, and the faults in it that are the cause, if some are.
fn by_fault(server: &NodeStatus, text: String, is_cause: impl Fn(&NodeEffect) -> bool) -> Note {
    let causes = server.faults.iter().filter(|known| is_cause(&known.fault.effect)).map(|known| known.fault.id);
    let causes: Vec<FaultId> = causes.collect();
    if causes.is_empty() {
        return Note::new(text);
    }
    let names = causes.iter().map(FaultId::to_string).collect::<Vec<_>>().join(" and ");
    let hints = causes.into_iter().map(|id| Hint::ClearFault { id }).collect();
    Note { text: format!("{text}: it is held by {names}"), hints }
}

/// Commands that wait for a quorum to store them. There is a limit to their bytes, at which the leader takes no more.
fn backlog(leader: &NodeStatus) -> Option<Note> {
    let NodeStatus { node, last_index, commit_index, .. } = leader;
    let waiting = last_index.saturating_sub(*commit_index);
    (waiting >= MANY_ENTRIES).then(|| {
        Note::new(format!(
            "{waiting} entries of {node} wait for a quorum: its log ends at {last_index}, and the commit index is \
             {commit_index}"
        ))
    })
}

/// Faults that delay, lose or disorder messages of the leader, or cut its links.
pub(crate) fn troubles_of_leader(sight: Sight<'_>) -> impl Iterator<Item = Note> {
    let leader = sight.status.leader.map(|leader| leader.name());
    let concerns =
        move |ends: &(raftian_rpc::NodeId, raftian_rpc::NodeId)| Some(ends.0) == leader || Some(ends.1) == leader;
    sight.status.faults.iter().filter(move |fault| fault.links().iter().any(concerns)).map(move |fault| {
        let hint = Hint::ClearFault { id: fault.id };
        fault::in_force(sight, fault).within(|what| format!("{what}: it is on links of the leader")).hint(hint)
    })
}

/// Leaders that follow one another too fast.
fn unrest(sight: Sight<'_>) -> Option<Note> {
    let recent = |lead: &crate::past::Lead| lead.since_ns + RECENTLY_NS >= sight.now_ns;
    let terms: Vec<_> = sight.leads().take_while(recent).map(|lead| lead.term).collect();
    let (last, first) = (terms.first()?, terms.last()?);
    (terms.len() >= MANY_LEADERS).then(|| {
        let count = terms.len();
        Note::new(format!(
            "{count} leaders were elected within {} s, in terms {first} to {last}",
            RECENTLY_NS / 1_000_000_000
        ))
    })
}

/// So few voters run that the slowest of them decides.
fn few(sight: Sight<'_>) -> Option<Note> {
    let members = sight.status.members.as_ref()?;
    let (running, voters) = (sight.running(), members.voters());
    let (up, needed) = (voters.intersection(&running).count(), voters.len() / 2 + 1);
    (up == needed && up < voters.len()).then(|| {
        let down = voters.difference(&running).copied().collect();
        let text = format!(
            "{up} of {} voters run, so every command waits for the slowest of them ({})",
            voters.len(),
            sight.gone(&down)
        );
        Note { text, hints: sight.bring_back(&down, 1).into_iter().collect() }
    })
}
