//! The server's end of the commands queue: takes what a game says, and submits its commands the way a client's are.
//!
//! Invariant: a command that does not become an order is refused, with a reason; nothing here blocks the host.
//!
//! Deliberately absent: orders. A command becomes one when its entry is applied on this node (`orders`).

use std::sync::mpsc;
use std::time::Duration;

use raftian_driver::Route;
use raftian_rpc::client::DEFAULT_SUBMIT_TIMEOUT_MS;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::game_link::lanes::{Lane, Lanes, MAX_LANES, Session};
use crate::game_link::port::{FromGame, ToGame};
use crate::host::inbox::Input;
use crate::net::service::Service;

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
                Some(FromGame::Attack { serial, player }) => match lanes.enter(serial) {
                    Some(lane) => {
                        let (client, serial_there) = (session.client(lane), lane.serial(serial));
                        let (service, orders) = (service.clone(), orders.clone());
                        submissions.spawn(async move {
                            let carried = attack(&service, &client, serial_there, player).await;
                            settle(&orders, serial, lane, carried)
                        });
                    }
                    None => refuse(&orders, serial, format!("{MAX_LANES} commands wait for an answer already")),
                },
                // A host that has ended has no status to put it in.
                Some(FromGame::Report(report)) => drop(service.inbox.send(Input::Game(report))),
                None => break,
            },
            Some(lane) = submissions.join_next() => lanes.leave(lane.expect("submissions do not panic")),
        }
    }
    // A host that has ended is leaving already.
    let _ = service.inbox.send(Input::Shutdown);
}

/// Has an attack carried out, or says why it was not, as far as is known.
async fn attack(service: &Service, client: &str, serial: u64, player: u8) -> Result<(), String> {
    let patience = Duration::from_millis(DEFAULT_SUBMIT_TIMEOUT_MS);
    let command = json!({ "client": client, "serial": serial, "op": { "attack": player } });
    let command = to_raw_value(&command).expect("a value is JSON");
    let submitted =
        service.submit_command(command, patience, Route::Direct).await.map_err(|error| error.to_string())?;
    match submitted.response.refusal() {
        None => Ok(()),
        Some(_) => Err(format!("it was answered {}", submitted.response)),
    }
}

/// Tells the game of a failure. The lane, if it may be used again.
fn settle(orders: &mpsc::Sender<ToGame>, serial: u64, lane: Lane, carried: Result<(), String>) -> Option<Lane> {
    match carried {
        Ok(()) => Some(lane),
        Err(why) => {
            refuse(orders, serial, why);
            None
        }
    }
}

fn refuse(orders: &mpsc::Sender<ToGame>, serial: u64, why: String) {
    // A game that has left gets no answer.
    let _ = orders.send(ToGame::Refused { serial, why });
}
