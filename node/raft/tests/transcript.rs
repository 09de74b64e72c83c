//! Protocol transcripts: stories in `transcripts/`, a scenario per file.
//!
//! A line `> command` is a command, the lines after it are what happened, lines that begin with `#` tell the story. The
//! test plays the commands and compares; `UPDATE_TRANSCRIPTS=1 cargo test -p raftian-raft transcripts` writes the
//! files anew, and the difference is then for a reader to judge.
//!
//! ```text
//! cluster N [batch K] [seed S] [no-pre-vote] [no-check-quorum]
//! disk n1 term 4 [vote n1] log 1 1 2     n1 starts with this on its disk
//! elect n1                               n1's time-out elapses, and all is delivered; shows only who leads then
//! timeout n1                             the clock goes on to n1's deadline, and n1 alone looks at it
//! heartbeat n1                           the same, of a leader
//! propose n1 a b                         n1 is given commands
//! deliver [n1 n2]                        everything until all is quiet, or what is on its way from n1 to n2
//! drop [n1 n2] · lose n1 n2              messages vanish; with `lose`, the sender's transport notices
//! hold n1 n2 · release                   messages are put aside, and back on their way
//! cut n1 | n2 n3 · cut n1 → n2 · heal    links, both ways or one way
//! crash n1 [keeping K] · restart n1      loses what is not synced, but for the first K records
//! slow n1 · sync n1                      n1's disk syncs only when told to
//! advance 50ms · run 3s                  time passes; with `run`, messages are delivered at once and not shown
//! status · log
//! ```

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use raftian_raft::{Body, Entry, Event, HardState, Message, NodeId, NotLeader, Payload, Recovered, RoleKind, Term};

use crate::cluster::{Cluster, Happening, cell, role};

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are no transcripts in {}", folder.display());
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut stale = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        println!("{name}");
        let expected = fs::read_to_string(&path).unwrap();
        let actual = play(&expected);
        if actual == expected {
            continue;
        }
        if update {
            fs::write(&path, actual).unwrap();
        } else {
            print_difference(&expected, &actual);
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "these went otherwise: {stale:?}; see above, or UPDATE_TRANSCRIPTS=1 to accept");
}

/// The transcript with what really happened in it.
fn play(transcript: &str) -> String {
    let mut stage = Stage { cluster: Cluster::new(1, 0, |_| {}), held: Vec::new() };
    let mut out = String::new();
    for line in transcript.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(out, "{line}").unwrap();
            stage.perform(command, &mut out);
        } else if line.is_empty() || line.starts_with('#') {
            writeln!(out, "{line}").unwrap();
        }
    }
    out
}

/// Shows where two texts differ: what is between their common beginning and their common end.
fn print_difference(expected: &str, actual: &str) {
    let (mut old, mut new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let begin = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let end = end.min(old.len() - begin).min(new.len() - begin);
    old.truncate(old.len() - end);
    new.truncate(new.len() - end);
    println!("  line {}", begin + 1);
    old[begin..].iter().for_each(|line| println!("  - {line}"));
    new[begin..].iter().for_each(|line| println!("  + {line}"));
}

struct Stage {
    cluster: Cluster,
    /// Messages put aside.
    held: Vec<Message>,
}

impl Stage {
    fn perform(&mut self, command: &str, out: &mut String) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let mut shown: fn(&Happening) -> bool = |_| true;
        match *words.as_slice() {
            ["cluster", count, ref settings @ ..] => self.cluster = cluster(count, settings),
            ["disk", id, "term", term, "vote", vote, "log", ref terms @ ..] => {
                self.install(node(id), number(term), Some(node(vote)), terms);
            }
            ["disk", id, "term", term, "log", ref terms @ ..] => self.install(node(id), number(term), None, terms),
            ["elect", id] => {
                self.cluster.wake(node(id));
                self.cluster.deliver_all();
                shown =
                    |happening| matches!(happening, Happening::Event(_, Event::Role { role: RoleKind::Leader, .. }));
            }
            ["timeout", id] => self.cluster.wake(node(id)),
            ["heartbeat", id] => {
                assert_eq!(self.cluster.status(node(id)).role, RoleKind::Leader, "{id} has no heartbeats to send");
                self.cluster.wake(node(id));
            }
            ["propose", id, ref commands @ ..] => match self.cluster.propose(node(id), commands) {
                Ok(proposed) => writeln!(out, "{id}  appends from {}@{} on", proposed.first, proposed.term).unwrap(),
                Err(NotLeader { leader: Some(leader) }) => writeln!(out, "{id}  does not lead; {leader} does").unwrap(),
                Err(NotLeader { leader: None }) => writeln!(out, "{id}  does not lead").unwrap(),
            },
            ["deliver"] => self.cluster.deliver_all(),
            ["deliver", from, to] => {
                let messages = self.cluster.take(node(from), node(to));
                assert!(!messages.is_empty(), "nothing is on its way from {from} to {to}");
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
            ["run", span] => {
                self.cluster.run(duration(span));
                shown = |happening| matches!(happening, Happening::Event(..) | Happening::Applied(..));
            }
            ["status"] => self.cluster.ids().iter().for_each(|id| writeln!(out, "{}", self.status(*id)).unwrap()),
            ["log"] => self.cluster.ids().iter().for_each(|id| writeln!(out, "{}", self.log(*id)).unwrap()),
            _ => panic!("`{command}` is not a command"),
        }
        if let ["elect", id] = *words.as_slice()
            && self.cluster.status(node(id)).role != RoleKind::Leader
        {
            writeln!(out, "{id}  is not elected").unwrap();
        }
        let lines: Vec<String> = self.cluster.journal.drain(..).filter(shown).map(|line| line.to_string()).collect();
        for same in lines.chunk_by(|line, next| line == next) {
            let times = if same.len() > 1 { format!("  ({} times)", same.len()) } else { String::new() };
            writeln!(out, "{}{times}", same[0]).unwrap();
        }
    }

    fn install(&mut self, id: NodeId, term: Term, voted_for: Option<NodeId>, terms: &[&str]) {
        let entry = |(term, index): (&&str, u64)| Entry { index, term: number(term), payload: Payload::Noop };
        let entries = terms.iter().zip(1..).map(entry).collect();
        self.cluster.install(id, Recovered { hard_state: HardState { term, voted_for }, entries });
        // It has always been there: nobody saw a crash.
        self.cluster.journal.clear();
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

    /// The log with a bar after what is committed; of a server that is down, what its disk holds.
    fn log(&self, id: NodeId) -> String {
        let (entries, commit) = match self.cluster.server(id) {
            Some(server) => (server.entries(1, usize::MAX), Some(server.status().commit_index)),
            None => (self.cluster.durable(id).entries.as_slice(), None),
        };
        let mut line = format!("{id} ");
        for entry in entries {
            if commit == Some(entry.index - 1) {
                line.push_str(" |");
            }
            line.push(' ');
            line.push_str(&cell(entry));
        }
        if commit == Some(entries.len() as u64) {
            line.push_str(" |");
        }
        line + if commit.is_none() { "  (down)" } else { "" }
    }
}

fn cluster(count: &str, settings: &[&str]) -> Cluster {
    let setting = |name| settings.iter().position(|word| *word == name).map(|at| number(settings[at + 1]));
    Cluster::new(number(count) as u16, setting("seed").unwrap_or(1), |options| {
        options.pre_vote = !settings.contains(&"no-pre-vote");
        options.check_quorum = !settings.contains(&"no-check-quorum");
        options.max_append_entries = setting("batch").map_or(options.max_append_entries, |size| size as usize);
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
