//! One player of the attack game.

use raftian_apps::{AttackOp, DAMAGE_HP, FULL_HP, Reply, ReplyKind, Response};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::search::{Makes, Transition};

/// What is known of a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Player {
    /// Nothing.
    Any,
    /// It is not on the board.
    Gone,
    /// It is, with so many hit points.
    Hp(u8),
}

/// What an op did to its player, as its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Nothing: the player was, and is, in this state.
    Saw(Player),
    /// A hit that left so many hit points.
    HitTo(u8),
    Killed,
    Added,
    Deleted,
    /// An attack with unknown outcome.
    MaybeHit,
    /// An addition with unknown outcome.
    MaybeAdded,
    /// A deletion with unknown outcome.
    MaybeDeleted,
    /// What no player could have done.
    Impossible,
}

/// The state of a player at the start of a game with players 1 to `players`.
pub(crate) fn initial(player: u8, players: u16) -> Player {
    if u16::from(player) <= players { Player::Hp(FULL_HP) } else { Player::Gone }
}

/// What a player is on a board, as the game shows it.
pub(crate) fn on_board(player: u8, board: &Value) -> Player {
    let players = board.get("players").and_then(Value::as_array);
    let number = |shown: &Value, name: &str| shown.get(name).and_then(Value::as_u64).and_then(|n| u8::try_from(n).ok());
    match players {
        // A game shows its players. Should one not, nothing is known.
        None => Player::Any,
        Some(players) => {
            let shown = players.iter().find(|shown| number(shown, "player") == Some(player));
            shown.map_or(Player::Gone, |shown| number(shown, "hp").map_or(Player::Any, Player::Hp))
        }
    }
}

/// Which player an op touches and what it did; `None` if it is not an op. Without a response the outcome is unknown.
pub(crate) fn read(op: &RawValue, response: Option<&Response>) -> Option<(u8, Effect)> {
    let op = AttackOp::parse(op).ok()?;
    let effect = match response {
        None => match op {
            AttackOp::Attack(_) => Effect::MaybeHit,
            AttackOp::Add(_) => Effect::MaybeAdded,
            AttackOp::Del(_) => Effect::MaybeDeleted,
        },
        Some(response) => told(op, response).unwrap_or(Effect::Impossible),
    };
    Some((op.player(), effect))
}

fn told(op: AttackOp, response: &Response) -> Option<Effect> {
    let reply: Reply = serde_json::from_str(response.get()).ok()?;
    if reply.player != op.player() {
        return None;
    }
    match (op, reply.outcome, reply.hp) {
        (AttackOp::Attack(_), ReplyKind::Hit, Some(hp)) if hp > 0 => Some(Effect::HitTo(hp)),
        (AttackOp::Attack(_), ReplyKind::Killed, Some(0)) => Some(Effect::Killed),
        (AttackOp::Attack(_), ReplyKind::AlreadyDead, Some(0)) => Some(Effect::Saw(Player::Hp(0))),
        (AttackOp::Attack(_) | AttackOp::Del(_), ReplyKind::NoSuchPlayer, None) => Some(Effect::Saw(Player::Gone)),
        (AttackOp::Add(_), ReplyKind::Added, Some(FULL_HP)) => Some(Effect::Added),
        (AttackOp::Add(_), ReplyKind::AlreadyThere, Some(hp)) => Some(Effect::Saw(Player::Hp(hp))),
        (AttackOp::Del(_), ReplyKind::Deleted, None) => Some(Effect::Deleted),
        _ => None,
    }
}

impl Transition for Effect {
    type State = Player;

    const ANY: Player = Player::Any;

