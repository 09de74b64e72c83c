//! Between a game and its server: commands one way, orders the other.
//!
//! | file | subject |
//! |---|---|
//! | `port` | the two queues, and what is put on them |
//! | `commands`, `lanes` | the server's end of the commands queue; the clients of the log that commands go out as |
//! | `orders` | the server's end of the orders queue |
//! | `frames` | a queue across a socket, where the two are two processes |
//!
//! Invariant: neither side waits for the other.

pub(crate) mod commands;
pub(crate) mod frames;
pub(crate) mod lanes;
pub(crate) mod orders;
pub(crate) mod port;
