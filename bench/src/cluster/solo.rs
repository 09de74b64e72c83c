//! A game without a server, for comparison.

use raftian_rpc::VERSION;
use raftian_rpc::assignment::{Assignment, SoloConfig};
use raftian_rpc::game::GameConfig;

use super::PLAYERS;
use super::processes::{Processes, Snapshot};
use crate::experiments::Bench;

/// A game without a server.
#[derive(Debug)]
pub(crate) struct Solo {
    processes: Processes,
    process: usize,
}

impl Solo {
    /// Starts a game without a server.
    ///
    /// # Errors
    /// When the process cannot be spawned.
    pub(crate) fn start(bench: &Bench, game: GameConfig, cores: Option<usize>) -> anyhow::Result<Solo> {
        let mut processes = Processes::new(bench, cores);
        let assignment = Assignment::Game(SoloConfig { version: VERSION.into(), players: PLAYERS, game });
        let process = processes.spawn("n1 game", &assignment, &[])?;
        Ok(Solo { processes, process })
    }

    /// Waits until it has drawn its first frame, and says when.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn playing_ns(&mut self) -> anyhow::Result<u64> {
        self.processes.until("the first frame", |told| told.playing_ns).await
    }

    /// What it has used so far.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.processes.snapshot()
    }

    /// Lets it leave in order.
    ///
    /// # Errors
    /// When it does not leave.
    pub(crate) async fn dismiss(mut self) -> anyhow::Result<()> {
        self.processes.dismiss(self.process).await
    }
}
