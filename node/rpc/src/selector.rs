//! Selectors: how a command names nodes. `n3`, `n3.2`, `n1-3`, `n1,n4`, `@leader`, `@followers`, `@any`, `@any:2`,
//! `@minority`, `@majority`, `@all`, `!n2`.
//!
//! Grammar: terms separated by commas. A term may be prefixed with `!`, which removes instead of adds; a selector
//! of nothing but removals starts from `@all`. Terms apply from left to right.
//!
//! Invariant: resolution is a pure function of the selector, the [`Facts`] and a generator, so the daemon and a
//! simulator agree on what it names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{NodeId, Term};

/// A parsed selector. Displays as it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Selector {
    text: String,
    terms: Vec<(Sign, Atom)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Add,
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Atom {
    Range(NodeId, NodeId),
    Leader,
    Followers,
    Any(u16),
    Minority,
    Majority,
    All,
}

/// What resolution may look at.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// All nodes of the lab, running or not.
    pub nodes: BTreeSet<NodeId>,
    /// Those whose process is running and not paused. `@followers`, `@any`, `@minority` and `@majority` choose
    /// among these, voters and learners alike where nothing else is said.
    pub running: BTreeSet<NodeId>,
    /// Those with a vote, running or not. They alone are counted, and drawn, for `@minority` and `@majority`.
    pub voters: BTreeSet<NodeId>,
    /// The claimant of the highest term that has heard from a quorum recently.
    pub leader: Option<(NodeId, Term)>,
}

/// Why a selector was not understood, or names nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectorError {
    /// Not in the grammar.
    #[error("`{term}` is not a node selector; {}", hint(.term))]
    Syntax {
        /// The term that was not understood.
        term: String,
    },
    /// A node that is not in the lab.
    #[error("there is no node {node}; this lab has {known}")]
    NoSuchNode {
        /// The node asked for.
        node: NodeId,
        /// The nodes there are.
        known: String,
    },
    /// `@leader`, but nobody leads.
    #[error("`{selector}`: no node leads with a quorum right now")]
    NoLeader {
        /// The selector.
        selector: String,
    },
    /// `@any:k` with fewer than k nodes running.
    #[error("`{selector}` asks for {wanted} running nodes, and there are {running}")]
    TooFew {
        /// The selector.
        selector: String,
        /// How many it asks for.
        wanted: u16,
        /// How many are running.
        running: usize,
    },
    /// Nothing is left.
    #[error("`{selector}` selects no node")]
    Empty {
        /// The selector.
        selector: String,
    },
}

impl Selector {
    /// The selector of one node.
    pub fn node(id: NodeId) -> Selector {
        Selector { text: id.to_string(), terms: vec![(Sign::Add, Atom::Range(id, id))] }
    }

    /// The one node that the selector names by its name, if it is no more than that.
    pub fn as_node(&self) -> Option<NodeId> {
        match self.terms[..] {
            [(Sign::Add, Atom::Range(first, last))] if first == last => Some(first),
            _ => None,
        }
    }

    /// Whether what the selector names depends on the state of the lab, so that a person wants to be told.
    pub fn is_dynamic(&self) -> bool {
        self.terms.iter().any(|(_, atom)| !matches!(atom, Atom::Range(..) | Atom::All))
    }

    /// The nodes the selector names now. `@any` draws from `random`.
    ///
    /// # Errors
    /// When it names a node the lab does not have, a leader where there is none, or nothing at all.
    pub fn resolve(&self, facts: &Facts, random: &mut fastrand::Rng) -> Result<BTreeSet<NodeId>, SelectorError> {
        let starts_with_removal = self.terms.first().is_some_and(|(sign, _)| *sign == Sign::Remove);
        let mut chosen = if starts_with_removal { facts.nodes.clone() } else { BTreeSet::new() };
        for (sign, atom) in &self.terms {
            let named = self.resolve_atom(*atom, facts, random)?;
            match sign {
                Sign::Add => chosen.extend(named),
                Sign::Remove => chosen.retain(|node| !named.contains(node)),
            }
        }
        match chosen.is_empty() {
            true => Err(SelectorError::Empty { selector: self.text.clone() }),
            false => Ok(chosen),
        }
    }

    fn resolve_atom(
        &self,
        atom: Atom,
        facts: &Facts,
        random: &mut fastrand::Rng,
    ) -> Result<BTreeSet<NodeId>, SelectorError> {
        match atom {
            Atom::All => Ok(facts.nodes.clone()),
            Atom::Range(first, last) => {
                let among = (first.number()..=last.number()).filter_map(NodeId::new);
                let named = among.map(|name| if first == last { first } else { name });
                named
                    .map(|node| {
                        let known = || names(&facts.nodes);
                        meant(node, &facts.nodes).ok_or_else(|| SelectorError::NoSuchNode { node, known: known() })
                    })
                    .collect()
            }
            Atom::Leader => match facts.leader {
                Some((leader, _)) => Ok(BTreeSet::from([leader])),
                None => Err(SelectorError::NoLeader { selector: self.text.clone() }),
            },
            Atom::Followers => {
                let leader = facts.leader.map(|(leader, _)| leader);
                Ok(facts.running.iter().copied().filter(|node| Some(*node) != leader).collect())
            }
            Atom::Any(count) => self.draw(usize::from(count), facts.running.clone(), random),
            // The largest set that a cluster of these voters survives losing, and the smallest it does not.
            Atom::Minority => self.draw(facts.voters.len().saturating_sub(1) / 2, facts.running_voters(), random),
            Atom::Majority => self.draw(facts.voters.len() / 2 + 1, facts.running_voters(), random),
        }
    }

