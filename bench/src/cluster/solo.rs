//! A game without a server, for comparison.

use raftian_rpc::VERSION;
use raftian_rpc::assignment::{Assignment, SoloConfig};
use raftian_rpc::game::GameConfig;

use super::PLAYERS;
use super::crew::{Crew, Snapshot};
use crate::experiments::Bench;

/// A game without a server.
#[derive(Debug)]
pub(crate) struct Solo {
    crew: Crew,
    process: usize,
}

impl Solo {
    /// Starts a game without a server.
    ///
    /// # Errors
    /// When the process cannot be spawned.
    pub(crate) fn start(bench: &Bench, game: GameConfig, cores: Option<usize>) -> anyhow::Result<Solo> {
        let mut crew = Crew::new(bench, cores);
        let assignment = Assignment::Game(SoloConfig { version: VERSION.into(), players: PLAYERS, game });
        let process = crew.spawn("n1 game", &assignment)?;
        Ok(Solo { crew, process })
    }

    /// Waits until it has drawn its first frame, and says when.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn playing_ns(&mut self) -> anyhow::Result<u64> {
        self.crew.until("the first frame", |told| told.playing_ns).await
    }

    /// What it has used so far.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.crew.snapshot()
    }

    /// Lets it leave in order.
    ///
    /// # Errors
    /// When it does not leave.
    pub(crate) async fn dismiss(mut self) -> anyhow::Result<()> {
        self.crew.dismiss(self.process).await
    }
}
