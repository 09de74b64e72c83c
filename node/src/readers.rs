//! Who waits to read, and what for: first for the core to say from which index on a state is fresh enough, then for
//! that index to be applied (§8).
//!
//! Invariant: a read is answered from a state in which its index is applied, never from an earlier one.

use std::collections::{BTreeMap, HashMap};

use raftian_apps::Machine;
use raftian_raft::{Index, NodeId, ReadOutcome, ReadTicket};
use raftian_rpc::client::ReadAnswer;
use raftian_rpc::error::NodeError;
use serde_json::value::RawValue;

use crate::inbox::Answer;

#[derive(Debug, Default)]
pub(crate) struct Readers {
    asked: HashMap<ReadTicket, Reader>,
    /// By the index they wait for, those that came first before others.
    due: BTreeMap<(Index, ReadTicket), Reader>,
}

#[derive(Debug)]
struct Reader {
    op: Box<RawValue>,
    answer: Answer<Result<ReadAnswer, NodeError>>,
}

impl Readers {
    /// Somebody waits for the outcome of a ticket.
    pub(crate) fn add(&mut self, ticket: ReadTicket, op: Box<RawValue>, answer: Answer<Result<ReadAnswer, NodeError>>) {
        self.asked.insert(ticket, Reader { op, answer });
    }

    /// The core has said what becomes of a read at this node, `own`.
    pub(crate) fn decided(&mut self, own: NodeId, outcome: ReadOutcome) {
        let Some(reader) = self.asked.remove(&outcome.ticket) else { return };
        match outcome.index {
            Ok(index) => drop(self.due.insert((index, outcome.ticket), reader)),
            Err(lost) => {
                // An asker that has left meanwhile is told nothing.
                let _ = reader.answer.send(Err(NodeError::NotLeader { node: own, leader: lost.leader }));
            }
        }
    }

    /// Answers those for whom the state of this node, `own`, is fresh enough. How many that were.
    pub(crate) fn serve(&mut self, own: NodeId, machine: &Machine) -> u64 {
        let mut served = 0;
        while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= machine.last_applied()) {
            let Reader { op, answer } = first.remove();
            let _ = answer.send(read(own, machine, &op));
            served += 1;
        }
        served
    }
}

/// Answers a read from the state of this node, `own`, as it is.
pub(crate) fn read(own: NodeId, machine: &Machine, op: &RawValue) -> Result<ReadAnswer, NodeError> {
    let response = machine.query(op).map_err(|error| NodeError::BadRequest { why: error.to_string() })?;
    Ok(ReadAnswer { node: own, index: machine.last_applied(), response })
}

#[cfg(test)]
mod tests {
    use raftian_apps::AppKind;
    use raftian_raft::{Configuration, Entry, Options, Payload, Persist, Recovered, Server, Storage, Time, Write};
    use tokio::sync::oneshot;

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

    /// The outcomes of two reads that a leader of itself was asked for.
    fn outcomes(own: NodeId) -> Vec<ReadOutcome> {
        let options = Options { campaigns_first: true, ..Options::new(own, Configuration::new([own]), 1) };
        let mut server = Server::new(options, Recovered::default(), Time::default());
        server.tick(Time::default());
        let mut outcomes = Vec::new();
        let mut asked = false;
        for _ in 0..10 {
            let ready = server.ready();
            outcomes.extend(ready.reads);
            for persisted in Persist::sync_all(ready.persist.into_iter().collect(), &mut NoDisk).unwrap() {
                assert!(server.persisted(Time::default(), persisted).is_empty());
            }
            if server.leader() == Some(own) && !std::mem::replace(&mut asked, true) {
                let tickets = [server.read(Time::default()).unwrap(), server.read(Time::default()).unwrap()];
                assert_ne!(tickets[0], tickets[1]);
            }
        }
        assert_eq!(outcomes.len(), 2);
        outcomes
    }

    #[test]
    fn a_read_waits_until_its_index_is_applied_or_the_lead_is_lost() {
        let own = NodeId::new(1).unwrap();
        let outcomes = outcomes(own);
        assert_eq!(outcomes[0].index, Ok(1), "the no-op");
        let get = || RawValue::from_string(r#"{"get":"k"}"#.to_owned()).unwrap();
        let mut machine = Machine::new(AppKind::Kv, 0).unwrap();
        let mut readers = Readers::default();
        let [mut first, mut second] = [outcomes[0], outcomes[1]].map(|outcome| {
            let (answer, answered) = oneshot::channel();
            readers.add(outcome.ticket, get(), answer);
            answered
        });
        readers.decided(own, outcomes[0]);
        assert_eq!(readers.serve(own, &machine), 0);
        assert!(first.try_recv().is_err());
        machine.apply(&Entry { index: 1, term: 1, payload: Payload::Noop });
        assert_eq!(readers.serve(own, &machine), 1);
        let answer = first.try_recv().unwrap().unwrap();
        assert_eq!((answer.node, answer.index, answer.response.get()), (own, 1, r#"{"outcome":"absent"}"#));

        let lost = raftian_raft::NotLeader { leader: NodeId::new(2) };
        readers.decided(own, ReadOutcome { index: Err(lost), ..outcomes[1] });
        let answer = second.try_recv().unwrap().unwrap_err();
        assert_eq!(answer, NodeError::NotLeader { node: own, leader: NodeId::new(2) });
        assert_eq!(readers.serve(own, &machine), 0);
    }

    #[test]
    fn what_is_no_read_is_refused_in_the_words_of_the_app() {
        let own = NodeId::new(1).unwrap();
        let machine = Machine::new(AppKind::Kv, 0).unwrap();
        let set = RawValue::from_string(r#"{"set":["k","v"]}"#.to_owned()).unwrap();
        let refused = read(own, &machine, &set).unwrap_err();
        assert!(matches!(&refused, NodeError::BadRequest { why } if why.contains("not a read of `kv`")), "{refused}");
    }
}
