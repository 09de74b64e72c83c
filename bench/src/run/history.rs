//! The history of a run while it grows.
//!
//! Invariant: each operation is a whole line, in order of completion. The first error of a write ends the writing, and comes
//! out at the next [`flush`](HistoryFile::flush).

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use raftian_check::{Operation, write_operation};

/// A history that is written to a file.
#[derive(Debug)]
pub struct HistoryFile(Mutex<Writing>);

#[derive(Debug)]
struct Writing {
    file: BufWriter<File>,
    error: Option<io::Error>,
    is_over: bool,
}

impl HistoryFile {
    /// A history in an empty file.
    pub fn new(file: File) -> HistoryFile {
        HistoryFile(Mutex::new(Writing { file: BufWriter::new(file), error: None, is_over: false }))
    }

    /// Adds an operation.
    pub(crate) fn record(&self, operation: &Operation) {
        let mut writing = self.lock();
        if writing.is_over {
            return;
        }
        if let Err(error) = write_operation(&mut writing.file, operation) {
            (writing.error, writing.is_over) = (Some(error), true);
        }
    }

    /// Hands what is buffered to the operating system; an error waits for the next flush.
    pub(crate) fn settle(&self) {
        let mut writing = self.lock();
        if let (false, Err(error)) = (writing.is_over, writing.file.flush()) {
            (writing.error, writing.is_over) = (Some(error), true);
        }
    }

    /// Hands what is buffered to the operating system.
    ///
    /// # Errors
    /// The first error of any write so far.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut writing = self.lock();
        match writing.error.take() {
            Some(error) => Err(error),
            None => writing.file.flush(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        // Nothing that holds the lock can panic half-way, so a poisoned lock guards whole data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
