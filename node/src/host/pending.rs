//! The pending requests of clients, and how the outcomes of the driver become answers on the wire.
//!
//! Invariant: the answer to a command is [`NodeError::TimedOut`] if it may still be applied, and another error only if
//! it never will be.

use raftian_driver::{CommandOutcome, ReadOutcome};
use raftian_raft::NodeId;
use raftian_rpc::client::{ReadAnswer, Submitted};
use raftian_rpc::error::NodeError;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Where an answer goes. The caller may have gone meanwhile.
pub(crate) type Answer<T> = oneshot::Sender<T>;

/// A pending command or read of a client. The handler of its call waits for the answer.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    answer: Answer<Heard<T>>,
    since: Instant,
}

/// The answer to the handler.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    /// The outcome at this node.
    Outcome(Result<T, NodeError>),
    /// This node leads and must answer; forward the request to it. Nothing was done here.
    PassOn(NodeId),
}

impl<T> Pending<T> {
    /// A request that waits from now on.
    pub(crate) fn new(answer: Answer<Heard<T>>) -> Pending<T> {
        Pending { answer, since: Instant::now() }
    }

    /// Another node leads: the handler forwards the request to it.
    pub(crate) fn pass_on(self, leader: NodeId) {
        self.send(Heard::PassOn(leader));
    }

    fn send(self, heard: Heard<T>) {
        // A client that has gone meanwhile gets no answer.
        let _ = self.answer.send(heard);
    }
}

impl Pending<Submitted> {
    /// Answers with the outcome of the command at this node, `own`.
    pub(crate) fn tell(self, own: NodeId, outcome: CommandOutcome) {
        let outcome = match outcome {
            CommandOutcome::Applied { index, term, duplicate, response } => {
                Ok(Submitted { index, term, leader: own, duplicate, response })
            }
            CommandOutcome::Replaced => Err(NodeError::Replaced),
            CommandOutcome::Unknown => Err(NodeError::TimedOut { waited_ms: self.since.elapsed().as_millis() as u64 }),
            CommandOutcome::NotLeader { leader } => Err(NodeError::NotLeader { node: own, leader }),
            CommandOutcome::NoLeader => Err(NodeError::NoLeader { node: own }),
            CommandOutcome::TooMuchUncommitted { bytes } => Err(NodeError::TooMuchUncommitted { node: own, bytes }),
        };
        self.send(Heard::Outcome(outcome));
    }
}

impl Pending<ReadAnswer> {
    /// Answers with the outcome of the read at this node, `own`.
    pub(crate) fn tell(self, own: NodeId, outcome: ReadOutcome) {
        let outcome = match outcome {
            ReadOutcome::Served { index, response } => Ok(ReadAnswer { node: own, index, response }),
            ReadOutcome::NotLeader { leader } => Err(NodeError::NotLeader { node: own, leader }),
            ReadOutcome::NoLeader => Err(NodeError::NoLeader { node: own }),
            ReadOutcome::Stopping => Err(NodeError::ShuttingDown { node: own }),
            ReadOutcome::NotARead(why) => Err(NodeError::BadRequest { why }),
        };
        self.send(Heard::Outcome(outcome));
    }
}

#[cfg(test)]
mod tests {
    use raftian_apps::Response;

    use super::*;

    fn id(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    /// The answer to the handler of a client's call at n1.
    fn heard<T>(tell: impl FnOnce(Pending<T>)) -> Heard<T> {
        let (answer, mut answered) = oneshot::channel();
        tell(Pending::new(answer));
        answered.try_recv().unwrap()
    }

    fn refusal<T: std::fmt::Debug>(tell: impl FnOnce(Pending<T>)) -> NodeError {
        let Heard::Outcome(outcome) = heard(tell) else { panic!("passed on") };
        outcome.unwrap_err()
    }

    #[test]
    fn a_command_is_answered_as_it_fared() {
        let command = |outcome| heard(|client: Pending<Submitted>| client.tell(id(1), outcome));
        let response = Response::of(&7);
        let applied = CommandOutcome::Applied { index: 5, term: 3, duplicate: true, response };
        let Heard::Outcome(Ok(submitted)) = command(applied) else { panic!("it was applied") };
        assert_eq!((submitted.index, submitted.term, submitted.leader), (5, 3, id(1)));
        assert_eq!((submitted.duplicate, submitted.response.get()), (true, "7"));

        let refused = |outcome| refusal(|client: Pending<Submitted>| client.tell(id(1), outcome));
        assert_eq!(refused(CommandOutcome::Replaced), NodeError::Replaced);
        assert!(matches!(refused(CommandOutcome::Unknown), NodeError::TimedOut { .. }));
        assert_eq!(refused(CommandOutcome::NoLeader), NodeError::NoLeader { node: id(1) });
        let full = NodeError::TooMuchUncommitted { node: id(1), bytes: 9 };
        assert_eq!(refused(CommandOutcome::TooMuchUncommitted { bytes: 9 }), full);
        let leader = NodeId::new(2);
        assert_eq!(refused(CommandOutcome::NotLeader { leader }), NodeError::NotLeader { node: id(1), leader });
        assert!(matches!(heard(|client: Pending<Submitted>| client.pass_on(id(2))), Heard::PassOn(to) if to == id(2)));
    }

    #[test]
    fn a_read_is_answered_as_it_fared() {
        let served = ReadOutcome::Served { index: 5, response: Response::of(&7) };
        let Heard::Outcome(Ok(answer)) = heard(|client: Pending<ReadAnswer>| client.tell(id(1), served)) else {
            panic!("it was served")
        };
        assert_eq!((answer.node, answer.index, answer.response.get()), (id(1), 5, "7"));

        let refused = |outcome| refusal(|client: Pending<ReadAnswer>| client.tell(id(1), outcome));
        assert_eq!(refused(ReadOutcome::NoLeader), NodeError::NoLeader { node: id(1) });
        assert_eq!(refused(ReadOutcome::Stopping), NodeError::ShuttingDown { node: id(1) });
        let leader = NodeId::new(2);
        assert_eq!(refused(ReadOutcome::NotLeader { leader }), NodeError::NotLeader { node: id(1), leader });
        assert_eq!(refused(ReadOutcome::NotARead("a write".into())), NodeError::BadRequest { why: "a write".into() });
    }
}
