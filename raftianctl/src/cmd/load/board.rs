//! What a load leaves of the game: players die of it, leave and join, and nobody mends that by itself.

use raftian_rpc::AppKind;
use raftian_rpc::lab::LabStatus;
use serde::Serialize;
use serde_json::Value;

/// The players of a game, by their numbers.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Board {
    alive: Vec<u64>,
    dead: Vec<u64>,
    /// Those that the game began with, and that are not on the board any more.
    gone: Vec<u64>,
}

impl Board {
    /// The board as the node has it that has applied most; `None` where there is none to see.
    pub(super) fn of(status: &LabStatus) -> Option<Board> {
        status.app.filter(|app| *app == AppKind::Attack)?;
        let servers = status.nodes.iter().filter_map(|report| report.server.as_ref());
        let furthest = servers.max_by_key(|server| server.last_applied)?;
        Board::read(&furthest.state, status.app_options?.players)
    }

    fn read(state: &Value, players: u16) -> Option<Board> {
        let on = state.get("players")?.as_array()?;
        let on = on.iter().map(|player| Some((player.get("player")?.as_u64()?, player.get("hp")?.as_u64()?)));
        let on: Vec<(u64, u64)> = on.collect::<Option<_>>()?;
        let with =
            |wanted: fn(u64) -> bool| on.iter().filter(|(_, hp)| wanted(*hp)).map(|(player, _)| *player).collect();
        let gone = (1..=u64::from(players)).filter(|player| !on.iter().any(|(other, _)| other == player)).collect();
        Some(Board { alive: with(|hp| hp > 0), dead: with(|hp| hp == 0), gone })
    }

    /// What it looks like, and how it is mended; `None` when all are alive.
    pub(super) fn line(&self) -> Option<String> {
        let Board { alive, dead, gone } = self;
        let numbers = |players: &[u64]| players.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let told =
            [(alive, "alive"), (dead, "dead"), (gone, "gone")].into_iter().filter(|(players, _)| !players.is_empty());
        let told: Vec<String> = told.map(|(players, how)| format!("{} {how}", numbers(players))).collect();
        let revive = dead.first().map(|player| format!("`raftianctl player del {player}` takes a dead one off"));
        let add = dead.iter().chain(gone).next();
        let add = add.map(|player| format!("`raftianctl player add {player}` puts one on it"));
        let mend: Vec<String> = revive.into_iter().chain(add).collect();
        (!mend.is_empty()).then(|| format!("board        players {}; {}\n", told.join(", "), mend.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_is_dead_or_gone_is_said_with_the_way_back() {
        let state =
            json!({ "players": [{ "player": 1, "hp": 0 }, { "player": 3, "hp": 70 }, { "player": 4, "hp": 0 }] });
        let board = Board::read(&state, 5).unwrap();
        assert_eq!(board, Board { alive: vec![3], dead: vec![1, 4], gone: vec![2, 5] });
        assert_eq!(
            board.line().unwrap(),
            "board        players 3 alive, 1,4 dead, 2,5 gone; `raftianctl player del 1` takes a dead one off, \
             `raftianctl player add 1` puts one on it\n"
        );
        let gone = Board::read(&json!({ "players": [{ "player": 1, "hp": 100 }] }), 2).unwrap();
        assert_eq!(
            gone.line().unwrap(),
            "board        players 1 alive, 2 gone; `raftianctl player add 2` puts one on it\n"
        );
    }

    #[test]
    fn of_a_board_that_is_whole_or_none_nothing_is_said() {
        let whole = Board::read(&json!({ "players": [{ "player": 1, "hp": 10 }] }), 1).unwrap();
        assert_eq!(whole.line(), None);
        assert_eq!(Board::read(&json!({ "keys": 3, "bytes": 9 }), 1), None);
    }
}
