//! The network between the nodes: what is lost, what comes late, and what comes twice.
//!
//! Each node asks its own [`Links`], the code that ships, and hears of cuts when the lab's news reaches it. So for a while
//! one end of a link may know of a cut, and the other not.
//!
//! Invariant: the fate of the k-th message over a link depends on the seed, the link, k and the faults on that link at
//! that moment, and on nothing else; a fault that is taken out of a run changes nothing for other links.

use std::time::Duration;

use raftian_driver::{Forwarded, Links};
use raftian_faults::{Effect, Rule, Verdict};
use raftian_raft::{Body, Message};
use raftian_script::LinkEffect;

use crate::coverage::{Coverage, Rare};
use crate::invariant::{id_at, place};
use crate::random::{Stream, random};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    /// It arrives at this time.
    Arrives(u64),
    /// It arrives at both times.
    Twice(u64, u64),
}

/// The links that are cut: by sender, the receivers as bits.
type Cuts = Vec<u64>;

/// All links.
#[derive(Debug)]
pub(crate) struct Network {
    seed: u64,
    effects: Vec<Effect>,
    link_effects: Vec<LinkEffect>,
    /// As the lab has them.
    cuts: Cuts,
    /// Whether nodes are still to hear of that.
    is_news: bool,
    version: u64,
    /// How long news takes to reach a node, in microseconds, at most.
    news_us: u64,
    ends: Vec<End>,
    /// By sender and receiver: nothing arrives before.
    clogged_until_us: Vec<u64>,
    /// By sender and receiver: when the last of its messages arrives.
    latest_us: Vec<u64>,
}

/// One node's end of its links.
#[derive(Debug)]
struct End {
    links: Links,
    /// The cuts it knows of, and since which version. Kept here, so that a node that forgets what it heard is seen.
    known: Cuts,
    version: u64,
    /// What it will know, and when, oldest first.
    coming: Vec<News>,
}

#[derive(Debug)]
struct News {
    at_us: u64,
    version: u64,
    cuts: Cuts,
    rules: Vec<Rule>,
}

impl Network {
    /// A network of which every link has these effects, and some links more. `plant` gives each node its links, with a bug or without.
    pub(crate) fn new(
        seed: u64,
        nodes: usize,
        effects: Vec<Effect>,
        link_effects: Vec<LinkEffect>,
        news_us: u64,
        plant: impl Fn(Links) -> Links,
    ) -> Network {
        let end = |at| {
            let links = plant(Links::new(id_at(at), random([seed, at as u64])));
            End { links, known: vec![0; nodes], version: 0, coming: Vec::new() }
        };
        let mut network = Network {
            seed,
            effects,
            link_effects,
            cuts: vec![0; nodes],
            is_news: true,
            version: 0,
            news_us: 0,
            ends: (0..nodes).map(end).collect(),
            clogged_until_us: vec![0; nodes * nodes],
            latest_us: vec![0; nodes * nodes],
        };
        network.spread(0);
        network.news_us = news_us;
        network
    }

    /// Every link has these effects from now on and no others, and news takes no time.
    pub(crate) fn set_effects(&mut self, effects: Vec<Effect>) {
        self.link_effects.clear();
        (self.effects, self.news_us, self.is_news) = (effects, 0, true);
    }

