//! The journal for a reader: what repeats itself is told once, with how often, how long, and what began it.
//!
//! Invariant: nothing but attempts to be elected is folded, and nothing is moved: a folded line stands where the first of
//! its events does, and every other event keeps its own.

use std::collections::BTreeMap;

use raftian_rpc::lab::{Event, Happening};
use raftian_rpc::{NodeId, RaftEvent, RoleKind, Term};
use raftian_why::words::spell_ms;

use crate::words;
use raftian_view::story;

/// So many attempts are folded; fewer are shown as they are.
const MANY: usize = 3;

/// A line: when it began, and what happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) unix_ms: u64,
    pub(crate) text: String,
}

/// The attempts of one node to be elected, while nothing else happens.
struct Attempts<'a> {
    /// Its events, each with its place among the lines.
    events: Vec<(usize, &'a Event)>,
    asked: usize,
    terms: (Term, Term),
}

/// The lines of these events. `all` is the whole journal, as far as it is known, to find what began an attempt.
pub(crate) fn lines(events: &[&Event], all: &[Event]) -> Vec<Line> {
    let mut lines: Vec<Option<Line>> = events.iter().map(|event| Some(line(event))).collect();
    let mut open: BTreeMap<NodeId, Attempts<'_>> = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        match attempt(event, &open) {
            Some((node, term, asks)) => {
                let new = || Attempts { events: Vec::new(), asked: 0, terms: (term, term) };
                let attempts = open.entry(node).or_insert_with(new);
                attempts.events.push((place, event));
                attempts.asked += usize::from(asks);
                attempts.terms.1 = term;
            }
            None => close(&mut open, &mut lines, all),
        }
    }
    close(&mut open, &mut lines, all);
    lines.into_iter().flatten().collect()
}

/// The node, the term and whether it asks, of an event that belongs to an attempt: it asks for votes, or, after it has,
/// gives up for the moment.
fn attempt(event: &Event, open: &BTreeMap<NodeId, Attempts<'_>>) -> Option<(NodeId, Term, bool)> {
    let Happening::Raft { node, event } = &event.what else { return None };
    match event {
        RaftEvent::Role { role: RoleKind::PreCandidate | RoleKind::Candidate, term, .. } => Some((*node, *term, true)),
        RaftEvent::Role { role: RoleKind::Follower, term, leader: None } if open.contains_key(node) => {
            Some((*node, *term, false))
        }
        RaftEvent::Voted { term, candidate } if candidate == node && open.contains_key(node) => {
            Some((*node, *term, false))
        }
        _ => None,
    }
}

/// Something else has happened: attempts that were many become one line, in the place of the first.
fn close(open: &mut BTreeMap<NodeId, Attempts<'_>>, lines: &mut [Option<Line>], all: &[Event]) {
    for (node, Attempts { events, asked, terms: (first, last) }) in std::mem::take(open) {
        let ([(place, begin), ..], [.., (_, end)], true) = (&events[..], &events[..], asked >= MANY) else { continue };
        events.iter().for_each(|(place, _)| lines[*place] = None);
        let took = spell_ms(end.at_ns.saturating_sub(begin.at_ns) / 1_000_000);
        let terms = if first == last { format!("term {first}") } else { format!("terms {first}–{last}") };
        let began = cause(begin, all).map_or(String::new(), |cause| format!(", since {cause}"));
        let text = format!("{node} asked for votes {asked} times, {terms}, {took}{began}");
        lines[*place] = Some(Line { unix_ms: begin.unix_ms, text });
    }
}

/// What was done last before an attempt: a kill, a pause, a fault.
fn cause(begin: &Event, all: &[Event]) -> Option<String> {
    let earlier = all.iter().rev().filter(|event| event.seq < begin.seq);
    earlier
        .filter_map(|event| match &event.what {
            Happening::Acted { action, resolved } => {
                Some(format!("{} {}", words::typed(*action), words::resolved(resolved)))
            }
            Happening::FaultAdded { fault } => Some(format!("{}: {}", fault.id, fault.title)),
            _ => None,
        })
        .take(1)
        .next()
}

fn line(event: &Event) -> Line {
    Line { unix_ms: event.unix_ms, text: story::happening(&event.what) }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::lab::{Action, Resolution};

    use super::*;

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn journal(what: Vec<Happening>) -> Vec<Event> {
        let numbered = (1..).zip(what);
        numbered.map(|(seq, what)| Event { seq, at_ns: seq * 200_000_000, unix_ms: seq * 200, what }).collect()
    }

    fn role(number: u16, role: RoleKind, term: Term, leader: Option<u16>) -> Happening {
        Happening::Raft { node: n(number), event: RaftEvent::Role { role, term, leader: leader.map(n) } }
    }

    fn told(events: &[Event]) -> Vec<String> {
        lines(&events.iter().collect::<Vec<_>>(), events).into_iter().map(|line| line.text).collect()
    }

    fn kill() -> Happening {
        let resolved = Resolution { selector: "n1,n2".parse().unwrap(), nodes: [n(1), n(2)].into(), leader: None };
        Happening::Acted { action: Action::Kill, resolved }
    }

    #[test]
    fn attempts_that_repeat_themselves_are_one_line_with_what_began_them() {
        let mut what = vec![kill()];
        for _ in 0..5 {
            what.push(role(3, RoleKind::PreCandidate, 3, None));
            what.push(role(4, RoleKind::PreCandidate, 3, None));
            what.push(role(4, RoleKind::Follower, 3, None));
        }
        what.push(role(3, RoleKind::Leader, 4, Some(3)));
        assert_eq!(
            told(&journal(what)),
            [
                "kill n1,n2",
                "n3 asked for votes 5 times, term 3, 2.4 s, since kill n1,n2",
                "n4 asked for votes 5 times, term 3, 2.6 s, since kill n1,n2",
                "n3 leads term 4",
            ]
        );
    }

    #[test]
    fn a_few_attempts_stay_where_they_were() {
        let what = [3, 4, 3, 4].map(|number| role(number, RoleKind::PreCandidate, 3, None));
        let asks = |number: u16| format!("n{number} asks for pre-votes (term 3)");
        assert_eq!(told(&journal(what.into())), [asks(3), asks(4), asks(3), asks(4)]);
    }

    #[test]
    fn an_election_that_succeeds_is_shown_step_by_step() {
        let vote = Happening::Raft { node: n(3), event: RaftEvent::Voted { term: 4, candidate: n(3) } };
        let what = vec![
            role(3, RoleKind::PreCandidate, 3, None),
            role(3, RoleKind::Candidate, 4, None),
            vote,
            role(3, RoleKind::Leader, 4, Some(3)),
        ];
        assert_eq!(
            told(&journal(what)),
            [
                "n3 asks for pre-votes (term 3)",
                "n3 stands for election in term 4",
                "n3 votes for n3 in term 4",
                "n3 leads term 4"
            ]
        );
    }
}
