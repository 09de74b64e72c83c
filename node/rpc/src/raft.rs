//! `raft.*`: the messages of Figures 2 and 13 on the wire.
//!
//! Invariant: commands are bytes of JSON that nobody between the client and the application parses. An AppendEntries
//! is columnar: the terms of its entries run-length encoded, the commands as one array in which `null` is a leader's
//! no-op. A compact layout gains more than a faster parser would.
//!
//! Deliberately absent: any rule of the protocol; see `raftian-raft`.

mod chunk;
mod letter;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use jsonrpsee::core::RpcResult;
use jsonrpsee::proc_macros::rpc;
use raftian_raft::{
    AppendEntries, AppendReply, Body, Configuration, Conflict, Entry, LastEntry, Message, Payload, Reply, Request,
};
use serde::de::{SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub use chunk::{Chunk, Data, MAX_SNAPSHOT_BYTES, MalformedChunk, SnapshotAnswer};
pub use letter::{Letter, MalformedLetter, Says, call, carry};

use crate::{Index, NodeId, Term};

/// The methods. Errors are [`NodeError`](crate::error::NodeError)s; to the caller each of them is a lost message.
#[rpc(client, server, namespace = "raft", namespace_separator = ".")]
pub trait Raft {
    /// Would you vote for me? (Thesis §9.6.)
    #[method(name = "pre_vote")]
    async fn pre_vote(&self, head: Head, last: Last) -> RpcResult<VoteAnswer>;

    /// Vote for me (§5.2). `transfer`: the leader itself wants this election (thesis §3.10); false unless said.
    #[method(name = "request_vote")]
    async fn request_vote(&self, head: Head, last: Last, transfer: Option<bool>) -> RpcResult<VoteAnswer>;

    /// Append these entries (§5.3).
    #[method(name = "append_entries")]
    async fn append_entries(&self, head: Head, entries: Append) -> RpcResult<AppendAnswer>;

    /// Keep this part of a snapshot (§7).
    #[method(name = "install_snapshot")]
    async fn install_snapshot(&self, head: Head, chunk: Chunk) -> RpcResult<SnapshotAnswer>;

    /// Start an election at once (thesis §3.10). Answers with the receiver's term.
    #[method(name = "timeout_now")]
    async fn timeout_now(&self, head: Head) -> RpcResult<Term>;

    /// Nothing but a message that arrives, or does not: when, on the machine's monotonic clock.
    #[method(name = "probe")]
    async fn probe(&self, from: NodeId, to: NodeId) -> RpcResult<u64>;

    /// One of the first three as an XML-RPC `methodCall`, answered by a `methodResponse`: only to measure what that
    /// framing costs.
    #[method(name = "xml")]
    async fn xml(&self, document: String) -> RpcResult<String>;
}

/// What every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's term.
    pub term: Term,
    /// The number of the request among the sender's.
    pub call: u64,
}

/// The last entry of a candidate's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// Its index.
    pub index: Index,
    /// Its term.
    pub term: Term,
}

/// The arguments of AppendEntries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The index of the entry before the new ones.
    pub prev_index: Index,
    /// That entry's term.
    pub prev_term: Term,
    /// The leader's commitIndex.
    pub commit: Index,
    /// The terms of the entries as (term, how many in a row).
    pub terms: Vec<(Term, u64)>,
    /// The entries' commands.
    pub commands: Commands,
    /// The configurations among the entries by index; in `commands` they are `null`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configurations: BTreeMap<Index, Configuration>,
}

/// An array of commands; `None` is a no-op.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands(pub Vec<Option<Bytes>>);

/// The answer to `raft.pre_vote` and `raft.request_vote`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteAnswer {
    /// The voter's term.
    pub term: Term,
    /// Whether it gives its vote.
    pub granted: bool,
}

/// The answer to `raft.append_entries`. Neither `matched` nor `conflict`: the caller's term is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendAnswer {
    /// The follower's term.
    pub term: Term,
    /// The follower's log agrees with the leader's up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<Index>,
    /// The logs agree at most up to here: the term and the index of an entry of the follower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<(Term, Index)>,
}

