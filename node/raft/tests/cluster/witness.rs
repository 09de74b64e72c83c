//! A witness of everything that happens in a cluster, who protests when an invariant of the paper is broken.
//!
//! It knows only what can be seen from outside: states, logs, disks, messages. Where an invariant speaks of "ever", it
//! remembers. It looks at a server after every step of that server.

use std::collections::{BTreeMap, HashMap};

use raftian_raft::{
    AppendReply, Body, Configuration, Entry, Index, Message, NodeId, Payload, ReadOutcome, ReadTicket, Recovered,
    Reply, Request, RoleKind, Server, Snapshot, SnapshotReply, Standing, Status, Term,
};

use super::membership::{brought, history, is_quorum, may_follow};
use super::{App, Disk};

#[derive(Debug)]
pub(crate) struct Witness {
    /// What the cluster started with.
    first: Configuration,
    /// Who led each term.
    leaders: BTreeMap<Term, NodeId>,
    /// The votes that count, by voter and term: those that have ever been durable, and those that left when their term was
    /// over, durably.
    votes: HashMap<(NodeId, Term), NodeId>,
    /// Every entry there ever was, with the term of the one before it.
    entries: HashMap<(Index, Term), (Term, Payload)>,
    /// The committed entries from index 1 on, and the term in which each was first known to be committed.
    committed: Vec<(Entry, Term)>,
    /// The state of the application after so many committed entries.
    states: Vec<App>,
    /// The reads that wait, and how much was committed when they came.
    reads: HashMap<(NodeId, ReadTicket), Index>,
    servers: BTreeMap<NodeId, Seen>,
    disks: BTreeMap<NodeId, Recovered>,
    /// How often a server discarded a configuration, and a leader led itself out of the cluster.
    pub(crate) changes_rolled_back: u64,
    pub(crate) leaders_removed: u64,
}

/// What a server gave to its application.
#[derive(Debug)]
pub(crate) enum Delivery {
    Restored(Snapshot),
    Applied(Entry),
}

/// What the witness saw last of one incarnation of a server.
#[derive(Debug, Default)]
struct Seen {
    status: Option<Status>,
    /// Its log from index 1 on. What it has compacted is committed, so the witness knows it all the same.
    log: Vec<Entry>,
    applied: Index,
}

impl Witness {
    pub(crate) fn new(first: Configuration) -> Witness {
        Witness {
            first,
            leaders: BTreeMap::new(),
            votes: HashMap::new(),
            entries: HashMap::new(),
            committed: Vec::new(),
            states: vec![App::default()],
            reads: HashMap::new(),
            servers: BTreeMap::new(),
            disks: BTreeMap::new(),
            changes_rolled_back: 0,
            leaders_removed: 0,
        }
    }

    /// How many entries were ever committed.
    pub(crate) fn committed(&self) -> Index {
        self.committed.len() as Index
    }

