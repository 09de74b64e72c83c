//! The stage on which a transcript is played: a cluster, and messages that were put aside.
//!
//! The grammar of the commands is told in the module above.

use std::fmt::Write as _;
use std::time::Duration;

use raftian_raft::{
    Body, Change, Entry, Event, HardState, Lease, Message, NodeId, NotLeader, Payload, Peer, ProposeRefused, Proposed,
    Recovered, RoleKind, Standing, Term,
};

use crate::cluster::{Cluster, Happening, cell, role};

pub(super) struct Stage {
    cluster: Cluster,
    /// Messages put aside.
    held: Vec<Message>,
}

impl Stage {
    /// A stage for the first command, which says how many servers there are.
    pub(super) fn new() -> Stage {
        Stage { cluster: Cluster::new(1, 0, |_| {}), held: Vec::new() }
    }

    /// Does what a command says, and writes down what comes of it.
    pub(super) fn perform(&mut self, command: &str, out: &mut String) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let known = self.set_up(&words) || self.ask(&words, out) || self.show(&words, out) || self.act(&words, out);
        assert!(known, "`{command}` is not a command");
        if let ["elect", id] = *words.as_slice()
            && self.cluster.status(node(id)).role != RoleKind::Leader
        {
            writeln!(out, "{id}  is not elected").unwrap();
        }
        let shown: fn(&Happening) -> bool = match *words {
            ["elect", _] => |line| matches!(line, Happening::Event(_, Event::Role { role: RoleKind::Leader, .. })),
            ["run", _] => |line| matches!(line, Happening::Event(..) | Happening::Applied(..)),
            _ => |_| true,
        };
        let lines: Vec<String> = self.cluster.journal.drain(..).filter(shown).map(|line| line.to_string()).collect();
        for same in lines.chunk_by(|line, next| line == next) {
            let times = if same.len() > 1 { format!("  ({} times)", same.len()) } else { String::new() };
            writeln!(out, "{}{times}", same[0]).unwrap();
        }
    }

    /// Who is on the stage, and what their disks hold.
    fn set_up(&mut self, words: &[&str]) -> bool {
        match *words {
            ["cluster", count, ref settings @ ..] => self.cluster = cluster(count, settings),
            ["disk", id, "term", term, "vote", vote, "log", ref terms @ ..] => {
                self.install(node(id), number(term), Some(node(vote)), terms);
            }
            ["disk", id, "term", term, "log", ref terms @ ..] => self.install(node(id), number(term), None, terms),
            ["join", id] => self.cluster.join(node(id)),
            _ => return false,
        }
        true
    }

    /// What a driver asks of a server.
    fn ask(&mut self, words: &[&str], out: &mut String) -> bool {
        let answer = match *words {
            ["propose", id, ref commands @ ..] => match self.cluster.propose(node(id), commands) {
                Ok(proposed) => Ok(appended(proposed)),
                Err(ProposeRefused::NotLeader(NotLeader { leader })) => Ok(match leader {
                    Some(leader) => format!("does not lead; {leader} does"),
                    None => "does not lead".to_owned(),
                }),
                Err(refused) => Err(refused.to_string()),
            },
            ["read", id] => {
                let ticket = self.cluster.read(node(id));
                ticket.map(|ticket| format!("takes read {}", ticket.number())).map_err(|refused| refused.to_string())
            }
            ["transfer", id, to] => {
                let outcome = self.cluster.transfer(node(id), node(to));
                outcome.map(|()| String::new()).map_err(|refused| refused.to_string())
            }
            ["add", id, new] => self.change(id, Change::AddLearner(node(new))),
            ["promote", id, learner] => self.change(id, Change::Promote(node(learner))),
            ["remove", id, old] => self.change(id, Change::Remove(node(old))),
            ["members", id, ref members @ ..] => {
                let plus = members.iter().position(|word| *word == "+").unwrap_or(members.len());
                let (voters, learners) = members.split_at(plus);
                let ids = |words: &[&str]| words.iter().map(|word| node(word)).collect();
                self.change(
                    id,
                    Change::Members { voters: ids(voters), learners: ids(learners.get(1..).unwrap_or(&[])) },
                )
            }
            ["compact", id] => self.compact(id, "0"),
            ["compact", id, "keep", entries] => self.compact(id, entries),
            _ => return false,
        };
        let answer = answer.unwrap_or_else(|refused| format!("refuses: {refused}"));
        if !answer.is_empty() {
            writeln!(out, "{}  {answer}", words[1]).unwrap();
        }
        true
    }

    /// What can be looked at.
    fn show(&mut self, words: &[&str], out: &mut String) -> bool {
        let lines: Vec<String> = match *words {
            ["status"] => self.cluster.ids().into_iter().map(|id| self.status(id)).collect(),
            ["log"] => self.cluster.ids().into_iter().map(|id| self.log(id)).collect(),
            ["members"] => self.cluster.ids().into_iter().map(|id| self.members(id)).collect(),
            ["peers", id] => self.cluster.status(node(id)).peers.iter().map(peer).collect(),
            _ => return false,
        };
        lines.iter().for_each(|line| writeln!(out, "{line}").unwrap());
        true
    }

    /// What happens to clocks, messages, links, servers and disks.
    fn act(&mut self, words: &[&str], out: &mut String) -> bool {
        match *words {
            ["elect", id] => {
                self.cluster.wake(node(id));
                self.cluster.deliver_all();
            }
            ["timeout", id] => self.cluster.wake(node(id)),
            ["heartbeat", id] => {
                assert_eq!(self.cluster.status(node(id)).role, RoleKind::Leader, "{id} has no heartbeats to send");
                self.cluster.wake(node(id));
            }
            ["deliver"] => self.cluster.deliver_all(),
            ["deliver", from, to] => {
                let messages = self.cluster.take(node(from), node(to));
                if messages.is_empty() {
                    writeln!(out, "nothing is on its way from {from} to {to}").unwrap();
                }
                messages.into_iter().for_each(|message| self.cluster.receive(message));
            }
            ["drop"] => self.cluster.pool.clear(),
            ["drop", from, to] => drop(self.cluster.take(node(from), node(to))),
            ["lose", from, to] => {
                let messages = self.cluster.take(node(from), node(to));
                let requests = messages.iter().filter(|message| matches!(message.body, Body::Request(_)));
                requests.for_each(|request| self.cluster.report_lost(request));
            }
            ["hold", from, to] => self.held.extend(self.cluster.take(node(from), node(to))),
            ["release"] => self.cluster.pool.append(&mut self.held),
            ["cut", from, "→", to] => self.cluster.cut(node(from), node(to)),
            ["cut", ref groups @ ..] => self.partition(groups),
            ["heal"] => self.cluster.heal(),
            ["crash", id] => self.cluster.crash(node(id), 0),
            ["crash", id, "keeping", records] => self.cluster.crash(node(id), number(records) as usize),
            ["restart", id] => self.cluster.restart(node(id)),
            ["slow", id] => self.cluster.set_slow(node(id), true),
            ["sync", id] => self.cluster.sync(node(id), usize::MAX),
            ["advance", span] => self.cluster.advance(duration(span), |_| {}),
            ["run", span] => self.cluster.run(duration(span)),
            _ => return false,
        }
        true
    }

    fn install(&mut self, id: NodeId, term: Term, voted_for: Option<NodeId>, terms: &[&str]) {
        let entry = |(term, index): (&&str, u64)| Entry { index, term: number(term), payload: Payload::Noop };
        let entries = terms.iter().zip(1..).map(entry).collect();
        let hard_state = HardState { term, voted_for };
        self.cluster.install(id, Recovered { hard_state, entries, ..Recovered::default() });
        // It has always been there: nobody saw a crash.
        self.cluster.journal.clear();
    }

    fn change(&mut self, id: &str, change: Change) -> Result<String, String> {
        self.cluster.change(node(id), change).map(appended).map_err(|refused| refused.to_string())
    }

    fn compact(&mut self, id: &str, keep: &str) -> Result<String, String> {
        let outcome = self.cluster.compact(node(id), number(keep));
        outcome.map(|_| String::new()).map_err(|refused| refused.to_string())
    }

    /// Cuts all links between groups of nodes, which are divided by `|`.
    fn partition(&mut self, words: &[&str]) {
        let groups: Vec<Vec<NodeId>> =
            words.split(|word| *word == "|").map(|group| group.iter().map(|id| node(id)).collect()).collect();
        for (at, group) in groups.iter().enumerate() {
            for other in groups.iter().enumerate().filter(|(other, _)| *other != at).flat_map(|(_, other)| other) {
                group.iter().for_each(|id| self.cluster.cut(*id, *other));
            }
        }
    }

    fn status(&self, id: NodeId) -> String {
        let Some(server) = self.cluster.server(id) else { return format!("{id}  down") };
        let status = server.status();
        let named = |id: Option<NodeId>| id.map_or("-".to_owned(), |id| id.to_string());
        format!(
            "{id}  {:<13} term {}  vote {}  leader {}  last {}  commit {}",
            role(status.role),
            status.term,
            named(status.voted_for),
            named(status.leader),
            status.last_index,
            status.commit_index
        )
    }

    fn members(&self, id: NodeId) -> String {
        let Some(server) = self.cluster.server(id) else { return format!("{id}  down") };
        let status = server.status();
        let known = status.configuration.map_or("nobody".to_owned(), |configuration| configuration.to_string());
        format!("{id}  {known}{}", if status.configuration_committed { "" } else { "  (not committed)" })
    }

    /// The log with a bar after what is committed; of a server that is down, what its disk holds.
    fn log(&self, id: NodeId) -> String {
        let (before, entries, commit) = match self.cluster.server(id) {
            Some(server) => {
                let status = server.status();
                let entries = server.entries(status.first_index, usize::MAX);
                (status.first_index - 1, entries, Some(status.commit_index))
            }
            None => {
                let disk = self.cluster.durable(id);
                let snapshot = disk.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
                let before = disk.entries.first().map_or(snapshot, |entry| entry.index - 1);
                (before, disk.entries.as_slice(), None)
            }
        };
        let mut line = format!("{id} ");
        if before > 0 {
            write!(line, " [{before}]").unwrap();
        }
        for entry in entries {
            if commit == Some(entry.index - 1) {
                line.push_str(" |");
            }
            line.push(' ');
            line.push_str(&cell(entry));
        }
        if commit == Some(before + entries.len() as u64) {
            line.push_str(" |");
        }
        line + if commit.is_none() { "  (down)" } else { "" }
    }
}

