//! What a face shows of a lab: one view model for the page, the terminal and `status`, and the stream that brings it.
//!
//! Invariant: pure but for the declaration of the stream. A [`View`] is a function of a
//! [`LabStatus`](raftian_rpc::lab::LabStatus), so a lab that lives, a run that is over and a simulated cluster are shown the
//! same.
//!
//! | file     | has                                                          |
//! |----------|--------------------------------------------------------------|
//! | `model`  | the view model, as data                                       |
//! | `build`  | how it is made of a status                                    |
//! | `tail`   | the ends of logs, side by side                                |
//! | `stream` | `view.*`: the stream of views, events and messages            |
//! | `story`  | events in sentences                                           |
//! | `words`  | phrases that more than one face says                          |
//!
//! Deliberately absent: colours, columns, and what a person types or clicks, which each face has for itself.

mod build;
mod model;
mod stream;
mod tail;

pub mod story;
pub mod words;

pub use model::{FaultView, LinkView, NodeView, Rates, Role, View};
pub use stream::{Frame, MessageSeen, Opened, Told, ViewClient, ViewServer, WatchRequest};
pub use tail::{TAIL, Tail};
