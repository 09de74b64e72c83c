//! What the clients of a scenario did and saw, and the file in which it is kept.
//!
//! Invariant: what is in memory is in the file, operation by operation, if there is one.

use std::sync::{Mutex, PoisonError};

use raftian_check::Operation;

use crate::run::HistoryFile;

/// The history of a scenario.
#[derive(Debug, Default)]
pub(super) struct History {
    operations: Mutex<Vec<Operation>>,
    file: Option<HistoryFile>,
}

impl History {
    /// An empty history.
    pub(super) fn new(file: Option<HistoryFile>) -> History {
        History { operations: Mutex::default(), file }
    }

    /// Adds an operation.
    pub(super) fn push(&self, operation: Operation) {
        if let Some(file) = &self.file {
            file.record(&operation);
            // An error stays with the file until its end.
            file.settle();
        }
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
    }

    /// Takes all of it out.
    ///
    /// # Errors
    /// When it could not be kept.
    pub(super) fn take(&self) -> std::io::Result<Vec<Operation>> {
        if let Some(file) = &self.file {
            file.flush()?;
        }
        Ok(std::mem::take(&mut self.operations.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
