//! The replicated applications: deterministic state machines that turn committed entries into responses.
//!
//! [`Machine`] is what a server applies its log to: client sessions first (a retry must not take effect twice), then
//! the [`App`]. A [`Snapshot`] is a machine at rest. The invariant of the whole crate: **the same log gives the same state, responses and [`Digest`] on
//! every server**, so nothing in here reads a clock, draws a random number or computes with floats.
//!
//! The way of one command: [`Command::parse`] → [`AppKind::validate`] (a server refuses nonsense before it is
//! proposed) → the log → [`Machine::apply`] → [`Applied`].
//!
//! Deliberately absent: input and output.

mod app;
mod attack;
mod board;
mod canvas;
mod command;
mod compact;
mod digest;
mod kv;
mod limits;
mod machine;
mod mutant;
mod options;
mod response;
mod session;
mod snapshot;

pub use app::{App, AppKind, NotARead, UnknownApp, UnknownOp};
pub use attack::{
    Attack, AttackOp, DAMAGE_HP, DEFAULT_PLAYERS, FULL_HP, MAX_PLAYERS, PlayersOutOfRange, Reply, ReplyKind,
};
pub use board::{BOARD_PX, HEADER_PX, SQUARE_PX, WINDOW_HEIGHT_PX, WINDOW_WIDTH_PX, position};
pub use canvas::{
    Canvas, CanvasOp, CanvasRead, CanvasRegion, CanvasReply, CanvasReplyKind, Colour, MAX_BATCH_PX, MAX_SIDE_PX,
    NotAColour, ParseSizeError, Size,
};
pub use command::{Command, CommandError, MAX_CLIENT_BYTES, MAX_COMMAND_BYTES, MAX_OP_BYTES};
pub use digest::{Digest, ParseDigestError};
pub use kv::{Kv, KvList, KvListed, KvOp, KvReply, KvReplyKind, MAX_KEY_BYTES, MAX_LISTED_KEYS, MAX_VALUE_BYTES};
pub use limits::Limits;
pub use machine::{Applied, Effect, Machine};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use options::AppOptions;
pub use response::{Refusal, Response};
pub use snapshot::{SNAPSHOT_VERSION, Snapshot, SnapshotError};

pub use raftian_raft::{Configuration, Entry, Index, NodeId, Payload, Term};