    /// The link loses everything from now on, or works again.
    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        match cut {
            true => self.cuts[from] |= 1 << to,
            false => self.cuts[from] &= !(1 << to),
        }
        self.is_news = true;
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        has(&self.cuts, from, to)
    }

    /// What is sent over the link arrives no earlier than this.
    pub(crate) fn clog(&mut self, from: usize, to: usize, until_us: u64) {
        let nodes = self.ends.len();
        self.clogged_until_us[from * nodes + to] = until_us;
    }

    /// All links work, and nothing is held up.
    pub(crate) fn heal(&mut self) {
        self.cuts.fill(0);
        self.clogged_until_us.fill(0);
        self.is_news = true;
    }

    /// The lab tells all nodes how things are, if that has changed since; and each knows what has reached it.
    fn spread(&mut self, now_us: u64) {
        if std::mem::take(&mut self.is_news) {
            self.version += 1;
            let nodes = self.ends.len();
            for at in 0..nodes {
                let takes_us = match self.news_us {
                    0 => 0,
                    longest => random([self.seed, Stream::News as u64, at as u64, self.version]) % longest,
                };
                let others = (0..nodes).filter(|other| *other != at);
                let links = others.flat_map(|other| [(at, other), (other, at)]);
                let rules = links.flat_map(|(from, to)| self.rules(from, to)).collect();
                let (version, cuts) = (self.version, self.cuts.clone());
                self.ends[at].coming.push(News { at_us: now_us + takes_us, version, cuts, rules });
            }
        }
        for end in self.ends.iter_mut().filter(|end| !end.coming.is_empty()) {
            for news in end.coming.extract_if(.., |news| news.at_us <= now_us) {
                end.links.configure(news.version, news.rules);
                if news.version > end.version {
                    (end.version, end.known) = (news.version, news.cuts);
                }
            }
        }
    }

    fn rules(&self, from: usize, to: usize) -> impl Iterator<Item = Rule> {
        // A cut comes last, so that it changes nothing for what follows on this link.
        let cut = self.is_cut(from, to).then_some(Effect::CUT);
        let rule = move |effect| Rule { from: from as u16 + 1, to: to as u16 + 1, effect };
        let here = self.link_effects.iter().filter(move |on| (place(on.from), place(on.to)) == (from, to));
        self.effects.iter().copied().chain(here.map(|on| on.effect)).chain(cut).map(rule)
    }

    /// What becomes of a message that is about to leave. The caller judges both ways; the node that is called asks whether
    /// its reply may leave at all.
    pub(crate) fn judge(&mut self, message: &Message, now_us: u64, coverage: &mut Coverage) -> Fate {
        self.spread(now_us);
        let (from, to) = (place(message.from), place(message.to));
        let verdict = match message.body {
            Body::Request(_) => self.ends[from].links.request_leaves(message.to),
            Body::Reply(_) => self.reply_verdict(from, to),
        };
        self.carry_out(verdict, from, to, now_us, coverage)
    }

    /// What a verdict comes to on a link.
    fn carry_out(&mut self, verdict: Verdict, from: usize, to: usize, now_us: u64, coverage: &mut Coverage) -> Fate {
        let link = from * self.ends.len() + to;
        let mut arrives = |delay: Duration| {
            let (due_us, held_us) = (now_us + delay.as_micros() as u64, self.clogged_until_us[link]);
            let (at_us, latest_us) = (due_us.max(held_us), &mut self.latest_us[link]);
            let seen = [
                (due_us > now_us, Rare::MessageDelayed),
                (held_us > due_us, Rare::HeldByClog),
                (at_us < *latest_us, Rare::MessageOvertook),
            ];
            seen.into_iter().filter(|(is_so, _)| *is_so).for_each(|(_, rare)| coverage.note_rare(rare));
            *latest_us = at_us.max(*latest_us);
            at_us
        };
        match verdict {
            Verdict::Drop => {
                let is_cut = self.knows_cut(from, from, to) || self.knows_cut(to, from, to);
                coverage.note_rare(if is_cut { Rare::LostAtCut } else { Rare::MessageLost });
                Fate::Lost
            }
            Verdict::Pass => Fate::Arrives(arrives(Duration::ZERO)),
            Verdict::Delay(delay) => Fate::Arrives(arrives(delay)),
            Verdict::Twice(first, second) => {
                let (first_us, second_us) = (arrives(first), arrives(second));
                coverage.note_rare(Rare::MessageTwice);
                Fate::Twice(first_us, second_us)
            }
        }
    }

    /// Whether a node that is called takes a request in.
    pub(crate) fn admits(&mut self, from: usize, to: usize, now_us: u64) -> bool {
        self.spread(now_us);
        self.ends[to].links.request_arrives(id_at(from)).is_ok()
    }

    /// Whether a node knows that a link of its own is cut.
    pub(crate) fn knows_cut(&self, node: usize, from: usize, to: usize) -> bool {
        has(&self.ends[node].known, from, to)
    }

    /// What becomes of a client's question that a node passes on to the leader, and what says in the end what the client
    /// may hear.
    pub(crate) fn pass_on(
        &mut self,
        from: usize,
        to: usize,
        now_us: u64,
        coverage: &mut Coverage,
    ) -> (Fate, Forwarded) {
        self.spread(now_us);
        let (verdict, forwarded) = self.ends[from].links.question_leaves(id_at(to));
        (self.carry_out(verdict, from, to, now_us, coverage), forwarded)
    }

    /// When the leader's answer reaches the node that passed the question on; `None` if it is lost.
    pub(crate) fn answer_returns(
        &mut self,
        from: usize,
        to: usize,
        now_us: u64,
        coverage: &mut Coverage,
    ) -> Option<u64> {
        self.spread(now_us);
        let verdict = self.reply_verdict(from, to);
        match self.carry_out(verdict, from, to, now_us, coverage) {
            Fate::Lost => None,
            Fate::Arrives(at_us) | Fate::Twice(at_us, _) => Some(at_us),
        }
    }

    /// What becomes of a reply. Both ends are asked, whatever the first one says, so that a cut changes nothing for what
    /// follows.
    fn reply_verdict(&mut self, from: usize, to: usize) -> Verdict {
        let returns = self.ends[to].links.reply_returns(id_at(from));
        self.ends[from].links.reply_leaves(id_at(to)).map_or(Verdict::Drop, |()| returns)
    }
}

fn has(cuts: &Cuts, from: usize, to: usize) -> bool {
    cuts[from] & (1 << to) != 0
}
