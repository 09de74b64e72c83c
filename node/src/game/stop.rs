//! Telling a game to end, from another thread or task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::parent;

/// A hand on a game's brake. A game looks before each frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// One that is told when the parent wants this process to leave.
    ///
    /// # Errors
    /// A sentence for people, when the system says no.
    pub(crate) fn when_parent_leaves() -> Result<Stop, String> {
        let stop = Stop::default();
        let told = stop.clone();
        parent::on_shutdown(move || told.stop())?;
        Ok(stop)
    }

    /// Tells the game to end.
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has been told.
    pub(crate) fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
