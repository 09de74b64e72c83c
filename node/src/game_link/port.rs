//! The two queues between a game and its server: commands one way, orders the other.
//!
//! This is the cyclic pattern of the original (its Figure 9) without its global variables. Invariant: neither side
//! calls or waits for the other; a game draws on whatever becomes of its server, and the other way round.
//!
//! Deliberately absent: what carries the queues. Beside a thread or a task they are channels, beside a process they
//! cross a socket pair, and before a window they cross the network; the game cannot tell.

use std::sync::mpsc;

use raftian_apps::Response;
use raftian_raft::{Index, NodeId, RoleKind, Term};
use raftian_rpc::game::GameReport;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::experiment::global_lock::GlobalLock;

/// What a game tells its server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromGame {
    /// A command: an attack on a player.
    Attack {
        /// Its number in the game's session, from 1.
        serial: u64,
        /// Whom.
        player: u8,
    },
    /// How the game does, once a second.
    Report(GameReport),
}

/// What a server tells its game.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToGame {
    /// The state up to an index: what orders before it have led to. Comes first, and whenever orders were skipped.
    Board {
        /// The last entry in it.
        last_applied: Index,
        /// The players as (number, hp).
        players: Vec<(u8, u8)>,
    },
    /// An order: a committed command.
    Order(Order),
    /// A command of this game will not, or may not, become an order.
    Refused {
        /// Which.
        serial: u64,
        /// Why, for people.
        why: String,
    },
    /// Orders were skipped, this game's own perhaps among them: what it has proposed will not all become orders. The
    /// board that came before this has what they did.
    Skipped,
    /// Where the server stands; after each change.
    Standing(Standing),
    /// The server does not answer, until it says something else.
    Silent {
        /// Why, for people.
        why: String,
    },
}

/// A committed command as the game needs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The entry.
    pub(crate) index: Index,
    /// The serial number, where the command is this game's own.
    pub(crate) own_serial: Option<u64>,
    /// When the server put it on the queue, on the monotonic clock.
    pub(crate) ordered_ns: u64,
    /// What came of it.
    pub(crate) response: Response,
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Which node.
    pub(crate) node: NodeId,
    /// Its role.
    pub(crate) role: RoleKind,
    /// Its term.
    pub(crate) term: Term,
    /// The leader it knows. Without one, no command becomes an order.
    pub(crate) leader: Option<NodeId>,
}

/// The game's end of the queues.
pub(crate) struct GamePort {
    /// Puts something on the commands queue; false when it will never be taken. Dropped: the game is over, and the
    /// server leaves.
    pub(crate) tell: Box<dyn FnMut(FromGame) -> bool + Send>,
    /// The orders queue. Disconnected: the server is gone for good.
    pub(crate) orders: mpsc::Receiver<ToGame>,
    /// What the thread of the game holds while it computes; usually no lock at all.
    pub(crate) lock: GlobalLock,
}

/// The server's end of the queues.
pub(crate) struct ServerPort {
    /// The commands queue. Closed: the game is over.
    pub(crate) commands: UnboundedReceiver<FromGame>,
    /// The orders queue.
    pub(crate) orders: mpsc::Sender<ToGame>,
    /// What the thread of the server holds while it computes; usually no lock at all.
    pub(crate) lock: GlobalLock,
}

/// Both ends of two queues within one process.
pub(crate) fn pair(lock: GlobalLock) -> (GamePort, ServerPort) {
    let (commands, taken) = unbounded_channel();
    let (put, orders) = mpsc::channel();
    let tell = Box::new(move |said| commands.send(said).is_ok());
    (GamePort { tell, orders, lock: lock.clone() }, ServerPort { commands: taken, orders: put, lock })
}
