//! Commands of the attack game, and what came of them in a line.

use std::fmt::Display;

use raftian_check::apps::{Reply, ReplyKind};
use raftian_rpc::AppKind;

use crate::ask::{Asked, Outcome, Way};
use crate::cli::Context;
use crate::failure::Failure;

/// Has a command of the game carried out.
///
/// # Errors
/// When the lab plays no game, or no node answers for it in time; the text says whether it may still be applied.
pub(crate) async fn play(context: &Context, op: String, way: Way) -> Result<Outcome<Reply>, Failure> {
    Asked::of(context, AppKind::Attack, way).await?.submit(op).await
}

/// How a dead player comes back.
pub(crate) fn revive(player: impl Display) -> String {
    format!("to revive it, `raftianctl player del {player}` and then `raftianctl player add {player}`")
}

/// The outcome in a line.
pub(crate) fn summary(outcome: &Outcome<Reply>) -> String {
    let Reply { outcome: kind, player, hp } = &outcome.response;
    let hp = hp.unwrap_or(0);
    let what = match kind {
        ReplyKind::Hit => format!("player {player} hit: hp {hp}"),
        ReplyKind::Killed => format!("player {player} killed: hp {hp}"),
        ReplyKind::AlreadyDead => format!("player {player} is already dead: nothing happened; {}", revive(player)),
        ReplyKind::NoSuchPlayer => format!(
            "player {player} is not on the board: nothing happened; `raftianctl player add {player}` puts one there"
        ),
        ReplyKind::Added => format!("player {player} joins: hp {hp}"),
        ReplyKind::AlreadyThere if hp == 0 => {
            format!("player {player} is on the board already, dead: nothing happened; {}", revive(player))
        }
        ReplyKind::AlreadyThere => format!("player {player} is on the board already: nothing happened"),
        ReplyKind::Deleted => format!("player {player} leaves"),
    };
    format!("{what} {}", outcome.measured())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: ReplyKind, hp: Option<u8>) -> Outcome<Reply> {
        let response = Reply { outcome: kind, player: 3, hp };
        Outcome { node: "n2".parse().unwrap(), index: 12, term: Some(2), latency_ms: 1.84, response }
    }

    #[test]
    fn an_attack_is_told_in_a_line() {
        assert_eq!(summary(&outcome(ReplyKind::Hit, Some(70))), "player 3 hit: hp 70 (index 12, term 2, 1.8 ms)");
        let dead = summary(&outcome(ReplyKind::AlreadyDead, Some(0)));
        assert!(dead.starts_with("player 3 is already dead") && dead.contains("`raftianctl player add 3`"), "{dead}");
        let there = |hp| summary(&outcome(ReplyKind::AlreadyThere, Some(hp)));
        assert!(there(0).contains("already, dead") && there(0).contains("`raftianctl player del 3`"), "{}", there(0));
        assert!(!there(70).contains("revive"), "{}", there(70));
        assert!(summary(&outcome(ReplyKind::NoSuchPlayer, None)).contains("not on the board"));
    }
}
