//! The server's end of the commands queue: takes what a game says, and submits its commands the way a client's are.
//!
//! A client of the log has one command outstanding at a time, and a game does not wait for one click before the next.
//! So the commands of a game go out in lanes, each a client of its own by name, with the game's serial numbers.
//!
//! Invariant: a command that does not become an order is refused, with a reason; nothing here blocks the driver.
//!
//! Deliberately absent: orders. A command becomes one when its entry is applied on this node (`orders`).

use std::fmt::Display;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use raftian_raft::NodeId;
use raftian_rpc::client::DEFAULT_SUBMIT_TIMEOUT_MS;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::inbox::Input;
use crate::port::{FromGame, ToGame};
use crate::service::Service;

/// The most commands of one game on their way at once.
const MAX_LANES: usize = 256;

/// How the commands of one life of a game are told from all others.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    prefix: Arc<str>,
}

/// A session that no game had before.
pub(crate) fn session(node: NodeId) -> Session {
    Session { prefix: format!("game-{node}-{:016x}.", fastrand::u64(..)).into() }
}

/// Serves the commands queue until the game has left, and then lets the server leave.
pub(crate) async fn take(
    mut commands: UnboundedReceiver<FromGame>,
    orders: mpsc::Sender<ToGame>,
    session: Session,
    service: Service,
) {
    let mut lanes = Lanes::default();
    let mut submissions = JoinSet::new();
    loop {
        tokio::select! {
            said = commands.recv() => match said {
                Some(FromGame::Attack { serial, player }) => match lanes.enter() {
                    Some(lane) => {
                        let client = session.lane(lane);
                        let (service, orders) = (service.clone(), orders.clone());
                        submissions.spawn(async move {
                            attack(&service, &client, serial, player, &orders).await;
                            lane
                        });
                    }
                    None => refuse(&orders, serial, format!("{MAX_LANES} commands wait for an answer already")),
                },
                // A driver that has ended has no status to put it in.
                Some(FromGame::Report(report)) => drop(service.inbox.send(Input::Game(report))),
                None => break,
            },
            Some(lane) = submissions.join_next() => lanes.leave(lane.expect("submissions do not panic")),
        }
    }
    // A driver that has ended is leaving already.
    let _ = service.inbox.send(Input::Shutdown);
}

async fn attack(service: &Service, client: &str, serial: u64, player: u8, orders: &mpsc::Sender<ToGame>) {
    let patience = Duration::from_millis(DEFAULT_SUBMIT_TIMEOUT_MS);
    let command = json!({ "client": client, "serial": serial, "op": { "attack": player } });
    let command = to_raw_value(&command).expect("a value is JSON");
    if let Err(error) = service.carry(command, patience, false).await {
        refuse(orders, serial, error);
    }
}

fn refuse(orders: &mpsc::Sender<ToGame>, serial: u64, why: impl Display) {
    // A game that has left is told nothing.
    let _ = orders.send(ToGame::Refused { serial, why: why.to_string() });
}

impl Session {
    /// The name of one lane as a client.
    pub(crate) fn lane(&self, lane: usize) -> String {
        format!("{}{lane}", self.prefix)
    }

    /// Whether a client is one of its lanes.
    pub(crate) fn owns(&self, client: &str) -> bool {
        client.starts_with(&*self.prefix)
    }
}

/// Which lanes have a command outstanding. As few as possible are ever used, since each is a session on the log.
#[derive(Debug, Default)]
struct Lanes {
    free: Vec<usize>,
    used: usize,
}

impl Lanes {
    fn enter(&mut self) -> Option<usize> {
        self.free.pop().or_else(|| {
            let next = (self.used < MAX_LANES).then_some(self.used)?;
            self.used += 1;
            Some(next)
        })
    }

    fn leave(&mut self, lane: usize) {
        self.free.push(lane);
    }
}

#[cfg(test)]
mod tests {
    use raftian_apps::Command;

    use super::*;

    #[test]
    fn a_lane_has_one_command_at_a_time_and_is_used_again() {
        let mut lanes = Lanes::default();
        assert_eq!((lanes.enter(), lanes.enter()), (Some(0), Some(1)));
        lanes.leave(0);
        assert_eq!((lanes.enter(), lanes.enter()), (Some(0), Some(2)));
        let taken = std::iter::from_fn(|| lanes.enter()).count();
        assert_eq!(taken + 3, MAX_LANES);
    }

    #[test]
    fn two_lives_of_a_game_do_not_own_each_others_commands() {
        let node = NodeId::new(1).unwrap();
        let (one, other) = (session(node), session(node));
        assert!(one.owns(&one.lane(12)) && !one.owns(&other.lane(12)));
        assert!(Command::new(one.lane(MAX_LANES), 1, to_raw_value(&0).unwrap()).is_ok(), "a client name");
    }
}
