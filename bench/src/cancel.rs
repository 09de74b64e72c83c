//! A request to stop what runs long, for instance because of Ctrl-C.
//!
//! Invariant: once cancelled, always cancelled. A [`Canceller`] that is dropped without a word cancels nothing.

use tokio::sync::watch;

/// The side that asks.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

/// The side that is asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<bool>);

/// Both sides of a new request.
pub fn cancel_pair() -> (Canceller, Cancel) {
    let (sender, receiver) = watch::channel(false);
    (Canceller(sender), Cancel(receiver))
}

impl Canceller {
    /// Asks. Asking again changes nothing.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancel {
    /// Whether it was asked.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it was asked; never, if nobody is left who could ask.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