fn appended(proposed: Proposed) -> String {
    format!("appends from {}@{} on", proposed.first, proposed.term)
}

fn peer(peer: &Peer) -> String {
    let standing = match peer.standing {
        Standing::Voter => "voter",
        Standing::Learner => "learner",
        Standing::Leaving => "leaving",
    };
    let snapshot = peer.snapshot_bytes.map(|(sent, size)| format!("  snapshot {sent} of {size}"));
    let (id, matches, next) = (peer.id, peer.match_index, peer.next_index);
    format!("{id}  {standing:<7} match {matches}  next {next}{}", snapshot.unwrap_or_default())
}

fn cluster(count: &str, settings: &[&str]) -> Cluster {
    let setting = |name| settings.iter().position(|word| *word == name).map(|at| number(settings[at + 1]));
    Cluster::new(number(count) as u16, setting("seed").unwrap_or(1), |options| {
        options.pre_vote = !settings.contains(&"no-pre-vote");
        options.check_quorum = !settings.contains(&"no-check-quorum");
        options.max_append_entries = setting("batch").map_or(options.max_append_entries, |size| size as usize);
        let chunk = setting("chunk").map_or(options.max_snapshot_chunk_bytes, |size| size as usize);
        options.max_snapshot_chunk_bytes = chunk;
        options.lease = settings.contains(&"lease").then_some(Lease { drift_percent: 10 });
    })
}

fn node(word: &str) -> NodeId {
    word.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is not a number"))
}

fn duration(word: &str) -> Duration {
    match word.strip_suffix("ms") {
        Some(ms) => Duration::from_millis(number(ms)),
        None => Duration::from_secs(number(word.strip_suffix('s').unwrap_or_else(|| panic!("`{word}` has no unit")))),
    }
}
