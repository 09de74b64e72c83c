//! `lab.*`, served: each method hands over to the [`Lab`] and turns its error into one of JSON-RPC.
//!
//! Invariant: whatever changes something is carried out by a task of its own, to its end, even if the caller hangs up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jsonrpsee::PendingSubscriptionSink;
use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use raftian_rpc::condition::Condition;
use raftian_rpc::lab::{
    ActReport, ActRequest, CanvasClosed, CanvasReport, CanvasRequest, CanvasShare, ClearReport, DamageReport,
    DamageRequest, Event, Fault, FaultId, FaultReport, FaultRequest, Hello, LabServer, LabStatus, LogReport,
    MemberReport, MemberRequest, NetworkRequest, NodeFaultRequest, PartitionRequest, Question, Resolution,
    SnapshotReport, SnapshotRequest, StartReport, StartRequest, StopReport, TransferReport, TransferRequest,
    WaitReport, WhyReport,
};
use raftian_rpc::selector::Selector;
use raftian_rpc::{Index, NodeId};
use serde_json::value::to_raw_value;

use crate::lab::Lab;

/// The methods of one lab.
pub(crate) struct Api {
    /// The lab.
    pub(crate) lab: Arc<Lab>,
}

#[async_trait]
impl LabServer for Api {
    async fn hello(&self) -> RpcResult<Hello> {
        Ok(self.lab.hello())
    }

    async fn start(&self, request: StartRequest) -> RpcResult<StartReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.start(request).await }).await?)
    }

    async fn stop(&self, purge: bool) -> RpcResult<StopReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.stop(purge).await }).await?)
    }

    async fn status(&self) -> RpcResult<LabStatus> {
        Ok(self.lab.status().await)
    }

    async fn addresses(&self) -> RpcResult<BTreeMap<NodeId, SocketAddr>> {
        let state = self.lab.state();
        Ok(state.nodes.iter().filter_map(|(id, node)| Some((*id, node.address()?))).collect())
    }

    async fn act(&self, request: ActRequest) -> RpcResult<ActReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.act(request).await }).await?)
    }

    async fn member(&self, request: MemberRequest) -> RpcResult<MemberReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.member(request).await }).await?)
    }

    async fn transfer(&self, request: TransferRequest) -> RpcResult<TransferReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.transfer(request).await }).await?)
    }

    async fn snapshot(&self, request: SnapshotRequest) -> RpcResult<SnapshotReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.snapshot(request).await }).await?)
    }

    async fn partition(&self, request: PartitionRequest) -> RpcResult<FaultReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.partition(request).await }).await?)
    }

    async fn fault_add(&self, request: FaultRequest) -> RpcResult<FaultReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.fault_add(request).await }).await?)
    }

    async fn network(&self, request: NetworkRequest) -> RpcResult<FaultReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.network(request).await }).await?)
    }

    async fn node_fault_add(&self, request: NodeFaultRequest) -> RpcResult<FaultReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.node_fault_add(request).await }).await?)
    }

    async fn fault_list(&self) -> RpcResult<Vec<Fault>> {
        Ok(self.lab.faults_as_seen().await)
    }

    async fn fault_clear(&self, id: Option<FaultId>) -> RpcResult<ClearReport> {
        Ok(self.lab.carry_out(move |lab| async move { lab.fault_clear(id).await }).await?)
    }

    async fn damage(&self, request: DamageRequest) -> RpcResult<DamageReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.damage(request).await }).await?)
    }

    async fn wait(&self, condition: Condition, timeout_ms: u64) -> RpcResult<WaitReport> {
        Ok(self.lab.wait(condition, timeout_ms).await?)
    }

    async fn resolve(&self, selector: Selector) -> RpcResult<Resolution> {
        Ok(self.lab.resolved(selector).await?)
    }

    async fn why(&self, question: Question) -> RpcResult<WhyReport> {
        Ok(self.lab.why(question).await?)
    }

    async fn log(&self, selector: Selector, from: Index, limit: u64) -> RpcResult<LogReport> {
        Ok(self.lab.logs(selector, from, limit).await?)
    }

    async fn canvas_serve(&self, request: CanvasRequest) -> RpcResult<CanvasReport> {
        Ok(self.lab.carry_out(|lab| async move { lab.canvas_serve(request).await }).await?)
    }

    async fn canvas_status(&self) -> RpcResult<Option<CanvasReport>> {
        Ok(self.lab.canvas_status().await)
    }

    async fn canvas_share(&self, read_only: bool) -> RpcResult<CanvasShare> {
        Ok(self.lab.canvas_share(read_only).await?)
    }

    async fn canvas_close(&self) -> RpcResult<CanvasClosed> {
        Ok(self.lab.carry_out(|lab| async move { Ok(lab.canvas_close().await) }).await?)
    }

    async fn events(&self, limit: u64) -> RpcResult<Vec<Event>> {
        Ok(self.lab.journal.last(limit))
    }

    async fn follow(&self, pending: PendingSubscriptionSink, since: u64) -> SubscriptionResult {
        let sink = pending.accept().await?;
        let (past, mut live) = self.lab.journal.follow(since);
        for event in &past {
            sink.send(to_raw_value(event)?).await?;
        }
        loop {
            tokio::select! {
                () = sink.closed() => return Ok(()),
                // A subscriber that lags too far behind gets an error here, which ends its subscription.
                event = live.recv() => sink.send(to_raw_value(&event?)?).await?,
            }
        }
    }
}
