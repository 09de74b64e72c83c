//! A window onto a node of another process, or one picture of it.
//!
//! The game is the same as beside a server; its queues end in a thread that asks the node how it stands 25 times a
//! second, and at once after an attack, and that passes clicks on. A command is sent until the node has an answer for
//! it, one at a time and always under the same serial number (§8): it may wait for a majority as long as the window is
//! open, and still takes effect once.
//!
//! Invariant: whatever becomes of the node, the window lives on and shows it; a node that comes back at its address is
//! found again.
//!
//! Deliberately absent: asking the daemon. A node that has moved to another port needs another window, and is said to.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_apps::Command;
use raftian_raft::{Index, NodeId};
use raftian_rpc::assignment::WindowConfig;
use raftian_rpc::client::{ClientClient as _, Submitted};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{ControlClient as _, NodeStatus};
use raftian_rpc::error::NodeError;
use raftian_rpc::game::{Display, GameConfig, Scene};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use crate::experiment::global_lock::GlobalLock;
use crate::game::board::Board;
use crate::game::canvas::{HEIGHT, WIDTH};
use crate::game::inputs::Inputs;
use crate::game::paint::{Painter, View};
use crate::game::{Game, Stop, picture};
use crate::game_link::lanes::{Lane, Session};
use crate::game_link::port::{self, FromGame, Order, ServerPort, Standing, ToGame};

/// How often the node is asked how it stands.
const LOOK: Duration = Duration::from_millis(40);

/// How long it may take to say so.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a node may take for a command before it is sent again.
const SUBMIT: Duration = Duration::from_secs(2);

/// The pause before a command is sent again.
const PAUSE: Duration = Duration::from_millis(100);

/// Shows a node until the window is closed or `stop` is told; or writes its picture and returns.
///
/// # Errors
/// When there can be no window, or no picture: why, and what to do.
pub(crate) fn run(config: WindowConfig, stop: Stop) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start a runtime: {error}"))?;
    if let Some(path) = &config.picture {
        let frame = runtime.block_on(draw(&config))?;
        return picture::write(path, &frame);
    }
    let game = GameConfig {
        scene: Scene::Attack,
        fps_cap: config.fps_cap,
        display: Display::Window,
        seed: 0,
        clicks_per_s: None,
        record: None,
    };
    let node = Node::new(&config)?;
    let (port, server) = port::pair(GlobalLock::default());
    // The window first: without one, nobody need be asked.
    let game = Game::new(&game, 0, None, Some(port), stop)?;
    let bridge = thread::Builder::new().name("bridge".into()).spawn(move || runtime.block_on(serve(node, server)));
    let bridge = bridge.map_err(|error| format!("cannot start a thread: {error}"))?;
    let ending = game.run();
    // The game has dropped its end of the queues.
    let _ = bridge.join();
    ending.map(drop)
}

/// The node behind the window.
#[derive(Clone, Debug)]
struct Node {
    id: NodeId,
    config: WindowConfig,
    /// What tells this window's commands from all others.
    session: Session,
    http: Http,
}

/// The part of the application's state that a board shows.
#[derive(Deserialize)]
struct State {
    players: Vec<Player>,
}

#[derive(Deserialize)]
struct Player {
    player: u8,
    hp: u8,
}

/// A look at the node.
struct Look {
    standing: Standing,
    last_applied: Index,
    players: Vec<(u8, u8)>,
}

async fn serve(node: Node, ServerPort { mut commands, orders, .. }: ServerPort) {
    let (attacks, waiting) = unbounded_channel();
    let looked_for = Notify::new();
    let passing = async {
        while let Some(said) = commands.recv().await {
            if let FromGame::Attack { serial, player } = said {
                // The other end lives as long as this.
                let _ = attacks.send((serial, player));
            }
        }
    };
    // Only the first ever ends: when the game does.
    tokio::select! {
        () = passing => {}
        () = submit_all(&node, waiting, &orders, &looked_for) => {}
        () = watch(&node, &orders, &looked_for) => {}
    }
}

/// Sends the attacks one after another, as a session must (§8).
async fn submit_all(
    node: &Node,
    mut waiting: UnboundedReceiver<(u64, u8)>,
    orders: &mpsc::Sender<ToGame>,
    looked_for: &Notify,
) {
    let mut lane = None;
    while let Some((serial, player)) = waiting.recv().await {
        let used = *lane.get_or_insert(Lane::beginning_with(serial));
        let said = match node.attack(used, serial, player).await {
            Ok(submitted) => ToGame::Order(Order {
                index: submitted.index,
                own_serial: Some(serial),
                ordered_ns: monotonic_ns(),
                response: submitted.response,
            }),
            Err(why) => {
                lane = None;
                ToGame::Refused { serial, why }
            }
        };
        // Without a game there is nobody to tell, and this ends too.
        let _ = orders.send(said);
        looked_for.notify_one();
    }
}

