//! The runtime that polls a server.

use tokio::runtime::{Builder, Runtime};

use crate::experiment::global_lock::GlobalLock;

/// A runtime that the calling thread will poll. The thread releases `lock` while the runtime is parked.
///
/// # Errors
/// A message for people, when the operating system refuses.
pub(crate) fn on_this_thread(lock: &GlobalLock) -> Result<Runtime, String> {
    let (parking, unparked) = (lock.clone(), lock.clone());
    Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || parking.give())
        .on_thread_unpark(move || unparked.take())
        .build()
        .map_err(|error| format!("cannot start a runtime: {error}"))
}