/// A request that cannot be turned into a message of the core.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedAppend {
    /// The terms do not cover the commands.
    #[error("append_entries has terms for {terms} entries but {commands} commands")]
    CountsDiffer {
        /// The sum of the runs.
        terms: u64,
        /// The length of the array.
        commands: u64,
    },
    /// Indexes must fit in 64 bits, terms may not fall along a log, term 0 has no entries, and a configuration is an
    /// entry without a command.
    #[error("append_entries has indexes or terms that no log can have")]
    Impossible,
}

impl Head {
    /// The head of a message.
    pub fn of(message: &Message) -> Head {
        Head { from: message.from, to: message.to, term: message.term, call: message.call }
    }

    /// The request with this head.
    pub fn request(self, request: Request) -> Message {
        Message { from: self.from, to: self.to, term: self.term, call: self.call, body: Body::Request(request) }
    }

    /// The reply to the request with this head, from a peer in `term`.
    pub fn reply(self, term: Term, reply: Reply) -> Message {
        Message { from: self.to, to: self.from, term, call: self.call, body: Body::Reply(reply) }
    }
}

impl From<LastEntry> for Last {
    fn from(last: LastEntry) -> Last {
        Last { index: last.index, term: last.term }
    }
}

impl From<Last> for LastEntry {
    fn from(last: Last) -> LastEntry {
        LastEntry { term: last.term, index: last.index }
    }
}

impl From<AppendEntries> for Append {
    fn from(append: AppendEntries) -> Append {
        let mut terms: Vec<(Term, u64)> = Vec::new();
        for entry in &append.entries {
            match terms.last_mut() {
                Some((term, count)) if *term == entry.term => *count += 1,
                _ => terms.push((entry.term, 1)),
            }
        }
        let mut configurations = BTreeMap::new();
        let command = |entry: Entry| match entry.payload {
            Payload::Noop => None,
            Payload::Command(bytes) => Some(bytes),
            Payload::Configuration(configuration) => {
                configurations.insert(entry.index, *configuration);
                None
            }
        };
        let commands = Commands(append.entries.into_iter().map(command).collect());
        Append {
            prev_index: append.prev_log_index,
            prev_term: append.prev_log_term,
            commit: append.leader_commit,
            terms,
            commands,
            configurations,
        }
    }
}

impl TryFrom<Append> for AppendEntries {
    type Error = MalformedAppend;

    fn try_from(append: Append) -> Result<AppendEntries, MalformedAppend> {
        let commands = append.commands.0.len() as u64;
        let terms = append.terms.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        if terms != commands {
            return Err(MalformedAppend::CountsDiffer { terms, commands });
        }
        let never_falls = append
            .terms
            .iter()
            .try_fold(append.prev_term.max(1), |previous, (term, _)| (*term >= previous).then_some(*term));
        if never_falls.is_none() || append.prev_index.checked_add(commands).is_none() {
            return Err(MalformedAppend::Impossible);
        }
        let terms = append.terms.iter().flat_map(|(term, count)| (0..*count).map(|_| *term));
        let entries = append.commands.0.into_iter().zip(terms).zip(append.prev_index + 1..);
        let mut configurations = append.configurations;
        let entry = |((command, term), index): ((Option<Bytes>, Term), Index)| {
            let payload = match command {
                Some(bytes) => Payload::Command(bytes),
                None => configurations
                    .remove(&index)
                    .map_or(Payload::Noop, |configuration| Payload::Configuration(Box::new(configuration))),
            };
            Entry { index, term, payload }
        };
        let entries = entries.map(entry).collect();
        if !configurations.is_empty() {
            return Err(MalformedAppend::Impossible);
        }
        Ok(AppendEntries {
            prev_log_index: append.prev_index,
            prev_log_term: append.prev_term,
            entries,
            leader_commit: append.commit,
        })
    }
}

impl AppendAnswer {
    /// The answer of a follower in `term`.
    pub fn new(term: Term, reply: AppendReply) -> AppendAnswer {
        let (matched, conflict) = match reply {
            AppendReply::Matched(index) => (Some(index), None),
            AppendReply::Conflict(conflict) => (None, Some((conflict.term, conflict.index))),
            AppendReply::StaleTerm => (None, None),
        };
        AppendAnswer { term, matched, conflict }
    }
}

