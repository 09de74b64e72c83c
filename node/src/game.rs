//! The game: a loop that draws frames, beside a server or without one.
//!
//! One frame: clicks that are due or came become commands on the queue → orders are taken from the other queue → the
//! squares move → `paint` draws → `screen` shows → `record` notes. The loop is the same code in every hosting; what
//! differs is only who polls it: [`Game::run`] owns a thread, [`Game::run_as_task`] gives way to the server's task
//! after every frame.
//!
//! | file | subject |
//! |---|---|
//! | `board`, `inputs` | what the game knows: players and server; its own clicks |
//! | `dots`, `clicks` | the load: moving squares, synthetic clicks |
//! | `paint`, `canvas`, `text` | from there to pixels |
//! | `screen`, `fit` | a window, or memory |
//! | `pace`, `stop` | when the next frame is due, and when none is |
//! | `tally`, `record` | what is said and kept of all that |
//! | `window`, `picture` | the game as a window onto a node of another process, or one picture of it |
//!
//! Invariant: a frame never waits for the server. Deliberately absent: deciding anything; a click changes nothing until
//! its order comes.

mod board;
mod canvas;
mod clicks;
mod dots;
mod fit;
mod inputs;
mod pace;
mod paint;
mod picture;
mod record;
#[cfg(test)]
mod scratch;
mod screen;
mod stop;
mod tally;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod window;

use std::ops::ControlFlow;
use std::sync::mpsc::TryRecvError;

use raftian_rpc::assignment::Hosting;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::control::NodeNotice;
use raftian_rpc::game::{GameConfig, Scene};

use board::Board;
use clicks::Clicks;
use dots::Dots;
use inputs::Inputs;
use pace::Pace;
use paint::{Painter, View};
use record::Recorder;
use screen::Screen;
pub(crate) use stop::Stop;
use tally::Tally;

use crate::experiment::global_lock::GlobalLock;
use crate::game_link::port::{FromGame, GamePort, Order, ToGame};
use crate::parent;
use crate::timer::{TaskTimer, Timer};

/// The most orders taken in one frame, so that a flood of them does not stop the picture.
const MAX_ORDERS: usize = 4096;

/// Keeps the synthetic clicks' generator apart from that of the squares.
const CLICKS_SEED: u64 = 0x636c_6963_6b73;

/// A game. Must be made on the thread that runs it, and that must be the main thread if it has a window.
pub(crate) struct Game {
    port: Option<GamePort>,
    lock: GlobalLock,
    stop: Stop,
    board: Board,
    inputs: Inputs,
    clicks: Option<Clicks>,
    dots: Option<Dots>,
    painter: Painter,
    screen: Screen,
    pace: Pace,
    tally: Tally,
    recorder: Option<Recorder>,
}

/// Why a game ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its window was closed.
    Closed,
    /// It was told to.
    Told,
    /// Its server has gone.
    ServerGone,
}

/// What comes after a frame: the next, when it is due (`None`: at once), or the end.
type Next = ControlFlow<Ending, Option<u64>>;

impl Game {
    /// A game, with a server behind `port` or with none. Its board has `players` players until the server says
    /// otherwise; `hosting` goes into its reports.
    ///
    /// # Errors
    /// When the configuration cannot be played, recorded or shown: a sentence for people.
    pub(crate) fn new(
        config: &GameConfig,
        players: u16,
        hosting: Option<Hosting>,
        port: Option<GamePort>,
        stop: Stop,
    ) -> Result<Game, String> {
        let clicks = config.clicks_per_s.map(|per_s| Clicks::new(per_s, players, config.seed ^ CLICKS_SEED));
        let dots = match config.scene {
            Scene::Attack => None,
            Scene::Dots(count) => Some(Dots::new(count as usize, &mut fastrand::Rng::with_seed(config.seed))),
        };
        Ok(Game {
            lock: port.as_ref().map_or_else(GlobalLock::default, |port| port.lock.clone()),
            stop,
            board: Board::new(players, port.is_some()),
            port,
            inputs: Inputs::new(),
            clicks: clicks.transpose()?,
            dots,
            painter: Painter::new(),
            pace: Pace::new(config.fps_cap)?,
            tally: Tally::new(config.scene, hosting),
            recorder: config.record.as_deref().map(Recorder::open).transpose()?,
            screen: Screen::open(config.display, "raftian")?,
        })
    }

    /// Draws frames until there is a reason to end, on a thread of its own.
    ///
    /// # Errors
    /// When the display or the timer fails.
    pub(crate) fn run(mut self) -> Result<Ending, String> {
        let lock = self.lock.clone();
        let _held = lock.hold();
        let timer = Timer::new()?;
        let mut next = self.first_frame()?;
        loop {
            match next {
                ControlFlow::Break(ending) => return Ok(self.end(ending)),
                ControlFlow::Continue(Some(due_ns)) => lock.without(|| timer.wait(due_ns))?,
                ControlFlow::Continue(None) => {}
            }
            next = self.frame()?;
        }
    }

