//! The players of nodes that come and go: where a node has a game beside its server, its player is on the board for as
//! long as the node is in the cluster.
//!
//! Invariant: a node that could not bring its player along, or take it away, is added or removed all the same; a person
//! is told what to do about the player.

use std::sync::Arc;

use raftian_rpc::client::ClientClient;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::GameChoice;
use raftian_rpc::{AppKind, Command, MAX_PLAYERS, NodeId};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use crate::lab::Lab;
use crate::poll::{self, PATIENCE, may_look_again};

impl Lab {
    /// Puts the player of a new node on the board, if nodes have games. One that is there already stays as it is.
    pub(crate) async fn player_joins(self: &Arc<Lab>, node: NodeId, deadline: Instant, notes: &mut Vec<Note>) {
        let player = node.number();
        if self.plays() && player > MAX_PLAYERS {
            notes.push(format!("{node} has no player: the game has at most {MAX_PLAYERS}").into());
        } else if self.plays() {
            match self.order(&format!(r#"{{"add":{player}}}"#), deadline).await {
                Ok(()) => notes.push(format!("player {player} joins with {node}").into()),
                Err(why) => {
                    let text = format!("player {player} could not join ({why})");
                    notes.push(Note::new(text).hint(Hint::AddPlayer { player }));
                }
            }
        }
    }

    /// Takes the player of a removed node off the board, if nodes have games.
    pub(crate) async fn player_leaves(self: &Arc<Lab>, node: NodeId, deadline: Instant, notes: &mut Vec<Note>) {
        let player = node.number();
        if self.plays() && player <= MAX_PLAYERS {
            match self.order(&format!(r#"{{"del":{player}}}"#), deadline).await {
                Ok(()) => notes.push(format!("player {player} leaves with {node}").into()),
                Err(why) => {
                    let text = format!("player {player} could not leave ({why})");
                    notes.push(Note::new(text).hint(Hint::RemovePlayer { player }));
                }
            }
        }
    }

    fn plays(&self) -> bool {
        let settings = self.state().settings;
        settings.is_some_and(|settings| settings.app == AppKind::Attack && settings.game != GameChoice::None)
    }

    /// Has a command of the game carried out, once, by whichever leader.
    async fn order(&self, op: &str, deadline: Instant) -> Result<(), String> {
        let command = command(op).map_err(|why| why.to_string())?;
        let mut why = "no node leads".to_owned();
        loop {
            let leader = self.view().await.leader;
            let client = leader.and_then(|(leader, _)| self.state().nodes.get(&leader)?.client.clone());
            if let Some(client) = client {
                let timeout_ms = PATIENCE.as_millis() as u64;
                match client.submit(command.clone(), Some(timeout_ms), None).await {
                    Ok(_) => return Ok(()),
                    Err(error) => why = poll::why(&error),
                }
            }
            if !may_look_again(deadline).await {
                return Err(why);
            }
        }
    }
}

/// A command of a client that sends this one only.
fn command(op: &str) -> Result<Box<RawValue>, LabError> {
    let failed = |error: &dyn std::fmt::Display| LabError::failed(format!("the command cannot be written: {error}"));
    let op = RawValue::from_string(op.to_owned()).map_err(|error| failed(&error))?;
    let client = format!("lab-{:016x}", fastrand::u64(..));
    let command = Command::new(client, 1, op).map_err(|error| failed(&error))?;
    to_raw_value(&command).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_joins_by_a_command_that_nodes_understand() {
        let command = command(r#"{"add":6}"#).unwrap();
        let command = Command::parse(command.get().as_bytes()).unwrap();
        assert_eq!((command.serial(), command.op().get()), (1, r#"{"add":6}"#));
        assert!(AppKind::Attack.validate(command.op()).is_ok());
    }
}
