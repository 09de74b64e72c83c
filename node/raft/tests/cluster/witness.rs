//! A witness of everything that happens in a cluster, who protests when an invariant of the paper is broken.
//!
//! It knows only what can be seen from outside: states, logs, disks, messages. Where an invariant speaks of "ever", it
//! remembers. It looks at a server after every step of that server.

use std::collections::{BTreeMap, HashMap};

use raftian_raft::{
    AppendReply, Body, Configuration, Entry, HardState, Index, Message, NodeId, Payload, Recovered, Reply, Request,
    RoleKind, Server, Status, Term,
};

use super::Disk;

#[derive(Debug)]
pub(crate) struct Witness {
    configuration: Configuration,
    /// Who led each term.
    leaders: BTreeMap<Term, NodeId>,
    /// The votes that have ever been durable, by voter and term.
    votes: HashMap<(NodeId, Term), NodeId>,
    /// Every entry there ever was, with the term of the one before it.
    entries: HashMap<(Index, Term), (Term, Payload)>,
    /// The committed entries from index 1 on, and the term in which each was first known to be committed.
    committed: Vec<(Entry, Term)>,
    servers: BTreeMap<NodeId, Seen>,
    disks: BTreeMap<NodeId, Recovered>,
}

/// What the witness saw last of one incarnation of a server.
#[derive(Debug, Default)]
struct Seen {
    status: Option<Status>,
    log: Vec<Entry>,
    applied: Index,
}

