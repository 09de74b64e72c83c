//! The replicated applications: deterministic state machines that turn committed entries into responses.
//!
//! [`Machine`] is what a server applies its log to: client sessions first (a retry must not take effect twice), then
//! the [`App`]. The invariant of the whole crate: **the same log gives the same state, responses and [`Digest`] on
//! every server**, so nothing in here reads a clock, draws a random number or computes with floats.
//!
//! The way of one command: [`Command::parse`] → [`AppKind::validate`] (a server refuses nonsense before it is
//! proposed) → the log → [`Machine::apply`] → [`Applied`].
//!
//! Deliberately absent: input and output, snapshots, and the expiry of sessions.

mod app;
mod attack;
mod board;
mod command;
mod digest;
mod machine;
mod response;
mod session;

pub use app::{App, AppKind, UnknownApp, UnknownOp};
pub use attack::{Attack, DAMAGE_HP, DEFAULT_PLAYERS, FULL_HP, MAX_PLAYERS, PlayersOutOfRange, Reply, ReplyKind};
pub use board::{BOARD_PX, HEADER_PX, SQUARE_PX, WINDOW_HEIGHT_PX, WINDOW_WIDTH_PX, position};
pub use command::{Command, CommandError, MAX_CLIENT_BYTES, MAX_COMMAND_BYTES, MAX_OP_BYTES};
pub use digest::{Digest, ParseDigestError};
pub use machine::{Applied, Effect, Machine};
pub use response::Response;

pub use raftian_raft::{Entry, Index, NodeId, Payload, Term};
