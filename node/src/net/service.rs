//! The node's side of `raft.*`, `client.*` and `control.*`: checks what comes in, puts it in the host's inbox, and waits
//! for the answer. Where the driver says that a client's question is for the leader, the client's handler passes it on.
//!
//! Invariant: nothing that changes state happens in a handler. A caller that hangs up cancels its handler, and what it
//! asked for is in the inbox or has not been asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jsonrpsee::core::{ClientError, RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::{Methods, PendingSubscriptionSink, RpcModule};
use raftian_apps::{AppKind, Command};
use raftian_driver::{self as driver, LinkCut, Route};
use raftian_raft::{AppendEntries, Body, Index, InstallSnapshot, Message, NodeId, Reply, Request, Term};
use raftian_rpc::client::{
    AppliedCommand, ClientClient as _, ClientServer, Consistency, DEFAULT_SUBMIT_TIMEOUT_MS, MAX_SUBMIT_TIMEOUT_MS,
    ReadAnswer, Submitted, View,
};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{
    ChangeBegun, ControlServer, Durable, LogPage, MAX_LOG_PAGE, MemberChange, Network, NodeStatus, Probed, Probes,
    Settled, SnapshotTaken, Step,
};
use raftian_rpc::error::NodeError;
use raftian_rpc::metrics::Exposition;
use raftian_rpc::raft::{Append, AppendAnswer, Chunk, Head, Last, RaftServer, SnapshotAnswer, VoteAnswer};
use raftian_rpc::record::{FILE, RecentCalls};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use crate::experiment::xml;
use crate::host::feed::{FeedEnd, Followed};
use crate::host::inbox::{Inbox, Input};
use crate::host::pending::{Answer, Heard, Pending};
use crate::net::peers::Peers;

/// How long a follower of what is applied may read nothing.
const FOLLOWER_PATIENCE: Duration = Duration::from_secs(10);

