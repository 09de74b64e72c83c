//! A message as data, and the call that carries a request.
//!
//! Invariant: a letter holds what the `raft.*` method of its message holds, in the same form.

use jsonrpsee::core::ClientError;
use raftian_raft::{AppendEntries, Body, InstallSnapshot, Message, Reply, Request};
use serde::{Deserialize, Serialize};

use super::{
    Append, AppendAnswer, Chunk, Head, Last, MalformedAppend, MalformedChunk, RaftClient as _, SnapshotAnswer,
};
use crate::Term;
use crate::connect::Http;

/// A message of a server to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Who, to whom, in which term; and the number of the request among those of the server that calls.
    pub head: Head,
    /// What it says.
    pub says: Says,
}

/// What a letter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// `raft.pre_vote`.
    PreVote(Last),
    /// `raft.request_vote`.
    RequestVote {
        /// The last entry of the candidate's log.
        last: Last,
        /// Whether the leader itself wants this election.
        transfer: bool,
    },
    /// `raft.append_entries`.
    AppendEntries(Append),
    /// `raft.install_snapshot`.
    InstallSnapshot(Chunk),
    /// `raft.timeout_now`.
    TimeoutNow,
    /// The answer to `raft.pre_vote`: whether the vote is granted.
    PreVoteReply(bool),
    /// The answer to `raft.request_vote`: whether the vote is granted.
    VoteReply(bool),
    /// The answer to `raft.append_entries`.
    AppendReply(AppendAnswer),
    /// The answer to `raft.install_snapshot`.
    SnapshotReply(SnapshotAnswer),
    /// The answer to `raft.timeout_now`.
    TimeoutNowReply,
}

