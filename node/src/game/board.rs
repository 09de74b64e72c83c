//! What a game knows and shows: the players, where the server stands, and what has just happened.
//!
//! Invariant: players change by orders and boards only, never by a click; what is older than what is known changes
//! nothing but the message.
//!
//! Deliberately absent: pixels (`paint.rs`), and the game's own commands (`inputs.rs`).

use std::collections::BTreeMap;

use raftian_apps::{FULL_HP, MAX_PLAYERS, Reply, ReplyKind, SQUARE_PX, position};
use raftian_raft::Index;

use crate::game::canvas::Rect;
use crate::game_link::port::{Order, Standing};

/// How long the header says what became of an attack.
const ATTACK_NS: u64 = 500_000_000;

/// How long it says that a command failed, which takes longer to read.
const REFUSAL_NS: u64 = 2_000_000_000;

/// The state of a game.
#[derive(Debug)]
pub(crate) struct Board {
    /// Hit points by player.
    players: BTreeMap<u8, u8>,
    /// The last entry of the log that is in there.
    last_index: Index,
    server: ServerSeen,
    message: Option<(Headline, u64)>,
}

/// What is known of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerSeen {
    /// There is none: a baseline.
    Absent,
    /// It has yet to say something.
    Awaited,
    /// It stands there.
    Stands(Standing),
    /// It does not answer.
    Silent {
        /// Why, for people.
        why: String,
    },
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Headline {
    /// In large letters.
    pub(crate) title: String,
    /// In small ones below.
    pub(crate) detail: String,
}

impl Board {
    /// A board with players 1 to `players`, all sound, with or without a server to wait for.
    pub(crate) fn new(players: u16, has_server: bool) -> Board {
        let players = (1..=players.min(MAX_PLAYERS) as u8).map(|player| (player, FULL_HP)).collect();
        let server = if has_server { ServerSeen::Awaited } else { ServerSeen::Absent };
        Board { players, last_index: 0, server, message: None }
    }

    /// The players as (number, hit points).
    pub(crate) fn players(&self) -> impl Iterator<Item = (u8, u8)> {
        self.players.iter().map(|(&player, &hp)| (player, hp))
    }

    /// Where a player's square is. A function of the players alone, so that it is the same on every node.
    pub(crate) fn square(&self, player: u8) -> Option<Rect> {
        self.players.get(&player)?;
        let (x, y) = position(player, self.highest_player());
        Some(Rect::new(x, y, SQUARE_PX, SQUARE_PX))
    }

    /// The highest number of a player; 0 without any.
    pub(crate) fn highest_player(&self) -> u8 {
        self.players.last_key_value().map_or(0, |(&player, _)| player)
    }

    /// The player at a point of the frame.
    pub(crate) fn player_at(&self, point: (u32, u32)) -> Option<u8> {
        self.players.keys().copied().find(|player| self.square(*player).is_some_and(|square| square.contains(point)))
    }

    /// What is known of the server.
    pub(crate) fn server(&self) -> &ServerSeen {
        &self.server
    }

    /// Whether commands cannot become orders now, as far as is known.
    pub(crate) fn is_stuck(&self) -> bool {
        match &self.server {
            ServerSeen::Absent => false,
            ServerSeen::Stands(standing) => standing.leader.is_none(),
            ServerSeen::Awaited | ServerSeen::Silent { .. } => true,
        }
    }

    /// What the header says now.
    pub(crate) fn headline(&self, now_ns: u64) -> Headline {
        match (&self.message, &self.server) {
            (Some((message, until_ns)), _) if now_ns < *until_ns => message.clone(),
            (_, ServerSeen::Absent) => headline("raftian", "no server: nobody takes a click"),
            (_, ServerSeen::Awaited) => headline("The server is starting", ""),
            (_, ServerSeen::Silent { why }) => headline("The server does not answer", why),
            (_, ServerSeen::Stands(Standing { leader: None, .. })) => {
                headline("There is no leader", "attacks wait until a majority has elected one")
            }
            (_, ServerSeen::Stands(_)) => headline("raftian", "click a player to attack it"),
        }
    }

