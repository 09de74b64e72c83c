//! What the application of a lab is started with.
//!
//! Invariant: like the application itself this is a constant of the cluster. Each server begins with it, and a judge replays
//! the log from it; a snapshot stands for all of it, since the state that it led to has it.
//!
//! Deliberately absent: which application it is. Each takes what it has a use for.

use serde::{Deserialize, Serialize};

use crate::attack::DEFAULT_PLAYERS;
use crate::canvas::Size;

/// What an application is started with, the same on all servers of a cluster. In JSON its fields stand beside the others of
/// what it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppOptions {
    /// The players of the attack game, 1 to [`MAX_PLAYERS`](crate::MAX_PLAYERS).
    pub players: u16,
    /// The size of the canvas.
    #[serde(default)]
    pub size: Size,
}

impl Default for AppOptions {
    fn default() -> AppOptions {
        AppOptions { players: DEFAULT_PLAYERS, size: Size::default() }
    }
}

/// So many players, and the rest as by default.
impl From<u16> for AppOptions {
    fn from(players: u16) -> AppOptions {
        AppOptions { players, ..AppOptions::default() }
    }
}
