//! The pending reads: a read first waits for the core's decision, which names the index that must be applied, and then
//! for that index to be applied (§8).
//!
//! Invariant: a read is served from a state in which its index is applied, never from an earlier one. Every read that
//! was added is returned once.

use std::collections::{BTreeMap, HashMap};

use raftian_apps::Machine;
use raftian_raft::{Index, NotLeader, ReadOutcome as Decision, ReadTicket};
use serde_json::value::RawValue;

use crate::driver::Route;
use crate::effect::ReadOutcome;
use crate::mutant::{Mutant, Planted};

/// The pending reads.
#[derive(Debug)]
pub(crate) struct Reads<C> {
    undecided: HashMap<ReadTicket, Read<C>>,
    /// By the index that must be applied, then in the order of arrival.
    decided: BTreeMap<(Index, ReadTicket), Read<C>>,
    planted: Planted,
}

/// A client's read, and how it came to this server.
#[derive(Debug)]
pub(crate) struct Read<C> {
    pub(crate) op: Box<RawValue>,
    pub(crate) route: Route,
    pub(crate) client: C,
}

impl<C> Reads<C> {
    pub(crate) fn new(planted: Planted) -> Reads<C> {
        Reads { undecided: HashMap::new(), decided: BTreeMap::new(), planted }
    }

    /// Adds a read that waits for the core's decision on this ticket.
    pub(crate) fn add(&mut self, ticket: ReadTicket, read: Read<C>) {
        self.undecided.insert(ticket, read);
    }

    /// The core has decided a read. Returns the read if it cannot be served here.
    pub(crate) fn decide(&mut self, decision: Decision) -> Option<(Read<C>, NotLeader)> {
        let read = self.undecided.remove(&decision.ticket)?;
        match decision.index {
            Ok(index) => {
                self.decided.insert((index, decision.ticket), read);
                None
            }
            Err(_) if self.planted.has(Mutant::ForgetsFailedReads) => None,
            Err(not_leader) => Some((read, not_leader)),
        }
    }

    /// Removes and returns the client of the next read whose index is applied, with the outcome.
    pub(crate) fn serve(&mut self, machine: &Machine) -> Option<(C, ReadOutcome)> {
        let applied = machine.last_applied();
        let is_due = |index: Index| index <= applied || self.planted.has(Mutant::ServesReadsUnapplied);
        let Read { op, client, .. } = self.decided.first_entry().filter(|first| is_due(first.key().0))?.remove();
        Some((client, query(machine, &op)))
    }

    /// Removes and returns all clients.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = C> + use<C> {
        let undecided = std::mem::take(&mut self.undecided).into_values();
        undecided.chain(std::mem::take(&mut self.decided).into_values()).map(|read| read.client)
    }

    pub(crate) fn len(&self) -> usize {
        self.undecided.len() + self.decided.len()
    }
}

/// Answers a read from the present state.
pub(crate) fn query(machine: &Machine, op: &RawValue) -> ReadOutcome {
    match machine.query(op) {
        Ok(response) => ReadOutcome::Served { index: machine.last_applied(), response },
        Err(not_a_read) => ReadOutcome::NotARead(not_a_read.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use raftian_apps::AppKind;
    use raftian_raft::{
        Configuration, Entry, NodeId, Options, Payload, Persist, Recovered, Server, Storage, Time, Write,
    };

    use super::*;

    struct NoDisk;

    impl Storage for NoDisk {
        type Error = std::convert::Infallible;

        fn append(&mut self, _: &Write) -> Result<(), Self::Error> {
            Ok(())
        }

        fn sync(&mut self) -> Result<(), Self::Error> {
            Ok(())
        }
    }

    /// The decisions on two reads at the leader of a cluster of one.
    fn decisions() -> Vec<Decision> {
        let own = NodeId::new(1).unwrap();
        let options = Options { campaigns_first: true, ..Options::new(own, Configuration::new([own]), 1) };
        let mut server = Server::new(options, Recovered::default(), Time::default());
        server.tick(Time::default());
        let mut decisions = Vec::new();
        let mut asked = false;
        for _ in 0..10 {
            let ready = server.ready();
            decisions.extend(ready.reads);
            for persisted in Persist::sync_all(ready.persist.into_iter().collect(), &mut NoDisk).unwrap() {
                assert!(server.persisted(Time::default(), persisted).is_empty());
            }
            if server.leader() == Some(own) && !std::mem::replace(&mut asked, true) {
                let tickets = [server.read(Time::default()).unwrap(), server.read(Time::default()).unwrap()];
                assert_ne!(tickets[0], tickets[1]);
            }
        }
        assert_eq!(decisions.len(), 2);
        decisions
    }

    fn get<C>(client: C) -> Read<C> {
        let op = RawValue::from_string(r#"{"get":"k"}"#.to_owned()).unwrap();
        Read { op, route: Route::Direct, client }
    }

    #[test]
    fn a_read_waits_until_its_index_is_applied_or_the_leader_is_deposed() {
        let decisions = decisions();
        assert_eq!(decisions[0].index, Ok(1), "the no-op");
        let mut machine = Machine::new(AppKind::Kv, 0).unwrap();
        let mut reads = Reads::new(Planted::default());
        for (decision, client) in decisions.iter().zip(["first", "second"]) {
            reads.add(decision.ticket, get(client));
        }
        assert!(reads.decide(decisions[0]).is_none());
        assert_eq!((reads.serve(&machine), reads.len()), (None, 2));
        machine.apply(&Entry { index: 1, term: 1, payload: Payload::Noop });
        let Some(("first", ReadOutcome::Served { index: 1, response })) = reads.serve(&machine) else { panic!() };
        assert_eq!(response.get(), r#"{"outcome":"absent"}"#);

        let deposed = Decision { index: Err(NotLeader { leader: NodeId::new(2) }), ..decisions[1] };
        let Some((Read { client: "second", .. }, refused)) = reads.decide(deposed) else { panic!() };
        assert_eq!(refused, NotLeader { leader: NodeId::new(2) });
        assert_eq!((reads.serve(&machine), reads.len()), (None, 0));
    }

    #[test]
    fn all_reads_come_out_at_the_end_decided_or_not() {
        let decisions = decisions();
        let mut reads = Reads::new(Planted::default());
        reads.add(decisions[0].ticket, get(1));
        reads.add(decisions[1].ticket, get(2));
        assert!(reads.decide(decisions[1]).is_none());
        assert_eq!((reads.take_all().collect::<Vec<_>>(), reads.len()), (vec![1, 2], 0));
    }

    #[test]
    fn what_is_no_read_is_refused_in_the_words_of_the_app() {
        let machine = Machine::new(AppKind::Kv, 0).unwrap();
        let set = RawValue::from_string(r#"{"set":["k","v"]}"#.to_owned()).unwrap();
        let refused = query(&machine, &set);
        assert!(matches!(&refused, ReadOutcome::NotARead(why) if why.contains("not a read of `kv`")), "{refused:?}");
    }
}
