//! The game of the original Raftian as replicated state: players with hit points on a board.
//!
//! A player starts with 100 hp; an attack takes 30, so that it fades 100 → 70 → 40 → 10 and dies at the fourth; hp
//! never go below 0. Invariant: every player has a number from 1 to 64 and at most 100 hp.
//!
//! Ops: `{"attack":3}`, `{"add":6}`, `{"del":6}`. One that makes no sense in the present state (attacking the dead,
//! adding who is there) changes nothing *and says so*: in a replicated game silence cannot be told from loss.

use std::collections::BTreeMap;

use raftian_raft::Index;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use thiserror::Error;

use crate::app::{App, AppKind, NotARead, UnknownOp};
use crate::digest::Digest;
use crate::response::Response;

/// Players on the board when nobody says how many.
pub const DEFAULT_PLAYERS: u16 = 5;

/// The highest player number, and so the most players.
pub const MAX_PLAYERS: u16 = 64;

/// Hit points of a new player.
pub const FULL_HP: u8 = 100;

/// Hit points an attack takes.
pub const DAMAGE_HP: u8 = 30;

const KNOWN_OPS: &str = r#"{"attack":P}, {"add":P} and {"del":P}, with a player P from 1 to 64"#;

/// The state of the game.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attack {
    hp: BTreeMap<u8, u8>,
}

/// What an op reads like, for example `{"attack":3}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttackOp {
    /// Take hit points from a player.
    Attack(u8),
    /// Put a player on the board.
    Add(u8),
    /// Take a player off the board.
    Del(u8),
}

/// What came of an op, for example `{"outcome":"hit","player":3,"hp":70}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// What happened.
    pub outcome: ReplyKind,
    /// To which player.
    pub player: u8,
    /// The player's hit points now; absent when there is no such player (any more).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hp: Option<u8>,
}

/// What an op did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyKind {
    /// The attacked player lives on.
    Hit,
    /// The attacked player died of it.
    Killed,
    /// The attacked player was dead before: ignored.
    AlreadyDead,
    /// There is no such player to attack or delete: ignored.
    NoSuchPlayer,
    /// The player joined with full hit points.
    Added,
    /// The player to add is on the board, dead or alive: ignored.
    AlreadyThere,
    /// The player left.
    Deleted,
}

/// A number of players that the board does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0} players do not fit: the board holds 1 to {MAX_PLAYERS}")]
pub struct PlayersOutOfRange(pub u16);

impl AttackOp {
    /// Reads an op.
    ///
    /// # Errors
    /// When it is not one of this game; the error names those that are.
    pub fn parse(op: &RawValue) -> Result<AttackOp, UnknownOp> {
        let known = serde_json::from_str(op.get()).ok().filter(|op: &AttackOp| is_player(op.player()));
        known.ok_or_else(|| UnknownOp::new(AppKind::Attack, op, KNOWN_OPS))
    }

    /// The one player it touches.
    pub fn player(self) -> u8 {
        match self {
            AttackOp::Attack(player) | AttackOp::Add(player) | AttackOp::Del(player) => player,
        }
    }
}

impl Attack {
    /// A board with players 1 to `players`.
    ///
    /// # Errors
    /// When that is none or more than [`MAX_PLAYERS`].
    pub fn new(players: u16) -> Result<Attack, PlayersOutOfRange> {
        let last = u8::try_from(players).ok().filter(|&last| is_player(last)).ok_or(PlayersOutOfRange(players))?;
        Ok(Attack { hp: (1..=last).map(|player| (player, FULL_HP)).collect() })
    }

    /// Whether `op` is an op of this game, whatever the state.
    ///
    /// # Errors
    /// When it is not; the error names those that are.
    pub fn validate(op: &RawValue) -> Result<(), UnknownOp> {
        AttackOp::parse(op).map(|_| ())
    }

    /// The game that [`App::save`] saved; `None` when that is no game.
    pub(crate) fn load(state: &RawValue) -> Option<Attack> {
        let game: Attack = serde_json::from_str(state.get()).ok()?;
        let is_game = game.players().all(|(player, hp)| is_player(player) && hp <= FULL_HP);
        is_game.then_some(game)
    }

    /// Everyone on the board as (player, hp), in order of their numbers; the dead have 0 hp.
    pub fn players(&self) -> impl Iterator<Item = (u8, u8)> {
        self.hp.iter().map(|(&player, &hp)| (player, hp))
    }

