//! The node's side of `raft.*`, `client.*` and `control.*`: checks what comes in and hands it to the driver.
//!
//! Invariant: nothing that changes state happens in a handler. A caller that hangs up cancels its handler, and what it
//! asked for is in the driver's inbox or has not been asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jsonrpsee::core::{RpcResult, async_trait};
use jsonrpsee::{Methods, RpcModule};
use raftian_apps::{AppKind, Command};
use raftian_raft::{AppendEntries, Body, Index, Message, NodeId, Reply, Request};
use raftian_rpc::client::{ClientServer, DEFAULT_SUBMIT_TIMEOUT_MS, MAX_SUBMIT_TIMEOUT_MS, Submitted, View};
use raftian_rpc::control::{ControlServer, LogPage, MAX_LOG_PAGE, Network, NodeStatus};
use raftian_rpc::error::NodeError;
use raftian_rpc::raft::{Append, AppendAnswer, Head, Last, RaftServer, VoteAnswer};
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::inbox::{Answer, Inbox, Input};
use crate::peers::Peers;
use crate::xml;

/// The handlers of one node.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) own: NodeId,
    pub(crate) app: AppKind,
    pub(crate) inbox: Inbox,
    pub(crate) peers: Arc<Peers>,
}

impl Service {
    /// All methods of a node.
    pub(crate) fn methods(self) -> Methods {
        let mut methods = RpcModule::new(());
        methods.merge(RaftServer::into_rpc(self.clone())).expect("the three namespaces are disjoint");
        methods.merge(ClientServer::into_rpc(self.clone())).expect("the three namespaces are disjoint");
        methods.merge(ControlServer::into_rpc(self)).expect("the three namespaces are disjoint");
        methods.into()
    }

    /// Puts a question to the driver and waits for its answer.
    async fn ask<T>(&self, question: impl FnOnce(Answer<T>) -> Input) -> Result<T, NodeError> {
        let (answer, answered) = oneshot::channel();
        let leaving = NodeError::ShuttingDown { node: self.own };
        self.inbox.send(question(answer)).map_err(|_| leaving.clone())?;
        answered.await.map_err(|_| leaving)
    }

    /// Checks a command, proposes it, here or at the leader unless it has been `forwarded` before, and waits until it is
    /// applied there.
    ///
    /// # Errors
    /// When it was not applied within `patience`, or that cannot be known.
    pub(crate) async fn carry(
        &self,
        command: Box<RawValue>,
        patience: Duration,
        forwarded: bool,
    ) -> Result<Submitted, NodeError> {
        self.check(&command)?;
        let deadline = Instant::now() + patience;
        let bytes = Bytes::copy_from_slice(command.get().as_bytes());
        let late = NodeError::TimedOut { waited_ms: patience.as_millis() as u64 };
        let proposed = timeout_at(deadline, self.ask(|answer| Input::Submit(bytes, answer)));
        match proposed.await.unwrap_or(Ok(Err(late)))? {
            Err(NodeError::NotLeader { leader: Some(leader), .. }) if !forwarded => {
                self.peers.forward(leader, command, deadline).await
            }
            Err(NodeError::NotLeader { leader: None, node }) if !forwarded => Err(NodeError::NoLeader { node }),
            outcome => outcome,
        }
    }

    /// Hands a peer's request to the core and waits for its reply.
    async fn deliver(&self, head: Head, request: Request) -> Result<Message, NodeError> {
        if head.to != self.own {
            return Err(NodeError::WrongNode { node: self.own, meant: head.to });
        }
        if self.peers.is_cut(head.from, self.own) {
            return Err(NodeError::LinkCut { from: head.from, to: self.own });
        }
        let reply = self.ask(|answer| Input::Request(head.request(request), answer)).await??;
        if self.peers.is_cut(self.own, head.from) {
            return Err(NodeError::LinkCut { from: self.own, to: head.from });
        }
        Ok(reply)
    }

