//! The links of one node: what a request and its reply must pass.
//!
//! A call crosses two directed links, there and back. The caller judges both ways, so that each message is judged once.
//! The node that is called asks only whether a link is cut, which is the same however often it is asked, and keeps a
//! partition tight while one end has not heard of it yet.
//!
//! Invariant: to the core a fault is silence, never an error that it could not have met without faults.
//!
//! Deliberately absent: delays that pass by themselves. The host waits, on its clock.

use raftian_faults::{Filter, Link, Rule, Verdict};
use raftian_raft::NodeId;

use crate::forward::Forwarded;
use crate::mutant::{Mutant, Planted};

/// What gets through from and to one node, as far as the node has heard.
#[derive(Debug)]
pub struct Links {
    own: NodeId,
    version: u64,
    filter: Filter,
    planted: Planted,
}

/// Nothing gets through this link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkCut {
    /// The sending end.
    pub from: NodeId,
    /// The receiving end.
    pub to: NodeId,
}

impl Links {
    /// Links without faults. `seed` is that of the run: two nodes do not draw the same for the two directions of a link.
    pub fn new(own: NodeId, seed: u64) -> Links {
        let filter = Filter::new(seed.rotate_left(16) ^ u64::from(own.number()));
        Links { own, version: 0, filter, planted: Planted::default() }
    }

    /// The same links with a bug.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn plant(mut self, mutant: Mutant) -> Links {
        self.planted = Planted { mutant: Some(mutant) };
        self
    }

    /// Takes in the faults of a version, unless a version as late is known. Says whether it did.
    ///
    /// # Panics
    /// When an effect is not valid; those from outside have been checked by deserialising them.
    pub fn configure(&mut self, version: u64, rules: Vec<Rule>) -> bool {
        let is_news = version > self.version;
        if is_news {
            self.filter.set_rules(rules);
            self.version = version;
        }
        is_news
    }

    /// The version of the faults in force; 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    // At the caller.

    /// What is to become of a request on its way to a peer.
    pub fn request_leaves(&mut self, peer: NodeId) -> Verdict {
        self.filter.judge(link(self.own, peer))
    }

    /// What is to become of a client's question on its way to the leader; and what says in the end what its client may
    /// hear. Where the verdict is `Twice`, no answer to the second copy is read.
    pub fn question_leaves(&mut self, leader: NodeId) -> (Verdict, Forwarded) {
        let verdict = self.request_leaves(leader);
        let forwarded = Forwarded::of(&verdict, self.planted);
        (verdict, forwarded)
    }

    /// What is to become of a peer's reply, or a leader's answer, on its way back.
    pub fn reply_returns(&mut self, peer: NodeId) -> Verdict {
        match self.filter.judge(link(peer, self.own)) {
            _ if self.planted.has(Mutant::ReplyFaultsIgnored) => Verdict::Pass,
            verdict => verdict,
        }
    }

    // At the node that is called.

    /// Whether a peer's request may be taken in.
    ///
    /// # Errors
    /// When the link from the peer is cut.
    pub fn request_arrives(&self, peer: NodeId) -> Result<(), LinkCut> {
        if self.planted.has(Mutant::RequestLinkNotAsked) { Ok(()) } else { self.check(peer, self.own) }
    }

    /// Whether the reply to a peer's request may leave.
    ///
    /// # Errors
    /// When the link to the peer is cut.
    pub fn reply_leaves(&self, peer: NodeId) -> Result<(), LinkCut> {
        if self.planted.has(Mutant::ReplyLinkNotAsked) { Ok(()) } else { self.check(self.own, peer) }
    }

    fn check(&self, from: NodeId, to: NodeId) -> Result<(), LinkCut> {
        if self.filter.is_cut(link(from, to)) { Err(LinkCut { from, to }) } else { Ok(()) }
    }
}

fn link(from: NodeId, to: NodeId) -> Link {
    Link { from: from.number(), to: to.number() }
}

#[cfg(test)]
mod tests {
    use raftian_faults::Effect;

    use super::*;

    fn id(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    /// The links of n1 where this link is cut.
    fn cut(from: u16, to: u16) -> Links {
        let mut links = Links::new(id(1), 7);
        assert!(links.configure(1, vec![Rule { from, to, effect: Effect::CUT }]));
        links
    }

    /// What passes: a request to n2 and its reply, and a request of n2 and its reply.
    fn passes(mut links: Links) -> [bool; 4] {
        [
            links.request_leaves(id(2)) == Verdict::Pass,
            links.reply_returns(id(2)) == Verdict::Pass,
            links.request_arrives(id(2)).is_ok(),
            links.reply_leaves(id(2)).is_ok(),
        ]
    }

    #[test]
    fn each_of_the_four_ways_asks_for_the_link_that_it_crosses() {
        assert_eq!(passes(Links::new(id(1), 7)), [true; 4]);
        assert_eq!(passes(cut(1, 2)), [false, true, true, false], "what n1 says to n2 is lost");
        assert_eq!(passes(cut(2, 1)), [true, false, false, true], "what n2 says to n1 is lost");
        assert_eq!(passes(cut(1, 3)), [true; 4]);
        let refused = cut(2, 1).request_arrives(id(2));
        assert_eq!(refused, Err(LinkCut { from: id(2), to: id(1) }));
    }

    #[test]
    fn faults_other_than_a_cut_are_judged_by_the_caller_alone() {
        let drops = Effect::drop(0.999_999).unwrap();
        let mut links = Links::new(id(1), 7);
        links.configure(1, vec![Rule { from: 1, to: 2, effect: drops }, Rule { from: 2, to: 1, effect: drops }]);
        assert_eq!(passes(links), [false, false, true, true]);
    }

    #[test]
    fn an_older_configuration_comes_too_late() {
        let mut links = cut(1, 2);
        assert!(!links.configure(1, Vec::new()));
        assert_eq!((links.version(), links.request_leaves(id(2))), (1, Verdict::Drop));
        assert!(links.configure(2, Vec::new()));
        assert_eq!((links.version(), links.request_leaves(id(2))), (2, Verdict::Pass));
    }
}
