//! The server's end of the orders queue: what a game hears of its server.
//!
//! Invariant: the board comes first, and then every command that took effect, once each and in the order of the log;
//! where a snapshot takes the place of some, a board does for the game.
//!
//! Deliberately absent: waiting. The queue has no end that could be full, and a game that has left hears nothing.

use std::sync::mpsc;

use raftian_apps::{Applied, Effect, Machine};
use raftian_raft::Server;
use raftian_rpc::clock;
use serde_json::Value;

use crate::game_link::lanes::Session;
use crate::game_link::port::{Order, Standing, ToGame};

/// The queue, and what was last said of where the server stands.
#[derive(Debug)]
pub(crate) struct Orders {
    queue: mpsc::Sender<ToGame>,
    session: Session,
    standing: Option<Standing>,
}

impl Orders {
    /// Begins with the board as it is. `session` tells this game's own commands.
    pub(crate) fn begin(queue: mpsc::Sender<ToGame>, session: Session, machine: &Machine) -> Orders {
        let orders = Orders { queue, session, standing: None };
        orders.board(machine);
        orders
    }

    /// The state was replaced by another one, so that orders were skipped.
    pub(crate) fn skipped(&self, machine: &Machine) {
        self.board(machine);
        self.put(ToGame::Skipped);
    }

    /// An entry has been applied.
    pub(crate) fn applied(&self, applied: &Applied) {
        let (Some(command), Effect::Executed(response)) = (&applied.command, &applied.effect) else { return };
        self.put(ToGame::Order(Order {
            index: applied.index,
            own_serial: self.session.number(command),
            ordered_ns: clock::monotonic_ns(),
            response: response.clone(),
        }));
    }

    /// Says where the server stands, if that has changed.
    pub(crate) fn stands(&mut self, server: &Server) {
        let (role, term, leader) = (server.role(), server.hard_state().term, server.leader());
        let standing = Standing { node: server.id(), role, term, leader };
        if self.standing.replace(standing) != Some(standing) {
            self.put(ToGame::Standing(standing));
        }
    }

    fn board(&self, machine: &Machine) {
        self.put(ToGame::Board { last_applied: machine.last_applied(), players: players(&machine.view()) });
    }

    fn put(&self, said: ToGame) {
        // A game that has left hears nothing; its end of the commands queue ends the server.
        let _ = self.queue.send(said);
    }
}

/// The players as (number, hp) in the state of an attack game.
fn players(state: &Value) -> Vec<(u8, u8)> {
    let small = |player: &Value, name: &str| u8::try_from(player.get(name)?.as_u64()?).ok();
    let players = state.get("players").and_then(Value::as_array).into_iter().flatten();
    players.filter_map(|player| Some((small(player, "player")?, small(player, "hp")?))).collect()
}

#[cfg(test)]
mod tests {
    use raftian_apps::AppKind;
    use raftian_raft::{Entry, NodeId, Payload};

    use super::*;
    use crate::game_link::lanes::Lane;

    fn entry(index: u64, command: &str) -> Entry {
        Entry { index, term: 1, payload: Payload::Command(command.to_owned().into()) }
    }

    #[test]
    fn the_board_comes_first_and_then_each_command_that_took_effect_once() {
        let mut machine = Machine::new(AppKind::Attack, 2).unwrap();
        let (queue, orders) = mpsc::channel();
        let session = Session::new("game", NodeId::new(2).unwrap());
        let own =
            format!(r#"{{"client":"{}","serial":1,"op":{{"attack":1}}}}"#, session.client(Lane::beginning_with(7)));
        let foreign = r#"{"client":"x","serial":1,"op":{"attack":2}}"#;
        let told = Orders::begin(queue, session, &machine);
        for (index, command) in [(1, foreign), (2, own.as_str()), (3, foreign)] {
            told.applied(&machine.apply(&entry(index, command)));
        }
        told.applied(&machine.apply(&Entry { index: 4, term: 1, payload: Payload::Noop }));
        told.skipped(&machine);
        drop(told);
        let said: Vec<ToGame> = orders.iter().collect();
        let [ToGame::Board { last_applied: 0, players }, ToGame::Order(first), ToGame::Order(second), skipped @ ..] =
            &said[..]
        else {
            panic!("{said:?}")
        };
        assert_eq!(players[..], [(1, 100), (2, 100)]);
        assert_eq!((first.index, first.own_serial), (1, None));
        assert_eq!((second.index, second.own_serial), (2, Some(7)));
        assert_eq!(second.response.get(), r#"{"outcome":"hit","player":1,"hp":70}"#);
        let [ToGame::Board { last_applied: 4, players }, ToGame::Skipped] = skipped else { panic!("{said:?}") };
        assert_eq!(players[..], [(1, 70), (2, 70)]);
    }
}
