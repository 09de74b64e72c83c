//! The messages of `raft.*` as XML-RPC documents: the original's framing, to measure what it costs.
//!
//! A call is named as over JSON-RPC and has the same two parameters, as structs; commands are `base64`, since JSON may
//! contain what XML may not. Invariant: a message reads back as it was written.
//!
//! Deliberately absent: what the original had not, snapshots and the transfer of the lead, which goes over JSON-RPC;
//! and faults. A call that fails is answered by the transport, and to the core it is silence.

mod document;

use std::collections::BTreeMap;

use bytes::Bytes;
use raftian_raft::{AppendEntries, Body, Message, NodeId, Reply, Request, Term};
use raftian_rpc::raft::{Append, AppendAnswer, Commands, Head, Last};

use document::Value;

const PRE_VOTE: &str = "raft.pre_vote";
const REQUEST_VOTE: &str = "raft.request_vote";
const APPEND_ENTRIES: &str = "raft.append_entries";

/// The document of a request, if it is one of those that the original had.
pub(crate) fn write_call(head: Head, request: &Request) -> Option<String> {
    let (method, body) = match request {
        Request::PreVote(last) => (PRE_VOTE, last_value((*last).into())),
        Request::RequestVote { last, transfer: false } => (REQUEST_VOTE, last_value((*last).into())),
        Request::AppendEntries(append) => (APPEND_ENTRIES, append_value(append.clone().into())),
        Request::RequestVote { transfer: true, .. } | Request::InstallSnapshot(_) | Request::TimeoutNow => return None,
    };
    Some(document::write_call(method, vec![head_value(head), body]))
}

/// The request in a document.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn read_call(document: &str) -> Result<(Head, Request), String> {
    let (method, params) = document::read_call(document)?;
    let [head, body] = <[Value; 2]>::try_from(params).map_err(|_| format!("{method} takes two parameters"))?;
    let head = read_head(Fields::of(head)?)?;
    let mut body = Fields::of(body)?;
    let request = match method.as_str() {
        PRE_VOTE => Request::PreVote(read_last(body)?.into()),
        REQUEST_VOTE => Request::RequestVote { last: read_last(body)?.into(), transfer: false },
        APPEND_ENTRIES => {
            let append = AppendEntries::try_from(read_append(&mut body)?).map_err(|error| error.to_string())?;
            Request::AppendEntries(append)
        }
        _ => return Err(format!("there is no method `{method}`")),
    };
    Ok((head, request))
}

/// The document of a reply.
pub(crate) fn write_response(message: &Message) -> String {
    let mut fields = vec![("term", Value::Int(message.term))];
    match &message.body {
        Body::Reply(Reply::PreVote { granted } | Reply::RequestVote { granted }) => {
            fields.push(("granted", Value::Bool(*granted)));
        }
        Body::Reply(Reply::AppendEntries(reply)) => {
            let AppendAnswer { matched, conflict, .. } = AppendAnswer::new(message.term, *reply);
            let conflict = conflict.map(|(term, index)| Value::Array(vec![Value::Int(term), Value::Int(index)]));
            fields.push(("matched", optional(matched)));
            fields.push(("conflict", conflict.unwrap_or(Value::Nil)));
        }
        // Only replies answer calls, and only those that the original had; whatever else it were would not read as one.
        Body::Reply(Reply::InstallSnapshot(_) | Reply::TimeoutNow) | Body::Request(_) => {}
    }
    document::write_response(structure(fields))
}