/// A letter that is no message of the core.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedLetter {
    /// Its entries are none.
    #[error(transparent)]
    Append(#[from] MalformedAppend),
    /// Its part of a snapshot is none.
    #[error(transparent)]
    Chunk(#[from] MalformedChunk),
}

impl From<Message> for Letter {
    fn from(message: Message) -> Letter {
        let head = Head::of(&message);
        let term = message.term;
        let says = match message.body {
            Body::Request(Request::PreVote(last)) => Says::PreVote(last.into()),
            Body::Request(Request::RequestVote { last, transfer }) => Says::RequestVote { last: last.into(), transfer },
            Body::Request(Request::AppendEntries(append)) => Says::AppendEntries(append.into()),
            Body::Request(Request::InstallSnapshot(part)) => Says::InstallSnapshot(part.into()),
            Body::Request(Request::TimeoutNow) => Says::TimeoutNow,
            Body::Reply(Reply::PreVote { granted }) => Says::PreVoteReply(granted),
            Body::Reply(Reply::RequestVote { granted }) => Says::VoteReply(granted),
            Body::Reply(Reply::AppendEntries(reply)) => Says::AppendReply(AppendAnswer::new(term, reply)),
            Body::Reply(Reply::InstallSnapshot(reply)) => Says::SnapshotReply(SnapshotAnswer::new(term, reply)),
            Body::Reply(Reply::TimeoutNow) => Says::TimeoutNowReply,
        };
        Letter { head, says }
    }
}

impl TryFrom<Letter> for Message {
    type Error = MalformedLetter;

    fn try_from(letter: Letter) -> Result<Message, MalformedLetter> {
        let Letter { head: Head { from, to, term, call }, says } = letter;
        let body = match says {
            Says::PreVote(last) => Body::Request(Request::PreVote(last.into())),
            Says::RequestVote { last, transfer } => Body::Request(Request::RequestVote { last: last.into(), transfer }),
            Says::AppendEntries(append) => Body::Request(Request::AppendEntries(AppendEntries::try_from(append)?)),
            Says::InstallSnapshot(chunk) => Body::Request(Request::InstallSnapshot(InstallSnapshot::try_from(chunk)?)),
            Says::TimeoutNow => Body::Request(Request::TimeoutNow),
            Says::PreVoteReply(granted) => Body::Reply(Reply::PreVote { granted }),
            Says::VoteReply(granted) => Body::Reply(Reply::RequestVote { granted }),
            Says::AppendReply(answer) => Body::Reply(Reply::AppendEntries(answer.into())),
            Says::SnapshotReply(answer) => Body::Reply(Reply::InstallSnapshot(answer.into())),
            Says::TimeoutNowReply => Body::Reply(Reply::TimeoutNow),
        };
        Ok(Message { from, to, term, call, body })
    }
}

/// Calls the method of a request: the receiver's term, and its reply.
///
/// # Errors
/// When there is no reply.
pub async fn call(client: &Http, head: Head, request: Request) -> Result<(Term, Reply), ClientError> {
    Ok(match request {
        Request::PreVote(last) => {
            let answer = client.pre_vote(head, last.into()).await?;
            (answer.term, Reply::PreVote { granted: answer.granted })
        }
        Request::RequestVote { last, transfer } => {
            let answer = client.request_vote(head, last.into(), transfer.then_some(true)).await?;
            (answer.term, Reply::RequestVote { granted: answer.granted })
        }
        Request::AppendEntries(append) => {
            let answer = client.append_entries(head, Append::from(append)).await?;
            (answer.term, Reply::AppendEntries(answer.into()))
        }
        Request::InstallSnapshot(part) => {
            let answer = client.install_snapshot(head, Chunk::from(part)).await?;
            (answer.term, Reply::InstallSnapshot(answer.into()))
        }
        Request::TimeoutNow => (client.timeout_now(head).await?, Reply::TimeoutNow),
    })
}

/// Carries a request to its receiver: the reply.
///
/// # Errors
/// When there is none, or the letter is no request.
pub async fn carry(client: &Http, request: Letter) -> Result<Letter, ClientError> {
    let head = request.head;
    let message = Message::try_from(request).map_err(|error| ClientError::Custom(error.to_string()))?;
    let Body::Request(request) = message.body else {
        return Err(ClientError::Custom("only requests are calls".to_owned()));
    };
    let (term, reply) = call(client, head, request).await?;
    Ok(Letter::from(head.reply(term, reply)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raftian_raft::{AppendReply, Configuration, Conflict, Entry, LastEntry, NodeId, Payload, SnapshotReply};

    use super::*;

    #[test]
    fn a_letter_reads_back_as_the_message_it_was() {
        let id = |number| NodeId::new(number).unwrap();
        let last = LastEntry { term: 3, index: 7 };
        let members = Configuration::new(NodeId::first(3)).unwrap();
        let payloads = [
            Payload::Noop,
            Payload::Command(Bytes::from_static(b"{\"a\":[1, 2]}")),
            Payload::Configuration(Box::new(members.clone())),
        ];
        let entries = (8..).zip(payloads).map(|(index, payload)| Entry { index, term: 3, payload }).collect();
        let append = AppendEntries { prev_log_index: 7, prev_log_term: 3, entries, leader_commit: 6 };
        let data = Bytes::from_static(b"state");
        let part = InstallSnapshot { last, configuration: members, size: 9, offset: 2, data };
        let bodies = [
            Body::Request(Request::PreVote(last)),
            Body::Request(Request::RequestVote { last, transfer: true }),
            Body::Request(Request::AppendEntries(append)),
            Body::Request(Request::InstallSnapshot(part)),
            Body::Request(Request::TimeoutNow),
            Body::Reply(Reply::PreVote { granted: true }),
            Body::Reply(Reply::RequestVote { granted: false }),
            Body::Reply(Reply::AppendEntries(AppendReply::Matched(7))),
            Body::Reply(Reply::AppendEntries(AppendReply::Conflict(Conflict { term: 2, index: 5 }))),
            Body::Reply(Reply::AppendEntries(AppendReply::StaleTerm)),
            Body::Reply(Reply::InstallSnapshot(SnapshotReply::Installed(7))),
            Body::Reply(Reply::TimeoutNow),
        ];
        for body in bodies {
            let message = Message { from: id(1), to: id(2), term: 4, call: 11, body };
            let text = serde_json::to_string(&Letter::from(message.clone())).unwrap();
            let letter: Letter = serde_json::from_str(&text).unwrap();
            assert_eq!(Message::try_from(letter), Ok(message), "{text}");
        }
    }
}