    /// How many terms had a leader.
    pub(crate) fn leaders(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// How many changes of the membership were completed.
    pub(crate) fn changes(&self) -> u64 {
        let brought = self.committed.iter().filter_map(|(entry, _)| brought(entry));
        brought.filter(|configuration| configuration.outgoing().is_empty()).count() as u64
    }

    /// Something reached a disk.
    pub(crate) fn synced(&mut self, id: NodeId, disk: &mut Disk) {
        let known = self.disks.get(&id).cloned().unwrap_or_default();
        let mut before = known.hard_state;
        for now in disk.take_hard_states() {
            assert!(
                now.term >= before.term,
                "§5.1: the durable term of {id} fell from {} to {}",
                before.term,
                now.term
            );
            let kept = now.term > before.term || before.voted_for.is_none() || now.voted_for == before.voted_for;
            assert!(kept, "§5.2: {id} changed its durable vote in term {}", now.term);
            if let Some(candidate) = now.voted_for {
                self.votes.insert((id, now.term), candidate);
            }
            before = now;
        }
        if let Some(snapshot) = disk.durable().snapshot.as_ref().filter(|now| Some(*now) != known.snapshot.as_ref()) {
            let known_index = known.snapshot.map_or(0, |snapshot| snapshot.last.index);
            assert!(snapshot.last.index > known_index, "§7: {id} replaced a snapshot by one that is not newer");
            self.check_snapshot(id, snapshot);
        }
        self.disks.insert(id, disk.durable().clone());
    }

    /// A snapshot is what replaying the committed entries gives, the configuration included (§7).
    fn check_snapshot(&self, id: NodeId, snapshot: &Snapshot) {
        let index = snapshot.last.index;
        assert!(index <= self.committed(), "§7: {id} has a snapshot of what is not committed, up to {index}");
        let (entry, _) = &self.committed[index as usize - 1];
        assert_eq!(entry.term, snapshot.last.term, "§7: the snapshot of {id} at {index} is of another term");
        let state = self.states[index as usize];
        assert_eq!(App::load(&snapshot.data), state, "§7: the snapshot of {id} at {index} is of another state");
        let configurations = self.committed[..index as usize].iter().rev();
        let configuration = configurations.filter_map(|(entry, _)| brought(entry)).next().unwrap_or(&self.first);
        assert_eq!(&snapshot.configuration, configuration, "§7: the snapshot of {id} at {index} has other members");
    }

    /// A server crashed: what it held in memory is forgotten.
    pub(crate) fn crashed(&mut self, id: NodeId) {
        self.servers.remove(&id);
        self.reads.retain(|(server, _), _| *server != id);
    }

    /// Somebody asked a server to read.
    pub(crate) fn read_asked(&mut self, id: NodeId, ticket: ReadTicket) {
        let earlier = self.reads.insert((id, ticket), self.committed());
        assert_eq!(earlier, None, "{id} gave two reads the same ticket");
    }

    /// A read is linearizable: it sees all that was committed before it was asked for (§8).
    pub(crate) fn read_answered(&mut self, id: NodeId, read: &ReadOutcome) {
        let asked_at = self.reads.remove(&(id, read.ticket)).unwrap_or_else(|| panic!("{id} answered {read:?} twice"));
        if let Ok(index) = read.index {
            assert!(
                index >= asked_at,
                "§8: {id} lets a read see index {index}, but {asked_at} was committed before it"
            );
        }
    }

    /// A message leaves its sender. What it promises must be durable (Figure 2: "updated on stable storage before
    /// responding to RPCs").
    pub(crate) fn sent(&mut self, message: &Message) {
        let Message { from, to, term, .. } = *message;
        let nothing = Recovered::default();
        let durable = self.disks.get(&from).unwrap_or(&nothing);
        let speaks_of_its_own_term =
            !matches!(message.body, Body::Request(Request::PreVote(_)) | Body::Reply(Reply::PreVote { granted: true }));
        if speaks_of_its_own_term {
            assert!(durable.hard_state.term >= term, "{from} spoke of term {term} before it was durable");
        }
        let candidate = match message.body {
            Body::Request(Request::RequestVote { .. }) => Some(from),
            Body::Reply(Reply::RequestVote { granted: true }) => Some(to),
            _ => None,
        };
        if let Some(candidate) = candidate {
            // Within a batch, the next term may begin before the vote is written. It stands all the same: no other one can
            // be given in a term that is over.
            let is_over = durable.hard_state.term > term;
            let vote = self.votes.get(&(from, term)).copied().or(is_over.then_some(candidate));
            assert_eq!(vote, Some(candidate), "{from} spoke of its vote in term {term} before that was durable");
            self.votes.insert((from, term), candidate);
        }
        match message.body {
            Body::Reply(
                Reply::AppendEntries(AppendReply::Matched(index))
                | Reply::InstallSnapshot(SnapshotReply::Installed(index)),
            ) if durable.hard_state.term == term => {
                let leads = |status: &Status| status.role == RoleKind::Leader && status.term == term;
                let leader = self.servers.get(&to).filter(|seen| seen.status.as_ref().is_some_and(leads));
                let log = leader.map(|leader| leader.log.as_slice());
                check_stored(durable, log, index, || format!("{from} acknowledged index {index} to {to}"));
            }
            _ => {}
        }
    }

    /// A server took a step, in which it delivered this to its application, which is now in this state.
    pub(crate) fn stepped(&mut self, server: &Server, delivered: &[Delivery], app: App) {
        let id = server.id();
        let mut seen = self.servers.remove(&id).unwrap_or_default();
        let (before, now) = (seen.status.take(), server.status());
        self.check_log(&mut seen, before.as_ref(), server, &now);
        if now.role == RoleKind::Leader {
            self.check_leader(&seen, before.as_ref(), &now, id);
        }
        self.check_commit(&seen, before.as_ref(), &now, id);
        for delivery in delivered {
            match delivery {
                Delivery::Restored(snapshot) => {
                    assert!(snapshot.last.index > seen.applied, "§7: {id} restored an older state than its own");
                    self.check_snapshot(id, snapshot);
                    seen.applied = snapshot.last.index;
                }
                Delivery::Applied(entry) => {
                    seen.applied += 1;
                    assert_eq!(entry.index, seen.applied, "§5.3: {id} applied out of order");
                    let committed = self.committed.get(entry.index as usize - 1).map(|(entry, _)| entry);
                    assert_eq!(committed, Some(entry), "§5.4.3: {id} applied what is not committed");
                }
            }
        }
        assert_eq!(app, self.states[seen.applied as usize], "§5.4.3: the application of {id} is in another state");
        let is_ordered = now.snapshot_index <= seen.applied && seen.applied <= now.commit_index;
        assert!(is_ordered && now.first_index <= now.snapshot_index + 1, "§7: {id} is out of order: {now:?}");
        if let Some(before) = &before {
            assert!(now.term >= before.term, "§5.1: the term of {id} fell");
            let kept = now.term > before.term || before.voted_for.is_none() || now.voted_for == before.voted_for;
            assert!(kept, "§5.2: {id} changed its vote in term {}", now.term);
            assert!(now.snapshot_index >= before.snapshot_index, "§7: {id} has an older snapshot than before");
            let laid_down = before.role == RoleKind::Leader && now.role != before.role && now.term == before.term;
            let is_out = now.configuration_committed && now.configuration.as_ref().is_some_and(|c| !c.is_voter(id));
            self.leaders_removed += u64::from(laid_down && is_out);
        }
        let pending = self.reads.keys().filter(|(server, _)| *server == id).count();
        assert_eq!(server.pending_reads(), pending, "§8: {id} has forgotten a read");
        seen.status = Some(now);
        self.servers.insert(id, seen);
    }

    /// Log Matching: an index and a term name one entry and all before it. Leader Append-Only. What is committed stays.
    fn check_log(&mut self, seen: &mut Seen, before: Option<&Status>, server: &Server, now: &Status) {
        let id = server.id();
        let compacted = now.first_index as usize - 1;
        assert!(compacted <= self.committed.len(), "§7: {id} compacted what is not committed");
        let known = self.committed[..compacted].iter().map(|(entry, _)| entry);
        let was = seen.log.len();
        if !seen.log.iter().take(compacted).eq(known.clone()) {
            seen.log = known.cloned().collect();
        }
        let log = server.entries(now.first_index, usize::MAX);
        let same = seen.log[compacted..].iter().zip(log).take_while(|(old, new)| old == new).count();
        if let Some(before) = before {
            let led = before.role == RoleKind::Leader && before.term == now.term;
            assert!(!led || compacted + same >= was, "§5.3: the leader {id} discarded an entry of its own log");
            let kept = (compacted + same) as Index;
            assert!(kept >= before.commit_index, "§5.4: {id} discarded a committed entry");
        }
        let discarded = &seen.log[compacted + same..];
        self.changes_rolled_back += u64::from(discarded.iter().any(|entry| brought(entry).is_some()));
        seen.log.truncate(compacted + same);
        for entry in &log[same..] {
            let previous = seen.log.last().map_or(0, |last| last.term);
            assert_eq!(entry.index, seen.log.len() as Index + 1, "the log of {id} has a gap");
            assert!(entry.term >= previous, "the terms in the log of {id} fall at index {}", entry.index);
            let is_new = !self.entries.contains_key(&(entry.index, entry.term));
            let (known, payload) =
                self.entries.entry((entry.index, entry.term)).or_insert_with(|| (previous, entry.payload.clone()));
            let matches = *known == previous && *payload == entry.payload;
            assert!(matches, "§5.3: {id} has another entry {} of term {}", entry.index, entry.term);
            if let Some(next) = brought(entry).filter(|_| is_new) {
                self.check_change(&seen.log, entry, next, now, id);
            }
            seen.log.push(entry.clone());
        }
        assert_eq!(now.last_index, seen.log.len() as Index, "{id} has a log of another length than it says");
        self.check_active(seen, now, id);
    }

    /// Configurations follow one another as §6 allows, one uncommitted at a time, and none before an entry of the
    /// leader's term is committed (thesis §4.1).
    fn check_change(&self, log: &[Entry], entry: &Entry, next: &Configuration, now: &Status, id: NodeId) {
        let Entry { index, term, .. } = *entry;
        let (since, previous) = history(log, index).next().unwrap_or((0, &self.first));
        assert!(may_follow(previous, next), "§6: ({next}) at index {index} cannot follow ({previous})");
        if now.role == RoleKind::Leader && now.term == term {
            let commit = now.commit_index;
            assert!(since <= commit, "§6: {id} appended ({next}) before ({previous}) at {since} was committed");
            // A voter that is alone may have committed this very entry in the same step.
            let committed_term = log[..log.len().min(commit as usize)].last().map_or(0, |entry| entry.term);
            assert_eq!(committed_term, term, "§4.1: {id} appended ({next}) before it had committed in its term");
        }
    }

    /// A server uses the latest configuration in its log (§6).
    fn check_active(&self, seen: &Seen, now: &Status, id: NodeId) {
        let latest = history(&seen.log, Index::MAX).next();
        let knows_first = self.first.contains(id) || now.snapshot_index > 0;
        let expected = latest.map(|(_, configuration)| configuration).or(Some(&self.first).filter(|_| knows_first));
        assert_eq!(now.configuration.as_ref(), expected, "§6: {id} uses other members than its log says");
        let is_committed = latest.is_none_or(|(index, _)| index <= now.commit_index);
        assert_eq!(now.configuration_committed, is_committed, "§6: {id} is wrong on whether its members are committed");
    }

    fn check_leader(&mut self, seen: &Seen, before: Option<&Status>, now: &Status, id: NodeId) {
        let first = *self.leaders.entry(now.term).or_insert(id);
        assert_eq!(first, id, "§5.2: {first} and {id} both led term {}", now.term);
        for peer in &now.peers {
            let nothing = Recovered::default();
            let disk = self.disks.get(&peer.id).unwrap_or(&nothing);
            if disk.hard_state.term <= now.term {
                let told = || format!("{id} takes {} for the match index of {}", peer.match_index, peer.id);
                check_stored(disk, Some(&seen.log), peer.match_index, told);
            }
        }
        let members = now.configuration.as_ref().expect("a leader knows the members");
        assert!(members.is_voter(id) || !now.configuration_committed, "§6: {id} is removed and goes on");
        let leads_next = now.transfer.is_none_or(|next| members.voters().contains(&next));
        assert!(leads_next, "§3.10: {id} hands over to a server without a vote");
        if let Some(before) = before.filter(|before| before.role == RoleKind::Leader && before.term == now.term) {
            return check_progress(before, now, id);
        }
        let elected_at = seen.log.iter().find(|entry| entry.term == now.term).map_or(0, |entry| entry.index);
        let mut history = history(&seen.log, elected_at).map(|(_, configuration)| configuration).chain([&self.first]);
        let electing = history.next().expect("the first configuration");
        let before_it = history.next().unwrap_or(electing);
        let voted = |voter| self.votes.get(&(voter, now.term)) == Some(&id);
        assert!(is_quorum(electing, voted), "§5.2: {id} leads term {} without durable votes", now.term);
        let had_vote = [electing, before_it].iter().any(|c| c.voters().contains(&id) || c.outgoing().contains(&id));
        assert!(had_vote, "§6: {id} leads term {} and is no voter", now.term);
        for (entry, _) in self.committed.iter().filter(|(_, committed_in)| *committed_in < now.term) {
            let own = seen.log.get(entry.index as usize - 1);
            assert_eq!(own, Some(entry), "§5.4: the leader {id} lacks the committed entry {}", entry.index);
        }
    }

    /// State Machine Safety: what is committed is committed everywhere, and stored by a quorum of a configuration that
    /// was in force then.
    fn check_commit(&mut self, seen: &Seen, before: Option<&Status>, now: &Status, id: NodeId) {
        let from = before.map_or(0, |before| before.commit_index);
        assert!(from <= now.commit_index, "§5.3: the commitIndex of {id} fell");
        assert!(now.commit_index <= now.last_index, "{id} committed more than it has");
        for entry in &seen.log[from as usize..now.commit_index as usize] {
            match self.committed.get(entry.index as usize - 1) {
                Some((committed, _)) => assert_eq!(committed, entry, "§5.4.3: {id} committed another entry"),
                None => {
                    let has = |voter| self.disks.get(&voter).is_some_and(|disk| stores(disk, entry));
                    let mut later = history(&seen.log, Index::MAX).take_while(|(index, _)| *index > entry.index);
                    let then = history(&seen.log, entry.index).next().map_or(&self.first, |(_, then)| then);
                    let stored = is_quorum(then, has) || later.any(|(_, configuration)| is_quorum(configuration, has));
                    assert!(stored, "§5.3: {id} committed index {} before a quorum stored it", entry.index);
                    let mut state = self.states[self.committed.len()];
                    state.apply(entry);
                    self.states.push(state);
                    self.committed.push((entry.clone(), now.term));
                }
            }
        }
        if now.role == RoleKind::Leader && from < now.commit_index {
            let term = seen.log[now.commit_index as usize - 1].term;
            assert_eq!(term, now.term, "§5.4.2: the leader {id} committed an entry of term {term} by counting");
        }
    }
}

/// What a leader knows of a follower to be durable stays so, unless the follower is one that takes the name of another, or
/// denies it.
fn check_progress(before: &Status, now: &Status, id: NodeId) {
    for (was, is) in before.peers.iter().flat_map(|was| now.peers.iter().map(move |is| (was, is))) {
        let is_same = was.id == is.id && (was.standing != Standing::Leaving || is.standing == Standing::Leaving);
        let stays = !is_same || is.denies || was.match_index <= is.match_index;
        assert!(stays, "Figure 2: the matchIndex of {} fell at {id}", is.id);
    }
}

/// Whether a disk has this entry, in its log or in its snapshot.
fn stores(disk: &Recovered, entry: &Entry) -> bool {
    let covered = disk.snapshot.as_ref().is_some_and(|snapshot| entry.index <= snapshot.last.index);
    covered || disk.entries.iter().rev().any(|stored| stored == entry)
}

/// Whoever has told a leader of an index has it on its disk, and it is the leader's entry.
fn check_stored(disk: &Recovered, leader: Option<&[Entry]>, index: Index, told: impl Fn() -> String) {
    let covered = disk.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
    if index <= covered {
        return;
    }
    let stored = disk.entries.iter().rev().find(|entry| entry.index == index);
    assert!(stored.is_some(), "Figure 2: {}, which is not durable there", told());
    if let Some(log) = leader {
        assert_eq!(stored, log.get(index as usize - 1), "§5.3: {}, where another entry stands", told());
    }
}