    /// Draws frames until there is a reason to end, and lets the other tasks of this thread run after each: until the
    /// next is due, or for one turn of the runtime.
    ///
    /// # Errors
    /// When the display or the timer fails.
    pub(crate) async fn run_as_task(mut self) -> Result<Ending, String> {
        let timer = TaskTimer::new()?;
        let mut next = self.first_frame()?;
        loop {
            match next {
                ControlFlow::Break(ending) => return Ok(self.end(ending)),
                ControlFlow::Continue(Some(due_ns)) => timer.wait(due_ns).await?,
                ControlFlow::Continue(None) => tokio::task::yield_now().await,
            }
            next = self.frame()?;
        }
    }

    fn first_frame(&mut self) -> Result<Next, String> {
        let next = self.frame()?;
        parent::notify(&NodeNotice::Playing { at_ns: monotonic_ns() });
        Ok(next)
    }

    /// One frame.
    fn frame(&mut self) -> Result<Next, String> {
        let began_ns = monotonic_ns();
        self.note_beginning(began_ns);
        if self.stop.is_told() {
            return Ok(ControlFlow::Break(Ending::Told));
        }
        if self.take_clicks(began_ns)? {
            return Ok(ControlFlow::Break(Ending::Closed));
        }
        if !self.take_orders(began_ns) {
            return Ok(ControlFlow::Break(Ending::ServerGone));
        }
        self.lock.checkpoint();
        if let Some(dots) = &mut self.dots {
            dots.step();
        }
        self.lock.checkpoint();
        let Game { board, inputs, dots, painter, screen, tally, .. } = self;
        let view = View { board, inputs, dots: dots.as_ref(), fps: tally.fps(), now_ns: began_ns };
        screen.show(|frame| painter.paint(frame, view))?;
        self.lock.checkpoint();
        let finished_ns = monotonic_ns();
        self.inputs.shown(finished_ns);
        self.keep_inputs();
        Ok(ControlFlow::Continue(self.pace.next(finished_ns)))
    }

    /// Counts and records the frame that begins; once a second, tells the server of the last one.
    fn note_beginning(&mut self, now_ns: u64) {
        if let Some(recorder) = &mut self.recorder {
            recorder.frame(now_ns);
        }
        let Some(report) = self.tally.frame(now_ns) else { return };
        if let Some(port) = &mut self.port {
            // That nobody takes it will show at the orders queue.
            let _ = (port.tell)(FromGame::Report(report));
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
    }

    /// Makes commands of the clicks that are due and that came. Whether the window was closed.
    fn take_clicks(&mut self, now_ns: u64) -> Result<bool, String> {
        while let Some(click) = self.clicks.as_mut().and_then(|clicks| clicks.due(now_ns)) {
            self.attack(click.player, click.due_ns);
        }
        let gestures = self.screen.gestures()?;
        for point in gestures.clicks {
            if let Some(player) = self.board.player_at(point) {
                self.attack(player, now_ns);
            }
        }
        Ok(gestures.closed)
    }

    fn attack(&mut self, player: u8, due_ns: u64) {
        let serial = self.inputs.propose(player, due_ns, monotonic_ns());
        let taken = self.port.as_mut().is_some_and(|port| (port.tell)(FromGame::Attack { serial, player }));
        if !taken {
            self.inputs.failed(serial, "there is no server");
        }
    }

    /// Takes what the server has put on the queue. Whether the server is still there.
    fn take_orders(&mut self, now_ns: u64) -> bool {
        for _ in 0..MAX_ORDERS {
            let Some(port) = &self.port else { return true };
            match port.orders.try_recv() {
                Ok(said) => self.take(said, now_ns),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn take(&mut self, said: ToGame, now_ns: u64) {
        match said {
            ToGame::Board { last_applied, players } => self.board.restore(last_applied, players, now_ns),
            ToGame::Order(order) => self.obey(&order, now_ns),
            ToGame::Refused { serial, why } => {
                if let Some(player) = self.inputs.failed(serial, &why) {
                    self.board.refuse(player, &why, now_ns);
                }
            }
            ToGame::Skipped => self.inputs.give_up("the server skipped orders; the board has what they did"),
            ToGame::Standing(standing) => {
                self.screen.set_title(&format!("raftian {}", standing.node));
                self.board.stands(standing);
            }
            ToGame::Silent { why } => self.board.silent(why),
        }
    }

    fn obey(&mut self, order: &Order, now_ns: u64) {
        let taken_ns = monotonic_ns();
        let waited_ns = order.own_serial.and_then(|serial| self.inputs.ordered(serial, order.ordered_ns, taken_ns));
        self.tally.order(waited_ns);
        self.board.obey(order, now_ns);
    }

    fn keep_inputs(&mut self) {
        for record in self.inputs.settled() {
            if let Some(recorder) = &mut self.recorder {
                recorder.input(&record);
            }
        }
    }

    fn end(mut self, ending: Ending) -> Ending {
        self.inputs.end();
        self.keep_inputs();
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
        ending
    }
}
