//! The server on its own operating system thread; the game has the main thread.

use std::net::TcpListener;
use std::thread;

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
    let lock = if config.trim.global_lock { GlobalLock::new() } else { GlobalLock::default() };
    let (game_port, server_port) = port::pair(lock.clone());
    let game = Game::new(&game, config.app_options.players, Some(Hosting::Thread), Some(game_port), Stop::default())?;
    let mailbox = Mailbox::new();
    parent::on_shutdown(mailbox.shutdown())?;
    let serve = move || {
        let runtime = runtime::on_this_thread(&lock)?;
        let _held = lock.hold();
        runtime.block_on(server::run(config, listener, mailbox, Some(server_port)))
    };
    let server = thread::Builder::new()
        .name("server".into())
        .spawn(serve)
        .map_err(|error| format!("cannot start the server's thread: {error}"))?;
    let played = game.run();
    let served = server.join().unwrap_or_else(|_| Err("the server panicked; stderr.log has the message".into()));
    served.and(played).map(drop)
}
