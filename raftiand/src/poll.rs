//! Asking the nodes again and again, for what they do not tell by themselves: how far a change is, what is applied.
//!
//! Invariant: at least one look is taken, and after the last one nobody sleeps in vain.
//!
//! Deliberately absent: waiting for what the daemon is told; that is `Lab::until`, which needs no asking.

use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_rpc::NodeId;
use raftian_rpc::connect::Http;
use raftian_rpc::error::NodeError;
use raftian_rpc::hint::Note;
use tokio::time::Instant;

use crate::lab::Lab;

/// How often the nodes are asked.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long a leader may take to answer a request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Lets an interval pass before the next look; false if the time is up before that, so that this one was the last.
pub(crate) async fn may_look_again(deadline: Instant) -> bool {
    let is_time = Instant::now() + INTERVAL <= deadline;
    if is_time {
        tokio::time::sleep(INTERVAL).await;
    }
    is_time
}

/// Why a leader did not begin what it was asked for.
pub(crate) enum Declined {
    /// As things stand it cannot be.
    Refused(String),
    /// It may be in a moment.
    ForNow(String),
}

impl From<Declined> for Note {
    fn from(declined: Declined) -> Note {
        match declined {
            Declined::Refused(why) | Declined::ForNow(why) => why.into(),
        }
    }
}

impl Lab {
    /// Asks a node that leads for something; else says why it was not begun.
    pub(crate) async fn ask_leader<T>(
        &self,
        leader: NodeId,
        ask: impl AsyncFnOnce(Http) -> Result<T, ClientError>,
    ) -> Result<T, Declined> {
        let client = self.state().nodes.get(&leader).and_then(|node| node.client.clone());
        let client = client.ok_or_else(|| Declined::ForNow(format!("{leader} has just gone")))?;
        match tokio::time::timeout(PATIENCE, ask(client)).await {
            Ok(answer) => answer.map_err(|error| match NodeError::from_client(&error) {
                Some(NodeError::Refused { why }) => Declined::Refused(why),
                _ => Declined::ForNow(why(&error)),
            }),
            Err(_) => {
                let why = format!("the leader {leader} did not answer within {} s", PATIENCE.as_secs());
                Err(Declined::ForNow(why))
            }
        }
    }
}

/// The words of a node that said no, or else those of the transport.
pub(crate) fn why(error: &ClientError) -> String {
    NodeError::from_client(error).map_or_else(|| error.to_string(), |error| error.to_string())
}
