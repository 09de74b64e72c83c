//! Ctrl-C and its relatives.
//!
//! Invariant: from the moment [`Interrupt::listen`] returns, none of the signals ends the process by itself.

use std::io;

use raftian_bench::cancel::Canceller;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub(crate) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupt {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn listen() -> io::Result<Interrupt> {
        Ok(Interrupt {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when somebody wants us to end.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Does work that can be cancelled: asks it to end when somebody interrupts it, and lets it end in its own way.
    pub(crate) async fn heed<T>(&mut self, canceller: &Canceller, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = self.received() => canceller.cancel(),
        }
        work.await
    }
}