    fn step(&self, before: Player) -> Option<Player> {
        use Player::{Any, Gone, Hp};
        let after = match (*self, before) {
            (Effect::Saw(seen), before) => (before == seen || before == Any).then_some(seen)?,
            (Effect::HitTo(hp), Any) => Hp(hp),
            (Effect::HitTo(hp), Hp(had)) if had.checked_sub(DAMAGE_HP) == Some(hp) => Hp(hp),
            (Effect::Killed, Any) => Hp(0),
            (Effect::Killed, Hp(1..=DAMAGE_HP)) => Hp(0),
            (Effect::Added | Effect::MaybeAdded, Gone) | (Effect::Added, Any) => Hp(FULL_HP),
            (Effect::Deleted, Hp(_) | Any) | (Effect::MaybeDeleted, _) => Gone,
            (Effect::MaybeHit, Hp(had)) => Hp(had.saturating_sub(DAMAGE_HP)),
            (Effect::MaybeHit, Gone | Any) | (Effect::MaybeAdded, Hp(_) | Any) => before,
            (Effect::HitTo(_) | Effect::Killed | Effect::Added | Effect::Deleted | Effect::Impossible, _) => {
                return None;
            }
        };
        Some(after)
    }

    fn needs(&self) -> Option<Player> {
        match *self {
            Effect::Saw(player) => Some(player),
            Effect::HitTo(hp) => hp.checked_add(DAMAGE_HP).map(Player::Hp),
            Effect::Added => Some(Player::Gone),
            _ => None,
        }
    }

    fn makes(&self) -> Makes<Player> {
        match *self {
            Effect::Saw(_) | Effect::Impossible => Makes::Nothing,
            Effect::HitTo(hp) => Makes::One(Player::Hp(hp)),
            Effect::Killed => Makes::One(Player::Hp(0)),
            Effect::Added | Effect::MaybeAdded => Makes::One(Player::Hp(FULL_HP)),
            Effect::Deleted | Effect::MaybeDeleted => Makes::One(Player::Gone),
            Effect::MaybeHit => Makes::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(op: &str, response: Option<&str>) -> Option<(u8, Effect)> {
        let response: Option<Response> = response.map(|text| serde_json::from_str(text).unwrap());
        read(&RawValue::from_string(op.to_owned()).unwrap(), response.as_ref())
    }

    #[test]
    fn a_players_life_is_what_the_rules_say() {
        use Player::{Gone, Hp};
        let allowed = |effect: Effect| {
            let states = [Gone, Hp(0), Hp(10), Hp(40), Hp(70), Hp(100)];
            states.into_iter().filter_map(|state| Some((state, effect.step(state)?))).collect::<Vec<_>>()
        };
        assert_eq!(allowed(Effect::HitTo(70)), [(Hp(100), Hp(70))]);
        assert_eq!(allowed(Effect::HitTo(10)), [(Hp(40), Hp(10))]);
        assert_eq!(allowed(Effect::Killed), [(Hp(10), Hp(0))]);
        assert_eq!(allowed(Effect::Added), [(Gone, Hp(100))]);
        assert_eq!(allowed(Effect::Deleted).len(), 5);
        assert_eq!(allowed(Effect::Saw(Hp(40))), [(Hp(40), Hp(40))]);
        assert_eq!(allowed(Effect::Impossible), []);
        assert_eq!(allowed(Effect::MaybeHit)[..3], [(Gone, Gone), (Hp(0), Hp(0)), (Hp(10), Hp(0))]);
        assert_eq!(allowed(Effect::MaybeAdded)[..2], [(Gone, Hp(100)), (Hp(0), Hp(0))]);
    }

    #[test]
    fn an_answer_that_does_not_belong_to_the_op_is_impossible() {
        let hit = r#"{"outcome":"hit","player":3,"hp":70}"#;
        assert_eq!(effect(r#"{"attack":3}"#, Some(hit)), Some((3, Effect::HitTo(70))));
        assert_eq!(effect(r#"{"attack":2}"#, Some(hit)), Some((2, Effect::Impossible)));
        assert_eq!(effect(r#"{"add":3}"#, Some(hit)), Some((3, Effect::Impossible)));
        assert_eq!(effect(r#"{"attack":3}"#, Some("7")), Some((3, Effect::Impossible)));
        assert_eq!(effect(r#"{"attack":3}"#, None), Some((3, Effect::MaybeHit)));
        assert_eq!(effect(r#"{"heal":3}"#, None), None);
    }
}