    async fn vote(&self, head: Head, request: Request) -> RpcResult<VoteAnswer> {
        let reply = self.deliver(head, request).await?;
        match reply.body {
            Body::Reply(Reply::PreVote { granted } | Reply::RequestVote { granted }) => {
                Ok(VoteAnswer { term: reply.term, granted })
            }
            _ => Err(self.other_life().into()),
        }
    }

    /// A peer that has restarted numbers its calls anew, so the reply to a call of its former life may come up for one
    /// of this. It answers nothing.
    fn other_life(&self) -> NodeError {
        NodeError::BadRequest { why: format!("{} answers an earlier call of this number", self.own) }
    }

    /// Parses a command only to see whether it is one; the bytes go on as they came.
    fn check(&self, command: &RawValue) -> Result<(), NodeError> {
        let unknown = |why: String| NodeError::UnknownCommand { why };
        let parsed = Command::parse(command.get().as_bytes()).map_err(|error| unknown(error.to_string()))?;
        self.app.validate(parsed.op()).map_err(|error| unknown(error.to_string()))
    }
}

#[async_trait]
impl RaftServer for Service {
    async fn pre_vote(&self, head: Head, last: Last) -> RpcResult<VoteAnswer> {
        self.vote(head, Request::PreVote(last.into())).await
    }

    async fn request_vote(&self, head: Head, last: Last) -> RpcResult<VoteAnswer> {
        self.vote(head, Request::RequestVote { last: last.into(), transfer: false }).await
    }

    async fn append_entries(&self, head: Head, entries: Append) -> RpcResult<AppendAnswer> {
        let append =
            AppendEntries::try_from(entries).map_err(|error| NodeError::BadRequest { why: error.to_string() })?;
        let reply = self.deliver(head, Request::AppendEntries(append)).await?;
        match reply.body {
            Body::Reply(Reply::AppendEntries(answer)) => Ok(AppendAnswer::new(reply.term, answer)),
            _ => Err(self.other_life().into()),
        }
    }

    async fn xml(&self, document: String) -> RpcResult<String> {
        let (head, request) = xml::read_call(&document).map_err(|why| NodeError::BadRequest { why })?;
        Ok(xml::write_response(&self.deliver(head, request).await?))
    }
}

#[async_trait]
impl ClientServer for Service {
    async fn submit(
        &self,
        command: Box<RawValue>,
        timeout_ms: Option<u64>,
        forwarded_by: Option<NodeId>,
    ) -> RpcResult<Submitted> {
        let timeout_ms = timeout_ms.unwrap_or(DEFAULT_SUBMIT_TIMEOUT_MS);
        if !(1..=MAX_SUBMIT_TIMEOUT_MS).contains(&timeout_ms) {
            let why = format!("timeout_ms is {timeout_ms}; it must be 1 to {MAX_SUBMIT_TIMEOUT_MS}");
            return Err(NodeError::BadRequest { why }.into());
        }
        if let Some(from) = forwarded_by.filter(|from| self.peers.is_cut(*from, self.own)) {
            return Err(NodeError::LinkCut { from, to: self.own }.into());
        }
        Ok(self.carry(command, Duration::from_millis(timeout_ms), forwarded_by.is_some()).await?)
    }

    async fn view(&self) -> RpcResult<View> {
        Ok(self.ask(Input::View).await?)
    }
}

#[async_trait]
impl ControlServer for Service {
    async fn status(&self) -> RpcResult<NodeStatus> {
        Ok(self.ask(Input::Status).await?)
    }

    async fn configure(&self, network: Network) -> RpcResult<()> {
        if let Some(configured) = self.peers.configure(network)? {
            self.inbox.send(Input::Configured(configured)).map_err(|_| NodeError::ShuttingDown { node: self.own })?;
        }
        Ok(())
    }

    async fn log(&self, from: Index, limit: u64) -> RpcResult<LogPage> {
        let limit = limit.min(MAX_LOG_PAGE) as usize;
        Ok(self.ask(|answer| Input::Log { from, limit, answer }).await?)
    }
}
