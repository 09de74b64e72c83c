//! Ctrl-C and its relatives.
//!
//! Invariant: from the moment [`Interrupt::listen`] returns, none of the signals ends the process by itself; but if the
//! command does not take one in, since it waits for a disk, for a reader of its output, or for a daemon that is stopped, the
//! process ends all the same, with the exit code of an interruption.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use raftian_bench::cancel::Canceller;
use raftian_bench::run::remove_unfinished;
use raftian_rpc::clock::monotonic_ns;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Kind;

/// How long a command may take to take a signal in.
const PATIENCE: Duration = Duration::from_secs(2);

/// When a command last took a signal in. The thread that watches over it may hear of the same signal a little later.
static TAKEN_IN_NS: AtomicU64 = AtomicU64::new(0);

/// How much later, at the most.
const LATER: Duration = Duration::from_millis(500);

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
        watch()?;
        Interrupt::signals()
    }

    fn signals() -> io::Result<Interrupt> {
        Ok(Interrupt {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when this process is asked to end.
    pub(crate) async fn received(&mut self) {
        self.next().await;
        TAKEN_IN_NS.store(monotonic_ns(), Ordering::Relaxed);
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Does work that can be cancelled: asks it to end when it is interrupted, and lets it end in its own way.
    pub(crate) async fn heed<T>(&mut self, canceller: &Canceller, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = self.received() => canceller.cancel(),
        }
        work.await
    }
}

/// Watches, on a thread of its own, that signals are taken in.
fn watch() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut interrupt = {
        let _entered = runtime.enter();
        Interrupt::signals()?
    };
    let watching = move || {
        runtime.block_on(async {
            loop {
                interrupt.next().await;
                let heard_ns = monotonic_ns();
                tokio::time::sleep(PATIENCE).await;
                let taken_in_ns = TAKEN_IN_NS.load(Ordering::Relaxed);
                if taken_in_ns + u64::try_from(LATER.as_nanos()).unwrap_or(u64::MAX) < heard_ns {
                    remove_unfinished();
                    std::process::exit(Kind::Interrupted.exit_code().into());
                }
            }
        });
    };
    thread::Builder::new().name("signals".into()).spawn(watching).map(drop)
}
