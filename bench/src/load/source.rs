//! Where a load finds the nodes it asks.

use std::net::SocketAddr;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::connect;
use raftian_rpc::secret::Secret;

use super::Targeting;
use super::session::Target;
use crate::lab::Lab;

/// Where a load finds the nodes it asks.
#[derive(Clone, Debug)]
pub enum Source {
    /// The daemon of a lab knows, and is asked again and again: nodes move when they are restarted.
    Lab(Lab),
    /// Nodes without a daemon, which stay where they are.
    Fixed {
        /// Where each of them listens.
        addresses: Vec<(NodeId, SocketAddr)>,
        /// Their secret.
        secret: Secret,
    },
}

impl Source {
    /// Clients of the nodes that are meant.
    ///
    /// # Errors
    /// When the daemon does not answer, or no node is meant.
    pub(super) async fn connect(&self, targets: Targeting, timeout: Duration) -> anyhow::Result<Vec<Target>> {
        let (addresses, secret) = match self {
            Source::Lab(lab) => (&lab.addresses().await?, &lab.secret),
            Source::Fixed { addresses, secret } => (addresses, secret),
        };
        let chosen = addresses.iter().filter(|(node, _)| match targets {
            Targeting::All => true,
            Targeting::One(wanted) => *node == wanted,
        });
        let nodes: Vec<Target> = chosen
            .map(|(node, address)| Ok((*node, connect::http(*address, secret, timeout)?)))
            .collect::<anyhow::Result<_>>()?;
        match (nodes.is_empty(), targets) {
            (false, _) => Ok(nodes),
            (true, Targeting::One(node)) => {
                anyhow::bail!("there is no node {node} in this lab; see `raftianctl status`")
            }
            (true, Targeting::All) => anyhow::bail!("this lab has no nodes; start some with `raftianctl start`"),
        }
    }
}

impl From<&Lab> for Source {
    fn from(lab: &Lab) -> Source {
        Source::Lab(lab.clone())
    }
}