/// Looks again and again, and tells the game what has changed.
async fn watch(node: &Node, orders: &mpsc::Sender<ToGame>, looked_for: &Notify) {
    let (mut applied, mut stood, mut silent) = (None, None, None);
    loop {
        match node.look().await {
            Ok(Look { standing, last_applied, players }) => {
                // The players first: a window that has the node's name in its title can be clicked.
                if applied.replace(last_applied) != Some(last_applied) {
                    let _ = orders.send(ToGame::Board { last_applied, players });
                }
                if stood.replace(standing) != Some(standing) || silent.take().is_some() {
                    let _ = orders.send(ToGame::Standing(standing));
                }
            }
            Err(why) => {
                if silent.as_ref() != Some(&why) {
                    silent = Some(why.clone());
                    let _ = orders.send(ToGame::Silent { why });
                }
            }
        }
        let _ = timeout(LOOK, looked_for.notified()).await;
    }
}

impl Node {
    fn new(config: &WindowConfig) -> Result<Node, String> {
        let http = connect::http(config.address, &config.secret, SUBMIT + PATIENCE);
        let http = http.map_err(|error| format!("{} cannot be called: {error}", config.node))?;
        let session = Session::new("window", config.node);
        Ok(Node { id: config.node, config: config.clone(), session, http })
    }

    async fn look(&self) -> Result<Look, String> {
        let Node { id, config, .. } = self;
        let status = match timeout(PATIENCE, self.http.status()).await {
            Ok(Ok(status)) => status,
            Ok(Err(ClientError::Transport(_))) => {
                return Err(format!("{id} is not at {} any more", config.address));
            }
            Ok(Err(error)) => return Err(format!("{id} says: {error}")),
            Err(_) => return Err(format!("{id} is at {} but says nothing: is it paused?", config.address)),
        };
        if status.node != *id {
            return Err(format!("{} is at {} now, and not {id}; open another window", status.node, config.address));
        }
        Look::at(status)
    }

    /// Has an attack carried out, however long that takes.
    async fn attack(&self, lane: Lane, serial: u64, player: u8) -> Result<Submitted, String> {
        let command = self.command(lane, serial, player)?;
        loop {
            let timeout_ms = SUBMIT.as_millis() as u64;
            let error = match self.http.submit(command.clone(), Some(timeout_ms), None).await {
                Ok(Submitted { response, .. }) if response.refusal().is_some() => {
                    return Err(format!("it was answered {response}"));
                }
                Ok(submitted) => return Ok(submitted),
                Err(error) => error,
            };
            if let Some(error @ (NodeError::UnknownCommand { .. } | NodeError::BadRequest { .. })) =
                NodeError::from_client(&error)
            {
                return Err(error.to_string());
            }
            // Not now, or nobody knows: the same serial number makes it safe to ask again.
            sleep(PAUSE).await;
        }
    }

    fn command(&self, lane: Lane, serial: u64, player: u8) -> Result<Box<RawValue>, String> {
        let written = |error: &dyn std::fmt::Display| format!("the command cannot be written: {error}");
        let op = RawValue::from_string(format!(r#"{{"attack":{player}}}"#)).map_err(|error| written(&error))?;
        let command =
            Command::new(self.session.client(lane), lane.serial(serial), op).map_err(|error| written(&error))?;
        to_raw_value(&command).map_err(|error| written(&error))
    }
}

impl Look {
    fn at(status: NodeStatus) -> Result<Look, String> {
        let NodeStatus { node, role, term, leader, last_applied, state, .. } = status;
        let state: State = serde_json::from_value(state).map_err(|_| format!("{node} has no players to show"))?;
        let players = state.players.into_iter().map(|Player { player, hp }| (player, hp)).collect();
        Ok(Look { standing: Standing { node, role, term, leader }, last_applied, players })
    }
}

/// One frame of the node as it stands.
async fn draw(config: &WindowConfig) -> Result<Vec<u32>, String> {
    let Look { standing, last_applied, players } = Node::new(config)?.look().await?;
    let now_ns = monotonic_ns();
    let mut board = Board::new(0, true);
    board.stands(standing);
    board.restore(last_applied, players, now_ns);
    let mut frame = vec![0; WIDTH * HEIGHT];
    let view = View { board: &board, inputs: &Inputs::new(), dots: None, fps: None, now_ns };
    Painter::new().paint(&mut frame, view);
    Ok(frame)
}
