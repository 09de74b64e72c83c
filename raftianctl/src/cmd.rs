//! The commands, one file each: arguments, help, and what is said about the outcome.

pub(crate) mod act;
pub(crate) mod attack;
pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod fault;
pub(crate) mod heal;
pub(crate) mod kv;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod logs;
pub(crate) mod member;
pub(crate) mod partition;
pub(crate) mod play;
pub(crate) mod player;
pub(crate) mod plot;
pub(crate) mod screenshot;
pub(crate) mod sim;
pub(crate) mod snapshot;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod transfer;
pub(crate) mod wait;