    fn draw(
        &self,
        count: usize,
        running: BTreeSet<NodeId>,
        random: &mut fastrand::Rng,
    ) -> Result<BTreeSet<NodeId>, SelectorError> {
        let mut running: Vec<NodeId> = running.into_iter().collect();
        if running.len() < count {
            let wanted = u16::try_from(count).unwrap_or(u16::MAX);
            return Err(SelectorError::TooFew { selector: self.text.clone(), wanted, running: running.len() });
        }
        random.shuffle(&mut running);
        Ok(running.into_iter().take(count).collect())
    }
}

impl Facts {
    fn running_voters(&self) -> BTreeSet<NodeId> {
        self.running.intersection(&self.voters).copied().collect()
    }
}

/// Which of these nodes a person means: this one, or by its bare name whichever there is, and the latest if there are
/// several.
pub fn meant<'a>(named: NodeId, among: impl IntoIterator<Item = &'a NodeId>) -> Option<NodeId> {
    let is_meant = |node: &&NodeId| **node == named || named == named.name() && node.name() == named;
    among.into_iter().filter(is_meant).max().copied()
}

/// Node names as people write them: `n1,n2,n5`.
pub fn names<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> String {
    nodes.into_iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        let terms = text.split(',').map(parse_term).collect::<Result<_, _>>()?;
        Ok(Selector { text: text.to_owned(), terms })
    }
}

/// What was probably meant by a term that is none, or else what there is.
fn hint(term: &str) -> String {
    const WORDS: [&str; 6] = ["leader", "followers", "any", "minority", "majority", "all"];
    let word = term.trim_start_matches(['!', '@']).to_ascii_lowercase();
    let is_near =
        |name: &&&str| word.len() >= 3 && (name.starts_with(&word) || word.starts_with(&name[..name.len() - 1]));
    if let Some(name) = WORDS.iter().find(is_near) {
        return format!("did you mean `@{name}`?");
    }
    // node3, N3, m3 and 3 are n3.
    let digits = word.trim_start_matches(|character: char| character.is_ascii_alphabetic());
    match format!("n{digits}").parse::<NodeId>() {
        Ok(node) => format!("did you mean `{node}`?"),
        Err(_) => {
            "use n3 (nodes are n1 to n65535; n3.2 is the second of that name), n1-3, n1,n4, @leader, @followers, \
                   @any, @any:2, @minority, @majority, @all, or !n2"
                .to_owned()
        }
    }
}

fn parse_term(term: &str) -> Result<(Sign, Atom), SelectorError> {
    let syntax = || SelectorError::Syntax { term: term.to_owned() };
    let (sign, body) = match term.strip_prefix('!') {
        Some(rest) => (Sign::Remove, rest),
        None => (Sign::Add, term),
    };
    let atom = match body {
        "@leader" => Atom::Leader,
        "@followers" => Atom::Followers,
        "@any" => Atom::Any(1),
        "@minority" => Atom::Minority,
        "@majority" => Atom::Majority,
        "@all" => Atom::All,
        _ => match body.strip_prefix("@any:") {
            Some(count) => Atom::Any(count.parse().ok().filter(|count| *count > 0).ok_or_else(syntax)?),
            None => parse_range(body).ok_or_else(syntax)?,
        },
    };
    Ok((sign, atom))
}