    /// Carries out an op; `None` when it is not one.
    pub fn play(&mut self, op: &RawValue) -> Option<Reply> {
        let reply = match AttackOp::parse(op).ok()? {
            AttackOp::Attack(player) => self.attack(player),
            AttackOp::Add(player) => self.add(player),
            AttackOp::Del(player) => self.del(player),
        };
        Some(reply)
    }

    fn attack(&mut self, player: u8) -> Reply {
        let Some(hp) = self.hp.get_mut(&player) else {
            return Reply { outcome: ReplyKind::NoSuchPlayer, player, hp: None };
        };
        let was_dead = *hp == 0;
        *hp = hp.saturating_sub(DAMAGE_HP);
        let outcome = match *hp {
            0 if was_dead => ReplyKind::AlreadyDead,
            0 => ReplyKind::Killed,
            _ => ReplyKind::Hit,
        };
        Reply { outcome, player, hp: Some(*hp) }
    }

    fn add(&mut self, player: u8) -> Reply {
        if let Some(&hp) = self.hp.get(&player) {
            return Reply { outcome: ReplyKind::AlreadyThere, player, hp: Some(hp) };
        }
        self.hp.insert(player, FULL_HP);
        Reply { outcome: ReplyKind::Added, player, hp: Some(FULL_HP) }
    }

    fn del(&mut self, player: u8) -> Reply {
        let outcome = match self.hp.remove(&player) {
            Some(_) => ReplyKind::Deleted,
            None => ReplyKind::NoSuchPlayer,
        };
        Reply { outcome, player, hp: None }
    }
}

impl App for Attack {
    fn kind(&self) -> AppKind {
        AppKind::Attack
    }

    fn apply(&mut self, _: Index, op: &RawValue) -> Response {
        self.play(op).map_or_else(Response::unknown_op, |reply| Response::of(&reply))
    }

    fn query(&self, op: &RawValue) -> Result<Response, NotARead> {
        Err(NotARead::new(AppKind::Attack, op, "which has none: its whole state is in the view"))
    }

    fn view(&self) -> Value {
        let players: Vec<Value> = self.players().map(|(player, hp)| json!({ "player": player, "hp": hp })).collect();
        json!({ "players": players })
    }

    fn digest(&self) -> Digest {
        let bytes: Vec<u8> = self.players().flat_map(|(player, hp)| [player, hp]).collect();
        Digest::of(&bytes)
    }

    /// `{"1":100,"2":70}`: hit points by player.
    fn save(&self) -> Box<RawValue> {
        to_raw_value(self).expect("numbers serialise")
    }

    fn copy(&self) -> Box<dyn App> {
        Box::new(self.clone())
    }
}