impl Witness {
    pub(crate) fn new(configuration: Configuration) -> Witness {
        Witness {
            configuration,
            leaders: BTreeMap::new(),
            votes: HashMap::new(),
            entries: HashMap::new(),
            committed: Vec::new(),
            servers: BTreeMap::new(),
            disks: BTreeMap::new(),
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

    /// Something reached a disk.
    pub(crate) fn synced(&mut self, id: NodeId, disk: &mut Disk) {
        let mut before = self.disks.get(&id).map_or(HardState::default(), |disk| disk.hard_state);
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
        self.disks.insert(id, disk.durable().clone());
    }

    /// A server crashed: what it held in memory is forgotten.
    pub(crate) fn crashed(&mut self, id: NodeId) {
        self.servers.remove(&id);
    }

    /// A message leaves its sender. What it promises must be durable (Figure 2: "updated on stable storage before
    /// responding to RPCs").
    pub(crate) fn sent(&self, message: &Message) {
        let Message { from, to, term, .. } = *message;
        let durable = self.disks.get(&from).cloned().unwrap_or_default();
        let speaks_of_its_own_term =
            !matches!(message.body, Body::Request(Request::PreVote(_)) | Body::Reply(Reply::PreVote { granted: true }));
        if speaks_of_its_own_term {
            assert!(durable.hard_state.term >= term, "{from} spoke of term {term} before it was durable");
        }
        match message.body {
            Body::Request(Request::RequestVote(_)) => {
                assert_eq!(self.votes.get(&(from, term)), Some(&from), "{from} asked for votes before its own");
            }
            Body::Reply(Reply::RequestVote { granted: true }) => {
                assert_eq!(self.votes.get(&(from, term)), Some(&to), "{from} granted a vote that is not durable");
            }
            Body::Reply(Reply::AppendEntries(AppendReply::Matched(index))) if durable.hard_state.term == term => {
                self.check_acknowledgement(&durable, from, to, term, index);
            }
            _ => {}
        }
    }

    /// Whoever acknowledges an index has the leader's log up to there on its disk.
    fn check_acknowledgement(&self, durable: &Recovered, from: NodeId, to: NodeId, term: Term, index: Index) {
        let Some(last) = index.checked_sub(1) else { return };
        let stored = durable.entries.get(last as usize);
        assert!(stored.is_some(), "{from} acknowledged index {index} before it was durable");
        let leader = self
            .servers
            .get(&to)
            .filter(|seen| seen.status.is_some_and(|status| status.role == RoleKind::Leader && status.term == term));
        if let Some(leader) = leader {
            assert_eq!(stored, leader.log.get(last as usize), "§5.3: {from} acknowledged another entry than {to} has");
        }
    }

    /// A server took a step, in which it gave `applied` to its application.
    pub(crate) fn stepped(&mut self, server: &Server, applied: &[Entry]) {
        let id = server.id();
        let mut seen = self.servers.remove(&id).unwrap_or_default();
        let (before, now) = (seen.status, server.status());
        self.check_log(&mut seen, server);
        if now.role == RoleKind::Leader {
            self.check_leader(&seen, before, now, id);
        }
        self.check_commit(&seen, before, now, id);
        for entry in applied {
            seen.applied += 1;
            assert_eq!(entry.index, seen.applied, "§5.3: {id} applied out of order");
            assert!(entry.index <= now.commit_index, "§5.3: {id} applied an entry that is not committed");
            assert_eq!(seen.log.get(entry.index as usize - 1), Some(entry), "{id} applied what is not in its log");
        }
        if let Some(before) = before {
            assert!(now.term >= before.term, "§5.1: the term of {id} fell");
            let kept = now.term > before.term || before.voted_for.is_none() || now.voted_for == before.voted_for;
            assert!(kept, "§5.2: {id} changed its vote in term {}", now.term);
        }
        seen.status = Some(now);
        self.servers.insert(id, seen);
    }

    /// Log Matching: an index and a term name one entry and all before it. Leader Append-Only. What is committed stays.
    fn check_log(&mut self, seen: &mut Seen, server: &Server) {
        let id = server.id();
        let log = server.entries(1, usize::MAX);
        let same = seen.log.iter().zip(log).take_while(|(old, new)| old == new).count();
        if let Some(before) = seen.status {
            let led = before.role == RoleKind::Leader && before.term == server.status().term;
            assert!(!led || same == seen.log.len(), "§5.3: the leader {id} discarded an entry of its own log");
            assert!(same as Index >= before.commit_index, "§5.4: {id} discarded a committed entry");
        }
        seen.log.truncate(same);
        for entry in &log[same..] {
            let previous = seen.log.last().map_or(0, |last| last.term);
            assert_eq!(entry.index, seen.log.len() as Index + 1, "the log of {id} has a gap");
            assert!(entry.term >= previous, "the terms in the log of {id} fall at index {}", entry.index);
            let (known, payload) =
                self.entries.entry((entry.index, entry.term)).or_insert_with(|| (previous, entry.payload.clone()));
            let matches = *known == previous && *payload == entry.payload;
            assert!(matches, "§5.3: {id} has another entry {} of term {}", entry.index, entry.term);
            seen.log.push(entry.clone());
        }
    }

    fn check_leader(&mut self, seen: &Seen, before: Option<Status>, now: Status, id: NodeId) {
        let first = *self.leaders.entry(now.term).or_insert(id);
        assert_eq!(first, id, "§5.2: {first} and {id} both led term {}", now.term);
        if before.is_some_and(|before| before.role == RoleKind::Leader && before.term == now.term) {
            return;
        }
        let voted = |voter| self.votes.get(&(voter, now.term)) == Some(&id);
        assert!(self.configuration.has_quorum(voted), "§5.2: {id} leads term {} without durable votes", now.term);
        for (entry, _) in self.committed.iter().filter(|(_, committed_in)| *committed_in < now.term) {
            let own = seen.log.get(entry.index as usize - 1);
            assert_eq!(own, Some(entry), "§5.4: the leader {id} lacks the committed entry {}", entry.index);
        }
    }

    /// State Machine Safety: what is committed is committed everywhere, and stored by a quorum.
    fn check_commit(&mut self, seen: &Seen, before: Option<Status>, now: Status, id: NodeId) {
        let from = before.map_or(0, |before| before.commit_index);
        assert!(from <= now.commit_index, "§5.3: the commitIndex of {id} fell");
        assert!(now.commit_index <= now.last_index, "{id} committed more than it has");
        for entry in &seen.log[from as usize..now.commit_index as usize] {
            match self.committed.get(entry.index as usize - 1) {
                Some((committed, _)) => assert_eq!(committed, entry, "§5.4.3: {id} committed another entry"),
                None => {
                    let stores = |voter| {
                        self.disks.get(&voter).and_then(|disk| disk.entries.get(entry.index as usize - 1))
                            == Some(entry)
                    };
                    let stored = self.configuration.has_quorum(stores);
                    assert!(stored, "§5.3: {id} committed index {} before a quorum stored it", entry.index);
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