    /// The state up to an entry arrives, as a whole.
    pub(crate) fn restore(&mut self, last_applied: Index, players: Vec<(u8, u8)>, now_ns: u64) {
        if last_applied < self.last_index {
            return;
        }
        // Orders that were skipped, of whatever kind: attacks are worth a word.
        let hit = players.iter().find(|(player, hp)| self.players.get(player).is_some_and(|before| hp < before));
        if let Some(&(player, hp)) = hit.filter(|_| self.last_index > 0) {
            self.say(attacked(player, hp), now_ns + ATTACK_NS);
        }
        // Only numbers that have a place may stand on the board.
        self.players = players.into_iter().filter(|(player, _)| is_player(*player)).collect();
        self.last_index = last_applied;
    }

    /// An order arrives.
    pub(crate) fn obey(&mut self, order: &Order, now_ns: u64) {
        let Ok(reply) = serde_json::from_str::<Reply>(order.response.get()) else {
            let why = format!("the application answered {}", order.response);
            return self.say(headline("A command changed nothing", &why), now_ns + REFUSAL_NS);
        };
        if order.index > self.last_index && is_player(reply.player) {
            self.last_index = order.index;
            match (reply.outcome, reply.hp) {
                (ReplyKind::Deleted, _) => drop(self.players.remove(&reply.player)),
                (_, Some(hp)) => drop(self.players.insert(reply.player, hp)),
                (_, None) => {}
            }
        }
        self.say(told(&reply), now_ns + ATTACK_NS);
    }

    /// A command on a player will not, or may not, become an order.
    pub(crate) fn refuse(&mut self, player: u8, why: &str, now_ns: u64) {
        self.say(headline(&format!("Player {player} was not attacked"), why), now_ns + REFUSAL_NS);
    }

    /// The server stands there now.
    pub(crate) fn stands(&mut self, standing: Standing) {
        self.server = ServerSeen::Stands(standing);
    }

    /// The server does not answer.
    pub(crate) fn silent(&mut self, why: String) {
        self.server = ServerSeen::Silent { why };
    }

    fn say(&mut self, message: Headline, until_ns: u64) {
        self.message = Some((message, until_ns));
    }
}

fn is_player(number: u8) -> bool {
    (1..=MAX_PLAYERS).contains(&number.into())
}

fn told(reply: &Reply) -> Headline {
    let Reply { outcome, player, hp } = *reply;
    match outcome {
        ReplyKind::Hit | ReplyKind::Killed => attacked(player, hp.unwrap_or(0)),
        ReplyKind::AlreadyDead => headline(&format!("Player {player} is already dead"), "nothing happened"),
        ReplyKind::NoSuchPlayer => headline(&format!("There is no player {player}"), "nothing happened"),
        ReplyKind::Added => headline(&format!("Player {player} joins"), ""),
        ReplyKind::AlreadyThere => headline(&format!("Player {player} is here already"), "nothing happened"),
        ReplyKind::Deleted => headline(&format!("Player {player} leaves"), ""),
    }
}

fn attacked(player: u8, hp: u8) -> Headline {
    match hp {
        0 => headline(&format!("Player {player} was killed"), ""),
        hp => headline(&format!("Player {player} was attacked"), &format!("{hp} hp left")),
    }
}