/// The handlers of one node.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) own: NodeId,
    pub(crate) app: AppKind,
    pub(crate) inbox: Inbox,
    pub(crate) peers: Arc<Peers>,
    pub(crate) followed: Followed,
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

    /// The node's metrics; nothing where it is shutting down.
    pub(crate) async fn metrics(self) -> String {
        let mut exposition = Exposition::default();
        if let Ok(status) = self.ask(Input::Status).await {
            exposition.nodes(&[status]);
        }
        exposition.into_text()
    }

    /// Puts a question to the host and waits for its answer.
    async fn ask<T>(&self, question: impl FnOnce(Answer<T>) -> Input) -> Result<T, NodeError> {
        let (answer, answered) = oneshot::channel();
        let leaving = NodeError::ShuttingDown { node: self.own };
        self.inbox.send(question(answer)).map_err(|_| leaving.clone())?;
        answered.await.map_err(|_| leaving)
    }

    /// Checks a command and has it applied, by way of the leader, which is asked if this node does not lead.
    ///
    /// # Errors
    /// When it was not applied within `patience`, or that cannot be known.
    pub(crate) async fn submit_command(
        &self,
        command: Box<RawValue>,
        patience: Duration,
        route: Route,
    ) -> Result<Submitted, NodeError> {
        self.check(&command)?;
        let (own, bytes) = (self.own, Bytes::copy_from_slice(command.get().as_bytes()));
        let here = |client| Input::Submit(bytes, route, client);
        let there = move |leader: Http, patience_ms| {
            let command = command.clone();
            async move { leader.submit(command, Some(patience_ms), Some(own)).await }
        };
        self.ask_as_client(patience, here, there).await
    }

    /// Answers a read as fresh as it should be, by way of the leader where it matters.
    async fn read_state(
        &self,
        op: Box<RawValue>,
        consistency: Consistency,
        patience: Duration,
        route: Route,
    ) -> Result<ReadAnswer, NodeError> {
        let freshness = match consistency {
            Consistency::Linearizable => driver::Consistency::Linearizable,
            Consistency::Stale => driver::Consistency::Stale,
        };
        let (own, asked) = (self.own, op.clone());
        let here = |client| Input::Read(asked, freshness, route, client);
        let there = move |leader: Http, patience_ms| {
            let op = op.clone();
            async move { leader.read(op, Some(consistency), Some(patience_ms), Some(own)).await }
        };
        self.ask_as_client(patience, here, there).await
    }

    /// Puts a client's question to the driver, and passes it on to the leader if the driver says so.
    async fn ask_as_client<T: Send, F>(
        &self,
        patience: Duration,
        here: impl FnOnce(Pending<T>) -> Input,
        there: impl Fn(Http, u64) -> F,
    ) -> Result<T, NodeError>
    where
        F: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let deadline = Instant::now() + patience;
        match timeout_at(deadline, self.ask(|answer| here(Pending::new(answer)))).await {
            Err(_) => Err(NodeError::TimedOut { waited_ms: patience.as_millis() as u64 }),
            Ok(heard) => match heard? {
                Heard::Outcome(outcome) => outcome,
                // Boxed, so that the handlers of a leader, which never pass anything on, have no room for a call.
                Heard::PassOn(leader) => Box::pin(self.peers.forward(leader, deadline, there)).await,
            },
        }
    }

    /// How long a client wants to wait, if that is a time one may wait; and how its question came here, if it did.
    fn check_caller(
        &self,
        timeout_ms: Option<u64>,
        forwarded_by: Option<NodeId>,
    ) -> Result<(Duration, Route), NodeError> {
        let timeout_ms = timeout_ms.unwrap_or(DEFAULT_SUBMIT_TIMEOUT_MS);
        if !(1..=MAX_SUBMIT_TIMEOUT_MS).contains(&timeout_ms) {
            let why = format!("timeout_ms is {timeout_ms}; it must be 1 to {MAX_SUBMIT_TIMEOUT_MS}");
            return Err(NodeError::BadRequest { why });
        }
        if let Some(from) = forwarded_by {
            self.peers.request_arrives(from).map_err(cut)?;
        }
        let route = if forwarded_by.is_some() { Route::Forwarded } else { Route::Direct };
        Ok((Duration::from_millis(timeout_ms), route))
    }

    /// Lets an answer to a client's question leave, if the peer that has passed the question on can be heard.
    ///
    /// # Errors
    /// When it cannot. Whatever has become of the question, its outcome is unknown then.
    fn answer_leaves(&self, forwarded_by: Option<NodeId>, since: Instant) -> Result<(), NodeError> {
        let heard = forwarded_by.map_or(Ok(()), |peer| self.peers.reply_leaves(peer));
        heard.map_err(|_| NodeError::TimedOut { waited_ms: since.elapsed().as_millis() as u64 })
    }

    /// Hands a peer's request to the core and waits for its reply, as long as the peer does: an answer may wait for a disk
    /// that never answers, and calls that are given up must not gather here meanwhile.
    async fn deliver(&self, head: Head, request: Request) -> Result<Message, NodeError> {
        let arrived_ns = self.peers.recorder.arrival();
        let reply = self.reply_to(head, request).await;
        self.peers.recorder.served(arrived_ns, head, reply.is_ok());
        reply
    }

    async fn reply_to(&self, head: Head, request: Request) -> Result<Message, NodeError> {
        // The host counts what arrives, refused or not. One that has ended counts nothing.
        self.arrives(head.from, head.to).inspect_err(|_| drop(self.inbox.send(Input::TurnedAway)))?;
        let patience = self.peers.call_timeout();
        let reply = timeout(patience, self.ask(|answer| Input::Request(head.request(request), answer))).await;
        let reply = reply.map_err(|_| NodeError::TimedOut { waited_ms: patience.as_millis() as u64 })???;
        self.peers.reply_leaves(head.from).map_err(cut)?;
        Ok(reply)
    }

    /// Whether a message of a peer arrives here.
    ///
    /// # Errors
    /// When it is meant for another node, or the link from the peer is cut.
    fn arrives(&self, from: NodeId, to: NodeId) -> Result<(), NodeError> {
        match to == self.own {
            true => self.peers.request_arrives(from).map_err(cut),
            false => Err(NodeError::WrongNode { node: self.own, meant: to }),
        }
    }

    /// Why there is nothing more to follow.
    fn feed_error(&self, end: FeedEnd) -> NodeError {
        match end {
            FeedEnd::Forgotten(up_to) => NodeError::Forgotten { node: self.own, up_to },
            FeedEnd::HostEnded => NodeError::ShuttingDown { node: self.own },
        }
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

fn cut(LinkCut { from, to }: LinkCut) -> NodeError {
    NodeError::LinkCut { from, to }
}

#[async_trait]
impl RaftServer for Service {
    async fn pre_vote(&self, head: Head, last: Last) -> RpcResult<VoteAnswer> {
        self.vote(head, Request::PreVote(last.into())).await
    }

    async fn request_vote(&self, head: Head, last: Last, transfer: Option<bool>) -> RpcResult<VoteAnswer> {
        self.vote(head, Request::RequestVote { last: last.into(), transfer: transfer.unwrap_or(false) }).await
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

    async fn install_snapshot(&self, head: Head, chunk: Chunk) -> RpcResult<SnapshotAnswer> {
        let part =
            InstallSnapshot::try_from(chunk).map_err(|error| NodeError::BadRequest { why: error.to_string() })?;
        let reply = self.deliver(head, Request::InstallSnapshot(part)).await?;
        match reply.body {
            Body::Reply(Reply::InstallSnapshot(answer)) => Ok(SnapshotAnswer::new(reply.term, answer)),
            _ => Err(self.other_life().into()),
        }
    }

    async fn timeout_now(&self, head: Head) -> RpcResult<Term> {
        let reply = self.deliver(head, Request::TimeoutNow).await?;
        match reply.body {
            Body::Reply(Reply::TimeoutNow) => Ok(reply.term),
            _ => Err(self.other_life().into()),
        }
    }

    async fn probe(&self, from: NodeId, to: NodeId) -> RpcResult<u64> {
        let arrived_ns = monotonic_ns();
        self.arrives(from, to)?;
        Ok(arrived_ns)
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
        let since = Instant::now();
        let (patience, route) = self.check_caller(timeout_ms, forwarded_by)?;
        let outcome = self.submit_command(command, patience, route).await;
        self.answer_leaves(forwarded_by, since)?;
        Ok(outcome?)
    }

    async fn read(
        &self,
        op: Box<RawValue>,
        consistency: Option<Consistency>,
        timeout_ms: Option<u64>,
        forwarded_by: Option<NodeId>,
    ) -> RpcResult<ReadAnswer> {
        let since = Instant::now();
        let (patience, route) = self.check_caller(timeout_ms, forwarded_by)?;
        let outcome = self.read_state(op, consistency.unwrap_or_default(), patience, route).await;
        self.answer_leaves(forwarded_by, since)?;
        Ok(outcome?)
    }

    async fn view(&self) -> RpcResult<View> {
        Ok(self.ask(Input::View).await?)
    }

    async fn follow(&self, pending: PendingSubscriptionSink, after: Index) -> SubscriptionResult {
        let mut follower = match self.followed.after(after) {
            Ok(follower) => follower,
            Err(end) => {
                pending.reject(self.feed_error(end)).await;
                return Ok(());
            }
        };
        let sink = pending.accept().await?;
        loop {
            let commands = tokio::select! {
                () = sink.closed() => return Ok(()),
                commands = follower.next() => commands.map_err(|end| self.feed_error(end))?,
            };
            let message = to_raw_value(&commands.iter().map(AsRef::as_ref).collect::<Vec<&AppliedCommand>>())?;
            // One that reads nothing falls behind, but would never hear of it.
            sink.send_timeout(message, FOLLOWER_PATIENCE).await?;
        }
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

    async fn probe(&self, probes: Probes) -> RpcResult<Vec<Probed>> {
        Ok(self.peers.probe(probes).await?)
    }

    async fn log(&self, from: Index, limit: u64) -> RpcResult<LogPage> {
        let limit = limit.min(MAX_LOG_PAGE) as usize;
        Ok(self.ask(|answer| Input::Log { from, limit, answer }).await?)
    }

    async fn snapshot(&self, keep_entries: u64) -> RpcResult<SnapshotTaken> {
        Ok(self.ask(|answer| Input::Snapshot(keep_entries, answer)).await??)
    }

    async fn change(&self, change: MemberChange) -> RpcResult<ChangeBegun> {
        Ok(self.ask(|answer| Input::Change(change, answer)).await??)
    }

    async fn transfer(&self, to: NodeId) -> RpcResult<()> {
        Ok(self.ask(|answer| Input::Transfer(to, answer)).await??)
    }

    async fn recent_calls(&self, since: u64) -> RpcResult<RecentCalls> {
        Ok(self.peers.recorder.recent(since))
    }

    async fn record(&self, on: bool) -> RpcResult<()> {
        self.peers.recorder.switch(on).map_err(|error| NodeError::Failed { why: format!("{FILE}: {error}") }.into())
    }

    async fn step(&self, step: Step) -> RpcResult<Settled> {
        Ok(self.ask(|answer| Input::Step(step, answer)).await??)
    }

    async fn durable(&self) -> RpcResult<Durable> {
        Ok(self.ask(Input::Durable).await??)
    }

    async fn power_loss(&self) -> RpcResult<()> {
        self.inbox.send(Input::PowerLoss).map_err(|_| NodeError::ShuttingDown { node: self.own })?;
        // The process ends meanwhile.
        std::future::pending().await
    }
}
