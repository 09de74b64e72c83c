//! Where a node's server runs relative to its game: on its own thread, in its own process, or as a task on the thread
//! that draws. There are also nodes with only one of the two: a server alone, and the baseline, a game alone.
//!
//! Invariant: every hosting runs [`server::run`] and the same game, connected only by the two queues of
//! [`port`](crate::game_link::port). When one of the two ends, its queues close, and so the other ends too.

mod asynchronous;
pub(crate) mod process;
pub(crate) mod runtime;
pub(crate) mod server;
mod thread;

use std::net::TcpListener;

use raftian_rpc::assignment::{HostedGame, Hosting, SoloConfig, WindowConfig};
use raftian_rpc::control::NodeConfig;

use crate::experiment::global_lock::GlobalLock;
use crate::game::{Game, Stop, window};
use crate::host::inbox::Mailbox;
use crate::parent::{self, Failure};

/// Runs a node to its end.
///
/// # Errors
/// When it cannot start, or cannot continue.
pub(crate) fn run(mut config: NodeConfig, listener: TcpListener) -> Result<(), Failure> {
    let game = config.game.take();
    let hosting = game.as_ref().map(|hosted| hosted.hosting);
    if config.trim.global_lock && hosting != Some(Hosting::Thread) {
        let why = "a global lock is between two threads of one process: it needs a game and the hosting `thread`";
        return Err(Failure::Because(why.into()));
    }
    match game {
        None => Ok(alone(config, listener)?),
        Some(HostedGame { hosting: Hosting::Thread, game }) => Ok(thread::run(config, listener, game)?),
        Some(HostedGame { hosting: Hosting::Async, game }) => Ok(asynchronous::run(config, listener, game)?),
        Some(HostedGame { hosting: Hosting::Process, game }) => process::run(config, listener, game),
    }
}

/// Runs a game without a server: the baseline of every comparison.
///
/// # Errors
/// A message for people, when there is nothing to draw on.
pub(crate) fn baseline(solo: SoloConfig) -> Result<(), String> {
    let stop = Stop::when_parent_leaves()?;
    Game::new(&solo.game, solo.players, None, None, stop)?.run().map(drop)
}

/// Runs a window onto a node of another process.
///
/// # Errors
/// A message for people, when there is nothing to draw on.
pub(crate) fn window(config: WindowConfig) -> Result<(), String> {
    window::run(config, Stop::when_parent_leaves()?)
}

/// Runs a server without a game.
fn alone(config: NodeConfig, listener: TcpListener) -> Result<(), String> {
    let mailbox = Mailbox::new();
    parent::on_shutdown(mailbox.shutdown())?;
    runtime::on_this_thread(&GlobalLock::default())?.block_on(server::run(config, listener, mailbox, None))
}
