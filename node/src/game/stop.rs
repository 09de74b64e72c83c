//! Telling a game to end, from another thread or task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A hand on a game's brake. A game looks before each frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Tells the game to end.
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has been told.
    pub(crate) fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
