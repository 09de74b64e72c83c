//! Where a load finds the nodes it asks.

use std::net::SocketAddr;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::connect;
use raftian_rpc::secret::Secret;

use super::Targeting;
use super::session::Target;
use crate::whereabouts::Whereabouts;

/// Where a load finds the nodes it asks.
#[derive(Clone, Debug)]
pub enum Source {
    /// Those of a lab, which may move when they are restarted.
    Lab(Whereabouts),
    /// Nodes without a daemon, which stay where they are.
    Fixed {
        /// Where each of them listens.
        addresses: Vec<(NodeId, SocketAddr)>,
        /// Their secret.
        secret: Secret,
    },
}

impl Source {
    /// Clients of the nodes that are meant: of those that have not moved the ones that are `known`, with the connections
    /// that they keep.
    ///
    /// # Errors
    /// When no node is meant, or the secret cannot stand in a header.
    pub(super) fn connect(
        &self,
        targets: Targeting,
        timeout: Duration,
        known: &[Target],
    ) -> anyhow::Result<Vec<Target>> {
        let (addresses, secret) = match self {
            Source::Lab(whereabouts) => (whereabouts.addresses(), &whereabouts.lab().secret),
            Source::Fixed { addresses, secret } => (addresses.clone(), secret),
        };
        let chosen = addresses.into_iter().filter(|(node, _)| match targets {
            Targeting::All => true,
            Targeting::One(wanted) => *node == wanted,
        });
        let client = |(node, address)| {
            let known = known.iter().find(|target| (target.node, target.address) == (node, address));
            let new = || Ok(Target { node, address, client: connect::http(address, secret, timeout)? });
            known.cloned().map_or_else(new, Ok)
        };
        let nodes: Vec<Target> = chosen.map(client).collect::<anyhow::Result<_>>()?;
        match (nodes.is_empty(), targets) {
            (false, _) => Ok(nodes),
            (true, Targeting::One(node)) => {
                anyhow::bail!("there is no node {node} in this lab; see `raftianctl status`")
            }
            (true, Targeting::All) => anyhow::bail!("this lab has no nodes; start some with `raftianctl start`"),
        }
    }
}

impl From<&Whereabouts> for Source {
    fn from(whereabouts: &Whereabouts) -> Source {
        Source::Lab(whereabouts.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_of_a_node_that_stays_is_kept_and_one_that_moves_has_a_new_one() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let [n1, n2] = [1, 2].map(|number| NodeId::new(number).unwrap());
        let secret = Secret::generate().unwrap();
        let source = |last| Source::Fixed { addresses: vec![(n1, at(1)), (n2, at(last))], secret: secret.clone() };
        let patience = Duration::from_secs(1);
        let mut known = source(2).connect(Targeting::All, patience, &[]).unwrap();
        // Told apart by where they go.
        known.iter_mut().for_each(|target| target.client = connect::http(at(9), &secret, patience).unwrap());
        let after = source(3).connect(Targeting::All, patience, &known).unwrap();
        let goes_to =
            |target: &Target, port: u16| format!("{:?}", target.client).contains(&format!("127.0.0.1:{port}"));
        assert!(goes_to(&after[0], 9) && goes_to(&after[1], 3), "{after:?}");
        let one = source(3).connect(Targeting::One(n2), patience, &after).unwrap();
        assert_eq!(one.iter().map(|target| target.node).collect::<Vec<_>>(), [n2]);
        let gone = Targeting::One(NodeId::new(3).unwrap());
        assert!(source(3).connect(gone, patience, &after).unwrap_err().to_string().contains("no node n3"));
    }
}
