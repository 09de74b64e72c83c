//! The server in its own process, a child of the process that draws. A socket pair carries the two queues. One end is
//! the child's standard input; when that is closed, the child ends.
//!
//! Invariant: both processes stay in one process group, so that a signal to the group (a crash, a pause) reaches both.
//! When one of them ends the other does too, and the reason is reported once.

use std::io::{self, BufReader};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use raftian_rpc::assignment::{Assignment, Hosting};
use raftian_rpc::control::{NodeConfig, NodeNotice};
use raftian_rpc::game::GameConfig;
use raftian_rpc::handover;
use tokio::sync::mpsc::unbounded_channel;

use crate::experiment::global_lock::GlobalLock;
use crate::game::{Game, Stop};
use crate::game_link::frames;
use crate::game_link::port::{GamePort, ServerPort};
use crate::host::inbox::Mailbox;
use crate::hosting::{runtime, server};
use crate::parent::{self, Failure};

/// Runs the game in this process and the server in a child, to the end of both.
///
/// # Errors
/// When one of them cannot start, or cannot continue.
pub(crate) fn run(config: NodeConfig, listener: TcpListener, game: GameConfig) -> Result<(), Failure> {
    let (commands, said) = mpsc::channel();
    let (told, orders) = mpsc::channel();
    let tell = Box::new(move |command| commands.send(command).is_ok());
    let port = GamePort { tell, orders, lock: GlobalLock::default() };
    let stop = Stop::when_parent_leaves()?;
    let game = Game::new(&game, config.app_options.players, Some(Hosting::Process), Some(port), stop)?;

    let cannot = |error: io::Error| format!("cannot start the server's process: {error}");
    let (own, childs) = UnixStream::pair().map_err(cannot)?;
    let reading = own.try_clone().map_err(cannot)?;
    let mut server = spawn(config, listener, &own, childs).map_err(cannot)?;
    start("commands", move || frames::send(&said, own))?;
    start("orders", move || frames::receive(BufReader::new(reading), |order| told.send(order).is_ok()))?;
    // When the game is over the commands queue closes, and with it the child's standard input.
    let played = game.run();
    let served = server.wait().map_err(|error| format!("cannot tell how the server's process ended: {error}"))?;
    judge(served)?;
    played?;
    Ok(())
}

/// Runs a server whose game is the parent process.
///
/// # Errors
/// A message for people, when it cannot start, or cannot continue.
pub(crate) fn serve(config: NodeConfig, listener: TcpListener) -> Result<(), String> {
    let socket: UnixStream = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| format!("cannot answer on standard input: {error}"))?
        .into();
    let mailbox = Mailbox::new();
    parent::on_signal(mailbox.shutdown())?;
    let (commands, taken) = unbounded_channel();
    let (put, orders) = mpsc::channel();
    start("commands", move || frames::receive(io::stdin().lock(), |command| commands.send(command).is_ok()))?;
    start("orders", move || frames::send(&orders, socket))?;
    let port = ServerPort { commands: taken, orders: put, lock: GlobalLock::default() };
    runtime::on_this_thread(&GlobalLock::default())?.block_on(server::run(config, listener, mailbox, Some(port)))
}

/// Spawns the same program as this one, and assigns the server to it, socket and all.
fn spawn(config: NodeConfig, listener: TcpListener, own: &UnixStream, childs: UnixStream) -> io::Result<Child> {
    let child = Command::new(std::env::current_exe()?).stdin(Stdio::from(OwnedFd::from(childs))).spawn()?;
    // This must come before the child's own notice that it is ready: then the daemon knows all processes.
    parent::notify(&NodeNotice::ServerProcess { pid: child.id() });
    parent::flush_notices();
    handover::give(own, &Assignment::Server(Box::new(config)).to_line(), &[listener.as_fd()])?;
    Ok(child)
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let spawned = thread::Builder::new().name(name.into()).spawn(body);
    spawned.map(drop).map_err(|error| format!("cannot start the thread `{name}`: {error}"))
}

/// The result of this process, from the exit status of the child.
fn judge(status: ExitStatus) -> Result<(), Failure> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        // The child has reported why.
        (Some(1), _) => Err(Failure::Said),
        (Some(code), _) => Err(Failure::Because(format!("its server's process exited with code {code}"))),
        (None, signal) => {
            let signal = signal.map_or("a signal".to_owned(), |number| format!("signal {number}"));
            Err(Failure::Because(format!("its server's process was ended by {signal}")))
        }
    }
}
