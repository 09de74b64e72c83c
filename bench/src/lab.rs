//! A running lab, seen from outside: the calls to its daemon that this crate makes.
//!
//! Invariant: an error of the daemon stays a [`LabError`], so that a face can find its exit code by downcasting.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use jsonrpsee::core::ClientError;
use raftian_rpc::NodeId;
use raftian_rpc::condition::Condition;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::error::LabError;
use raftian_rpc::folder::LabFolder;
use raftian_rpc::lab::{
    ActReport, ActRequest, Action, ClearReport, DaemonFile, FaultReport, LabClient as _, LabStatus, Layout,
    PartitionRequest, StartReport, StartRequest, WaitReport,
};
use raftian_rpc::secret::Secret;
use raftian_rpc::selector::Selector;

/// How long a call to the daemon may take that was not given a time of its own.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How a lab is reached. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The daemon's client.
    pub client: Http,
    /// Where the daemon listens.
    pub address: SocketAddr,
    /// The lab's secret, which its nodes ask for as well.
    pub secret: Secret,
}

impl Lab {
    /// The lab whose daemon listens at `address`. Does not connect yet.
    ///
    /// # Errors
    /// When the secret cannot stand in a header.
    pub fn at(address: SocketAddr, secret: Secret) -> anyhow::Result<Lab> {
        let client = connect::http(address, &secret, CALL_TIMEOUT)?;
        Ok(Lab { client, address, secret })
    }

    /// The lab that lives in `folder`, by what its daemon wrote there.
    ///
    /// # Errors
    /// When there are no such files, or they cannot be read.
    pub fn in_folder(folder: &LabFolder) -> anyhow::Result<Lab> {
        let path = folder.daemon_json();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("no lab runs in {}: its daemon.json cannot be read", folder.path().display()))?;
        let daemon: DaemonFile =
            serde_json::from_str(&text).with_context(|| format!("{} is not a daemon's", path.display()))?;
        let secret = Secret::load(&folder.secret()).context("the lab's secret cannot be read")?;
        Lab::at(daemon.address, secret)
    }

    /// Starts the nodes and waits for a leader.
    ///
    /// # Errors
    /// The daemon's, or the transport's.
    pub async fn start(&self, request: StartRequest) -> anyhow::Result<StartReport> {
        told(self.client.start(request).await)
    }

    /// What every node is doing.
    ///
    /// # Errors
    /// The daemon's, or the transport's.
    pub async fn status(&self) -> anyhow::Result<LabStatus> {
        told(self.client.status().await)
    }

    /// Does something to the nodes that `selector` names. With `wait`, also waits for the next leader.
    ///
    /// # Errors
    /// The daemon's, or the transport's.
    pub async fn act(&self, action: Action, selector: Selector, wait: bool) -> anyhow::Result<ActReport> {
        told(self.client.act(ActRequest { action, selector, no_wait: !wait, timeout_ms: 10_000 }).await)
    }

    /// Cuts the nodes that `selector` names off from all others.
    ///
    /// # Errors
    /// The daemon's, or the transport's.
    pub async fn isolate(&self, selector: Selector) -> anyhow::Result<FaultReport> {
        let request = PartitionRequest { layout: Layout::Isolate(selector), one_way: false, for_ms: None };
        told(self.client.partition(request).await)
    }

    /// Clears all faults.
    ///
    /// # Errors
    /// The daemon's, or the transport's.
    pub async fn heal(&self) -> anyhow::Result<ClearReport> {
        told(self.client.fault_clear(None).await)
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    /// [`LabError::TimedOut`] says what is missing; else the transport's.
    pub async fn wait(&self, condition: Condition, timeout: Duration) -> anyhow::Result<WaitReport> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        told(self.client.wait(condition, timeout_ms).await)
    }

    /// Where the nodes listen.
    ///
    /// # Errors
    /// The daemon's, or the transport's.
    pub async fn addresses(&self) -> anyhow::Result<Vec<(NodeId, SocketAddr)>> {
        Ok(told(self.client.addresses().await)?.into_iter().collect())
    }
}

/// Keeps a daemon's error what it is, and says of any other where it comes from.
pub(crate) fn told<T>(answer: Result<T, ClientError>) -> anyhow::Result<T> {
    answer.map_err(|error| match LabError::from_client(&error) {
        Some(error) => error.into(),
        None => anyhow::Error::from(error).context("the lab's daemon did not answer; see `raftianctl doctor`"),
    })
}