/// `n3`, or `n1-3` (also `n1-n3`, and with the dash of a sentence, `n1–n3`).
fn parse_range(text: &str) -> Option<Atom> {
    let Some((first, last)) = text.split_once(['-', '–']) else {
        let node = text.parse().ok()?;
        return Some(Atom::Range(node, node));
    };
    let first: NodeId = first.parse().ok()?;
    let last: NodeId = match last.starts_with('n') {
        true => last.parse().ok()?,
        false => format!("n{last}").parse().ok()?,
    };
    let are_names = first == first.name() && last == last.name();
    (first <= last && are_names).then_some(Atom::Range(first, last))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectorError;

    fn try_from(text: String) -> Result<Selector, SelectorError> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> String {
        selector.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            nodes: NodeId::first(5).collect(),
            running: ["n1", "n2", "n3", "n5"].map(|id| id.parse().unwrap()).into(),
            voters: NodeId::first(5).collect(),
            leader: Some(("n2".parse().unwrap(), 7)),
        }
    }

    fn resolve(text: &str) -> Result<String, SelectorError> {
        let chosen = text.parse::<Selector>()?.resolve(&facts(), &mut fastrand::Rng::with_seed(1))?;
        Ok(names(&chosen))
    }

    #[test]
    fn what_is_no_selector_is_refused_with_what_was_probably_meant() {
        let hinted = |text: &str| text.parse::<Selector>().unwrap_err().to_string();
        for (text, meant) in [
            ("leader", "@leader"),
            ("@lead", "@leader"),
            ("@leaders", "@leader"),
            ("!follower", "@followers"),
            ("node3", "n3"),
            ("n1,3", "n3"),
            ("N2", "n2"),
        ] {
            assert!(hinted(text).ends_with(&format!("; did you mean `{meant}`?")), "{}", hinted(text));
        }
        for text in ["zebra", "n0", "n1..3", "", "@"] {
            assert!(hinted(text).contains("use n3 (nodes are n1 to n65535"), "{}", hinted(text));
        }
        assert_eq!(resolve("n1–n3"), resolve("n1-3"));
    }

    #[test]
    fn every_form_of_the_grammar_resolves() {
        for (text, expected) in [
            ("n3", "n3"),
            ("n1-3", "n1,n2,n3"),
            ("n1-n3", "n1,n2,n3"),
            ("n1,n4", "n1,n4"),
            ("@leader", "n2"),
            ("@followers", "n1,n3,n5"),
            ("@all", "n1,n2,n3,n4,n5"),
            ("!n2", "n1,n3,n4,n5"),
            ("@all,!@leader", "n1,n3,n4,n5"),
            ("n1-3,!n2", "n1,n3"),
            ("!@leader,!n5", "n1,n3,n4"),
        ] {
            assert_eq!(resolve(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_name_means_the_node_that_has_it_now() {
        let facts = Facts { nodes: ["n1", "n2.3", "n3"].map(|id| id.parse().unwrap()).into(), ..facts() };
        let resolve = |text: &str| {
            let chosen = text.parse::<Selector>()?.resolve(&facts, &mut fastrand::Rng::with_seed(1))?;
            Ok::<_, SelectorError>(names(&chosen))
        };
        for (text, expected) in [("n2", "n2.3"), ("n2.3", "n2.3"), ("n1-3", "n1,n2.3,n3"), ("!n2", "n1,n3")] {
            assert_eq!(resolve(text).as_deref(), Ok(expected), "{text}");
        }
        let gone = resolve("n2.2").unwrap_err().to_string();
        assert!(gone.contains("there is no node n2.2; this lab has n1,n2.3,n3"), "{gone}");
        assert!(resolve("n1.2").is_err(), "it was never added again");
    }

    #[test]
    fn draws_have_the_size_they_name_and_come_from_the_running() {
        for (text, size) in [("@any", 1), ("@any:2", 2), ("@minority", 2), ("@majority", 3)] {
            let chosen = text.parse::<Selector>().unwrap().resolve(&facts(), &mut fastrand::Rng::with_seed(3)).unwrap();
            assert_eq!(chosen.len(), size, "{text}");
            assert!(chosen.is_subset(&facts().running), "{text}: {chosen:?}");
        }
    }

    #[test]
    fn who_has_no_vote_is_no_part_of_a_majority() {
        let facts = Facts { voters: ["n1", "n2", "n5"].map(|id| id.parse().unwrap()).into(), ..facts() };
        for (text, size) in [("@minority", 1), ("@majority", 2)] {
            for seed in 0..20 {
                let random = &mut fastrand::Rng::with_seed(seed);
                let chosen = text.parse::<Selector>().unwrap().resolve(&facts, random).unwrap();
                assert_eq!(chosen.len(), size, "{text}");
                assert!(chosen.is_subset(&facts.voters), "{text}: {chosen:?}");
            }
        }
    }

    #[test]
    fn a_name_is_told_from_what_has_to_be_looked_up() {
        let as_node = |text: &str| text.parse::<Selector>().unwrap().as_node();
        assert_eq!(as_node("n9"), "n9".parse().ok(), "whether there is such a node or not");
        for text in ["n1-2", "n1,n2", "@leader", "!n1", "@all"] {
            assert_eq!(as_node(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "", ",", "n", "leader", "@boss", "@any:0", "@any:x", "n3-1", "n1.2-3", "n1-n3.2", "n2.1", "n1--2", "!",
            "n1,,n2",
        ] {
            assert!(matches!(resolve(text), Err(SelectorError::Syntax { .. })), "{text:?}");
        }
        assert!(matches!(resolve("n6"), Err(SelectorError::NoSuchNode { .. })));
        assert!(matches!(resolve("@any:5"), Err(SelectorError::TooFew { .. })));
        assert!(matches!(resolve("n1,!n1"), Err(SelectorError::Empty { .. })));
        let nobody = Facts { leader: None, ..facts() };
        let leader: Selector = "@leader".parse().unwrap();
        assert!(leader.resolve(&nobody, &mut fastrand::Rng::with_seed(1)).is_err());
    }
}
