//! The server as a task of the runtime whose thread draws the frames.

use std::net::TcpListener;

use raftian_rpc::assignment::Hosting;
use raftian_rpc::control::NodeConfig;
use raftian_rpc::game::GameConfig;

use crate::experiment::global_lock::GlobalLock;
use crate::game::{Game, Stop};
use crate::game_link::port;
use crate::host::inbox::Mailbox;
use crate::hosting::{runtime, server};
use crate::parent;

/// Runs both to their end.
///
/// # Errors
/// A message for people, when one of them cannot start, or cannot continue.
pub(crate) fn run(config: NodeConfig, listener: TcpListener, game: GameConfig) -> Result<(), String> {
    let (game_port, server_port) = port::pair(GlobalLock::default());
    let game = Game::new(&game, config.app_options.players, Some(Hosting::Async), Some(game_port), Stop::default())?;
    let mailbox = Mailbox::new();
    parent::on_shutdown(mailbox.shutdown())?;
    runtime::on_this_thread(&GlobalLock::default())?.block_on(async {
        let server = tokio::spawn(server::run(config, listener, mailbox, Some(server_port)));
        let played = game.run_as_task().await;
        let served = server.await.unwrap_or_else(|_| Err("the server panicked; stderr.log has the message".into()));
        served.and(played).map(drop)
    })
}