/// The reply to a request in a document, and its term.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn read_response(document: &str, request: &Request) -> Result<(Term, Reply), String> {
    let mut fields = Fields::of(document::read_response(document)?)?;
    let term = fields.int("term")?;
    let reply = match request {
        Request::PreVote(_) => Reply::PreVote { granted: fields.bool("granted")? },
        Request::RequestVote { .. } => Reply::RequestVote { granted: fields.bool("granted")? },
        Request::AppendEntries(_) => {
            let matched = read_optional(fields.take("matched")?)?;
            let conflict = match fields.take("conflict")? {
                Value::Nil => None,
                value => {
                    let [term, index] = pair(value)?;
                    Some((int(term)?, int(index)?))
                }
            };
            Reply::AppendEntries(AppendAnswer { term, matched, conflict }.into())
        }
        Request::InstallSnapshot(_) | Request::TimeoutNow => return Err("XML-RPC has no such call here".into()),
    };
    Ok((term, reply))
}

fn head_value(head: Head) -> Value {
    structure(vec![
        ("from", Value::Text(head.from.to_string())),
        ("to", Value::Text(head.to.to_string())),
        ("term", Value::Int(head.term)),
        ("call", Value::Int(head.call)),
    ])
}

fn read_head(mut fields: Fields) -> Result<Head, String> {
    Ok(Head {
        from: fields.node("from")?,
        to: fields.node("to")?,
        term: fields.int("term")?,
        call: fields.int("call")?,
    })
}

fn last_value(last: Last) -> Value {
    structure(vec![("index", Value::Int(last.index)), ("term", Value::Int(last.term))])
}

fn read_last(mut fields: Fields) -> Result<Last, String> {
    Ok(Last { index: fields.int("index")?, term: fields.int("term")? })
}

fn append_value(append: Append) -> Value {
    let run = |(term, count)| Value::Array(vec![Value::Int(term), Value::Int(count)]);
    let command = |command: Option<Bytes>| command.map_or(Value::Nil, |bytes| Value::Bytes(bytes.into()));
    let configurations = serde_json::to_string(&append.configurations).expect("indexes and names of nodes");
    structure(vec![
        ("prev_index", Value::Int(append.prev_index)),
        ("prev_term", Value::Int(append.prev_term)),
        ("commit", Value::Int(append.commit)),
        ("terms", Value::Array(append.terms.into_iter().map(run).collect())),
        ("commands", Value::Array(append.commands.0.into_iter().map(command).collect())),
        ("configurations", Value::Text(configurations)),
    ])
}

fn read_append(fields: &mut Fields) -> Result<Append, String> {
    let run = |value| pair(value).and_then(|[term, count]| Ok((int(term)?, int(count)?)));
    let command = |value| match value {
        Value::Nil => Ok(None),
        Value::Bytes(bytes) => Ok(Some(Bytes::from(bytes))),
        other => Err(format!("{other:?} is no command")),
    };
    let configurations = match fields.take("configurations")? {
        Value::Text(text) => serde_json::from_str(&text).map_err(|error| format!("`configurations`: {error}"))?,
        other => return Err(format!("`configurations` is {other:?} and not a text")),
    };
    Ok(Append {
        configurations,
        prev_index: fields.int("prev_index")?,
        prev_term: fields.int("prev_term")?,
        commit: fields.int("commit")?,
        terms: array(fields.take("terms")?)?.into_iter().map(run).collect::<Result<_, String>>()?,
        commands: Commands(array(fields.take("commands")?)?.into_iter().map(command).collect::<Result<_, String>>()?),
    })
}

/// The members of a struct that have not been read yet.
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn of(value: Value) -> Result<Fields, String> {
        match value {
            Value::Struct(members) => Ok(Fields(members)),
            other => Err(format!("expected a struct, found {other:?}")),
        }
    }

    fn take(&mut self, name: &str) -> Result<Value, String> {
        self.0.remove(name).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn int(&mut self, name: &str) -> Result<u64, String> {
        self.take(name).and_then(int)
    }

    fn bool(&mut self, name: &str) -> Result<bool, String> {
        match self.take(name)? {
            Value::Bool(is) => Ok(is),
            other => Err(format!("`{name}` is {other:?} and not a boolean")),
        }
    }

    fn node(&mut self, name: &str) -> Result<NodeId, String> {
        match self.take(name)? {
            Value::Text(text) => text.parse().map_err(|_| format!("`{text}` is no node")),
            other => Err(format!("`{name}` is {other:?} and not a node")),
        }
    }
}