fn is_player(number: u8) -> bool {
    (1..=MAX_PLAYERS).contains(&number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    /// Plays the ops on a board of five and compares each response's text.
    #[track_caller]
    fn check(script: &[(&str, &str)]) -> Attack {
        let mut game = Attack::new(DEFAULT_PLAYERS).unwrap();
        for (op, response) in script {
            assert_eq!(game.apply(1, &raw(op)).get(), *response, "to {op}");
        }
        game
    }

    #[test]
    fn a_player_fades_and_dies_at_the_fourth_attack() {
        let game = check(&[
            (r#"{"attack":3}"#, r#"{"outcome":"hit","player":3,"hp":70}"#),
            (r#"{"attack":3}"#, r#"{"outcome":"hit","player":3,"hp":40}"#),
            (r#"{"attack":3}"#, r#"{"outcome":"hit","player":3,"hp":10}"#),
            (r#"{"attack":3}"#, r#"{"outcome":"killed","player":3,"hp":0}"#),
            (r#"{"attack":3}"#, r#"{"outcome":"already_dead","player":3,"hp":0}"#),
        ]);
        assert!(game.players().eq([(1, 100), (2, 100), (3, 0), (4, 100), (5, 100)]));
    }

    #[test]
    fn players_join_and_leave() {
        let game = check(&[
            (r#"{"add":6}"#, r#"{"outcome":"added","player":6,"hp":100}"#),
            (r#"{"attack":6}"#, r#"{"outcome":"hit","player":6,"hp":70}"#),
            (r#"{"add":6}"#, r#"{"outcome":"already_there","player":6,"hp":70}"#),
            (r#"{"del":1}"#, r#"{"outcome":"deleted","player":1}"#),
            (r#"{"del":1}"#, r#"{"outcome":"no_such_player","player":1}"#),
            (r#"{"attack":1}"#, r#"{"outcome":"no_such_player","player":1}"#),
            (r#"{"del":6}"#, r#"{"outcome":"deleted","player":6}"#),
            (r#"{"add":6}"#, r#"{"outcome":"added","player":6,"hp":100}"#),
        ]);
        assert!(game.players().map(|(player, _)| player).eq([2, 3, 4, 5, 6]));
    }

    #[test]
    fn what_is_not_an_op_is_refused_by_shape_and_ignored_when_applied() {
        let fresh = Attack::new(DEFAULT_PLAYERS).unwrap();
        let (nested_open, nested_close) = ("[".repeat(10_000), "]".repeat(10_000));
        for op in [
            "null",
            "3",
            r#""attack""#,
            "{}",
            "[]",
            r#"{"heal":3}"#,
            r#"{"attack":0}"#,
            r#"{"attack":65}"#,
            r#"{"attack":300}"#,
            r#"{"attack":-1}"#,
            r#"{"attack":1.0}"#,
            r#"{"attack":"1"}"#,
            r#"{"attack":1,"add":2}"#,
            &format!(r#"{{"attack":{nested_open}{nested_close}}}"#),
        ] {
            assert!(Attack::validate(&raw(op)).is_err(), "{op}");
            let mut game = fresh.clone();
            assert_eq!(game.apply(1, &raw(op)), Response::unknown_op(), "{op}");
            assert_eq!(game, fresh, "{op}");
        }
    }

    #[test]
    fn an_op_is_valid_even_where_it_will_be_ignored() {
        for op in [r#"{"attack":64}"#, r#"{"del":64}"#, r#"{ "add" : 1 }"#] {
            assert_eq!(AppKind::Attack.validate(&raw(op)), Ok(()), "{op}");
        }
    }

    #[test]
    fn the_board_holds_1_to_64_players() {
        for players in [1, 5, 64] {
            assert_eq!(Attack::new(players).unwrap().players().count(), usize::from(players));
        }
        for players in [0, 65, 257, u16::MAX] {
            assert_eq!(Attack::new(players), Err(PlayersOutOfRange(players)));
        }
    }

    #[test]
    fn a_game_is_saved_as_hit_points_by_player_and_loads_only_if_it_is_one() {
        let game = check(&[
            (r#"{"del":1}"#, r#"{"outcome":"deleted","player":1}"#),
            (r#"{"attack":3}"#, r#"{"outcome":"hit","player":3,"hp":70}"#),
        ]);
        let saved = game.save();
        assert_eq!(saved.get(), r#"{"2":100,"3":70,"4":100,"5":100}"#);
        assert_eq!(Attack::load(&saved), Some(game));
        for bad in ["[]", r#"{"0":100}"#, r#"{"65":100}"#, r#"{"1":101}"#, r#"{"1":-1}"#, r#"{"a":100}"#] {
            assert_eq!(Attack::load(&raw(bad)), None, "{bad}");
        }
    }

    #[test]
    fn the_digest_is_that_of_the_board() {
        let digest = |ops: &[&str]| {
            let mut game = Attack::new(2).unwrap();
            for op in ops {
                game.play(&raw(op)).unwrap();
            }
            game.digest()
        };
        assert_eq!(digest(&[r#"{"add":3}"#, r#"{"del":3}"#, r#"{"attack":3}"#]), digest(&[]));
        let others = [r#"{"attack":1}"#, r#"{"attack":2}"#, r#"{"del":1}"#, r#"{"add":3}"#].map(|op| digest(&[op]));
        assert!(others.iter().all(|other| *other != digest(&[])));
        assert_ne!(others[0], others[1]);
    }

    #[test]
    fn nothing_is_read_by_query() {
        let error = Attack::new(2).unwrap().query(&raw(r#"{"attack":1}"#)).unwrap_err();
        assert!(error.to_string().starts_with(r#"`{"attack":1}` is not a read of `attack`"#), "{error}");
    }

    #[test]
    fn the_view_is_for_people() {
        let game = Attack::new(2).unwrap();
        assert_eq!(game.view(), json!({"players": [{"player": 1, "hp": 100}, {"player": 2, "hp": 100}]}));
    }
}