fn headline(title: &str, detail: &str) -> Headline {
    Headline { title: title.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use raftian_apps::Response;
    use raftian_raft::RoleKind;

    use super::*;

    fn order(index: Index, outcome: ReplyKind, player: u8, hp: Option<u8>) -> Order {
        let response = Response::of(&Reply { outcome, player, hp });
        Order { index, own_serial: None, ordered_ns: 0, response }
    }

    fn title(board: &Board, now_ns: u64) -> String {
        board.headline(now_ns).title
    }

    #[test]
    fn an_attack_fades_its_player_and_is_told_for_half_a_second() {
        let mut board = Board::new(5, false);
        board.obey(&order(1, ReplyKind::Hit, 3, Some(70)), 1_000);
        assert!(board.players().eq([(1, 100), (2, 100), (3, 70), (4, 100), (5, 100)]));
        assert_eq!(board.headline(1_000), headline("Player 3 was attacked", "70 hp left"));
        assert_eq!(title(&board, 500_000_999), "Player 3 was attacked");
        assert_eq!(title(&board, 500_001_000), "raftian");
        board.obey(&order(2, ReplyKind::Killed, 3, Some(0)), 0);
        assert_eq!(title(&board, 0), "Player 3 was killed");
        board.obey(&order(3, ReplyKind::AlreadyDead, 3, Some(0)), 0);
        assert_eq!(title(&board, 0), "Player 3 is already dead");
    }

    #[test]
    fn players_join_and_leave() {
        let mut board = Board::new(2, true);
        board.obey(&order(1, ReplyKind::Added, 6, Some(100)), 0);
        assert!(board.square(6).is_some());
        board.obey(&order(2, ReplyKind::Deleted, 6, None), 0);
        board.obey(&order(3, ReplyKind::NoSuchPlayer, 6, None), 0);
        assert_eq!((board.square(6), board.highest_player()), (None, 2));
    }

    #[test]
    fn what_is_older_than_what_is_known_changes_nothing() {
        let mut board = Board::new(2, true);
        board.restore(5, vec![(1, 100), (2, 70)], 0);
        assert_eq!(title(&board, 0), "The server is starting");
        board.obey(&order(9, ReplyKind::Hit, 1, Some(70)), 0);
        board.restore(8, vec![(1, 100), (2, 70)], 0);
        board.obey(&order(7, ReplyKind::Hit, 2, Some(40)), 0);
        assert!(board.players().eq([(1, 70), (2, 70)]));
        board.restore(9, vec![(1, 70), (2, 10), (200, 5)], 0);
        assert!(board.players().eq([(1, 70), (2, 10)]));
        assert_eq!(title(&board, 0), "Player 2 was attacked");
    }

    #[test]
    fn a_click_hits_the_square_it_is_in() {
        let board = Board::new(5, true);
        for player in 1..=5 {
            let Rect { x, y, .. } = board.square(player).unwrap();
            assert_eq!([(x, y), (x + 79, y + 79)].map(|point| board.player_at(point)), [Some(player); 2]);
            assert_eq!(board.player_at((x + 80, y)), None);
        }
        assert_eq!(Board::new(0, true).player_at((500, 500)), None);
    }

    #[test]
    fn without_a_leader_the_game_is_stuck() {
        let mut board = Board::new(5, true);
        assert!(board.is_stuck() && !Board::new(5, false).is_stuck());
        let node = "n2".parse().unwrap();
        let standing = Standing { node, role: RoleKind::Follower, term: 3, leader: Some(node) };
        board.stands(standing);
        assert!(!board.is_stuck());
        board.stands(Standing { leader: None, ..standing });
        assert!(board.is_stuck());
        assert_eq!(title(&board, 0), "There is no leader");
        board.silent("gone".into());
        assert!(board.is_stuck());
        assert_eq!(board.headline(0).detail, "gone");
    }

    #[test]
    fn an_answer_that_is_no_reply_is_told() {
        let mut board = Board::new(5, true);
        let response = serde_json::from_str(r#"{"error":"stale_serial"}"#).unwrap();
        board.obey(&Order { index: 1, own_serial: None, ordered_ns: 0, response }, 0);
        assert!(board.headline(0).detail.contains("stale_serial"));
        board.refuse(3, "no majority", 0);
        assert_eq!(board.headline(1_999_999_999), headline("Player 3 was not attacked", "no majority"));
    }
}