impl From<AppendAnswer> for AppendReply {
    fn from(answer: AppendAnswer) -> AppendReply {
        match (answer.matched, answer.conflict) {
            (Some(index), _) => AppendReply::Matched(index),
            (None, Some((term, index))) => AppendReply::Conflict(Conflict { term, index }),
            (None, None) => AppendReply::StaleTerm,
        }
    }
}

impl Serialize for Commands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(self.0.len()))?;
        for command in &self.0 {
            match command {
                None => array.serialize_element(&())?,
                Some(bytes) => {
                    let raw: &RawValue = serde_json::from_slice(bytes).map_err(S::Error::custom)?;
                    array.serialize_element(raw)?;
                }
            }
        }
        array.end()
    }
}

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Commands, D::Error> {
        deserializer.deserialize_seq(CommandsVisitor)
    }
}

struct CommandsVisitor;

impl<'de> Visitor<'de> for CommandsVisitor {
    type Value = Commands;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of commands")
    }

    /// Copies all commands into one buffer that they then share: one allocation for a batch instead of one each.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Commands, A::Error> {
        let mut text = String::new();
        let mut ends = Vec::new();
        while let Some(raw) = array.next_element::<&'de RawValue>()? {
            if raw.get() == "null" {
                ends.push(None);
            } else {
                text.push_str(raw.get());
                ends.push(Some(text.len()));
            }
        }
        let buffer = Bytes::from(text);
        let mut start = 0;
        let mut until = |end| buffer.slice(std::mem::replace(&mut start, end)..end);
        Ok(Commands(ends.into_iter().map(|end| end.map(&mut until)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(index: Index, term: Term) -> Entry {
        let configuration = Configuration::new(raftian_raft::NodeId::first(2)).unwrap();
        Entry { index, term, payload: Payload::Configuration(Box::new(configuration)) }
    }

    fn entry(index: Index, term: Term, command: Option<&'static str>) -> Entry {
        let payload = command.map_or(Payload::Noop, |text| Payload::Command(Bytes::from(text)));
        Entry { index, term, payload }
    }

    #[test]
    fn an_append_reads_back_as_it_was_written() {
        let append = AppendEntries {
            prev_log_index: 6,
            prev_log_term: 2,
            entries: vec![
                entry(7, 2, Some(r#"{"op":{"attack":3}}"#)),
                entry(8, 2, Some("[1, 2]")),
                entry(9, 4, None),
                entry(10, 4, Some(r#""a string""#)),
                members(11, 4),
            ],
            leader_commit: 5,
        };
        let text = serde_json::to_string(&Append::from(append.clone())).unwrap();
        assert_eq!(
            text,
            r#"{"prev_index":6,"prev_term":2,"commit":5,"terms":[[2,2],[4,3]],"commands":[{"op":{"attack":3}},[1, 2],null,"a string",null],"configurations":{"11":{"voters":["n1","n2"]}}}"#
        );
        let back: Append = serde_json::from_str(&text).unwrap();
        assert_eq!(AppendEntries::try_from(back), Ok(append));
    }

    #[test]
    fn impossible_appends_are_refused() {
        let parse = |text: &str| {
            let append: Append = serde_json::from_str(text).unwrap();
            AppendEntries::try_from(append)
        };
        let with = |terms: &str, prev: u64| {
            parse(&format!(r#"{{"prev_index":{prev},"prev_term":2,"commit":0,"terms":{terms},"commands":[1,2]}}"#))
        };
        assert!(with("[[2,2]]", 0).is_ok());
        assert!(matches!(with("[[2,1]]", 0), Err(MalformedAppend::CountsDiffer { .. })));
        assert!(matches!(with("[[2,18446744073709551615],[3,3]]", 0), Err(MalformedAppend::CountsDiffer { .. })));
        assert_eq!(with("[[3,1],[2,1]]", 0), Err(MalformedAppend::Impossible));
        assert_eq!(with("[[1,2]]", 0), Err(MalformedAppend::Impossible));
        assert_eq!(with("[[2,2]]", u64::MAX), Err(MalformedAppend::Impossible));
    }
}