fn structure(members: Vec<(&str, Value)>) -> Value {
    Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn optional(number: Option<u64>) -> Value {
    number.map_or(Value::Nil, Value::Int)
}

fn read_optional(value: Value) -> Result<Option<u64>, String> {
    match value {
        Value::Nil => Ok(None),
        value => int(value).map(Some),
    }
}

fn int(value: Value) -> Result<u64, String> {
    match value {
        Value::Int(number) => Ok(number),
        other => Err(format!("{other:?} is no int")),
    }
}

fn array(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(format!("{other:?} is no array")),
    }
}

fn pair(value: Value) -> Result<[Value; 2], String> {
    <[Value; 2]>::try_from(array(value)?).map_err(|values| format!("{} values where two should be", values.len()))
}

#[cfg(test)]
mod tests {
    use raftian_raft::{AppendReply, Conflict, Entry, LastEntry, Payload};

    use super::*;

    fn requests() -> [Request; 3] {
        let last = LastEntry { term: 3, index: 9 };
        let command = Payload::Command(Bytes::from_static(b"{\"op\": \"<&>\r\n\"}"));
        let entries = [Payload::Noop, command].into_iter().zip(10..);
        [
            Request::PreVote(last),
            Request::RequestVote { last, transfer: false },
            Request::AppendEntries(AppendEntries {
                prev_log_index: 9,
                prev_log_term: 3,
                entries: entries.map(|(payload, index)| Entry { index, term: 4, payload }).collect(),
                leader_commit: 8,
            }),
        ]
    }

    fn head() -> Head {
        let node = |number| NodeId::new(number).unwrap();
        Head { from: node(1), to: node(2), term: 4, call: u64::MAX }
    }

    #[test]
    fn every_request_reads_back_as_it_was_written() {
        for request in requests() {
            assert_eq!(read_call(&write_call(head(), &request).unwrap()), Ok((head(), request)));
        }
    }

    #[test]
    fn what_the_original_had_not_has_no_document() {
        let last = LastEntry { term: 3, index: 9 };
        for request in [Request::TimeoutNow, Request::RequestVote { last, transfer: true }] {
            assert_eq!(write_call(head(), &request), None);
        }
    }

    #[test]
    fn every_reply_reads_back_as_it_was_written() {
        let [pre_vote, vote, append] = requests();
        let conflict = Reply::AppendEntries(AppendReply::Conflict(Conflict { term: 2, index: 5 }));
        for (request, reply) in [
            (&pre_vote, Reply::PreVote { granted: true }),
            (&vote, Reply::RequestVote { granted: false }),
            (&append, Reply::AppendEntries(AppendReply::Matched(11))),
            (&append, Reply::AppendEntries(AppendReply::StaleTerm)),
            (&append, conflict),
        ] {
            let document = write_response(&head().reply(7, reply.clone()));
            assert_eq!(read_response(&document, request), Ok((7, reply)), "{document}");
        }
        let vote_reply = write_response(&head().reply(7, Reply::RequestVote { granted: true }));
        assert!(read_response(&vote_reply, &append).unwrap_err().contains("`matched` is missing"));
    }

    #[test]
    fn documents_that_are_no_messages_are_refused() {
        let good = write_call(head(), &requests()[2]).unwrap();
        for (part, instead) in [
            ("append_entries", "dance"),
            ("n2", "two"),
            ("prev_term", "x"),
            ("<int>4</int>", "<string>4</string>"),
            ("<nil/>", "<int>1</int>"),
        ] {
            assert!(good.contains(part), "{part}");
            assert!(read_call(&good.replace(part, instead)).is_err(), "{part}");
        }
    }
}
